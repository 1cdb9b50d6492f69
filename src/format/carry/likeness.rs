//! Whether two values are alike, as far as serde sees them: a number that is made of one.
//!
//! Elements of sequences and entries of maps count in no order, since a set or a map of the
//! standard library has another one in each value; formats keep the order of what has one. Fields
//! that are left out do not count, nor do the names of types. Equal values have equal numbers;
//! others have another one, by all likelihood: it is no defence against attacks and needs none,
//! since both values come from the same payload.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::de::value::Error;
use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

type Result<T, E = Error> = std::result::Result<T, E>;

/// Makes a number of a value as it is for people or for programs.
#[derive(Clone, Copy)]
pub(super) struct Likeness {
    pub(super) is_human_readable: bool,
}

/// The same for the parts of a value.
pub(super) struct Parts {
    likeness: Likeness,
    number: u64,
    is_ordered: bool,
    key: u64,
}

impl Likeness {
    fn parts(self, form: Form, variant: u32, is_ordered: bool) -> Parts {
        Parts { likeness: self, number: number(&(form, variant)), is_ordered, key: 0 }
    }
}

impl Parts {
    fn put_element<T: Serialize + ?Sized>(&mut self, element: &T) -> Result<()> {
        self.put_field("", element)
    }

    fn put_field<T: Serialize + ?Sized>(&mut self, name: &str, part: &T) -> Result<()> {
        let part = number(&(name, part.serialize(self.likeness)?));
        self.number = match self.is_ordered {
            true => number(&(self.number, part)),
            false => self.number.wrapping_add(part),
        };
        Ok(())
    }
}

/// What sort of value it is: values of two sorts are not alike.
#[derive(Clone, Copy, Hash)]
enum Form {
    Scalar,
    None,
    Some,
    Unit,
    Variant,
    Sequence,
    Tuple,
    Map,
    Struct,
}

fn number<T: Hash + ?Sized>(of: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

macro_rules! scalars {
    ($($method:ident: $type:ty, $value:ident => $hashed:expr;)*) => {$(
        fn $method(self, $value: $type) -> Result<u64> {
            Ok(number(&(Form::Scalar, $hashed)))
        }
    )*};
}

impl Serializer for Likeness {
    type Ok = u64;
    type Error = Error;
    type SerializeSeq = Parts;
    type SerializeTuple = Parts;
    type SerializeTupleStruct = Parts;
    type SerializeTupleVariant = Parts;
    type SerializeMap = Parts;
    type SerializeStruct = Parts;
    type SerializeStructVariant = Parts;

    scalars! {
        serialize_bool: bool, value => value;
        serialize_i8: i8, value => value;
        serialize_i16: i16, value => value;
        serialize_i32: i32, value => value;
        serialize_i64: i64, value => value;
        serialize_i128: i128, value => value;
        serialize_u8: u8, value => value;
        serialize_u16: u16, value => value;
        serialize_u32: u32, value => value;
        serialize_u64: u64, value => value;
        serialize_u128: u128, value => value;
        serialize_f32: f32, value => value.to_bits();
        serialize_f64: f64, value => value.to_bits();
        serialize_char: char, value => value;
        serialize_str: &str, value => value;
        serialize_bytes: &[u8], value => value;
    }

    fn serialize_none(self) -> Result<u64> {
        Ok(number(&Form::None))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<u64> {
        Ok(number(&(Form::Some, value.serialize(self)?)))
    }

    fn serialize_unit(self) -> Result<u64> {
        Ok(number(&Form::Unit))
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<u64> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, index: u32, _: &'static str) -> Result<u64> {
        Ok(number(&(Form::Variant, index)))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<u64> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        value: &T,
    ) -> Result<u64> {
        Ok(number(&(Form::Variant, index, value.serialize(self)?)))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Parts> {
        Ok(self.parts(Form::Sequence, 0, false))
    }

    fn serialize_tuple(self, _: usize) -> Result<Parts> {
        Ok(self.parts(Form::Tuple, 0, true))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Parts> {
        Ok(self.parts(Form::Tuple, 0, true))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Parts> {
        Ok(self.parts(Form::Variant, index, true))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Parts> {
        Ok(self.parts(Form::Map, 0, false))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Parts> {
        Ok(self.parts(Form::Struct, 0, true))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Parts> {
        Ok(self.parts(Form::Variant, index, true))
    }

    fn is_human_readable(&self) -> bool {
        self.is_human_readable
    }
}

macro_rules! parts {
    ($($trait:ident: $method:ident($($name:ident)?) $put:expr;)*) => {$(
        impl $trait for Parts {
            type Ok = u64;
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(
                &mut self,
                $($name: &'static str,)?
                value: &T,
            ) -> Result<()> {
                $put(self, $($name,)? value)
            }

            fn end(self) -> Result<u64> {
                Ok(self.number)
            }
        }
    )*};
}

parts! {
    SerializeSeq: serialize_element() Parts::put_element;
    SerializeTuple: serialize_element() Parts::put_element;
    SerializeTupleStruct: serialize_field() Parts::put_element;
    SerializeTupleVariant: serialize_field() Parts::put_element;
    SerializeStruct: serialize_field(name) Parts::put_field;
    SerializeStructVariant: serialize_field(name) Parts::put_field;
}

impl SerializeMap for Parts {
    type Ok = u64;
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        self.key = key.serialize(self.likeness)?;
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        let entry = number(&(self.key, value.serialize(self.likeness)?));
        self.number = self.number.wrapping_add(entry);
        Ok(())
    }

    fn end(self) -> Result<u64> {
        Ok(self.number)
    }
}
