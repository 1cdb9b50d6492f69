//! How many calls that a peer has seen may be made again: a bucket of tokens, as gRPC throttles
//! retries (gRFC A6): a repeat takes one, and a call that is answered gives a tenth back. A stream
//! that came further gives back what it took.
//!
//! While a server is well its answers keep the bucket full, and a restart costs the calls under
//! way one token each. A server that refuses everything gets what is in the bucket, and then no
//! repeats.

use std::sync::atomic::{AtomicU32, Ordering};

/// The bucket.
pub(crate) struct Budget {
    // Tenths of a repeat.
    tenths: AtomicU32,
    tenths_max: u32,
}

impl Budget {
    pub(crate) fn new(repeats_max: u32) -> Self {
        let tenths_max = repeats_max.saturating_mul(TENTHS);
        Self { tenths: AtomicU32::new(tenths_max), tenths_max }
    }

    /// A call has been answered.
    #[inline]
    pub(crate) fn give(&self) {
        // Others may give at the same time, so it may grow a little beyond the most.
        if self.tenths.load(Ordering::Relaxed) < self.tenths_max {
            self.tenths.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// These repeats did well.
    pub(crate) fn give_back(&self, repeats: u32) {
        let more = |tenths: u32| {
            let sum = tenths.saturating_add(repeats.saturating_mul(TENTHS));
            Some(sum.min(self.tenths_max.max(tenths)))
        };
        let _ = self.tenths.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    /// Takes one repeat, if there is one.
    pub(crate) fn take(&self) -> bool {
        let less = |tenths: u32| tenths.checked_sub(TENTHS);
        self.tenths.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

const TENTHS: u32 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_can_be_taken_once_more() {
        // (repeats that there may be, taken, given back, repeats that can be taken then)
        let cases = [(0, 0, 1, 0), (3, 2, 2, 3), (3, 3, 1, 1), (3, 1, u32::MAX, 3)];
        for (max, taken, given_back, expected) in cases {
            let budget = Budget::new(max);
            assert!((0..taken).all(|_| budget.take()));
            budget.give_back(given_back);
            assert_eq!((0..10).filter(|_| budget.take()).count(), expected, "{max} {taken}");
        }
    }

    #[test]
    fn ten_answers_are_worth_a_repeat() {
        // (repeats that there may be, answers, repeats that can be taken then)
        let cases = [(0, 0, 0), (0, 1000, 0), (3, 0, 3), (3, 1000, 3)];
        for (max, answers, expected) in cases {
            let budget = Budget::new(max);
            (0..answers).for_each(|_| budget.give());
            assert_eq!((0..2000).filter(|_| budget.take()).count(), expected, "{max} {answers}");
            (0..9).for_each(|_| budget.give());
            assert!(!budget.take(), "after nine answers");
            budget.give();
            assert_eq!(budget.take(), max > 0, "after ten answers");
        }
    }
}
