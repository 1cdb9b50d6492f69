//! A call that finds its connection when it is made, and is made again if that does no harm.
//!
//! ```text
//!              there is a connection                      a reply, or an error that stands
//!   Unsent ───────────────────────────► UnderWay ────────────────────────────────────────► Over
//!     │                                  ▲    │
//!     │ there is none   there is one now │    │ an error that passes, and the call may be repeated
//!     └───────────────► Waiting ─────────┘◄───┘ (by a pause, and then Waiting)
//!                          │ its time is over, or too many wait
//!                          └───────────────────────────────────────────────────────────────► Over
//! ```
//!
//! A call is made again if all of this holds:
//!
//! 1. The error passes: the connection was lost, the peer has too much to do or stops, or it said
//!    when to come again.
//! 2. It does no harm: the call surely did not run, or its command is idempotent.
//! 3. Its time lasts beyond the pause before it.
//! 4. The peer saw nothing of it, or there is a repeat left: [`Supply::affords_repeat`].
//!
//! A streamed call is repeated only before its items begin. Behind that it goes on at a position,
//! which its caller knows: [`Repeating::goes_on`].

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tokio::time::Sleep;

use crate::clock::{now, poll_due};
use crate::conn::{Handle, Outgoing, SessionItems, Unsent, polled_too_late};
use crate::error::{Code, Error, Result};
use crate::limits::Limits;
use crate::service::{Answer, Channel, Reply, Request};
use crate::session::Received;

/// Where calls find their connections: a channel that has one now and then, or has several.
pub(crate) trait Supply: Channel {
    /// The connection for a call that begins now, if there is one.
    fn current(&self) -> Option<Supplied>;

    /// Waits for a connection, at first for as long as this pause.
    ///
    /// # Errors
    ///
    /// Too many calls, or calls of too many bytes, wait; or the channel is closed.
    fn wait(&self, bytes: usize, pause: Duration) -> WaitForOne;

    /// Why there is no connection, if there is none.
    fn why_none(&self) -> Option<Error>;

    /// The peer has answered over this connection.
    fn answered(&self, id: u64);

    /// A one-way call has been handed to this connection.
    fn handed_over(&self, id: u64);

    /// Whether a call that a peer has seen may be made again, which is counted.
    fn affords_repeat(&self) -> bool;

    /// How long to wait before this repeat of a call, of which there were so many before.
    fn pause(&self, repeats: u32) -> Duration;
}

/// Waits for a connection; shared like the call that waits.
pub(crate) type WaitForOne = Pin<Box<dyn Future<Output = Result<Supplied>> + Send + Sync>>;

/// A connection for a call, and which one it is.
pub(crate) struct Supplied {
    pub(crate) handle: Arc<Handle>,
    pub(crate) id: u64,
}

/// A call without its types, and all that it takes to make it again.
pub(crate) struct Repeating {
    supply: Arc<dyn Supply>,
    // Its payload is the one below, from the first poll on.
    unsent: Unsent,
    payload: Bytes,
    step: Step,
    // When it ends; known when it waits. That of a streamed call may be never.
    due: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
    repeats: u32,
    wants_reply: bool,
    may_have_run: bool,
}

#[expect(clippy::large_enum_variant, reason = "nearly all are under way, and boxed with the call")]
enum Step {
    Unsent,
    Waiting(WaitForOne),
    UnderWay(Outgoing, u64),
    Over,
}

/// The answer to a request: by this supply, as often as it takes.
pub(crate) fn answer(supply: &Arc<dyn Supply>, request: Request) -> Answer {
    let is_one_way = request.is_one_way();
    let mut call = Repeating::new(supply, Unsent::of_request(request));
    Answer::new(poll_fn(move |cx| {
        if is_one_way {
            call.poll_notify(cx).map_ok(|()| Reply::default())
        } else {
            call.poll_call(cx).map_ok(Reply::received)
        }
    }))
}

impl Repeating {
    pub(super) fn new(supply: &Arc<dyn Supply>, unsent: Unsent) -> Box<Self> {
        Box::new(Self {
            supply: Arc::clone(supply),
            unsent,
            payload: Bytes::new(),
            step: Step::Unsent,
            due: None,
            timer: None,
            repeats: 0,
            wants_reply: true,
            may_have_run: false,
        })
    }

    pub(super) fn poll_call(&mut self, cx: &mut Context<'_>) -> Poll<Result<Received>> {
        loop {
            let result = ready!(ready!(self.poll_under_way(cx, true))?.poll_call(cx));
            let error = match result {
                Ok(received) => {
                    self.answered();
                    return Poll::Ready(Ok(received));
                }
                // Whoever takes its items knows whether it goes on.
                Err(error) if self.unsent.is_streamed() => return Poll::Ready(Err(error)),
                Err(error) => error,
            };
            let is_harmless = error.is_safe_to_retry() || self.unsent.is_idempotent;
            self.again(error, is_harmless)?;
        }
    }

    /// Sends a streamed call; answers where its items are.
    pub(super) fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Result<SessionItems>> {
        loop {
            match ready!(ready!(self.poll_under_way(cx, true))?.poll_open(cx)) {
                Ok(items) => return Poll::Ready(Ok(items)),
                Err(error) => {
                    let is_harmless = error.is_safe_to_retry();
                    self.again(error, is_harmless)?;
                }
            }
        }
    }

    /// Sends the call, which wants no reply.
    pub(super) fn poll_notify(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        loop {
            let result = ready!(ready!(self.poll_under_way(cx, false))?.poll_notify(cx));
            let Err(error) = result else {
                if let Step::UnderWay(_, id) = self.step {
                    self.supply.handed_over(id);
                }
                self.step = Step::Over;
                return Poll::Ready(Ok(()));
            };
            let is_harmless = error.is_safe_to_retry();
            self.again(error, is_harmless)?;
        }
    }

    /// Whether a streamed call that has ended with this error is made again: as it was if nothing
    /// had come, and else at a position, if it has one.
    pub(super) fn goes_on(&mut self, error: &Error, has_begun: bool, at: Option<u64>) -> bool {
        let facts = self.unsent.facts.as_deref().copied().unwrap_or_default();
        if facts.has_request_items() || has_begun && !(facts.is_resumable() && at.is_some()) {
            return false;
        }
        let before = self.unsent.beside.as_ref().and_then(|beside| beside.resume_at);
        if has_begun && before != at {
            self.unsent.beside().resume_at = at;
            // It came further, so the errors before this one are over.
            self.repeats = 0;
        }
        let is_harmless =
            error.is_safe_to_retry() || self.unsent.is_idempotent || facts.is_resumable();
        self.again(error.again(), is_harmless).is_ok()
    }

    pub(super) fn limits(&self) -> &Limits {
        self.supply.limits()
    }

    pub(super) fn unsent(&self) -> &Unsent {
        &self.unsent
    }

    pub(super) fn unsent_mut(&mut self) -> &mut Unsent {
        &mut self.unsent
    }

    /// The call over the connection that was found for it.
    fn poll_under_way(
        &mut self,
        cx: &mut Context<'_>,
        wants_reply: bool,
    ) -> Poll<Result<&mut Outgoing>> {
        if let Step::Unsent = self.step {
            self.begin(wants_reply)?;
        }
        if let Step::Waiting(waiting) = &mut self.step {
            let found = match (waiting.as_mut().poll(cx), self.due) {
                (Poll::Ready(found), _) => found,
                (Poll::Pending, None) => return Poll::Pending,
                (Poll::Pending, Some(due)) => {
                    ready!(poll_due(&mut self.timer, due, cx));
                    Err(self.too_late())
                }
            };
            self.timer = None;
            self.step = Step::Over;
            let found = found.map_err(|error| self.told(error))?;
            self.make(found);
        }
        Poll::Ready(match &mut self.step {
            Step::UnderWay(call, _) => Ok(call),
            Step::Unsent | Step::Waiting(_) | Step::Over => Err(polled_too_late()),
        })
    }

    fn begin(&mut self, wants_reply: bool) -> Result<()> {
        (self.step, self.wants_reply) = (Step::Over, wants_reply);
        self.payload = self.unsent.payload.take().ok_or_else(polled_too_late)??.freeze();
        match self.supply.current() {
            Some(supplied) => self.make(supplied),
            None => {
                self.due = self.unsent.due(wants_reply, self.supply.limits());
                self.wait(Duration::ZERO);
            }
        }
        Ok(())
    }

    /// Makes the call, over this connection.
    fn make(&mut self, Supplied { handle, id }: Supplied) {
        let unsent = Unsent {
            payload: Some(Ok(BytesMut::from(&*self.payload))),
            deadline: self.unsent.deadline.or_else(|| self.due.filter(|_| self.wants_reply)),
            ..self.unsent.again()
        };
        self.step = Step::UnderWay(Outgoing::new(handle, unsent), id);
    }

    /// Makes the call again, later.
    ///
    /// # Errors
    ///
    /// This one, if the call is not made again.
    fn again(&mut self, error: Error, is_harmless: bool) -> Result<()> {
        let Step::UnderWay(call, _) = &self.step else {
            return Err(error);
        };
        let passes = passes(&error, call.handle());
        if !self.unsent.is_endless() {
            self.due = self.due.or_else(|| call.due());
        }
        let is_turned_away = matches!(error.code(), Code::Overloaded | Code::ShuttingDown);
        if error.is_from_peer() && !is_turned_away {
            self.answered();
        }
        self.step = Step::Over;
        if !is_harmless || !passes {
            return Err(self.told(error));
        }
        let pause = match error.retry_after() {
            Some(time) => time,
            // There is a pause before the connection is made anew.
            None if error.code() == Code::Disconnected && self.repeats == 0 => Duration::ZERO,
            None => self.supply.pause(self.repeats),
        };
        let is_in_vain = |due: Instant| due.saturating_duration_since(now()) <= pause;
        let is_seen = error.was_sent();
        if self.due.is_some_and(is_in_vain) || is_seen && !self.supply.affords_repeat() {
            return Err(self.told(error));
        }
        self.may_have_run |= !error.is_safe_to_retry();
        self.repeats = self.repeats.saturating_add(1);
        tracing::debug!(command = %self.unsent.name, %error, ?pause, "makes a call again");
        self.wait(pause);
        Ok(())
    }

    fn wait(&mut self, pause: Duration) {
        self.step = Step::Waiting(self.supply.wait(self.payload.len(), pause));
    }

    fn answered(&self) {
        if let Step::UnderWay(_, id) = self.step {
            self.supply.answered(id);
        }
    }

    /// The error of a call that found no connection in time.
    fn too_late(&self) -> Error {
        let error = Error::local(Code::DeadlineExceeded, "there was no connection in time");
        match self.supply.why_none() {
            Some(why) => error.with_source(why),
            None => error,
        }
    }

    /// An error as its caller is told it: that of the last attempt does not know of those before.
    fn told(&self, error: Error) -> Error {
        if self.may_have_run { error.after_running().after_sending() } else { error }
    }
}

/// Whether the same call may go well soon. A callee that took too long would do so again, but a
/// connection is also lost when its peer takes too long to show any life.
fn passes(error: &Error, connection: &Handle) -> bool {
    match error.code() {
        Code::Disconnected => true,
        Code::DeadlineExceeded if !error.is_from_peer() => connection.is_closed(),
        Code::Overloaded | Code::ShuttingDown => error.is_from_peer() || !error.was_sent(),
        _ => error.retry_after().is_some(),
    }
}
