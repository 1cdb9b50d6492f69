//! How often something may happen: the generic cell rate algorithm, as ITU-T I.371 describes it.
//!
//! One time stands for a bucket that leaks. It says when the bucket is empty again: each event
//! moves it on by its share of a second, and is refused if that would lie further ahead than the
//! burst. Nothing is counted and nothing refilled, so a bucket that nobody asks for costs nothing.

use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};
use std::time::{Duration, Instant};

/// So much in a second, and so much of it at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    per_second: NonZeroU64,
    burst: u64,
}

/// What has been used up of a rate.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    // `None` stands for a time that has passed.
    empty_at: Option<Instant>,
}

impl Rate {
    /// Both become at least 1.
    pub(super) fn new(per_second: u64, burst: u64) -> Self {
        let per_second = NonZeroU64::new(per_second).unwrap_or(NonZeroU64::MIN);
        Self { per_second, burst: burst.max(1) }
    }

    /// The time in which so much may happen.
    fn time_of(self, count: u64) -> Duration {
        let nanos = u128::from(count).saturating_mul(1_000_000_000);
        let nanos = nanos / NonZeroU128::from(self.per_second);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl Usage {
    /// Uses so much now.
    ///
    /// # Errors
    ///
    /// The time after which that will do, if nothing else is used until then. Nothing is used.
    pub(super) fn take(&mut self, now: Instant, rate: Rate, count: u64) -> Result<(), Duration> {
        let empty_at = self.after(now, rate, count);
        let ahead = empty_at.saturating_duration_since(now);
        let over = ahead.saturating_sub(rate.time_of(rate.burst.max(count)));
        if !over.is_zero() {
            return Err(over);
        }
        self.empty_at = Some(empty_at);
        Ok(())
    }

    /// Uses so much that cannot be refused any more.
    #[cfg(any(test, feature = "tower"))]
    pub(super) fn charge(&mut self, now: Instant, rate: Rate, count: u64) {
        self.empty_at = Some(self.after(now, rate, count));
    }

    /// Whether it is as if nothing had ever been used.
    pub(super) fn is_none(&self, now: Instant) -> bool {
        self.empty_at.is_none_or(|empty_at| empty_at <= now)
    }

    fn after(&self, now: Instant, rate: Rate, count: u64) -> Instant {
        let begin = self.empty_at.map_or(now, |empty_at| empty_at.max(now));
        begin.checked_add(rate.time_of(count)).unwrap_or(begin)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.per_second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Takes at these milliseconds; the milliseconds to wait of each that is refused, else 0.
    fn check(rate: (u64, u64), taken: &[(u32, u64)], expected: &[u32]) {
        let (begin, rate) = (Instant::now(), Rate::new(rate.0, rate.1));
        let mut usage = Usage::default();
        let waits = taken.iter().map(|(at, count)| {
            let wait = usage
                .take(begin.checked_add(MS.saturating_mul(*at)).unwrap(), rate, *count)
                .err()
                .unwrap_or_default();
            u32::try_from(wait.as_millis()).unwrap()
        });
        assert_eq!(waits.collect::<Vec<_>>(), expected, "{rate:?} {taken:?}");
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        check((10, 1), &[(0, 1), (0, 1), (99, 1), (100, 1)], &[0, 100, 1, 0]);
        check(
            (10, 3),
            &[(0, 1), (0, 1), (0, 1), (0, 1), (100, 1), (100, 1)],
            &[0, 0, 0, 100, 0, 100],
        );
        // Nothing is saved up beyond the burst.
        check((10, 2), &[(9000, 1), (9000, 1), (9000, 1)], &[0, 0, 100]);
        // What is refused uses nothing.
        check((1000, 10), &[(0, 10), (0, 9), (0, 9), (9, 9)], &[0, 9, 9, 0]);
    }

    #[test]
    fn more_than_the_burst_passes_alone() {
        check((1000, 10), &[(0, 50), (0, 1), (41, 1)], &[0, 41, 0]);
    }

    #[test]
    fn times_that_cannot_be_told_refuse_nothing_for_ever() {
        let (now, mut usage) = (Instant::now(), Usage::default());
        usage.charge(now, Rate::new(1, 1), u64::MAX);
        assert!(usage.take(now, Rate::new(1, 1), 1).is_err());
        // A clock that has gone back, as a paused one cannot.
        assert!(Usage::default().take(now.checked_sub(MS).unwrap(), Rate::new(1, 1), 1).is_ok());
        assert_eq!(Rate::new(0, 0).time_of(1), Duration::from_secs(1));
    }
}
