//! What passes the seam, and both its sides: a request, whoever answers it, and whoever asks.
//!
//! These need one another, so they are one file: a service is given a request, which knows where it
//! came from, and by that a channel to call back, which is a service. The answer is not in here: it
//! knows nothing of requests.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::answer::{Answer, BoxFuture};
use super::extensions::Extensions;
use super::items::Items;
use super::origin::Origin;
use super::state::ChannelStates;
use super::tasks::Tasks;
use super::trace::trace_here;
use crate::clock::now;
use crate::command::Facts;
use crate::error::{Code, Error, Result};
use crate::limits::Limits;
use crate::quota::Quota;
use crate::session::{Call, CallId};
use crate::transport::Peer;
use crate::wire::{FormatWord, Metadata, Name, Options};

/// Answers calls.
///
/// A call begins before `call` returns, so calls begin in the order in which they are made. The
/// rest happens while the [`Answer`] is polled. `call` does not block or wait for room: it refuses
/// a call for which there is none.
///
/// The errors that an answer gives are for the caller of the service, with code and text.
pub trait Service: Send + Sync + 'static {
    /// Begins to answer a call.
    fn call(&self, request: Request) -> Answer;
}

/// A way to call: a service, with an end, limits and a peer for its [`Client`](crate::Client).
///
/// A connection, a [`Door`](super::Door) and a [`Client`](crate::Client) are channels, to be
/// wrapped by others. A channel in front of another gives that one by [`inner`](Self::inner), and
/// closes, flushes and waits as it does. Without an `inner`, the defaults suit a channel that
/// cannot be closed.
///
/// # Errors of a channel
///
/// The caller gets them as they are. A handler that returns an error of a channel tells its own
/// caller `failed` and no more, as with every error that was not made for that caller. Only the
/// channel knows whether the handler may have run: it says so by [`Error::after_sending`].
pub trait Channel: Service {
    /// The channel behind this one, if there is one. The defaults of all other methods ask it.
    fn inner(&self) -> Option<&dyn Channel> {
        None
    }

    /// The bounds of requests and replies.
    fn limits(&self) -> &Limits {
        static LIMITS: OnceLock<Limits> = OnceLock::new();
        match self.inner() {
            Some(inner) => inner.limits(),
            None => LIMITS.get_or_init(Limits::default),
        }
    }

    /// Who is on the other side.
    fn peer(&self) -> Peer {
        self.inner().map_or_else(|| Peer::nobody().clone(), |inner| inner.peer())
    }

    /// Whether a connection is there, and each change of that.
    fn states(&self) -> ChannelStates {
        self.inner().map_or_else(ChannelStates::connected, |inner| inner.states())
    }

    /// Whether no more calls are taken.
    fn is_closed(&self) -> bool {
        self.inner().is_some_and(|inner| inner.is_closed())
    }

    /// Takes no more calls, and lets those under way finish.
    fn close(&self) {
        self.inner().into_iter().for_each(|inner| inner.close());
    }

    /// Waits until no more calls are taken and none is under way. Without an inner channel it waits
    /// for ever.
    fn closed(&self) -> BoxFuture<'_, ()> {
        self.inner().map_or_else(|| Box::pin(std::future::pending()) as _, |inner| inner.closed())
    }

    /// Waits until everything that was handed over is written.
    ///
    /// # Errors
    ///
    /// The reason why it could not be written.
    fn flush(&self) -> BoxFuture<'_, Result<()>> {
        self.inner()
            .map_or_else(|| Box::pin(std::future::ready(Ok(()))) as _, |inner| inner.flush())
    }
}

/// A call as a value: the name of a command, a payload, and its options.
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
    pub(super) is_idempotent: bool,
    origin: Origin,
    pub(super) caller: Option<Arc<dyn Caller>>,
    pub(super) peer: Option<Peer>,
    pub(super) extensions: Extensions,
    // Those of whoever asks over a channel.
    facts: Option<Box<Facts>>,
    // Of the payload, which no limit on payloads counts.
    definition_bytes: usize,
    // Those of a streamed call.
    items: Option<Arc<dyn Items>>,
    // Of the listener at which it came in, or of the door.
    pub(super) tasks: Option<Arc<Tasks>>,
}

impl Request {
    /// A request of an unknown caller, in the format `bincode`, without a deadline. Made by a
    /// handler, it goes on in the trace of that handler's call.
    ///
    /// # Errors
    ///
    /// `unknown_command` if no command can have this name; see [`Command::new`].
    ///
    /// [`Command::new`]: crate::Command::new
    pub fn new(command: &str, payload: impl Into<Bytes>) -> Result<Self> {
        let Ok(name) = Name::parse(command.as_bytes()) else {
            return Err(Error::found(Code::UnknownCommand, "no command can have this name"));
        };
        let request = Self::of_command(name, None, payload.into());
        Ok(match trace_here() {
            Some(trace) => request.with_trace(&trace),
            None => request,
        })
    }

    pub(crate) fn of_command(name: Name, format: Option<FormatWord>, payload: Bytes) -> Self {
        let mut call = Call::plain(name, Options::new(format, None), now());
        call.payload = payload;
        let (deadline, is_one_way, is_idempotent) = (None, false, false);
        let origin = Origin::Direct;
        let (caller, peer, extensions, facts) = (None, None, Extensions::default(), None);
        let definition_bytes = 0;
        Self {
            call,
            deadline,
            is_one_way,
            is_idempotent,
            origin,
            caller,
            peer,
            extensions,
            facts,
            definition_bytes,
            items: None,
            tasks: None,
        }
    }

    /// A call that came in by a session.
    pub(crate) fn of_session(call: Box<Call>, caller: Arc<dyn Caller>) -> Self {
        let is_plain = call.is_plain();
        Self {
            deadline: (!is_plain).then_some(call.deadline),
            is_one_way: !is_plain && call.id.tag() == 0,
            is_idempotent: false,
            origin: if is_plain { Origin::Plain } else { Origin::Tagged },
            call,
            caller: Some(caller),
            peer: None,
            extensions: Extensions::default(),
            facts: None,
            definition_bytes: 0,
            items: None,
            tasks: None,
        }
    }

    /// Says where the items of this call are.
    pub(crate) fn set_items(&mut self, items: Arc<dyn Items>) {
        self.items = Some(items);
    }

    /// Where the items of this call are, if it is streamed.
    pub(crate) fn items(&self) -> Option<&Arc<dyn Items>> {
        self.items.as_ref()
    }

    /// Says this beside the reply.
    pub(crate) fn set_reply_metadata(&self, metadata: Metadata) {
        if let Some(caller) = &self.caller {
            caller.set_reply_metadata(self.call.id, metadata);
        }
    }

    pub(crate) fn name(&self) -> Name {
        self.call.name
    }

    pub(crate) fn id(&self) -> CallId {
        self.call.id
    }

    pub(crate) fn format_word(&self) -> Option<FormatWord> {
        self.call.options.format()
    }

    pub(crate) fn origin(&self) -> Origin {
        self.origin
    }

    /// What its call counts against, once somebody calls.
    pub(crate) fn quota(&self) -> Option<&Arc<Quota>> {
        self.caller.as_ref().map(|caller| caller.quota())
    }

    /// Says by whom it comes: through no connection, also if a layer hands on what did.
    pub(crate) fn set_caller(&mut self, caller: Arc<dyn Caller>) {
        self.caller = Some(caller);
        self.origin = Origin::Direct;
    }

    /// Says who calls, if the door that knows better has not.
    pub(crate) fn or_peer(mut self, peer: &Peer) -> Self {
        self.peer.get_or_insert_with(|| peer.clone());
        self
    }

    /// What its command has in place of limits, as whoever asks knows it.
    pub(crate) fn set_facts(&mut self, facts: Option<Box<Facts>>) {
        self.facts = facts;
    }

    pub(crate) fn take_facts(&mut self) -> Option<Box<Facts>> {
        self.facts.take()
    }

    /// Says that the payload begins with so many bytes of definitions, of which the peer need not
    /// have sent any with this call.
    #[cfg(feature = "gob")]
    pub(crate) fn with_definitions(mut self, definition_bytes: usize) -> Self {
        self.definition_bytes = definition_bytes;
        self
    }

    /// Bytes of the payload that a limit on payloads counts.
    pub(crate) fn value_bytes(&self) -> usize {
        self.call.payload.len().saturating_sub(self.definition_bytes)
    }

    pub(crate) fn take_payload(&mut self) -> Bytes {
        std::mem::take(&mut self.call.payload)
    }

    /// Takes a value that was added for the answering side out again.
    #[cfg(feature = "json")]
    pub(crate) fn take_extension<T: Send + Sync + 'static>(&mut self) -> Option<Arc<T>> {
        self.extensions.take()
    }

    pub(crate) fn options(&self) -> &Options {
        &self.call.options
    }

    /// By whom it comes, if it has come so far.
    pub(super) fn caller(&self) -> Option<&Arc<dyn Caller>> {
        self.caller.as_ref()
    }

    /// Says whose drain waits for what its handler spawns, and gives what was said before.
    pub(super) fn in_tasks(&mut self, tasks: &Arc<Tasks>) -> Option<Arc<Tasks>> {
        let before = self.tasks.clone();
        self.tasks.get_or_insert_with(|| Arc::clone(tasks));
        before
    }

    /// The tasks that the drain of its way in waits for.
    pub(crate) fn tasks(&self) -> Option<&Arc<Tasks>> {
        self.tasks.as_ref().or_else(|| self.caller.as_ref()?.tasks())
    }

    /// Cancelled when its way in drains.
    pub(crate) fn draining(&self) -> CancellationToken {
        match (&self.tasks, &self.caller) {
            (Some(tasks), _) => tasks.draining(),
            (None, Some(caller)) => caller.draining(),
            (None, None) => CancellationToken::new(),
        }
    }

    /// Cancelled when nobody waits for the answer any more.
    pub(crate) fn cancelled(&self) -> CancellationToken {
        let signal = self.caller.as_ref().map(|caller| caller.cancelled(self.call.id));
        signal.unwrap_or_default()
    }

    /// Whether nobody waits for the answer any more.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.caller.as_ref().is_some_and(|caller| !caller.is_waiting(self.call.id))
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("command", &self.call.name)
            .field("peer", self.peer())
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
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
