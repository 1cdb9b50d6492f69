//! What a test waits for, none of it by the clock.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

/// Ends a test that would hang. Paused time passes only when nothing else can be done.
pub async fn within<T>(work: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(3600), work).await.expect("it hangs")
}

/// Lets everything run that can run without time passing.
pub async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// Something that is counted, and can be waited for.
#[derive(Clone, Debug)]
pub struct Count(Arc<watch::Sender<usize>>);

impl Default for Count {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl Count {
    pub fn add(&self) {
        self.0.send_modify(|count| *count += 1);
    }

    pub fn now(&self) -> usize {
        *self.0.borrow()
    }

    pub async fn reach(&self, count: usize) {
        within(self.0.subscribe().wait_for(|now| *now >= count)).await.unwrap();
    }

    /// Counts when it is dropped.
    pub fn guard(&self) -> Guard {
        Guard(self.clone())
    }
}

#[derive(Debug)]
pub struct Guard(Count);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.add();
    }
}
