//! What has content: sequences, maps, and the variants of enums that are in interfaces. Structs are
//! in `fields`.
//!
//! A count is written first and known last. What serde announces is written, and put right at the
//! end if it was not so; and what turns out to be empty and should have been left out comes off
//! again.

use std::ops::Range;

use serde::Serialize;
use serde::ser::{
    SerializeMap, SerializeSeq, SerializeTuple, SerializeTupleStruct, SerializeTupleVariant,
};

use super::bytes;
use super::fields::{NamedFields, value_before_key};
use super::serializer::{Enveloped, ValueSerializer, Walk, without_name};
use crate::error::{Error, Result, Step};
use crate::key;
use crate::kinds::{Definition, Kind, Type};
use crate::wire::{Reader, put_len, put_uint, replace_by_uint};

/// What becomes of a sequence.
#[derive(Clone, Copy)]
enum Form {
    Slice,
    Array(usize),
    /// A byte string, which comes as one number after the other.
    Bytes,
    /// Two floats without a count.
    Complex,
}

/// The content of a sequence or a tuple.
pub(super) struct Elements<'a, 's> {
    walk: &'a mut Walk<'s>,
    element: Kind,
    form: Form,
    count: Count,
}

impl<'a, 's> Elements<'a, 's> {
    /// `received` is what to call the value in an error.
    pub(super) fn of(
        value: ValueSerializer<'a, 's>,
        len: Option<usize>,
        received: &str,
    ) -> Result<Self> {
        let (element, form) = match (value.kind, value.definition()) {
            (Kind::Bytes, _) | (_, Some(Definition::Opaque { .. })) => (Kind::Uint, Form::Bytes),
            (Kind::Complex, _) => (Kind::Float, Form::Complex),
            (_, Some(Definition::Slice { element, .. })) => (*element, Form::Slice),
            (_, Some(Definition::Array { element, len, .. })) => (*element, Form::Array(*len)),
            _ => return Err(value.mismatch(received)),
        };
        let ValueSerializer { walk, delta, .. } = value;
        let announced = match form {
            Form::Complex => None,
            Form::Slice | Form::Array(_) | Form::Bytes => Some(len.unwrap_or(0)),
        };
        if let Form::Slice | Form::Array(_) = form {
            walk.enter()?;
        }
        let count = Count::begin(walk.out, delta, announced);
        Ok(Self { walk, element, form, count })
    }

    #[inline]
    fn put<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        let written = match self.form {
            Form::Bytes => bytes::byte(value).map(|byte| self.walk.out.push(byte)),
            Form::Slice | Form::Array(_) | Form::Complex => {
                value.serialize(ValueSerializer::new(self.walk, self.element))
            }
        };
        written.map_err(|error| error.inside(Step::Index(self.count.count)))?;
        self.count.count = self.count.count.saturating_add(1);
        Ok(())
    }

    /// As [`put`](Self::put), of all of them.
    #[inline]
    pub(super) fn put_all<I>(&mut self, mut elements: I) -> Result<()>
    where
        I: Iterator,
        I::Item: Serialize,
    {
        if let Form::Bytes = self.form {
            self.count.count = bytes::collect(elements, self.walk.out)?;
            return Ok(());
        }
        elements.try_for_each(|element| self.put(&element))
    }

    pub(super) fn finish(self) -> Result<&'a mut Walk<'s>> {
        let Self { walk, form, count, .. } = self;
        let wanted = match form {
            Form::Array(len) => len,
            Form::Complex => 2,
            Form::Slice | Form::Bytes => count.count,
        };
        if wanted != count.count {
            return Err(Error::schema_mismatch(format_args!(
                "the schema says {wanted} elements, the value has {}",
                count.count
            )));
        }
        let is_zero = match form {
            Form::Array(_) => false,
            Form::Complex => is_complex_zero(count.content(walk.out)),
            Form::Slice | Form::Bytes => count.count == 0,
        };
        count.end(walk.out, is_zero);
        if let Form::Slice | Form::Array(_) = form {
            walk.leave();
        }
        Ok(walk)
    }
}

/// As Go sees it: both floats are, whatever their signs.
fn is_complex_zero(bytes: &[u8]) -> bool {
    let mut reader = Reader::new(bytes, 0);
    let mut is_zero = || matches!(reader.float(), Ok(0.0));
    is_zero() && is_zero()
}

/// The content of a map, or of a struct that comes as one.
pub(super) enum Entries<'a, 's> {
    Map(MapEntries<'a, 's>),
    Struct(NamedFields<'a, 's>),
    Interface(InterfaceEntry<'a, 's>),
}

/// The one entry that a [`Value`](crate::Value) in an interface is: its type and its name as the
/// key, as [`Interface`](crate::Interface) writes them.
pub(super) struct InterfaceEntry<'a, 's> {
    walk: &'a mut Walk<'s>,
    delta: u64,
    // For [`Walk::close`], and what stands inside.
    opened: Option<(usize, Kind)>,
}

impl<'a, 's> Entries<'a, 's> {
    pub(super) fn of(value: ValueSerializer<'a, 's>, len: Option<usize>) -> Result<Self> {
        match (value.kind, value.definition()) {
            (_, Some(Definition::Map { key, value: element, .. })) => {
                MapEntries::new(value, (*key, *element), len).map(Self::Map)
            }
            (Kind::Interface, _) => {
                let ValueSerializer { walk, delta, .. } = value;
                Ok(Self::Interface(InterfaceEntry { walk, delta, opened: None }))
            }
            _ => NamedFields::of(value).map(Self::Struct),
        }
    }
}

impl InterfaceEntry<'_, '_> {
    fn check(&self, name: &str, kind: Kind) -> Result<()> {
        let why = if name.is_empty() {
            "without a registered name, which is how nil is written"
        } else if !self.walk.has(kind) {
            "of a type that the schema does not have; see SchemaBuilder::hold"
        } else {
            return Ok(());
        };
        Err(Error::unsupported(format!("a value in an interface, {why}")))
    }

    fn put_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        let start = self.walk.out.len();
        key.serialize(ValueSerializer::new(self.walk, Kind::String))?;
        let written = self.walk.out.get(start..).unwrap_or_default();
        let key = Reader::new(written, 0).text()?;
        let parsed = key.split_once(':').and_then(|(number, name)| {
            Some((Type::from_number(number.parse().ok()?)?, name.to_owned()))
        });
        let Some((Type(kind), name)) = parsed.filter(|_| self.opened.is_none()) else {
            return Err(without_name("a map"));
        };
        self.walk.out.truncate(start);
        self.check(&name, kind)?;
        if self.delta > 0 {
            put_uint(self.walk.out, self.delta);
        }
        self.opened = Some((self.walk.open(&name, kind)?, kind));
        Ok(())
    }

    fn put_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        let Some((len_at, kind)) = self.opened else {
            return Err(value_before_key());
        };
        value.serialize(ValueSerializer::new(self.walk, kind))?;
        self.walk.close(len_at);
        Ok(())
    }

    fn finish(&self) -> Result<()> {
        match self.opened {
            Some(_) => Ok(()),
            None => Err(without_name("an empty map")),
        }
    }
}

pub(super) struct MapEntries<'a, 's> {
    walk: &'a mut Walk<'s>,
    key: Kind,
    value: Kind,
    // Where the last one is.
    key_at: Range<usize>,
    count: Count,
}

impl<'a, 's> MapEntries<'a, 's> {
    fn new(
        ValueSerializer { walk, delta, .. }: ValueSerializer<'a, 's>,
        (key, value): (Kind, Kind),
        len: Option<usize>,
    ) -> Result<Self> {
        walk.enter()?;
        let count = Count::begin(walk.out, delta, Some(len.unwrap_or(0)));
        Ok(Self { walk, key, value, key_at: 0..0, count })
    }

    #[inline]
    fn put_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        let start = self.walk.out.len();
        key.serialize(ValueSerializer::new(self.walk, self.key))
            .map_err(|error| error.inside(Step::Element))?;
        self.key_at = start..self.walk.out.len();
        Ok(())
    }

    #[inline]
    fn put_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        value
            .serialize(ValueSerializer::new(self.walk, self.value))
            .map_err(|error| error.inside(self.key_step()))?;
        self.count.count = self.count.count.saturating_add(1);
        Ok(())
    }

    fn key_step(&self) -> Step {
        key::step_to(self.key, self.walk.out.get(self.key_at.clone()).unwrap_or_default())
    }

    fn finish(self) {
        let Self { walk, count, .. } = self;
        let is_zero = count.count == 0;
        count.end(walk.out, is_zero);
        walk.leave();
    }
}

/// The number before the elements of a sequence or the entries of a map.
struct Count {
    // Where to cut off what is left out.
    start: Option<usize>,
    place: Range<usize>,
    announced: Option<usize>,
    // So far.
    count: usize,
}

impl Count {
    /// Writes what was announced; nothing if there is to be no number.
    fn begin(out: &mut Vec<u8>, delta: u64, announced: Option<usize>) -> Self {
        let start = (delta > 0).then_some(out.len());
        if delta > 0 {
            put_uint(out, delta);
        }
        let count_at = out.len();
        if let Some(announced) = announced {
            put_len(out, announced);
        }
        Self { start, place: count_at..out.len(), announced, count: 0 }
    }

    fn content<'o>(&self, out: &'o [u8]) -> &'o [u8] {
        out.get(self.place.end..).unwrap_or_default()
    }

    fn end(self, out: &mut Vec<u8>, is_zero: bool) {
        match (self.start, self.announced) {
            (Some(start), _) if is_zero => out.truncate(start),
            (_, Some(announced)) if announced != self.count => {
                replace_by_uint(out, self.place, u64::try_from(self.count).unwrap_or(u64::MAX));
            }
            _ => {}
        }
    }
}

macro_rules! sequences {
    ($($sequence:ident $serialize:ident,)*) => {$(
        impl $sequence for Elements<'_, '_> {
            type Ok = ();
            type Error = Error;

            #[inline]
            fn $serialize<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
                self.put(value)
            }

            fn end(self) -> Result<()> {
                self.finish().map(drop)
            }
        }
    )*};
}

sequences! {
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
}

impl SerializeTupleVariant for Enveloped<Elements<'_, '_>> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.content.put(value)
    }

    fn end(self) -> Result<()> {
        self.content.finish()?.close(self.len_at);
        Ok(())
    }
}

impl SerializeMap for Entries<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        match self {
            Self::Map(entries) => entries.put_key(key),
            Self::Struct(fields) => fields.put_key(key),
            Self::Interface(entry) => entry.put_key(key),
        }
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        match self {
            Self::Map(entries) => entries.put_value(value),
            Self::Struct(fields) => fields.put_value(value),
            Self::Interface(entry) => entry.put_value(value),
        }
    }

    fn end(self) -> Result<()> {
        match self {
            Self::Map(entries) => entries.finish(),
            Self::Struct(fields) => fields.finish(),
            Self::Interface(entry) => entry.finish()?,
        }
        Ok(())
    }
}
