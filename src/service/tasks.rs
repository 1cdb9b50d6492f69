//! What handlers leave running behind their calls, and how it ends.
//!
//! ```text
//!   running ──drain──► told, by `draining` ──until the drain is over──► cut off: dropped
//!      └── done             └── done
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// Whether a listener is to stop: made by [`Incoming::draining`](crate::Incoming::draining). A
/// protocol that serves a connection without an end looks at it, and ends then.
#[derive(Clone, Debug)]
pub struct Draining {
    tasks: Arc<Tasks>,
}

impl Draining {
    /// Whether to take no more connections and requests.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.tasks.draining.is_cancelled()
    }

    /// Waits until it is so.
    ///
    /// # Cancel safety
    ///
    /// Only waits.
    pub async fn wait(&self) {
        self.tasks.draining.cancelled().await;
    }

    pub(super) fn tasks(&self) -> &Arc<Tasks> {
        &self.tasks
    }
}

/// The tasks of one listener, or of one door.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    tracker: TaskTracker,
    draining: CancellationToken,
    over: CancellationToken,
    cut_off: Arc<AtomicU64>,
}

impl Tasks {
    /// Runs this until it is done, or the drain is over.
    pub(crate) fn spawn(self: &Arc<Self>, work: impl Future<Output = ()> + Send + 'static) {
        let tasks = Arc::clone(self);
        let work = async move {
            tokio::select! {
                biased;
                () = work => {}
                () = tasks.over.cancelled() => {
                    tasks.cut_off.fetch_add(1, Ordering::AcqRel);
                }
            }
        };
        self.tracker.spawn(work.in_current_span());
    }

    /// The same for one connection of them, which may drain by itself.
    #[cfg(any(feature = "gob", feature = "json"))]
    pub(crate) fn of_connection(&self) -> Self {
        let (tracker, over) = (self.tracker.clone(), self.over.clone());
        Self { tracker, draining: self.draining(), over, cut_off: Arc::clone(&self.cut_off) }
    }

    /// Their end, as whoever is not one of them may see it.
    pub(crate) fn end_to_come(self: &Arc<Self>) -> Draining {
        Draining { tasks: Arc::clone(self) }
    }

    /// Tells all of them, and those to come, that it is time to end.
    pub(crate) fn drain(&self) {
        self.draining.cancel();
    }

    /// Cancelled when it is time to end. One that is cancelled by itself cancels no other.
    pub(crate) fn draining(&self) -> CancellationToken {
        self.draining.child_token()
    }

    /// Waits until all are done, and cuts off those that are not by then; answers how many.
    pub(crate) async fn end(&self, until: Instant) -> u64 {
        self.tracker.close();
        if timeout_at(until, self.tracker.wait()).await.is_err() {
            self.over.cancel();
            // One that never waits cannot be dropped, and is not waited for.
            tokio::task::yield_now().await;
        }
        self.cut_off.load(Ordering::Acquire)
    }
}
