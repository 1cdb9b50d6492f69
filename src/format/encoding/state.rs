//! What is remembered while a value is written, and what can be wrong with it.
//!
//! A format may throw the messages of errors away (postcard does), so it is remembered here why one
//! was made.

use std::cell::Cell;
use std::fmt;

use serde::ser;

use crate::format::stack;

/// What the guard has to know of a format.
pub(in crate::format) trait Habits {
    /// Whether fields and elements are known by their places alone, so that each has to be there.
    const IS_POSITIONAL: bool;

    /// Whether nothing and unit are one word, what is not finite has none, and a number does not
    /// say which type it is of.
    const IS_TEXT: bool;
}

/// What makes a value, or all values of a type, no payload of a format.
#[derive(Clone, Copy, Debug)]
pub(in crate::format) enum Flaw {
    TooDeep,
    Skipped { of: &'static str, variant: &'static str, field: &'static str },
    NoLength,
    OtherLength { announced: usize },
    NotFinite,
}

impl Flaw {
    /// Whether it is the type that has it, whatever its value.
    pub(in crate::format) const fn is_of_type(self) -> bool {
        matches!(self, Self::Skipped { .. } | Self::NoLength)
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TooDeep => f.write_str("it has too many levels"),
            Self::Skipped { of, variant, field } => {
                let separator = if variant.is_empty() { "" } else { "::" };
                write!(
                    f,
                    "`{of}{separator}{variant}` leaves `{field}` out (skip_serializing_if), and \
                     what comes after it would be read in its place: use `Json` for this command, \
                     or remove the attribute"
                )
            }
            Self::NoLength => f.write_str(
                "a sequence or a map in it does not say its length before its elements, as \
                 #[serde(flatten)] makes it: use `Json` for this command",
            ),
            Self::OtherLength { announced } => write!(
                f,
                "a sequence or a map in it announces {announced} elements and has more or fewer"
            ),
            Self::NotFinite => f.write_str("a number in it is infinite, or not a number"),
        }
    }
}

/// Levels that may still be gone into, and what was found on the way.
pub(in crate::format) struct State {
    left: Cell<usize>,
    flaw: Cell<Option<Flaw>>,
    /// The level of what is directly within an option.
    some_at: Cell<usize>,
    is_doubtful: Cell<bool>,
}

impl State {
    #[inline]
    pub(super) fn new(depth_max: usize) -> Self {
        Self {
            left: Cell::new(depth_max),
            flaw: Cell::new(None),
            some_at: Cell::new(NOWHERE),
            is_doubtful: Cell::new(false),
        }
    }

    #[inline]
    pub(super) fn flaw(&self) -> Option<Flaw> {
        self.flaw.get()
    }

    #[inline]
    pub(super) fn is_doubtful(&self) -> bool {
        self.is_doubtful.get()
    }

    #[inline]
    pub(super) fn enter<E: ser::Error>(&self) -> Result<(), E> {
        match self.left.get().checked_sub(1) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(self.refuse(Flaw::TooDeep)),
        }
    }

    #[inline]
    pub(super) fn leave(&self) {
        self.left.set(self.left.get().wrapping_add(1));
    }

    /// Whether there is room for what may come back to its own type.
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        stack::has_room_to_encode()
    }

    /// Whether there is room for what is a part of a struct or a tuple.
    #[inline]
    pub(super) fn has_room_for_fields(&self) -> bool {
        !self.left.get().is_multiple_of(LEVELS_UNSEEN) || self.has_room()
    }

    /// Runs `step` one level further in.
    #[inline]
    pub(super) fn within<R, E: ser::Error>(
        &self,
        step: impl FnOnce() -> Result<R, E>,
    ) -> Result<R, E> {
        self.enter()?;
        let written = step();
        self.leave();
        written
    }

    /// Runs `step`, which writes what is directly within an option, or within what counts as that.
    #[inline]
    pub(super) fn within_some<R>(&self, step: impl FnOnce() -> R) -> R {
        self.some_at.set(self.left.get());
        let written = step();
        self.some_at.set(NOWHERE);
        written
    }

    /// Whether what is written now is directly within an option.
    #[inline]
    pub(super) fn is_in_some(&self) -> bool {
        self.some_at.get() == self.left.get()
    }

    /// What was written may be read as something else.
    #[inline]
    pub(super) fn doubt(&self) {
        self.is_doubtful.set(true);
    }

    #[cold]
    pub(super) fn refuse<E: ser::Error>(&self, flaw: Flaw) -> E {
        self.flaw.set(Some(flaw));
        E::custom(flaw)
    }
}

/// No level.
const NOWHERE: usize = usize::MAX;

/// One in so many levels of structs and tuples is looked at.
const LEVELS_UNSEEN: usize = 8;
