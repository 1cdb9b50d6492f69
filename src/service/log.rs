//! What the log is told of a call. At info and above nothing that a peer made up is in it.
//!
//! The clock is read only if somebody listens at the level of the event.

use std::time::{Duration, Instant};

use tracing::Level;

use super::panics::caught;
use crate::clock::now;
use crate::error::{Code, Error, reasons};
use crate::wire::Name;

/// Logs the end of a call that came then: the code of its error, or `ok`.
pub(crate) fn log_end(name: Name, came: Instant, code: &str) {
    if tracing::enabled!(Level::DEBUG) {
        let time = now().saturating_duration_since(came);
        tracing::debug!(command = %name, code, ?time, "a call ended");
    }
}

/// Logs the end of a call that was stopped, at its deadline or because nobody wants to know.
pub(super) fn log_stop(name: Name, came: Instant, code: Code) {
    if code == Code::DeadlineExceeded {
        log_lateness(name);
    }
    log_end(name, came, code.as_str());
}

/// Logs that a handler was stopped because its time was over.
pub(super) fn log_lateness(name: Name) {
    tracing::info!(command = %name, "a handler missed its deadline");
}

/// The first poll of a handler, which holds up all of its connection: one that takes long is
/// logged.
pub(super) fn in_time<R>(name: Name, poll: impl FnOnce() -> R) -> R {
    if !tracing::enabled!(Level::WARN) {
        return poll();
    }
    let began = now();
    let polled = poll();
    let time = now().saturating_duration_since(began);
    if time > FIRST_POLL_TIME_USUAL {
        let text = "a handler held up its connection before its first await; see `blocking`";
        tracing::warn!(command = %name, ?time, "{text}");
    }
    polled
}

/// Logs why a call was refused before it ran, with the command if it is registered, and what the
/// caller is not told: a format's own words.
pub(crate) fn log_refusal(command: Option<Name>, tag: u32, error: &Error) {
    let command = command.map(tracing::field::display);
    let (code, text) = (error.code().as_str(), error.text());
    let source = || source_text(error);
    tracing::debug!(command, tag, code, text, source = source(), "refused a call");
}

/// Logs what the caller is not told.
pub(super) fn log_failure(name: Name, error: &Error) {
    // Texts are logged as strings, so that subscribers escape what a peer put into them.
    let (code, text) = (error.code().as_str(), error.text());
    let source = || source_text(error);
    if error.code() == Code::Panicked {
        tracing::warn!(command = %name, code, text, source = source(), "a handler panicked");
    } else if error.is_withheld() {
        tracing::warn!(command = %name, code, text, source = source(), "a handler failed");
    } else {
        tracing::debug!(command = %name, code, text, source = source(), "a call failed");
    }
}

/// What the sources of an error say, if they say more than its text. They are their authors' and
/// may do anything when they are printed.
fn source_text(error: &Error) -> Option<String> {
    let reasons = caught(|| reasons(error).join(": ")).ok();
    reasons.filter(|reasons| !reasons.is_empty())
}

/// More than that is work for a thread that may block.
const FIRST_POLL_TIME_USUAL: Duration = Duration::from_millis(10);
