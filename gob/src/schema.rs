//! Types as gob knows them: a graph, and the hands that build it.
//!
//! A [`Type`] is one of the eight that gob has from the start, or the number of a definition: an
//! array, a slice, a map, a struct, or bytes that a type has made itself. A definition refers to
//! others by their numbers, so recursive types are nothing special. A [`Schema`] is a graph with a
//! way in: what one value, and everything inside it, can be.
//!
//! This is the picture that both sides share. An encoder walks a value in step with a schema; a
//! decoder puts a schema together from the definitions that a stream brings. Where ids come from
//! and how a definition looks on the wire is not told here but in `definition`.

use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::de::DeserializeOwned;

use crate::definition::{FIRST_ID, TypeId, basic, id_of};
use crate::encode::Plan;
use crate::error::{Error, Result, Shown};
use crate::trace::schema_of;

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
    /// needs the names of its variants: [`SchemaBuilder::interface`].
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

/// All that a value can be: its type, and the types inside it.
///
/// For most Rust types it is found by itself, from their `Deserialize` (see [`Schema::of`]). Where
/// that cannot be (untagged, internally tagged and flattened types, types that refuse every sample
/// value) it is built by hand:
///
/// ```
/// use serde::Serialize;
/// use switchboard_gob::{Encoder, Schema, Type};
///
/// // Go: type Entry struct { Key string; Node *Node }; type Node struct { Entries []Entry }
/// let mut schema = Schema::builder();
/// let node = schema.declare();
/// let entry = schema.structure("Entry", &[("Key", Type::STRING), ("Node", node)]);
/// let entries = schema.slice(entry);
/// schema.define_structure(node, "Node", &[("Entries", entries)]);
/// let schema = schema.build(node)?;
///
/// #[derive(Serialize)]
/// #[serde(rename_all = "PascalCase")]
/// struct Node {
///     entries: Vec<()>,
/// }
///
/// let mut bytes = Vec::new();
/// Encoder::new().encode_as(&schema, &Node { entries: Vec::new() }, &mut bytes)?;
/// # Ok::<(), switchboard_gob::Error>(())
/// ```
#[derive(Clone)]
pub struct Schema(Arc<Graph>);

struct Graph {
    definitions: Box<[Definition]>,
    root: Kind,
    // Numbers of types that were met in interfaces.
    in_interfaces: Box<[u32]>,
    // Made when the first encoder needs it.
    plan: OnceLock<Plan>,
}

/// Builds a [`Schema`] by hand.
#[derive(Debug, Default)]
#[must_use = "a builder does nothing until it builds"]
pub struct SchemaBuilder {
    definitions: Vec<Definition>,
}

impl Schema {
    /// What is found by asking `T`'s `Deserialize` with sample values: the schema with which
    /// [`Encoder::encode`](crate::Encoder::encode) writes a `T`. It is found once in a process.
    ///
    /// Nobody needs it to write a `T`. It tells whether a type has a form before there is a value,
    /// such as in a test.
    ///
    /// # Errors
    ///
    /// `Unsupported` if `T` has no form in gob, or none that can be found out this way.
    ///
    /// ```
    /// use switchboard_gob::{ErrorKind, Schema, Type};
    ///
    /// assert_eq!(Schema::of::<Box<i64>>()?.root(), Type::INT);
    /// let error = Schema::of::<(i64, String)>().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Unsupported);
    /// assert!(error.text().ends_with("is a tuple of more than one type: use a struct"));
    /// # Ok::<(), switchboard_gob::Error>(())
    /// ```
    pub fn of<T: DeserializeOwned>() -> Result<Self> {
        schema_of::<T>()
    }

    /// The beginning of a schema that is built by hand.
    pub fn builder() -> SchemaBuilder {
        SchemaBuilder::default()
    }

    /// The type of the whole value.
    #[must_use]
    pub fn root(&self) -> Type {
        Type(self.0.root)
    }

    pub(crate) fn new(definitions: Vec<Definition>, root: Kind) -> Self {
        Self::with_interfaces(definitions, root, &[])
    }

    /// The schema of a value that has types of these numbers in interfaces.
    pub(crate) fn with_interfaces(
        definitions: Vec<Definition>,
        root: Kind,
        in_interfaces: &[u32],
    ) -> Self {
        let (definitions, in_interfaces) = (definitions.into(), in_interfaces.into());
        Self(Arc::new(Graph { definitions, root, in_interfaces, plan: OnceLock::new() }))
    }

    pub(crate) fn in_interfaces(&self) -> &[u32] {
        &self.0.in_interfaces
    }

    pub(crate) fn definitions(&self) -> &[Definition] {
        &self.0.definitions
    }

    /// How encoders tell of these types.
    ///
    /// # Errors
    ///
    /// `Unsupported` if a type that can be reached is not defined.
    pub(crate) fn plan(&self) -> Result<&Plan> {
        match self.0.plan.get() {
            Some(plan) => Ok(plan),
            None => {
                let plan = Plan::new(self)?;
                Ok(self.0.plan.get_or_init(|| plan))
            }
        }
    }

    /// Where it is in memory: as long as it lives, no other one is there.
    pub(crate) fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// Whether they are one and the same, which is quicker to see than whether they are equal.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        self.is(other) || (self.0.root == other.0.root && self.definitions() == other.definitions())
    }
}

impl Eq for Schema {}

impl SchemaBuilder {
    /// A type that is defined later, for types that contain themselves.
    pub fn declare(&mut self) -> Type {
        self.add(Definition::Missing)
    }

    /// A slice: any number of elements of one type.
    pub fn slice(&mut self, element: Type) -> Type {
        let name = format!("[]{}", self.name_of(element)).into();
        self.add(Definition::Slice { name, element: element.0 })
    }

    /// An array of `len` elements of one type.
    pub fn array(&mut self, len: usize, element: Type) -> Type {
        let name = format!("[{len}]{}", self.name_of(element)).into();
        self.add(Definition::Array { name, element: element.0, len })
    }

    /// A map.
    pub fn map(&mut self, key: Type, value: Type) -> Type {
        let name = format!("map[{}]{}", self.name_of(key), self.name_of(value)).into();
        self.add(Definition::Map { name, key: key.0, value: value.0 })
    }

    /// A struct with these fields. Go takes no notice of fields whose name does not begin with an
    /// upper-case letter, nor of the struct's own name.
    pub fn structure(&mut self, name: &str, fields: &[(&str, Type)]) -> Type {
        let kind = self.declare();
        self.define_structure(kind, name, fields);
        kind
    }

    /// Says that a [declared](Self::declare) type is a struct with these fields.
    pub fn define_structure(&mut self, declared: Type, name: &str, fields: &[(&str, Type)]) {
        self.define(declared, Definition::Struct { name: name.into(), fields: collect(fields) });
    }

    /// Bytes that a Go type makes itself; see [`GobBytes`](crate::GobBytes).
    pub fn opaque(&mut self, name: &str, by: Marshaler) -> Type {
        self.add(Definition::Opaque { name: name.into(), by })
    }

    /// An interface that holds one of these types under one of these registered names: a Rust enum.
    pub fn interface(&mut self, variants: &[(&str, Type)]) -> Type {
        self.add(Definition::Choice { variants: collect(variants) })
    }

    /// The schema of a value of this type.
    ///
    /// # Errors
    ///
    /// `Unsupported` if a declared type was not defined, or two fields of a struct have one name.
    pub fn build(self, root: Type) -> Result<Schema> {
        let Self { definitions } = self;
        for definition in &definitions {
            match definition {
                Definition::Missing => {
                    return Err(Error::unsupported("a type is declared and not defined"));
                }
                Definition::Struct { fields, name } => {
                    if let Some(twice) = twice(fields) {
                        let text = format!("the struct {name} has two fields {twice}");
                        return Err(Error::unsupported(text));
                    }
                }
                _ => {}
            }
        }
        Ok(Schema::new(definitions, root.0))
    }

    pub(crate) fn add(&mut self, definition: Definition) -> Type {
        let number = u32::try_from(self.definitions.len()).unwrap_or(u32::MAX);
        self.definitions.push(definition);
        Type(Kind::Defined(number))
    }

    pub(crate) fn define(&mut self, declared: Type, definition: Definition) {
        if let Kind::Defined(number) = declared.0
            && let Some(place) = self.definitions.get_mut(number as usize)
        {
            *place = definition;
        }
    }

    fn name_of(&self, of: Type) -> &str {
        name_of(&self.definitions, of.0)
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

fn collect(fields: &[(&str, Type)]) -> Box<[Field]> {
    let field = |(name, kind): &(&str, Type)| Field { name: (*name).into(), kind: kind.0 };
    fields.iter().map(field).collect()
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        map.entry(&"root", &self.0.root);
        map.entries(self.definitions().iter().enumerate()).finish()
    }
}
