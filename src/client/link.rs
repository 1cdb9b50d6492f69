//! What the task of a connection shares with the tasks that call over it.
//!
//! A [`Link`] is a session behind a mutex. The lock is held for a few steps of pure code, never
//! across an await, and nobody is woken and nothing of a user runs while it is held. Callers and
//! handlers put their lines into the session themselves. The driver, which alone reads the stream,
//! is woken to write them, unless it is time to do so at once: see `pen`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::pen::{FLUSH_BYTES, Pen};
use crate::error::Error;
use crate::limits::Limits;
use crate::quota::{Charge, Cover, Quota, unheld};
use crate::session::{CallId, Session, Side};
use crate::transport::{Origin, SharedIo};
use crate::wire::{Outbox, Tag};

pub(crate) struct Link {
    state: Mutex<State>,
    pub(super) pen: Pen,
    ended: Notify,
    limits: Arc<Limits>,
    quota: Arc<Quota>,
    origin: Origin,
}

struct State {
    session: Session,
    // The driver, while it sleeps, and when it will wake by itself.
    driver: Option<Waker>,
    alarm: Option<std::time::Instant>,
    // It was to be woken and is up; it must look once more before it sleeps.
    is_driver_wanted: bool,
    // Covers what waits to be written.
    held: Charge,
    is_ended: bool,
}

impl Link {
    pub(crate) fn new(
        side: Side,
        io: SharedIo,
        origin: Origin,
        limits: Arc<Limits>,
        quota: Arc<Quota>,
    ) -> Arc<Self> {
        let session = Session::new(Instant::now().into_std(), side, &limits);
        let state = State {
            session,
            driver: None,
            alarm: None,
            is_driver_wanted: false,
            held: Charge::default(),
            is_ended: false,
        };
        let pen = Pen::new(io);
        Arc::new(Self {
            state: Mutex::new(state),
            pen,
            ended: Notify::new(),
            limits,
            quota,
            origin,
        })
    }

    pub(crate) fn limits(&self) -> &Arc<Limits> {
        &self.limits
    }

    pub(crate) fn quota(&self) -> &Arc<Quota> {
        &self.quota
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
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
        let State { session, held, .. } = &mut *state;
        let result = action(session, &mut held.of(&self.quota));
        Self::unlock_and_wake(state);
        result
    }

    /// Sends something of `bytes` bytes by `send`, as soon as less than `unwritten_bytes_max` waits
    /// to be written.
    pub(crate) fn poll_send<R>(
        &self,
        cx: &Context<'_>,
        bytes: usize,
        send: impl FnOnce(&mut Session) -> Result<R, Error>,
    ) -> Poll<Result<R, Error>> {
        let mut state = self.lock();
        ready!(state.session.poll_room(cx.waker()));
        state.cover(&self.quota, bytes)?;
        let result = send(&mut state.session);
        if state.session.is_flush_due(FLUSH_BYTES) && !state.is_driver_late() {
            drop(state);
            self.write_now();
        } else {
            Self::unlock_and_wake(state);
        }
        Poll::Ready(result)
    }

    /// Reports the end of a handler, which held so much, as soon as its reply has room. Looked at
    /// and taken under one lock, so that no two replies take the same room.
    pub(crate) fn poll_reply_end(
        &self,
        cx: &Context<'_>,
        id: CallId,
        reply: &mut Option<Result<BytesMut, Error>>,
        held: &mut Charge,
    ) -> Poll<()> {
        let mut state = self.lock();
        ready!(state.session.poll_reply_room(cx.waker()));
        if let Some(reply) = reply.take() {
            self.end_call(state, id, reply, held);
        }
        Poll::Ready(())
    }

    /// Reports the end of a handler, room or not: what there is to say is short.
    pub(crate) fn refuse(&self, id: CallId, error: Error, held: &mut Charge) {
        self.end_call(self.lock(), id, Err(error), held);
    }

    fn end_call(
        &self,
        mut state: MutexGuard<'_, State>,
        id: CallId,
        reply: Result<BytesMut, Error>,
        held: &mut Charge,
    ) {
        let bytes = reply.as_ref().map_or(0, BytesMut::len);
        // Not given back in between, or somebody else might take what the reply needs.
        state.held.absorb(held);
        let covered = state.cover(&self.quota, bytes).map_err(unheld);
        // The error itself, with whatever its source owns, is dropped when the lock is not held.
        let (reply, _error) = match (covered, reply) {
            (Ok(()), Ok(reply)) => (Ok(reply), None),
            (Ok(()), Err(error)) => (Err(error.for_peer()), Some(error)),
            (Err(unheld), reply) => (Err(unheld), reply.err()),
        };
        state.session.handle_reply(id, reply);
        // Nobody may have wanted it.
        state.cover_no_more(&self.quota);
        Self::unlock_and_wake(state);
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
    /// who waited for room, and the driver if it may end or read now.
    pub(super) fn handle_written(&self, bytes: usize, is_wanted: bool) -> Option<Outbox> {
        let mut state = self.lock();
        let wanted_input = state.session.wants_input();
        state.session.handle_written(Instant::now().into_std(), bytes);
        state.cover_no_more(&self.quota);
        let next = is_wanted && state.session.has_transmit();
        let next = next.then(|| state.session.take_transmit());
        if state.session.is_finished() || wanted_input != state.session.wants_input() {
            Self::unlock_and_wake(state);
        } else {
            Self::unlock_and_wake_callers(state);
        }
        next
    }

    /// The reply to a call of ours.
    pub(crate) fn poll_reply(&self, tag: Tag, cx: &Context<'_>) -> Poll<Result<Bytes, Error>> {
        let mut state = self.lock();
        let reply = ready!(state.session.poll_reply(tag, cx.waker()));
        state.cover_no_more(&self.quota);
        Poll::Ready(reply)
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
        alarm: Option<std::time::Instant>,
        is_quiet: impl FnOnce(&Session) -> bool,
    ) -> bool {
        let mut state = self.lock();
        if std::mem::take(&mut state.is_driver_wanted) || !is_quiet(&state.session) {
            return false;
        }
        state.driver = Some(cx.waker().clone());
        state.alarm = alarm;
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
        state.driver = None;
        state.is_driver_wanted = false;
    }

    /// The driver is gone: no call will be answered, and nobody waits any longer.
    pub(crate) fn end(&self) {
        let mut state = self.lock();
        state.session.handle_lost();
        state.is_ended = true;
        Self::unlock_and_wake(state);
        self.pen.drop_io();
        self.ended.notify_waiters();
    }

    /// Takes no more calls; see [`Session::close`].
    pub(crate) fn close(&self) {
        self.with(|session| session.close(Instant::now().into_std()));
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

    fn unlock_and_wake(mut state: MutexGuard<'_, State>) {
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
        let wakers = state.session.take_wakers();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// The session is whole after a panic: none of its steps runs foreign code.
    fn lock(&self) -> MutexGuard<'_, State> {
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
        self.held.cover(quota, self.session.held_bytes().saturating_add(bytes))
    }

    /// Charges no more than what waits to be written.
    fn cover_no_more(&mut self, quota: &Arc<Quota>) {
        // If more is wanted, by refusals, and cannot be had, the peer is not read until it is.
        let _ = self.held.cover(quota, self.session.held_bytes());
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("origin", &self.origin).finish_non_exhaustive()
    }
}
