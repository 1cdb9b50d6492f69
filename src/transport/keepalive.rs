//! Keepalive of TCP: the two systems ask each other, and no program is woken.
//!
//! It finds a machine or a network that is gone while nothing is under way. A program that has
//! stopped is not found, since its system answers in its place; nor is one to whom something was
//! written that is not acknowledged, as long as the system repeats that.

use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;

use crate::limits::{at_least, at_most};

/// How a socket of TCP is kept alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TcpKeepalive {
    time: Duration,
}

impl TcpKeepalive {
    /// Probes after so much silence.
    ///
    /// # Panics
    ///
    /// If the time is out of range.
    #[track_caller]
    pub(crate) fn new(time: Duration) -> Self {
        let name = "the time of TCP's keepalive";
        let checked =
            at_least(name, &time, &TIME_LEAST).and_then(|()| at_most(name, &time, &TIME_MOST));
        if let Err(error) = checked {
            panic!("{}", error.text());
        }
        Self { time }
    }

    /// Fails only if the peer is gone already, which the first read tells.
    pub(super) fn set(self, stream: &TcpStream) {
        let _ = SockRef::from(stream).set_tcp_keepalive(&self.options());
    }

    fn options(self) -> socket2::TcpKeepalive {
        let options = socket2::TcpKeepalive::new().with_time(self.time);
        #[cfg(any(
            target_os = "android",
            target_os = "freebsd",
            target_os = "linux",
            target_os = "netbsd",
            target_vendor = "apple",
            windows
        ))]
        let options = {
            let interval = self.time.checked_div(PROBES).unwrap_or(self.time).max(TIME_LEAST);
            options.with_interval(interval).with_retries(PROBES)
        };
        options
    }
}

/// Systems count in seconds.
const TIME_LEAST: Duration = Duration::from_secs(1);

/// `MAX_TCP_KEEPIDLE`, of Linux's `include/net/tcp.h`.
const TIME_MOST: Duration = Duration::from_secs(32_767);

/// Probes without an answer before the peer is given up.
const PROBES: u32 = 3;

#[cfg(all(test, target_os = "linux"))]
mod tests;
