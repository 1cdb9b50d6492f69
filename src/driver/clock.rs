//! The one timer of a connection.
//!
//! It is armed for the earliest thing that may be due, and moved only when that comes nearer. Most
//! deadlines are met, so letting the timer fire in vain now and then costs less than moving it for
//! every call.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep};

use crate::clock::{now, poll_timer};
use crate::conn::Shared;
use crate::session::{Session, Violation};

#[derive(Default)]
pub(super) struct Clock {
    timer: Option<Pin<Box<Sleep>>>,
}

impl Clock {
    /// Does what is due in the session, at `due` at the earliest; `Ready` if the time had come to
    /// look.
    pub(super) fn poll(
        &mut self,
        shared: &Shared,
        cx: &mut Context<'_>,
        due: Option<std::time::Instant>,
    ) -> Poll<Result<(), Violation>> {
        let Some(due) = due else {
            return Poll::Pending;
        };
        let due = Instant::from_std(due);
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        if timer.deadline() > due || timer.is_elapsed() {
            timer.as_mut().reset(due);
        }
        if poll_timer(timer, cx).is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(shared.with(|session| session.handle_timeout(now())))
    }

    /// When the timer fires; `None` if it never will, or has already.
    pub(super) fn alarm(&self) -> Option<std::time::Instant> {
        let timer = self.timer.as_ref().filter(|timer| !timer.is_elapsed());
        timer.map(|timer| timer.deadline().into_std())
    }

    /// Whether something is due before the timer would fire.
    pub(super) fn is_late_for(&self, session: &Session) -> bool {
        let due = session.poll_timeout();
        due.is_some_and(|due| self.alarm().is_none_or(|alarm| alarm > due))
    }
}
