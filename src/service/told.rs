//! What a caller is told of an error; the log is told the rest.

use super::log::log_failure;
use super::panics::caught;
use crate::error::Error;
use crate::wire::Name;

/// What the caller is told of an error; the rest is logged here.
pub(crate) fn told(name: Name, error: Error) -> Error {
    log_failure(name, &error);
    without_source(error)
}

/// What is left to be told of an error. Its source is its author's and may do anything when it is
/// dropped, so that is done here, where a panic harms nobody and no lock is held.
pub(super) fn without_source(error: Error) -> Error {
    let told = error.for_peer();
    if let Err(panicked) = caught(|| drop(error)) {
        tracing::warn!(error = %panicked, "the error of a handler panicked when it was dropped");
    }
    told
}
