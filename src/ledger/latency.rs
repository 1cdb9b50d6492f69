//! How long calls took, in buckets.
//!
//! The bounds go on as those of Prometheus' own clients do (`DefBuckets` of client_golang: .005,
//! .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10 seconds), down to 10 µs: a call within one machine
//! takes tens of them.

use std::time::Duration;

use serde::Serialize;

use super::counter::Counter;

/// How long calls took.
///
/// Bucket `n` counts the calls that took at most [`BOUNDS`](Self::BOUNDS)`[n]` and longer than the
/// bound before it; the last one counts those over the last bound.
///
/// ```
/// use std::time::Duration;
/// use switchboard::Latency;
///
/// let none = Latency::default();
/// assert_eq!((none.calls(), none.mean(), none.quantile(0.99)), (0, None, None));
/// assert_eq!(Latency::BOUNDS[3], Duration::from_micros(100));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Latency {
    /// Calls in each bucket, one more than there are bounds. Without calls it may be empty.
    pub buckets: Vec<u64>,
    /// The time of all of them together; in seconds where it is serialized.
    #[serde(rename = "total_seconds", serialize_with = "in_seconds")]
    pub total: Duration,
}

/// The same, as it is counted.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    buckets: [Counter; BOUNDS_NANOS.len() + 1],
    nanos: Counter,
}

impl Latency {
    /// The upper bounds of the buckets but the last: 1, 2.5 and 5, from 10 µs to 10 s.
    pub const BOUNDS: [Duration; BOUNDS_NANOS.len()] = {
        let (mut bounds, mut at) = ([Duration::ZERO; BOUNDS_NANOS.len()], 0);
        #[allow(
            clippy::indexing_slicing,
            clippy::arithmetic_side_effects,
            reason = "it is done by the compiler"
        )]
        while at < bounds.len() {
            bounds[at] = Duration::from_nanos(BOUNDS_NANOS[at]);
            at += 1;
        }
        bounds
    };

    /// How many calls there are.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.buckets.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The mean time; `None` without calls.
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        let nanos = self.total.as_nanos().checked_div(self.calls().into())?;
        Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    /// A time that this part of the calls did not pass, 0.99 for 99 in 100: the upper bound of its
    /// bucket. `None` without calls, and [`Duration::MAX`] over the last bound.
    #[must_use]
    pub fn quantile(&self, part: f64) -> Option<Duration> {
        let calls = self.calls();
        if calls == 0 {
            return None;
        }
        let wanted = part.clamp(0.0, 1.0) * calls as f64;
        let mut below = 0_u64;
        for (count, bound) in self.buckets.iter().zip(Self::BOUNDS) {
            below = below.saturating_add(*count);
            if below > 0 && below as f64 >= wanted {
                return Some(bound);
            }
        }
        Some(Duration::MAX)
    }

    /// What this has more than before.
    #[cfg(feature = "metrics")]
    pub(super) fn since(&self, before: &Self) -> Self {
        let before_that = before.buckets.iter().copied().chain(std::iter::repeat(0));
        let buckets = self.buckets.iter().zip(before_that);
        Self {
            buckets: buckets.map(|(now, before)| now.saturating_sub(before)).collect(),
            total: self.total.saturating_sub(before.total),
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        if self.buckets.len() < other.buckets.len() {
            self.buckets.resize(other.buckets.len(), 0);
        }
        for (count, more) in self.buckets.iter_mut().zip(&other.buckets) {
            *count = count.saturating_add(*more);
        }
        self.total = self.total.saturating_add(other.total);
    }
}

impl Buckets {
    /// Counts a call that took so long.
    #[inline]
    pub(super) fn note(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_NANOS.iter().position(|bound| nanos <= *bound);
        if let Some(count) = self.buckets.get(bucket.unwrap_or(BOUNDS_NANOS.len())) {
            count.add(1);
        }
        self.nanos.add(nanos);
    }

    pub(super) fn read(&self) -> Latency {
        let buckets = self.buckets.iter().map(Counter::read).collect();
        Latency { buckets, total: Duration::from_nanos(self.nanos.read()) }
    }

    pub(super) fn absorb(&self, other: &Self) {
        self.buckets.iter().zip(&other.buckets).for_each(|(count, more)| count.add(more.read()));
        self.nanos.add(other.nanos.read());
    }
}

fn in_seconds<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

const MICRO: u64 = 1_000;
const MILLI: u64 = 1_000 * MICRO;
const SECOND: u64 = 1_000 * MILLI;

const BOUNDS_NANOS: [u64; 19] = [
    10 * MICRO,
    25 * MICRO,
    50 * MICRO,
    100 * MICRO,
    250 * MICRO,
    500 * MICRO,
    MILLI,
    2_500 * MICRO,
    5 * MILLI,
    10 * MILLI,
    25 * MILLI,
    50 * MILLI,
    100 * MILLI,
    250 * MILLI,
    500 * MILLI,
    SECOND,
    2_500 * MILLI,
    5 * SECOND,
    10 * SECOND,
];
