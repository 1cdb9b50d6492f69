//! What each peer may do by itself, as a layer. What they have used is in `peer_table`, with the
//! reasons for its bounds.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower_layer::Layer;

use super::answer::Answer;
use super::layers::Layered;
use super::peer_table::{Hashers, Key, PeerBounds, PeerTable, key_of};
use super::reply::Reply;
use super::seam::Request;
use crate::error::{Error, Result};

/// A layer that bounds what each peer may do by itself, whatever others do: see
/// [`Endpoint::layer`](crate::Endpoint::layer).
///
/// A peer is a user ID on a Unix socket, an IPv4 address, or the first 64 bits of an IPv6 address.
/// Calls from within the process, and those whose peer is unknown, are not bounded. With
/// [`by`](Self::by) the program says whose a call is.
///
/// A call beyond a bound is refused with `overloaded` before it is decoded, and is [safe to
/// retry](Error::is_safe_to_retry). Its caller is told when there is room again
/// ([`Error::retry_after`]). Nothing is bounded that is not named here.
///
/// ```
/// use switchboard::service::PeerLimits;
/// use switchboard::{Endpoint, service::Request};
///
/// #[derive(Clone, Hash)]
/// struct Tenant(u32);
///
/// let limits = PeerLimits::new().calls_per_second(100, 200).calls_in_flight(16);
/// let by_tenant = PeerLimits::new()
///     .calls_per_second(10, 10)
///     .by(|request: &Request| request.extensions().get::<Tenant>().cloned());
/// // The layer that is added last is passed first.
/// let endpoint = Endpoint::new().layer(by_tenant).layer(limits);
/// ```
#[derive(Clone)]
#[must_use = "limits bound nothing until they are a layer of an endpoint"]
pub struct PeerLimits {
    bounds: PeerBounds,
    peers_max: usize,
    whose: Arc<Whose>,
}

/// A service behind [`PeerLimits`].
#[derive(Clone)]
#[must_use = "a service answers nothing until it is called"]
pub struct PeerLimited<S> {
    next: S,
    table: Arc<PeerTable>,
    whose: Arc<Whose>,
}

/// Whose a call is; `None` if it is not bounded.
type Whose = dyn Fn(&Request, &Hashers) -> Option<Key> + Send + Sync;

impl PeerLimits {
    /// Limits that bound nothing yet.
    pub fn new() -> Self {
        let whose = |request: &Request, hashers: &Hashers| {
            Some(key_of(hashers, &request.peer().peer_key()?))
        };
        let (bounds, peers_max) = (PeerBounds::default(), PEERS_MAX_USUAL);
        Self { bounds, peers_max, whose: Arc::new(whose) }
    }

    /// Bounds how many calls a peer may begin in a second, and how many of them at once. Both are
    /// at least 1.
    pub fn calls_per_second(mut self, calls: u32, burst: u32) -> Self {
        self.bounds = self.bounds.calls_per_second(calls, burst);
        self
    }

    /// Bounds how many calls of a peer may be under way at once, over all its connections. How long
    /// they take nobody knows, so the caller of a call beyond that is told to wait for 100 ms.
    pub fn calls_in_flight(mut self, calls: usize) -> Self {
        self.bounds = self.bounds.calls_in_flight(calls);
        self
    }

    /// Bounds the bytes of the payloads of a peer's requests and of the replies to it, in a second
    /// and at once, at least 1. A reply is sent in any case, and the calls after it wait. A request
    /// with more bytes than that waits until nothing else is used up. Items of streams do not
    /// count: credit bounds them.
    pub fn bytes_per_second(mut self, bytes: u64) -> Self {
        self.bounds = self.bounds.bytes_per_second(bytes);
        self
    }

    /// Sets how many peers are told apart at once, 10,000 if this is not said; each takes about 100
    /// bytes. All those beyond that share the bounds of one peer.
    pub fn peers_max(mut self, peers: usize) -> Self {
        self.peers_max = peers;
        self
    }

    /// Lets `whose` say by what calls are told apart, mostly by a value that an outer layer has put
    /// beside the call. Calls of which it says nothing are not bounded.
    pub fn by<K: Hash>(
        mut self,
        whose: impl Fn(&Request) -> Option<K> + Send + Sync + 'static,
    ) -> Self {
        let whose = move |request: &Request, hashers: &Hashers| {
            whose(request).map(|whose| key_of(hashers, &whose))
        };
        self.whose = Arc::new(whose);
        self
    }
}

impl<S> Layer<S> for PeerLimits {
    type Service = PeerLimited<S>;

    fn layer(&self, next: S) -> Self::Service {
        let table = PeerTable::new(self.bounds, self.peers_max);
        PeerLimited { next, table, whose: Arc::clone(&self.whose) }
    }
}

impl<S: Layered> tower_service::Service<Request> for PeerLimited<S> {
    type Response = Reply;
    type Error = Error;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Answer {
        let next = self.next.clone();
        let Some(key) = (self.whose)(&request, self.table.hashers()) else {
            return next.answer(request);
        };
        match self.table.begin(key, request.payload().len()) {
            Ok(counted) => Answer::new(async move {
                let reply = next.answer(request).await?;
                counted.charge(reply.payload().len());
                Ok(reply)
            }),
            Err(error) => Answer::ready(Err(error)),
        }
    }
}

/// Peers that are told apart, unless the program says otherwise.
const PEERS_MAX_USUAL: usize = 10_000;

impl Default for PeerLimits {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for PeerLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerLimits").field("peers_max", &self.peers_max).finish_non_exhaustive()
    }
}

impl<S> fmt::Debug for PeerLimited<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerLimited").finish_non_exhaustive()
    }
}
