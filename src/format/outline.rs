//! What the values of a type look like in a format, for whoever compares two programs.

use std::panic::catch_unwind;

use serde::de::DeserializeOwned;
use switchboard_shape::{Difference, Encoding, Layout, Shape};

use super::stack::with_type_room;

/// What values of a type look like in a format that serde writes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outline {
    /// What serde sees of the type.
    pub shape: Shape,
    /// How the format tells the parts of it apart.
    pub layout: Layout,
}

impl Outline {
    /// Finds it out from samples, which takes some milliseconds. `None` if the type's own code
    /// panics.
    #[must_use]
    pub fn of<T: DeserializeOwned>(encoding: Encoding, layout: Layout) -> Option<Self> {
        let shape = catch_unwind(|| with_type_room::<T, _>(|| Shape::of::<T>(encoding))).ok()?;
        Some(Self { shape, layout })
    }

    /// Where `theirs` differs from this so that the format does not forgive it. `name` is what the
    /// paths begin with.
    #[must_use]
    pub fn differences(&self, name: &str, theirs: &Shape) -> Vec<Difference> {
        let mut differences = self.shape.differences(name, theirs);
        differences.retain(|difference| !difference.is_forgiven_by(self.layout));
        differences
    }
}
