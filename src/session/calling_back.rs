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
//!
//! Nothing is kept and nothing is changed here: these are questions to the parts of a session.

use super::CallId;
use super::calls::Calls;
use crate::error::{Code, Error};

/// Whether calls of the peer are run.
pub(super) fn takes_calls(calls: &Calls) -> bool {
    let Calls { closing, outbound, .. } = calls;
    !closing.is_draining() || closing.cause().is_none() && !outbound.is_answered()
}

/// Why no calls can be made, by the handler of the call `within` if by one.
#[inline]
pub(super) fn check_open(calls: &Calls, within: Option<CallId>) -> Result<(), Error> {
    let Calls { closing, outbound, inbound, .. } = calls;
    let is_closed =
        closing.is_draining() || closing.cause().is_some() || outbound.parting.is_refused();
    if is_closed || inbound.agenda.is_lent { check_closed(calls, within) } else { Ok(()) }
}

/// As [`check_open`] where something may stand in the way.
#[cold]
fn check_closed(calls: &Calls, within: Option<CallId>) -> Result<(), Error> {
    let Calls { closing, outbound, inbound, .. } = calls;
    if inbound.agenda.is_lent && within.is_some_and(CallId::is_plain) {
        let text = "a handler that was called plainly cannot call back";
        return Err(Error::local(Code::UnsupportedFormat, text));
    }
    let error = match (outbound.parting.refusal(), closing.cause()) {
        (None, None) if !closing.is_draining() => return Ok(()),
        (Some(error), _) => error,
        (None, Some(cause)) => cause.of_connection(),
        (None, None) => Error::local(Code::ShuttingDown, "this side is closing"),
    };
    let is_drain = error.code() == Code::ShuttingDown;
    if is_drain && within.is_some_and(|within| is_finishing(calls, within)) {
        return Ok(());
    }
    Err(error)
}

/// Whether this call of the peer waits for its answer, and the peer for calls of ours.
fn is_finishing(calls: &Calls, within: CallId) -> bool {
    let Calls { closing, outbound, inbound, .. } = calls;
    inbound.is_wanted(within) && closing.cause().is_none() && !outbound.parting.has_farewell()
}

/// The error of whoever waits for what was sent to be written, when it never will be.
pub(super) fn flush_error(calls: &Calls) -> Error {
    let why = check_open(calls, None).err();
    let why = why.as_ref().map_or("the connection is closed", Error::text);
    let text = format!("the connection ended before all was written: {why}");
    Error::local(Code::Disconnected, text).after_sending()
}
