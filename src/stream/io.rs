//! A [`Connection`] as a tokio stream: what has been read ahead comes first.
//!
//! These have none of the times of its own methods; whoever reads through them keeps the time. A
//! codec of tokio-util on a lent connection, as in `Framed::new(connection, LinesCodec::new())`,
//! bounds what it keeps by itself, if at all: that counts against no limit of the library. What it
//! has read ahead is lost with it, unless its `into_parts` is asked; so it suits a handler that
//! keeps the connection to its end.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};

use super::Connection;

/// Cancel safe, as reading always is here. It has neither `idle_time_max` nor `payload_bytes_max`:
/// a codec on a connection brings bounds of its own.
impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.input.bytes.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buffer);
        }
        let count = self.input.bytes.len().min(buffer.remaining());
        let bytes = self.input.bytes.split_to(count);
        buffer.put_slice(&bytes);
        Poll::Ready(Ok(()))
    }
}

impl AsyncBufRead for Connection {
    fn poll_fill_buf(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        if self.input.bytes.is_empty() {
            ready!(self.poll_fill(cx, 0)).map_err(io::Error::other)?;
        }
        Poll::Ready(Ok(&self.get_mut().input.bytes))
    }

    fn consume(mut self: Pin<&mut Self>, count: usize) {
        let count = count.min(self.input.bytes.len());
        self.input.bytes.advance(count);
    }
}

/// Cancel safe, but what a codec has not handed over is lost with it. It has no `write_time_max`.
impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
