//! A stream with the times that hyper does not keep: of a head, of idling, and of a write.
//!
//! hyper's own `header_read_timeout` runs also while a connection is idle, so that it would be one
//! time for both. It is switched off, and this wrapper tells the two apart:
//!
//! ```text
//!           a byte is read                 the service is called
//!   idle ──────────────────────► head ──────────────────────────────► busy
//!    │ idle_time_max              │ head_time_max                      │ no time: the body of the
//!    │   ▲                        ▼                                    │ request has its own
//!    └───┼──────────────────► TimedOut                                 │
//!        └───────────── the body of the response is dropped ◄──────────┘
//! ```
//!
//! A head that came together with the request before is not seen to begin: it is in hyper's buffer.
//! If nothing comes behind it, it has `idle_time_max`.
//!
//! A write has `write_time_max` from its first moment without progress, and anew after each byte
//! that is taken: a stream of events is under way for hours, and must not stall for seconds.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use crate::limits::HttpLimits;

/// A stream that ends with an error where its peer takes too long.
pub(crate) struct Watched<I> {
    io: I,
    phase: Arc<Phase>,
    head_time_max: Duration,
    idle_time_max: Duration,
    write_time_max: Duration,
    reading: Option<Wait>,
    writing: Option<Wait>,
}

/// A time that runs.
struct Wait {
    timer: Pin<Box<Sleep>>,
    // In which phase it began.
    phase: u8,
}

/// What a connection is doing: told by what passes its stream, and by the service in front of it.
#[derive(Debug, Default)]
pub(crate) struct Phase {
    now: AtomicU8,
}

impl Phase {
    const IDLE: u8 = 0;
    const HEAD: u8 = 1;
    const BUSY: u8 = 2;

    /// A request has reached the service.
    pub(crate) fn begin(&self) {
        self.now.store(Self::BUSY, Ordering::Release);
    }

    /// Its response is written, or given up.
    pub(crate) fn end(&self) {
        self.now.store(Self::IDLE, Ordering::Release);
    }

    fn read(&self) {
        let (idle, head) = (Self::IDLE, Self::HEAD);
        let _ = self.now.compare_exchange(idle, head, Ordering::AcqRel, Ordering::Acquire);
    }

    fn now(&self) -> u8 {
        self.now.load(Ordering::Acquire)
    }
}

impl<I> Watched<I> {
    pub(crate) fn new(io: I, limits: &HttpLimits) -> Self {
        let &HttpLimits { head_time_max, idle_time_max, write_time_max, .. } = limits;
        let phase = Arc::default();
        let (reading, writing) = (None, None);
        Self { io, phase, head_time_max, idle_time_max, write_time_max, reading, writing }
    }

    pub(crate) fn phase(&self) -> &Arc<Phase> {
        &self.phase
    }

    /// The stream itself, whose times are kept by whoever has it.
    pub(crate) fn inner(&mut self) -> &mut I {
        &mut self.io
    }

    /// Waits for the peer's next byte, as long as that may take.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let phase = self.phase.now();
        let time = match phase {
            Phase::IDLE => self.idle_time_max,
            Phase::HEAD => self.head_time_max,
            _ => {
                self.reading = None;
                return Poll::Pending;
            }
        };
        // A head has its time as a whole, so a timer of the same phase runs on.
        let wait = self.reading.take().filter(|wait| wait.phase == phase);
        let wait = self.reading.insert(wait.unwrap_or_else(|| Wait::new(time, phase)));
        wait.timer.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Waits for the peer to take a byte.
    fn poll_stall<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let time = self.write_time_max;
        let wait = self.writing.get_or_insert_with(|| Wait::new(time, Phase::BUSY));
        wait.timer.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    fn progressed<T>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_pending() {
            return self.poll_stall(cx);
        }
        self.writing = None;
        polled
    }
}

impl Wait {
    fn new(time: Duration, phase: u8) -> Self {
        // A deadline beyond the clock is far away for tokio as well.
        Self { timer: Box::pin(sleep(time)), phase }
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.timer.deadline()
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Watched<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        // A head that comes byte by byte may never be pending.
        let is_late = |wait: &Wait| wait.phase == Phase::HEAD && wait.is_over();
        if self.phase.now() == Phase::HEAD && self.reading.as_ref().is_some_and(is_late) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        match Pin::new(&mut self.io).poll_read(cx, buffer) {
            Poll::Pending => self.poll_silence(cx),
            ready @ Poll::Ready(_) => {
                if buffer.filled().len() > before {
                    self.phase.read();
                }
                ready
            }
        }
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Watched<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.progressed(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.progressed(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_flush(cx);
        self.progressed(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_shutdown(cx);
        self.progressed(cx, polled)
    }
}
