//! A call of the peer under way, as its connection accounts for it.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;

use super::handed_over::{Ended, Stake};
use super::shared::Shared;
use crate::error::{Code, Error, Result};
use crate::quota::{call_bytes, unheld};
use crate::service::Answer;
use crate::session::{Call, reply_bytes};

/// A call that was given out to be run. It reports the end exactly once, also when it is dropped in
/// the middle, and gives back what the call holds.
pub(crate) struct InFlight {
    shared: Arc<Shared>,
    is_over: bool,
    // Its handler may keep them for as long as it runs.
    options_bytes: usize,
    stake: Stake,
}

impl InFlight {
    /// A call that holds its payload and its options, as its connection knows.
    pub(crate) fn new(shared: &Arc<Shared>, call: &Call) -> Self {
        let (shared, id, options_bytes) = (Arc::clone(shared), call.id, call.options_bytes());
        let held_bytes = call_bytes(call.payload.len().saturating_add(options_bytes));
        let stake = Stake { id, held_bytes, place: None, permit: None };
        Self { shared, is_over: false, options_bytes, stake }
    }

    /// Makes the call hold so much of the peer's, or of what came of it.
    ///
    /// # Errors
    ///
    /// `overloaded` if the endpoint does not have so much left.
    pub(crate) fn cover(&mut self, bytes: usize) -> Result<()> {
        let wanted = call_bytes(bytes.saturating_add(self.options_bytes));
        let held_bytes = &mut self.stake.held_bytes;
        let surplus_bytes = held_bytes.saturating_sub(wanted);
        if wanted > *held_bytes || surplus_bytes > SURPLUS_BYTES_MAX {
            self.shared.hold_for_call(*held_bytes, wanted)?;
            *held_bytes = wanted;
        }
        Ok(())
    }

    /// The handler of the call has ended. If it is streamed, it keeps the permit of its answer.
    pub(crate) fn keep_permit(&mut self, answer: &mut Answer) {
        if self.stake.id.is_streamed() {
            self.stake.permit = answer.take_permit();
        }
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
        Ended { stake: self.stake.take(), reply }
    }

    /// A call that has ended and found no room for its reply, and that reply.
    pub(crate) fn of_ended(
        shared: &Arc<Shared>,
        Ended { stake, reply }: Ended,
    ) -> (Self, Result<BytesMut>) {
        let (shared, options_bytes) = (Arc::clone(shared), 0);
        (Self { shared, is_over: false, options_bytes, stake }, reply)
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
        let finished = self.shared.poll_reply_end(cx, &mut self.stake, reply);
        self.is_over = finished.is_ready();
        finished
    }

    /// The call did not run, or was stopped.
    fn refuse(&mut self, error: Error) {
        self.is_over = true;
        self.shared.refuse(&mut self.stake, error);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(place) = self.stake.place.take() {
            self.shared.leave_room(place);
        }
        if !self.is_over {
            self.refuse(Error::found(Code::Cancelled, "the handler was stopped"));
        }
    }
}

/// What a call may keep charged too much, rather than take the lock for it.
const SURPLUS_BYTES_MAX: usize = 16 * 1024;
