//! What passes the seam, and both its sides: a request, whoever answers it, and whoever asks.
//!
//! These need one another, so they are one file: a service is given a request, which knows where it
//! came from, and by that a channel to call back, which is a service. The answer is not in here: it
//! knows nothing of requests.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::answer::{Answer, BoxFuture};
use super::extensions::Extensions;
use super::items::Items;
use super::tasks::Tasks;
use crate::command::Facts;
use crate::error::{Code, Error, Result};
use crate::limits::Limits;
use crate::quota::Quota;
use crate::session::{Call, CallId};
use crate::transport::Peer;
use crate::wire::Metadata;

/// Answers calls.
///
/// What `call` does before it returns is the beginning of the call, so calls begin in the order in
/// which they are made; the rest is done while the [`Answer`] is polled. It does not block, and it
/// does not wait for room: what cannot be taken is refused.
///
/// The errors that an answer gives are for the caller of the service, with code and text.
pub trait Service: Send + Sync + 'static {
    /// Begins to answer a call.
    fn call(&self, request: Request) -> Answer;
}

/// A way to call: a service, and what its [`Client`](crate::Client) must know beside it.
///
/// A plain connection is a channel, a [`Door`](super::Door) is one, and a [`Client`](crate::Client)
/// is one as well, to be wrapped by another. One in front of another says which by
/// [`inner`](Self::inner), and closes, flushes and waits as that does. For any other the defaults
/// suit a channel that cannot be closed.
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use switchboard::service::{Answer, Channel, Request, Service};
/// use switchboard::{Client, Code, Command, Endpoint, Error, format::Line};
///
/// /// Fails every third call.
/// struct Flaky {
///     client: Client,
///     calls: AtomicU32,
/// }
///
/// impl Service for Flaky {
///     fn call(&self, request: Request) -> Answer {
///         if self.calls.fetch_add(1, Ordering::Relaxed) % 3 == 2 {
///             return Answer::ready(Err(Error::new(Code::Overloaded, "the third call")));
///         }
///         // A client's own `call` takes a command: this is the call of a request.
///         Service::call(&self.client, request)
///     }
/// }
///
/// impl Channel for Flaky {
///     fn inner(&self) -> Option<&dyn Channel> {
///         Some(&self.client)
///     }
/// }
///
/// const SHOUT: Command<String, String, Line> = Command::new("SHOUT");
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> switchboard::Result<()> {
/// let endpoint = Endpoint::new()
///     .on(SHOUT, async |text: String| Ok::<_, Error>(text.to_uppercase()));
/// let client = Client::over(Flaky { client: endpoint.client(), calls: AtomicU32::new(0) });
///
/// assert_eq!(client.call(SHOUT, &"one".into()).await?, "ONE");
/// assert_eq!(client.call(SHOUT, &"two".into()).await?, "TWO");
/// let error = client.call(SHOUT, &"three".into()).await.unwrap_err();
/// assert_eq!(error.code(), Code::Overloaded);
/// # Ok(())
/// # }
/// ```
///
/// # Errors of a channel
///
/// They are given to the caller as they are. A handler that hands on an error of a channel tells
/// its own caller `failed` and no more, as with every error that was not made for that caller.
/// Whether the handler may have run is known to the channel alone: it says so by
/// [`Error::after_sending`].
pub trait Channel: Service {
    /// The channel that this one is in front of, if it is in front of one. All the other methods
    /// ask it, unless they are written anew.
    fn inner(&self) -> Option<&dyn Channel> {
        None
    }

    /// The bounds of what is sent and of what comes back.
    fn limits(&self) -> &Limits {
        static LIMITS: OnceLock<Limits> = OnceLock::new();
        match self.inner() {
            Some(inner) => inner.limits(),
            None => LIMITS.get_or_init(Limits::default),
        }
    }

    /// Who is on the other side.
    fn peer(&self) -> &Peer {
        match self.inner() {
            Some(inner) => inner.peer(),
            None => Peer::nobody(),
        }
    }

    /// Whether no more calls are taken.
    fn is_closed(&self) -> bool {
        self.inner().is_some_and(|inner| inner.is_closed())
    }

    /// Takes no more calls, and lets those under way finish.
    fn close(&self) {
        self.inner().into_iter().for_each(|inner| inner.close());
    }

    /// Waits until no more calls are taken and none is under way. Without an inner channel that
    /// never comes.
    fn closed(&self) -> BoxFuture<'_, ()> {
        self.inner().map_or_else(|| Box::pin(std::future::pending()) as _, |inner| inner.closed())
    }

    /// Waits until everything that was handed over is written.
    ///
    /// # Errors
    ///
    /// What kept it from being written.
    fn flush(&self) -> BoxFuture<'_, Result<()>> {
        self.inner()
            .map_or_else(|| Box::pin(std::future::ready(Ok(()))) as _, |inner| inner.flush())
    }
}

/// A call as a value: the name of a command, a payload, and what is said beside it.
///
/// ```
/// use std::time::Duration;
/// use switchboard::service::Request;
///
/// # fn main() -> switchboard::Result<()> {
/// let request = Request::new("ADD", "[1,2]")?
///     .with_format("json")?
///     .with_timeout(Duration::from_secs(1));
/// assert_eq!(request.command(), "ADD");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a request does nothing until a service is called with it"]
pub struct Request {
    // Boxed where its line is read: it passes many hands.
    pub(super) call: Box<Call>,
    pub(super) deadline: Option<Instant>,
    pub(super) is_one_way: bool,
    pub(super) origin: Origin,
    pub(super) caller: Option<Arc<dyn Caller>>,
    pub(super) peer: Option<Peer>,
    pub(super) extensions: Extensions,
    // Those of whoever asks over a channel.
    pub(super) facts: Option<Box<Facts>>,
    // Of the payload, which no limit on payloads counts.
    pub(super) definition_bytes: usize,
    // Those of a streamed call.
    pub(super) items: Option<Arc<dyn Items>>,
    // Of the door through which it came.
    pub(super) tasks: Option<Arc<Tasks>>,
}

/// How a request came to be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// By a session, with a tag: it keeps the time.
    Tagged,
    /// By a session, which has lent its stream for it.
    Plain,
    /// In no stream.
    Direct,
}

impl<S: Service + ?Sized> Service for Arc<S> {
    fn call(&self, request: Request) -> Answer {
        (**self).call(request)
    }
}

/// Where calls come from: a connection, or a single request.
pub(crate) trait Caller: Send + Sync {
    /// Who is there.
    fn peer(&self) -> &Peer;

    /// What its calls count against.
    fn quota(&self) -> &Arc<Quota>;

    /// Whether the answer to this call is still waited for.
    fn is_waiting(&self, call: CallId) -> bool;

    /// Cancelled when it is not waited for any more.
    fn cancelled(&self, call: CallId) -> CancellationToken;

    /// Cancelled when this way in drains.
    fn draining(&self) -> CancellationToken;

    /// The tasks that its drain waits for, if somebody waits.
    fn tasks(&self) -> Option<&Arc<Tasks>>;

    /// Says this beside the reply to this call, if that has a place for it.
    fn set_reply_metadata(&self, call: CallId, metadata: Metadata);

    /// A way to call back, for the handler of this call.
    fn channel(self: Arc<Self>, call: CallId) -> Option<Arc<dyn Channel>>;
}

/// The way back where there is none.
pub(super) struct NoWayBack;

impl Service for NoWayBack {
    fn call(&self, request: Request) -> Answer {
        let text = format!("{} cannot be called: there is no way back", request.command());
        Answer::ready(Err(Error::found(Code::UnknownCommand, text)))
    }
}

impl Channel for NoWayBack {}
