//! The two halves of a streamed call, with the types of their items.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::items::{DecodeItem, EncodeItem, Items, decode_item, encode_item};
use crate::error::{Error, Result};
use crate::limits::Limits;

/// Sends the items of a reply: an argument of a handler of a command whose reply is
/// [`Streamed`](crate::Streamed). [`StreamedCall::split`](crate::StreamedCall::split) gives one for
/// those of a request.
///
/// What is sent goes to the caller as fast as that takes it, and no faster: [`send`](Self::send)
/// waits for room. The stream ends when the handler returns: with its value if it went well, with
/// its error if not.
///
/// ```
/// # #[cfg(feature = "bincode")] {
/// use switchboard::{Command, Endpoint, Result, Sender, Streamed};
///
/// const COUNT: Command<u32, Streamed<u32>> = Command::new("COUNT");
///
/// async fn count(end: u32, out: Sender<u32>) -> Result<()> {
///     for number in 1..=end {
///         out.send(&number).await?;
///     }
///     Ok(())
/// }
///
/// let endpoint = Endpoint::new().on(COUNT, count);
/// # }
/// ```
pub struct Sender<I> {
    of: ItemsOfCall,
    encode: EncodeItem<I>,
}

/// Takes the items of a request: an argument of a handler of a command whose request is
/// [`Streamed`](crate::Streamed), behind what the request begins with.
///
/// ```
/// # #[cfg(feature = "bincode")] {
/// use switchboard::{Command, Endpoint, Receiver, Result, Streamed};
///
/// const SUM: Command<Streamed<u32>, u64> = Command::new("SUM");
///
/// async fn sum(_: (), mut numbers: Receiver<u32>) -> Result<u64> {
///     let mut sum = 0;
///     while let Some(number) = numbers.next().await? {
///         sum += u64::from(number);
///     }
///     Ok(sum)
/// }
///
/// let endpoint = Endpoint::new().on(SUM, sum);
/// # }
/// ```
pub struct Receiver<I> {
    of: ItemsOfCall,
    decode: DecodeItem<I>,
}

/// The items of one call, without their types, and what bounds them.
#[derive(Clone)]
pub(crate) struct ItemsOfCall {
    pub(crate) items: Arc<dyn Items>,
    pub(crate) limits: Arc<Limits>,
}

impl<I> Sender<I> {
    /// Sends an item, as soon as there is room for it.
    ///
    /// # Errors
    ///
    /// `cancelled` if nobody takes items any more: the caller is gone, has given up, or its time is
    /// over. `too_large` if the item is over [`item_bytes_max`](Limits::item_bytes_max), and what
    /// the format says of it; nothing was sent then.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, it has sent nothing.
    pub async fn send(&self, item: &I) -> Result<()> {
        let mut item = Some(encode_item(self.encode, item, &self.of.limits)?);
        poll_fn(|cx| self.of.items.poll_send(cx, &mut item)).await
    }

    pub(crate) fn new(of: ItemsOfCall, encode: EncodeItem<I>) -> Self {
        Self { of, encode }
    }
}

impl<I> Receiver<I> {
    /// The next item; `None` behind the last.
    ///
    /// # Errors
    ///
    /// `bad_payload` if the item is not of this type. The call ends with this error if the handler
    /// returns it.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no item is lost.
    pub async fn next(&mut self) -> Result<Option<I>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<I>>> {
        let Some(item) = ready!(self.of.items.poll_next(cx)) else {
            return Poll::Ready(Ok(None));
        };
        let item = decode_item(self.decode, item, &self.of.limits);
        Poll::Ready(item.map(Some).map_err(Error::for_caller))
    }

    pub(crate) fn new(of: ItemsOfCall, decode: DecodeItem<I>) -> Self {
        Self { of, decode }
    }
}

impl<I> fmt::Debug for Sender<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl<I> fmt::Debug for Receiver<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}
