//! What serde calls to have a value written.
//!
//! Only which of serde's words is which of gob's. What is written is told in `serializer`, and in
//! `compound` of what has content.

use serde::Serialize;
use serde::ser::Serializer;

use super::compound::{Elements, Entries};
use super::fields::Fields;
use super::serializer::{Enveloped, ValueSerializer};
use crate::error::{Error, Result};
use crate::kinds::{Definition, Kind};
use crate::special;
use crate::wire::{put_bytes, put_float, put_int, put_uint};

macro_rules! widened {
    ($($serialize:ident $narrow:ident $wide:ident,)*) => {$(
        #[inline]
        fn $serialize(self, value: $narrow) -> Result<()> {
            self.$wide(value.into())
        }
    )*};
}

impl<'a, 's> Serializer for ValueSerializer<'a, 's> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Elements<'a, 's>;
    type SerializeTuple = Elements<'a, 's>;
    type SerializeTupleStruct = Elements<'a, 's>;
    type SerializeTupleVariant = Enveloped<Elements<'a, 's>>;
    type SerializeMap = Entries<'a, 's>;
    type SerializeStruct = Fields<'a, 's>;
    type SerializeStructVariant = Enveloped<Fields<'a, 's>>;

    fn is_human_readable(&self) -> bool {
        false
    }

    #[inline]
    fn serialize_bool(self, value: bool) -> Result<()> {
        self.basic(Kind::Bool, !value, |out| out.push(value.into()))
    }

    widened! {
        serialize_i8 i8 serialize_i64,
        serialize_i16 i16 serialize_i64,
        serialize_i32 i32 serialize_i64,
        serialize_u8 u8 serialize_u64,
        serialize_u16 u16 serialize_u64,
        serialize_u32 u32 serialize_u64,
        serialize_f32 f32 serialize_f64,
    }

    #[inline]
    fn serialize_i64(self, value: i64) -> Result<()> {
        self.basic(Kind::Int, value == 0, |out| put_int(out, value))
    }

    fn serialize_i128(self, _: i128) -> Result<()> {
        Err(Error::unsupported("an integer of 128 bits has no form in gob"))
    }

    #[inline]
    fn serialize_u64(self, value: u64) -> Result<()> {
        self.basic(Kind::Uint, value == 0, |out| put_uint(out, value))
    }

    fn serialize_u128(self, _: u128) -> Result<()> {
        Err(Error::unsupported("an integer of 128 bits has no form in gob"))
    }

    // The zero that is left out may be negative, as in Go.
    fn serialize_f64(self, value: f64) -> Result<()> {
        self.basic(Kind::Float, value == 0.0, |out| put_float(out, value))
    }

    // Go's `rune`.
    fn serialize_char(self, value: char) -> Result<()> {
        self.serialize_i64(u32::from(value).into())
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<()> {
        self.basic(Kind::String, value.is_empty(), |out| put_bytes(out, value.as_bytes()))
    }

    #[inline]
    fn serialize_bytes(mut self, value: &[u8]) -> Result<()> {
        // Go's strings are any bytes, and those that are not text are bytes to us.
        if self.kind == Kind::String || matches!(self.definition(), Some(Definition::Opaque { .. }))
        {
            self.kind = Kind::Bytes;
        }
        self.basic(Kind::Bytes, value.is_empty(), |out| put_bytes(out, value))
    }

    fn serialize_none(self) -> Result<()> {
        self.nil("None")
    }

    // Sent even if it is zero, which tells it from `None`.
    fn serialize_some<T: Serialize + ?Sized>(mut self, value: &T) -> Result<()> {
        self.put_delta();
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<()> {
        if self.is_interface() { self.nil("()") } else { empty_struct(self, "()") }
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<()> {
        empty_struct(self, "a unit struct")
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<()> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T>(self, name: &'static str, value: &T) -> Result<()>
    where
        T: Serialize + ?Sized,
    {
        if self.kind == Kind::Interface {
            if name == special::COMPLEX {
                return self.in_interface(Kind::Complex, |inner| value.serialize(inner));
            }
            if special::opaque(name).is_some() {
                return Err(self.mismatch("bytes of a type's own"));
            }
        }
        value.serialize(self)
    }

    fn serialize_newtype_variant<T>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<()>
    where
        T: Serialize + ?Sized,
    {
        let (inner, len_at) = self.variant(variant, "an enum's variant with content")?;
        let ValueSerializer { walk, kind, .. } = inner;
        value.serialize(ValueSerializer::new(walk, kind))?;
        walk.close(len_at);
        Ok(())
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Elements<'a, 's>> {
        Elements::of(self, len, "a sequence")
    }

    // A `Vec`, a slice and a set come here.
    #[inline]
    fn collect_seq<I>(self, elements: I) -> Result<()>
    where
        I: IntoIterator,
        I::Item: Serialize,
    {
        let elements = elements.into_iter();
        let len = match elements.size_hint() {
            (least, Some(most)) if least == most => Some(most),
            _ => None,
        };
        let mut sequence = Elements::of(self, len, "a sequence")?;
        sequence.put_all(elements)?;
        sequence.finish().map(drop)
    }

    fn serialize_tuple(self, len: usize) -> Result<Elements<'a, 's>> {
        Elements::of(self, Some(len), "a tuple")
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Elements<'a, 's>> {
        Elements::of(self, Some(len), "a tuple")
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Enveloped<Elements<'a, 's>>> {
        let (inner, len_at) = self.variant(variant, "an enum's variant with content")?;
        Ok(Enveloped { content: Elements::of(inner, Some(len), "a tuple")?, len_at })
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Entries<'a, 's>> {
        Entries::of(self, len)
    }

    #[inline]
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Fields<'a, 's>> {
        Fields::of(self, "a struct")
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Enveloped<Fields<'a, 's>>> {
        let (inner, len_at) = self.variant(variant, "an enum's variant with content")?;
        Ok(Enveloped { content: Fields::of(inner, "a struct")?, len_at })
    }
}

fn empty_struct(value: ValueSerializer<'_, '_>, received: &str) -> Result<()> {
    Fields::of(value, received)?.finish();
    Ok(())
}
