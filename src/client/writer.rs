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
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Buf;
use tokio::io::AsyncWrite;
use tokio::runtime::{EnterGuard, Handle};

use super::Shared;
use crate::error::Error;
use crate::transport::SharedIo;
use crate::wire::Outbox;

/// Locked by whoever writes.
pub(super) struct Writer {
    held: Mutex<Held>,
    // The driver's. The stream may need it, and callers may be in another or in none.
    runtime: Option<Handle>,
}

struct Held {
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
        let held = Held { io, failure: None, outbox, has_written, is_flush_blocked, waker: None };
        let held = Mutex::new(held);
        Self { held, runtime: Handle::try_current().ok() }
    }

    /// Lets go of the stream.
    pub(super) fn drop_io(&self) {
        let mut held = self.lock();
        let let_go = (held.io.take(), held.waker.take(), held.failure.take());
        held.outbox = Outbox::default();
        // What is dropped runs its owner's code, which may come here.
        drop(held);
        drop(let_go);
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Goes on writing to this stream: a raw command may have put it in the place of the one that
    /// it was lent.
    pub(crate) fn set_io(&self, io: SharedIo) {
        let before = self.writer.lock().io.replace(io);
        drop(before);
    }

    /// Writes until nothing is left; `Pending` if the peer takes no more. For the driver, which is
    /// woken then. `has_transmit` says whether the session has more than was taken out of it.
    pub(crate) fn poll_write(
        &self,
        cx: &mut Context<'_>,
        has_transmit: bool,
    ) -> Poll<io::Result<()>> {
        let mut held = self.writer.lock();
        let mut before = None;
        if !held.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            drop(held);
            let waker = cx.waker().clone();
            held = self.writer.lock();
            before = held.waker.replace(waker);
        }
        let written = held.poll_write(self, cx, has_transmit, true);
        drop(held);
        drop(before);
        written
    }

    /// Waits until everything that has been sent so far is written.
    pub(crate) async fn flush(&self) -> Result<(), Error> {
        let sent_end = self.lock().session.sent_end();
        loop {
            let mut flushed = std::pin::pin!(self.flushed.notified());
            // Registered before looking, so that nothing in between is missed.
            flushed.as_mut().enable();
            let is_ended = {
                let state = self.lock();
                if state.session.is_flushed(sent_end) {
                    return Ok(());
                }
                state.is_ended
            };
            if is_ended {
                return Err(self.lock().session.flush_error());
            }
            self.is_flush_awaited.store(true, Ordering::Release);
            self.wake_driver();
            flushed.await;
        }
    }

    /// Whether somebody waits for what has been written to be flushed; asked once.
    fn take_flush_awaited(&self) -> bool {
        // As nearly always nobody does, and then nothing is written.
        let is_awaited = self.is_flush_awaited.load(Ordering::Acquire);
        is_awaited && self.is_flush_awaited.swap(false, Ordering::AcqRel)
    }

    /// All that has been written has left the stream's own buffers.
    fn handle_flushed(&self) {
        self.lock().session.handle_flushed();
        self.flushed.notify_waiters();
    }

    /// Lets a caller, who may be in another runtime or in none, do what needs the driver's.
    pub(super) fn enter_runtime(&self) -> Option<EnterGuard<'_>> {
        self.writer.runtime.as_ref().map(Handle::enter)
    }

    /// Writes what a caller has just handed over, unless somebody else is writing, or cannot. What
    /// comes meanwhile is left to the driver, who is woken for it: where many call, a caller would
    /// write for the others without end.
    pub(super) fn write_now(&self) {
        // A panic of the stream's own code ends the connection, and is none of the caller's.
        let is_written = catch_unwind(AssertUnwindSafe(|| self.try_write()));
        let is_written = is_written.unwrap_or_else(|_| {
            self.writer.lock().failure = Some(io::Error::other("the stream panicked"));
            false
        });
        if !is_written {
            self.wake_driver();
        }
    }

    /// Whether all has been written. If not, the driver must see to it, errors included.
    fn try_write(&self) -> bool {
        let Ok(mut held) = self.writer.held.try_lock() else {
            return false;
        };
        // What the stream did not take is the driver's to write, and a plain call has the stream
        // until it gives it back. Looked at while the writer is held, which lending takes as well.
        if !held.outbox.is_empty() || self.is_lent() {
            return false;
        }
        // The stream itself may be calling, out of the driver's reading.
        if held.io.as_ref().is_none_or(SharedIo::is_busy) {
            return false;
        }
        // The driver may not have looked for the first time.
        let Some(waker) = held.waker.take() else {
            return false;
        };
        let _runtime = self.enter_runtime();
        let written = held.poll_write(self, &mut Context::from_waker(&waker), true, false);
        held.waker = Some(waker);
        match written {
            Poll::Ready(Ok(())) => !held.has_written,
            Poll::Ready(Err(error)) => {
                held.failure = Some(error);
                false
            }
            Poll::Pending => false,
        }
    }
}

impl Held {
    /// Writes what waits, and if it `goes_on` also what comes meanwhile.
    fn poll_write(
        &mut self,
        shared: &Shared,
        cx: &mut Context<'_>,
        has_transmit: bool,
        goes_on: bool,
    ) -> Poll<io::Result<()>> {
        let Some(mut io) = self.io.take() else {
            let failure = self.failure.take();
            return Poll::Ready(Err(failure.unwrap_or_else(|| io::ErrorKind::BrokenPipe.into())));
        };
        let written = self.poll_write_on(&mut io, shared, cx, has_transmit, goes_on);
        if !matches!(written, Poll::Ready(Err(_))) {
            self.io = Some(io);
        }
        written
    }

    fn poll_write_on(
        &mut self,
        io: &mut SharedIo,
        shared: &Shared,
        cx: &mut Context<'_>,
        has_transmit: bool,
        goes_on: bool,
    ) -> Poll<io::Result<()>> {
        if self.outbox.is_empty() && has_transmit {
            self.outbox = shared.take_transmit();
        }
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
            if let Some(next) = shared.handle_written(count, goes_on && self.outbox.is_empty()) {
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
        if std::mem::take(&mut self.is_flush_blocked) | shared.take_flush_awaited() {
            shared.handle_flushed();
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
