//! A call of the peer under way, as its connection accounts for it.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;

use super::handed_over::{Ended, reply_bytes};
use super::shared::Shared;
use crate::error::{Code, Error, Result};
use crate::quota::{call_bytes, unheld};
use crate::session::{Call, CallId, Place};

/// A call that was given out to be run. It reports the end exactly once, also when it is dropped in
/// the middle, and gives back what the call holds.
pub(crate) struct InFlight {
    shared: Arc<Shared>,
    id: CallId,
    is_over: bool,
    // Its handler may keep them for as long as it runs.
    options_bytes: usize,
    held_bytes: usize,
    // Where its reply waits for room.
    place: Option<Place>,
}

impl InFlight {
    /// A call that holds its payload and its options, as its connection knows.
    pub(crate) fn new(shared: &Arc<Shared>, call: &Call) -> Self {
        let (shared, id, options_bytes) = (Arc::clone(shared), call.id, call.options_bytes());
        let held_bytes = call_bytes(call.payload.len().saturating_add(options_bytes));
        Self { shared, id, is_over: false, options_bytes, held_bytes, place: None }
    }

    /// Makes the call hold so much of the peer's, or of what came of it.
    ///
    /// # Errors
    ///
    /// `overloaded` if the endpoint does not have so much left.
    pub(crate) fn cover(&mut self, bytes: usize) -> Result<()> {
        let wanted = call_bytes(bytes.saturating_add(self.options_bytes));
        let surplus_bytes = self.held_bytes.saturating_sub(wanted);
        if wanted > self.held_bytes || surplus_bytes > SURPLUS_BYTES_MAX {
            self.shared.hold_for_call(self.held_bytes, wanted)?;
            self.held_bytes = wanted;
        }
        Ok(())
    }

    /// The call has ended with this, and holds it from now on in place of its request. A refusal is
    /// said in few bytes.
    ///
    /// # Errors
    ///
    /// That of the call, or `failed` if the endpoint does not have so much left.
    pub(crate) fn hold_reply(&mut self, reply: Result<BytesMut>) -> Result<BytesMut> {
        if !reply.as_ref().is_err_and(Error::is_refusal) {
            self.cover(reply_bytes(&reply)).map_err(unheld)?;
        }
        reply
    }

    /// The call has ended with this, which is to be reported by [`Shared::end_calls`].
    pub(crate) fn end(mut self, reply: Result<BytesMut>) -> Ended {
        self.is_over = true;
        Ended { id: self.id, reply, held_bytes: self.held_bytes, place: None }
    }

    /// A call that has ended and found no room for its reply, and that reply.
    pub(crate) fn of_ended(shared: &Arc<Shared>, ended: Ended) -> (Self, Result<BytesMut>) {
        let Ended { id, reply, held_bytes, place } = ended;
        let (shared, options_bytes) = (Arc::clone(shared), 0);
        (Self { shared, id, is_over: false, options_bytes, held_bytes, place }, reply)
    }

    /// Waits until the items of the call have gone: its reply comes behind them, and is held as a
    /// part of the call until then.
    fn poll_items_gone(&self, cx: &Context<'_>) -> Poll<()> {
        if !self.id.is_streamed() {
            return Poll::Ready(());
        }
        let mut waker = Some(cx.waker().clone());
        self.shared.with(|session| session.poll_items_gone(self.id.into(), &mut waker))
    }

    /// The call has ended with this, which is taken as soon as there is room for it. A refusal
    /// needs none: it is said in few bytes.
    pub(crate) fn poll_finish(
        &mut self,
        cx: &Context<'_>,
        reply: &mut Option<Result<BytesMut>>,
    ) -> Poll<()> {
        let refusal = reply.take_if(|reply| reply.as_ref().is_err_and(Error::is_refusal));
        if let Some(Err(error)) = refusal {
            self.refuse(error);
            return Poll::Ready(());
        }
        ready!(self.poll_items_gone(cx));
        let Self { shared, place, held_bytes, .. } = self;
        let finished = shared.poll_reply_end(cx, place, self.id, reply, *held_bytes);
        self.is_over = finished.is_ready();
        finished
    }

    /// The call did not run, or was stopped.
    fn refuse(&mut self, error: Error) {
        self.is_over = true;
        self.shared.refuse(self.id, error, self.held_bytes);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            self.shared.leave_room(place);
        }
        if !self.is_over {
            self.refuse(Error::found(Code::Cancelled, "the handler was stopped"));
        }
    }
}

/// What a call may keep charged too much, rather than take the lock for it.
const SURPLUS_BYTES_MAX: usize = 16 * 1024;
