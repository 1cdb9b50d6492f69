//! A stream that says who wrote what on it, and takes no more than it is told to.

use std::io;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use switchboard::transport::MemoryStream;
use switchboard_testing::hooked::{Hooked, Hooks};
use tokio::task;

use super::{Count, Guard};

/// What makes a stream a watched one.
pub struct Watching {
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

impl Watching {
    /// A stream that takes all it is given.
    pub fn over(stream: MemoryStream) -> (Hooked<MemoryStream, Self>, Log) {
        Self::stepping(stream, || Step::Take(usize::MAX))
    }

    /// A stream that asks `step` what to do with each write.
    pub fn stepping(
        stream: MemoryStream,
        step: impl FnMut() -> Step + Send + 'static,
    ) -> (Hooked<MemoryStream, Self>, Log) {
        let log = Log::default();
        let hooks = Self { step: Box::new(step), log: log.clone(), _closed: log.closed.guard() };
        (Hooked { stream, hooks }, log)
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

impl Hooks for Watching {
    fn after_read(&mut self, count: usize) -> io::Result<()> {
        if count > 0 {
            self.log.reads.add();
        }
        Ok(())
    }

    fn before_write(&mut self) -> Poll<io::Result<usize>> {
        match (self.step)() {
            Step::Take(bytes_max) => Poll::Ready(Ok(bytes_max)),
            Step::Wait => Poll::Pending,
            Step::Fail => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn after_write(&mut self, bytes: &[u8]) {
        let write = Write { task: task::try_id(), bytes: bytes.to_vec() };
        self.log.writes.lock().unwrap().push(write);
    }
}
