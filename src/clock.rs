//! The time, as the whole library is told it: by tokio's clock, which tests can pause.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::unconstrained;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::asking::later;

/// What time it is.
pub(crate) fn now() -> std::time::Instant {
    Instant::now().into_std()
}

/// `time` from now, or as far away as the clock goes.
pub(crate) fn after(time: Duration) -> Instant {
    after_that(Instant::now(), time)
}

/// `time` from `now`, or as far away as the clock goes.
pub(crate) fn after_that(now: Instant, time: Duration) -> Instant {
    later(now.into_std(), time).into()
}

/// A timer that is over at `due`; `None` outside of a runtime, which keeps no time.
pub(crate) fn timer(due: std::time::Instant) -> Option<Pin<Box<Sleep>>> {
    Handle::try_current().ok()?;
    Some(Box::pin(sleep_until(due.into())))
}

/// Whether `due` has come, by a timer that is made when this is first asked. Outside of a runtime
/// it never comes.
pub(crate) fn poll_due(
    timer: &mut Option<Pin<Box<Sleep>>>,
    due: std::time::Instant,
    cx: &mut Context<'_>,
) -> Poll<()> {
    if timer.is_none() {
        *timer = self::timer(due);
    }
    timer.as_mut().map_or(Poll::Pending, |timer| poll_timer(timer, cx))
}

/// Looks at a timer. It is over in time also if the task has done so much that the runtime lets it
/// do no more until others have had their turn: a handler that always has something to do would
/// never be late.
pub(crate) fn poll_timer(timer: &mut Pin<Box<Sleep>>, cx: &mut Context<'_>) -> Poll<()> {
    Pin::new(&mut unconstrained(timer.as_mut())).poll(cx)
}
