//! What a handler returned as an error, as the library has it.
//!
//! It decides nothing: what of an error the caller learns is decided where the handler is called.

use std::error::Error as StdError;

use crate::error::{Code, Error};

/// What a handler returned as an error: an `Error` as it is, anything else as the source of one
/// that says nothing of it.
pub(super) fn failure(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
    match error.into().downcast::<Error>() {
        Ok(error) => *error,
        Err(error) => Error::local(Code::Failed, "the handler failed").with_source(error),
    }
}
