//! Those who have called, and have something to come for or wait no longer.
//!
//! They are collected rather than woken, and the others kept rather than dropped: both run their
//! owner's code, and the session is behind a lock. Whoever holds it takes them out, and does it
//! when the lock is let go.

use std::task::Waker;

/// Wakers that a session has no use for any more.
#[derive(Debug, Default)]
pub struct Wakers {
    pub(super) due: Vec<Waker>,
    pub(super) spent: Vec<Waker>,
}

impl Wakers {
    /// Whether none is to be taken out.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.due.is_empty() && self.spent.is_empty()
    }

    /// The one to be woken, if it is the only one there is: as nearly always, and nothing is made
    /// for it.
    pub fn take_only(&mut self) -> Option<Waker> {
        let is_only = self.due.len() == 1 && self.spent.is_empty();
        self.due.pop_if(|_| is_only)
    }

    /// Those to be woken after what was handled.
    pub fn take_due(&mut self) -> Vec<Waker> {
        // Those who wait are often as many as the last time.
        let usual = self.due.len().min(USUAL_MAX);
        std::mem::replace(&mut self.due, Vec::with_capacity(usual))
    }

    /// Those that nobody waits for any more.
    pub fn take_spent(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.spent)
    }
}

/// Wakers for which there is room before they are there.
const USUAL_MAX: usize = 64;
