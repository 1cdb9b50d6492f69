//! The picture that all of this crate shares: types by their numbers.
//!
//! A shape is a list of types that refer to each other by number, so a type that contains itself is
//! nothing special. Names stand in a program's code, or came from another one. How the list is made
//! is told in `trace` and `watch`, how it is sent in `sent`.

use std::borrow::Cow;
use std::fmt;

/// The number of a type within its [`Shape`](crate::Shape): equal numbers, one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub(crate) u32);

/// What one type is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Type {
    /// A number, a text and so on.
    Primitive(Primitive),
    /// `()`, which has no name, or a struct that has one and nothing else.
    Unit {
        /// As the type calls itself, as in the others.
        name: Cow<'static, str>,
    },
    /// A struct around one type. No known format shows it.
    Newtype {
        /// Its name.
        name: Cow<'static, str>,
        /// What is inside.
        content: Id,
    },
    /// Something or nothing.
    Option {
        /// What it may hold.
        content: Id,
    },
    /// Any number of elements of one type.
    Sequence {
        /// Each of them.
        element: Id,
    },
    /// Keys and values.
    Map {
        /// Each key.
        key: Id,
        /// Each value.
        value: Id,
    },
    /// A fixed number of elements: tuples, arrays and tuple structs.
    Tuple {
        /// Empty for tuples and arrays; for what a variant holds, the variant's name.
        name: Cow<'static, str>,
        /// In their order.
        elements: Vec<Id>,
    },
    /// Fields under names.
    Struct {
        /// Its name; for what a variant holds, the variant's name.
        name: Cow<'static, str>,
        /// In their order.
        fields: Vec<Field>,
        /// Whether fields of other names are ignored instead of refused.
        is_open: bool,
    },
    /// One of several variants.
    Enum {
        /// Its name.
        name: Cow<'static, str>,
        /// In their order.
        variants: Vec<Variant>,
        /// Whether variants of other names are taken, as `#[serde(other)]` makes it.
        is_open: bool,
    },
    /// Tracing could not find it out.
    Unknown {
        /// Why, in a sentence that names the Rust type.
        reason: String,
        /// Whether the type asks to see what comes, or the names of its fields. Only formats with
        /// kinds and names in them can show that, such as JSON: others can never be read.
        needs_description: bool,
    },
}

/// A type of serde's data model that is made of nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "they are Rust's own names")]
#[non_exhaustive]
pub enum Primitive {
    Bool,
    I8,
    I16,
    I32,
    I64,
    I128,
    U8,
    U16,
    U32,
    U64,
    U128,
    F32,
    F64,
    Char,
    String,
    Bytes,
}

/// A field of a struct.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Field {
    /// Its name in formats that have names.
    pub name: Cow<'static, str>,
    /// Other names under which it is read.
    pub aliases: Vec<Cow<'static, str>>,
    /// Its type.
    pub id: Id,
    /// Of what is read: whether it may be missing, or nobody can tell. Of what is written: whether
    /// it is left out at times.
    pub is_optional: bool,
}

/// A variant of an enum.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Variant {
    /// Its name in formats that have names. One that is read under several names is listed with
    /// each of them.
    pub name: Cow<'static, str>,
    /// Its number in formats that have none.
    pub index: u32,
    /// What it holds.
    pub content: Content,
}

/// What a variant holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// Nothing: `A`.
    Unit,
    /// One type: `A(u8)`.
    Newtype(Id),
    /// A [`Type::Tuple`]: `A(u8, u8)`.
    Tuple(Id),
    /// A [`Type::Struct`]: `A { field: u8 }`.
    Struct(Id),
}

/// All types of a shape; the first is the type that the shape is of.
#[derive(Debug, Default)]
pub(crate) struct Types {
    list: Vec<Named>,
}

#[derive(Debug)]
struct Named {
    rust_name: &'static str,
    of: Type,
}

impl Types {
    /// Adds a type of which nothing is known yet but the name.
    pub(crate) fn declare(&mut self, rust_name: &'static str) -> Id {
        let id = Id(u32::try_from(self.list.len()).unwrap_or(u32::MAX));
        self.list.push(Named { rust_name, of: Type::unknown(String::new()) });
        id
    }

    pub(crate) fn define(&mut self, id: Id, of: Type) {
        if let Some(named) = self.list.get_mut(id.0 as usize) {
            named.of = of;
        }
    }

    pub(crate) fn root(&self) -> Id {
        Id(0)
    }

    pub(crate) fn of(&self, id: Id) -> Option<&Type> {
        self.list.get(id.0 as usize).map(|named| &named.of)
    }

    /// The name of the Rust type, as [`std::any::type_name`] prints it.
    pub(crate) fn rust_name(&self, id: Id) -> &'static str {
        self.list.get(id.0 as usize).map_or("", |named| named.rust_name)
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = Id> + use<> {
        (0..u32::try_from(self.list.len()).unwrap_or(u32::MAX)).map(Id)
    }

    /// What is inside newtypes. They end, since each was met in a value that ended.
    pub(crate) fn content(&self, mut id: Id) -> Id {
        for _ in 0..self.list.len() {
            match self.of(id) {
                Some(Type::Newtype { content, .. }) => id = *content,
                _ => break,
            }
        }
        id
    }
}

impl Type {
    pub(crate) fn unknown(reason: String) -> Self {
        Self::Unknown { reason, needs_description: false }
    }

    /// The types that it refers to, in their order.
    pub(crate) fn parts(&self) -> Vec<Id> {
        match self {
            Self::Primitive(_) | Self::Unit { .. } | Self::Unknown { .. } => Vec::new(),
            Self::Newtype { content, .. } | Self::Option { content } => vec![*content],
            Self::Sequence { element } => vec![*element],
            Self::Map { key, value } => vec![*key, *value],
            Self::Tuple { elements, .. } => elements.clone(),
            Self::Struct { fields, .. } => fields.iter().map(|field| field.id).collect(),
            Self::Enum { variants, .. } => {
                variants.iter().filter_map(|variant| variant.content.id()).collect()
            }
        }
    }
}

impl Content {
    /// The type that it holds.
    #[must_use]
    pub fn id(self) -> Option<Id> {
        match self {
            Self::Unit => None,
            Self::Newtype(id) | Self::Tuple(id) | Self::Struct(id) => Some(id),
        }
    }
}

impl Primitive {
    const ALL: [Self; 16] = [
        Self::Bool,
        Self::I8,
        Self::I16,
        Self::I32,
        Self::I64,
        Self::I128,
        Self::U8,
        Self::U16,
        Self::U32,
        Self::U64,
        Self::U128,
        Self::F32,
        Self::F64,
        Self::Char,
        Self::String,
        Self::Bytes,
    ];

    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|primitive| primitive.name() == name)
    }

    /// Rust's name for it; `bytes` for bytes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::I8 => "i8",
            Self::I16 => "i16",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::I128 => "i128",
            Self::U8 => "u8",
            Self::U16 => "u16",
            Self::U32 => "u32",
            Self::U64 => "u64",
            Self::U128 => "u128",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::Char => "char",
            Self::String => "string",
            Self::Bytes => "bytes",
        }
    }
}

impl fmt::Display for Primitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A type's name without what only points to it, such as `Box`: serde looks through that.
pub(crate) fn without_pointers(mut name: &'static str) -> &'static str {
    const POINTERS: [&str; 3] = ["alloc::boxed::Box<", "alloc::rc::Rc<", "alloc::sync::Arc<"];
    loop {
        let boxed = POINTERS.iter().find_map(|start| name.strip_prefix(start)?.strip_suffix('>'));
        let Some(content) = boxed.or_else(|| name.strip_prefix('&')) else { return name };
        name = content;
    }
}

/// What sort of format a type is asked for: some types are texts where people read, and numbers or
/// bytes elsewhere, such as `IpAddr` and `Uuid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Encoding {
    /// For people to read, such as JSON: serde's `is_human_readable`.
    Text,
    /// Such as bincode and gob.
    Binary,
}

/// What sort of node it is, which says what its parts are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Form {
    /// None.
    Unit,
    /// The content, and so in the next two.
    Newtype,
    Option,
    Sequence,
    /// Keys and values.
    Map,
    /// The elements.
    Tuple,
    /// The fields.
    Struct,
    /// The variants.
    Enum,
}
