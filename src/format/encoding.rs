//! The serde side of encoding: a serializer around any other that follows how deep it has come, and
//! hears what a format would write and read as something else.
//!
//! It changes nothing of what is written, and it knows no format but by its [`Habits`]: names,
//! lengths and forms go through as they are, so whatever a format does by name, as `serde_json`
//! does with raw values and numbers of any precision, it goes on doing.
//!
//! **Levels.** Values to be encoded are our own side's, but a peer may have had a say in how deep
//! they are, and a stack that overflows takes the process along. So levels are counted as in
//! decoding, and there may be as many, `depth_max`.
//!
//! Where a type can come back to itself, the guard looks whether the stack has room for what
//! follows, which is written on a new one if not: at each some and newtype variant, and once for
//! all parts of a sequence, a map or a variant, since they begin at the same place. The fields of
//! structs and tuples are looked at in every eighth level: by them a type comes back to itself only
//! if it is a tagged or untagged enum, which is written as a struct. Unlike in decoding, values are
//! handed on by reference, so what a level takes does not depend on the size of its type.
//!
//! **What is heard.** In a positional format, a field that is left out and a length that is not the
//! one announced are refused, since what comes after would be read in their place. In a textual
//! one, what is not finite is refused; an option around nothing and an integer of 128 bits are
//! *doubtful*: the type may read them as they were, or as something else, and `carry` finds out.
//! What cannot be heard here is found there as well.

mod guard;
mod state;

pub(super) use self::state::{Flaw, Habits};

use std::error::Error as StdError;

use self::guard::Guarded;
use self::state::State;
use crate::error::{Code, Error, Result};
use crate::limits::Limits;

/// Of bincode and postcard.
#[cfg(any(feature = "bincode", feature = "postcard"))]
pub(super) enum Positional {}

#[cfg(any(feature = "bincode", feature = "postcard"))]
impl Habits for Positional {
    const IS_POSITIONAL: bool = true;
    const IS_TEXT: bool = false;
}

/// Of JSON.
#[cfg(feature = "json")]
pub(super) enum Textual {}

#[cfg(feature = "json")]
impl Habits for Textual {
    const IS_POSITIONAL: bool = false;
    const IS_TEXT: bool = true;
}

/// Of whoever looks after all that by itself.
pub(super) enum Careful {}

impl Habits for Careful {
    const IS_POSITIONAL: bool = false;
    const IS_TEXT: bool = false;
}

/// What came of writing a value.
pub(super) struct Written<R> {
    pub(super) made: R,
    /// Whether it may be read as something else.
    pub(super) is_doubtful: bool,
}

/// Why a value was not written.
pub(super) struct Refusal {
    pub(super) error: Error,
    /// What was heard, if that is why.
    pub(super) flaw: Option<Flaw>,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        refusal.error
    }
}

/// Has `encode` write `value` under the guard.
///
/// # Errors
///
/// `too_large` if it is too deep, else `bad_payload`, with what `encode` reports as the source.
#[inline]
pub(super) fn encode<H: Habits, T: ?Sized, R, E>(
    format_name: &'static str,
    limits: &Limits,
    value: &T,
    encode: impl FnOnce(&Guarded<'_, T, H>) -> Result<R, E>,
) -> Result<Written<R>, Refusal>
where
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    let depth_max = limits.depth_max.min(Limits::DEPTH_MOST);
    let state = State::new(depth_max);
    match encode(&Guarded::new(value, &state)) {
        Ok(made) => Ok(Written { made, is_doubtful: H::IS_TEXT && state.is_doubtful() }),
        Err(cause) => Err(refusal(format_name, depth_max, state.flaw(), cause.into())),
    }
}

#[cold]
fn refusal(
    format_name: &'static str,
    depth_max: usize,
    flaw: Option<Flaw>,
    cause: Box<dyn StdError + Send + Sync>,
) -> Refusal {
    let error = match flaw {
        Some(Flaw::TooDeep) => {
            let levels = depth_max.saturating_add(1);
            let text = format!("nesting of {levels} levels is over depth_max ({depth_max})");
            Error::found(Code::TooLarge, text)
        }
        Some(flaw) => no_form(format_name, flaw),
        None => Error::found(Code::BadPayload, format!("the value has no form in {format_name}")),
    };
    Refusal { error: error.with_source(cause), flaw }
}

/// A value that the format does not carry, and why.
#[cold]
pub(super) fn no_form(format_name: &'static str, why: impl std::fmt::Display) -> Error {
    let text = format!("the value has no form in {format_name}: {why}");
    Error::found(Code::BadPayload, text)
}
