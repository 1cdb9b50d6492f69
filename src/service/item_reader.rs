//! The items of a call, read as bytes.
//!
//! ```text
//!   an item ──► piece ──read as it asks──► ... ──► the next item
//!      │ the last one, of a call that went well ──► end of file
//!      └ the error of the call ──► that error, whenever one reads
//! ```
//!
//! `tokio_util::io::StreamReader` would do nearly the same, but for two things. A stream of items
//! ends after its error, so what reads on behind an error would take that for the end of the file:
//! here the error comes again. And the final value of a call is to be had from whoever has read its
//! items.
//!
//! An item is what was read from the connection, and is copied only by whoever wants it in a buffer
//! of its own.

use std::fmt;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures_core::Stream;
use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};

use super::halves::Receiver;
use crate::error::{Error, Result};

/// Reads the items of a call as bytes: an [`AsyncRead`], made by
/// [`Receiver::into_reader`](crate::Receiver::into_reader) in a handler, and by
/// [`StreamedCall::into_reader`](crate::StreamedCall::into_reader) by whoever makes the call.
///
/// It is an [`AsyncBufRead`] as well, whose buffer is the item: [`tokio::io::copy_buf`] copies less
/// than [`tokio::io::copy`]. How the bytes were cut into items cannot be seen. The other side may
/// write so much ahead as the call has credit for: 256 KiB if its format is
/// [`Bytes`](crate::format::Bytes).
///
/// **The end of file comes only behind the last item of a whole stream.** If whoever writes breaks
/// it off, or the call fails, reading gives an error.
///
/// # Errors
///
/// [`ConnectionAborted`](ErrorKind::ConnectionAborted) if the items were broken off, or the call
/// was given up. Otherwise the error of the call, under the kind that is nearest to its code. The
/// [`Error`] is inside: `Error::from` takes it out. The error comes again, however often one reads.
///
/// # Cancel safety
///
/// Cancel safe: a read that is dropped before it is ready has taken nothing.
pub struct ItemReader<T> {
    items: T,
    // Of the item that came last: what has not been read yet.
    piece: Bytes,
    state: State,
}

enum State {
    Open,
    Failed(Error),
    Ended,
}

impl<T> ItemReader<T> {
    /// What it read from, with the items that it has not come to. What it has not given out of the
    /// item that came last is lost.
    pub fn into_inner(self) -> T {
        self.items
    }

    pub(crate) fn new(items: T) -> Self {
        Self { items, piece: Bytes::new(), state: State::Open }
    }
}

impl Receiver<Bytes> {
    /// Reads the items as bytes: an [`AsyncRead`], to copy into a file. See
    /// [`ItemReader`].
    ///
    /// ```
    /// use bytes::Bytes;
    /// use switchboard::{Command, Endpoint, Receiver, Result, Streamed, format};
    /// use tokio::io::AsyncWriteExt;
    ///
    /// const STORE: Command<Streamed<Bytes, Bytes>, Bytes, format::Bytes> = Command::new("STORE");
    ///
    /// async fn store(_name: Bytes, pieces: Receiver<Bytes>) -> Result<Bytes> {
    ///     let mut file = Vec::new(); // tokio::fs::File::create(..).await?
    ///     let bytes = tokio::io::copy_buf(&mut pieces.into_reader(), &mut file).await?;
    ///     Ok(Bytes::from(format!("{bytes} bytes")))
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<()> {
    /// let client = Endpoint::new().on(STORE, store).client();
    /// let mut upload = client.call(STORE, &Bytes::from("notes")).into_writer();
    /// upload.write_all(b"what is in the file").await?;
    /// upload.shutdown().await?;
    /// assert_eq!(upload.finish().await?, "19 bytes");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn into_reader(self) -> ItemReader<Self> {
        ItemReader::new(self)
    }
}

impl<T: Stream<Item = Result<Bytes>> + Unpin> ItemReader<T> {
    /// What comes next, at least one byte of it, unless that is the end.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        // An item without a byte is no end.
        while self.piece.is_empty() {
            match &self.state {
                State::Open => {}
                State::Failed(error) => return Poll::Ready(Err(io_error(error.again()))),
                State::Ended => break,
            }
            match ready!(Pin::new(&mut self.items).poll_next(cx)) {
                Some(Ok(piece)) => self.piece = piece,
                Some(Err(error)) => self.state = State::Failed(error),
                None => self.state = State::Ended,
            }
        }
        Poll::Ready(Ok(&self.piece))
    }

    fn take(&mut self, count: usize) {
        self.piece.advance(count.min(self.piece.len()));
        if self.piece.is_empty() {
            // Its memory is given back before the next one is waited for.
            self.piece = Bytes::new();
        }
    }
}

impl<T: Stream<Item = Result<Bytes>> + Unpin> AsyncRead for ItemReader<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let piece = ready!(self.poll_piece(cx))?;
        let piece = piece.get(..buffer.remaining()).unwrap_or(piece);
        let count = piece.len();
        buffer.put_slice(piece);
        self.take(count);
        Poll::Ready(Ok(()))
    }
}

impl<T: Stream<Item = Result<Bytes>> + Unpin> AsyncBufRead for ItemReader<T> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        self.get_mut().poll_piece(cx)
    }

    fn consume(mut self: Pin<&mut Self>, count: usize) {
        self.take(count);
    }
}

/// The error of whoever reads.
fn io_error(error: Error) -> io::Error {
    error.into_io(ErrorKind::ConnectionAborted)
}

impl<T> fmt::Debug for ItemReader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ItemReader").field("piece", &self.piece.len()).finish_non_exhaustive()
    }
}
