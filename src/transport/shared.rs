//! One stream with more than one who may write on it.
//!
//! A connection is read by its driver alone, and written by whoever has something to say. The
//! clones of a [`SharedIo`] are the same stream; each step on it is taken under a lock. That the
//! bytes of two writers do not mix is not seen to here: a step may take half of what it is given.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::BoxedIo;

#[derive(Clone)]
pub(crate) struct SharedIo {
    io: Arc<Mutex<BoxedIo>>,
}

impl SharedIo {
    pub(crate) fn new(io: BoxedIo) -> Self {
        Self { io: Arc::new(Mutex::new(io)) }
    }

    /// Whether somebody is at a step just now: another thread, or this one further up.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self.io.try_lock(), Err(TryLockError::WouldBlock))
    }

    /// As whole after a panic of the stream's own code as that has left it.
    fn lock(&self) -> MutexGuard<'_, BoxedIo> {
        self.io.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsyncRead for SharedIo {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_read(cx, buffer)
    }
}

impl AsyncWrite for SharedIo {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.lock()).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.lock()).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.lock().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_shutdown(cx)
    }
}
