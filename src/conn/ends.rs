//! How the calls of the peer end: what the session is told of it, and what they hold until then.
//!
//! A reply waits for room, with what its call has ([`Stake`]). Only that of a streamed call whose
//! items are still to go needs none: the session keeps it, and it counts as a part of the call, as
//! does the permit, until it has gone behind them or the call has ended before.

use std::task::{Context, Poll, Waker};

use bytes::BytesMut;

use super::handed_over::{Ended, Stake};
use super::shared::Shared;
use super::state::{unlock_and_wake, unlock_and_wake_callers};
use crate::error::Error;

impl Shared {
    /// Makes a call of the peer that is under way hold `bytes` instead of `before`.
    ///
    /// # Errors
    ///
    /// `overloaded` if the endpoint does not have so much left; the call holds what it held then.
    pub(super) fn hold_for_call(&self, before: usize, bytes: usize) -> Result<(), Error> {
        self.lock().hold_for_call(before, bytes)
    }

    /// Reports the end of a call as soon as its reply has room. Looked at and taken under one lock,
    /// so that no two replies take the same room. An error has lost its source, which is a user's
    /// and is not dropped in here.
    pub(super) fn poll_reply_end(
        &self,
        cx: &Context<'_>,
        stake: &mut Stake,
        reply: &mut Option<Result<BytesMut, Error>>,
    ) -> Poll<()> {
        let mut waker = Some(cx.waker().clone());
        let mut state = self.lock();
        if state.poll_end_room(stake, &mut waker).is_pending() {
            unlock_and_wake_callers(state);
            return Poll::Pending;
        }
        match reply.take() {
            Some(reply) => {
                state.end_call(stake, reply);
                state.cover_no_more();
                unlock_and_wake(state);
            }
            None => unlock_and_wake_callers(state),
        }
        Poll::Ready(())
    }

    /// Reports the ends of calls that were ready at once, in this order. Answers those for whose
    /// replies there is no room, each with its place.
    pub(crate) fn end_calls(&self, ended: &mut Vec<Ended>) -> Vec<Ended> {
        let mut left = Vec::new();
        let mut state = self.lock();
        for mut call in ended.drain(..) {
            // Whoever waits asks again in a task of its own, with a waker.
            let mut nobody = Some(Waker::noop().clone());
            let is_refusal = call.reply.as_ref().is_err_and(Error::is_refusal);
            if is_refusal || state.poll_end_room(&mut call.stake, &mut nobody).is_ready() {
                state.end_call(&mut call.stake, call.reply);
            } else {
                state.hold_reply(&mut call);
                left.push(call);
            }
        }
        state.cover_no_more();
        unlock_and_wake(state);
        left
    }

    /// Reports that a call does not run, or was stopped, room or not: that is said in few bytes.
    pub(super) fn refuse(&self, stake: &mut Stake, error: Error) {
        let mut state = self.lock();
        state.end_call(stake, Err(error.refusing()));
        state.cover_no_more();
        unlock_and_wake(state);
    }
}
