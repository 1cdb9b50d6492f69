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
//! A write has `write_stall_time_max` from its first moment without progress, and anew after each
//! byte that is taken: a stream of events is under way for hours, and must not stall for seconds.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use crate::limits::HttpLimits;

/// A stream that ends with an error where its peer takes too long.
pub(crate) struct Watched<I> {
    io: I,
    phase: Arc<Phase>,
    head_time_max: Duration,
    idle_time_max: Duration,
    write_stall_time_max: Duration,
    reading: Option<Wait>,
    // Kept from request to request, though it is armed for too early a time then: it is armed anew
    // when that has come, which is once in idle_time_max and not with each request.
    timer: Option<Pin<Box<Sleep>>>,
    stalled: Option<Pin<Box<Sleep>>>,
}

/// A time that runs.
#[derive(Clone, Copy)]
struct Wait {
    // In which turn it began: no other has a part in it.
    turn: u64,
    // Without it, further away than the clock goes.
    until: Option<Instant>,
}

/// What a connection is doing: told by what passes its stream, and by the service in front of it.
#[derive(Debug, Default)]
pub(crate) struct Phase {
    // The phase in the lowest two bits, and above them how often it has changed.
    turn: AtomicU64,
}

impl Phase {
    const IDLE: u64 = 0;
    const HEAD: u64 = 1;
    const BUSY: u64 = 2;
    const MASK: u64 = 3;

    /// A request has reached the service.
    pub(crate) fn begin(&self) {
        self.change(|_| Some(Self::BUSY));
    }

    /// Its response is written, or given up.
    pub(crate) fn end(&self) {
        self.change(|_| Some(Self::IDLE));
    }

    /// Something was read: outside of a request, the first of its head.
    fn read(&self) {
        self.change(|phase| (phase == Self::IDLE).then_some(Self::HEAD));
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.turn() & Self::MASK == Self::IDLE
    }

    pub(crate) fn is_head(&self) -> bool {
        self.turn() & Self::MASK == Self::HEAD
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.turn() & Self::MASK == Self::BUSY
    }

    fn change(&self, next: impl Fn(u64) -> Option<u64>) {
        let _ = self.turn.fetch_update(Ordering::AcqRel, Ordering::Acquire, |turn| {
            let next = next(turn & Self::MASK)?;
            Some((turn | Self::MASK).wrapping_add(1) | next)
        });
    }

    fn turn(&self) -> u64 {
        self.turn.load(Ordering::Acquire)
    }
}

impl<I> Watched<I> {
    pub(crate) fn new(io: I, limits: &HttpLimits) -> Self {
        let &HttpLimits { head_time_max, idle_time_max, write_stall_time_max, .. } = limits;
        let phase = Arc::default();
        let (reading, timer, stalled) = (None, None, None);
        Self {
            io,
            phase,
            head_time_max,
            idle_time_max,
            write_stall_time_max,
            reading,
            timer,
            stalled,
        }
    }

    pub(crate) fn phase(&self) -> &Arc<Phase> {
        &self.phase
    }

    /// Waits for the peer's next byte, as long as that may take.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let turn = self.phase.turn();
        let time = match turn & Phase::MASK {
            Phase::IDLE => self.idle_time_max,
            Phase::HEAD => self.head_time_max,
            _ => return Poll::Pending,
        };
        // A head has its time as a whole, so a time of the same turn runs on.
        let wait = self.reading.filter(|wait| wait.turn == turn);
        let new = || Wait { turn, until: Instant::now().checked_add(time) };
        let Some(until) = self.reading.insert(wait.unwrap_or_else(new)).until else {
            return Poll::Pending;
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(until)));
        if timer.deadline() > until {
            timer.as_mut().reset(until);
        }
        while timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= until {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            timer.as_mut().reset(until);
        }
        Poll::Pending
    }

    /// Waits for the peer to take a byte.
    fn poll_stall<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let time = self.write_stall_time_max;
        let timer = self.stalled.get_or_insert_with(|| Box::pin(sleep(time)));
        timer.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Whether a head is not there in time, though it is never waited for.
    fn is_late(&self) -> bool {
        let turn = self.phase.turn();
        let is_over = |until: Instant| Instant::now() >= until;
        let wait = self.reading.filter(|wait| wait.turn == turn);
        turn & Phase::MASK == Phase::HEAD && wait.and_then(|wait| wait.until).is_some_and(is_over)
    }

    fn progressed<T>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_pending() {
            return self.poll_stall(cx);
        }
        self.stalled = None;
        polled
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Watched<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if self.is_late() {
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
