//! Which limit a payload passed, and the words for what is refused.
//!
//! What was in use then is told, so a [`Passed`] is made with its numbers. It knows no budget.

use std::fmt;

use serde::de;

use crate::error::{Code, Error};
use crate::limits::over_held;

/// Which limit was passed, and by what.
#[derive(Clone, Copy, Debug)]
pub(in crate::format) enum Passed {
    Depth { levels_max: usize },
    Elements { payload_bytes: usize, spare_max: usize },
    Memory { bytes: usize, bytes_max: usize },
    HeldBytes { bytes: usize, held: usize, held_bytes_max: usize },
    Stack { levels: usize, bytes_max: usize },
}

impl Passed {
    fn code(self) -> Code {
        match self {
            Self::Depth { .. }
            | Self::Elements { .. }
            | Self::Memory { .. }
            | Self::Stack { .. } => Code::TooLarge,
            Self::HeldBytes { .. } => Code::Overloaded,
        }
    }

    /// What happened, for the peer.
    #[cold]
    pub(super) fn error(self) -> Error {
        Error::found(self.code(), self.to_string())
    }
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Depth { levels_max } => {
                let levels = levels_max.saturating_add(1);
                write!(f, "nesting of {levels} levels is over depth_max ({levels_max})")
            }
            Self::Elements { payload_bytes, spare_max } => {
                let elements = payload_bytes.saturating_add(spare_max).saturating_add(1);
                write!(
                    f,
                    "{elements} elements from a payload of {payload_bytes} bytes are over \
                     spare_elements_max ({spare_max})"
                )
            }
            Self::Memory { bytes, bytes_max } => {
                write!(f, "value of {bytes} bytes in memory is over decode_bytes_max ({bytes_max})")
            }
            Self::HeldBytes { bytes, held, held_bytes_max } => {
                f.write_str(&over_held(bytes, held, held_bytes_max))
            }
            Self::Stack { levels, bytes_max } => write!(
                f,
                "stack for {levels} levels in a value that is buffered is over \
                 decode_bytes_max ({bytes_max})"
            ),
        }
    }
}

/// What a format is told of a limit that was passed.
#[cold]
#[inline(never)]
pub(in crate::format) fn refuse<E: de::Error>(passed: Passed) -> E {
    E::custom(passed)
}

#[cold]
pub(super) fn left_over(format_name: &'static str, bytes: usize) -> Error {
    let (noun, verb) = if bytes == 1 { ("byte", "is") } else { ("bytes", "are") };
    not_valid(format_name, format_args!(": {bytes} {noun} {verb} left after the value"))
}

#[cold]
pub(super) fn not_valid(format_name: &'static str, rest: impl fmt::Display) -> Error {
    Error::found(Code::BadPayload, format!("the payload is not valid {format_name}{rest}"))
}
