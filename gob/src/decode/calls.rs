//! What serde calls to have a value read.
//!
//! Only which of serde's words is which of gob's; where the value is in its bytes, `deserializer`
//! knows. Nothing is converted: an int is no uint, an array no slice, as in Go.

use serde::de::value::{SeqDeserializer, StrDeserializer};
use serde::de::{Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::access::{ByteAccess, ElementAccess, EntryAccess, InterfaceAccess, StructAccess};
use super::deserializer::ValueDeserializer;
use super::dynamic::DynamicAccess;
use crate::error::{Error, Result};
use crate::kinds::{Definition, Kind};
use crate::special;

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
            Kind::String => {
                let bytes = self.reader.bytes()?;
                match std::str::from_utf8(bytes) {
                    Ok(text) => visitor.visit_borrowed_str(text),
                    Err(_) => visitor.visit_borrowed_bytes(bytes),
                }
            }
            Kind::Complex => visit_complex(self, visitor),
            Kind::Interface => match self.enter_interface()? {
                Some(_) => self.deserialize_any(visitor),
                None => visitor.visit_unit(),
            },
            Kind::Defined(number) => visit_defined(self, number, visitor),
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
                Kind::Complex => visit_complex(self, visitor),
                _ => Err(self.mismatch("complex")),
            };
        }
        if let Some((wanted, name)) = special::opaque(name) {
            match self.definition() {
                Some(Definition::Opaque { by, .. }) if *by == wanted => self.kind = Kind::Bytes,
                _ => return Err(self.mismatch(name)),
            }
            if self.left_out_depth > 0 {
                // Its zero has bytes that only the type knows.
                return visitor.visit_borrowed_bytes(&[]);
            }
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.kind == Kind::Bytes {
            return visitor.visit_seq(ByteAccess::new(self.reader.bytes()?));
        }
        match self.definition() {
            Some(Definition::Slice { element, .. }) => {
                visitor.visit_seq(ElementAccess::of_sent(self, *element)?)
            }
            _ => Err(self.mismatch("slice")),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        match self.definition() {
            Some(Definition::Array { element, len: sent, .. }) if len == *sent => {
                if self.left_out_depth == 0 {
                    return visitor.visit_seq(ElementAccess::of_sent(self, *element)?);
                }
                visitor.visit_seq(ElementAccess::of_zeros(self, *element, len)?)
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
            Some(Definition::Map { key, value, .. }) => {
                visitor.visit_map(EntryAccess::new(self, *key, *value)?)
            }
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
        visitor.visit_map(StructAccess::of_names(self, name, names)?)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        if name == special::VALUE {
            return visitor.visit_enum(DynamicAccess(self));
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

fn visit_complex<'de, V: Visitor<'de>>(
    value: &mut ValueDeserializer<'de>,
    visitor: V,
) -> Result<V::Value> {
    let parts = [value.reader.float()?, value.reader.float()?];
    visitor.visit_seq(SeqDeserializer::new(parts.into_iter()))
}

fn visit_defined<'de, V: Visitor<'de>>(
    value: &mut ValueDeserializer<'de>,
    number: u32,
    visitor: V,
) -> Result<V::Value> {
    match value.types.definition(number) {
        Definition::Struct { fields, .. } => {
            visitor.visit_map(StructAccess::of_all(value, fields)?)
        }
        Definition::Array { .. } if value.left_out_depth > 0 => visitor.visit_none(),
        Definition::Array { element, .. } | Definition::Slice { element, .. } => {
            visitor.visit_seq(ElementAccess::of_sent(value, *element)?)
        }
        Definition::Map { key, value: element, .. } => {
            visitor.visit_map(EntryAccess::new(value, *key, *element)?)
        }
        Definition::Opaque { .. } => visitor.visit_borrowed_bytes(value.reader.bytes()?),
        Definition::Choice { .. } | Definition::Missing => Err(value.mismatch("a value")),
    }
}
