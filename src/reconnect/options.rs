//! What a program may set of how its client connects.

use std::time::Duration;

use super::backoff::Backoff;

/// What a program may set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) backoff: Backoff,
    pub(crate) connect_time_max: Duration,
    pub(crate) waiting_calls_max: usize,
    pub(crate) waiting_bytes_max: usize,
    pub(crate) repeats_max: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            backoff: Backoff::new(Duration::from_millis(50), Duration::from_secs(5)),
            connect_time_max: Duration::from_secs(5),
            waiting_calls_max: 1024,
            waiting_bytes_max: 4 * 1024 * 1024,
            repeats_max: 100,
        }
    }
}
