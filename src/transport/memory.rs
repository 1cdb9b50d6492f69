//! Connections within one process, without a socket.
//!
//! For tests, and for a program that serves itself the way it serves others. The bytes are the same
//! as on a socket and so is the back-pressure: a writer waits once [`BUFFER_BYTES`] are unread.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio::sync::mpsc;

use crate::error::{Code, Error, Result};
use crate::transport::listener::Listener;
use crate::transport::origin::Origin;

/// Two streams, each of which reads what the other one writes.
///
/// Each direction holds up to 65,536 bytes, taken as they are written. Dropping one stream, or
/// shutting down its writing half, lets the other one read to the end; writing to a dropped one
/// fails with `BrokenPipe`.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// use switchboard::transport;
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// let (mut here, mut there) = transport::memory();
/// here.write_all(b"hello").await?;
/// drop(here);
/// let mut heard = String::new();
/// there.read_to_string(&mut heard).await?;
/// assert_eq!(heard, "hello");
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn memory() -> (MemoryStream, MemoryStream) {
    let (one, other) = duplex(BUFFER_BYTES);
    (MemoryStream { stream: one }, MemoryStream { stream: other })
}

/// A listener to serve, and what connects to it.
///
/// Up to 128 connections wait to be accepted; those who dial after that wait themselves.
#[must_use]
pub fn memory_listener() -> (MemoryListener, MemoryDialer) {
    let (sender, receiver) = mpsc::channel(BACKLOG);
    (MemoryListener { receiver }, MemoryDialer { sender })
}

/// One end of a connection within this process, made by [`memory`] or [`MemoryDialer::dial`].
#[derive(Debug)]
pub struct MemoryStream {
    stream: DuplexStream,
}

/// Accepts what its [`MemoryDialer`] dials.
#[derive(Debug)]
pub struct MemoryListener {
    receiver: mpsc::Receiver<MemoryStream>,
}

/// Connects to its [`MemoryListener`]. Clones connect to the same one.
#[derive(Clone, Debug)]
pub struct MemoryDialer {
    sender: mpsc::Sender<MemoryStream>,
}

impl MemoryDialer {
    /// A new connection, which the listener will accept.
    ///
    /// # Errors
    ///
    /// `disconnected` if the listener was dropped.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is connected until it returns.
    pub async fn dial(&self) -> Result<MemoryStream> {
        let (here, there) = memory();
        let sent = self.sender.send(there).await;
        sent.map_err(|_| Error::local(Code::Disconnected, "nobody answers in memory"))?;
        Ok(here)
    }
}

/// Waits for ever once every dialer is dropped.
///
/// # Cancel safety
///
/// Cancel safe.
impl Listener for MemoryListener {
    type Io = MemoryStream;

    async fn accept(&mut self) -> io::Result<(MemoryStream, Origin)> {
        match self.receiver.recv().await {
            Some(stream) => Ok((stream, Origin::memory())),
            None => std::future::pending().await,
        }
    }
}

impl AsyncRead for MemoryStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for MemoryStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

const BUFFER_BYTES: usize = 64 * 1024;
const BACKLOG: usize = 128;
