//! How a session ends: how far it is on the way, and why.
//!
//! | what happens              | calls of the peer | our own calls  | the peer is told          |
//! |---------------------------|-------------------|----------------|---------------------------|
//! | we close                  | finish            | finish         | `shutting_down`, farewell |
//! | we turn the peer away     | there are none    | there are none | why, farewell             |
//! | the peer ends its side    | finish            | fail           | nothing                   |
//! | the peer breaks the rules | are stopped       | fail           | why, unless it is unread  |
//! | the stream breaks         | are stopped       | fail           | nothing, it cannot be     |
//!
//! A peer that knows no notices is told nothing in any of these cases.
//!
//! This is the state of it. Each row is a method of the session, and those whom it concerns are
//! told by `calls`. How our own calls fail is in `cause`.
//!
//! Two things end apart from each other: taking calls (`is_draining`) and reading (`is_eof`). Who
//! is cut off loses both, and the time to drain in. The farewell `<0 ok 0` says that every call
//! that was taken is answered, so that a call without an answer surely did not run. A peer that was
//! killed while it drained does not say it.

use std::time::{Duration, Instant};

use super::cause::Cause;
use super::deadlines::FOREVER;

#[derive(Debug)]
pub(super) struct Closing {
    drain_time_max: Duration,
    drain_until: Option<Instant>,
    is_draining: bool,
    // The peer was told why we close, and is still to be told that all its calls were answered.
    owes_farewell: bool,
    is_eof: bool,
    // The peer knows no notices, and is told nothing.
    is_silent: bool,
    // Why nothing is read any more.
    cause: Option<Box<Cause>>,
}

impl Closing {
    pub(super) const fn new(drain_time_max: Duration) -> Self {
        Self {
            drain_time_max,
            drain_until: None,
            is_draining: false,
            owes_farewell: false,
            is_eof: false,
            is_silent: false,
            cause: None,
        }
    }

    /// Takes no more calls, and lets those under way finish; not if that is so already.
    pub(super) fn drain(&mut self, now: Instant) -> bool {
        if self.is_draining {
            return false;
        }
        self.is_draining = true;
        let until = now.checked_add(self.drain_time_max);
        self.drain_until = until.or_else(|| now.checked_add(FOREVER));
        self.owes_farewell = true;
        true
    }

    /// The time to drain in, if it has just passed.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<Duration> {
        let has_passed = self.drain_until.take_if(|until| *until <= now).is_some();
        has_passed.then_some(self.drain_time_max)
    }

    /// Takes no more calls, and gives those under way no time.
    pub(super) fn cut_off(&mut self, owes_farewell: bool) {
        self.is_draining = true;
        self.drain_until = None;
        self.owes_farewell = owes_farewell;
    }

    /// Nothing is read any more; answers why, which is the first cause of all.
    pub(super) fn stop_reading(&mut self, cause: Cause) -> &Cause {
        self.is_eof = true;
        self.note(cause)
    }

    pub(super) fn note(&mut self, cause: Cause) -> &Cause {
        self.cause.get_or_insert_with(|| Box::new(cause))
    }

    pub(super) fn owe_farewell(&mut self) {
        self.owes_farewell = true;
    }

    pub(super) const fn owes_farewell(&self) -> bool {
        self.owes_farewell && !self.is_silent
    }

    pub(super) fn take_farewell(&mut self) -> bool {
        std::mem::take(&mut self.owes_farewell) && !self.is_silent
    }

    pub(super) const fn silence(&mut self) {
        self.is_silent = true;
    }

    pub(super) const fn is_silent(&self) -> bool {
        self.is_silent
    }

    pub(super) const fn drain_until(&self) -> Option<Instant> {
        self.drain_until
    }

    pub(super) const fn is_drained(&self) -> bool {
        self.is_draining && self.drain_until.is_none()
    }

    /// Whether it is over when all calls are.
    pub(super) const fn is_ending(&self) -> bool {
        self.is_draining || self.is_eof
    }

    pub(super) const fn is_draining(&self) -> bool {
        self.is_draining
    }

    pub(super) const fn is_eof(&self) -> bool {
        self.is_eof
    }

    pub(super) fn cause(&self) -> Option<&Cause> {
        self.cause.as_deref()
    }
}
