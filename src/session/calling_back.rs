//! Calls that are made inside of others: who may finish may also ask.
//!
//! A side that drains lets the calls under way finish, and a handler that has to ask its caller
//! something cannot finish without. So on a connection that drains
//!
//! - a handler whose caller still waits may call its peer, whichever side it is that drains;
//! - the side that drains takes calls as long as it waits for a reply of its own: the handler at
//!   the other side may have to ask. It cannot know which calls come from there, so it takes all
//!   that come, and it is the other side that makes no others once it has been told.
//!
//! When its time is up both are over: every call is ended then.
//!
//! A handler that was called plainly cannot call back: its caller has the stream until the reply,
//! and a call would stand where the reply should be.

use super::{CallId, Session};
use crate::error::{Code, Error};

impl Session {
    /// Whether calls of the peer are run.
    pub(super) fn takes_calls(&self) -> bool {
        !self.is_draining || self.cause.is_none() && !self.outbound.is_answered()
    }

    /// Why no calls can be made, by the handler of the call `within` if by one.
    #[inline]
    pub(super) fn check_open(&self, within: Option<CallId>) -> Result<(), Error> {
        let is_closed = self.is_draining || self.cause.is_some() || self.outbound.is_refused();
        if is_closed || self.is_lent { self.check_closed(within) } else { Ok(()) }
    }

    /// As [`check_open`](Self::check_open) where something may stand in the way.
    #[cold]
    fn check_closed(&self, within: Option<CallId>) -> Result<(), Error> {
        if self.is_lent && within.is_some_and(CallId::is_plain) {
            let text = "a handler that was called plainly cannot call back";
            return Err(Error::local(Code::UnsupportedFormat, text));
        }
        let error = match (self.outbound.refusal(), &self.cause) {
            (None, None) if !self.is_draining => return Ok(()),
            (Some(error), _) => error,
            (None, Some(cause)) => cause.of_connection(),
            (None, None) => Error::local(Code::ShuttingDown, "this side is closing"),
        };
        let is_drain = error.code() == Code::ShuttingDown;
        if is_drain && within.is_some_and(|within| self.is_finishing(within)) {
            return Ok(());
        }
        Err(error)
    }

    /// The error of whoever waits for what was sent to be written, when it never will be. Some of
    /// it may have been, and may have run.
    #[must_use]
    pub fn flush_error(&self) -> Error {
        let why = self.check_open(None).err();
        let why = why.as_ref().map_or("the connection is closed", Error::text);
        let text = format!("the connection ended before all was written: {why}");
        Error::local(Code::Disconnected, text).after_sending()
    }

    /// Whether this call of the peer waits for its answer, and the peer for calls of ours.
    fn is_finishing(&self, within: CallId) -> bool {
        self.inbound.is_wanted(within) && self.cause.is_none() && !self.outbound.has_farewell()
    }
}
