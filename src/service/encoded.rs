//! An item for many.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::items::{EncodeItem, check_item_bytes, encode_item};
use crate::error::Result;
use crate::limits::Limits;

/// An item that goes to many, encoded once for each format that they speak: made once by a hub,
/// sent to each by [`Sender::send_encoded`](crate::Sender::send_encoded). Clones are the same item.
///
/// Each of its streams counts the bytes as its own, though they are there once.
///
/// ```
/// # #[cfg(feature = "bincode")] {
/// use switchboard::{Encoded, Result, Sender};
///
/// async fn publish(news: String, readers: &[Sender<String>]) -> Result<()> {
///     let news = Encoded::new(news);
///     for reader in readers {
///         reader.send_encoded(&news).await?;
///     }
///     Ok(())
/// }
/// # }
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
    /// This item, of which nothing is encoded before somebody takes it.
    pub fn new(item: I) -> Self {
        Self { item: Arc::new(Item { value: item, payloads: Mutex::default() }) }
    }

    /// The item.
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
