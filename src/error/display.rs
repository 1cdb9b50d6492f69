//! An error as people and logs read it.
//!
//! The reason that its sources have is often all that somebody needs to know (`No such file or
//! directory`), so it is printed as well. What says it twice is printed once: many texts end with
//! that of their source.
//!
//! A source that is an [`Error`] itself is printed without its own sources, which come next. A
//! program that keeps the error of each attempt as the source of the next one has a long chain of
//! them, and a call within a call for each would overflow the stack where the log is written.

use std::error::Error as StdError;
use std::fmt::{self, Write};

use super::Error;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_own(self, f)?;
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
        let mut reason = String::new();
        // One that fails to say it has said what came before.
        let _ = match next.downcast_ref() {
            Some(ours) => write_own(ours, &mut reason),
            None => write!(reason, "{next}"),
        };
        if !reasons.last().map_or_else(|| error.text(), String::as_str).ends_with(&reason) {
            reasons.push(reason);
        }
        source = next.source();
    }
    reasons
}

/// What an error says itself, without its sources.
fn write_own(error: &Error, out: &mut impl Write) -> fmt::Result {
    if let Some(command) = &error.facts.command {
        write!(out, "{command}: ")?;
    }
    if error.facts.is_from_peer {
        out.write_str("the peer answered ")?;
    }
    out.write_str(error.code_word())?;
    if error.facts.text.is_empty() { Ok(()) } else { write!(out, ": {}", error.facts.text) }
}

/// Sources that are printed: one may be its own.
const SOURCES_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::super::Code;
    use super::*;

    #[test]
    fn a_long_chain_of_sources_is_printed() {
        let mut error = Error::new(Code::NotFound, "no job");
        for attempt in 1..=4000 {
            error = Error::new(Code::Failed, format!("attempt {attempt}")).with_source(error);
        }
        let text = error.to_string();
        assert!(text.starts_with("failed: attempt 4000: failed: attempt 3999: "), "{text}");
        assert!(text.ends_with(": failed: attempt 3984"), "{text}");
    }

    #[test]
    fn a_source_that_cannot_be_printed_is_left_out() {
        #[derive(Debug)]
        struct Mute;

        impl fmt::Display for Mute {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                Err(fmt::Error)
            }
        }

        impl StdError for Mute {}

        let error = Error::new(Code::NotFound, "no job").with_source(Mute);
        assert_eq!(error.to_string(), "not_found: no job");
    }
}
