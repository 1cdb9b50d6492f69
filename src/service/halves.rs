//! The two halves of a streamed call, with the types of their items.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker, ready};

use bytes::Bytes;
use futures_core::Stream;
use futures_sink::Sink;
use tokio::runtime::Handle;

use super::encoded::Encoded;
use super::items::{Items, poll_lent};
use crate::asking::{DecodeItem, EncodeItem, decode_item, encode_item};
use crate::error::{Code, Error, Result};
use crate::limits::Limits;
use crate::session::Item;

/// Sends the items of a reply. It is an argument of a handler if the reply of its command is
/// [`Streamed`](crate::Streamed). [`StreamedCall::split`](crate::StreamedCall::split) gives one for
/// the items of a request.
///
/// Items go to the caller only as fast as it takes them: [`send`](Self::send) waits for room. The
/// stream ends when the handler returns, with its value or its error. A sender of a request ends it
/// by [`end`](Self::end); dropping it before that gives the call up.
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
///
/// It is a [`Sink`], too. An item counts as flushed when the call has taken it; closing the sink is
/// [`end`](Self::end).
///
/// ```
/// # #[cfg(feature = "bincode")] {
/// use futures_util::StreamExt;
/// use switchboard::{Command, Endpoint, Receiver, Result, Sender, Streamed};
///
/// const SHOUT: Command<Streamed<String>, Streamed<String>> = Command::new("SHOUT");
///
/// async fn shout(_: (), words: Receiver<String>, out: Sender<String>) -> Result<()> {
///     words.map(|word| word.map(|word| word.to_uppercase())).forward(out).await
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let client = Endpoint::new().on(SHOUT, shout).client();
/// let mut words = client.call(SHOUT, &());
/// words.send(&"hello".to_owned()).await?;
/// words.end().await?;
/// assert_eq!(words.next().await.unwrap()?, "HELLO");
/// assert!(words.next().await.is_none());
/// # Ok(())
/// # } }
/// ```
pub struct Sender<I> {
    of: ItemsOfCall,
    format: &'static str,
    encode: EncodeItem<I>,
    // Of whoever made the call, and has not ended its request.
    gives_up: bool,
}

/// Takes the items of a request. It is an argument of a handler if the request of its command is
/// [`Streamed`](crate::Streamed), after the value that the request begins with.
///
/// It is a [`Stream`] of results, too, which ends after an error of the call. A handler that drops
/// it wants no more: further items are dropped as they come, and their sender waits for nobody.
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
    // Behind the one that was given out last.
    lent: VecDeque<Item>,
    position: Option<u64>,
    is_over: bool,
}

/// The items of one call, without their types, and what bounds them.
#[derive(Clone)]
pub(crate) struct ItemsOfCall {
    pub(crate) items: Arc<dyn Items>,
    pub(crate) limits: Arc<Limits>,
    // To the handler of the call.
    pub(crate) is_lent: bool,
}

impl ItemsOfCall {
    async fn send(&self, payload: Result<Bytes>, position: Option<u64>) -> Result<()> {
        let mut item = Some(Item { payload: payload?, position });
        let mut held = None;
        let sent = poll_fn(|cx| {
            // Or it would be counted twice where it goes.
            held = None;
            let sent = self.items.poll_send(cx, &mut item);
            if let (Poll::Pending, Some(item)) = (&sent, &item) {
                held = self.items.hold(item.payload.len())?;
            }
            sent
        })
        .await;
        sent.map_err(|error| self.known(error))
    }

    /// An error of these items. A handler that is told that its own call is over tells nobody
    /// anything new, and has not failed.
    fn known(&self, error: Error) -> Error {
        let is_over = error.code() == Code::Cancelled;
        if self.is_lent && is_over { error.for_caller() } else { error }
    }
}

impl<I> Sender<I> {
    /// Sends an item, as soon as there is room for it.
    ///
    /// # Errors
    ///
    /// `cancelled` if nobody takes items any more: the caller is gone, has given up, or its time is
    /// over. `too_large` if the item is over [`item_bytes_max`](Limits::item_bytes_max), or an
    /// error of the format; nothing was sent then. `overloaded` if the endpoint has no memory for
    /// it.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, it has sent nothing.
    pub fn send<'a>(&'a self, item: &I) -> impl Future<Output = Result<()>> + Send + use<'a, I> {
        self.of.send(self.encoded(item), None)
    }

    /// Sends an item at this position of its source, if that does not follow the position of the
    /// item before. Items that are [sent](Self::send) after it count on from there. See
    /// [`open_at`](Self::open_at).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    pub fn send_at<'a>(
        &'a self,
        position: u64,
        item: &I,
    ) -> impl Future<Output = Result<()>> + Send + use<'a, I> {
        self.of.send(self.encoded(item), Some(position))
    }

    /// Sends an item that goes to others as well, and is encoded once for all of them. Its position
    /// is the one after the item before, if that has one.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    pub fn send_encoded<'a>(
        &'a self,
        item: &Encoded<I>,
    ) -> impl Future<Output = Result<()>> + Send + use<'a, I> {
        self.of.send(item.payload(self.format, self.encode, &self.of.limits), None)
    }

    /// Sends an item if there is room for it now, and answers whether there was. It is for a hub
    /// that does not wait for its slowest reader.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn try_send(&self, item: &I) -> Result<bool> {
        self.try_send_payload(self.encoded(item)?)
    }

    /// As [`try_send`](Self::try_send), for an item that goes to others as well.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn try_send_encoded(&self, item: &Encoded<I>) -> Result<bool> {
        let payload = item.payload(self.format, self.encode, &self.of.limits)?;
        self.try_send_payload(payload)
    }

    /// As [`send`](Self::send), in a function that blocks: it blocks its thread as long as its
    /// caller takes nothing.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// # Panics
    ///
    /// In an async function, and on a thread of no tokio runtime.
    pub fn blocking_send(&self, item: &I) -> Result<()> {
        Handle::current().block_on(self.send(item))
    }

    /// Whether nobody takes items any more. Then it is useless to make one.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        let room = self.of.items.poll_send(&mut Context::from_waker(Waker::noop()), &mut None);
        matches!(room, Poll::Ready(Err(_)))
    }

    /// Says that the call is taken, before the first item: the caller learns it by
    /// [`StreamedCall::opened`](crate::StreamedCall::opened). It does nothing after an item, at the
    /// second time, or for a request.
    pub fn open(&self) {
        self.say_open(None);
    }

    /// As [`open`](Self::open), and says that its items begin at this position of their source. The
    /// position of each item that is [sent](Self::send) is that of the item before it, plus 1.
    ///
    /// If the caller wants to [go on](crate::Context::resume_at) from a position, it takes items
    /// only after this was called with that position.
    pub fn open_at(&self, position: u64) {
        self.say_open(Some(position));
    }

    /// Ends the items of a request. In a handler it does nothing: the items of a reply end when the
    /// handler returns.
    pub fn end(mut self) {
        self.end_whole();
    }

    /// Of a handler.
    pub(crate) fn new(of: ItemsOfCall, format: &'static str, encode: EncodeItem<I>) -> Self {
        Self { of, format, encode, gives_up: false }
    }

    /// Of whoever made the call.
    pub(crate) fn of_caller(of: ItemsOfCall, format: &'static str, encode: EncodeItem<I>) -> Self {
        Self { of, format, encode, gives_up: true }
    }

    fn say_open(&self, position: Option<u64>) {
        // A request is taken by its handler, and not by whoever makes it.
        if !self.gives_up {
            self.of.items.open(position);
        }
    }

    /// Sends what has been encoded, when there is room for it.
    pub(super) fn poll_payload(
        &self,
        cx: &mut Context<'_>,
        payload: &mut Option<Item>,
    ) -> Poll<Result<()>> {
        self.of.items.poll_send(cx, payload).map_err(|error| self.of.known(error))
    }

    /// Its items are parts of a whole from now on, and broken off if that is not
    /// [ended](Self::end_whole).
    pub(super) fn begin_whole(&self) {
        self.of.items.owe_end();
    }

    /// As [`end`](Self::end), by one that is kept.
    pub(super) fn end_whole(&mut self) {
        self.gives_up = false;
        self.of.items.end();
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.of.limits
    }

    fn try_send_payload(&self, payload: Bytes) -> Result<bool> {
        try_send(&*self.of.items, payload).map_err(|error| self.of.known(error))
    }

    pub(super) fn encoded(&self, item: &I) -> Result<Bytes> {
        encode_item(self.encode, item, &self.of.limits)
    }
}

impl<I> Drop for Sender<I> {
    fn drop(&mut self) {
        if self.gives_up {
            self.of.items.abort();
        }
    }
}

impl<I> Sink<I> for Sender<I> {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.poll_payload(cx, &mut None)
    }

    fn start_send(self: Pin<&mut Self>, item: I) -> Result<()> {
        let payload = self.encoded(&item)?;
        start_send(&*self.of.items, payload).map_err(|error| self.of.known(error))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        self.end_whole();
        Poll::Ready(Ok(()))
    }
}

/// Sends an item for which there was room when it was looked for.
pub(crate) fn start_send(items: &dyn Items, payload: Bytes) -> Result<()> {
    if try_send(items, payload)? {
        return Ok(());
    }
    Err(Error::local(Code::Failed, "an item was sent before it was its turn"))
}

fn try_send(items: &dyn Items, payload: Bytes) -> Result<bool> {
    let mut item = Some(Item::new(payload));
    match items.poll_send(&mut Context::from_waker(Waker::noop()), &mut item) {
        Poll::Ready(sent) => sent.map(|()| true),
        Poll::Pending => Ok(false),
    }
}

impl<I> Receiver<I> {
    /// The next item; `None` after the last. A [`StreamedCall`](crate::StreamedCall::next) gives
    /// these the other way round, as an `Option` of a `Result`, which `.transpose()?` turns.
    ///
    /// # Errors
    ///
    /// `bad_payload` if the item is not of this type. `cancelled` if the call is over before its
    /// last item: an async handler has been stopped by then. The call ends with this error if the
    /// handler returns it.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no item is lost.
    pub async fn next(&mut self) -> Result<Option<I>> {
        poll_fn(|cx| self.poll_item(cx)).await
    }

    /// As [`next`](Self::next), in a function that blocks.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    ///
    /// # Panics
    ///
    /// In an async function, and on a thread of no tokio runtime.
    pub fn blocking_next(&mut self) -> Result<Option<I>> {
        Handle::current().block_on(self.next())
    }

    /// The position in its source of the item that came last, if its sender says it.
    #[must_use]
    pub fn position(&self) -> Option<u64> {
        self.position
    }

    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<I>>> {
        let next = ready!(poll_lent(&*self.of.items, cx, &mut self.lent));
        self.is_over = !matches!(next, Ok(Some(_)));
        let Some(item) = next.map_err(|error| self.of.known(error))? else {
            return Poll::Ready(Ok(None));
        };
        self.position = item.position;
        let item = decode_item(self.decode, item.payload, &self.of.limits);
        Poll::Ready(item.map(Some).map_err(Error::for_caller))
    }

    pub(crate) fn new(of: ItemsOfCall, decode: DecodeItem<I>) -> Self {
        Self { of, decode, lent: VecDeque::new(), position: None, is_over: false }
    }
}

impl<I> Stream for Receiver<I> {
    type Item = Result<I>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<I>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        self.poll_item(cx).map(Result::transpose)
    }
}

impl<I> Drop for Receiver<I> {
    fn drop(&mut self) {
        if !self.is_over {
            Arc::new(Unwanted(Arc::clone(&self.of.items))).wake();
        }
    }
}

/// The items of a request that its handler takes no more, while it goes on: they are dropped as
/// they come. Without that its caller would wait for room in vain, and give the call up in the end.
struct Unwanted(Arc<dyn Items>);

impl Wake for Unwanted {
    /// By whoever brings an item, which holds no lock then. Kept by the items until the call ends.
    fn wake(self: Arc<Self>) {
        let waker = Waker::from(Arc::clone(&self));
        let mut cx = Context::from_waker(&waker);
        while let Poll::Ready(Ok(Some(_))) = self.0.poll_next(&mut cx) {}
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
