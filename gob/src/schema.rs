//! What one value, and everything inside it, can be, and the hands that build it.
//!
//! A [`Schema`] is a graph of types (`kinds`) with a way in. This is the picture that both sides
//! share. An encoder walks a value in step with a schema; a decoder puts a schema together from
//! the definitions that a stream brings. Where ids come from and how a definition looks on the wire
//! is told in `order` and `definition`, how the schema of a Rust type is found in `traced`.

use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::error::{Error, Result, Shown};
use crate::kinds::{
    Definition, Definitions, Field, Kind, Marshaler, Type, UPPER_CASE, name_of, twice,
};
use crate::order::Order;
use crate::shape::{Shape, shape};

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
    order: OnceLock<Order>,
}

/// Builds a [`Schema`] by hand.
#[derive(Debug, Default)]
#[must_use = "a builder does nothing until it builds"]
pub struct SchemaBuilder {
    definitions: Definitions,
    in_interfaces: Vec<u32>,
}

impl Schema {
    /// The beginning of a schema that is built by hand.
    pub fn builder() -> SchemaBuilder {
        SchemaBuilder::default()
    }

    /// The type of the whole value.
    #[must_use]
    pub fn root(&self) -> Type {
        Type(self.0.root)
    }

    /// What a type of this schema is made of; `None` for one of another schema.
    ///
    /// ```
    /// use switchboard_gob::{Decoder, Marshaler, Shape, Time, Type, Value, to_vec};
    ///
    /// // What came is known by the schema alone: the bytes are those of a time.
    /// let mut decoder = Decoder::new();
    /// decoder.push(&to_vec(&vec![Time::ZERO])?)?;
    /// let (schema, value) = (decoder.schema().unwrap(), decoder.decode::<Value>()?);
    /// let Some(Shape::Slice { element, .. }) = schema.shape(schema.root()) else { panic!() };
    /// let Some(Shape::Opaque { name, by, .. }) = schema.shape(element) else { panic!() };
    /// assert_eq!((name, by), ("Time", Marshaler::Gob));
    /// assert_eq!(value, Value::Slice(vec![Value::Opaque(Time::ZERO.to_bytes())]));
    /// assert_eq!(schema.shape(Type::INT), Some(Shape::Basic));
    /// # Ok::<(), switchboard_gob::Error>(())
    /// ```
    #[must_use]
    pub fn shape(&self, of: Type) -> Option<Shape<'_>> {
        shape(self.definitions(), of.0)
    }

    /// Checks that Go takes notice of each field. It passes over those whose names do not begin
    /// with an upper-case letter: it writes none, and reads none. Two Rust programs need no such
    /// names, so nothing else looks at them. It is meant for a test:
    ///
    /// ```
    /// use serde::{Deserialize, Serialize};
    /// use switchboard_gob::Schema;
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct Order {
    ///     number: i64,
    /// }
    ///
    /// let error = Schema::of::<Vec<Order>>()?.check_names_for_go().unwrap_err();
    /// assert_eq!(
    ///     error.text(),
    ///     "Go passes over the field number of the struct Order, since names of Go's fields begin \
    ///      with an upper-case letter: #[serde(rename_all = \"PascalCase\")]",
    /// );
    /// # Ok::<(), switchboard_gob::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Unsupported`, with the first struct that has such a field, and the field.
    pub fn check_names_for_go(&self) -> Result<()> {
        for definition in self.definitions() {
            let Definition::Struct { name, fields } = definition else {
                continue;
            };
            let is_seen = |field: &Field| field.name.starts_with(char::is_uppercase);
            if let Some(field) = fields.iter().find(|field| !is_seen(field)) {
                let (name, field) = (Shown(name), Shown(&field.name));
                let text = format!(
                    "Go passes over the field {field} of the struct {name}, since {UPPER_CASE}"
                );
                return Err(Error::unsupported(text));
            }
        }
        Ok(())
    }

    /// The schema of a value of this kind, which may have types of these numbers in interfaces.
    ///
    /// # Errors
    ///
    /// As [`SchemaBuilder::build`].
    pub(crate) fn new(definitions: Definitions, root: Kind, in_interfaces: &[u32]) -> Result<Self> {
        let Definitions(definitions) = definitions;
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
                    if fields.iter().any(|field| field.name.is_empty()) {
                        let text = format!("the struct {name} has a field without a name");
                        return Err(Error::unsupported(text));
                    }
                }
                _ => {}
            }
        }
        Ok(Self::with_interfaces(definitions, root, in_interfaces))
    }

    /// The schema of a value that has types of these numbers in interfaces.
    pub(crate) fn with_interfaces(
        definitions: Vec<Definition>,
        root: Kind,
        in_interfaces: &[u32],
    ) -> Self {
        let (definitions, in_interfaces) = (definitions.into(), in_interfaces.into());
        Self(Arc::new(Graph { definitions, root, in_interfaces, order: OnceLock::new() }))
    }

    pub(crate) fn definitions(&self) -> &[Definition] {
        &self.0.definitions
    }

    /// In which order encoders tell of these types, and with which ids.
    ///
    /// # Errors
    ///
    /// `Unsupported` if a type that can be reached is not defined.
    pub(crate) fn order(&self) -> Result<&Order> {
        let Graph { definitions, root, in_interfaces, order } = &*self.0;
        match order.get() {
            Some(order) => Ok(order),
            None => {
                let made = Order::new(definitions, *root, in_interfaces)?;
                Ok(order.get_or_init(|| made))
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
        let [(root, held), (other_root, other_held)] =
            [&self.0, &other.0].map(|graph| (graph.root, &graph.in_interfaces));
        let is_same = || root == other_root && held == other_held;
        self.is(other) || is_same() && self.definitions() == other.definitions()
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

    /// Lets the value have this type in an interface of any type, beside those that its own type
    /// leads to. Only a [`Value`](crate::Value) says of which type it is there:
    /// [`Interface::new`](crate::Interface::new).
    pub fn hold(&mut self, in_interface: Type) {
        if let Type(Kind::Defined(number)) = in_interface {
            self.in_interfaces.push(number);
        }
    }

    /// The schema of a value of this type.
    ///
    /// # Errors
    ///
    /// `Unsupported` if a declared type was not defined, or a struct has two fields of one name or
    /// one without a name.
    pub fn build(self, root: Type) -> Result<Schema> {
        Schema::new(self.definitions, root.0, &self.in_interfaces)
    }

    pub(crate) fn add(&mut self, definition: Definition) -> Type {
        Type(self.definitions.add(definition))
    }

    pub(crate) fn define(&mut self, declared: Type, definition: Definition) {
        self.definitions.define(declared.0, definition);
    }

    fn name_of(&self, of: Type) -> &str {
        name_of(&self.definitions.0, of.0)
    }
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
