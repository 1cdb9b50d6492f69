//! The bounds of HTTP: what one connection may take before a request reaches its service.
//!
//! How many connections there may be, how long they have at the end, and what calls may cost, is
//! not in here: those are the limits of the endpoint, which all its doors share.

use std::time::Duration;

/// What a peer may use up over HTTP. Every field is finite by default.
///
/// ```
/// use switchboard_http::HttpLimits;
///
/// let limits = HttpLimits::default().with(|limits| limits.body_bytes_max = 4096);
/// assert_eq!(limits.body_bytes_max, 4096);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpLimits {
    /// Bytes of the head of a request: its first line and its headers. Default 16 KiB. A longer one
    /// is answered with 431 by hyper, and its connection closed.
    pub head_bytes_max: usize,
    /// Headers of a request. Default 100. More are answered with 431 by hyper.
    pub headers_max: usize,
    /// Time from the first byte of a head to its end. Default 5 s; the connection is closed after.
    pub head_time_max: Duration,
    /// Time in which a connection may be open without a request. Default 2 min.
    pub idle_time_max: Duration,
    /// Bytes of the body of a request, also of one whose length is not said. Default 1 MiB. Of a
    /// streamed request each item is bounded, by the endpoint's `item_bytes_max`, and not all.
    pub body_bytes_max: usize,
    /// Time from the end of a head to the end of the body, whoever is slow. Default 30 s. Of a
    /// streamed request it is the time of one silence, while the handler wants more.
    pub body_time_max: Duration,
    /// Time in which a peer must take a byte that waits to be written. Default 10 s, for each time
    /// that it stalls; the connection is closed after.
    pub write_time_max: Duration,
    /// Bytes that wait to be written to one connection before the service is asked for no more, and
    /// that are read ahead. Default 64 KiB, at least 8 KiB and `head_bytes_max`.
    pub buffer_bytes_max: usize,
    /// Time to read what a peer still sends after our last byte, so that it can read that. Default
    /// 2 s, and at most 4 MiB of it.
    pub linger_time_max: Duration,
}

impl HttpLimits {
    /// These limits with some of them changed.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            head_bytes_max: 16 * 1024,
            headers_max: 100,
            head_time_max: Duration::from_secs(5),
            idle_time_max: Duration::from_secs(120),
            body_bytes_max: 1024 * 1024,
            body_time_max: Duration::from_secs(30),
            write_time_max: Duration::from_secs(10),
            buffer_bytes_max: 64 * 1024,
            linger_time_max: Duration::from_secs(2),
        }
    }
}
