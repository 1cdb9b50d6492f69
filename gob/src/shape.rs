//! A type as whoever walks through a schema sees it.
//!
//! The same is in `kinds`, by numbers and for the wire. This is a view of it, with types for the
//! numbers, made when it is asked for.

use crate::kinds::{Definition, Field, Kind, Marshaler, Type};

/// What a type is made of: [`Schema::shape`](crate::Schema::shape).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shape<'s> {
    /// One of the eight types that gob has from the start, which are the constants of [`Type`].
    Basic,
    /// An array of `len` elements.
    #[non_exhaustive]
    Array {
        /// How many elements it has.
        len: usize,
        /// The type of each.
        element: Type,
    },
    /// A slice.
    #[non_exhaustive]
    Slice {
        /// The type of each element.
        element: Type,
    },
    /// A map.
    #[non_exhaustive]
    Map {
        /// The type of the keys.
        key: Type,
        /// The type of the values.
        value: Type,
    },
    /// A struct.
    #[non_exhaustive]
    Struct {
        /// Its name, which may be empty and means nothing to those who read it.
        name: &'s str,
        /// The names and types of its fields.
        fields: Vec<(&'s str, Type)>,
    },
    /// Bytes that a Go type makes itself: a [`Value::Opaque`](crate::Value::Opaque).
    #[non_exhaustive]
    Opaque {
        /// The type's name, such as `Time`, without its package.
        name: &'s str,
        /// Which of Go's interfaces makes them.
        by: Marshaler,
    },
    /// An interface of which it is known what it can hold, as a Rust enum has it. What a stream
    /// brings has none: its interfaces are [`Type::INTERFACE`].
    #[non_exhaustive]
    Interface {
        /// The registered names and the types.
        variants: Vec<(&'s str, Type)>,
    },
}

/// What this kind is by these definitions; `None` if they do not define it.
pub(crate) fn shape(definitions: &[Definition], kind: Kind) -> Option<Shape<'_>> {
    let Kind::Defined(number) = kind else {
        return Some(Shape::Basic);
    };
    Some(match definitions.get(number as usize)? {
        Definition::Missing => return None,
        Definition::Array { element, len, .. } => {
            Shape::Array { len: *len, element: Type(*element) }
        }
        Definition::Slice { element, .. } => Shape::Slice { element: Type(*element) },
        Definition::Map { key, value, .. } => Shape::Map { key: Type(*key), value: Type(*value) },
        Definition::Struct { name, fields } => Shape::Struct { name, fields: named(fields) },
        Definition::Opaque { name, by } => Shape::Opaque { name, by: *by },
        Definition::Choice { variants } => Shape::Interface { variants: named(variants) },
    })
}

fn named(fields: &[Field]) -> Vec<(&str, Type)> {
    fields.iter().map(|field| (&*field.name, Type(field.kind))).collect()
}
