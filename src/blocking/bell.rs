//! How a thread waits: for its bell to be rung, or for a time to come.
//!
//! A session wakes by a [`Waker`], and a bell is one. Each thread has one bell, since it waits for
//! one thing at a time. It may ring for what the thread waited for before, so whoever comes back
//! looks whether there is anything to come for.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};
use std::time::Instant;

use super::clock::now;

#[derive(Default)]
pub(super) struct Bell {
    has_rung: Mutex<bool>,
    rung: Condvar,
}

thread_local! {
    static OF_THREAD: Arc<Bell> = Arc::default();
}

impl Bell {
    /// The bell of this thread.
    pub(super) fn of_thread() -> Arc<Self> {
        // A thread that ends may still call, where one of its own values is dropped.
        OF_THREAD.try_with(Arc::clone).unwrap_or_default()
    }

    pub(super) fn waker(self: &Arc<Self>) -> Waker {
        Waker::from(Arc::clone(self))
    }

    /// Wakes the one who waits, or the next one who would.
    pub(super) fn ring(&self) {
        *self.lock() = true;
        self.rung.notify_one();
    }

    /// Waits until it has rung since the last time; not if that is after `due`.
    pub(super) fn wait_until(&self, due: Option<Instant>) -> bool {
        let mut has_rung = self.lock();
        while !*has_rung {
            let Some(due) = due else {
                has_rung = self.rung.wait(has_rung).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = due.saturating_duration_since(now());
            if left.is_zero() {
                return false;
            }
            let waited = self.rung.wait_timeout(has_rung, left);
            (has_rung, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        *has_rung = false;
        true
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.has_rung.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}
