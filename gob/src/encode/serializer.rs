//! One value in step with its type: what serde calls, and what the schema says there must be.
//!
//! Zero fields of structs are left out. So a field's number is not written by the struct but by
//! the value, which is the first to know; a struct sees from the bytes whether the field was sent.
//! What a sequence, a map or a struct does with its content is told in `compound`.

use serde::Serialize;
use serde::ser::Serializer;

use super::compound::{Elements, Entries, Enveloped, Fields, Form, InterfaceEntry, MapEntries};
use crate::error::{Error, Result};
use crate::kinds::{Definition, Field, Kind, TypeId, described};
use crate::order;
use crate::special;
use crate::wire::{fill_in_len, put_bytes, put_float, put_int, put_uint};

/// What all serializers inside one value share.
pub(super) struct Walk<'s> {
    pub(super) out: &'s mut Vec<u8>,
    definitions: &'s [Definition],
    // The ids of the types, by their numbers.
    ids: &'s [TypeId],
    depth_max: usize,
    depth_left: usize,
}

impl<'s> Walk<'s> {
    pub(super) fn new(
        definitions: &'s [Definition],
        ids: &'s [TypeId],
        depth_max: usize,
        out: &'s mut Vec<u8>,
    ) -> Self {
        Self { out, definitions, ids, depth_max, depth_left: depth_max }
    }

    pub(super) fn definition(&self, kind: Kind) -> Option<&'s Definition> {
        match kind {
            Kind::Defined(number) => self.definitions.get(number as usize),
            _ => None,
        }
    }

    /// Goes one level further in.
    ///
    /// # Errors
    ///
    /// `Limit` if that is too deep.
    #[inline]
    pub(super) fn enter(&mut self) -> Result<()> {
        match self.depth_left.checked_sub(1) {
            Some(left) => {
                self.depth_left = left;
                Ok(())
            }
            None => Err(Error::limit("a value with more levels", "depth_max", self.depth_max)),
        }
    }

    #[inline]
    pub(super) fn leave(&mut self) {
        self.depth_left = self.depth_left.saturating_add(1);
    }

    /// Whether the schema has this type.
    pub(super) fn has(&self, kind: Kind) -> bool {
        order::has(kind, self.ids)
    }

    /// The 0 that is before a value that is no struct, where it stands for itself.
    pub(super) fn put_singleton_mark(&mut self, kind: Kind) {
        if !matches!(self.definition(kind), Some(Definition::Struct { .. })) {
            self.out.push(0);
        }
    }

    /// Begins a value in an interface. What comes back is for [`close`](Self::close).
    pub(super) fn open(&mut self, registered: &str, kind: Kind) -> Result<usize> {
        self.enter()?;
        put_bytes(self.out, registered.as_bytes());
        put_int(self.out, order::id(kind, self.ids));
        let len_at = self.out.len();
        self.out.push(0);
        self.put_singleton_mark(kind);
        Ok(len_at)
    }

    pub(super) fn close(&mut self, len_at: usize) {
        fill_in_len(self.out, len_at);
        self.leave();
    }
}

/// Writes one value.
pub(super) struct ValueSerializer<'a, 's> {
    walk: &'a mut Walk<'s>,
    kind: Kind,
    // As for `of_field`.
    delta: u64,
}

impl<'a, 's> ValueSerializer<'a, 's> {
    /// Of a value that is sent even if it is zero.
    pub(super) fn new(walk: &'a mut Walk<'s>, kind: Kind) -> Self {
        Self { walk, kind, delta: 0 }
    }

    /// Of a field that is `delta` fields behind the last one that was sent, and left out if it is
    /// zero.
    #[inline]
    pub(super) fn of_field(walk: &'a mut Walk<'s>, kind: Kind, delta: u64) -> Self {
        Self { walk, kind, delta }
    }

    /// Whether nothing is to be written if the value is zero.
    fn is_omittable(&self) -> bool {
        self.delta > 0
    }

    #[inline]
    fn put_delta(&mut self) {
        if self.delta > 0 {
            put_uint(self.walk.out, self.delta);
            self.delta = 0;
        }
    }

    /// Writes a value of one of the basic types with `put`.
    #[inline]
    fn basic(mut self, kind: Kind, is_zero: bool, put: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        if self.kind == kind {
            if !(is_zero && self.is_omittable()) {
                self.put_delta();
                put(self.walk.out);
            }
            return Ok(());
        }
        self.in_interface(kind, |inner| {
            put(inner.walk.out);
            Ok(())
        })
    }

    /// Writes a value of one of the basic types with `put` where anything can be.
    fn in_interface<F>(mut self, kind: Kind, put: F) -> Result<()>
    where
        F: FnOnce(ValueSerializer<'_, 's>) -> Result<()>,
    {
        let (registered, received) = match kind {
            Kind::Bool => ("bool", "a bool"),
            Kind::Int => ("int64", "a signed integer"),
            Kind::Uint => ("uint64", "an unsigned integer"),
            Kind::Float => ("float64", "a float"),
            Kind::Bytes => ("[]uint8", "bytes"),
            Kind::String => ("string", "a string"),
            Kind::Complex => ("complex128", "a complex number"),
            Kind::Interface | Kind::Defined(_) => ("", "a value of its own type"),
        };
        if self.kind != Kind::Interface {
            return Err(self.mismatch(received));
        }
        self.put_delta();
        let len_at = self.walk.open(registered, kind)?;
        put(ValueSerializer::new(self.walk, kind))?;
        self.walk.close(len_at);
        Ok(())
    }

    fn definition(&self) -> Option<&'s Definition> {
        self.walk.definition(self.kind)
    }

    #[cold]
    fn mismatch(&self, received: &str) -> Error {
        if self.kind == Kind::Interface {
            return without_name(received);
        }
        let wanted = described(self.walk.definitions, self.kind);
        Error::schema_mismatch(format_args!("the schema says {wanted}, the value is {received}"))
    }

    fn is_interface(&self) -> bool {
        self.kind == Kind::Interface || matches!(self.definition(), Some(Definition::Choice { .. }))
    }

    /// What Go calls nil.
    fn nil(self, received: &str) -> Result<()> {
        if self.is_omittable() {
            return Ok(());
        }
        if !self.is_interface() {
            return Err(no_nil(received));
        }
        self.walk.out.push(0);
        Ok(())
    }

    fn elements(self, len: Option<usize>, received: &str) -> Result<Elements<'a, 's>> {
        let (element, form) = match (self.kind, self.definition()) {
            (Kind::Bytes, _) | (_, Some(Definition::Opaque { .. })) => (Kind::Uint, Form::Bytes),
            (Kind::Complex, _) => (Kind::Float, Form::Complex),
            (_, Some(Definition::Slice { element, .. })) => (*element, Form::Slice),
            (_, Some(Definition::Array { element, len, .. })) => (*element, Form::Array(*len)),
            _ => return Err(self.mismatch(received)),
        };
        Elements::new(self.walk, self.delta, (element, form), len)
    }

    fn fields(mut self, received: &str) -> Result<Fields<'a, 's>> {
        match self.definition() {
            Some(Definition::Struct { fields, .. }) => {
                self.put_delta();
                Fields::new(self.walk, fields)
            }
            _ => Err(self.mismatch(received)),
        }
    }

    fn empty_struct(self, received: &str) -> Result<()> {
        self.fields(received)?.finish();
        Ok(())
    }

    /// The content of an enum's variant, and what closes it.
    fn variant(mut self, variant: &str, received: &str) -> Result<(Self, usize)> {
        let Some(Definition::Choice { variants }) = self.definition() else {
            return Err(self.mismatch(received));
        };
        // The empty name is nil's.
        let is_meant = |known: &&Field| *known.name == *variant && !variant.is_empty();
        let Some(known) = variants.iter().find(is_meant) else {
            return Err(Error::schema_mismatch(format_args!(
                "the schema's interface has no type {variant}"
            )));
        };
        self.put_delta();
        let len_at = self.walk.open(variant, known.kind)?;
        Ok((Self::new(self.walk, known.kind), len_at))
    }
}

/// A value in an interface that does not say which type it is of.
#[cold]
pub(super) fn without_name(received: &str) -> Error {
    Error::unsupported(format!(
        "{received} in an interface of any type: its registered name is not known; a Value that \
         is a struct, a map or a sequence needs its schema: Encoder::encode_as with Decoder::schema"
    ))
}

#[cold]
fn no_nil(received: &str) -> Error {
    Error::unsupported(format!(
        "{received} has no form in gob, unless it is a struct's field or in an interface"
    ))
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

    #[inline]
    fn serialize_i8(self, value: i8) -> Result<()> {
        self.serialize_i64(value.into())
    }

    #[inline]
    fn serialize_i16(self, value: i16) -> Result<()> {
        self.serialize_i64(value.into())
    }

    #[inline]
    fn serialize_i32(self, value: i32) -> Result<()> {
        self.serialize_i64(value.into())
    }

    #[inline]
    fn serialize_i64(self, value: i64) -> Result<()> {
        self.basic(Kind::Int, value == 0, |out| put_int(out, value))
    }

    fn serialize_i128(self, _: i128) -> Result<()> {
        Err(Error::unsupported("an integer of 128 bits has no form in gob"))
    }

    #[inline]
    fn serialize_u8(self, value: u8) -> Result<()> {
        self.serialize_u64(value.into())
    }

    #[inline]
    fn serialize_u16(self, value: u16) -> Result<()> {
        self.serialize_u64(value.into())
    }

    #[inline]
    fn serialize_u32(self, value: u32) -> Result<()> {
        self.serialize_u64(value.into())
    }

    #[inline]
    fn serialize_u64(self, value: u64) -> Result<()> {
        self.basic(Kind::Uint, value == 0, |out| put_uint(out, value))
    }

    fn serialize_u128(self, _: u128) -> Result<()> {
        Err(Error::unsupported("an integer of 128 bits has no form in gob"))
    }

    fn serialize_f32(self, value: f32) -> Result<()> {
        self.serialize_f64(value.into())
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
        if let Some(Definition::Opaque { .. }) = self.definition() {
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
        if self.is_interface() { self.nil("()") } else { self.empty_struct("()") }
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<()> {
        self.empty_struct("a unit struct")
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
        self.elements(len, "a sequence")
    }

    fn serialize_tuple(self, len: usize) -> Result<Elements<'a, 's>> {
        self.elements(Some(len), "a tuple")
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Elements<'a, 's>> {
        self.elements(Some(len), "a tuple")
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Enveloped<Elements<'a, 's>>> {
        let (inner, len_at) = self.variant(variant, "an enum's variant with content")?;
        Ok(Enveloped { content: inner.elements(Some(len), "a tuple")?, len_at })
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Entries<'a, 's>> {
        match self.definition() {
            Some(Definition::Map { key, value, .. }) => {
                let entries = MapEntries::new(self.walk, self.delta, (*key, *value), len)?;
                Ok(Entries::Map(entries))
            }
            None if self.kind == Kind::Interface => {
                let (walk, delta) = (self.walk, self.delta);
                Ok(Entries::Interface(InterfaceEntry { walk, delta, opened: None }))
            }
            _ => Ok(Entries::Struct { fields: self.fields("a map")?, next: None }),
        }
    }

    #[inline]
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Fields<'a, 's>> {
        self.fields("a struct")
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Enveloped<Fields<'a, 's>>> {
        let (inner, len_at) = self.variant(variant, "an enum's variant with content")?;
        Ok(Enveloped { content: inner.fields("a struct")?, len_at })
    }
}
