//! The writing end of a connection: whoever holds the writer writes.
//!
//! ```text
//!   caller ──call──► session ──take_transmit──► Writer ──► stream
//!                                                ▲
//!            the driver, and at times a caller
//! ```
//!
//! A driver that has to be woken to write one line costs more than the line: a task is scheduled,
//! perhaps on another thread. So a caller whose call is the only one under way writes it itself.
//! What several callers send is gathered, and leaves when it is [`FLUSH_BYTES`] long or when the
//! driver comes to it, whichever is first.
//!
//! It does not know the session: whoever has lines to write is a [`Source`].
//!
//! # Locks
//!
//! The writer is taken before the session and never after it. A caller only tries: if somebody else
//! holds the writer, or is reading, the driver is told that there is more.
//!
//! # Wakers
//!
//! A caller writes in the driver's name: if the stream takes no more, it is the driver who is woken
//! when it does, and what is left in the writer is the driver's to write. So at any time one task
//! waits for the stream, as it asks of those who poll it.

use std::io::{self, IoSlice};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Buf;
use tokio::io::AsyncWrite;
use tokio::runtime::{EnterGuard, Handle};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::transport::SharedIo;
use crate::wire::Outbox;

/// Where lines come from. Each of these takes a lock of its own, for a moment.
pub(super) trait Source {
    /// Whether a plain call has the stream, so that nothing else may be written.
    fn is_lent(&self) -> bool;

    /// Takes out what waits to be written. Wakes nobody.
    fn take_transmit(&self) -> Outbox;

    /// So many bytes have been written; answers what waits next, if that `is_wanted`.
    fn handle_written(&self, bytes: usize, is_wanted: bool) -> Option<Outbox>;

    /// All that has been written has left the stream's own buffers.
    fn handle_flushed(&self);
}

/// Locked by whoever writes.
pub(super) struct Writer {
    output: Mutex<Output>,
    flushed: Notify,
    // Somebody waits for `flushed`.
    is_flush_awaited: AtomicBool,
    // The driver's. The stream may need it, and callers may be in another or in none.
    runtime: Option<Handle>,
}

/// What the lock guards: the stream, and what is on its way to it.
struct Output {
    // `None` once the driver is gone, so that the stream is closed then, and when the stream has
    // failed: whoever met that is the last who writes.
    io: Option<SharedIo>,
    // How it failed when a caller wrote, for the driver to say.
    failure: Option<io::Error>,
    // Taken out of the session, and not written yet.
    outbox: Outbox,
    // Bytes have been written that the stream may still hold back.
    has_written: bool,
    // The stream did not let go of them at once.
    is_flush_blocked: bool,
    // The driver's.
    waker: Option<Waker>,
}

impl Writer {
    pub(super) fn new(io: SharedIo) -> Self {
        let (io, outbox) = (Some(io), Outbox::default());
        let (has_written, is_flush_blocked) = (false, false);
        let output =
            Output { io, failure: None, outbox, has_written, is_flush_blocked, waker: None };
        Self {
            output: Mutex::new(output),
            flushed: Notify::new(),
            is_flush_awaited: AtomicBool::new(false),
            runtime: Handle::try_current().ok(),
        }
    }

    /// Goes on writing to this stream: a raw command may have put it in the place of the one that
    /// it was lent.
    pub(super) fn set_io(&self, io: SharedIo) {
        let before = self.lock().io.replace(io);
        drop(before);
    }

    /// Lets go of the stream, and of those who wait for it.
    pub(super) fn drop_io(&self) {
        let mut output = self.lock();
        let let_go = (output.io.take(), output.waker.take(), output.failure.take());
        output.outbox = Outbox::default();
        // What is dropped runs its owner's code, which may come here.
        drop(output);
        drop(let_go);
        self.flushed.notify_waiters();
    }

    /// Writes until nothing is left; `Pending` if the peer takes no more. For the driver, which is
    /// woken then. `has_transmit` says whether the source has more than was taken out of it.
    pub(super) fn poll_write(
        &self,
        cx: &mut Context<'_>,
        source: &impl Source,
        has_transmit: bool,
    ) -> Poll<io::Result<()>> {
        let mut output = self.lock();
        let mut before = None;
        if !output.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            drop(output);
            let waker = cx.waker().clone();
            output = self.lock();
            before = output.waker.replace(waker);
        }
        let written = self.poll_write_output(&mut output, cx, source, has_transmit, true);
        drop(output);
        drop(before);
        written
    }

    /// Writes what a caller has just handed over, unless somebody else is writing, or cannot;
    /// whether all has been written. If not, the driver must see to it, errors included. What comes
    /// meanwhile is left to the driver: where many call, a caller would write for the others
    /// without end.
    pub(super) fn write_now(&self, source: &impl Source) -> bool {
        // A panic of the stream's own code ends the connection, and not the caller.
        let is_written = catch_unwind(AssertUnwindSafe(|| self.try_write(source)));
        is_written.unwrap_or_else(|_| {
            self.lock().failure = Some(io::Error::other("the stream panicked"));
            false
        })
    }

    /// To be waited for before it is looked whether all has been written.
    pub(super) fn flushed(&self) -> Notified<'_> {
        self.flushed.notified()
    }

    /// Somebody waits for [`flushed`](Self::flushed).
    pub(super) fn await_flush(&self) {
        self.is_flush_awaited.store(true, Ordering::Release);
    }

    /// Lets a caller, who may be in another runtime or in none, do what needs the driver's.
    fn enter_runtime(&self) -> Option<EnterGuard<'_>> {
        self.runtime.as_ref().map(Handle::enter)
    }

    fn try_write(&self, source: &impl Source) -> bool {
        let Ok(mut output) = self.output.try_lock() else {
            return false;
        };
        // What the stream did not take is the driver's to write, and a plain call has the stream
        // until it gives it back. Looked at while the writer is held, which lending takes as well.
        if !output.outbox.is_empty() || source.is_lent() {
            return false;
        }
        // The stream itself may be calling, out of the driver's reading.
        if output.io.as_ref().is_none_or(SharedIo::is_busy) {
            return false;
        }
        // The driver may not have looked for the first time.
        let Some(waker) = output.waker.take() else {
            return false;
        };
        let _runtime = self.enter_runtime();
        let cx = &mut Context::from_waker(&waker);
        let written = self.poll_write_output(&mut output, cx, source, true, false);
        output.waker = Some(waker);
        match written {
            Poll::Ready(Ok(())) => !output.has_written,
            Poll::Ready(Err(error)) => {
                output.failure = Some(error);
                false
            }
            Poll::Pending => false,
        }
    }

    /// Writes what waits, and if it `goes_on` also what comes meanwhile.
    fn poll_write_output(
        &self,
        output: &mut Output,
        cx: &mut Context<'_>,
        source: &impl Source,
        has_transmit: bool,
        goes_on: bool,
    ) -> Poll<io::Result<()>> {
        let Some(mut io) = output.io.take() else {
            let failure = output.failure.take();
            return Poll::Ready(Err(failure.unwrap_or_else(|| io::ErrorKind::BrokenPipe.into())));
        };
        if output.outbox.is_empty() && has_transmit {
            output.outbox = source.take_transmit();
        }
        let written = output.poll_write_on(&mut io, cx, source, goes_on);
        if !matches!(written, Poll::Ready(Err(_))) {
            output.io = Some(io);
        }
        if matches!(written, Poll::Ready(Ok(()))) {
            let was_blocked = std::mem::take(&mut output.is_flush_blocked);
            if was_blocked | self.take_flush_awaited() {
                source.handle_flushed();
                self.flushed.notify_waiters();
            }
        }
        written
    }

    /// Whether somebody waits for what has been written to be flushed; asked once.
    fn take_flush_awaited(&self) -> bool {
        // As nearly always nobody does, and then nothing is written.
        let is_awaited = self.is_flush_awaited.load(Ordering::Acquire);
        is_awaited && self.is_flush_awaited.swap(false, Ordering::AcqRel)
    }

    fn lock(&self) -> MutexGuard<'_, Output> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Output {
    fn poll_write_on(
        &mut self,
        io: &mut SharedIo,
        cx: &mut Context<'_>,
        source: &impl Source,
        goes_on: bool,
    ) -> Poll<io::Result<()>> {
        let has_some = !self.outbox.is_empty();
        while !self.outbox.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let count = self.outbox.chunks_vectored(&mut slices);
            let slices = slices.get(..count).unwrap_or_default();
            let count = ready!(Pin::new(&mut *io).poll_write_vectored(cx, slices))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.has_written = true;
            self.outbox.advance(count);
            if let Some(next) = source.handle_written(count, goes_on && self.outbox.is_empty()) {
                self.outbox = next;
            }
        }
        if has_some {
            // A connection on which nothing happens keeps no buffer.
            self.outbox = Outbox::default();
        }
        if self.has_written {
            if Pin::new(io).poll_flush(cx)?.is_pending() {
                // It takes as long as the peer takes to read, which is limited like any write.
                self.is_flush_blocked = true;
                return Poll::Pending;
            }
            self.has_written = false;
        }
        Poll::Ready(Ok(()))
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

/// Written as soon as so much waits, so that both sides are at work at once instead of in turn.
pub(crate) const FLUSH_BYTES: usize = 4096;

/// Slices in one write.
const SLICES_MAX: usize = 16;
