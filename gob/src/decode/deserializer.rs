//! From the bytes of a whole value to serde's calls.
//!
//! The bytes have been [walked](super::walk) through before, so what can go wrong here is that the
//! sender's types are not those that the receiver asks for. Nothing is converted: an int is no
//! uint, an array no slice, as in Go.
//!
//! A field that was left out is read from zeros, since every zero begins with the byte 0: a number,
//! an empty text, no elements, a struct without fields. Only options and arrays have to be told.

use serde::de::value::{SeqDeserializer, StrDeserializer};
use serde::de::{Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::access::{ByteAccess, ElementAccess, EntryAccess, InterfaceAccess, StructAccess};
use super::check::no_common_field;
use super::plan::Plans;
use super::scan::Whole;
use super::types::Types;
use super::walk::{check_start, skip};
use crate::error::{Error, ErrorKind, Result, Shown};
use crate::kinds::{Definition, Kind, Type, described};
use crate::limits::Limits;
use crate::special;
use crate::wire::Reader;

/// A value that has come whole, as a deserializer: [`Decoder::deserializer`](super::Decoder).
#[derive(Debug)]
pub struct ValueDeserializer<'de> {
    pub(super) reader: Reader<'de>,
    // The type of what comes next.
    pub(super) kind: Kind,
    pub(super) types: &'de Types,
    pub(super) limits: &'de Limits,
    pub(super) plans: &'de mut Plans,
    // For what is made without having been sent.
    pub(super) elements_left: usize,
    // What fields have cost that were handed out with their names, and what they may cost.
    pub(super) name_units: usize,
    pub(super) name_units_max: usize,
    // Levels inside a field that was left out; 0 if outside.
    pub(super) left_out_depth: usize,
    // The address of the value in the last interface.
    pub(super) in_interface_at: usize,
}

/// What the field of a type that was left out is read from: two, for a complex number.
pub(super) const ZEROS: [u8; 2] = [0; 2];

/// A name is sent once and handed out with every element, so it costs what it has of bytes: one
/// unit, and one more for so many of them.
const NAME_BYTES_PER_UNIT: usize = 16;

/// What the names in a value may cost, beside `fields_max`. A field that is sent takes two bytes or
/// more, so no name of less than 256 bytes is too long for it.
const NAME_UNITS_PER_VALUE_BYTE: usize = 8;

impl<'de> ValueDeserializer<'de> {
    pub(super) fn new(
        whole: Whole<'de>,
        types: &'de Types,
        limits: &'de Limits,
        plans: &'de mut Plans,
    ) -> Self {
        let name_units = whole.bytes.len().saturating_mul(NAME_UNITS_PER_VALUE_BYTE);
        Self {
            reader: Reader::new(whole.bytes, 0),
            kind: whole.kind,
            types,
            limits,
            plans,
            elements_left: limits.elements_max.saturating_sub(whole.elements),
            name_units: 0,
            name_units_max: name_units.saturating_add(limits.fields_max),
            left_out_depth: 0,
            in_interface_at: 0,
        }
    }

    /// The type of the value, within the decoder's schema.
    #[must_use]
    pub fn value_type(&self) -> Type {
        Type(self.kind)
    }

    /// Goes to the value itself, past the byte in front of it.
    pub(super) fn start(&mut self) -> Result<()> {
        check_start(self.kind, &mut self.reader, self.types)
    }

    /// Goes into an interface: the name of its type, or `None` if it holds nothing.
    pub(super) fn enter_interface(&mut self) -> Result<Option<&'de str>> {
        let name = self.reader.text()?;
        if name.is_empty() {
            return Ok(None);
        }
        let id = self.reader.int()?;
        let unknown = || self.reader.malformed("an interface value of an unknown type");
        self.kind = self.types.known(id).ok_or_else(unknown)?;
        self.reader.uint()?;
        self.start()?;
        self.in_interface_at = self.reader.rest().as_ptr().addr();
        Ok(Some(name))
    }

    pub(super) fn skip(&mut self, kind: Kind) -> Result<()> {
        skip(kind, &mut self.reader, self.types, self.limits)
    }

    /// Charges what is made without having been sent.
    pub(super) fn charge(&mut self, count: usize) -> Result<()> {
        match self.elements_left.checked_sub(count) {
            Some(left) => {
                self.elements_left = left;
                Ok(())
            }
            None => {
                let (max, what) = (self.limits.elements_max, "elements and fields left out");
                Err(Error::limit(what, "elements_max", max))
            }
        }
    }

    /// Charges a field that a receiver is given without having said that it wants it.
    pub(super) fn charge_name(&mut self, name: &str) -> Result<()> {
        let units = (name.len() / NAME_BYTES_PER_UNIT).saturating_add(1);
        self.name_units = self.name_units.saturating_add(units);
        let (units, max) = (self.name_units, self.name_units_max);
        if units > max {
            let text = format!(
                "{units} units of fields with their names, where elements_max allows {max} for \
                 so short a value"
            );
            return Err(Error::new(ErrorKind::Limit, text));
        }
        Ok(())
    }

    #[cold]
    pub(super) fn mismatch(&self, wanted: &str) -> Error {
        Error::mismatch(wanted, described(self.types.definitions(), self.kind))
    }

    fn definition(&self) -> Option<&'de Definition> {
        match self.kind {
            Kind::Defined(number) => Some(self.types.definition(number)),
            _ => None,
        }
    }

    fn int(&mut self) -> Result<i64> {
        match self.kind {
            Kind::Int => self.reader.int(),
            _ => Err(self.mismatch("int")),
        }
    }

    fn uint(&mut self) -> Result<u64> {
        match self.kind {
            Kind::Uint => self.reader.uint(),
            _ => Err(self.mismatch("uint")),
        }
    }

    fn float(&mut self) -> Result<f64> {
        match self.kind {
            Kind::Float => self.reader.float(),
            _ => Err(self.mismatch("float")),
        }
    }

    fn text(&mut self) -> Result<&'de str> {
        if self.kind != Kind::String {
            return Err(self.mismatch("string"));
        }
        let bytes = self.reader.bytes()?;
        std::str::from_utf8(bytes).map_err(|_| Error::mismatch("text in UTF-8", "other bytes"))
    }

    fn visit_complex<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        let parts = [self.reader.float()?, self.reader.float()?];
        visitor.visit_seq(SeqDeserializer::new(parts.into_iter()))
    }

    fn visit_elements<V: Visitor<'de>>(&mut self, element: Kind, visitor: V) -> Result<V::Value> {
        let left = self.reader.count()?;
        visitor.visit_seq(ElementAccess::new(self, element, left))
    }

    fn visit_entries<V: Visitor<'de>>(
        &mut self,
        key: Kind,
        value: Kind,
        visitor: V,
    ) -> Result<V::Value> {
        let left = self.reader.count()?;
        visitor.visit_map(EntryAccess::new(self, key, value, left))
    }

    pub(super) fn visit_struct<V: Visitor<'de>>(
        &mut self,
        name: &str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match (self.kind, self.definition()) {
            (Kind::Defined(number), Some(Definition::Struct { fields, .. })) => {
                let plan = self.plans.plan(number, fields, names);
                // As of outermost types, and as in Go; no interface's type has been compared.
                if self.plans.wanted(plan).is_empty()
                    && self.reader.rest().as_ptr().addr() == self.in_interface_at
                    && !(fields.is_empty() || names.is_empty())
                {
                    return Err(no_common_field(name, names, fields));
                }
                visitor.visit_map(StructAccess::of_plan(self, fields, plan)?)
            }
            _ => Err(self.mismatch(&format!("struct {}", Shown(name)))),
        }
    }

    fn visit_defined<V: Visitor<'de>>(&mut self, number: u32, visitor: V) -> Result<V::Value> {
        match self.types.definition(number) {
            Definition::Struct { fields, .. } => {
                visitor.visit_map(StructAccess::of_all(self, fields)?)
            }
            Definition::Array { .. } if self.left_out_depth > 0 => visitor.visit_none(),
            Definition::Array { element, .. } | Definition::Slice { element, .. } => {
                self.visit_elements(*element, visitor)
            }
            Definition::Map { key, value, .. } => self.visit_entries(*key, *value, visitor),
            Definition::Opaque { .. } => visitor.visit_borrowed_bytes(self.reader.bytes()?),
            Definition::Choice { .. } | Definition::Missing => Err(self.mismatch("a value")),
        }
    }
}

macro_rules! numbers {
    ($($method:ident $read:ident $visit:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            visitor.$visit(self.$read()?)
        })*
    };
}

impl<'de> Deserializer<'de> for &mut ValueDeserializer<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.kind {
            Kind::Bool => visitor.visit_bool(self.reader.bool()?),
            Kind::Int => visitor.visit_i64(self.reader.int()?),
            Kind::Uint => visitor.visit_u64(self.reader.uint()?),
            Kind::Float => visitor.visit_f64(self.reader.float()?),
            Kind::Bytes => visitor.visit_borrowed_bytes(self.reader.bytes()?),
            Kind::String => visitor.visit_borrowed_str(self.text()?),
            Kind::Complex => self.visit_complex(visitor),
            Kind::Interface => match self.enter_interface()? {
                Some(_) => self.deserialize_any(visitor),
                None => visitor.visit_unit(),
            },
            Kind::Defined(number) => self.visit_defined(number, visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.kind {
            Kind::Bool => visitor.visit_bool(self.reader.bool()?),
            _ => Err(self.mismatch("bool")),
        }
    }

    numbers! {
        deserialize_i8 int visit_i64
        deserialize_i16 int visit_i64
        deserialize_i32 int visit_i64
        deserialize_i64 int visit_i64
        deserialize_u8 uint visit_u64
        deserialize_u16 uint visit_u64
        deserialize_u32 uint visit_u64
        deserialize_u64 uint visit_u64
        deserialize_f64 float visit_f64
        deserialize_str text visit_borrowed_str
        deserialize_string text visit_borrowed_str
        deserialize_identifier text visit_borrowed_str
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let wide = self.float()?;
        if wide.is_finite() && wide.abs() > f32::MAX.into() {
            return Err(Error::mismatch("a float of 32 bits", format_args!("{wide:e}")));
        }
        #[expect(clippy::cast_possible_truncation, reason = "as Go does")]
        let value = wide as f32;
        visitor.visit_f32(value)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let value = self.int()?;
        let symbol = u32::try_from(value).ok().and_then(char::from_u32);
        visitor.visit_char(symbol.ok_or_else(|| Error::mismatch("a Unicode character", value))?)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.kind {
            Kind::Bytes | Kind::String => visitor.visit_borrowed_bytes(self.reader.bytes()?),
            _ => Err(self.mismatch("bytes")),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_bytes(visitor)
    }

    /// A zero that was left out and a nil pointer look the same, and are taken for the latter.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let is_nil = self.kind == Kind::Interface && self.reader.rest().first() == Some(&0);
        if self.left_out_depth > 0 {
            visitor.visit_none()
        } else if is_nil {
            self.reader.uint()?;
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.kind != Kind::Interface {
            return self.deserialize_unit_struct("", visitor);
        }
        match self.enter_interface()? {
            None => visitor.visit_unit(),
            Some(_) => Err(self.mismatch("nil")),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        if self.types.fields(self.kind).is_none() {
            return Err(self.mismatch("struct"));
        }
        self.deserialize_ignored_any(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        if name == special::COMPLEX {
            return match self.kind {
                Kind::Complex => self.visit_complex(visitor),
                _ => Err(self.mismatch("complex")),
            };
        }
        if let Some((wanted, name)) = special::opaque(name) {
            match self.definition() {
                Some(Definition::Opaque { by, .. }) if *by == wanted => self.kind = Kind::Bytes,
                _ => return Err(self.mismatch(name)),
            }
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.kind == Kind::Bytes {
            return visitor.visit_seq(ByteAccess::new(self.reader.bytes()?));
        }
        match self.definition() {
            Some(Definition::Slice { element, .. }) => self.visit_elements(*element, visitor),
            _ => Err(self.mismatch("slice")),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        match self.definition() {
            Some(Definition::Array { element, len: sent, .. }) if len == *sent => {
                if self.left_out_depth == 0 {
                    return self.visit_elements(*element, visitor);
                }
                self.charge(len)?;
                visitor.visit_seq(ElementAccess::new(self, *element, len))
            }
            _ => Err(self.mismatch(&format!("array of {len}"))),
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.definition() {
            Some(Definition::Map { key, value, .. }) => self.visit_entries(*key, *value, visitor),
            Some(Definition::Struct { fields, .. }) => {
                visitor.visit_map(StructAccess::of_all(self, fields)?)
            }
            _ => Err(self.mismatch("map")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.visit_struct(name, names, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        if name == special::VALUE {
            return visitor.visit_enum(super::dynamic::DynamicAccess(self));
        }
        match self.kind {
            Kind::String => {
                let variant: StrDeserializer<'_, Error> = self.text()?.into_deserializer();
                visitor.visit_enum(variant)
            }
            Kind::Interface => match self.enter_interface()? {
                Some(variant) => visitor.visit_enum(InterfaceAccess::new(self, variant)),
                None => {
                    let wanted = format_args!("enum {name}");
                    Err(Error::mismatch(wanted, "nil; Option<..> takes nil"))
                }
            },
            _ => Err(self.mismatch(&format!("enum {name}"))),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.left_out_depth == 0 {
            self.skip(self.kind)?;
        }
        visitor.visit_unit()
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    forward_to_deserialize_any! { i128 u128 }
}
