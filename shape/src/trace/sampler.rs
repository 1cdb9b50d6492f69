//! A deserializer that notes what it is asked for, and answers with samples.

use std::any::type_name;
use std::marker::PhantomData;

use serde::de::value::{BorrowedStrDeserializer, U32Deserializer};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

use super::error::Error;
use super::graph::Graph;
use super::nodes::{Check, Key, Names, Part, Place};
use super::samples::Sample;
use super::strange::Strange;
use crate::types::{Encoding, Form, Primitive};

type Result<T, E = Error> = std::result::Result<T, E>;

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

/// Runs `T` once; what it asked for is noted in `graph`. What came of it, if anything.
pub(super) fn sample<'de, T: Deserialize<'de>>(graph: &mut Graph) -> Option<T> {
    let context = Context { of: type_name::<T>(), row: graph.root_row(), depth: 0 };
    // Why there is no value, the graph knows.
    Parts { graph, node: 0, at: 0, context }.feed(0, PhantomData::<T>).ok()
}

impl Sampler<'_> {
    fn leaf(&mut self, primitive: Primitive) -> Result<Sample> {
        self.graph.note(self.place, Part::Primitive(primitive))?;
        Ok(Sample::of_row(self.context.row))
    }

    #[cold]
    fn refuse(self, why: &str) -> Error {
        self.graph.fail_undescribed(self.place, format!("`{}` {why}", self.context.of))
    }

    fn meet<'de, V: Visitor<'de>>(
        &mut self,
        form: Form,
        name: &'static str,
        names: &'static [&'static str],
        len: usize,
    ) -> Result<usize> {
        let (visitor, of) = (type_name::<V>(), type_name::<V::Value>());
        let key = Key { form, visitor, of, name, names: Names(names), len };
        self.graph.meet(self.place, key, self.context.depth)
    }

    /// Whether an option, a sequence or a map is to contain something.
    fn is_filled(&mut self, node: usize) -> bool {
        let is_wanted = self.context.row > 0
            && !self.graph.is_inside(node)
            && (0..2).all(|part| !self.graph.is_barren(Place { node, part }));
        self.graph.follow(node).is_some() || is_wanted
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
    fn feed<'de, S: DeserializeSeed<'de>>(&mut self, part: usize, seed: S) -> Result<S::Value> {
        self.graph.enter(Place { node: self.node, part })?;
        let result = self.ask(part, seed);
        self.graph.leave(result.is_ok());
        result
    }

    fn ask<'de, S: DeserializeSeed<'de>>(&mut self, part: usize, seed: S) -> Result<S::Value> {
        let of = type_name::<S::Value>();
        let row = self.graph.row(of, self.context.row);
        let place = Place { node: self.node, part };
        self.graph.name(place, of);
        let context = Context { of, row, ..self.context };
        let result = seed.deserialize(Sampler { graph: self.graph, place, context });
        match result {
            Ok(value) if self.graph.part(place).is_some() => Ok(value),
            Ok(_) => Err(self.graph.fail(place, format!("`{of}` asks for nothing"))),
            Err(error) if self.graph.is_stopped() => Err(error),
            Err(error) => Err(self.graph.refuse(place, of, (row, Sample::ROWS), &error)),
        }
    }

    /// Hands the content of an option or a newtype to what asks for it by itself.
    fn lend<T>(self, of: &'static str, visit: impl FnOnce(Sampler<'_>) -> Result<T>) -> Result<T> {
        let Self { graph, node, context, .. } = self;
        let place = Place { node, part: 0 };
        graph.enter(place)?;
        graph.name(place, of);
        let context = Context { of, ..context };
        let result = visit(Sampler { graph: &mut *graph, place, context });
        graph.leave(result.is_ok());
        result
    }
}

macro_rules! numbers {
    ($($deserialize:ident $visit:ident $primitive:ident,)*) => {$(
        fn $deserialize<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
            visitor.$visit(self.leaf(Primitive::$primitive)?.number.into())
        }
    )*};
}

impl<'de> Deserializer<'de> for Sampler<'_> {
    type Error = Error;

    numbers! {
        deserialize_i16 visit_i16 I16,
        deserialize_i32 visit_i32 I32,
        deserialize_i64 visit_i64 I64,
        deserialize_i128 visit_i128 I128,
        deserialize_u8 visit_u8 U8,
        deserialize_u16 visit_u16 U16,
        deserialize_u32 visit_u32 U32,
        deserialize_u64 visit_u64 U64,
        deserialize_u128 visit_u128 U128,
        deserialize_f32 visit_f32 F32,
        deserialize_f64 visit_f64 F64,
        deserialize_char visit_char Char,
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value> {
        Err(self.refuse(
            "looks at the data to know what it is, as untagged and internally tagged enums do",
        ))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value> {
        Err(self.refuse("ignores a part of itself"))
    }

    // As the key of a map it gets, with the fields that the derive knows, those that it does not.
    fn deserialize_identifier<V: Visitor<'de>>(self, _: V) -> Result<V::Value> {
        let of = self.graph.node(self.place.node).map_or(self.context.of, |node| node.key.of);
        let why = "has fields whose names are not fixed, as #[serde(flatten)] makes them";
        Err(self.graph.fail_around(format!("`{of}` {why}")))
    }

    fn is_human_readable(&self) -> bool {
        self.graph.encoding() == Encoding::Text
    }

    fn deserialize_bool<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        visitor.visit_bool(self.leaf(Primitive::Bool)?.number != 0)
    }

    fn deserialize_i8<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        visitor.visit_i8(self.leaf(Primitive::I8)?.number.cast_signed())
    }

    fn deserialize_str<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        visitor.visit_borrowed_str(self.leaf(Primitive::String)?.text)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        visitor.visit_borrowed_bytes(self.leaf(Primitive::Bytes)?.text.as_bytes())
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        let node = self.meet::<V>(Form::Option, "", &[], 1)?;
        if !self.is_filled(node) {
            return visitor.visit_none();
        }
        let of = type_name::<V::Value>();
        let content = of.strip_prefix("core::option::Option<").and_then(|of| of.strip_suffix('>'));
        self.parts(node).lend(content.unwrap_or(of), |content| visitor.visit_some(content))
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_unit_struct("", visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        self.meet::<V>(Form::Unit, name, &[], 0)?;
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        let node = self.meet::<V>(Form::Newtype, name, &[], 1)?;
        let is_followed = self.graph.follow(node).is_some();
        if !is_followed && self.graph.is_barren(Place { node, part: 0 }) {
            return Err(self.graph.fail_within(self.place));
        }
        let of = type_name::<V::Value>();
        self.parts(node).lend(of, |content| visitor.visit_newtype_struct(content))
    }

    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        let node = self.meet::<V>(Form::Sequence, "", &[], 1)?;
        let left = usize::from(self.is_filled(node));
        visitor.visit_seq(Entries { left, parts: self.parts(node) })
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
        let (place, followed) = (self.place, self.graph.follow(node));
        visitor.visit_seq(Elements { place, followed, left: len, parts: self.parts(node) })
    }

    fn deserialize_map<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        let node = self.meet::<V>(Form::Map, "", &[], 2)?;
        let left = usize::from(self.is_filled(node));
        visitor.visit_map(Entries { left, parts: self.parts(node) })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let node = self.meet::<V>(Form::Struct, name, names, names.len())?;
        let check = self.graph.check(node);
        if check == Some(Check::Names) {
            let strange = Strange { graph: &mut *self.graph, node };
            drop(visitor.visit_map(strange));
            return Err(self.graph.finish());
        }
        let (place, followed) = (self.place, self.graph.follow(node));
        let are_tried = check.is_some();
        let mut fields = Fields {
            parts: self.parts(node),
            names,
            followed,
            are_tried,
            has_value: true,
            has_skipped: false,
        };
        let result = visitor.visit_map(&mut fields);
        let graph = &mut *fields.parts.graph;
        match result {
            _ if graph.is_stopped() => result,
            Err(Error::Missing(name)) if are_tried => Err(graph.note_missing(node, Some(name))),
            _ if are_tried => Err(graph.note_missing(node, None)),
            Err(Error::Duplicate(name)) if !fields.has_value => {
                let last = fields.parts.at.saturating_sub(1);
                Err(fields.parts.graph.note_twice(node, name, last))
            }
            Err(_) if fields.has_skipped => Err(graph.fail_within(place)),
            result => result,
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let node = self.meet::<V>(Form::Enum, name, names, names.len())?;
        if self.graph.check(node).is_some() {
            let strange = Strange { graph: &mut *self.graph, node };
            drop(visitor.visit_enum(strange));
            return Err(self.graph.finish());
        }
        if names.is_empty() {
            // Perhaps it has variants and does not tell their names.
            let first: U32Deserializer<Error> = 0_u32.into_deserializer();
            let nothing = |_| self.graph.fail_within(self.place);
            return visitor.visit_enum(first).map_err(nothing);
        }
        let part = self.graph.choose(node, self.place)?;
        let place = Place { node, part };
        let Parts { graph, context, .. } = self.parts(node);
        graph.enter(place)?;
        let name = names.get(part).copied().unwrap_or_default();
        let content = Sampler { graph: &mut *graph, place, context };
        let result = visitor.visit_enum(Variant { name, content });
        graph.leave(result.is_ok());
        result
    }
}

/// The elements of a sequence, or the entries of a map.
struct Entries<'g> {
    parts: Parts<'g>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Entries<'_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        self.parts.feed(0, seed).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        self.parts.feed(0, seed).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        self.parts.feed(1, seed)
    }
}

/// The elements of a tuple.
struct Elements<'g> {
    parts: Parts<'g>,
    /// Where the tuple itself is.
    place: Place,
    followed: Option<usize>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        let Parts { node, at: part, .. } = self.parts;
        if self.followed != Some(part) && self.parts.graph.is_barren(Place { node, part }) {
            return Err(self.parts.graph.fail_within(self.place));
        }
        self.left = left;
        self.parts.at = part.saturating_add(1);
        self.parts.feed(part, seed).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// The fields of a struct.
struct Fields<'g> {
    parts: Parts<'g>,
    names: &'static [&'static str],
    followed: Option<usize>,
    /// Whether those that may be missing are missing.
    are_tried: bool,
    /// Of the last name that was given.
    has_value: bool,
    /// Whether one is missing of which there is no sample.
    has_skipped: bool,
}

impl Fields<'_> {
    fn place(&self, part: usize) -> Place {
        Place { node: self.parts.node, part }
    }

    fn is_alias(&self, part: usize) -> bool {
        matches!(self.parts.graph.part(self.place(part)), Some(Part::Alias(_)))
    }

    /// Whether the field is to be given.
    fn is_given(&mut self, part: usize) -> bool {
        let place = self.place(part);
        if self.is_alias(part) {
            return false;
        }
        if self.parts.graph.is_barren(place) && self.followed != Some(part) {
            self.has_skipped = true;
            return false;
        }
        !self.are_tried || self.parts.graph.slot(place).is_some_and(|slot| slot.is_required)
    }
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        loop {
            let part = self.parts.at;
            let Some(name) = self.names.get(part) else { return Ok(None) };
            self.parts.at = part.saturating_add(1);
            if self.is_given(part) {
                self.has_value = false;
                return seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some);
            }
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        self.has_value = true;
        self.parts.feed(self.parts.at.saturating_sub(1), seed)
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
        self.content.graph.note(self.content.place, Part::Nothing)
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value> {
        let Sampler { graph, place: Place { node, part }, context } = self.content;
        graph.note_content(Place { node, part }, Form::Newtype);
        Parts { graph, node, at: 0, context }.ask(part, seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        // With its name, since all variants may have visitors of one name.
        self.content.graph.note_content(self.content.place, Form::Tuple);
        self.content.deserialize_tuple_struct(self.name, len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.content.graph.note_content(self.content.place, Form::Struct);
        self.content.deserialize_struct(self.name, names, visitor)
    }
}
