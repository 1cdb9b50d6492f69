//! How a back end has done lately: whether it is left out, and how long its calls took.
//!
//! ```text
//!          5 failures in a row                       its time is over
//!   well ──────────────────────► left out for 1 s ───────────────────► on trial
//!    ▲                              ▲                                   │    │
//!    └──────────────────────────────│─────────── an answer ─────────────│────┘
//!                                   └── a failure, for twice as long ───┘
//! ```
//!
//! Calls tell it from many threads at once. Each number is right by itself; a failure and an answer
//! that come together may count in either order.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What is known of one back end. Times are in nanoseconds since it was begun.
pub(super) struct Health {
    begun: Instant,
    // In a row.
    failures: AtomicU32,
    // How often it was left out since it answered last.
    times_out: AtomicU32,
    out_until: AtomicU64,
    latency: AtomicU64,
    measured_at: AtomicU64,
}

impl Health {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            begun: now,
            failures: AtomicU32::new(0),
            times_out: AtomicU32::new(0),
            out_until: AtomicU64::new(0),
            latency: AtomicU64::new(0),
            measured_at: AtomicU64::new(0),
        }
    }

    /// Whether it is left out now.
    pub(super) fn is_out(&self, now: Instant) -> bool {
        self.nanos(now) < self.out_until.load(Ordering::Relaxed)
    }

    /// It has answered a call, which took so long, perhaps by an error. Errors come fast, and one
    /// that has nothing else must not look like the fastest of all: each counts as if it had taken
    /// at least twice as long as calls took lately, and [`ERROR_NANOS_LEAST`].
    pub(super) fn answered(&self, now: Instant, took: Duration, is_error: bool) {
        self.failures.store(0, Ordering::Relaxed);
        self.times_out.store(0, Ordering::Relaxed);
        let before = self.latency(now);
        let mut sample = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        if is_error {
            sample = sample.max(before.saturating_mul(2)).max(ERROR_NANOS_LEAST);
        }
        sample = sample.min(LATENCY_NANOS_MOST);
        // It counts for a quarter, and the first one whole.
        let of_both = (before / 4).saturating_mul(3).saturating_add(sample / 4);
        let latency = if before == 0 { sample } else { of_both };
        self.latency.store(latency.max(1), Ordering::Relaxed);
        self.measured_at.store(self.nanos(now), Ordering::Relaxed);
    }

    /// It has not answered in time, or has too much to do; whether it is left out from now on.
    pub(super) fn failed(&self, now: Instant) -> bool {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let times_out = self.times_out.load(Ordering::Relaxed);
        let is_enough = times_out > 0 || failures >= FAILURES_MAX;
        // Those that were made before it was left out tell nothing new.
        if !is_enough || self.is_out(now) {
            return false;
        }
        let factor = 2_u32.checked_pow(times_out).unwrap_or(u32::MAX);
        let time = OUT_TIME_FIRST.saturating_mul(factor).min(OUT_TIME_MOST);
        let until = now.checked_add(time).map_or(u64::MAX, |until| self.nanos(until));
        self.out_until.store(until, Ordering::Relaxed);
        self.times_out.store(times_out.saturating_add(1), Ordering::Relaxed);
        true
    }

    /// How long its calls took lately: halved for each [`HALF_TIME_NANOS`] since, so that it is
    /// tried again though others were faster. 0 if nothing is known.
    pub(super) fn latency(&self, now: Instant) -> u64 {
        let age = self.nanos(now).saturating_sub(self.measured_at.load(Ordering::Relaxed));
        let halvings = u32::try_from(age / HALF_TIME_NANOS).unwrap_or(u32::MAX);
        self.latency.load(Ordering::Relaxed).checked_shr(halvings).unwrap_or(0)
    }

    fn nanos(&self, now: Instant) -> u64 {
        let nanos = now.saturating_duration_since(self.begun).as_nanos();
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }
}

/// One more, and it is left out.
const FAILURES_MAX: u32 = 5;

const OUT_TIME_FIRST: Duration = Duration::from_secs(1);
const OUT_TIME_MOST: Duration = Duration::from_secs(30);

/// 5 s.
const HALF_TIME_NANOS: u64 = 5_000_000_000;

/// A millisecond.
const ERROR_NANOS_LEAST: u64 = 1_000_000;

/// A minute: what took longer is not worse.
const LATENCY_NANOS_MOST: u64 = 60_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_leave_it_out_for_longer_and_longer() {
        let begun = Instant::now();
        let health = Health::new(begun);
        let mut now = begun;
        for _ in 1..FAILURES_MAX {
            assert!(!health.failed(now));
        }
        health.answered(now, Duration::from_millis(1), false);
        for _ in 1..FAILURES_MAX {
            assert!(!health.failed(now));
        }
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            assert!(health.failed(now), "{seconds}");
            assert!(!health.failed(now), "it is left out already");
            assert!(health.is_out(now + Duration::from_secs(seconds) - Duration::from_nanos(1)));
            now += Duration::from_secs(seconds);
            assert!(!health.is_out(now), "{seconds}");
        }
        health.answered(now, Duration::from_millis(1), false);
        assert!(!health.failed(now), "an answer ends all of that");
    }

    #[test]
    fn a_slow_time_is_forgotten() {
        let begun = Instant::now();
        let health = Health::new(begun);
        assert_eq!(health.latency(begun), 0);
        health.answered(begun, Duration::from_nanos(4000), false);
        health.answered(begun, Duration::from_nanos(8000), false);
        assert_eq!(health.latency(begun), 5000);
        let cases = [(4, 5000), (5, 2500), (10, 1250), (5 * 63, 0), (5 * 64, 0), (5000, 0)];
        for (seconds, expected) in cases {
            let latency = health.latency(begun + Duration::from_secs(seconds));
            assert_eq!(latency, expected, "{seconds}");
        }
    }

    #[test]
    fn errors_make_nobody_fast() {
        let begun = Instant::now();
        let health = Health::new(begun);
        for _ in 0..1000 {
            health.answered(begun, Duration::ZERO, true);
        }
        assert!(health.latency(begun) > 1_000_000_000);
        assert!(health.latency(begun) <= LATENCY_NANOS_MOST);
        health.answered(begun, Duration::MAX, false);
        assert!(health.latency(begun) <= LATENCY_NANOS_MOST);
    }
}
