//! A stream that says who wrote what on it, and takes no more than it is told to.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use switchboard::transport::MemoryStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task;

use super::{Count, Guard};

pub struct Watched {
    stream: MemoryStream,
    step: Box<dyn FnMut() -> Step + Send>,
    log: Log,
    _closed: Guard,
}

/// What a stream does when it is to write.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// Takes so many bytes at most.
    Take(usize),
    /// Takes nothing, and soon wants to be asked again.
    Wait,
    Fail,
}

/// What has become of a stream.
#[derive(Clone, Debug, Default)]
pub struct Log {
    writes: Arc<Mutex<Vec<Write>>>,
    /// Reads that brought bytes.
    pub reads: Count,
    /// The stream has been dropped.
    pub closed: Count,
}

/// Bytes that were taken at once, and the task that wrote them.
#[derive(Clone, Debug)]
pub struct Write {
    pub task: Option<task::Id>,
    pub bytes: Vec<u8>,
}

impl Watched {
    /// A stream that takes all it is given.
    pub fn new(stream: MemoryStream) -> (Self, Log) {
        Self::stepping(stream, || Step::Take(usize::MAX))
    }

    /// A stream that asks `step` what to do with each write.
    pub fn stepping(
        stream: MemoryStream,
        step: impl FnMut() -> Step + Send + 'static,
    ) -> (Self, Log) {
        let log = Log::default();
        let watched =
            Self { stream, step: Box::new(step), log: log.clone(), _closed: log.closed.guard() };
        (watched, log)
    }
}

impl Log {
    /// Everything written since the last time.
    pub fn take(&self) -> Vec<Write> {
        std::mem::take(&mut *self.writes.lock().unwrap())
    }

    /// Who has written since the last time, write by write.
    pub fn take_writers(&self) -> Vec<Option<task::Id>> {
        self.take().into_iter().map(|write| write.task).collect()
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.log.reads.add();
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let bytes_max = match (this.step)() {
            Step::Take(bytes_max) => bytes_max,
            Step::Wait => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Step::Fail => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        };
        let bytes = &bytes[..bytes.len().min(bytes_max)];
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(count)) = written {
            let write = Write { task: task::try_id(), bytes: bytes[..count].to_vec() };
            this.log.writes.lock().unwrap().push(write);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
