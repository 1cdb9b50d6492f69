//! A call over a connection, without its types.
//!
//! ```text
//!   Unsent ──poll: room in the connection──► Sent ──reply, deadline or loss──► Done
//!     │ drop: nothing was sent                │ drop: `>TAG cancel` is sent
//! ```
//!
//! The session keeps the deadline of a call, whether it waits for room or for its reply. In which
//! runtime that comes to pass is told in `watch`.

use std::borrow::Cow;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use super::handed_over::Sending;
use super::handle::Handle;
use super::items::SessionItems;
use crate::clock::{after, after_that};
use crate::command::Facts;
use crate::error::{Code, Error, Result};
use crate::limits::Limits;
use crate::service::{Request, trace_here};
use crate::session::{Place, Received, Session};
use crate::wire::{FormatWord, Metadata, Name, Options, Tag, Traceparent};

/// What a caller wants to send.
pub(crate) struct Unsent {
    pub(crate) name: Name,
    // `None` is that of a tagged call that names none.
    pub(crate) format: Option<FormatWord>,
    // `None` when sent, or when its error has been given out.
    pub(crate) payload: Option<Result<BytesMut>>,
    // The caller's own.
    pub(crate) deadline: Option<Instant>,
    // Boxed: most calls have nothing of it, and a call is moved now and then.
    pub(crate) beside: Option<Box<Beside>>,
    // What the command has in place of limits.
    pub(crate) facts: Option<Box<Facts>>,
    // Of a call that may be made again even if it has run.
    pub(crate) is_idempotent: bool,
}

/// What is said beside a call.
#[derive(Clone, Default)]
pub(crate) struct Beside {
    pub(crate) trace: Option<Traceparent>,
    pub(crate) metadata: Metadata,
    // Where a streamed call is to go on.
    pub(crate) resume_at: Option<u64>,
}

/// A call on its way, and its reply on the way back.
pub(crate) struct Outgoing {
    handle: Arc<Handle>,
    unsent: Unsent,
    // When the call ends; from the first poll on.
    due: Option<Instant>,
    // Only while there is no room.
    place: Option<Place>,
    state: State,
    // The payload stays with the call when it is sent.
    keeps_payload: bool,
}

enum State {
    Unsent,
    Sent(Tag),
    Done,
}

impl Unsent {
    #[inline]
    pub(crate) fn new(
        name: Name,
        format: FormatWord,
        facts: Facts,
        payload: Result<BytesMut>,
    ) -> Self {
        // What every tagged call is in that says nothing is not said.
        let format = Some(format).filter(|format| !format.is_default());
        let is_idempotent = facts.is_idempotent();
        let (payload, facts) = (Some(payload), facts.of_call());
        // A handler's call goes on in the trace of the handler's own.
        let trace = trace_here();
        let beside =
            trace.map(|trace| Box::new(Beside { trace: Some(trace), ..Beside::default() }));
        Self { name, format, payload, deadline: None, beside, facts, is_idempotent }
    }

    /// The time that the command gives a call whose caller sets none. A one-way call is given none:
    /// it would count while the call waits at the peer for others.
    pub(crate) fn timeout(&self, wants_reply: bool) -> Option<Duration> {
        self.facts.as_ref()?.timeout().filter(|_| wants_reply)
    }

    /// Whether its request or its reply comes in items.
    pub(crate) fn is_streamed(&self) -> bool {
        self.facts.as_deref().is_some_and(Facts::is_streamed)
    }

    /// Whether nothing but its caller ends it.
    pub(crate) fn is_endless(&self) -> bool {
        self.is_streamed() && self.deadline.is_none() && self.timeout(true).is_none()
    }

    /// When it ends if it begins now, within these limits; `None` if nothing but its caller ends
    /// it.
    pub(crate) fn due(&self, wants_reply: bool, limits: &Limits) -> Option<Instant> {
        if self.is_endless() {
            return None;
        }
        let time = || self.timeout(wants_reply).unwrap_or(limits.call_time_max);
        Some(self.deadline.unwrap_or_else(|| after(time()).into_std()))
    }

    /// How many bytes its payload has.
    ///
    /// # Errors
    ///
    /// Why there is no payload; told once.
    pub(crate) fn payload_bytes(&mut self) -> Result<usize> {
        if let Some(Ok(payload)) = &self.payload {
            return Ok(payload.len());
        }
        Err(self.payload.take().and_then(Result::err).unwrap_or_else(polled_too_late))
    }

    /// The same once more; the payload is not in here any more.
    pub(crate) fn take(&mut self) -> Self {
        Self {
            name: self.name,
            format: self.format,
            payload: self.payload.take(),
            deadline: self.deadline,
            beside: self.beside.clone(),
            facts: self.facts.clone(),
            is_idempotent: self.is_idempotent,
        }
    }

    /// The error of a call that has not ended in time.
    pub(crate) fn late(&self, limits: &Limits) -> Error {
        let facts = self.facts.as_deref().copied().unwrap_or_default();
        let text = match self.deadline {
            Some(_) => "no reply came in time".into(),
            None => {
                let limit = facts.time_max(limits.call_time_max);
                Cow::Owned(format!("no reply came within {}", limit.name()))
            }
        };
        Error::local(Code::DeadlineExceeded, text).after_sending()
    }

    /// What is said beside the call.
    pub(crate) fn beside(&mut self) -> &mut Beside {
        self.beside.get_or_insert_default()
    }

    /// Says something more beside the call, or fails it before it is sent.
    pub(crate) fn add_metadata(&mut self, key: &str, value: &str) {
        let beside = self.beside();
        match std::mem::take(&mut beside.metadata).with(key, value) {
            Ok(metadata) => beside.metadata = metadata,
            // What was wrong first is told.
            Err(error) if matches!(self.payload, Some(Ok(_))) => self.payload = Some(Err(error)),
            Err(_) => {}
        }
    }

    pub(crate) fn of_request(mut request: Request) -> Self {
        let payload = request.take_payload();
        Self {
            name: request.name(),
            format: request.format_word(),
            payload: Some(Ok(payload.into())),
            deadline: request.deadline(),
            beside: Some(Box::new(Beside {
                trace: request.trace(),
                metadata: request.metadata(),
                resume_at: request.resume_position(),
            })),
            facts: request.take_facts(),
            is_idempotent: request.is_idempotent(),
        }
    }
}

impl Beside {
    fn add_to(&self, mut options: Options) -> Options {
        if let Some(position) = self.resume_at {
            options = options.with_from(position);
        }
        if let Some(trace) = &self.trace {
            options = options.with_trace(trace);
        }
        if self.metadata.is_empty() { options } else { options.with_metadata(&self.metadata) }
    }
}

impl Outgoing {
    #[inline]
    pub(crate) fn new(handle: Arc<Handle>, unsent: Unsent) -> Self {
        Self { handle, unsent, due: None, place: None, state: State::Unsent, keeps_payload: false }
    }

    /// A call that may have to be made again.
    #[inline]
    pub(crate) fn keeping(handle: Arc<Handle>, unsent: Unsent) -> Self {
        let mut call = Self::new(handle, unsent);
        call.keeps_payload = true;
        call
    }

    pub(crate) fn handle(&self) -> &Arc<Handle> {
        &self.handle
    }

    /// When it ends; known once it has been polled.
    pub(crate) const fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(crate) fn unsent(&self) -> &Unsent {
        &self.unsent
    }

    pub(crate) fn unsent_mut(&mut self) -> &mut Unsent {
        &mut self.unsent
    }

    /// Sends the call, then waits for its reply.
    pub(crate) fn poll_call(&mut self, cx: &mut Context<'_>) -> Poll<Result<Received>> {
        let result = ready!(self.poll_reply(cx));
        self.state = State::Done;
        Poll::Ready(result)
    }

    /// Sends the call, which wants no reply.
    pub(crate) fn poll_notify(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let within = self.handle.within();
        self.poll_send(cx, false, |session, _, name, options, payload, _| {
            session.notify(within, name, options, payload)
        })
    }

    /// Sends a streamed call; answers where its items are.
    pub(crate) fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Result<SessionItems>> {
        if let State::Unsent = self.state {
            let tag = ready!(self.poll_first(cx))?;
            self.state = State::Sent(tag);
        }
        Poll::Ready(match self.state {
            State::Sent(tag) => {
                let shared = self.handle.shared();
                let id = shared.with(|session| session.stream_of(tag));
                id.map(|id| SessionItems::new(shared, id)).ok_or_else(polled_too_late)
            }
            State::Unsent | State::Done => Err(polled_too_late()),
        })
    }

    fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<Result<Tag>> {
        let within = self.handle.within();
        let facts = self.unsent.facts.as_deref().copied();
        self.poll_send(cx, true, |session, waker, name, options, payload, due| {
            let tag = session.call(within, name, options, payload, due, waker)?;
            facts.into_iter().for_each(|facts| session.bound_reply(tag, facts));
            Ok(tag)
        })
    }

    fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<Result<Received>> {
        if let State::Unsent = self.state {
            return match ready!(self.poll_first(cx)) {
                Ok(tag) => {
                    self.state = State::Sent(tag);
                    Poll::Pending
                }
                Err(error) => Poll::Ready(Err(error)),
            };
        }
        let State::Sent(tag) = self.state else {
            return Poll::Ready(Err(polled_too_late()));
        };
        let reply = ready!(self.handle.shared().poll_reply(tag, cx, self.due));
        self.state = State::Done;
        Poll::Ready(reply.map_err(|error| self.explain(error)))
    }

    /// Waits for room, then hands the request to the session by `send`.
    fn poll_send<R>(
        &mut self,
        cx: &mut Context<'_>,
        wants_reply: bool,
        send: impl FnOnce(
            &mut Session,
            &mut Option<Waker>,
            Name,
            Options,
            Body<'_>,
            Instant,
        ) -> Result<R>,
    ) -> Poll<Result<R>> {
        let payload = match self.unsent.payload.take() {
            Some(Ok(payload)) => payload,
            Some(Err(error)) => return Poll::Ready(Err(error)),
            None => return Poll::Ready(Err(polled_too_late())),
        };
        let (options, deadline) = match self.options(wants_reply) {
            Ok(options) => options,
            Err(error) => {
                self.leave_room();
                return Poll::Ready(Err(error));
            }
        };
        let (name, bytes) = (self.unsent.name, payload.len());
        let (mut payload, keeps) = (Some(payload), self.keeps_payload);
        let (shared, within) = (self.handle.shared(), self.handle.within());
        let place = &mut self.place;
        let sending = Sending { within, place, bytes, deadline, wants_reply };
        let sent = shared.poll_send(cx, sending, |session, waker| {
            let body = match &payload {
                Some(kept) if keeps => Body::Kept(kept),
                _ => Body::Given(payload.take().unwrap_or_default()),
            };
            send(session, waker, name, options, body, deadline)
        });
        if keeps || sent.is_pending() {
            self.unsent.payload = payload.map(Ok);
        }
        sent
    }

    /// What the peer is told beside the payload, and when the call ends.
    fn options(&mut self, wants_reply: bool) -> Result<(Options, Instant)> {
        let now = tokio::time::Instant::now();
        let timeout = self.unsent.timeout(wants_reply);
        let due = match self.due.or(self.unsent.deadline) {
            Some(due) => due,
            // It lasts as long as its caller says.
            None if self.unsent.is_streamed() && timeout.is_none() => {
                after_that(now, Duration::MAX).into_std()
            }
            None => {
                let time_max = self.handle.shared().limits().call_time_max;
                after_that(now, timeout.unwrap_or(time_max)).into_std()
            }
        };
        self.due = Some(due);
        let now = now.into_std();
        if due <= now {
            return Err(self.too_late());
        }
        let told = self.unsent.deadline.or_else(|| timeout.map(|_| due));
        let left_ms = told.map(|deadline| {
            // Rounded up: a peer must not give up before its caller does.
            let left_ms = deadline.saturating_duration_since(now).as_nanos().div_ceil(1_000_000);
            u64::try_from(left_ms).unwrap_or(u64::MAX)
        });
        let mut options = Options::new(self.unsent.format, left_ms);
        if let Some(facts) = self.unsent.facts.as_ref().filter(|_| self.unsent.is_streamed()) {
            let credit = facts.has_reply_items().then(|| facts.window());
            options = options.streamed(facts.has_request_items(), credit);
        }
        if let Some(beside) = &self.unsent.beside {
            options = beside.add_to(options);
        }
        Ok((options, due))
    }

    /// The error of a call whose deadline passed before it was sent.
    fn too_late(&self) -> Error {
        let text = match self.place {
            Some(_) => "the deadline passed before there was room to send",
            None => "the deadline had passed before the call was sent",
        };
        Error::local(Code::DeadlineExceeded, text)
    }

    /// Names the limit if it was that, and no deadline of the caller's, that ended the call. (An
    /// error with a source tells why the connection ended.)
    fn explain(&self, error: Error) -> Error {
        let is_ours = !error.is_from_peer() && std::error::Error::source(&error).is_none();
        let is_late = error.code() == Code::DeadlineExceeded && is_ours;
        // No limit of ours ends a streamed call; credit that does not come does, and says so.
        if !is_late || self.unsent.deadline.is_some() || self.unsent.is_streamed() {
            return error;
        }
        self.unsent.late(self.handle.shared().limits())
    }

    /// Lets those behind come forward.
    fn leave_room(&mut self) {
        if let Some(place) = self.place.take() {
            self.handle.shared().leave_room(place);
        }
    }
}

/// The payload, as the session is given it.
enum Body<'a> {
    Given(BytesMut),
    /// Copied, as a small one is in any case.
    Kept(&'a [u8]),
}

impl AsRef<[u8]> for Body<'_> {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Given(payload) => payload,
            Self::Kept(payload) => payload,
        }
    }
}

impl From<Body<'_>> for Bytes {
    fn from(body: Body<'_>) -> Self {
        match body {
            Body::Given(payload) => payload.freeze(),
            Body::Kept(payload) => Self::copy_from_slice(payload),
        }
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.leave_room();
        if let State::Sent(tag) = self.state {
            self.handle.shared().give_up(|session| session.cancel(tag));
        }
    }
}

/// The error of a future that has given out its result: the call may have been sent.
pub(crate) fn polled_too_late() -> Error {
    Error::local(Code::Failed, "a call was polled after its end").after_sending()
}
