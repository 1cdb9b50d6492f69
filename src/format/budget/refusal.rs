//! The words for what a budget refuses, and for payloads that are not valid.

use std::error::Error as StdError;
use std::fmt;

use serde::de;

use super::{Budget, Passed};
use crate::error::{Code, Error, Result};
use crate::limits::over_held;

impl Budget {
    /// The error for a payload that did not decode: `too_large` with the limit, its value and what
    /// came if this budget was used up, `overloaded` if the endpoint had no memory left for it,
    /// else `bad_payload` with the name of the format. `cause` is
    /// kept as the source and does not reach the peer.
    #[must_use]
    pub fn error(
        &self,
        format_name: &'static str,
        cause: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Error {
        self.build_error(format_name, None, cause.into())
    }

    /// [`error`](Self::error) with words about what is wrong with the payload. They may reach the
    /// peer: say where and what, and quote nothing of the payload nor of a foreign error.
    #[must_use]
    pub fn error_with_detail(
        &self,
        format_name: &'static str,
        detail: impl fmt::Display,
        cause: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Error {
        self.build_error(format_name, Some(&detail), cause.into())
    }

    /// Checks that a decoder has used up its payload.
    ///
    /// # Errors
    ///
    /// `bad_payload` if `left_bytes` is not zero.
    pub fn check_all_used(&self, format_name: &'static str, left_bytes: usize) -> Result<()> {
        if left_bytes == 0 { Ok(()) } else { Err(left_over(format_name, left_bytes)) }
    }

    /// What happened, in words for the peer.
    #[cold]
    pub(in crate::format) fn text(&self, passed: Passed) -> String {
        match passed {
            Passed::Depth => {
                let (levels, levels_max) = (self.depth_max.saturating_add(1), self.depth_max);
                format!("nesting of {levels} levels is over depth_max ({levels_max})")
            }
            Passed::Elements => {
                let (bytes, spare) = (self.payload_bytes, self.spare_elements_max);
                let elements = bytes.saturating_add(spare).saturating_add(1);
                format!(
                    "{elements} elements from a payload of {bytes} bytes are over \
                     spare_elements_max ({spare})"
                )
            }
            Passed::Memory { bytes } => {
                let bytes_max = self.decode_bytes_max;
                let used = bytes_max.saturating_sub(self.unused()).saturating_add(bytes);
                format!("value of {used} bytes in memory is over decode_bytes_max ({bytes_max})")
            }
            Passed::Held { bytes, held, held_bytes_max } => over_held(bytes, held, held_bytes_max),
            Passed::Stack { levels } => {
                let bytes_max = self.decode_bytes_max;
                format!(
                    "stack for {levels} levels in a value that is buffered is over \
                     decode_bytes_max ({bytes_max})"
                )
            }
        }
    }

    #[cold]
    fn build_error(
        &self,
        format_name: &'static str,
        detail: Option<&dyn fmt::Display>,
        cause: Box<dyn StdError + Send + Sync>,
    ) -> Error {
        let error = match (self.passed.get(), detail) {
            (Some(passed), _) => Error::found(passed.code(), self.text(passed)),
            (None, None) => not_valid(format_name, ""),
            (None, Some(detail)) => not_valid(format_name, format_args!(": {detail}")),
        };
        error.with_source(cause)
    }
}

impl Passed {
    pub(super) fn code(self) -> Code {
        match self {
            Self::Depth | Self::Elements | Self::Memory { .. } | Self::Stack { .. } => {
                Code::TooLarge
            }
            Self::Held { .. } => Code::Overloaded,
        }
    }
}

/// What a format is told of a limit that was passed.
#[cold]
#[inline(never)]
pub(in crate::format) fn refuse<E: de::Error>(budget: &Budget, passed: Passed) -> E {
    E::custom(budget.text(passed))
}

/// The error for a value that has no payload in a format, with the reason as its source.
#[cfg(any(feature = "bincode", feature = "gob", feature = "json", feature = "postcard"))]
#[cold]
pub(in crate::format) fn no_payload(
    format_name: &'static str,
    cause: impl Into<Box<dyn StdError + Send + Sync>>,
) -> Error {
    Error::found(Code::BadPayload, format!("the value has no form in {format_name}"))
        .with_source(cause)
}

#[cold]
fn left_over(format_name: &'static str, bytes: usize) -> Error {
    let (noun, verb) = if bytes == 1 { ("byte", "is") } else { ("bytes", "are") };
    not_valid(format_name, format_args!(": {bytes} {noun} {verb} left after the value"))
}

#[cold]
fn not_valid(format_name: &'static str, rest: impl fmt::Display) -> Error {
    Error::found(Code::BadPayload, format!("the payload is not valid {format_name}{rest}"))
}
