//! What passes the seam, and both its sides: a request, whoever answers it, and whoever asks.
//!
//! These need one another, so they are one file: a service is given a request, which knows where it
//! came from, and by that a channel to call back, which is a service. The answer is not in here: it
//! knows nothing of requests.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::answer::{Answer, BoxFuture};
use super::extensions::Extensions;
use super::items::Items;
use super::origin::Origin;
use super::tasks::{Draining, Tasks};
use crate::clock::{after, now};
use crate::command::Facts;
use crate::error::{Code, Error, Result};
use crate::limits::Limits;
use crate::quota::Quota;
use crate::session::{Call, CallId};
use crate::transport::Peer;
use crate::wire::{Flaw, FormatWord, Metadata, Name, Options};

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
    call: Box<Call>,
    deadline: Option<Instant>,
    is_one_way: bool,
    origin: Origin,
    caller: Option<Arc<dyn Caller>>,
    peer: Option<Peer>,
    extensions: Extensions,
    // Those of whoever asks over a channel.
    facts: Option<Box<Facts>>,
    // Of the payload, which no limit on payloads counts.
    definition_bytes: usize,
    // Those of a streamed call.
    items: Option<Arc<dyn Items>>,
    // Of the listener at which it came in, or of the door.
    tasks: Option<Arc<Tasks>>,
}

impl Request {
    /// A request of nobody that is known, in the format `bincode`, without a deadline.
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
        Ok(Self::of_command(name, None, payload.into()))
    }

    pub(crate) fn of_command(name: Name, format: Option<FormatWord>, payload: Bytes) -> Self {
        let mut call = Call::plain(name, Options::new(format, None), now());
        call.payload = payload;
        let (deadline, is_one_way, origin) = (None, false, Origin::Direct);
        let (caller, peer, extensions, facts) = (None, None, Extensions::default(), None);
        let definition_bytes = 0;
        Self {
            call,
            deadline,
            is_one_way,
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

    /// Says the format of the payload, which is that of the reply as well: `bincode` if it is not
    /// said. A command that does not speak it refuses the call.
    ///
    /// # Errors
    ///
    /// `unsupported_format` if no format can have this name.
    pub fn with_format(mut self, format: &str) -> Result<Self> {
        let Ok(word) = FormatWord::parse(format.as_bytes()) else {
            let text = "no format can have this name";
            return Err(Error::found(Code::UnsupportedFormat, text));
        };
        self.call.options = std::mem::take(&mut self.call.options).with_format(word);
        Ok(self)
    }

    /// Ends the call with `deadline_exceeded` when so much time has passed from now. The limit of
    /// the service itself, the timeout of the command or `call_time_max` of an endpoint, holds all
    /// the same.
    pub fn with_timeout(self, time: Duration) -> Self {
        self.with_deadline(after(time).into_std())
    }

    /// Ends the call with `deadline_exceeded` at this time.
    pub fn with_deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Says who calls, as far as the door knows.
    pub fn with_peer(mut self, peer: Peer) -> Self {
        self.peer = Some(peer);
        self
    }

    /// Sends this W3C traceparent along.
    ///
    /// # Errors
    ///
    /// `bad_payload` if it is empty, longer than 128 bytes or has other than printable ASCII in it.
    pub fn with_trace(mut self, traceparent: &str) -> Result<Self> {
        let mut options = Options::new(self.format_word(), None);
        if let Some(position) = self.resume_position() {
            options = options.with_from(position);
        }
        let options = options.with_trace(traceparent).map_err(bad_trace)?;
        self.call.options = options.with_metadata(&self.metadata());
        Ok(self)
    }

    /// Wants the items of a streamed reply from this position of their source on.
    pub fn resume_at(mut self, position: u64) -> Self {
        self.call.options = std::mem::take(&mut self.call.options).with_from(position);
        self
    }

    /// Says this beside the call, in the place of what was said.
    pub fn with_metadata(mut self, metadata: &Metadata) -> Self {
        self.call.options = std::mem::take(&mut self.call.options).with_metadata(metadata);
        self
    }

    /// Puts a value beside the call for whoever answers it; see
    /// [`Context::extensions`](crate::Context::extensions).
    pub fn with_extension<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.extensions.insert(value);
        self
    }

    /// Ends the call with the listener that it came in at: its handler is told by
    /// [`Context::draining`](crate::Context::draining), and the drain waits for what that spawns.
    pub fn with_draining(mut self, draining: &Draining) -> Self {
        self.tasks = Some(Arc::clone(draining.tasks()));
        self
    }

    /// Wants no reply. The answer is ready when the request has been taken, and tells what kept it
    /// from being taken.
    pub fn one_way(mut self) -> Self {
        self.is_one_way = true;
        self
    }

    /// The name of the command.
    #[must_use]
    pub fn command(&self) -> &str {
        self.call.name.as_str()
    }

    /// The format of its payload.
    #[must_use]
    pub fn format(&self) -> String {
        self.format_word().unwrap_or(FormatWord::DEFAULT).as_str().to_owned()
    }

    /// The payload.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        &self.call.payload
    }

    /// When the call is to end; `None` if its caller has not said.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Who calls.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        match (&self.peer, &self.caller) {
            (Some(peer), _) => peer,
            (None, Some(caller)) => caller.peer(),
            (None, None) => Peer::nobody(),
        }
    }

    /// The W3C traceparent that the caller sent, not looked into.
    #[must_use]
    pub fn trace(&self) -> Option<&str> {
        std::str::from_utf8(self.call.options.trace()?).ok()
    }

    /// Whether no reply is wanted.
    #[must_use]
    pub fn is_one_way(&self) -> bool {
        self.is_one_way
    }

    /// The values beside the call.
    #[must_use]
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// What the caller says beside the call.
    #[must_use]
    pub fn metadata(&self) -> Metadata {
        self.call.options.metadata()
    }

    /// Where the caller wants to go on; see [`resume_at`](Self::resume_at).
    #[must_use]
    pub fn resume_position(&self) -> Option<u64> {
        self.call.options.from()
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

    /// Says by whom it comes, and who calls if nobody has said so.
    pub(crate) fn set_caller(&mut self, caller: Arc<dyn Caller>) {
        self.caller = Some(caller);
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

pub(crate) fn bad_trace(_: Flaw) -> Error {
    Error::local(Code::BadPayload, "a trace is 1 to 128 printable ASCII bytes")
}
