//! A deserializer that notes what it is asked for, and answers with samples.

use std::any::type_name;

use serde::de::value::{BorrowedStrDeserializer, SeqDeserializer, U32Deserializer};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer,
    MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::graph::{Form, Graph, Key, Place, Shape, WAY_OUT};
use crate::error::{Error, Result, Step};
use crate::kinds::Kind;
use crate::special;

/// What one request is answered with.
#[derive(Clone, Copy)]
struct Sample {
    number: u8,
    text: &'static str,
}

/// The first pleases nearly every type: not 0, for `NonZero` and its like. Types that refuse it get
/// the next one, and so on: 0, texts that are not empty, then the simplest text that common types
/// read (addresses, dates, versions, 16 bytes). Within them, sequences have an element.
const SAMPLES: [Sample; 8] = [
    Sample { number: 1, text: "" },
    Sample { number: 0, text: "1" },
    Sample { number: 2, text: "a" },
    Sample { number: 8, text: "127.0.0.1" },
    Sample { number: 16, text: "http://localhost/" },
    Sample { number: 32, text: "1970-01-01T00:00:00Z" },
    Sample { number: 64, text: "1.0.0" },
    Sample { number: 100, text: "0123456789abcdef" },
];

/// Where a request is made.
#[derive(Clone, Copy)]
struct Context {
    /// The type that makes it, or one around it.
    of: &'static str,
    /// Which samples answer it.
    row: usize,
    depth: usize,
}

/// Answers the one request for what is at `place`.
struct Sampler<'g> {
    graph: &'g mut Graph,
    place: Place,
    context: Context,
}

/// Runs `T` once; what it asked for is noted in `graph`.
pub(super) fn sample<'de, T: Deserialize<'de>>(graph: &mut Graph, of: &'static str) {
    let mut parts = Parts { graph, node: 0, at: 0, context: Context { of, row: 0, depth: 0 } };
    // Nothing comes of the value; why there is none, the graph knows.
    drop(parts.feed(0, std::marker::PhantomData::<T>, None));
}

impl Sampler<'_> {
    fn leaf(&mut self, kind: Kind, name: &'static str) -> Result<Sample> {
        self.graph.note(self.place, Shape::Basic(kind, name))?;
        let [first, ..] = SAMPLES;
        Ok(SAMPLES.get(self.context.row).copied().unwrap_or(first))
    }

    #[cold]
    fn refuse(self, why: &str, way_out: &str) -> Error {
        self.graph.fail(format!("`{}` {why}: {way_out}", self.context.of))
    }

    fn meet<'de, V: Visitor<'de>>(
        &mut self,
        form: Form,
        name: &'static str,
        names: &'static [&'static str],
        len: usize,
    ) -> Result<usize> {
        let (visitor, of) = (type_name::<V>(), type_name::<V::Value>());
        let key = Key { form, visitor, of, name, names, len };
        self.graph.meet(self.place, key, self.context.depth)
    }

    /// Whether an option, a sequence or a map is to contain something, which then is entered.
    fn enter(&mut self, node: usize) -> bool {
        let is_followed = self.graph.follow(node).is_some();
        if is_followed {
            self.graph.enter(Place { node, part: 0 });
        }
        is_followed
    }
}

impl<'g> Sampler<'g> {
    /// For the parts of `node`.
    fn parts(self, node: usize) -> Parts<'g> {
        let depth = self.context.depth.saturating_add(1);
        Parts { graph: self.graph, node, at: 0, context: Context { depth, ..self.context } }
    }
}

/// A node whose parts are asked for.
struct Parts<'g> {
    graph: &'g mut Graph,
    node: usize,
    /// The next part.
    at: usize,
    context: Context,
}

impl Parts<'_> {
    /// Lets a type make its request for one part.
    fn feed<'de, S: DeserializeSeed<'de>>(
        &mut self,
        part: usize,
        seed: S,
        step: Option<Step>,
    ) -> Result<S::Value> {
        let of = type_name::<S::Value>();
        let row = self.graph.row(of, self.context.row);
        let place = Place { node: self.node, part };
        let context = Context { of, row, ..self.context };
        let result = seed.deserialize(Sampler { graph: self.graph, place, context });
        let error = match result {
            Ok(value) if self.graph.part(place).is_some() => return Ok(value),
            Ok(_) => self.graph.fail(format!("`{of}` asks for nothing: {WAY_OUT}")),
            Err(error) if self.graph.is_stopped() => error,
            Err(error) => self.graph.refuse(of, row, SAMPLES.len(), &error),
        };
        if let Some(step) = step {
            self.graph.inside(step);
        }
        Err(error)
    }

    /// All the parts must have been asked for.
    fn finish<T>(&mut self, value: T) -> Result<T> {
        match self.graph.node(self.node).and_then(|node| Some((node.key, node.unknown()?))) {
            None => Ok(value),
            Some((key, part)) => {
                let name = key.names.get(part).copied().unwrap_or("all its elements");
                let text = format!("`{}` does not ask for {name}: {WAY_OUT}", key.of);
                Err(self.graph.fail(text))
            }
        }
    }
}

macro_rules! numbers {
    ($($deserialize:ident $visit:ident $kind:ident $name:literal,)*) => {$(
        fn $deserialize<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
            visitor.$visit(self.leaf(Kind::$kind, $name)?.number.into())
        }
    )*};
}

macro_rules! refused {
    ($($deserialize:ident $why:literal, $way_out:expr,)*) => {$(
        fn $deserialize<V: Visitor<'de>>(self, _: V) -> Result<V::Value> {
            Err(self.refuse($why, $way_out))
        }
    )*};
}

impl<'de> Deserializer<'de> for Sampler<'_> {
    type Error = Error;

    numbers! {
        deserialize_i16 visit_i16 Int "int16",
        deserialize_i32 visit_i32 Int "int32",
        deserialize_i64 visit_i64 Int "int",
        deserialize_u8 visit_u8 Uint "uint8",
        deserialize_u16 visit_u16 Uint "uint16",
        deserialize_u32 visit_u32 Uint "uint32",
        deserialize_u64 visit_u64 Uint "uint",
        deserialize_f32 visit_f32 Float "float32",
        deserialize_f64 visit_f64 Float "float64",
        deserialize_char visit_char Int "int32",
    }

    refused! {
        deserialize_any "looks at the data to know what it is, as untagged and internally tagged \
            enums do", WAY_OUT,
        deserialize_ignored_any "ignores a part of itself", WAY_OUT,
        deserialize_i128 "has no form in gob, whose integers have 64 bits", "use text or bytes",
        deserialize_u128 "has no form in gob, whose integers have 64 bits", "use text or bytes",
    }

    // As the key of a map it gets, with the fields that the derive knows, those that it does not.
    fn deserialize_identifier<V: Visitor<'de>>(mut self, _: V) -> Result<V::Value> {
        if let Some(node) = self.graph.node(self.place.node) {
            self.context.of = node.key.of;
        }
        let why = "has fields whose names are not fixed, as #[serde(flatten)] makes them";
        Err(self.refuse(why, WAY_OUT))
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_bool<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        visitor.visit_bool(self.leaf(Kind::Bool, "bool")?.number != 0)
    }

    fn deserialize_i8<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        visitor.visit_i8(self.leaf(Kind::Int, "int8")?.number.cast_signed())
    }

    fn deserialize_str<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        visitor.visit_borrowed_str(self.leaf(Kind::String, "string")?.text)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        visitor.visit_borrowed_bytes(self.leaf(Kind::Bytes, "[]uint8")?.text.as_bytes())
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        let node = self.meet::<V>(Form::Option, "", &[], 1)?;
        let is_entered = self.enter(node);
        if !is_entered && self.context.row == 0 {
            return visitor.visit_none();
        }
        let parts = self.parts(node);
        let place = Place { node, part: 0 };
        let inner = Sampler { graph: &mut *parts.graph, place, context: parts.context };
        let result = visitor.visit_some(inner);
        if is_entered {
            parts.graph.leave(result.is_ok());
        }
        result
    }

    // As Go's `struct{}`, which has no name.
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_unit_struct("", visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        self.meet::<V>(Form::Struct, name, &[], 0)?;
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        if name == special::COMPLEX {
            self.leaf(Kind::Complex, "complex128")?;
            return visitor.visit_seq(SeqDeserializer::new([0.0, 0.0].into_iter()));
        }
        if let Some((by, name)) = special::opaque(name) {
            self.graph.note(self.place, Shape::Opaque(by, name))?;
            return visitor.visit_borrowed_bytes(&[]);
        }
        let node = self.meet::<V>(Form::Newtype, name, &[], 1)?;
        let Parts { graph, context, .. } = self.parts(node);
        visitor.visit_newtype_struct(Sampler { graph, place: Place { node, part: 0 }, context })
    }

    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        let node = self.meet::<V>(Form::Sequence, "", &[], 1)?;
        let is_entered = self.enter(node);
        let left = usize::from(is_entered || self.context.row > 0);
        let mut elements = Elements { parts: self.parts(node), left };
        let result = visitor.visit_seq(&mut elements);
        if is_entered {
            elements.parts.graph.leave(result.is_ok());
        }
        result
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        self.deserialize_tuple_struct("", len, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value> {
        let node = self.meet::<V>(Form::Tuple, name, &[], len)?;
        let mut elements = Elements { parts: self.parts(node), left: len };
        let value = visitor.visit_seq(&mut elements)?;
        elements.parts.finish(value)
    }

    fn deserialize_map<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        let node = self.meet::<V>(Form::Map, "", &[], 2)?;
        let is_entered = self.enter(node);
        let left = usize::from(is_entered || self.context.row > 0);
        let mut entries = Elements { parts: self.parts(node), left };
        let result = visitor.visit_map(&mut entries);
        if is_entered {
            entries.parts.graph.leave(result.is_ok());
        }
        result
    }

    fn deserialize_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let node = self.meet::<V>(Form::Struct, name, names, names.len())?;
        let mut fields = Fields { parts: self.parts(node), names, has_value: true };
        match visitor.visit_map(&mut fields) {
            Ok(value) => fields.parts.finish(value),
            Err(error) => Err(fields.find_alias(error)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        if name == special::VALUE {
            self.leaf(Kind::Interface, "interface {}")?;
            // Its variant 0 is nothing at all.
            return visitor.visit_enum::<U32Deserializer<Error>>(0_u32.into_deserializer());
        }
        let node = self.meet::<V>(Form::Enum, name, names, names.len())?;
        let part = self.graph.choose(node)?;
        let Some(variant) = names.get(part) else {
            return Err(self.refuse("is an enum without variants", "leave it out"));
        };
        let place = Place { node, part };
        let Parts { graph, context, .. } = self.parts(node);
        graph.enter(place);
        let content = Sampler { graph: &mut *graph, place, context };
        let result = visitor.visit_enum(Variant { name: variant, content });
        graph.leave(result.is_ok());
        result
    }
}

/// The elements of a sequence or a tuple, or the entries of a map.
struct Elements<'g> {
    parts: Parts<'g>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        let part = self.parts.at;
        self.parts.at = part.saturating_add(1);
        self.parts.feed(part, seed, Some(Step::Element)).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'de> MapAccess<'de> for Elements<'_> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        self.parts.feed(0, seed, None).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        self.parts.feed(1, seed, Some(Step::Element))
    }
}

/// The fields of a struct.
struct Fields<'g> {
    parts: Parts<'g>,
    names: &'static [&'static str],
    /// Of the last name that was given.
    has_value: bool,
}

impl Fields<'_> {
    fn is_alias(&self, part: usize) -> bool {
        self.parts.graph.part(Place { node: self.parts.node, part }) == Some(Shape::Alias)
    }

    /// A field's aliases are told like fields. One shows when the type complains that the field
    /// came twice; it calls the field by its first name. All names of a field are neighbours.
    fn find_alias(&mut self, error: Error) -> Error {
        let Some(last) = self.parts.at.checked_sub(1) else { return error };
        if self.has_value || self.parts.graph.is_stopped() {
            return error;
        }
        let is_about = |name: &&'static str| error.text() == Error::duplicate_field(name).text();
        let part = match self.names.iter().position(is_about) {
            Some(first) if first == last => (0..last).rev().find(|part| !self.is_alias(*part)),
            Some(_) => Some(last),
            None => None,
        };
        match part {
            Some(part) => self.parts.graph.note_alias(Place { node: self.parts.node, part }),
            None => error,
        }
    }
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        while self.is_alias(self.parts.at) {
            self.parts.at = self.parts.at.saturating_add(1);
        }
        let Some(name) = self.names.get(self.parts.at) else { return Ok(None) };
        self.parts.at = self.parts.at.saturating_add(1);
        self.has_value = false;
        seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        self.has_value = true;
        let part = self.parts.at.saturating_sub(1);
        let name = self.names.get(part).copied().unwrap_or_default();
        self.parts.feed(part, seed, Some(Step::Field(name.into())))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.names.len().saturating_sub(self.parts.at))
    }
}

/// The variant that an enum is answered with.
struct Variant<'g> {
    name: &'static str,
    content: Sampler<'g>,
}

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self)> {
        let name = BorrowedStrDeserializer::<Error>::new(self.name);
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Error;

    fn unit_variant(self) -> Result<()> {
        self.content.graph.note(self.content.place, Shape::Nothing)
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value> {
        let Sampler { graph, place: Place { node, part }, context } = self.content;
        Parts { graph, node, at: 0, context }.feed(part, seed, None)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        // With its name, since all variants may have visitors of one name.
        self.content.deserialize_tuple_struct(self.name, len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.content.deserialize_struct(self.name, names, visitor)
    }
}
