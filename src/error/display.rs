//! An error as people and logs read it.
//!
//! The reason that its source has is often all that somebody needs to know (`No such file or
//! directory`), so it is printed as well, unless the text ends with it already.

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
        let reason = self.facts.source.as_ref().map(ToString::to_string).unwrap_or_default();
        if self.facts.text.ends_with(&reason) { Ok(()) } else { write!(f, ": {reason}") }
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
