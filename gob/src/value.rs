//! Values of types that are not known.
//!
//! A [`Value`] has what the stream said of a value and no more: the fields of a struct that were
//! sent, in their order. With the [`Schema`](crate::Schema) that a
//! [`Decoder`](crate::Decoder::schema) has of it, it can be written again.

use std::fmt;

use serde::de::{
    Deserialize, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde::ser::{Serialize, SerializeTuple, Serializer};

use crate::kinds::Type;
use crate::special;
use crate::special::Complex;

/// Any value.
///
/// It is read from gob only. To any format it is written as what it holds; to gob it is written
/// with the schema it came with or one that was built for it, or, within an interface, if it is one
/// of the first eight kinds or an [`Interface`] of such a one.
/// Alone, such as in `to_vec(&Value::Int(1))`, it is in an interface: Go reads it into an
/// `interface{}`, and not into an `int`.
///
/// In JSON, with `serde_json`:
///
/// | value | JSON |
/// |-------|------|
/// | `Nil`, and a `Float` that is infinite or no number | `null` |
/// | `Bool`, `Int`, `Uint`, `Float`, `String` | `true`, `1`, `1`, `1.0`, `"text"` |
/// | `Complex` | `[1.0, -2.0]` |
/// | `Bytes`, `Opaque` | `[1, 255]`: a list of numbers, a [`Time`](crate::Time) included |
/// | `Array`, `Slice` | a list |
/// | `Map` | an object; an error if keys are other than text, numbers or `Bool` |
/// | `Struct` | an object of the fields that were sent: those that were zero are not there |
/// | `Interface` | `{"main.Square": value}`, with the registered name |
///
/// ```
/// use switchboard_gob::{Decoder, Encoder, Value, to_vec};
///
/// let pairs = [["a", "b"], ["c", "d"]].map(|pair| pair.map(str::to_owned));
/// let bytes = to_vec(&pairs.to_vec())?;
/// let mut decoder = Decoder::new();
/// assert!(decoder.push(&bytes)?.is_complete);
/// let (schema, value) = (decoder.schema().unwrap(), decoder.decode::<Value>()?);
/// let text = |text: &str| Value::String(text.to_owned());
/// let pair = |a, b| Value::Array(vec![text(a), text(b)]);
/// assert_eq!(value, Value::Slice(vec![pair("a", "b"), pair("c", "d")]));
///
/// let mut again = Vec::new();
/// Encoder::new().encode_as(&schema, &value, &mut again)?;
/// assert_eq!(again, bytes);
/// # Ok::<(), switchboard_gob::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// An interface that holds nothing, or a struct or an array that was behind a nil pointer.
    Nil,
    /// Go's `bool`.
    Bool(bool),
    /// Any of Go's signed integers.
    Int(i64),
    /// Any of Go's unsigned integers.
    Uint(u64),
    /// Either of Go's floating-point numbers.
    Float(f64),
    /// Either of Go's complex numbers.
    Complex(Complex),
    /// Go's `[]byte`, and a Go string that is not UTF-8.
    Bytes(Vec<u8>),
    /// Text.
    String(String),
    /// An array.
    Array(Vec<Self>),
    /// A slice.
    Slice(Vec<Self>),
    /// A map, in the order in which it was sent.
    Map(Vec<(Self, Self)>),
    /// The fields of a struct that were sent.
    Struct(Vec<(String, Self)>),
    /// The bytes of a type that makes them itself.
    Opaque(Vec<u8>),
    /// An interface that holds something.
    Interface(Box<Interface>),
}

/// What an interface holds.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Interface {
    /// The name that the sender registered the type under.
    pub name: String,
    /// The type, within the schema that the value came with.
    pub value_type: Type,
    /// The value.
    pub value: Value,
}

impl Interface {
    /// A value in an interface, of this type of the schema with which it is written, under the name
    /// that Go has registered the type under.
    ///
    /// The types that an interface can hold are named to the schema by
    /// [`SchemaBuilder::hold`](crate::SchemaBuilder::hold). Those that gob has from the start need
    /// no naming, and Go has registered them all: with `"int"` and [`Type::INT`] an `any` becomes
    /// an `int`, and with a plain [`Value::Int`] an `int64`.
    ///
    /// ```
    /// use switchboard_gob::{Encoder, Interface, Schema, Type, Value};
    ///
    /// // Go: type Square struct { Side float64 }; gob.Register(Square{}); []any{Square{2}, 7}
    /// let mut schema = Schema::builder();
    /// let square = schema.structure("Square", &[("Side", Type::FLOAT)]);
    /// schema.hold(square);
    /// let list = schema.slice(Type::INTERFACE);
    /// let schema = schema.build(list)?;
    ///
    /// let side = ("Side".to_owned(), Value::Float(2.0));
    /// let values = Value::Slice(vec![
    ///     Interface::new("main.Square", square, Value::Struct(vec![side])).into(),
    ///     Interface::new("int", Type::INT, Value::Int(7)).into(),
    /// ]);
    /// let mut bytes = Vec::new();
    /// Encoder::new().encode_as(&schema, &values, &mut bytes)?;
    /// # Ok::<(), switchboard_gob::Error>(())
    /// ```
    #[must_use]
    pub fn new(name: impl Into<String>, value_type: Type, value: Value) -> Self {
        Self { name: name.into(), value_type, value }
    }
}

impl From<Interface> for Value {
    fn from(interface: Interface) -> Self {
        Self::Interface(Box::new(interface))
    }
}

/// The variants of a [`Value`], as numbers between it and a deserializer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    Nil,
    Bool,
    Int,
    Uint,
    Float,
    Complex,
    Bytes,
    String,
    Array,
    Slice,
    Map,
    Struct,
    Opaque,
    Interface,
}

const VARIANTS: [Variant; 14] = [
    Variant::Nil,
    Variant::Bool,
    Variant::Int,
    Variant::Uint,
    Variant::Float,
    Variant::Complex,
    Variant::Bytes,
    Variant::String,
    Variant::Array,
    Variant::Slice,
    Variant::Map,
    Variant::Struct,
    Variant::Opaque,
    Variant::Interface,
];

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nil => serializer.serialize_none(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Uint(value) => serializer.serialize_u64(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Complex(value) => value.serialize(serializer),
            Self::Bytes(bytes) | Self::Opaque(bytes) => serializer.serialize_bytes(bytes),
            Self::String(text) => serializer.serialize_str(text),
            Self::Slice(elements) => serializer.collect_seq(elements),
            Self::Array(elements) => {
                let mut tuple = serializer.serialize_tuple(elements.len())?;
                elements.iter().try_for_each(|element| tuple.serialize_element(element))?;
                tuple.end()
            }
            Self::Map(entries) => serializer.collect_map(entries.iter().map(|(k, v)| (k, v))),
            // As something that is there: a zero that was sent is sent again.
            Self::Struct(fields) => {
                serializer.collect_map(fields.iter().map(|(k, v)| (k, Some(v))))
            }
            Self::Interface(interface) => interface.serialize(serializer),
        }
    }
}

/// A map from the name to the value. For gob, the number of the type is in front of the name.
impl Serialize for Interface {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { name, value_type, value } = self;
        if serializer.is_human_readable() {
            serializer.collect_map([(name, value)])
        } else {
            serializer.collect_map([(format!("{}:{name}", value_type.number()), value)])
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_enum(special::VALUE, &[], ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of gob")
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<Value, A::Error> {
        let (number, content) = access.variant::<u32>()?;
        let variant = VARIANTS.into_iter().find(|variant| *variant as u32 == number);
        Ok(match variant.unwrap_or(Variant::Nil) {
            Variant::Nil => {
                content.unit_variant()?;
                Value::Nil
            }
            Variant::Bool => Value::Bool(content.newtype_variant()?),
            Variant::Int => Value::Int(content.newtype_variant()?),
            Variant::Uint => Value::Uint(content.newtype_variant()?),
            Variant::Float => Value::Float(content.newtype_variant()?),
            Variant::Complex => Value::Complex(content.newtype_variant()?),
            Variant::Bytes => Value::Bytes(content.newtype_variant::<Owned>()?.0),
            Variant::String => Value::String(content.newtype_variant()?),
            Variant::Array => Value::Array(content.tuple_variant(0, ElementsVisitor)?),
            Variant::Slice => Value::Slice(content.tuple_variant(0, ElementsVisitor)?),
            Variant::Map => Value::Map(content.struct_variant(&[], EntriesVisitor)?),
            Variant::Struct => Value::Struct(content.struct_variant(&[], FieldsVisitor)?),
            Variant::Opaque => Value::Opaque(content.newtype_variant::<Owned>()?.0),
            Variant::Interface => {
                Value::Interface(Box::new(content.tuple_variant(3, InterfaceVisitor)?))
            }
        })
    }
}

/// Bytes, whatever they are in.
struct Owned(Vec<u8>);

impl<'de> Deserialize<'de> for Owned {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(OwnedVisitor)
    }
}

struct OwnedVisitor;

impl Visitor<'_> for OwnedVisitor {
    type Value = Owned;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Owned, E> {
        Ok(Owned(bytes.to_vec()))
    }
}

struct ElementsVisitor;

impl<'de> Visitor<'de> for ElementsVisitor {
    type Value = Vec<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("elements")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Vec<Value>, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = access.next_element()? {
            elements.push(element);
        }
        Ok(elements)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Vec<(Value, Value)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("entries")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(entries)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Vec<(String, Value)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("fields")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = access.next_entry()? {
            fields.push(field);
        }
        Ok(fields)
    }
}

struct InterfaceVisitor;

impl<'de> Visitor<'de> for InterfaceVisitor {
    type Value = Interface;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name, a type and a value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Interface, A::Error> {
        let missing = || serde::de::Error::custom("an interface without its parts");
        let name = access.next_element()?.ok_or_else(missing)?;
        let number = access.next_element()?.ok_or_else(missing)?;
        let value = access.next_element()?.ok_or_else(missing)?;
        let value_type = Type::from_number(number).ok_or_else(missing)?;
        Ok(Interface { name, value_type, value })
    }
}
