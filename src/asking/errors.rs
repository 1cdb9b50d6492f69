//! The errors of a call that its caller has used as it cannot be used, or that is over.

use crate::error::{Code, Error};

/// The error of a future that has given out its result: the call may have been sent.
pub(crate) fn polled_too_late() -> Error {
    Error::local(Code::Failed, "a call was polled after its end").after_sending()
}

pub(crate) fn over() -> Error {
    Error::local(Code::Cancelled, "the call is over").after_sending()
}

/// The error of whoever sends an item when the reply has come.
pub(crate) fn has_reply() -> Error {
    let text = "the call has its reply already, and takes no more items";
    Error::local(Code::Cancelled, text).after_sending()
}

/// The error of a call that was to go on at this position, and does not.
pub(crate) fn not_resumed(position: u64) -> Error {
    let text = format!("the other side does not say that it goes on at position {position}");
    Error::local(Code::Invalid, text).after_sending()
}
