//! An error as people and logs read it.
//!
//! The reason that its sources have is often all that somebody needs to know (`No such file or
//! directory`), so it is printed as well. What says it twice is printed once: many texts end with
//! that of their source.

use std::error::Error as StdError;
use std::fmt;

use super::Error;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(command) = &self.facts.command {
            write!(f, "{command}: ")?;
        }
        if self.facts.is_from_peer {
            f.write_str("the peer answered ")?;
        }
        f.write_str(self.code_word())?;
        if !self.facts.text.is_empty() {
            write!(f, ": {}", self.facts.text)?;
        }
        reasons(self).iter().try_for_each(|reason| write!(f, ": {reason}"))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Error");
        debug.field("code", &self.facts.code).field("text", &self.facts.text);
        if let Some(command) = &self.facts.command {
            debug.field("command", command);
        }
        if let Some(source) = &self.facts.source {
            debug.field("source", source);
        }
        let (is_from_peer, was_sent) = (self.facts.is_from_peer, self.facts.was_sent);
        debug.field("is_from_peer", &is_from_peer).field("was_sent", &was_sent).finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.facts.source.as_deref().map(|source| source as _)
    }
}

/// What the sources of an error say that is not said by its text or a source before, the nearest
/// first.
pub(crate) fn reasons(error: &Error) -> Vec<String> {
    let mut reasons: Vec<String> = Vec::new();
    let mut source = error.source();
    for _ in 0..SOURCES_MAX {
        let Some(next) = source else { break };
        let reason = next.to_string();
        if !reasons.last().map_or_else(|| error.text(), String::as_str).ends_with(&reason) {
            reasons.push(reason);
        }
        source = next.source();
    }
    reasons
}

/// Sources that are printed: one may be its own.
const SOURCES_MAX: usize = 16;
