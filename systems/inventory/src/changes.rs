//! How often the stock of an item has changed: what makes a cached value old.
//!
//! The store counts a change when it is on the disk and before anybody is told of it. Whoever reads
//! the count first and the stock then has a value that is at least as new as the count. So a value
//! that is kept under the count is right for as long as the count stays, and no loader that read
//! too early can put an old value in the place of a new one: nobody asks for that place any more.
//!
//! Items share counts, so that they take no memory: an item in 256 is thought to have changed when
//! another one did, and is loaded once too often.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of changes, shared by all items.
pub struct Changes {
    hasher: RandomState,
    counts: [AtomicU64; 256],
}

impl Changes {
    /// Nothing has changed yet.
    #[must_use]
    pub fn new() -> Self {
        Self { hasher: RandomState::new(), counts: [const { AtomicU64::new(0) }; 256] }
    }

    /// How often this item has changed so far, or one that shares its count.
    #[must_use]
    pub fn of(&self, item: &str) -> u64 {
        self.place(item).map_or(0, |count| count.load(Ordering::Acquire))
    }

    /// Counts a change of this item.
    pub fn note(&self, item: &str) {
        if let Some(count) = self.place(item) {
            count.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// There is always one: a byte is below 256.
    fn place(&self, item: &str) -> Option<&AtomicU64> {
        let [first, ..] = self.hasher.hash_one(item).to_le_bytes();
        self.counts.get(usize::from(first))
    }
}

impl Default for Changes {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").finish_non_exhaustive()
    }
}
