//! What a caller is told of an error, and what the log is told in its place.

use super::panics::caught;
use crate::error::{Code, Error};
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

/// Logs why a call was refused before it ran, with the command if it is registered, and what the
/// caller is not told: a format's own words.
pub(crate) fn log_refusal(command: Option<Name>, tag: u32, error: &Error) {
    let command = command.map(tracing::field::display);
    let (code, text) = (error.code().as_str(), error.text());
    let source = || source_text(error);
    tracing::debug!(command, tag, code, text, source = source(), "refused a call");
}

/// What the caller is not told is told here.
fn log_failure(name: Name, error: &Error) {
    // Texts are logged as strings, so that subscribers escape what a peer put into them.
    let (code, text) = (error.code().as_str(), error.text());
    let source = || source_text(error);
    if error.code() == Code::Panicked {
        tracing::warn!(command = %name, code, text, source = source(), "a handler panicked");
    } else if error.text_for_peer().is_none() {
        tracing::warn!(command = %name, code, text, source = source(), "a handler failed");
    } else {
        tracing::debug!(command = %name, code, text, source = source(), "a call failed");
    }
}

/// What the source of an error says. It is its author's and may do anything when it is printed.
fn source_text(error: &Error) -> String {
    let source = std::error::Error::source(error).map(|source| caught(|| source.to_string()));
    source.and_then(Result::ok).unwrap_or_default()
}
