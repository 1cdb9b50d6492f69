//! Connections within one process, without a socket.
//!
//! For tests, and for a program that serves itself the way it serves others. The bytes are the same
//! as on a socket and so is the back-pressure: a writer waits once [`BUFFER_BYTES`] are unread.
//!
//! A stream is two [`Pipe`]s, one for each direction, each behind a lock of its own. They are our
//! own because tokio's `duplex` keeps the memory of the most that ever waited: here a pipe that was
//! read empty gives its memory back, so that an idle connection holds next to none. Each thread
//! keeps two such buffers for whoever writes next.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio::task::consume_budget;

use crate::error::{Code, Error, Result};
use crate::transport::listener::Listener;
use crate::transport::peer::Peer;

/// Two streams, each of which reads what the other one writes.
///
/// Each direction holds up to 65,536 bytes. It takes memory as bytes are written, and gives it back
/// as they are read, all but 1 KiB. Each thread keeps at most two buffers of 64 KiB for the next
/// writers. If one stream is dropped, or its writing half shut down, the other one can still read
/// to the end. Writing to a dropped stream fails with `BrokenPipe`.
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
    let (one, other) = (Arc::<Pipe>::default(), Arc::<Pipe>::default());
    let here = MemoryStream { incoming: Arc::clone(&one), outgoing: Arc::clone(&other) };
    (here, MemoryStream { incoming: other, outgoing: one })
}

/// A listener to serve, and a dialer that connects to it.
///
/// Up to 128 connections wait to be accepted; later calls of `dial` wait themselves.
#[must_use]
pub fn memory_listener() -> (MemoryListener, MemoryDialer) {
    let (sender, receiver) = mpsc::channel(BACKLOG);
    (MemoryListener { receiver }, MemoryDialer { sender })
}

/// One end of a connection within this process, made by [`memory`] or [`MemoryDialer::dial`].
#[derive(Debug)]
pub struct MemoryStream {
    incoming: Arc<Pipe>,
    outgoing: Arc<Pipe>,
}

/// Accepts the connections of its [`MemoryDialer`].
#[derive(Debug)]
pub struct MemoryListener {
    receiver: mpsc::Receiver<MemoryStream>,
}

/// Connects to its [`MemoryListener`]. Clones connect to the same listener.
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

    async fn accept(&mut self) -> io::Result<(MemoryStream, Peer)> {
        match self.receiver.recv().await {
            Some(stream) => Ok((stream, Peer::memory())),
            None => std::future::pending().await,
        }
    }
}

impl AsyncRead for MemoryStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(pin!(consume_budget()).poll(cx));
        self.incoming.poll_read(cx, buffer).map(Ok)
    }
}

impl AsyncWrite for MemoryStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(pin!(consume_budget()).poll(cx));
        self.outgoing.poll_write(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outgoing.end_writing();
        Poll::Ready(Ok(()))
    }
}

impl Drop for MemoryStream {
    fn drop(&mut self) {
        self.outgoing.end_writing();
        self.incoming.end_reading();
    }
}

/// One direction: what was written and not yet read.
#[derive(Debug, Default)]
struct Pipe {
    state: Mutex<PipeState>,
}

#[derive(Debug, Default)]
struct PipeState {
    unread: VecDeque<u8>,
    // Either end is gone.
    is_closed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    /// Takes out what waits; nothing at the end.
    fn poll_read(&self, cx: &Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.unread.is_empty() && !state.is_closed && buffer.remaining() > 0 {
            let before = state.reader.replace(cx.waker().clone());
            drop(state);
            drop(before);
            return Poll::Pending;
        }
        let count = state.unread.len().min(buffer.remaining());
        let (first, second) = state.unread.as_slices();
        for slice in [first, second] {
            let room = buffer.remaining();
            buffer.put_slice(slice.get(..room).unwrap_or(slice));
        }
        state.unread.drain(..count);
        if state.unread.is_empty() && state.unread.capacity() > KEPT_BYTES_MAX {
            give_back(std::mem::take(&mut state.unread));
        }
        let writer = state.writer.take_if(|_| count > 0);
        unlock_and_wake(state, writer);
        Poll::Ready(())
    }

    /// Appends as much as there is room for, at least one byte.
    fn poll_write(&self, cx: &Context<'_>, slices: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let mut state = self.lock();
        if state.is_closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let before_bytes = state.unread.len();
        let wanted_bytes =
            slices.iter().fold(0_usize, |sum, slice| sum.saturating_add(slice.len()));
        if before_bytes == 0 && wanted_bytes > state.unread.capacity() {
            state.unread = spare();
            state.unread.reserve(wanted_bytes.min(BUFFER_BYTES));
        }
        for slice in slices {
            let room = BUFFER_BYTES.saturating_sub(state.unread.len());
            state.unread.extend(slice.get(..room).unwrap_or(slice));
        }
        let count = state.unread.len().saturating_sub(before_bytes);
        if count == 0 && slices.iter().any(|slice| !slice.is_empty()) {
            let before = state.writer.replace(cx.waker().clone());
            drop(state);
            drop(before);
            return Poll::Pending;
        }
        let reader = state.reader.take_if(|_| count > 0);
        unlock_and_wake(state, reader);
        Poll::Ready(Ok(count))
    }

    /// What waits can still be read.
    fn end_writing(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        let reader = state.reader.take();
        unlock_and_wake(state, reader);
    }

    /// Nobody will read what waits.
    fn end_reading(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        state.unread = VecDeque::new();
        let writer = state.writer.take();
        unlock_and_wake(state, writer);
    }

    /// Whole after a panic: none of the steps under the lock runs foreign code.
    fn lock(&self) -> MutexGuard<'_, PipeState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A buffer that a reader on this thread has emptied, or a new one.
fn spare() -> VecDeque<u8> {
    SPARES.with_borrow_mut(Vec::pop).unwrap_or_default()
}

/// Keeps a buffer for the next writer on this thread: one for each direction of a busy connection.
fn give_back(mut buffer: VecDeque<u8>) {
    buffer.clear();
    SPARES.with_borrow_mut(|spares| {
        if spares.len() < SPARES_MAX && buffer.capacity() <= BUFFER_BYTES {
            spares.push(buffer);
        }
    });
}

thread_local! {
    static SPARES: RefCell<Vec<VecDeque<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Wakes, or drops, a waker when the lock is not held: it may come back to the same pipe.
fn unlock_and_wake(state: MutexGuard<'_, PipeState>, waker: Option<Waker>) {
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}

const BUFFER_BYTES: usize = 64 * 1024;

/// Memory that an empty pipe may keep, so that small calls do not take it anew each time.
const KEPT_BYTES_MAX: usize = 1024;

/// Buffers that a thread keeps.
const SPARES_MAX: usize = 2;

const BACKLOG: usize = 128;
