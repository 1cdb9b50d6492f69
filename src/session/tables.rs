//! How much room a table or a queue keeps when nothing is in it any more.
//!
//! A connection may have had many calls at once and then have none for days, so what grew for them
//! is given back. What a few calls need is kept: they come again.

use std::collections::VecDeque;

/// Gives back the memory of a queue that was long, and is empty now.
pub(super) fn shrink_empty<T>(queue: &mut VecDeque<T>) {
    if queue.is_empty() && queue.capacity() > TABLE_KEPT_MAX {
        *queue = VecDeque::new();
    }
}

/// Places in a table that an idle session may keep. A hash table is shrunk by itself: what its
/// `capacity` tells is less when calls have come and gone in it.
pub(super) const TABLE_KEPT_MAX: usize = 14;
