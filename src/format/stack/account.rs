//! What one decode knows of its stack: the facts on which `stack` decides.
//!
//! It is a part of the budget, which goes wherever the decode does, and decides nothing.

use std::cell::Cell;

/// What one decode knows of its stack.
#[derive(Debug, Default)]
pub(in crate::format) struct Account {
    // The largest size of a type that was made.
    pub(super) size: Cell<usize>,
    // The least of the levels left in the buffer of serde's that is being filled.
    pub(super) buffered_depth_left: Cell<Option<usize>>,
    // Whether it runs on a stack that was made for it.
    pub(super) is_on_new_stack: Cell<bool>,
    // The room at the beginning with which it would not have been refused.
    pub(super) bytes_wanted: Cell<Option<usize>>,
}

impl Account {
    pub(in crate::format) const fn new() -> Self {
        Self {
            size: Cell::new(0),
            buffered_depth_left: Cell::new(None),
            is_on_new_stack: Cell::new(false),
            bytes_wanted: Cell::new(None),
        }
    }

    #[inline]
    pub(super) fn note_size(&self, bytes: usize) {
        self.size.set(self.size.get().max(bytes));
    }

    /// Takes note of a level within a buffer, at which so many are left.
    #[inline]
    pub(in crate::format) fn note_buffered(&self, depth_left: usize) {
        let least = self.buffered_depth_left.get();
        self.buffered_depth_left.set(least.map(|least| least.min(depth_left)));
    }
}
