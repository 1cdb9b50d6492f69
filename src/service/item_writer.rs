//! The items of a call, written as bytes.
//!
//! ```text
//!   write ──► gathered ──full, or flush──► waiting ──room in the call──► an item
//!                                                                         ⋮
//!   shutdown ──► flush ──► the end of the items        dropped before ──► they are broken off
//! ```
//!
//! `tokio_util::io::SinkWriter` makes an item of each write and has no end of its own; and whoever
//! has a sink of items can drop it as well as close it. Here many small writes are one item, the
//! end is said by `shutdown` alone, as to a socket, and whoever copies half of a file and fails has
//! not sent a whole one. An item is handed over in the step that has found room for it, so nothing
//! can come between the two.
//!
//! What is gathered is its owner's memory. It is charged to nobody until it is an item.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncWrite;

use super::halves::Sender;
use crate::error::{Error, Result};
use crate::format::{has_surplus, without_surplus};
#[cfg(doc)]
use crate::limits::Limits;
use crate::session::Item;

/// Writes the items of a call as bytes: an [`AsyncWrite`], made by
/// [`Sender::into_writer`](crate::Sender::into_writer) in a handler, and by
/// [`StreamedCall::into_writer`](crate::StreamedCall::into_writer) by whoever makes the call.
///
/// It gathers up to 64 KiB, or [`item_bytes_max`](Limits::item_bytes_max) if that is less, and
/// sends them as one item. `flush` sends what is gathered; it does not wait until somebody has read
/// it. `shutdown` does so and ends the items. Writing waits while the other side does not read.
///
/// **Dropped without `shutdown`, it has broken the items off**: the reader never gets an end of
/// file. A caller who reads gets an error. If it is the caller who has dropped its writer, the call
/// is given up, and the handler is dropped where it waits. [`tokio::io::copy`] flushes, and does
/// not shut down.
///
/// # Errors
///
/// [`BrokenPipe`](ErrorKind::BrokenPipe) if the call takes no more: the reader is gone, or its
/// handler has replied. Otherwise the error of the call, under the kind that is nearest to its
/// code. The [`Error`] is inside: `Error::from` takes it out. The error comes again, however often
/// one writes. [`NotConnected`](ErrorKind::NotConnected) if one writes after `shutdown`.
///
/// # Cancel safety
///
/// A write that is dropped before it is ready has taken nothing. A `flush` or a `shutdown` that is
/// dropped can be asked for again, and nothing is sent twice.
pub struct ItemWriter<T> {
    items: T,
    gathered: Gathered,
}

/// What has been written, on its way into the call.
struct Gathered {
    bytes: BytesMut,
    item_bytes_max: usize,
    // So large was the last item; the next has as much room from the beginning.
    item_bytes_last: usize,
    // Gathered, and waits for room in the call.
    waiting: Option<Item>,
    state: State,
}

enum State {
    Open,
    /// An item was lost, for which there was no memory.
    Failed(Error),
    Ended,
}

/// One side of a call, which takes items that are bytes.
pub(crate) trait TakesBytes {
    /// An item of these bytes.
    ///
    /// # Errors
    ///
    /// What the format says of it.
    fn encode(&self, bytes: Bytes) -> Result<Bytes>;

    /// Sends the item, which is taken when there is room for it.
    ///
    /// # Errors
    ///
    /// The call takes no more items; or this one is lost, if it was taken.
    fn poll_item(&mut self, cx: &mut Context<'_>, item: &mut Option<Item>) -> Poll<Result<()>>;

    /// Ends the items.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>>;
}

impl<T> ItemWriter<T> {
    pub(crate) fn new(items: T, item_bytes_max: usize) -> Self {
        Self { items, gathered: Gathered::new(item_bytes_max) }
    }

    /// Sends what is gathered, and answers what it wrote to, for whoever ends the items by other
    /// means.
    ///
    /// # Errors
    ///
    /// Something is lost that was written, and it was not the end of the call that did that.
    pub(crate) async fn into_flushed(mut self) -> Result<T>
    where
        T: TakesBytes,
    {
        let Self { items, gathered } = &mut self;
        let _ = poll_fn(|cx| gathered.poll_send(items, cx)).await;
        match self.gathered.state {
            State::Failed(error) => Err(error),
            // Why a call takes no more its end says.
            State::Open | State::Ended => Ok(self.items),
        }
    }
}

impl Sender<Bytes> {
    /// Writes the items as bytes: an [`AsyncWrite`], to copy a file to. See
    /// [`ItemWriter`] for how items are made, and what it means to drop it.
    ///
    /// In a handler the items end with the handler, whatever is done here; but a handler that has
    /// made a writer and not shut it down has not sent all. Its call fails, though it returns a
    /// value.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use switchboard::{Command, Endpoint, Result, Sender, Streamed, format};
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// const FETCH: Command<Bytes, Streamed<Bytes, Bytes>, format::Bytes> = Command::new("FETCH");
    ///
    /// async fn fetch(_name: Bytes, out: Sender<Bytes>) -> Result<Bytes> {
    ///     let mut file = &b"what is in the file"[..]; // tokio::fs::File::open(..).await?
    ///     let mut writer = out.into_writer();
    ///     tokio::io::copy(&mut file, &mut writer).await?;
    ///     writer.shutdown().await?;
    ///     Ok(Bytes::from("text/plain"))
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<()> {
    /// let client = Endpoint::new().on(FETCH, fetch).client();
    /// let mut file = client.call(FETCH, &Bytes::from("notes")).into_reader();
    /// let mut text = String::new();
    /// file.read_to_string(&mut text).await?;
    /// assert_eq!((&*text, &*file.finish().await?), ("what is in the file", &b"text/plain"[..]));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "a writer that is dropped has broken the items off"]
    pub fn into_writer(self) -> ItemWriter<Self> {
        self.begin_whole();
        let item_bytes_max = self.limits().item_bytes_max;
        ItemWriter::new(self, item_bytes_max)
    }
}

impl TakesBytes for Sender<Bytes> {
    fn encode(&self, bytes: Bytes) -> Result<Bytes> {
        self.encoded(&bytes)
    }

    fn poll_item(&mut self, cx: &mut Context<'_>, item: &mut Option<Item>) -> Poll<Result<()>> {
        self.poll_payload(cx, item)
    }

    fn poll_end(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        self.end_whole();
        Poll::Ready(Ok(()))
    }
}

impl Gathered {
    fn new(item_bytes_max: usize) -> Self {
        Self {
            bytes: BytesMut::new(),
            // Where no item may have a byte, the first of one byte says so.
            item_bytes_max: item_bytes_max.clamp(1, ITEM_BYTES_MAX),
            item_bytes_last: 0,
            waiting: None,
            state: State::Open,
        }
    }

    /// Takes in as much of these bytes as there is room for.
    fn poll_write(
        &mut self,
        items: &mut impl TakesBytes,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let State::Ended = self.state {
            return Poll::Ready(Err(ErrorKind::NotConnected.into()));
        }
        if self.is_full() {
            ready!(self.poll_send(items, cx)).map_err(io_error)?;
        }
        if let State::Failed(error) = &self.state {
            return Poll::Ready(Err(io_error(error.again())));
        }
        let room = self.item_bytes_max.saturating_sub(self.bytes.len());
        let bytes = bytes.get(..room).unwrap_or(bytes);
        if self.bytes.is_empty() {
            self.bytes.reserve(self.item_bytes_last.max(bytes.len()));
        }
        self.bytes.extend_from_slice(bytes);
        if self.is_full() {
            // At once, so that both sides are at work. An error comes again.
            let _ = self.poll_send(items, cx);
        }
        Poll::Ready(Ok(bytes.len()))
    }

    /// Whether nothing is taken in before something is sent.
    fn is_full(&self) -> bool {
        self.waiting.is_some() || self.bytes.len() >= self.item_bytes_max
    }

    /// Sends all that is here.
    fn poll_send(&mut self, items: &mut impl TakesBytes, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if let State::Failed(error) = &self.state {
            return Poll::Ready(Err(error.again()));
        }
        loop {
            if self.waiting.is_none() {
                if self.bytes.is_empty() {
                    return Poll::Ready(Ok(()));
                }
                self.item_bytes_last = self.bytes.len();
                let bytes = if self.is_full() && !has_surplus(&self.bytes) {
                    // The next is gathered in its memory, if it has been written by then.
                    self.bytes.split()
                } else {
                    without_surplus(std::mem::take(&mut self.bytes))
                };
                match items.encode(bytes.freeze()) {
                    Ok(payload) => self.waiting = Some(Item::new(payload)),
                    Err(error) => return Poll::Ready(Err(self.lose(error))),
                }
            }
            match ready!(items.poll_item(cx, &mut self.waiting)) {
                Ok(()) => {}
                Err(error) if self.waiting.is_some() => return Poll::Ready(Err(error)),
                Err(error) => return Poll::Ready(Err(self.lose(error))),
            }
        }
    }

    /// An item is lost, and the call goes on: what follows would not be what was written.
    fn lose(&mut self, error: Error) -> Error {
        self.state = State::Failed(error.again());
        error
    }

    fn poll_end(&mut self, items: &mut impl TakesBytes, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if let State::Ended = self.state {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_send(items, cx))?;
        ready!(items.poll_end(cx))?;
        self.state = State::Ended;
        Poll::Ready(Ok(()))
    }
}

impl<T: TakesBytes + Unpin> AsyncWrite for ItemWriter<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { items, gathered } = self.get_mut();
        gathered.poll_write(items, cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Self { items, gathered } = self.get_mut();
        let mut written = 0_usize;
        for bytes in slices {
            match gathered.poll_write(items, cx, bytes) {
                Poll::Ready(Ok(count)) => {
                    written = written.saturating_add(count);
                    if count < bytes.len() {
                        break;
                    }
                }
                // What has been taken in is told, and the rest is asked for again.
                Poll::Pending | Poll::Ready(Err(_)) if written > 0 => break,
                not_taken => return not_taken,
            }
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { items, gathered } = self.get_mut();
        ready!(gathered.poll_send(items, cx)).map_err(io_error)?;
        // Nobody knows when more is written.
        gathered.bytes = BytesMut::new();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { items, gathered } = self.get_mut();
        gathered.poll_end(items, cx).map_err(io_error)
    }
}

/// The error of whoever writes.
fn io_error(error: Error) -> io::Error {
    error.into_io(ErrorKind::BrokenPipe)
}

impl<T> fmt::Debug for ItemWriter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ItemWriter")
            .field("gathered", &self.gathered.bytes.len())
            .finish_non_exhaustive()
    }
}

/// So much is gathered: large enough that an item costs little beside its bytes, and no more than
/// what others may have by default.
const ITEM_BYTES_MAX: usize = 64 * 1024;
