//! Types as gob knows them: what each is, and the ids that are known from the start.
//!
//! A [`Type`] is one of the eight that gob has from the start, or the number of a definition: an
//! array, a slice, a map, a struct, or bytes that a type has made itself. A definition refers to
//! others by their numbers, so recursive types are nothing special. A number means something within
//! one list of definitions, an id on one stream. How a definition looks on the wire is not told
//! here but in `definition`, and what belongs together in `schema`.

use crate::error::Shown;

/// A type of gob, within one schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Type(pub(crate) Kind);

/// What a [`Type`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Bool,
    Int,
    Uint,
    Float,
    Bytes,
    String,
    Complex,
    /// A value that brings its own type, or nothing.
    Interface,
    /// The number of a definition.
    Defined(u32),
}

impl Type {
    /// `true` or `false`.
    pub const BOOL: Self = Self(Kind::Bool);
    /// A signed integer of up to 64 bits; Go's `rune` as well.
    pub const INT: Self = Self(Kind::Int);
    /// An unsigned integer of up to 64 bits.
    pub const UINT: Self = Self(Kind::Uint);
    /// A floating-point number of up to 64 bits.
    pub const FLOAT: Self = Self(Kind::Float);
    /// A pair of floating-point numbers; see [`Complex`](crate::Complex).
    pub const COMPLEX: Self = Self(Kind::Complex);
    /// Bytes: Go's `[]byte`.
    pub const BYTES: Self = Self(Kind::Bytes);
    /// Text.
    pub const STRING: Self = Self(Kind::String);
    /// Any value that brings its own type, or nothing; see [`Value`](crate::Value). A Rust enum
    /// needs the names of its variants:
    /// [`SchemaBuilder::interface`](crate::SchemaBuilder::interface).
    pub const INTERFACE: Self = Self(Kind::Interface);

    /// A number that stands for the type within its schema.
    pub(crate) fn number(self) -> u64 {
        let id = id_of(self.0, |number| FIRST_ID.saturating_add(number.into()));
        id.unsigned_abs()
    }

    /// The type that a [number](Self::number) stands for.
    pub(crate) fn from_number(number: u64) -> Option<Self> {
        let id = TypeId::try_from(number).ok()?;
        let defined = || u32::try_from(id.checked_sub(FIRST_ID)?).ok().map(Kind::Defined);
        basic(id).or_else(defined).map(Self)
    }
}

/// What a number stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Definition {
    /// It has been mentioned, and that is all.
    Missing,
    Array {
        name: Box<str>,
        element: Kind,
        len: usize,
    },
    Slice {
        name: Box<str>,
        element: Kind,
    },
    Map {
        name: Box<str>,
        key: Kind,
        value: Kind,
    },
    Struct {
        name: Box<str>,
        fields: Box<[Field]>,
    },
    /// Bytes that a type makes and reads itself.
    Opaque {
        name: Box<str>,
        by: Marshaler,
    },
    /// An interface and what it can hold, by registered names. Not on the wire, where every
    /// interface is alike.
    Choice {
        variants: Box<[Field]>,
    },
}

/// Definitions by their numbers, while they are put together.
#[derive(Debug, Default)]
pub(crate) struct Definitions(pub(crate) Vec<Definition>);

impl Definitions {
    pub(crate) fn add(&mut self, definition: Definition) -> Kind {
        let number = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0.push(definition);
        Kind::Defined(number)
    }

    /// Replaces what was added before.
    pub(crate) fn define(&mut self, declared: Kind, definition: Definition) {
        if let Kind::Defined(number) = declared
            && let Some(place) = self.0.get_mut(number as usize)
        {
            *place = definition;
        }
    }
}

/// A name and a type: a field of a struct, or a variant of an enum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: Box<str>,
    pub(crate) kind: Kind,
}

/// Which of Go's interfaces a type has that makes its bytes itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Marshaler {
    /// `gob.GobEncoder`, which `time.Time` and `big.Int` have.
    Gob,
    /// `encoding.BinaryMarshaler`.
    Binary,
    /// `encoding.TextMarshaler`, which Go reads and never writes.
    Text,
}

/// What to know about fields that Go does not see.
pub(crate) const UPPER_CASE: &str = "names of Go's fields begin with an upper-case letter: \
                                     #[serde(rename_all = \"PascalCase\")]";

/// The number that a stream gives to a type. Those from 64 on are defined on the stream; Go begins
/// with 64 or 65.
pub(crate) type TypeId = i64;

/// The first id that does not have its meaning from the start.
pub(crate) const FIRST_ID: TypeId = 64;

/// The id that we begin with, as Go does up to 1.21.
pub(crate) const FIRST_ID_WRITTEN: TypeId = 65;

/// The largest id.
pub(crate) const LAST_ID: TypeId = i32::MAX as TypeId;

/// The type that an id below [`FIRST_ID`] stands for.
pub(crate) fn basic(id: TypeId) -> Option<Kind> {
    Some(match id {
        1 => Kind::Bool,
        2 => Kind::Int,
        3 => Kind::Uint,
        4 => Kind::Float,
        5 => Kind::Bytes,
        6 => Kind::String,
        7 => Kind::Complex,
        8 => Kind::Interface,
        _ => return None,
    })
}

/// The id of a type, those that are defined being looked up with `defined`.
pub(crate) fn id_of(kind: Kind, defined: impl FnOnce(u32) -> TypeId) -> TypeId {
    match kind {
        Kind::Bool => 1,
        Kind::Int => 2,
        Kind::Uint => 3,
        Kind::Float => 4,
        Kind::Bytes => 5,
        Kind::String => 6,
        Kind::Complex => 7,
        Kind::Interface => 8,
        Kind::Defined(number) => defined(number),
    }
}

/// The name that Go would print for a type, as far as it is known.
pub(crate) fn name_of(definitions: &[Definition], kind: Kind) -> &str {
    match kind {
        Kind::Bool => "bool",
        Kind::Int => "int",
        Kind::Uint => "uint",
        Kind::Float => "float",
        Kind::Bytes => "bytes",
        Kind::String => "string",
        Kind::Complex => "complex",
        Kind::Interface => "interface",
        Kind::Defined(number) => match definitions.get(number as usize) {
            Some(Definition::Array { name, .. }) if name.is_empty() => "array",
            Some(Definition::Slice { name, .. }) if name.is_empty() => "slice",
            Some(Definition::Map { name, .. }) if name.is_empty() => "map",
            Some(Definition::Struct { name, .. }) if name.is_empty() => "struct",
            Some(
                Definition::Array { name, .. }
                | Definition::Slice { name, .. }
                | Definition::Map { name, .. }
                | Definition::Struct { name, .. }
                | Definition::Opaque { name, .. },
            ) => name,
            Some(Definition::Choice { .. }) => "interface",
            Some(Definition::Missing) | None => "a type that is not defined",
        },
    }
}

/// What to call a type in an error.
pub(crate) fn described(definitions: &[Definition], kind: Kind) -> String {
    if let Kind::Defined(number) = kind
        && let Some(Definition::Array { name, len, .. }) = definitions.get(number as usize)
        && name.is_empty()
    {
        return format!("array of {len}");
    }
    Shown(name_of(definitions, kind)).to_string()
}

/// A name that two of these have.
pub(crate) fn twice(fields: &[Field]) -> Option<&str> {
    let mut names: Vec<&str> = fields.iter().map(|field| &*field.name).collect();
    names.sort_unstable();
    names.windows(2).find(|pair| pair.first() == pair.last()).and_then(|pair| pair.first().copied())
}
