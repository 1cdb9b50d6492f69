//! How a session ends.
//!
//! | what happens              | calls of the peer | our own calls  | the peer is told          |
//! |---------------------------|-------------------|----------------|---------------------------|
//! | we close                  | finish            | finish         | `shutting_down`, farewell |
//! | we turn the peer away     | there are none    | there are none | why, farewell             |
//! | the peer ends its side    | finish            | fail           | nothing                   |
//! | the peer breaks the rules | are stopped       | fail           | why                       |
//! | the stream breaks         | are stopped       | fail           | nothing, it cannot be     |
//!
//! The farewell `<0 ok 0` says that every call that was taken is answered, so that a call without
//! an answer surely did not run. A peer that was killed while it drained does not say it.

use std::time::Instant;

use super::earliest::FOREVER;
use super::{Session, Slowness, Violation, answering};
use crate::error::{Code, Error};

impl Session {
    /// Takes no more calls, in either direction, and lets those under way finish until
    /// `drain_time_max` has passed.
    pub fn close(&mut self, now: Instant) {
        if self.is_draining {
            return;
        }
        self.is_draining = true;
        let until = now.checked_add(self.drain_time_max);
        self.drain_until = until.or_else(|| now.checked_add(FOREVER));
        self.tell(&answering::no_more_calls());
        self.owes_farewell = true;
        if self.answering.has_plain() {
            self.refuse_plain();
        }
        self.wakers.extend(self.room.wake_all());
    }

    /// Takes nothing from this peer, and tells it why.
    pub fn turn_away(&mut self, error: &Error) {
        self.tell(error);
        self.owes_farewell = true;
        self.handle_eof();
    }

    /// Whether nothing is left to do but to write what is waiting.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        let is_ending = (self.is_draining || self.is_eof) && !self.is_lent;
        is_ending && self.answering.is_answered() && self.asking.is_answered()
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
        self.is_eof = true;
        self.pace.handle_eof();
        self.wakers.extend(self.asking.handle_eof());
        self.wakers.extend(self.room.wake_all());
    }

    /// The peer broke the protocol: it is told so, and nothing more is taken from it.
    pub fn handle_violation(&mut self, violation: &Violation) {
        let text = violation.to_string();
        if violation.is_worth_telling() {
            self.tell(&Error::found(violation.code(), text.clone()));
        }
        self.give_up(|| Error::local(Code::Protocol, text.clone()).after_sending());
        // No call was under way: one that crosses this on the wire did not run.
        self.owes_farewell = matches!(violation, Violation::Slow(Slowness::Idle, _));
    }

    /// The connection is lost: nothing more comes or goes.
    pub fn handle_lost(&mut self) {
        let text = "the connection was lost before the reply came";
        self.give_up(|| Error::local(Code::Disconnected, text).after_sending());
        self.owes_farewell = false;
        self.outgoing.clear();
    }

    /// A plain call that will not run leaves its payload in the stream, where its end is unknown:
    /// nothing behind it can be read.
    pub(super) fn refuse_plain(&mut self) {
        self.answering.drop_plain();
        self.handle_eof();
    }

    fn give_up(&mut self, error: impl Fn() -> Error) {
        self.is_eof = true;
        self.is_draining = true;
        self.drain_until = None;
        self.pace.handle_eof();
        self.wakers.extend(self.asking.fail(error));
        self.wakers.extend(self.room.wake_all());
        self.answering.abandon();
    }
}
