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

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use tokio::runtime::Id;
use tokio::sync::Notify;

use super::watch::{Watchers, single_runtime};
use super::writer::{FLUSH_BYTES, Writer};
use crate::connection::now;
use crate::error::Error;
use crate::format::Grant;
use crate::limits::Limits;
use crate::quota::{Charge, Cover, Quota, unheld};
use crate::session::{CallId, Place, Session, Side, Tally};
use crate::transport::{Peer, SharedIo};
use crate::wire::{Outbox, Tag};

pub(crate) struct Shared {
    state: Mutex<State>,
    pub(super) writer: Writer,
    ended: Notify,
    pub(super) flushed: Notify,
    // Somebody waits for `flushed`.
    pub(super) is_flush_awaited: AtomicBool,
    // The driver's, if it has one thread: calls that are polled there need no watcher.
    pub(super) single_runtime: Option<Id>,
    limits: Arc<Limits>,
    quota: Arc<Quota>,
    peer: Peer,
}

pub(super) struct State {
    pub(super) session: Session,
    // The driver, while it sleeps, and when it will wake by itself.
    driver: Option<Waker>,
    alarm: Option<Instant>,
    // It was to be woken and is up; it must look once more before it sleeps.
    is_driver_wanted: bool,
    pub(super) watchers: Watchers,
    // Covers what waits to be written, replies not taken yet, one-way calls that wait, and the
    // calls of the peer under way.
    held: Charge,
    calls_bytes: usize,
    pub(super) is_ended: bool,
}

/// What a caller sends.
pub(crate) struct Sending<'a> {
    /// The call of the peer that it is made for, if it is a handler's.
    pub(crate) within: Option<CallId>,
    /// Where it waits for room. Whoever gives up waiting gives it back by [`Shared::leave_room`].
    pub(crate) place: &'a mut Option<Place>,
    pub(crate) bytes: usize,
    pub(crate) deadline: Instant,
    /// Whether a reply is waited for until then.
    pub(crate) wants_reply: bool,
}

impl Shared {
    pub(crate) fn new(
        side: Side,
        io: SharedIo,
        peer: Peer,
        limits: Arc<Limits>,
        quota: Arc<Quota>,
    ) -> Arc<Self> {
        let session = Session::new(now(), side, &limits);
        let state = State {
            session,
            driver: None,
            alarm: None,
            is_driver_wanted: false,
            watchers: Watchers::default(),
            held: Charge::default(),
            calls_bytes: 0,
            is_ended: false,
        };
        let writer = Writer::new(io);
        Arc::new(Self {
            state: Mutex::new(state),
            writer,
            ended: Notify::new(),
            flushed: Notify::new(),
            is_flush_awaited: AtomicBool::new(false),
            single_runtime: single_runtime(),
            limits,
            quota,
            peer,
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
        Self::unlock_and_wake(state);
        result
    }

    /// As [`with`](Self::with), together with what covers the bytes that the session keeps.
    pub(crate) fn with_held<R>(&self, action: impl FnOnce(&mut Session, &mut Cover<'_>) -> R) -> R {
        let mut state = self.lock();
        let State { session, held, calls_bytes, .. } = &mut *state;
        let result = action(session, &mut held.of(&self.quota, calls_bytes));
        Self::unlock_and_wake(state);
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
                Self::unlock_and_wake(state);
            } else {
                Self::unlock_and_wake_callers(state);
            }
            watch.into_iter().for_each(|watch| self.begin_watch(watch));
            return Poll::Pending;
        }
        // What will be refused is not charged first: it is to say why.
        let is_open = state.session.is_open(within);
        let covered = if is_open { state.cover(&self.quota, bytes) } else { Ok(()) };
        let result = covered.and_then(|()| send(&mut state.session, &mut waker));
        if result.is_err() {
            state.cover_no_more(&self.quota);
        }
        state.session.offer_room(now);
        let is_waiting = wants_reply && result.is_ok();
        let runtime = runtime.filter(|_| is_waiting);
        let watch = runtime.map(|runtime| state.watchers.watch(runtime, deadline));
        if state.session.is_flush_due(FLUSH_BYTES) && !state.is_driver_late() {
            Self::unlock_and_wake_callers(state);
            self.write_now();
        } else {
            Self::unlock_and_wake(state);
        }
        watch.into_iter().for_each(|watch| self.begin_watch(watch));
        Poll::Ready(result)
    }

    /// Waits for room no longer.
    pub(crate) fn leave_room(&self, place: Place) {
        self.with(|session| {
            session.leave_room(place);
            session.offer_room(now);
        });
    }

    /// Makes a call of the peer that is under way hold `bytes` instead of `before`.
    ///
    /// # Errors
    ///
    /// `overloaded` if the endpoint has not that much left; the call holds what it held then.
    pub(crate) fn hold_for_call(&self, before: usize, bytes: usize) -> Result<(), Error> {
        let mut state = self.lock();
        let calls_bytes = state.calls_bytes.saturating_sub(before);
        state.calls_bytes = calls_bytes.saturating_add(bytes);
        let covered = state.cover(&self.quota, 0);
        if covered.is_err() {
            state.calls_bytes = calls_bytes.saturating_add(before);
        }
        covered
    }

    /// Reports the end of a handler, which held so much, as soon as its reply has room. Looked at
    /// and taken under one lock, so that no two replies take the same room. An error has lost its
    /// source, which is a user's and is not dropped in here.
    pub(crate) fn poll_reply_end(
        &self,
        cx: &Context<'_>,
        place: &mut Option<Place>,
        id: CallId,
        reply: &mut Option<Result<BytesMut, Error>>,
        held_bytes: usize,
    ) -> Poll<()> {
        let mut waker = Some(cx.waker().clone());
        let mut state = self.lock();
        if state.session.poll_reply_room(place, &mut waker).is_pending() {
            Self::unlock_and_wake_callers(state);
            return Poll::Pending;
        }
        match reply.take() {
            Some(reply) => self.end_call(state, id, reply, held_bytes),
            None => Self::unlock_and_wake_callers(state),
        }
        Poll::Ready(())
    }

    /// Reports that a call does not run, or was stopped, room or not: that is said in few bytes.
    pub(crate) fn refuse(&self, id: CallId, error: &Error, held_bytes: usize) {
        let mut state = self.lock();
        state.calls_bytes = state.calls_bytes.saturating_sub(held_bytes);
        state.session.handle_refusal(now, id, error);
        state.cover_no_more(&self.quota);
        Self::unlock_and_wake(state);
    }

    fn end_call(
        &self,
        mut state: MutexGuard<'_, State>,
        id: CallId,
        reply: Result<BytesMut, Error>,
        held_bytes: usize,
    ) {
        let bytes = reply.as_ref().map_or(0, BytesMut::len);
        // Not given back in between, or somebody else might take what the reply needs.
        state.calls_bytes = state.calls_bytes.saturating_sub(held_bytes);
        let covered = state.cover(&self.quota, bytes).map_err(unheld);
        match covered.and(reply) {
            // One that the library refused in place of its handler.
            Err(error) if error.is_refusal() => state.session.handle_refusal(now, id, &error),
            reply => state.session.handle_reply(now, id, reply),
        }
        // Nobody may have wanted it.
        state.cover_no_more(&self.quota);
        Self::unlock_and_wake(state);
    }

    /// See [`Session::tally`]. Wakes nobody.
    pub(crate) fn tally(&self) -> Tally {
        self.lock().session.tally()
    }

    /// Whether a plain call has the stream. Wakes nobody.
    pub(super) fn is_lent(&self) -> bool {
        self.lock().session.is_lent()
    }

    /// Takes out what waits to be written. Wakes nobody.
    pub(super) fn take_transmit(&self) -> Outbox {
        self.lock().session.take_transmit()
    }

    /// So many bytes have been written; answers what waits next, if that `is_wanted`. Wakes those
    /// who waited for room, and the driver if they have less time than it sleeps. Not otherwise: it
    /// sleeps only when nothing is left to write, or when the stream takes no more, and then no
    /// caller writes.
    pub(super) fn handle_written(&self, bytes: usize, is_wanted: bool) -> Option<Outbox> {
        let mut state = self.lock();
        state.session.handle_written(now(), bytes);
        state.cover_no_more(&self.quota);
        let next = is_wanted && state.session.has_transmit();
        let next = next.then(|| state.session.take_transmit());
        if state.is_driver_late() {
            Self::unlock_and_wake(state);
        } else {
            Self::unlock_and_wake_callers(state);
        }
        next
    }

    /// The reply to a call of ours.
    pub(crate) fn poll_reply(
        self: &Arc<Self>,
        tag: Tag,
        cx: &Context<'_>,
        deadline: Option<Instant>,
    ) -> Poll<Result<Bytes, Error>> {
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
            state.cover_no_more(&self.quota);
        }
        Self::unlock_and_wake_callers(state);
        watch.into_iter().for_each(|watch| self.begin_watch(watch));
        reply
    }

    /// Gives up a call of ours.
    pub(crate) fn cancel(&self, tag: Tag) {
        let mut state = self.lock();
        state.session.cancel(tag);
        state.cover_no_more(&self.quota);
        Self::unlock_and_wake(state);
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
    pub(super) fn wake_driver(&self) {
        let mut state = self.lock();
        state.is_driver_wanted = state.driver.is_none();
        Self::unlock_and_wake(state);
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
        state.cover_no_more(&self.quota);
        let watchers = state.watchers.take_wakers();
        Self::unlock_and_wake(state);
        watchers.into_iter().for_each(Waker::wake);
        self.writer.drop_io();
        self.ended.notify_waiters();
        self.flushed.notify_waiters();
    }

    /// Takes no more calls; see [`Session::close`].
    pub(crate) fn close(&self) {
        self.with(|session| session.close(now()));
    }

    /// Waits until the driver is gone.
    pub(crate) async fn ended(&self) {
        loop {
            let mut ended = std::pin::pin!(self.ended.notified());
            // Registered before looking, so that an end in between is not missed.
            ended.as_mut().enable();
            if self.lock().is_ended {
                return;
            }
            ended.await;
        }
    }

    pub(super) fn unlock_and_wake(mut state: MutexGuard<'_, State>) {
        let driver = state.driver.take();
        Self::unlock_and_wake_callers(state);
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    fn unlock_and_wake_callers(mut state: MutexGuard<'_, State>) {
        if !state.session.has_wakers() {
            return;
        }
        let (wakers, spent) = (state.session.take_wakers(), state.session.take_spent_wakers());
        drop(state);
        drop(spent);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// The session is whole after a panic: none of its steps runs foreign code.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether something is due before the driver would wake.
    fn is_driver_late(&self) -> bool {
        let due = self.session.poll_timeout();
        due.is_some_and(|due| self.alarm.is_none_or(|alarm| alarm > due))
    }

    /// Charges `bytes` more that will wait to be written.
    fn cover(&mut self, quota: &Arc<Quota>, bytes: usize) -> Result<(), Error> {
        let held_bytes = self.session.held_bytes().saturating_add(self.calls_bytes);
        self.held.cover(quota, held_bytes.saturating_add(bytes))
    }

    /// Charges no more than what waits to be written.
    fn cover_no_more(&mut self, quota: &Arc<Quota>) {
        // If more is wanted, by refusals, and cannot be had, the peer is not read until it is.
        let _ = self.cover(quota, 0);
    }
}

impl Grant for Shared {
    fn grant(&self, bytes: usize) -> Result<(), (usize, usize)> {
        self.quota.hold(bytes).map_err(|held| (held, self.quota.held_bytes_max()))
    }

    fn give_back(&self, bytes: usize) {
        self.quota.give_back(bytes);
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
