//! The cache in front of the shelf: what is asked for often is loaded once.
//!
//! ```text
//!   count ─► is it there, for the changes so far? ─yes─► answer
//!                └─no─► a task of its own: one loader for all who wait ─► kept, and answered
//! ```
//!
//! moka bounds the entries and their age, and lets many wait for one loader. What it does not do is
//! done here:
//!
//! - A value is kept under its item and the [`Changes`] of it, so no old value is ever asked for.
//! - A loader runs in a task of its own. If it ran in that of a caller who leaves, moka would let
//!   the next caller load anew; after 200 of these in a row, it panics.
//! - A loader that panics is an error for all who wait. moka would let each of them try in turn.
//! - A loader has a limit on its time, so that no such task stays.
//!
//! Errors are not kept, and neither are items that do not exist: else anybody could fill the cache
//! with names. Whoever comes after a failure loads anew.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use moka::future::Cache;
use moka::policy::EvictionPolicy;
use tokio::time::timeout;

use crate::changes::Changes;
use crate::commands::unknown;
use crate::store::StoreError;

/// Where stock is counted if the cache does not know it.
pub trait Shelf: Send + Sync + 'static {
    /// How many pieces there are; `None` if there is no such item.
    fn count(&self, item: &str) -> impl Future<Output = Result<Option<u64>, StoreError>> + Send;
}

/// Counts of pieces that were asked for lately. Clones share them.
pub struct StockCache<S> {
    shelf: Arc<S>,
    changes: Arc<Changes>,
    counts: Cache<Key, u64>,
    counted: Arc<Figures>,
}

/// What the cache has done so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counted {
    /// How often somebody asked.
    pub requests: u64,
    /// How often the shelf was looked at for that.
    pub loads: u64,
}

/// Why a count could not be loaded.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LoadError {
    /// There is no such item.
    Unknown,
    /// The store failed.
    Failed(StoreError),
    /// The loader panicked.
    Panicked,
    /// The loader took longer than it may.
    TooSlow,
}

/// An item, and how often it had changed when the value was asked for.
type Key = (Arc<str>, u64);

#[derive(Default)]
struct Figures {
    requests: AtomicU64,
    loads: AtomicU64,
}

impl<S: Shelf> StockCache<S> {
    /// A cache of at most so many entries, each for at most this time.
    pub fn new(shelf: Arc<S>, changes: Arc<Changes>, entries_max: u64, time_max: Duration) -> Self {
        // Not moka's usual policy, which keeps new keys out while old ones were asked for more
        // often: a change makes a new key.
        let counts = Cache::builder()
            .max_capacity(entries_max)
            .time_to_live(time_max)
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self { shelf, changes, counts, counted: Arc::default() }
    }

    /// How many pieces of this item there are: no fewer changes are in it than had been answered
    /// when this was called.
    ///
    /// # Errors
    ///
    /// What kept it from being loaded; it is the same for all who waited for it.
    pub async fn count(&self, item: &str) -> Result<u64, LoadError> {
        self.counted.requests.fetch_add(1, Ordering::Relaxed);
        let key = (Arc::from(item), self.changes.of(item));
        if let Some(count) = self.counts.get(&key).await {
            return Ok(count);
        }
        let cache = self.clone();
        let loaded = tokio::spawn(async move { cache.load(key).await }).await;
        // What panics is caught in there; this is a runtime that ends.
        loaded.unwrap_or(Err(LoadError::Panicked))
    }

    /// What was done so far.
    #[must_use]
    pub fn counted(&self) -> Counted {
        let Figures { requests, loads } = &*self.counted;
        let [requests, loads] = [requests, loads].map(|figure| figure.load(Ordering::Relaxed));
        Counted { requests, loads }
    }

    /// How many entries there are, when what is over the bound or too old is gone.
    pub async fn entries(&self) -> u64 {
        self.counts.run_pending_tasks().await;
        self.counts.entry_count()
    }

    async fn load(&self, key: Key) -> Result<u64, LoadError> {
        let item = Arc::clone(&key.0);
        let load = async {
            self.counted.loads.fetch_add(1, Ordering::Relaxed);
            // The call itself is in there, as it may panic before there is a future.
            let counting = async { self.shelf.count(&item).await };
            let counting = AssertUnwindSafe(counting).catch_unwind();
            let loaded = match timeout(LOAD_TIME_MAX, counting).await {
                Ok(Ok(Ok(Some(count)))) => return Ok(count),
                Ok(Ok(Ok(None))) => return Err(LoadError::Unknown),
                Ok(Ok(Err(error))) => LoadError::Failed(error),
                Ok(Err(_)) => LoadError::Panicked,
                Err(_) => LoadError::TooSlow,
            };
            // Once, however many wait.
            tracing::error!(%item, error = %loaded, "the stock could not be loaded");
            Err(loaded)
        };
        self.counts.try_get_with(key, load).await.map_err(|error| LoadError::clone(&error))
    }
}

impl LoadError {
    /// What the caller is told, who asked for this item.
    pub(crate) fn tell(&self, item: &str) -> switchboard::Error {
        match self {
            Self::Unknown => unknown(item),
            _ => {
                let text = format!("the stock of {item:?} could not be read; try again");
                switchboard::Error::new(switchboard::Code::Failed, text).with_retry_after(AGAIN)
            }
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => write!(f, "there is no such item"),
            Self::Failed(error) => write!(f, "{error}"),
            Self::Panicked => write!(f, "the loader panicked"),
            Self::TooSlow => write!(f, "the loader took longer than {LOAD_TIME_MAX:?}"),
        }
    }
}

impl std::error::Error for LoadError {}

impl<S> Clone for StockCache<S> {
    fn clone(&self) -> Self {
        Self {
            shelf: Arc::clone(&self.shelf),
            changes: Arc::clone(&self.changes),
            counts: self.counts.clone(),
            counted: Arc::clone(&self.counted),
        }
    }
}

impl<S> fmt::Debug for StockCache<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StockCache").field("counts", &self.counts).finish_non_exhaustive()
    }
}

/// Time for one look at the shelf.
const LOAD_TIME_MAX: Duration = Duration::from_secs(5);

/// When it is worth asking again after a failure.
const AGAIN: Duration = Duration::from_millis(200);
