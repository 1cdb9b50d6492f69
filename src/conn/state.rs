//! What the lock of a connection guards, and how it is let go.
//!
//! [`State`] is the session with what belongs to it: the wakers of the driver and of the watchers,
//! and the bytes that are reserved for all of it. Nothing in here takes the lock; `shared`
//! and `items` do.

use std::sync::{Arc, MutexGuard};
use std::task::{Poll, Waker};
use std::time::Instant;

use bytes::BytesMut;

use super::handed_over::{Ended, Stake};
use super::signals::Signals;
use super::watch::Watchers;
use super::writer::FLUSH_BYTES;
use crate::clock::now;
use crate::error::Error;
use crate::quota::{Permit, Quota, Reservation, call_bytes, unheld};
use crate::session::{Session, reply_bytes};

pub(super) struct State {
    pub(super) session: Session,
    // The driver, while it sleeps, and when it will wake by itself.
    pub(super) driver: Option<Waker>,
    pub(super) alarm: Option<Instant>,
    // It was to be woken and is up; it must look once more before it sleeps.
    pub(super) is_driver_wanted: bool,
    pub(super) watchers: Watchers,
    pub(super) reserved: Reserved,
    // Of streamed calls whose handlers have ended, for as long as their replies are kept. One is
    // like another.
    permits: Vec<Permit>,
    // Boxed, and only there when some handler has asked.
    pub(super) signals: Option<Box<Signals>>,
    pub(super) is_ended: bool,
}

/// What is reserved for all that the connection holds beside its input: what waits to be written,
/// replies not taken yet, one-way calls that wait, and the calls of the peer under way.
pub(crate) struct Reserved {
    reservation: Reservation,
    // Of the calls under way.
    calls_bytes: usize,
}

impl State {
    pub(super) fn new(session: Session, quota: &Arc<Quota>) -> Self {
        Self {
            session,
            driver: None,
            alarm: None,
            is_driver_wanted: false,
            watchers: Watchers::default(),
            reserved: Reserved { reservation: Reservation::new(quota), calls_bytes: 0 },
            permits: Vec::new(),
            signals: None,
            is_ended: false,
        }
    }

    /// Whether the driver sleeps, and something is due before it would wake. One that is up looks
    /// at the time before it sleeps.
    pub(super) fn is_driver_late(&self) -> bool {
        let is_early = |due| self.alarm.is_none_or(|alarm| alarm > due);
        self.driver.is_some() && self.session.poll_timeout().is_some_and(is_early)
    }

    /// Whether the caller who has just called should write what waits, instead of leaving it to be
    /// gathered: it is much, or nobody else is likely to add to it.
    pub(super) fn is_flush_due(&self) -> bool {
        self.is_much_unwritten() || self.session.is_turn_over()
    }

    /// Whether so much waits that whoever has added to it should write it, so that both sides are
    /// at work at once.
    pub(super) fn is_much_unwritten(&self) -> bool {
        self.session.unwritten_bytes() >= FLUSH_BYTES
    }

    /// Reserves `bytes` more that will wait to be written.
    pub(super) fn cover(&mut self, bytes: usize) -> Result<(), Error> {
        self.reserved.cover(self.session.held_bytes().saturating_add(bytes))
    }

    /// Makes a call of the peer that is under way hold `bytes` instead of `before`.
    ///
    /// # Errors
    ///
    /// `overloaded` if the endpoint does not have so much left; the call holds what it held then.
    pub(super) fn hold_for_call(&mut self, before: usize, bytes: usize) -> Result<(), Error> {
        self.reserved.end_call(before);
        self.reserved.begin_call(bytes);
        let covered = self.cover(0);
        if covered.is_err() {
            self.reserved.end_call(bytes);
            self.reserved.begin_call(before);
        }
        covered
    }

    /// A call of the peer has ended, and its reply has to wait for room: the call holds that from
    /// now on, in place of its request. A reply that cannot be held is dropped for an error.
    pub(super) fn hold_reply(&mut self, call: &mut Ended) {
        let wanted = call_bytes(reply_bytes(&call.reply));
        match self.hold_for_call(call.stake.held_bytes, wanted) {
            Ok(()) => call.stake.held_bytes = wanted,
            Err(error) => call.reply = Err(unheld(error)),
        }
    }

    /// Whether the end of a call can be reported: there is room for its reply, or it needs none. If
    /// not, `waker` is kept, and the call has a place.
    pub(super) fn poll_end_room(
        &mut self,
        stake: &mut Stake,
        waker: &mut Option<Waker>,
    ) -> Poll<()> {
        if self.session.end_reply_items(stake.id) {
            return Poll::Ready(());
        }
        self.session.poll_reply_room(&mut stake.place, waker)
    }

    /// A call of the peer has ended, which had this. To be followed by
    /// [`cover_no_more`](Self::cover_no_more): nobody may have wanted the reply.
    pub(super) fn end_call(&mut self, stake: &mut Stake, reply: Result<BytesMut, Error>) {
        let (id, bytes) = (stake.id, reply_bytes(&reply));
        // Not given back in between, or somebody else might take what the reply needs.
        self.reserved.end_call(stake.held_bytes);
        let covered = self.cover(bytes).map_err(unheld);
        match reply {
            Err(error) if error.is_refusal() => self.session.handle_refusal(now, id, &error),
            reply => self.session.handle_reply(now, id, covered.and(reply)),
        }
        // Kept until the next look, which sees whether the reply is.
        self.permits.extend(stake.permit.take());
        if let Some(signals) = &mut self.signals
            && !self.session.is_wanted(id)
        {
            signals.end_call(id);
        }
    }

    /// Gives back what calls had whose replies were kept and have gone, or are not wanted any more.
    fn end_kept(&mut self) {
        let kept = self.session.kept_replies();
        if self.permits.len() <= kept {
            return;
        }
        self.permits.truncate(kept);
        if kept == 0 && self.permits.capacity() > PERMITS_KEPT_MAX {
            self.permits = Vec::new();
        }
        let Self { signals, session, .. } = self;
        if let Some(signals) = signals {
            signals.end_calls(|id| !session.is_wanted(id));
        }
    }

    /// Reserves no more than what waits to be written.
    pub(super) fn cover_no_more(&mut self) {
        // If more is wanted, by refusals, and cannot be had, the peer is not read until it is.
        let _ = self.cover(0);
    }
}

impl Reserved {
    /// Whether a few calls more surely find memory.
    pub(crate) fn is_roomy(&self) -> bool {
        self.reservation.is_roomy()
    }

    /// Whether what waits in streams should not grow.
    pub(crate) fn is_scarce(&self) -> bool {
        self.reservation.is_scarce()
    }

    /// Makes the reservation cover `bytes` with the calls under way.
    ///
    /// # Errors
    ///
    /// `overloaded` if the endpoint does not have so much left; it is as it was then.
    #[inline]
    pub(crate) fn cover(&mut self, bytes: usize) -> Result<(), Error> {
        self.reservation.cover(bytes.saturating_add(self.calls_bytes))
    }

    /// A call is under way, which holds so much. It has been covered, or will be.
    pub(crate) fn begin_call(&mut self, bytes: usize) {
        self.calls_bytes = self.calls_bytes.saturating_add(bytes);
    }

    /// A call has ended, which held so much. It is covered until the next look.
    fn end_call(&mut self, bytes: usize) {
        self.calls_bytes = self.calls_bytes.saturating_sub(bytes);
    }
}

/// Permits for which an idle connection keeps room: as many as the first one makes.
const PERMITS_KEPT_MAX: usize = 4;

/// Lets go of the lock, and wakes the driver and whom the session concerns.
pub(super) fn unlock_and_wake(mut state: MutexGuard<'_, State>) {
    let driver = state.driver.take();
    unlock_and_wake_callers(state);
    if let Some(driver) = driver {
        driver.wake();
    }
}

/// Lets go of the lock, and wakes those who have called.
pub(super) fn unlock_and_wake_callers(mut state: MutexGuard<'_, State>) {
    state.end_kept();
    if state.signals.is_some() {
        return unlock_and_signal(state);
    }
    let wakers = state.session.wakers();
    if wakers.is_empty() {
        return;
    }
    if let Some(waker) = wakers.take_only() {
        drop(state);
        waker.wake();
        return;
    }
    let (due, spent) = (wakers.take_due(), wakers.take_spent());
    drop(state);
    drop(spent);
    due.into_iter().for_each(Waker::wake);
}

/// The same on one of the few connections whose handlers have asked to be told of their end.
#[cold]
fn unlock_and_signal(mut state: MutexGuard<'_, State>) {
    let signals = state.signals.as_mut().map(|signals| signals.take_due());
    let wakers = state.session.wakers();
    let (due, spent) = (wakers.take_due(), wakers.take_spent());
    drop(state);
    drop(spent);
    due.into_iter().for_each(Waker::wake);
    signals.into_iter().flatten().for_each(|signal| signal.cancel());
}
