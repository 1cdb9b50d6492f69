//! A call that finds its connection when it is made, and is made again if that does no harm.
//!
//! ```text
//!     there is a connection                    a reply, or an error that stands
//!   ─────────────────────────► UnderWay ──────────────────────────────────────────► over
//!                               ▲    │ an error that passes, and the call may be repeated
//!      there is one now         │    ▼
//!   ─────────────────────────► Away, at first for a pause ────────────────────────► over
//!     there is none                           its time is over, or too many wait
//! ```
//!
//! A call is made again if all of this holds:
//!
//! 1. The error passes: the connection was lost, the peer has too much to do or stops, or it said
//!    when to come again.
//! 2. It does no harm: the call surely did not run, or its command is idempotent.
//! 3. Its time lasts beyond the pause before it.
//! 4. The peer saw nothing of it, or it is a stream that has come further since, or there is a
//!    repeat left: [`Supply::affords_repeat`].
//!
//! A streamed call is repeated only before its items begin. Behind that it goes on at a position,
//! which its caller knows: [`Repeating::goes_on`].

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use crate::asking::{Unsent, polled_too_late};
use crate::clock::now;
use crate::conn::{Handle, Outgoing, SessionItems};
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
    /// Too many calls, or calls of too many bytes, wait; or there will be none: the channel is
    /// closed, or the peer that is wanted is gone for good.
    fn wait(&self, bytes: usize, pause: Duration, wanted: Wanted) -> WaitForOne;

    /// Over at this time, wherever it is polled.
    fn until(&self, due: Instant) -> Until;

    /// Why there is no connection, if there is none.
    fn why_none(&self) -> Option<Error>;

    /// The peer has answered over this connection, perhaps by an error.
    fn answered(&self, given: Given, is_error: bool);

    /// It has not, or has too much to do.
    fn failed(&self, _given: Given) {}

    /// How many other peers a call may be made to at once.
    fn others(&self, _given: Given) -> u32 {
        0
    }

    /// A one-way call has been handed to this connection.
    fn handed_over(&self, handle: &Handle, id: u64);

    /// So many repeats were afforded to a streamed call, and it came further.
    fn came_further(&self, repeats: u32);

    /// Whether a call that a peer has seen may be made again, which is counted.
    fn affords_repeat(&self) -> bool;

    /// How long to wait before this repeat of a call, of which there were so many before.
    fn pause(&self, repeats: u32) -> Duration;
}

/// Waits for a connection; shared like the call that waits.
pub(crate) type WaitForOne = Pin<Box<dyn Future<Output = Result<Supplied>> + Send + Sync>>;

/// A timer, shared like the call that it ends.
pub(crate) type Until = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

/// A connection for a call, and which one it is.
pub(crate) struct Supplied {
    pub(crate) handle: Arc<Handle>,
    pub(crate) given: Given,
}

/// What a supply keeps of the connection that it gave to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) id: u64,
    /// When, if it wants to know how long calls take.
    pub(crate) at: Option<Instant>,
}

/// Which connection a call waits for, where there are several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Any,
    /// One to another peer than this one, if there is one.
    Other(Given),
    /// One to the same peer.
    Same(Given),
}

/// A call without its types, and all that it takes to make it again.
///
/// One that goes well costs little more than over a connection of its own: what only others need is
/// boxed, and made when they need it.
pub(crate) struct Repeating {
    supply: Arc<dyn Supply>,
    step: Step,
    // Of a call that has waited, or was made again.
    story: Option<Box<Story>>,
    is_over: bool,
}

#[expect(clippy::large_enum_variant, reason = "nearly all are under way")]
enum Step {
    /// Over this connection, from before it is sent.
    UnderWay(Outgoing, Given),
    Away(Box<Away>),
}

/// A call that waits for a connection.
struct Away {
    unsent: Unsent,
    // `None` until it is polled.
    waiting: Option<WaitForOne>,
}

/// What befell a call.
#[derive(Default)]
struct Story {
    // When it ends; that of a streamed call may be never.
    due: Option<Instant>,
    timer: Option<Until>,
    repeats: u32,
    // Of these repeats.
    afforded: u32,
    may_have_run: bool,
    // Its items have come further since it was made last.
    is_further: bool,
    // It has begun where its positions are, and goes on nowhere else.
    stays: bool,
}

/// The answer to a request: by this supply, as often as it takes.
pub(crate) fn answer(supply: &Arc<dyn Supply>, request: Request) -> Answer {
    let is_one_way = request.is_one_way();
    let mut call = Repeating::new(supply, request.into_unsent());
    Answer::new(poll_fn(move |cx| {
        if is_one_way {
            call.poll_notify(cx).map_ok(|()| Reply::default())
        } else {
            call.poll_call(cx).map_ok(Reply::received)
        }
    }))
}

impl Repeating {
    #[inline]
    pub(super) fn new(supply: &Arc<dyn Supply>, unsent: Unsent) -> Self {
        let step = match supply.current() {
            Some(Supplied { handle, given }) => {
                Step::UnderWay(Outgoing::keeping(handle, unsent), given)
            }
            None => Step::Away(Box::new(Away { unsent, waiting: None })),
        };
        Self { supply: Arc::clone(supply), step, story: None, is_over: false }
    }

    pub(super) fn poll_call(&mut self, cx: &mut Context<'_>) -> Poll<Result<Received>> {
        loop {
            let result = ready!(ready!(self.poll_under_way(cx, true))?.poll_call(cx));
            let error = match result {
                Ok(received) => {
                    self.is_over = true;
                    self.answered();
                    return Poll::Ready(Ok(received));
                }
                // Whoever takes its items knows whether it goes on.
                Err(error) if self.unsent().is_streamed() => return Poll::Ready(Err(error)),
                Err(error) => error,
            };
            let is_harmless = error.is_safe_to_retry() || self.unsent().is_idempotent;
            self.again(error, is_harmless, true)?;
        }
    }

    /// Sends a streamed call; answers where its items are.
    pub(super) fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Result<SessionItems>> {
        loop {
            match ready!(ready!(self.poll_under_way(cx, true))?.poll_open(cx)) {
                Ok(items) => return Poll::Ready(Ok(items)),
                Err(error) => {
                    let is_harmless = error.is_safe_to_retry();
                    self.again(error, is_harmless, true)?;
                }
            }
        }
    }

    /// Sends the call, which wants no reply.
    pub(super) fn poll_notify(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        loop {
            let result = ready!(ready!(self.poll_under_way(cx, false))?.poll_notify(cx));
            let Err(error) = result else {
                self.is_over = true;
                if let Step::UnderWay(call, given) = &self.step {
                    self.supply.handed_over(call.handle(), given.id);
                }
                return Poll::Ready(Ok(()));
            };
            let is_harmless = error.is_safe_to_retry();
            self.again(error, is_harmless, false)?;
        }
    }

    /// Whether a streamed call that has ended with this error is made again: as it was if nothing
    /// had come, and else at a position, if it has one. If not, the error knows of all attempts.
    pub(super) fn goes_on(&mut self, error: &mut Error, has_begun: bool, at: Option<u64>) -> bool {
        match self.again_at(error.again(), has_begun, at) {
            Ok(()) => true,
            Err(told) => {
                *error = told;
                false
            }
        }
    }

    fn again_at(&mut self, error: Error, has_begun: bool, at: Option<u64>) -> Result<()> {
        let facts = self.unsent().facts.as_deref().copied().unwrap_or_default();
        if facts.has_request_items() || has_begun && !(facts.is_resumable() && at.is_some()) {
            return Err(match &self.story {
                Some(story) => story.told(error),
                None => error,
            });
        }
        let before = self.unsent().beside.as_ref().and_then(|beside| beside.resume_at);
        if has_begun && before != at {
            self.unsent_mut().beside().resume_at = at;
            // It came further, so the errors before this one are over.
            let story = self.story.get_or_insert_default();
            (story.repeats, story.is_further) = (0, true);
            story.stays = !facts.is_resumable_anywhere();
            self.supply.came_further(std::mem::take(&mut story.afforded));
        }
        let is_harmless =
            error.is_safe_to_retry() || self.unsent().is_idempotent || facts.is_resumable();
        self.again(error, is_harmless, true)
    }

    pub(super) fn limits(&self) -> &Limits {
        self.supply.limits()
    }

    pub(super) fn unsent(&self) -> &Unsent {
        match &self.step {
            Step::UnderWay(call, _) => call.unsent(),
            Step::Away(away) => &away.unsent,
        }
    }

    pub(super) fn unsent_mut(&mut self) -> &mut Unsent {
        match &mut self.step {
            Step::UnderWay(call, _) => call.unsent_mut(),
            Step::Away(away) => &mut away.unsent,
        }
    }

    /// The call over the connection that was found for it.
    #[inline]
    fn poll_under_way(
        &mut self,
        cx: &mut Context<'_>,
        wants_reply: bool,
    ) -> Poll<Result<&mut Outgoing>> {
        if self.is_over {
            return Poll::Ready(Err(polled_too_late()));
        }
        if let Step::Away(_) = self.step {
            let found = ready!(self.poll_away(cx, wants_reply));
            found.inspect_err(|_| self.is_over = true)?;
        }
        Poll::Ready(match &mut self.step {
            Step::UnderWay(call, _) => Ok(call),
            Step::Away(_) => Err(polled_too_late()),
        })
    }

    /// Waits for a connection, and makes the call over it.
    fn poll_away(&mut self, cx: &mut Context<'_>, wants_reply: bool) -> Poll<Result<()>> {
        let Self { supply, step: Step::Away(away), story, .. } = self else {
            return Poll::Ready(Ok(()));
        };
        let Away { unsent, waiting } = &mut **away;
        let story = story.get_or_insert_default();
        let bytes = unsent.payload_bytes()?;
        let waiting = waiting.get_or_insert_with(|| {
            story.due = unsent.due(now(), wants_reply, supply.limits());
            supply.wait(bytes, Duration::ZERO, Wanted::Any)
        });
        let found = match (waiting.as_mut().poll(cx), story.due) {
            (Poll::Ready(found), _) => found,
            (Poll::Pending, None) => return Poll::Pending,
            (Poll::Pending, Some(due)) => {
                let timer = story.timer.get_or_insert_with(|| supply.until(due));
                ready!(timer.as_mut().poll(cx));
                Err(too_late(&**supply))
            }
        };
        story.timer = None;
        let Supplied { handle, given } = found.map_err(|error| story.told(error))?;
        let mut unsent = unsent.take();
        if wants_reply && unsent.deadline.is_none() {
            unsent.deadline = story.due;
        }
        self.step = Step::UnderWay(Outgoing::keeping(handle, unsent), given);
        Poll::Ready(Ok(()))
    }

    /// Makes the call again, later.
    ///
    /// # Errors
    ///
    /// This one, if the call is not made again.
    #[cold]
    fn again(&mut self, error: Error, is_harmless: bool, wants_reply: bool) -> Result<()> {
        let Self { supply, step: Step::UnderWay(call, given), story, is_over } = self else {
            return Err(error);
        };
        let given = *given;
        match error.code() {
            // It says so once, and takes no more calls then.
            Code::ShuttingDown => {}
            Code::Overloaded if error.is_from_peer() => supply.failed(given),
            Code::DeadlineExceeded if error.was_sent() && !error.is_from_peer() => {
                supply.failed(given);
            }
            _ if error.is_from_peer() => supply.answered(given, true),
            _ => {}
        }
        *is_over = true;
        let story = story.get_or_insert_default();
        if !is_harmless || !passes(&error, call.handle()) {
            return Err(story.told(error));
        }
        if wants_reply && !call.unsent().is_endless() {
            story.due = story.due.or_else(|| call.due());
        }
        let pause = match error.retry_after() {
            // Each of the others is asked once before anybody is asked again.
            _ if !story.stays && story.repeats < supply.others(given) => Duration::ZERO,
            // Others were told the same, perhaps to come at once, and are not to come together.
            Some(time) => time.saturating_add(supply.pause(story.repeats)),
            // There is a pause before the connection is made anew.
            None if error.code() == Code::Disconnected && story.repeats == 0 => Duration::ZERO,
            None => supply.pause(story.repeats),
        };
        let is_in_vain = |due: Instant| due.saturating_duration_since(now()) <= pause;
        // A thousand streams over one connection are lost with it, and none of them is a sick one.
        let is_charged = error.was_sent() && !std::mem::take(&mut story.is_further);
        if story.due.is_some_and(is_in_vain) || is_charged && !supply.affords_repeat() {
            return Err(story.told(error));
        }
        story.may_have_run |= !error.is_safe_to_retry();
        story.repeats = story.repeats.saturating_add(1);
        story.afforded = story.afforded.saturating_add(u32::from(is_charged));
        let mut unsent = call.unsent_mut().take();
        tracing::debug!(command = %unsent.name, %error, ?pause, "makes a call again");
        let bytes = unsent.payload_bytes().unwrap_or_default();
        let wanted = if story.stays { Wanted::Same(given) } else { Wanted::Other(given) };
        let waiting = Some(supply.wait(bytes, pause, wanted));
        self.step = Step::Away(Box::new(Away { unsent, waiting }));
        *is_over = false;
        Ok(())
    }

    fn answered(&self) {
        if let Step::UnderWay(_, given) = self.step {
            self.supply.answered(given, false);
        }
    }
}

impl Story {
    /// An error as its caller is told it: that of the last attempt does not know of those before.
    fn told(&self, error: Error) -> Error {
        if self.may_have_run { error.after_running().after_sending() } else { error }
    }
}

/// The error of a call that found no connection in time.
fn too_late(supply: &dyn Supply) -> Error {
    let error = Error::local(Code::DeadlineExceeded, "there was no connection in time");
    match supply.why_none() {
        Some(why) => error.with_source(why),
        None => error,
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
