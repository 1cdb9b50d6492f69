//! How long is waited for what a peer should send.

use std::time::Duration;

use tokio::time::Instant;

use crate::clock::after;
use crate::error::{Code, Error};
use crate::limits::Limits;

/// When what is waited for is too slow.
#[derive(Clone)]
pub(crate) struct Wait {
    pub(super) due: Instant,
    pub(super) time: Duration,
    // What to say when it is over.
    pub(super) what: &'static str,
}

impl Wait {
    /// For what may begin in `idle_time_max` from now.
    pub(crate) fn idle(limits: &Limits) -> Self {
        Self::new("the payload did not come within idle_time_max", limits.idle_time_max)
    }

    /// For what has begun and must be whole in `body_time_max` from now.
    pub(crate) fn body(limits: &Limits) -> Self {
        Self::new("the payload did not come within body_time_max", limits.body_time_max)
    }

    /// As [`body`](Self::body) within the limits of a command that has more time.
    pub(crate) fn body_of_command(limits: &Limits) -> Self {
        let what = "the payload did not come within body_time_max of its command";
        Self::new(what, limits.body_time_max)
    }

    /// For what must be there in `time` from now; else `what` is said.
    pub(crate) fn new(what: &'static str, time: Duration) -> Self {
        Self { due: after(time), time, what }
    }
}

/// The error of what took longer than it may.
pub(super) fn slow(what: &str, time: Duration) -> Error {
    Error::found(Code::DeadlineExceeded, format!("{what} ({time:?})"))
}
