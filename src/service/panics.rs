//! Panics of a user's code, caught where it is called: they end one call and nothing else.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Code, Error, Result};

/// Runs code of a user; a panic is its error. What it panicked with may panic once more when it is
/// dropped, and is forgotten then.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(payload);
        }
        panicked()
    })
}

pub(crate) fn panicked() -> Error {
    Error::found(Code::Panicked, "the handler panicked")
}
