//! What is counted while HTTP is served, and told at the end.

use std::sync::atomic::{AtomicU64, Ordering};

use switchboard::Report;

/// The counts of serving HTTP, given when that has stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpReport {
    /// Connections that were served.
    pub connections: u64,
    /// Connections whose handshake failed, took too long, or was under way at the end.
    pub handshakes_failed: u64,
    /// Connections that were turned away for want of a place.
    pub connections_refused: u64,
    /// Connections that were cut off when `drain_time_max` had passed.
    pub connections_cut_off: u64,
    /// Requests that reached the service.
    pub requests: u64,
}

/// What is counted while the connections of one listener are served.
#[derive(Default)]
pub(crate) struct Counts {
    cut_off: AtomicU64,
    requests: AtomicU64,
}

impl Counts {
    pub(crate) fn count_request(&self) {
        self.requests.fetch_add(1, Ordering::AcqRel);
    }

    /// All that is known, with what the endpoint has counted.
    pub(crate) fn report(&self, report: Report) -> HttpReport {
        let Report { connections, handshakes_failed, connections_refused, .. } = report;
        let [connections_cut_off, requests] =
            [&self.cut_off, &self.requests].map(|count| count.load(Ordering::Acquire));
        HttpReport {
            connections,
            handshakes_failed,
            connections_refused,
            connections_cut_off,
            requests,
        }
    }
}

/// Counts a connection as cut off, if it is dropped before it is over.
pub(crate) struct CutOff<'a>(Option<&'a Counts>);

impl<'a> CutOff<'a> {
    pub(crate) fn new(counts: &'a Counts) -> Self {
        Self(Some(counts))
    }

    pub(crate) fn end(mut self) {
        self.0 = None;
    }
}

impl Drop for CutOff<'_> {
    fn drop(&mut self) {
        // A service that panics takes its connection with it.
        if let Some(counts) = self.0.filter(|_| !std::thread::panicking()) {
            counts.cut_off.fetch_add(1, Ordering::AcqRel);
        }
    }
}
