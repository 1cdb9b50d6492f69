//! How long to wait before the next try: a random time up to a bound that doubles.
//!
//! This is the "full jitter" of Marc Brooker, "Exponential Backoff And Jitter" (AWS Architecture
//! Blog, 2015): of the ways compared there it lets the fewest clients come at once.

use std::time::Duration;

use crate::wire::random;

/// The bounds of pauses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    most: Duration,
}

impl Backoff {
    pub(crate) const fn new(first: Duration, most: Duration) -> Self {
        Self { first, most }
    }

    /// The pause after so many failures in a row.
    pub(crate) fn pause(self, failures: u32) -> Duration {
        let bound = self.bound(failures);
        let nanos = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(random().get().checked_rem(nanos.saturating_add(1)).unwrap_or(nanos))
    }

    /// The longest pause.
    pub(crate) const fn most(self) -> Duration {
        self.most
    }

    /// The longest that a pause may be after so many failures in a row.
    fn bound(self, failures: u32) -> Duration {
        let factor = 2_u32.checked_pow(failures).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_the_most() {
        let millis = Duration::from_millis;
        let backoff = Backoff::new(millis(50), millis(5000));
        let cases =
            [(0, 50), (1, 100), (2, 200), (6, 3200), (7, 5000), (31, 5000), (u32::MAX, 5000)];
        for (failures, bound) in cases {
            assert_eq!(backoff.bound(failures), millis(bound), "{failures} failures");
        }
    }

    #[test]
    fn pauses_are_spread_over_all_that_they_may_be() {
        let backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
        let pauses: Vec<_> = (0..1000).map(|_| backoff.pause(3)).collect();
        assert!(pauses.iter().all(|pause| *pause <= Duration::from_millis(400)));
        for quarter in 0..4_u32 {
            let from = Duration::from_millis(100) * quarter;
            let there = pauses
                .iter()
                .filter(|pause| (from..from + Duration::from_millis(100)).contains(pause));
            assert!(there.count() > 150, "the quarter from {from:?}");
        }
    }
}
