//! The life of the calls of one connection; pure.
//!
//! A [`Session`] is told what arrived and what time it is, and answers what to do. It has no
//! socket, no clock, no task and no lock, so every interleaving of two peers can be played in a
//! test by joining two sessions with queues. The verbs are quinn-proto's: `handle_*` takes
//! something in, `poll_*` gives something out. Drain the outputs after each `handle_*`.
//!
//! It does not know what a handler is, nor how payloads are encoded. Bytes come in by
//! [`handle_input`](Session::handle_input), of a buffer that it is lent.
//!
//! The two directions of a connection are symmetric, so a session has two halves that mirror each
//! other: `Outbound` follows the calls that we made (our `NAME TAG LEN` and `>` lines out, `<`
//! lines in), `Inbound` the calls that the peer made (the same lines the other way round).
//!
//! ```text
//!        handle_input, handle_eof                      call, notify, cancel
//!   peer ────────────┐                                 ┌──────────── our callers
//!                    ▼                                 ▼
//!            ┌────────────┐  lines and bodies   ┌────────────┐
//!            │  Inbound   │ ───► Outbox ◄────── │  Outbound  │
//!            └────────────┘        │            └────────────┘
//!               │      ▲           ▼                  │
//!     poll_event│      │    take_transmit()           │ poll_reply
//!               ▼      │handle_reply                  ▼
//!             our handlers                        our callers
//! ```
//!
//! The whole connection has three phases:
//!
//! | phase    | entered by    | new calls in            | new calls out | left when          |
//! |----------|---------------|-------------------------|---------------|--------------------|
//! | open     | `new`         | run                     | sent          | close, end of file |
//! | draining | `close`       | refused `shutting_down` | refused       | no call runs       |
//! | finished | `is_finished` | not read                | refused       |                    |
//!
//! While it drains, calls may still be made inside of others (`calling_back`).

mod backlog;
mod calling_back;
mod cause;
mod close;
mod deadlines;
mod event;
mod in_flight;
mod inbound;
mod input;
mod one_way;
mod outbound;
mod room;
mod timeouts;
mod violation;

pub use self::event::{Call, CallId, Event, Plain, PlainEnd, Side, Tally};
pub use self::input::Holds;
pub use self::room::Place;
pub use self::violation::{Slowness, Violation};

use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use self::backlog::Backlog;
use self::cause::Cause;
use self::deadlines::earlier;
use self::event::BodyOf;
use self::inbound::Inbound;
use self::outbound::Outbound;
use self::room::Room;
use self::timeouts::Timeouts;
use crate::error::Error;
use crate::limits::Limits;
use crate::wire::{Decoder, Name, Options, Position, Tag};

/// The life of the calls of one connection.
#[derive(Debug)]
pub struct Session {
    outbound: Outbound,
    inbound: Inbound,
    timeouts: Timeouts,
    backlog: Backlog,
    room: Room,
    drain_time_max: Duration,
    drain_until: Option<Instant>,
    is_draining: bool,
    // The peer was told why we close, and is still to be told that all its calls were answered.
    owes_farewell: bool,
    is_eof: bool,
    // Why nothing is read any more.
    cause: Option<Box<Cause>>,
    // A plain call has the stream.
    is_lent: bool,
    decoder: Decoder,
    body_of: Option<BodyOf>,
    // Bytes of the input that were there when it was looked at last, and whether some have come
    // that the clock has not been told of.
    input_bytes_seen: usize,
    has_read: bool,
    wakers: Vec<Waker>,
    spent_wakers: Vec<Waker>,
}

impl Session {
    /// The session of a connection that is open from `now` on.
    #[must_use]
    pub fn new(now: Instant, side: Side, limits: &Limits) -> Self {
        Self {
            outbound: Outbound::new(limits),
            inbound: Inbound::new(limits),
            timeouts: Timeouts::new(now, side, limits),
            backlog: Backlog::new(limits.unwritten_bytes_max),
            room: Room::default(),
            drain_time_max: limits.drain_time_max,
            drain_until: None,
            is_draining: false,
            owes_farewell: false,
            is_eof: false,
            cause: None,
            is_lent: false,
            decoder: Decoder::new(limits.line_bytes_max, limits.payload_bytes_max),
            body_of: None,
            input_bytes_seen: 0,
            has_read: false,
            wakers: Vec::new(),
            spent_wakers: Vec::new(),
        }
    }

    /// What became of the calls of the peer.
    #[must_use]
    pub const fn tally(&self) -> Tally {
        self.inbound.tally()
    }

    // What is due.

    /// Does what is due at `now`: ends calls whose deadline has passed, and the draining.
    ///
    /// # Errors
    ///
    /// The peer was too slow and must be cut off.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Violation> {
        let _ = self.handle_call_timeout(now);
        self.inbound.handle_timeout(now, &mut self.backlog.outbox);
        self.inbound.begin_waiting(|| now, &mut self.backlog.outbox);
        if self.drain_until.is_some_and(|until| until <= now) {
            self.drain_until = None;
            self.inbound.cancel_all(self.drain_time_max, &mut self.backlog.outbox);
            let outbox = &mut self.backlog.outbox;
            self.wakers.extend(self.outbound.cancel_all(self.drain_time_max, outbox));
            self.wakers.extend(self.room.wake_all());
        }
        if self.room.handle_timeout(now) {
            self.offer_room(|| now);
        }
        let is_idle = self.is_idle();
        self.timeouts
            .handle_timeout(now, is_idle)
            .map_err(|(slow, time)| Violation::Slow(slow, time))
    }

    /// When [`handle_timeout`](Self::handle_timeout) should be called next. It may turn out then
    /// that nothing is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let calls = earlier(self.poll_call_timeout(), self.inbound.earliest());
        let calls = earlier(calls, self.room.earliest());
        earlier(earlier(calls, self.drain_until), self.timeouts.earliest(self.is_idle()))
    }

    /// Ends calls of our own whose deadline has passed, and lets those know who wait for room;
    /// whether there were any. A part of [`handle_timeout`](Self::handle_timeout), for whoever
    /// keeps the time of callers alone.
    pub fn handle_call_timeout(&mut self, now: Instant) -> bool {
        let wakers = self.wakers.len();
        let unwritten = self.backlog.outbox.len();
        self.wakers.extend(self.outbound.handle_timeout(now, &mut self.backlog.outbox));
        self.room.handle_deadlines(now, &mut self.wakers);
        self.wakers.len() > wakers || self.backlog.outbox.len() > unwritten
    }

    /// When [`handle_call_timeout`](Self::handle_call_timeout) should be called next.
    #[must_use]
    pub fn poll_call_timeout(&self) -> Option<Instant> {
        earlier(self.outbound.earliest(), self.room.earliest_deadline())
    }

    // Calls that we make. A handler makes them within the call that it answers, for as long as that
    // has no reply.

    /// Whether calls can be made.
    #[must_use]
    pub fn is_open(&self, within: Option<CallId>) -> bool {
        self.check_open(within).is_ok()
    }

    /// Sends a call. Its reply comes from [`poll_reply`](Self::poll_reply), or the call is given up
    /// by [`cancel`](Self::cancel).
    ///
    /// # Errors
    ///
    /// `overloaded` if `calls_per_connection_max` are unanswered, or why the connection takes no
    /// more calls.
    pub fn call(
        &mut self,
        within: Option<CallId>,
        name: Name,
        options: Options,
        payload: BytesMut,
        deadline: Instant,
    ) -> Result<Tag, Error> {
        self.check_open(within)?;
        let before = self.backlog.outbox.len();
        let tag = self.outbound.call(name, options, payload, deadline, &mut self.backlog.outbox)?;
        self.backlog.note_asked(before);
        Ok(tag)
    }

    /// Sends a call that wants no reply.
    ///
    /// # Errors
    ///
    /// Why the connection takes no more calls.
    pub fn notify(
        &mut self,
        within: Option<CallId>,
        name: Name,
        options: Options,
        payload: BytesMut,
    ) -> Result<(), Error> {
        self.check_open(within)?;
        let before = self.backlog.outbox.len();
        self.outbound.notify(name, options, payload, &mut self.backlog.outbox);
        self.backlog.note_asked(before);
        Ok(())
    }

    /// The final reply to a call of ours, once. If it is still to come, `waker` is taken and woken
    /// then; a call without one wakes nobody.
    pub fn poll_reply(
        &mut self,
        tag: Tag,
        waker: &mut Option<Waker>,
    ) -> Poll<Result<Bytes, Error>> {
        let (reply, spent) = self.outbound.poll_reply(tag, waker);
        self.spent_wakers.extend(spent);
        reply
    }

    /// Whether the reply to this call, which is still to come, wakes `waker`.
    #[must_use]
    pub fn is_heard_by(&self, tag: Tag, waker: &Waker) -> bool {
        self.outbound.is_heard_by(tag, waker)
    }

    /// Gives up a call of ours. A reply that still comes is dropped.
    pub fn cancel(&mut self, tag: Tag) {
        self.spent_wakers.extend(self.outbound.cancel(tag, &mut self.backlog.outbox));
    }

    // Calls that the peer makes.

    /// What has to be done next.
    pub fn poll_event(&mut self) -> Option<Event> {
        if self.is_lent {
            return None;
        }
        let event = self.inbound.poll_event();
        self.is_lent = matches!(event, Some(Event::Plain(_)));
        if self.is_lent {
            self.timeouts.handle_input_paused();
        }
        event
    }

    /// Whether there is anything to be done.
    #[must_use]
    pub fn has_event(&self) -> bool {
        !self.is_lent && self.inbound.has_event()
    }

    /// A plain call has given the stream back.
    pub fn handle_plain_end(&mut self, now: Instant, end: PlainEnd) {
        self.is_lent = false;
        self.timeouts.handle_input(now, Position::Boundary, 0);
        // What the command left may be the beginning of a line, and its time runs.
        self.input_bytes_seen = 0;
        match end {
            PlainEnd::Done => {}
            PlainEnd::Failed(error) => self.tell(&error),
            PlainEnd::OutOfStep(error) => {
                self.tell(&error);
                self.stop_reading(Cause::OutOfStep);
            }
        }
    }

    /// The handler of a call has ended. The reply is written unless the caller has had one already.
    /// To be reported exactly once for each [`Event::Call`], unless it is refused.
    pub fn handle_reply(
        &mut self,
        now: impl Fn() -> Instant,
        id: CallId,
        reply: Result<BytesMut, Error>,
    ) {
        self.inbound.handle_reply(id, reply, &mut self.backlog.outbox);
        self.handle_place(now);
    }

    /// A call is not run, in place of [`handle_reply`](Self::handle_reply). Of these some are
    /// mistakes of the caller, which count towards `consecutive_errors_max`; an error of a handler
    /// is none.
    pub fn handle_refusal(&mut self, now: impl Fn() -> Instant, id: CallId, error: &Error) {
        self.inbound.handle_refusal(id, error, &mut self.backlog.outbox);
        self.handle_place(now);
    }

    /// Whether no handler is running.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.inbound.is_idle()
    }

    /// Whether this call of the peer is still waiting for its answer.
    #[must_use]
    pub fn is_wanted(&self, id: CallId) -> bool {
        self.inbound.is_wanted(id)
    }

    /// Tells the peer something about the whole connection, or about a call without a tag.
    pub fn tell(&mut self, error: &Error) {
        self.inbound.tell(error, &mut self.backlog.outbox);
    }

    /// Whether a plain call has the stream, so that nothing else may be written.
    #[must_use]
    pub const fn is_lent(&self) -> bool {
        self.is_lent
    }

    /// Whether wakers are to be taken out.
    #[must_use]
    pub const fn has_wakers(&self) -> bool {
        !self.wakers.is_empty() || !self.spent_wakers.is_empty()
    }

    /// Bytes that this session keeps: those waiting to be written, replies that their callers have
    /// not taken yet, and one-way calls that wait.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let waiting = self.inbound.one_way().held_bytes();
        self.unwritten_bytes()
            .saturating_add(self.outbound.unclaimed_bytes())
            .saturating_add(waiting)
    }

    /// Those to be woken after what was handled. They are collected rather than woken, so that it
    /// can be done when no lock is held.
    pub fn take_wakers(&mut self) -> Vec<Waker> {
        // Those who wait are often as many as the last time.
        let usual = self.wakers.len().min(WAKERS_USUAL_MAX);
        std::mem::replace(&mut self.wakers, Vec::with_capacity(usual))
    }

    /// Those that nobody waits for any more. Waking and dropping a waker runs its owner's code, and
    /// cloning one does; so none of that is done in here.
    pub fn take_spent_wakers(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.spent_wakers)
    }

    /// A handler has ended: somebody may come who waited for its place, or for the room that its
    /// reply did not take.
    fn handle_place(&mut self, now: impl Fn() -> Instant) {
        self.inbound.begin_waiting(&now, &mut self.backlog.outbox);
        self.offer_room(now);
    }

    fn is_idle(&self) -> bool {
        !self.is_lent && self.outbound.is_idle() && self.inbound.is_idle()
    }
}

/// Places in a table that an idle session may keep. A hash table is shrunk by itself: what its
/// `capacity` tells is less when calls have come and gone in it.
const TABLE_KEPT_MAX: usize = 14;

/// Wakers for which there is room before they are there.
const WAKERS_USUAL_MAX: usize = 64;
