//! What each peer may do by itself, as a layer.
//!
//! ```text
//!   a call ─► whose? ─► its entry: calls in flight, calls and bytes a second ─► the next service
//!                          │ one of them is used up: `overloaded`, with the time to wait
//!                          └── no entry is free: the one that all others share
//! ```
//!
//! Peers choose their addresses, so the table is bounded. An entry of which everything is free
//! again says nothing, and makes way. While none does, all new peers share one entry: those that
//! are in the table keep their own, and invented addresses share what one peer may do.
//!
//! The algorithm is in `gcra.rs`: it takes two words for a rate, and the time of tokio's clock, so
//! tests can pause it. The crate `governor` has the same algorithm with a table that grows with
//! each key, and a clock of its own.

use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use foldhash::HashMap;
use tower_layer::Layer;

use super::answer::Answer;
use super::gcra::{Rate, Usage};
use super::layers::Layered;
use super::reply::Reply;
use super::seam::Request;
use crate::clock::now;
use crate::error::{Code, Error, Result};

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
    bounds: Bounds,
    peers_max: usize,
    whose: Arc<Whose>,
}

/// A service behind [`PeerLimits`].
#[derive(Clone)]
#[must_use = "a service answers nothing until it is called"]
pub struct PeerLimited<S> {
    next: S,
    table: Arc<Table>,
    whose: Arc<Whose>,
}

/// Whose a call is; `None` if it is not bounded.
type Whose = dyn Fn(&Request, &Hashers) -> Option<Key> + Send + Sync;

/// 128 bits of a hash with secret keys: of one size, whatever a peer calls itself.
type Key = (u64, u64);

type Hashers = (RandomState, RandomState);

#[derive(Clone, Copy, Default)]
struct Bounds {
    calls: Option<Rate>,
    bytes: Option<Rate>,
    in_flight_max: Option<usize>,
}

/// What peers have used.
struct Table {
    bounds: Bounds,
    peers_max: usize,
    hashers: Hashers,
    used: Mutex<Used>,
}

#[derive(Default)]
struct Used {
    by_peer: HashMap<Key, Entry>,
    // By all that have found no place.
    by_others: Entry,
    swept_at: Option<Instant>,
}

#[derive(Clone, Copy, Default)]
struct Entry {
    calls: Usage,
    bytes: Usage,
    in_flight: usize,
}

/// A call that is under way.
struct Counted {
    table: Arc<Table>,
    // `None` if it counts among the others.
    key: Option<Key>,
}

impl PeerLimits {
    /// Limits that bound nothing yet.
    pub fn new() -> Self {
        let whose = |request: &Request, hashers: &Hashers| {
            Some(key_of(hashers, &request.peer().peer_key()?))
        };
        let (bounds, peers_max) = (Bounds::default(), PEERS_MAX_USUAL);
        Self { bounds, peers_max, whose: Arc::new(whose) }
    }

    /// Bounds how many calls a peer may begin in a second, and how many of them at once. Both are
    /// at least 1.
    pub fn calls_per_second(mut self, calls: u32, burst: u32) -> Self {
        self.bounds.calls = Some(Rate::new(calls.into(), burst.into()));
        self
    }

    /// Bounds how many calls of a peer may be under way at once, over all its connections. How long
    /// they take nobody knows, so the caller of a call beyond that is told to wait for 100 ms.
    pub fn calls_in_flight(mut self, calls: usize) -> Self {
        self.bounds.in_flight_max = Some(calls);
        self
    }

    /// Bounds the bytes of the payloads of a peer's requests and of the replies to it, in a second
    /// and at once, at least 1. A reply is sent in any case, and the calls after it wait. A request
    /// with more bytes than that waits until nothing else is used up. Items of streams do not
    /// count: credit bounds them.
    pub fn bytes_per_second(mut self, bytes: u64) -> Self {
        self.bounds.bytes = Some(Rate::new(bytes, bytes));
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
        let table = Arc::new(Table {
            bounds: self.bounds,
            peers_max: self.peers_max,
            hashers: (RandomState::new(), RandomState::new()),
            used: Mutex::default(),
        });
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
        let Some(key) = (self.whose)(&request, &self.table.hashers) else {
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

impl Table {
    /// Begins a call with so many bytes.
    ///
    /// # Errors
    ///
    /// `overloaded`.
    fn begin(self: &Arc<Self>, key: Key, bytes: usize) -> Result<Counted> {
        let now = now();
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let key = used.place(key, self.peers_max, now);
        used.entry(key).begin(&self.bounds, now, bytes)?;
        drop(used);
        Ok(Counted { table: Arc::clone(self), key })
    }
}

impl Used {
    /// Where to count this peer; `None` is among the others.
    fn place(&mut self, key: Key, peers_max: usize, now: Instant) -> Option<Key> {
        if self.by_peer.contains_key(&key) {
            return Some(key);
        }
        if self.by_peer.len() >= peers_max {
            self.sweep(now);
        }
        (self.by_peer.len() < peers_max).then_some(key)
    }

    fn entry(&mut self, key: Option<Key>) -> &mut Entry {
        match key {
            Some(key) => self.by_peer.entry(key).or_default(),
            None => &mut self.by_others,
        }
    }

    /// Forgets peers of whom everything is free again. That looks at all of them, so it is not done
    /// for each new peer.
    fn sweep(&mut self, now: Instant) {
        let is_soon = |at| now.saturating_duration_since(at) < SWEEP_PAUSE;
        if self.swept_at.is_some_and(is_soon) {
            return;
        }
        self.swept_at = Some(now);
        self.by_peer.retain(|_, entry| !entry.is_free(now));
    }
}

impl Entry {
    fn begin(&mut self, bounds: &Bounds, now: Instant, bytes: usize) -> Result<()> {
        if bounds.in_flight_max.is_some_and(|max| self.in_flight >= max) {
            let max = bounds.in_flight_max.unwrap_or_default();
            let text = format!("{max} calls of this peer are under way");
            return Err(overloaded(text, RETRY_AFTER));
        }
        let mut then = *self;
        if let Some(rate) = bounds.calls {
            then.calls.take(now, rate, 1).map_err(|time| too_much("calls", rate, time))?;
        }
        if let Some(rate) = bounds.bytes {
            let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
            then.bytes.take(now, rate, bytes).map_err(|time| too_much("bytes", rate, time))?;
        }
        then.in_flight = then.in_flight.saturating_add(1);
        *self = then;
        Ok(())
    }

    fn is_free(&self, now: Instant) -> bool {
        self.in_flight == 0 && self.calls.is_none(now) && self.bytes.is_none(now)
    }
}

impl Counted {
    fn charge(&self, bytes: usize) {
        let Some(rate) = self.table.bounds.bytes else {
            return;
        };
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.with_entry(|entry| entry.bytes.charge(now(), rate, bytes));
    }

    fn with_entry(&self, change: impl FnOnce(&mut Entry)) {
        let mut used = self.table.used.lock().unwrap_or_else(PoisonError::into_inner);
        // An entry with a call under way is not swept out.
        change(used.entry(self.key));
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.with_entry(|entry| entry.in_flight = entry.in_flight.saturating_sub(1));
    }
}

fn key_of(hashers: &Hashers, whose: &impl Hash) -> Key {
    (hashers.0.hash_one(whose), hashers.1.hash_one(whose))
}

fn too_much(what: &str, rate: Rate, time: Duration) -> Error {
    let text = format!("more than {rate} {what} a second of this peer");
    overloaded(text, time)
}

fn overloaded(text: String, time: Duration) -> Error {
    Error::found(Code::Overloaded, text).for_caller().with_retry_after(time)
}

/// Peers that are told apart, unless the program says otherwise.
const PEERS_MAX_USUAL: usize = 10_000;

/// No sweep follows another before that.
const SWEEP_PAUSE: Duration = Duration::from_millis(100);

/// When it is worth trying again while calls are under way.
const RETRY_AFTER: Duration = Duration::from_millis(100);

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
