//! One call, as its caller sees it: a future.
//!
//! ```text
//!   Unsent ──poll: room in the connection──► Sent ──reply, deadline or loss──► Done
//!     │ drop: nothing was sent                │ drop: `>TAG cancel` is sent
//! ```
//!
//! The session keeps the deadline of a call, whether it waits for room or for its reply. In which
//! runtime that comes to pass is told in `watch`.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use super::Handle;
use crate::conn::Sending;
use crate::error::{Code, Error, Result};
use crate::format::{Budget, Format, PAYLOAD_BYTES_USUAL};
use crate::limits::{Limits, too_large};
use crate::session::{Place, Session};
use crate::stream::{after, after_that};
use crate::wire::{FormatWord, Name, Options, Tag};
use bytes::{Bytes, BytesMut};

/// A call under way: a future of the reply.
///
/// Without [`timeout`](Self::timeout) or [`timeout_at`](Self::timeout_at) its deadline is
/// `call_time_max` of the client's limits from the first poll on, so it always ends.
///
/// Its deadline is kept by the tokio runtime in which it is polled, which must have time enabled.
/// So it ends in time also while nobody drives the runtime of the connection, or its only thread is
/// busy. A call that is polled outside of any runtime is ended by that of the connection, and waits
/// as long as that is held up.
///
/// # Errors
///
/// What the peer answered ([`Error::is_from_peer`]), or what went wrong on this side; whether the
/// request had left by then is [`Error::was_sent`].
///
/// # Cancel safety
///
/// Dropping the call cancels it, at the peer as well: its handler is stopped at its next await.
#[must_use = "a call is not sent until it is awaited"]
pub struct Call<Rep> {
    request: Request,
    state: State,
    decode: fn(Bytes, &Budget) -> Result<Rep>,
}

/// A call that wants no reply: a future that is ready when the connection has taken the request.
///
/// # Errors
///
/// What kept the request from being taken. That the peer has got it is not known.
///
/// # Cancel safety
///
/// Dropped before it is ready, the request is not sent.
#[must_use = "a call is not sent until it is awaited"]
pub struct Notification {
    request: Request,
}

enum State {
    Unsent,
    Sent(Tag),
    Done,
}

/// A call that is still to be sent.
struct Request {
    handle: Arc<Handle>,
    name: Name,
    // `None` asks for the command's own.
    format: Option<FormatWord>,
    // `None` when sent, or when its error has been given out.
    payload: Option<Result<BytesMut>>,
    // The caller's own.
    deadline: Option<Instant>,
    // When the call ends; from the first poll on.
    due: Option<Instant>,
    trace: Option<Box<str>>,
    // Only while there is no room.
    place: Option<Place>,
}

impl<Rep> Call<Rep> {
    pub(super) fn new(
        handle: Arc<Handle>,
        name: Name,
        payload: Result<BytesMut>,
        decode: fn(Bytes, &Budget) -> Result<Rep>,
    ) -> Self {
        Self { request: Request::new(handle, name, payload), state: State::Unsent, decode }
    }

    /// Asks for this format in place of the command's own; the payload is in it.
    #[cfg(feature = "gob")]
    pub(super) fn spoken_in(mut self, format: FormatWord) -> Self {
        self.request.format = Some(format);
        self
    }

    /// Ends the call with `deadline_exceeded` when `time` has passed from now. The peer is told
    /// how much of it is left, and stops as well.
    ///
    /// A long time here does not make the callee more patient: `call_time_max` of its own limits,
    /// 30 s by default, still holds.
    pub fn timeout(self, time: Duration) -> Self {
        self.timeout_at(after(time).into_std())
    }

    /// Ends the call with `deadline_exceeded` at `deadline`. The peer is told how much time is
    /// left, and stops as well.
    pub fn timeout_at(mut self, deadline: Instant) -> Self {
        self.request.deadline = Some(deadline);
        self
    }

    /// Sends this W3C traceparent along; the handler reads it by
    /// [`Context::trace`](crate::Context::trace). If it is empty, longer than 128 bytes or has
    /// other than printable ASCII in it, the call fails with `bad_payload` and is not sent.
    pub fn trace(mut self, traceparent: &str) -> Self {
        self.request.trace = Some(traceparent.into());
        self
    }

    fn poll_call(&mut self, cx: &mut Context<'_>) -> Poll<Result<Rep>> {
        if let State::Unsent = self.state {
            let within = self.request.handle.within();
            let sent = ready!(self.request.poll_send(
                cx,
                true,
                |session, waker, name, options, payload, due| {
                    let tag = session.call(within, name, options, payload, due)?;
                    // Not answered yet: the lock is held. Only the waker is left there.
                    let _ = session.poll_reply(tag, waker);
                    Ok(tag)
                }
            ));
            return match sent {
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
        let shared = self.request.handle.shared();
        let reply = ready!(shared.poll_reply(tag, cx, self.request.due));
        self.state = State::Done;
        let payload = reply.map_err(|error| self.request.explain(error))?;
        let budget = Budget::new(shared.limits(), payload.len());
        let reply = (self.decode)(payload, &budget);
        Poll::Ready(reply.map_err(Error::of_reply))
    }
}

impl<Rep> Future for Call<Rep> {
    type Output = Result<Rep>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let result = ready!(this.poll_call(cx));
        this.state = State::Done;
        Poll::Ready(result.map_err(|error| error.in_command(this.request.name.as_str())))
    }
}

impl<Rep> Drop for Call<Rep> {
    fn drop(&mut self) {
        if let State::Sent(tag) = self.state {
            self.request.handle.shared().cancel(tag);
        }
    }
}

impl Notification {
    pub(super) fn new(handle: Arc<Handle>, name: Name, payload: Result<BytesMut>) -> Self {
        Self { request: Request::new(handle, name, payload) }
    }
}

impl Future for Notification {
    type Output = Result<()>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let request = &mut self.get_mut().request;
        let within = request.handle.within();
        let sent = ready!(request.poll_send(cx, false, |session, _, name, options, payload, _| {
            session.notify(within, name, options, payload)
        }));
        Poll::Ready(sent.map_err(|error| error.in_command(request.name.as_str())))
    }
}

impl Request {
    fn new(handle: Arc<Handle>, name: Name, payload: Result<BytesMut>) -> Self {
        let (payload, format) = (Some(payload), None);
        let (deadline, due, trace, place) = (None, None, None, None);
        Self { handle, name, format, payload, deadline, due, trace, place }
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
            BytesMut,
            Instant,
        ) -> Result<R>,
    ) -> Poll<Result<R>> {
        let payload = match self.payload.take() {
            Some(Ok(payload)) => payload,
            Some(Err(error)) => return Poll::Ready(Err(error)),
            None => return Poll::Ready(Err(polled_too_late())),
        };
        let (options, deadline) = match self.options() {
            Ok(options) => options,
            Err(error) => {
                self.leave_room();
                return Poll::Ready(Err(error));
            }
        };
        let (name, bytes) = (self.name, payload.len());
        let mut payload = Some(payload);
        let (shared, within) = (self.handle.shared(), self.handle.within());
        let place = &mut self.place;
        let sending = Sending { within, place, bytes, deadline, wants_reply };
        let sent = shared.poll_send(cx, sending, |session, waker| {
            send(session, waker, name, options, payload.take().unwrap_or_default(), deadline)
        });
        if sent.is_pending() {
            self.payload = payload.map(Ok);
        }
        sent
    }

    /// What the peer is told beside the payload, and when the call ends.
    fn options(&mut self) -> Result<(Options, Instant)> {
        let now = tokio::time::Instant::now();
        let due = match self.due.or(self.deadline) {
            Some(due) => due,
            None => after_that(now, self.handle.shared().limits().call_time_max).into_std(),
        };
        self.due = Some(due);
        let now = now.into_std();
        if due <= now {
            return Err(self.unsent());
        }
        let left_ms = self.deadline.map(|deadline| {
            // Rounded up: a peer must not give up before its caller does.
            let left_ms = deadline.saturating_duration_since(now).as_nanos().div_ceil(1_000_000);
            u64::try_from(left_ms).unwrap_or(u64::MAX)
        });
        let mut options = Options::new(self.format, left_ms);
        if let Some(trace) = &self.trace {
            options = options.with_trace(trace).map_err(|_| {
                Error::local(Code::BadPayload, "a trace is 1 to 128 printable ASCII bytes")
            })?;
        }
        Ok((options, due))
    }

    /// The error of a call whose deadline passed before it was sent.
    fn unsent(&self) -> Error {
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
        if !is_late || self.deadline.is_some() {
            return error;
        }
        let time = self.handle.shared().limits().call_time_max;
        let text = format!("no reply came within call_time_max ({time:?})");
        Error::local(Code::DeadlineExceeded, text).after_sending()
    }

    /// Lets those behind come forward.
    fn leave_room(&mut self) {
        if let Some(place) = self.place.take() {
            self.handle.shared().leave_room(place);
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.leave_room();
    }
}

impl<Rep> fmt::Debug for Call<Rep> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("command", &self.request.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notification").field("command", &self.request.name).finish_non_exhaustive()
    }
}

/// The error of a future that has given out its result: the call may have been sent.
fn polled_too_late() -> Error {
    Error::local(Code::Failed, "a call was polled after its end").after_sending()
}

/// The payload for `value`, which is refused here rather than by the peer if it is too large.
pub(super) fn encode<F: Format<T>, T>(value: &T, limits: &Limits) -> Result<BytesMut> {
    let mut payload = BytesMut::with_capacity(PAYLOAD_BYTES_USUAL);
    F::encode(value, &mut payload).map_err(Error::by_library)?;
    checked(payload, limits)
}

/// The payload, unless it is too large.
pub(super) fn checked(payload: BytesMut, limits: &Limits) -> Result<BytesMut> {
    let (len, max) = (payload.len(), limits.payload_bytes_max);
    if len > max {
        return Err(Error::local(Code::TooLarge, too_large(len, max)));
    }
    Ok(payload)
}
