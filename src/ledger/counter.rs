//! Numbers that only grow, added to by any thread.
//!
//! Each is exact by itself. Nothing orders one before another, so those that are read together are
//! only nearly of one moment.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Code;

/// A number that only grows.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

/// One for each code.
#[derive(Debug, Default)]
pub(super) struct PerCode([Counter; Code::ALL.len()]);

impl Counter {
    #[inline]
    pub(super) fn add(&self, more: u64) {
        if more > 0 {
            self.0.fetch_add(more, Ordering::Relaxed);
        }
    }

    pub(super) fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl PerCode {
    pub(super) fn add(&self, code: Code) {
        self.add_many(code, 1);
    }

    /// Those that are not 0.
    pub(super) fn read(&self) -> BTreeMap<Code, u64> {
        let counts = Code::ALL.iter().zip(&self.0).map(|(code, count)| (*code, count.read()));
        counts.filter(|(_, count)| *count > 0).collect()
    }

    pub(super) fn absorb(&self, other: &Self) {
        other.read().into_iter().for_each(|(code, count)| self.add_many(code, count));
    }

    fn add_many(&self, code: Code, more: u64) {
        let at = Code::ALL.iter().zip(&self.0).find(|(other, _)| **other == code);
        if let Some((_, count)) = at {
            count.add(more);
        }
    }
}

pub(super) fn as_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
