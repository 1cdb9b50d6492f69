//! What the task of a connection shares with the tasks that call over it.
//!
//! A [`Shared`] is a session behind a mutex. Callers and handlers put their lines into the session
//! themselves. The driver, which alone reads the stream, is woken to write them, unless it is time
//! to do so at once: see `writer`.
//!
//! # The lock
//!
//! The lock is held for a few steps of pure code and never across an await. While it is held,
//! nothing of a user's runs: no waker is cloned, woken or dropped, and no error with a source is
//! dropped. Each of these may run code that calls over this very connection: a task that only its
//! waker keeps alive is dropped with it, and so is the client that it owns. So wakers are cloned
//! before the lock is taken, and those that the session gives back are woken and dropped after it.

use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tokio::runtime::{Handle, Id};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::handed_over::Sending;
use super::state::{Reserved, State, unlock_and_wake, unlock_and_wake_callers};
use super::watch::{self, Watched, single_runtime};
use super::writer::{Source, Writer};
use crate::clock::now;
use crate::error::Error;
use crate::limits::Limits;
use crate::quota::Quota;
use crate::service::Tasks;
use crate::session::{CallId, Place, Received, Session, Side, Tally};
use crate::transport::{Peer, SharedIo};
use crate::wire::{Outbox, Tag};

pub(crate) struct Shared {
    state: Mutex<State>,
    writer: Writer,
    // Also that it takes no more calls.
    ended: Notify,
    // The driver's, if it has one thread: calls that are polled there need no watcher.
    single_runtime: Option<Id>,
    limits: Arc<Limits>,
    quota: Arc<Quota>,
    peer: Peer,
    // Of the listener that accepted it.
    tasks: Option<Arc<Tasks>>,
}

impl Shared {
    pub(crate) fn new(
        side: Side,
        io: SharedIo,
        peer: Peer,
        limits: Arc<Limits>,
        quota: Arc<Quota>,
        tasks: Option<Arc<Tasks>>,
    ) -> Arc<Self> {
        let state = State::new(Session::new(now(), side, &limits), &quota);
        let writer = Writer::new(io);
        Arc::new(Self {
            state: Mutex::new(state),
            writer,
            ended: Notify::new(),
            single_runtime: single_runtime(),
            limits,
            quota,
            peer,
            tasks,
        })
    }

    pub(crate) fn limits(&self) -> &Arc<Limits> {
        &self.limits
    }

    pub(crate) fn quota(&self) -> &Arc<Quota> {
        &self.quota
    }

    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Does something with the session, and wakes whom it concerns.
    pub(crate) fn with<R>(&self, action: impl FnOnce(&mut Session) -> R) -> R {
        let mut state = self.lock();
        let result = action(&mut state.session);
        unlock_and_wake(state);
        result
    }

    /// As [`with`](Self::with), together with the reserved of the bytes that the session keeps.
    pub(crate) fn with_reserved<R>(
        &self,
        action: impl FnOnce(&mut Session, &mut Reserved) -> R,
    ) -> R {
        let mut state = self.lock();
        let State { session, reserved, .. } = &mut *state;
        let result = action(session, reserved);
        unlock_and_wake(state);
        result
    }

    /// Sends something by `send`, as soon as less than `unwritten_bytes_max` waits to be written
    /// and nobody who came before waits for that. Woken as well when the deadline has passed.
    pub(crate) fn poll_send<R>(
        self: &Arc<Self>,
        cx: &Context<'_>,
        sending: Sending<'_>,
        send: impl FnOnce(&mut Session, &mut Option<Waker>) -> Result<R, Error>,
    ) -> Poll<Result<R, Error>> {
        let Sending { within, place, bytes, deadline, wants_reply } = sending;
        let mut waker = Some(cx.waker().clone());
        let runtime = if wants_reply || place.is_some() { self.runtime_to_watch() } else { None };
        let mut state = self.lock();
        if state.session.poll_room(within, place, deadline, &mut waker).is_pending() {
            let runtime = runtime.or_else(|| self.runtime_to_watch());
            let watch = runtime.map(|runtime| state.watchers.watch(runtime, deadline));
            if state.is_driver_late() {
                unlock_and_wake(state);
            } else {
                unlock_and_wake_callers(state);
            }
            watch.into_iter().for_each(|watch| watch::begin(watch, self));
            return Poll::Pending;
        }
        // What will be refused is not charged first: it is to say why.
        let is_open = state.session.is_open(within);
        let covered = if is_open { state.cover(bytes) } else { Ok(()) };
        let result = covered.and_then(|()| send(&mut state.session, &mut waker));
        if result.is_err() {
            state.cover_no_more();
        }
        state.session.offer_room(now);
        let is_waiting = wants_reply && result.is_ok();
        let runtime = runtime.filter(|_| is_waiting);
        let watch = runtime.map(|runtime| state.watchers.watch(runtime, deadline));
        if state.is_flush_due() && !state.is_driver_late() {
            unlock_and_wake_callers(state);
            self.write_now();
        } else {
            unlock_and_wake(state);
        }
        watch.into_iter().for_each(|watch| watch::begin(watch, self));
        Poll::Ready(result)
    }

    /// Waits for room no longer.
    pub(crate) fn leave_room(&self, place: Place) {
        self.with(|session| {
            session.leave_room(place);
            session.offer_room(now);
        });
    }

    /// See [`Session::is_open`]. Wakes nobody.
    pub(super) fn is_open(&self, within: Option<CallId>) -> bool {
        self.lock().session.is_open(within)
    }

    /// See [`Session::calls_under_way`]; `None` if no more are taken. Wakes nobody.
    pub(crate) fn calls_under_way(&self) -> Option<usize> {
        let state = self.lock();
        state.session.is_open(None).then(|| state.session.calls_under_way())
    }

    /// See [`Session::tally`]. Wakes nobody.
    pub(crate) fn tally(&self) -> Tally {
        self.lock().session.tally()
    }

    /// The reply to a call of ours.
    pub(crate) fn poll_reply(
        self: &Arc<Self>,
        tag: Tag,
        cx: &Context<'_>,
        deadline: Option<Instant>,
    ) -> Poll<Result<Received, Error>> {
        let (mut waker, mut watch) = (None, None);
        let mut state = self.lock();
        let mut reply = state.session.poll_reply(tag, &mut waker);
        if reply.is_pending() && !state.session.is_heard_by(tag, cx.waker()) {
            // As nearly never: the call goes on in another task than the one that sent it, perhaps
            // in another runtime.
            drop(state);
            waker = Some(cx.waker().clone());
            let runtime = self.runtime_to_watch();
            state = self.lock();
            reply = state.session.poll_reply(tag, &mut waker);
            if let (Some(runtime), Some(deadline), Poll::Pending) = (runtime, deadline, &reply) {
                watch = Some(state.watchers.watch(runtime, deadline));
            }
        }
        if reply.is_ready() {
            state.cover_no_more();
        }
        unlock_and_wake_callers(state);
        watch.into_iter().for_each(|watch| watch::begin(watch, self));
        reply
    }

    /// Gives up a call of ours by `cancel`.
    pub(crate) fn give_up(&self, cancel: impl FnOnce(&mut Session)) {
        let mut state = self.lock();
        cancel(&mut state.session);
        state.cover_no_more();
        unlock_and_wake(state);
    }

    /// The driver goes to sleep, to be woken at `alarm` or by the next one who changes something;
    /// unless `is_quiet` says that there is something to do, looked at under the same lock.
    pub(crate) fn sleep(
        &self,
        cx: &Context<'_>,
        alarm: Option<Instant>,
        is_quiet: impl FnOnce(&Session) -> bool,
    ) -> bool {
        let waker = cx.waker().clone();
        let mut state = self.lock();
        if std::mem::take(&mut state.is_driver_wanted) || !is_quiet(&state.session) {
            drop(state);
            return false;
        }
        let spent = state.driver.replace(waker);
        state.alarm = alarm;
        drop(state);
        drop(spent);
        true
    }

    /// Lets the driver look at everything, also at what the session knows nothing of.
    fn wake_driver(&self) {
        let mut state = self.lock();
        state.is_driver_wanted = state.driver.is_none();
        unlock_and_wake(state);
    }

    /// The driver is up and will look at everything itself.
    pub(crate) fn rise(&self) {
        let mut state = self.lock();
        let spent = state.driver.take();
        state.is_driver_wanted = false;
        drop(state);
        drop(spent);
    }

    /// The driver is gone: no call will be answered, and nobody waits any longer.
    pub(crate) fn end(&self) {
        let mut state = self.lock();
        let is_panicking = std::thread::panicking();
        state.session.handle_abandoned(if is_panicking { PANICKED } else { STOPPED });
        state.is_ended = true;
        if let Some(signals) = &mut state.signals {
            signals.end();
        }
        state.cover_no_more();
        let watchers = state.watchers.take_wakers();
        unlock_and_wake(state);
        watchers.into_iter().for_each(Waker::wake);
        self.writer.drop_io();
        self.ended.notify_waiters();
    }

    /// Takes no more calls; see [`Session::close`].
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.session.close(now());
        if let Some(signals) = &mut state.signals {
            signals.drain();
        }
        unlock_and_wake(state);
    }

    /// Cancelled when nobody waits for the answer to this call any more.
    pub(super) fn cancelled(&self, id: CallId) -> CancellationToken {
        let signal = CancellationToken::new();
        let mut state = self.lock();
        if !state.session.is_wanted(id) {
            drop(state);
            signal.cancel();
            return signal;
        }
        state.signals.get_or_insert_default().of_call(id, signal)
    }

    /// Cancelled when the connection drains, or the listener that accepted it.
    pub(super) fn draining(&self) -> CancellationToken {
        let signal = self.tasks.as_ref().map(|tasks| tasks.draining()).unwrap_or_default();
        let mut state = self.lock();
        if state.session.is_draining() {
            drop(state);
            signal.cancel();
            return signal;
        }
        state.signals.get_or_insert_default().of_drain(signal)
    }

    /// Of the listener that accepted the connection.
    pub(super) fn tasks(&self) -> Option<&Arc<Tasks>> {
        self.tasks.as_ref()
    }

    /// Waits until the driver is gone.
    pub(crate) async fn ended(&self) {
        self.come(|state| state.is_ended).await;
    }

    /// Whether the driver is gone.
    pub(crate) fn is_ended(&self) -> bool {
        self.lock().is_ended
    }

    /// Waits until it takes no more calls of ours.
    pub(crate) async fn spent(&self) {
        self.come(|state| state.is_ended || !state.session.is_open(None)).await;
    }

    /// The driver has seen that it takes no more calls of ours.
    pub(crate) fn note_spent(&self) {
        self.ended.notify_waiters();
    }

    async fn come(&self, has_come: impl Fn(&State) -> bool) {
        loop {
            let mut changed = pin!(self.ended.notified());
            // Registered before looking, so that a change in between is not missed.
            changed.as_mut().enable();
            if has_come(&self.lock()) {
                return;
            }
            changed.await;
        }
    }

    /// Goes on writing to this stream: a raw command may have put it in the place of the one that
    /// it was lent.
    pub(crate) fn set_io(&self, io: SharedIo) {
        self.writer.set_io(io);
    }

    /// Writes until nothing is left; `Pending` if the peer takes no more. For the driver, which is
    /// woken then. `has_transmit` says whether the session has more than was taken out of it.
    pub(crate) fn poll_write(
        &self,
        cx: &mut Context<'_>,
        has_transmit: bool,
    ) -> Poll<io::Result<()>> {
        self.writer.poll_write(cx, self, has_transmit)
    }

    /// Waits until everything that has been sent so far is written.
    pub(crate) async fn flush(&self) -> Result<(), Error> {
        let sent_end = self.lock().session.sent_end();
        loop {
            let mut flushed = pin!(self.writer.flushed());
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
            self.writer.await_flush();
            self.wake_driver();
            flushed.await;
        }
    }

    /// Writes what a caller has just handed over, if it can be done at once; else the driver is
    /// woken for it.
    pub(super) fn write_now(&self) {
        if !self.writer.write_now(self) {
            self.wake_driver();
        }
    }

    /// The runtime whose watcher has to look after a call that is polled here, unless the driver
    /// does.
    fn runtime_to_watch(&self) -> Option<Id> {
        let runtime = Handle::try_current().ok()?.id();
        (self.single_runtime != Some(runtime)).then_some(runtime)
    }

    /// The session is whole after a panic: none of its steps runs foreign code.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for Shared {
    fn is_lent(&self) -> bool {
        self.lock().session.is_lent()
    }

    fn take_transmit(&self) -> Outbox {
        self.lock().session.take_transmit()
    }

    /// Wakes those who waited for room, and the driver if they have less time than it sleeps. Not
    /// otherwise: it sleeps only when nothing is left to write, or when the stream takes no more,
    /// and then no caller writes.
    fn handle_written(&self, bytes: usize, is_wanted: bool) -> Option<Outbox> {
        let mut state = self.lock();
        state.session.handle_written(now(), bytes);
        state.cover_no_more();
        let next = is_wanted && state.session.has_transmit();
        let next = next.then(|| state.session.take_transmit());
        if state.is_driver_late() {
            unlock_and_wake(state);
        } else {
            unlock_and_wake_callers(state);
        }
        next
    }

    fn handle_flushed(&self) {
        self.lock().session.handle_flushed();
    }
}

impl Watched for Shared {
    fn end_late_calls(&self, runtime: Id, waker: Waker) -> Option<Instant> {
        let now = now();
        let mut state = self.lock();
        let is_late = state.session.handle_call_timeout(now);
        let next = if state.is_ended { None } else { state.session.poll_call_timeout() };
        let spent = match next {
            Some(next) => [state.watchers.sleep(runtime, next, waker), None],
            None => [state.watchers.remove(runtime), Some(waker)],
        };
        if is_late {
            // There are cancels to be written.
            unlock_and_wake(state);
        } else {
            drop(state);
        }
        drop(spent);
        next
    }

    fn strike_off(&self, runtime: Id) {
        let gone = self.lock().watchers.remove(runtime);
        drop(gone);
    }
}

/// Why a connection ends whose driver is dropped before its time.
const STOPPED: &str = "the task of the connection was stopped";

/// Why a connection ends whose driver panics: the stream's own code has.
const PANICKED: &str = "the task of the connection panicked";

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("peer", &self.peer).finish_non_exhaustive()
    }
}
