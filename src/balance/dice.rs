//! Picks at random, for each call: faster than numbers that nobody can guess, which is not needed
//! here, as long as clients do not pick alike.
//!
//! The numbers are those of SplitMix64: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number
//! Generators" (OOPSLA 2014). Threads share its state, which only counts.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::wire::random;

/// Begins at another number in each client.
pub(super) struct Dice(AtomicU64);

impl Default for Dice {
    fn default() -> Self {
        Self(AtomicU64::new(random().get()))
    }
}

impl Dice {
    /// A number below this one; 0 if that is 0.
    pub(super) fn below(&self, count: usize) -> usize {
        let number = mixed(self.0.fetch_add(GAMMA, Ordering::Relaxed));
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        usize::try_from(number.checked_rem(count).unwrap_or_default()).unwrap_or_default()
    }
}

const fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// The odd number that is nearest to 2^64 by the golden ratio.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_picked_about_as_often() {
        let dice = Dice(AtomicU64::new(1));
        let mut picked = [0_u32; 3];
        for _ in 0..3000 {
            let number = dice.below(3);
            picked[number] = picked[number].saturating_add(1);
        }
        assert!(picked.iter().all(|count| (900..1100).contains(count)), "{picked:?}");
        assert_eq!(dice.below(0), 0);
    }

    #[test]
    fn the_numbers_are_those_of_the_paper() {
        // The first of the seed 1234567, as the reference code prints them.
        let seed = 1_234_567_u64;
        let numbers = [1, 2, 3].map(|step| mixed(seed.wrapping_add(GAMMA.wrapping_mul(step))));
        let expected =
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(numbers, expected);
    }
}
