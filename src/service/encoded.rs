//! An item for many.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::asking::{EncodeItem, check_item_bytes, encode_item};
use crate::error::Result;
use crate::limits::Limits;

/// An item for many readers, encoded once for each format that they speak. A hub makes it once and
/// sends it to each reader by [`Sender::send_encoded`](crate::Sender::send_encoded). Clones are the
/// same item.
///
/// Each stream counts the bytes of the item as its own, though they are in memory once.
///
/// A hub that waited for each reader in turn would be as slow as the slowest. Here each reader has
/// a queue:
///
/// ```
/// use std::sync::Arc;
/// use switchboard::{Code, Encoded, Error, Result, Sender};
/// use tokio::sync::broadcast;
///
/// struct Hub {
///     news: broadcast::Sender<Encoded<String>>,
/// }
///
/// impl Hub {
///     fn publish(&self, text: String) {
///         // An error: nobody reads.
///         let _ = self.news.send(Encoded::new(text));
///     }
///
///     // The handler of a command whose reply is `Streamed<String>`.
///     async fn read(self: Arc<Self>, _request: (), out: Sender<String>) -> Result<()> {
///         let mut news = self.news.subscribe();
///         while let Ok(item) = news.recv().await {
///             out.send_encoded(&item).await?;
///         }
///         Err(Error::new(Code::Overloaded, "too slow for the news"))
///     }
/// }
/// ```
pub struct Encoded<I> {
    item: Arc<Item<I>>,
}

struct Item<I> {
    value: I,
    // By format: few, as a command speaks few.
    payloads: Mutex<Vec<(&'static str, Bytes)>>,
}

impl<I> Encoded<I> {
    /// Makes one of `item`. It is encoded only when somebody sends it.
    pub fn new(item: I) -> Self {
        Self { item: Arc::new(Item { value: item, payloads: Mutex::default() }) }
    }

    /// The item, as it was given.
    #[must_use]
    pub fn get(&self) -> &I {
        &self.item.value
    }

    pub(super) fn payload(
        &self,
        format: &'static str,
        encode: EncodeItem<I>,
        limits: &Limits,
    ) -> Result<Bytes> {
        if let Some(payload) = self.find(format) {
            check_item_bytes(payload.len(), limits)?;
            return Ok(payload);
        }
        // Encoding runs code of the item's, so nothing is locked meanwhile.
        let payload = encode_item(encode, &self.item.value, limits)?;
        self.lock().push((format, payload.clone()));
        Ok(payload)
    }

    fn find(&self, format: &str) -> Option<Bytes> {
        let payloads = self.lock();
        let found = payloads.iter().find(|(name, _)| *name == format);
        found.map(|(_, payload)| payload.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(&'static str, Bytes)>> {
        self.item.payloads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<I> Clone for Encoded<I> {
    fn clone(&self) -> Self {
        Self { item: Arc::clone(&self.item) }
    }
}

impl<I: fmt::Debug> fmt::Debug for Encoded<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Encoded").field(self.get()).finish()
    }
}
