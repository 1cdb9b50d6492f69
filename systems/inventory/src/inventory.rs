//! The inventory: an endpoint over the store, the cache and the slow count.
//!
//! Every rule is kept here or below, once, whichever door a call comes through. Every bound is
//! either in [`Settings`] or one of the library's own.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use switchboard::service::PeerLimits;
use switchboard::{Context, Endpoint, Limits, Result, blocking, with_state};

use crate::cache::{Shelf, StockCache};
use crate::changes::Changes;
use crate::commands::{
    CHECK_STOCK, CHECK_STOCK_IN_LINES, RECOUNT, RECOUNT_BLOCKING, RESERVE, Reservation, Reserved,
    check_id, unknown,
};
use crate::recount::Recount;
use crate::store::{Outcome, SqliteStore, StoreError};

/// The stock of the first day.
pub const FIRST_STOCK: [(&str, u32); 2] = [("item1", 100), ("item2", 50)];

/// The bounds that somebody who runs it may want to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// Time that a call may take.
    pub call_time_max: Duration,
    /// Calls that a client may begin in a second.
    pub calls_per_second: u32,
    /// Calls that a client may begin at once.
    pub calls_at_once: u32,
    /// Counts that the cache keeps.
    pub cache_entries_max: u64,
    /// Time that it keeps one.
    pub cache_time_max: Duration,
    /// Time for one piece in the slow count.
    pub recount_pause: Duration,
}

/// What the handlers share.
#[derive(Debug)]
pub struct Inventory {
    store: SqliteStore,
    cache: StockCache<SqliteStore>,
    recount: Arc<Recount>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            call_time_max: Duration::from_secs(5),
            calls_per_second: 1000,
            calls_at_once: 2000,
            cache_entries_max: 10_000,
            cache_time_max: Duration::from_secs(10),
            recount_pause: Duration::from_millis(100),
        }
    }
}

impl Settings {
    /// These settings with a change.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

impl Inventory {
    /// Opens the file, or makes it with the stock of the first day.
    ///
    /// # Errors
    ///
    /// What kept it from being opened.
    pub fn open(path: impl AsRef<Path>, settings: &Settings) -> Result<Arc<Self>, StoreError> {
        let changes = Arc::new(Changes::new());
        let store = SqliteStore::open(path, &FIRST_STOCK, &changes)?;
        let (entries_max, time_max) = (settings.cache_entries_max, settings.cache_time_max);
        let cache = StockCache::new(Arc::new(store.clone()), changes, entries_max, time_max);
        let recount = Arc::new(Recount::new(settings.recount_pause));
        Ok(Arc::new(Self { store, cache, recount }))
    }

    /// An endpoint that answers the commands of the inventory.
    pub fn endpoint(self: &Arc<Self>, settings: &Settings) -> Endpoint {
        let limits =
            PeerLimits::new().calls_per_second(settings.calls_per_second, settings.calls_at_once);
        Endpoint::new()
            .with_limits(Limits::default().with(|limits| {
                limits.call_time_max = settings.call_time_max;
            }))
            .on(CHECK_STOCK, with_state(self, Self::check_stock))
            .on(CHECK_STOCK_IN_LINES, with_state(self, Self::check_stock))
            .on(RESERVE, with_state(self, Self::reserve))
            .on(RECOUNT, with_state(self, Self::recount))
            .on(RECOUNT_BLOCKING, with_state(self, blocking(Self::recount_blocking)))
            .layer(limits)
    }

    /// The cache in front of the store.
    #[must_use]
    pub fn cache(&self) -> &StockCache<SqliteStore> {
        &self.cache
    }

    /// The slow count.
    #[must_use]
    pub fn recounted(&self) -> &Recount {
        &self.recount
    }

    async fn check_stock(self: Arc<Self>, item: String) -> Result<u64> {
        check_id("the name of an item", &item)?;
        self.cache.count(&item).await.map_err(|error| error.tell(&item))
    }

    async fn reserve(self: Arc<Self>, asked: Reservation, context: Context) -> Result<Reserved> {
        asked.check()?;
        let item = asked.item.clone();
        let reserved = match self.store.reserve(asked).await? {
            Outcome::Reserved(reserved) => reserved,
            Outcome::Refused(refused) => return Err(refused.into()),
            Outcome::Unknown => return Err(unknown(&item)),
        };
        let Reserved { order, item, count, left } = &reserved;
        tracing::info!(trace_id = trace_id(&context), order, item, count, left, "reserved");
        Ok(reserved)
    }

    async fn recount(self: Arc<Self>, _request: ()) -> Result<u64> {
        let total = self.store.total().await?;
        Ok(Arc::clone(&self.recount).count(total).await)
    }

    #[expect(clippy::needless_pass_by_value, reason = "a handler owns what it is given")]
    fn recount_blocking(self: Arc<Self>, _request: (), context: Context) -> Result<u64> {
        let total = tokio::runtime::Handle::current().block_on(self.store.total())?;
        Arc::clone(&self.recount).count_blocking(total, &context)
    }
}

impl Shelf for SqliteStore {
    async fn count(&self, item: &str) -> Result<Option<u64>, StoreError> {
        Self::count(self, item).await
    }
}

/// The trace of a call, as the log has it; nothing if it belongs to none.
pub(crate) fn trace_id(context: &Context) -> Option<String> {
    context.trace().map(|trace| format!("{:032x}", trace.trace_id()))
}
