//! The figures of one command.

use std::time::{Duration, Instant};

use super::counter::{Counter, PerCode, as_u64};
use super::latency::Buckets;
#[cfg(feature = "metrics")]
use super::latency::Latency;
use super::stats::CallStats;
use crate::error::Code;

/// The figures of one command. What begins a call stands together, and what ends it: calls of
/// several threads pass these back and forth.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    begun: Counter,
    payload_bytes_in: Counter,
    one_way: Counter,
    streams: Counter,
    items_in: Counter,
    items_out: Counter,
    payload_bytes_out: Counter,
    // So each call that was answered is counted by one number, how long it took.
    answered: Buckets,
    failed: Buckets,
    // Refusals as well, which took no time.
    errors: PerCode,
    // `None` before anything was.
    #[cfg(feature = "metrics")]
    published: std::sync::Mutex<Option<Latency>>,
}

/// A call as it comes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opening {
    pub(crate) came: Instant,
    pub(crate) payload_bytes: usize,
    pub(crate) is_one_way: bool,
    pub(crate) is_streamed: bool,
}

impl Opening {
    /// A plain call whose payload has not been read.
    pub(crate) fn plain(came: Instant) -> Self {
        Self { came, payload_bytes: 0, is_one_way: false, is_streamed: false }
    }
}

/// How a call ended: with a payload of so many bytes, or with an error.
pub(super) type Ended = Result<usize, Code>;

impl Figures {
    #[inline]
    pub(super) fn begin(&self, opening: &Opening) {
        self.begun.add(1);
        self.payload_bytes_in.add(as_u64(opening.payload_bytes));
        self.one_way.add(opening.is_one_way.into());
        self.streams.add(opening.is_streamed.into());
    }

    /// A call ended that ran for so long.
    #[inline]
    pub(super) fn end(&self, time: Duration, ended: Ended) {
        match ended {
            Ok(payload_bytes) => {
                self.answered.note(time);
                self.payload_bytes_out.add(as_u64(payload_bytes));
            }
            Err(code) => {
                self.failed.note(time);
                self.errors.add(code);
            }
        }
    }

    /// A call does not run.
    pub(crate) fn refuse(&self, opening: &Opening, code: Code) {
        self.begin(opening);
        self.errors.add(code);
    }

    /// An item came in.
    pub(crate) fn item_in(&self, payload_bytes: usize) {
        self.items_in.add(1);
        self.payload_bytes_in.add(as_u64(payload_bytes));
    }

    /// An item goes out.
    pub(crate) fn item_out(&self, payload_bytes: usize) {
        self.items_out.add(1);
        self.payload_bytes_out.add(as_u64(payload_bytes));
    }

    /// What has been counted so far.
    pub(crate) fn stats(&self) -> CallStats {
        // What has ended first, so that no more has ended than has begun.
        let (answered, mut latency) = (self.answered.read(), self.failed.read());
        latency.add(&answered);
        let (answered, errors) = (answered.calls(), self.errors.read());
        let failed = errors.values().fold(0, |sum: u64, count| sum.saturating_add(*count));
        let begun = self.begun.read();
        CallStats {
            begun,
            answered,
            in_flight: begun.saturating_sub(answered).saturating_sub(failed),
            errors,
            one_way: self.one_way.read(),
            streams: self.streams.read(),
            items_in: self.items_in.read(),
            items_out: self.items_out.read(),
            payload_bytes_in: self.payload_bytes_in.read(),
            payload_bytes_out: self.payload_bytes_out.read(),
            latency,
        }
    }

    /// How long calls took that have ended since this was asked last.
    #[cfg(feature = "metrics")]
    pub(super) fn unpublished(&self) -> Latency {
        let mut published = self.published();
        // Read while nobody else does, or it would be told twice.
        let latency = self.stats().latency;
        let news = latency.since(&published.take().unwrap_or_default());
        *published = Some(latency);
        news
    }

    /// Whether anything of these was told before.
    #[cfg(feature = "metrics")]
    pub(super) fn is_published(&self) -> bool {
        self.published().is_some()
    }

    #[cfg(feature = "metrics")]
    fn published(&self) -> std::sync::MutexGuard<'_, Option<Latency>> {
        self.published.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Takes over what others have counted, to which nobody adds any more.
    pub(super) fn absorb(&self, other: &Self) {
        for (count, more) in [
            (&self.begun, &other.begun),
            (&self.payload_bytes_in, &other.payload_bytes_in),
            (&self.one_way, &other.one_way),
            (&self.streams, &other.streams),
            (&self.items_in, &other.items_in),
            (&self.items_out, &other.items_out),
            (&self.payload_bytes_out, &other.payload_bytes_out),
        ] {
            count.add(more.read());
        }
        self.answered.absorb(&other.answered);
        self.failed.absorb(&other.failed);
        self.errors.absorb(&other.errors);
    }
}
