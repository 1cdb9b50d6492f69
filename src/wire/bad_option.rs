//! What is wrong with one option of a line: which, what it takes, and what came.

use std::fmt;

use crate::error::Word;

/// An option that is none, or whose value is not of its form. It is printed with what the option
/// takes, and with the first 20 bytes of what came.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BadOption {
    wrong: Wrong,
    // Cut off: it is copied with the flaw.
    came: Word<CAME_BYTES>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    /// It is not `KEY=VALUE`.
    Pair,
    /// The key stands on the line already.
    Twice,
    /// The value of this key.
    Value(Takes),
}

/// What the value of an option is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Format,
    Time,
    Stream,
    Trace,
    Credit,
    From,
    Position,
    Code,
    Details,
    Retry,
    Ran,
    /// Of an application: the key is told with it.
    Metadata,
}

impl BadOption {
    pub(super) fn not_a_pair(word: &[u8]) -> Self {
        Self { wrong: Wrong::Pair, came: Word::copy(word) }
    }

    pub(super) fn twice(key: &[u8]) -> Self {
        Self { wrong: Wrong::Twice, came: Word::copy(key) }
    }

    pub(super) fn value(takes: Takes, value: &[u8]) -> Self {
        Self { wrong: Wrong::Value(takes), came: Word::copy(value) }
    }

    /// What came, with dots in the place of what there was beyond.
    fn came(&self) -> (impl fmt::Display, &'static str) {
        let came = self.came.as_bytes();
        let shown = came.get(..came.len().min(SHOWN_BYTES_MAX)).unwrap_or_default();
        (shown.escape_ascii(), if came.len() > SHOWN_BYTES_MAX { ".." } else { "" })
    }
}

impl Takes {
    const fn text(self) -> &'static str {
        match self {
            Self::Format => "f= takes a format, 1 to 16 bytes that do not begin with a digit",
            Self::Time => "t= takes milliseconds, a decimal below 2^64 without leading zero",
            Self::Stream => "stream= takes 1",
            Self::Trace => "trace= takes a traceparent",
            Self::Credit => "credit= takes bytes, a decimal from 1 below 2^32 without leading zero",
            Self::From => "from= takes a position, a decimal below 2^64 without leading zero",
            Self::Position => "n= takes a position, a decimal below 2^64 without leading zero",
            Self::Code => "code= takes a code, 1 to 32 letters a to z, _ and -",
            Self::Details => "d= takes bytes, a decimal of no more than the body's length",
            Self::Retry => "retry= takes milliseconds, a decimal below 2^64 without leading zero",
            Self::Ran => "ran= takes 1",
            Self::Metadata => "a key with a - takes text, percent-encoded as in %2F",
        }
    }
}

impl fmt::Display for BadOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (came, more) = self.came();
        match self.wrong {
            Wrong::Pair => {
                let rule = "an option is KEY=VALUE, its key 1 to 32 of a to z, _ and -";
                write!(f, "{rule}, not \"{came}\"{more}")
            }
            Wrong::Twice => write!(f, "the option {came}{more}= is given twice"),
            Wrong::Value(takes) => write!(f, "{}, not \"{came}\"{more}", takes.text()),
        }
    }
}

impl fmt::Debug for BadOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BadOption({self})")
    }
}

/// Bytes of what came that are told.
const SHOWN_BYTES_MAX: usize = 20;

/// One more, to know whether there was more.
const CAME_BYTES: usize = SHOWN_BYTES_MAX + 1;
