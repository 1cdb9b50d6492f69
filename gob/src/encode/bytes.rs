//! Byte strings that come as a sequence of integers, as a `Vec<u8>` does.
//!
//! An element is not written but asked for its byte. So the bytes of a `Vec<u8>` are copied as one
//! piece once this is compiled, for nothing is left between one and the next.

use serde::Serialize;
use serde::ser::{Impossible, Serializer};

use crate::error::{Error, Result, Step};

/// Appends the bytes that the elements are, and says how many they are.
///
/// # Errors
///
/// `Mismatch` if one is not a byte. Those behind it are not asked, and what has been appended is of
/// no use.
#[inline]
pub(super) fn collect<I>(elements: I, out: &mut Vec<u8>) -> Result<usize>
where
    I: Iterator,
    I::Item: Serialize,
{
    let (before, mut failed) = (out.len(), None);
    // To leave them out would take the bytes apart.
    out.extend(elements.enumerate().map(|(index, element)| {
        if failed.is_some() {
            return 0;
        }
        byte(&element).unwrap_or_else(|error| {
            failed = Some((index, error));
            0
        })
    }));
    match failed {
        None => Ok(out.len().saturating_sub(before)),
        Some((index, error)) => Err(error.inside(Step::Index(index))),
    }
}

/// The byte that an element is.
///
/// # Errors
///
/// `Mismatch` if it is something else.
#[inline]
pub(super) fn byte<T: Serialize + ?Sized>(element: &T) -> Result<u8> {
    element.serialize(ByteOf)
}

/// Gives back the integer that it is called with.
struct ByteOf;

macro_rules! narrowed {
    ($($serialize:ident $wide:ident,)*) => {$(
        #[inline]
        fn $serialize(self, value: $wide) -> Result<u8> {
            u8::try_from(value).map_err(|_| refused("over 255"))
        }
    )*};
}

macro_rules! refused {
    ($($serialize:ident($($of:ty),*) -> $made:ty = $received:literal,)*) => {$(
        fn $serialize(self, $(_: $of),*) -> Result<$made> {
            Err(refused($received))
        }
    )*};
}

type Never = Impossible<u8, Error>;

impl Serializer for ByteOf {
    type Ok = u8;
    type Error = Error;
    type SerializeSeq = Never;
    type SerializeTuple = Never;
    type SerializeTupleStruct = Never;
    type SerializeTupleVariant = Never;
    type SerializeMap = Never;
    type SerializeStruct = Never;
    type SerializeStructVariant = Never;

    fn is_human_readable(&self) -> bool {
        false
    }

    #[inline]
    fn serialize_u8(self, value: u8) -> Result<u8> {
        Ok(value)
    }

    narrowed! {
        serialize_u16 u16,
        serialize_u32 u32,
        serialize_u64 u64,
    }

    refused! {
        serialize_bool(bool) -> u8 = "a bool",
        serialize_i8(i8) -> u8 = "a signed integer",
        serialize_i16(i16) -> u8 = "a signed integer",
        serialize_i32(i32) -> u8 = "a signed integer",
        serialize_i64(i64) -> u8 = "a signed integer",
        serialize_i128(i128) -> u8 = "an integer of 128 bits",
        serialize_u128(u128) -> u8 = "an integer of 128 bits",
        serialize_f32(f32) -> u8 = "a float",
        serialize_f64(f64) -> u8 = "a float",
        serialize_char(char) -> u8 = "a signed integer",
        serialize_str(&str) -> u8 = "a string",
        serialize_bytes(&[u8]) -> u8 = "bytes",
        serialize_none() -> u8 = "None",
        serialize_unit() -> u8 = "()",
        serialize_unit_struct(&'static str) -> u8 = "a unit struct",
        serialize_unit_variant(&'static str, u32, &'static str) -> u8 = "a string",
        serialize_seq(Option<usize>) -> Never = "a sequence",
        serialize_tuple(usize) -> Never = "a tuple",
        serialize_tuple_struct(&'static str, usize) -> Never = "a tuple",
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Never =
            "an enum's variant with content",
        serialize_map(Option<usize>) -> Never = "a map",
        serialize_struct(&'static str, usize) -> Never = "a struct",
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Never =
            "an enum's variant with content",
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<u8> {
        value.serialize(self)
    }

    #[inline]
    fn serialize_newtype_struct<T>(self, _: &'static str, value: &T) -> Result<u8>
    where
        T: Serialize + ?Sized,
    {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<u8>
    where
        T: Serialize + ?Sized,
    {
        Err(refused("an enum's variant with content"))
    }
}

#[cold]
fn refused(received: &str) -> Error {
    let text = format_args!("the schema says bytes, an element is {received}");
    Error::schema_mismatch(text)
}
