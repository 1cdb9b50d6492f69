//! A stream that lets a test have a say in whatever is done with it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is done beside what the stream beneath does: nothing, unless a test says what.
pub trait Hooks: Send + Unpin + 'static {
    /// Comes before a read. If it fails, so does the read.
    fn before_read(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Comes after a read that brought so many bytes, none at the end.
    fn after_read(&mut self, _count: usize) -> io::Result<()> {
        Ok(())
    }

    /// How many bytes a write takes at most. If it takes none it soon wants to be asked again.
    fn before_write(&mut self) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(usize::MAX))
    }

    /// Comes after a write that took these.
    fn after_write(&mut self, _bytes: &[u8]) {}

    /// Comes before this side is ended.
    fn before_shutdown(&mut self) {}
}

/// The stream, which is dropped before the hooks are.
#[derive(Debug)]
pub struct Hooked<S, H> {
    pub stream: S,
    pub hooks: H,
}

impl<S: AsyncRead + Unpin, H: Hooks> AsyncRead for Hooked<S, H> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.hooks.before_read()?;
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if matches!(read, Poll::Ready(Ok(()))) {
            self.hooks.after_read(buffer.filled().len() - before)?;
        }
        read
    }
}

impl<S: AsyncWrite + Unpin, H: Hooks> AsyncWrite for Hooked<S, H> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Poll::Ready(bytes_max) = self.hooks.before_write()? else {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        };
        let bytes = &bytes[..bytes.len().min(bytes_max)];
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(count)) = written {
            self.hooks.after_write(&bytes[..count]);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.hooks.before_shutdown();
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
