//! How long items may wait for credit.

use std::time::Duration;

use crate::error::{Code, Error};
use crate::limits::Limits;

/// How long the streams of one side wait for the credit of the peer.
#[derive(Debug)]
pub(super) struct Patience {
    stall_ms_max: u32, // A short number: each connection has two of these.
    // The peer grants no more.
    has_left: bool,
}

impl Patience {
    pub(super) fn new(limits: &Limits) -> Self {
        let stall_ms_max = u32::try_from(limits.stall_time_max.as_millis()).unwrap_or(u32::MAX);
        Self { stall_ms_max, has_left: false }
    }

    /// The peer says nothing more: what waits for credit waits in vain.
    pub(super) fn lose(&mut self) {
        self.has_left = true;
    }

    pub(super) fn time_max(&self) -> Duration {
        if self.has_left {
            return Duration::ZERO;
        }
        Duration::from_millis(self.stall_ms_max.into())
    }

    /// The error of a call whose items have waited for too long.
    pub(super) fn error(&self) -> Error {
        if self.has_left {
            let text = "the caller ended its side, and no credit for items can come";
            return Error::found(Code::Cancelled, text);
        }
        let time = self.time_max();
        let text = format!("no credit was granted for items within stall_time_max ({time:?})");
        Error::found(Code::DeadlineExceeded, text)
    }
}
