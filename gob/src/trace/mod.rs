//! The definitions of a Rust type, found by watching how the type is read.
//!
//! What a type is made of, `switchboard_shape` finds out; from it the definitions are made
//! (`lower`), if all of it is known and has a form (`unknown`). That this is done once for each
//! type is seen to by the schema that is made of them.

use serde::Deserialize;
use switchboard_shape::{Encoding, Shape};

use self::lower::lower;
use crate::error::Result;
use crate::kinds::{Definitions, Kind};

mod lower;
mod unknown;

/// A function that finds out what a type is made of: [`sample`] for some type.
pub(crate) type Sample = fn() -> Shape;

/// What a type is made of.
pub(crate) fn sample<'de, T: Deserialize<'de>>() -> Shape {
    Shape::of::<T>(Encoding::Binary)
}

/// The definitions and the kind of the type that `sample` looks at.
///
/// # Errors
///
/// `Unsupported` if the type has no form in gob, or none that can be found out this way.
pub(crate) fn trace(sample: Sample) -> Result<(Definitions, Kind)> {
    let shape = sample();
    unknown::refuse_unknown(&shape)?;
    lower(&shape)
}

#[cfg(test)]
mod tests;
