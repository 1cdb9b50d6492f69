//! The bounds of HTTP: what one connection may take before a request reaches its service.
//!
//! The number of connections, their time at the end (to drain and to linger) and the costs of calls
//! are not in here: those are limits of the endpoint, which all its doors share.

use std::time::Duration;

/// The bounds of a peer over HTTP. Every field is finite by default.
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
    /// Time from the first byte of a head to its end. Default 5 s; then the connection is closed.
    pub head_time_max: Duration,
    /// Time in which a connection may be open without a request. Default 2 min.
    pub idle_time_max: Duration,
    /// Bytes of the body of a request, also of one without a stated length. Default 1 MiB. It does
    /// not bound a streamed request: the endpoint's `item_bytes_max` bounds each of its items.
    pub body_bytes_max: usize,
    /// Time from the end of a head to the end of the body, whichever side is slow. Default 30 s.
    /// For a streamed request it is the time of one silence, while the handler wants more.
    pub body_time_max: Duration,
    /// Time in which a peer must take a byte that waits to be written. Default 10 s, for each time
    /// that it stalls; then the connection is closed. Not the endpoint's
    /// `write_time_max`, in which all that waits must be taken.
    pub write_stall_time_max: Duration,
    /// Bytes that may wait to be written to one connection before the service is asked for more,
    /// and that may be read ahead. Default 64 KiB, at least 8 KiB and `head_bytes_max`.
    pub buffer_bytes_max: usize,
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
            write_stall_time_max: Duration::from_secs(10),
            buffer_bytes_max: 64 * 1024,
        }
    }
}
