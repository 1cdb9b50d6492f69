//! The shape of what a type writes, found by watching samples of it being written.
//!
//! Reading tells what a type asks for; only writing tells that a field has another name there, is
//! left out, always or at times, or is of another type, and by which numbers variants go. The
//! samples are those that `trace` makes: among them is one with each variant, and one with
//! something in each option, sequence and map. So each is written into a serializer that takes
//! notes (`notes`), and what the samples have in common becomes a list of types.
//!
//! A node is recognised by the type that a value is passed on as, as `type_name` prints it, and by
//! the names that it announces. The wrappers that serde's derive makes for `serialize_with` all
//! have one name, and so are recognised by their place.
//!
//! It is a guess from samples: what no sample shows stays unknown.

use std::any::type_name;

use serde::de::value::Error;
use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use self::notes::{Last, Notes, Place, Seen};
use crate::types::{Content, Encoding, Form, Primitive, Types, without_pointers};

mod notes;

type Result<T, E = Error> = std::result::Result<T, E>;

/// Watches one sample after the other.
pub(crate) struct Watch {
    notes: Notes,
    encoding: Encoding,
}

impl Watch {
    /// For samples of `T`.
    pub(crate) fn new<T>(encoding: Encoding) -> Self {
        let mut notes = Notes::new();
        notes.name(Place::ROOT, type_name::<T>());
        Self { notes, encoding }
    }

    /// Takes notes of what is written for `value`.
    pub(crate) fn look<T: Serialize>(&mut self, value: &T) {
        let Self { notes, encoding } = self;
        let (place, encoding) = (Place::ROOT, *encoding);
        let of = without_pointers(type_name::<T>());
        notes.name(place, of);
        // A type may refuse to write a sample. What it has written to the end counts.
        let _ = value.serialize(Writer { notes, encoding, place, of });
    }

    /// All types that were written.
    pub(crate) fn finish(self) -> Types {
        self.notes.lift()
    }
}

/// Writes what is at `place`.
struct Writer<'w> {
    notes: &'w mut Notes,
    encoding: Encoding,
    place: Place,
    of: &'static str,
}

impl<'w> Writer<'w> {
    fn leaf(self, primitive: Primitive) -> Result<()> {
        self.notes.note(self.place, Seen::Primitive(primitive))
    }

    fn node(self, form: Form, name: &'static str, len: usize) -> Result<Parts<'w>> {
        let node = self.notes.meet(self.place, form, self.of, name, len)?;
        Ok(Parts { notes: self.notes, encoding: self.encoding, node, at: 0, last: None })
    }

    /// The same for the content of a variant.
    fn variant(self, name: &'static str, index: u32, variant: &'static str) -> Result<Self> {
        let of = self.of;
        let Parts { notes, encoding, node, .. } = self.node(Form::Enum, name, 0)?;
        let place = notes.part(node, variant, index, &mut None);
        notes.name(place, of);
        Ok(Self { notes, encoding, place, of })
    }
}

/// The parts of a node, one after the other.
struct Parts<'w> {
    notes: &'w mut Notes,
    encoding: Encoding,
    node: usize,
    /// The next element.
    at: usize,
    /// The field before.
    last: Option<Last>,
}

impl Parts<'_> {
    fn put<T: ?Sized + Serialize>(
        &mut self,
        part: &'static str,
        index: usize,
        value: &T,
    ) -> Result<()> {
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        let place = self.notes.part(self.node, part, index, &mut self.last);
        let of = without_pointers(type_name::<T>());
        self.notes.name(place, of);
        value.serialize(Writer { notes: self.notes, encoding: self.encoding, place, of })
    }

    fn put_again<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<()> {
        self.put("", 0, value)
    }

    fn put_field<T: ?Sized + Serialize>(&mut self, name: &'static str, value: &T) -> Result<()> {
        self.put(name, 0, value)
    }

    fn put_next<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<()> {
        let at = self.at;
        self.at = at.saturating_add(1);
        self.put("", at, value)
    }
}

macro_rules! leaves {
    ($($serialize:ident $type:ty, $primitive:ident;)*) => {$(
        fn $serialize(self, _: $type) -> Result<()> {
            self.leaf(Primitive::$primitive)
        }
    )*};
}

impl<'w> Serializer for Writer<'w> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Parts<'w>;
    type SerializeTuple = Parts<'w>;
    type SerializeTupleStruct = Parts<'w>;
    type SerializeTupleVariant = Parts<'w>;
    type SerializeMap = Parts<'w>;
    type SerializeStruct = Parts<'w>;
    type SerializeStructVariant = Parts<'w>;

    leaves! {
        serialize_bool bool, Bool;
        serialize_i8 i8, I8;
        serialize_i16 i16, I16;
        serialize_i32 i32, I32;
        serialize_i64 i64, I64;
        serialize_i128 i128, I128;
        serialize_u8 u8, U8;
        serialize_u16 u16, U16;
        serialize_u32 u32, U32;
        serialize_u64 u64, U64;
        serialize_u128 u128, U128;
        serialize_f32 f32, F32;
        serialize_f64 f64, F64;
        serialize_char char, Char;
        serialize_str &str, String;
        serialize_bytes &[u8], Bytes;
    }

    fn is_human_readable(&self) -> bool {
        self.encoding == Encoding::Text
    }

    fn serialize_none(self) -> Result<()> {
        self.node(Form::Option, "", 0).map(|_| ())
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<()> {
        self.node(Form::Option, "", 0)?.put("", 0, value)
    }

    fn serialize_unit(self) -> Result<()> {
        self.serialize_unit_struct("")
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<()> {
        self.node(Form::Unit, name, 0).map(|_| ())
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<()> {
        let Self { notes, place, .. } = self.variant(name, index, variant)?;
        notes.note(place, Seen::Nothing)
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<()> {
        self.node(Form::Newtype, name, 0)?.put("", 0, value)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<()> {
        let Self { notes, encoding, place, .. } = self.variant(name, index, variant)?;
        notes.note_content(place, Content::Newtype);
        let of = without_pointers(type_name::<T>());
        notes.name(place, of);
        value.serialize(Writer { notes, encoding, place, of })
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Parts<'w>> {
        self.node(Form::Sequence, "", 0)
    }

    fn serialize_tuple(self, len: usize) -> Result<Parts<'w>> {
        self.serialize_tuple_struct("", len)
    }

    fn serialize_tuple_struct(self, name: &'static str, len: usize) -> Result<Parts<'w>> {
        self.node(Form::Tuple, name, len)
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Parts<'w>> {
        let inner = self.variant(name, index, variant)?;
        inner.notes.note_content(inner.place, Content::Tuple);
        inner.node(Form::Tuple, variant, len)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Parts<'w>> {
        self.node(Form::Map, "", 0)
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Parts<'w>> {
        self.node(Form::Struct, name, 0)
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts<'w>> {
        let inner = self.variant(name, index, variant)?;
        inner.notes.note_content(inner.place, Content::Struct);
        inner.node(Form::Struct, variant, 0)
    }
}

macro_rules! parts {
    ($($trait:ident: $method:ident($($key:ident)?) $call:expr;)*) => {$(
        impl $trait for Parts<'_> {
            type Ok = ();
            type Error = Error;

            fn $method<T: ?Sized + Serialize>(
                &mut self,
                $($key: &'static str,)?
                value: &T,
            ) -> Result<()> {
                $call(self, $($key,)? value)
            }

            fn end(self) -> Result<()> {
                self.notes.end(self.node);
                Ok(())
            }
        }
    )*};
}

parts! {
    SerializeSeq: serialize_element() Parts::put_again;
    SerializeTuple: serialize_element() Parts::put_next;
    SerializeTupleStruct: serialize_field() Parts::put_next;
    SerializeTupleVariant: serialize_field() Parts::put_next;
    SerializeStruct: serialize_field(key) Parts::put_field;
    SerializeStructVariant: serialize_field(key) Parts::put_field;
}

impl SerializeMap for Parts<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<()> {
        self.put("", 0, key)
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<()> {
        self.put("", 1, value)
    }

    fn end(self) -> Result<()> {
        self.notes.end(self.node);
        Ok(())
    }
}
