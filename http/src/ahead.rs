//! A stream that is read a little ahead, so that its end is seen while nobody reads.
//!
//! hyper reads nothing while a request is being answered, once it has a byte of the next one. A
//! peer that sent that byte and left would never be missed: its handler would run on, and an
//! endless one would hold its connection until the server stops. So whoever serves the connection
//! looks ahead then. A peer that sends more than [`AHEAD_BYTES_MAX`] ahead is not seen to leave; it
//! is missed when something is written, and silent streams are written to every 15 s.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use switchboard::transport::BoxedIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A handle to the stream: clones are the same.
#[derive(Clone)]
pub(crate) struct Ahead {
    stream: Arc<Mutex<Stream>>,
}

struct Stream {
    io: BoxedIo,
    // Read, and not yet given out.
    bytes: BytesMut,
    is_over: bool,
}

impl Ahead {
    pub(crate) fn new(io: BoxedIo) -> Self {
        let stream = Stream { io, bytes: BytesMut::new(), is_over: false };
        Self { stream: Arc::new(Mutex::new(stream)) }
    }

    /// Ready when the peer has ended its direction, or is gone.
    pub(crate) fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        let Stream { io, bytes, is_over } = &mut *self.stream();
        while !*is_over {
            let room = AHEAD_BYTES_MAX.saturating_sub(bytes.len());
            if room == 0 {
                return Poll::Pending;
            }
            let mut space = [0; AHEAD_BYTES_MAX];
            let mut buffer = ReadBuf::new(space.get_mut(..room).unwrap_or_default());
            let read = ready!(Pin::new(&mut *io).poll_read(cx, &mut buffer));
            *is_over = read.is_err() || buffer.filled().is_empty();
            bytes.extend_from_slice(buffer.filled());
        }
        Poll::Ready(())
    }

    fn stream(&self) -> MutexGuard<'_, Stream> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsyncRead for Ahead {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Stream { io, bytes, is_over } = &mut *self.stream();
        if !bytes.is_empty() {
            let count = bytes.len().min(buffer.remaining());
            buffer.put_slice(bytes.get(..count).unwrap_or_default());
            bytes.advance(count);
            if bytes.is_empty() {
                *bytes = BytesMut::new();
            }
            return Poll::Ready(Ok(()));
        }
        if *is_over { Poll::Ready(Ok(())) } else { Pin::new(io).poll_read(cx, buffer) }
    }
}

impl AsyncWrite for Ahead {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream().io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream().io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream().io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream().io).poll_shutdown(cx)
    }
}

/// What one connection may have read ahead. It is in no budget, so it is little.
pub(crate) const AHEAD_BYTES_MAX: usize = 4096;
