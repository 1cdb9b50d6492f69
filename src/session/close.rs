//! How a session ends.
//!
//! | what happens              | calls of the peer | our own calls  | the peer is told          |
//! |---------------------------|-------------------|----------------|---------------------------|
//! | we close                  | finish            | finish         | `shutting_down`, farewell |
//! | we turn the peer away     | there are none    | there are none | why, farewell             |
//! | the peer ends its side    | finish            | fail           | nothing                   |
//! | the peer breaks the rules | are stopped       | fail           | why, unless it is unread  |
//! | the stream breaks         | are stopped       | fail           | nothing, it cannot be     |
//!
//! How our own calls fail is in `cause`.
//!
//! The farewell `<0 ok 0` says that every call that was taken is answered, so that a call without
//! an answer surely did not run. A peer that was killed while it drained does not say it.

use std::time::Instant;

use super::cause::Cause;
use super::deadlines::FOREVER;
use super::{Session, Slowness, Violation, inbound};
use crate::error::Error;

impl Session {
    /// Takes no more calls, in either direction, and lets those under way finish until
    /// `drain_time_max` has passed; what their handlers have to ask for that is taken.
    pub fn close(&mut self, now: Instant) {
        if self.is_draining {
            return;
        }
        self.is_draining = true;
        let until = now.checked_add(self.drain_time_max);
        self.drain_until = until.or_else(|| now.checked_add(FOREVER));
        self.tell(&inbound::no_more_calls());
        self.owes_farewell = true;
        if self.inbound.has_plain() {
            self.refuse_plain();
        }
        self.wakers.extend(self.room.wake_all());
    }

    /// Takes nothing from this peer, and tells it why.
    pub fn turn_away(&mut self, error: &Error) {
        self.tell(error);
        self.owes_farewell = true;
        self.stop_reading(Cause::Closed);
    }

    /// Whether nothing is left to do but to write what is waiting.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        let is_ending = (self.is_draining || self.is_eof) && !self.is_lent;
        is_ending && self.inbound.is_answered() && self.outbound.is_answered()
    }

    /// Whether nothing is left to do at all.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.is_finished() && self.unwritten_bytes() == 0 && !self.has_transmit()
    }

    /// Whether `drain_time_max` has passed since the session was closed.
    #[must_use]
    pub const fn is_drained(&self) -> bool {
        self.is_draining && self.drain_until.is_none()
    }

    /// The peer will send nothing more. Its calls are still answered; ours get no more replies.
    pub fn handle_eof(&mut self) {
        self.stop_reading(Cause::Ended);
    }

    /// The peer broke the protocol: it is told so if it would hear it, and nothing more is taken
    /// from it.
    pub fn handle_violation(&mut self, violation: &Violation) {
        if violation.is_worth_telling() {
            self.tell(&Error::found(violation.code(), violation.to_string()));
        } else {
            self.backlog.clear();
        }
        self.give_up(Cause::Violated(*violation));
        // No call was under way: one that crosses this on the wire did not run.
        self.owes_farewell = matches!(violation, Violation::Slow(Slowness::Idle, _));
    }

    /// Nothing more goes, for the stream has failed like this; what has come may still be taken in,
    /// until [`handle_eof`](Self::handle_eof): replies, and what the peer said of its end.
    pub fn handle_unwritable(&mut self, error: Error) {
        self.cause.get_or_insert_with(|| Box::new(Cause::Lost(error)));
        self.is_draining = true;
        self.drain_until = None;
        self.owes_farewell = false;
        self.inbound.abandon();
        self.backlog.clear();
        self.wakers.extend(self.room.wake_all());
    }

    /// The stream has failed like this: nothing more comes or goes.
    pub fn handle_lost(&mut self, error: Error) {
        self.give_up_all(Cause::Lost(error));
    }

    /// Nobody moves the session on any more, for this reason if it is not over.
    pub fn handle_abandoned(&mut self, why: &'static str) {
        let is_over = self.is_over();
        self.give_up_all(if is_over { Cause::Closed } else { Cause::Abandoned(why) });
    }

    /// A plain call that will not run leaves its payload in the stream, where its end is unknown:
    /// nothing behind it can be read.
    pub(super) fn refuse_plain(&mut self) {
        self.inbound.drop_plain();
        self.stop_reading(Cause::OutOfStep);
    }

    /// Takes no more from the peer: no reply to our calls either.
    pub(super) fn stop_reading(&mut self, cause: Cause) {
        self.is_eof = true;
        self.timeouts.handle_eof();
        let cause = self.cause.get_or_insert_with(|| Box::new(cause));
        self.wakers.extend(self.outbound.end(cause));
        self.wakers.extend(self.room.wake_all());
    }

    fn give_up(&mut self, cause: Cause) {
        self.is_draining = true;
        self.drain_until = None;
        self.stop_reading(cause);
        self.inbound.abandon();
    }

    fn give_up_all(&mut self, cause: Cause) {
        self.give_up(cause);
        self.owes_farewell = false;
        self.backlog.clear();
    }
}
