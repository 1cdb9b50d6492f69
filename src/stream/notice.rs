//! An error that a peer says in place of what it was asked for: `<0 err LENGTH CODE`, and a text.
//!
//! No gob begins like this: it would be a message of 60 bytes whose type is 24, which no value has.
//! No length does either. A line can, if somebody else chose its text: so what is found in place of
//! a line is no promise that a call did not run.

use bytes::{Buf, BytesMut};

use crate::error::{CodeWord, Error};
use crate::format::Framing;
use crate::wire::{Line, Options, Part};

/// The line of such an error.
pub(super) struct Notice {
    // With its end.
    line_bytes: usize,
    pub(super) text_bytes: usize,
    word: CodeWord,
    options: Options,
}

/// What the input begins with.
pub(super) enum Start {
    Notice(Notice),
    Other,
    /// Too little of it is there.
    Unclear,
}

impl Notice {
    pub(super) fn find(input: &[u8]) -> Start {
        let known = input.len().min(START.len());
        if input.get(..known) != START.get(..known) {
            return Start::Other;
        }
        let most = input.len().min(LINE_BYTES_MAX);
        let line = input.get(..most).unwrap_or_default();
        match memchr::memchr(b'\n', line) {
            Some(end) => {
                let line = line.get(..end).unwrap_or_default();
                Self::parse(line, end.saturating_add(1)).map_or(Start::Other, Start::Notice)
            }
            None if input.len() < LINE_BYTES_MAX => Start::Unclear,
            None => Start::Other,
        }
    }

    /// Takes the error out, once all of it is there, in place of a payload with this framing.
    ///
    /// # Errors
    ///
    /// How many bytes are missing; nothing is taken then.
    pub(super) fn take(self, input: &mut BytesMut, framing: Framing) -> Result<Error, usize> {
        let whole = self.line_bytes.saturating_add(self.text_bytes);
        let missing = whole.saturating_sub(input.len());
        if missing > 0 {
            return Err(missing);
        }
        input.advance(self.line_bytes);
        let error = self.options.error(self.word, input.split_to(self.text_bytes).freeze());
        // As of a handler that has run.
        Ok(if framing == Framing::Line { error.after_running() } else { error })
    }

    fn parse(line: &[u8], line_bytes: usize) -> Option<Self> {
        match Line::parse(line.trim_ascii_end()).ok()? {
            Line::Reply(0, Part::Err(len, word), options) => {
                let text_bytes = usize::try_from(len).ok()?;
                Some(Self { line_bytes, text_bytes, word, options })
            }
            _ => None,
        }
    }
}

const START: &[u8] = b"<0 err ";

/// As long as each line of a peer may be.
const LINE_BYTES_MAX: usize = 8192;
