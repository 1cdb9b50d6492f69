//! The serde side of encoding: a serializer around any other that follows how deep it has come.
//!
//! It changes nothing of what is written, and it knows no format: names, lengths and forms go
//! through as they are, so whatever a format does by name, as `serde_json` does with raw values
//! and numbers of any precision, it goes on doing.
//!
//! Values to be encoded are our own side's, but a peer may have had a say in how deep they are, and
//! a stack that overflows takes the process along. So levels are counted as in decoding, and there
//! may be as many, `depth_max`.
//!
//! Where a type can come back to itself, the guard looks whether the stack has room for what
//! follows, which is written on a new one if not: at each some and newtype variant, and once for
//! all parts of a sequence, a map or a variant, since they begin at the same place. The fields of
//! structs and tuples are looked at in every eighth level: by them a type comes back to itself only
//! if it is a tagged or untagged enum, which is written as a struct. Unlike in decoding, values are
//! handed on by reference, so what a level takes does not depend on the size of its type.

use std::cell::Cell;
use std::error::Error as StdError;
use std::fmt::Display;

use serde::ser::{
    Error as _, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::stack;
use crate::error::{Code, Error, Result};
use crate::limits::Limits;

/// Has `encode` write `value` with an eye on its depth.
///
/// # Errors
///
/// `too_large` if it is too deep, else `bad_payload`, with what `encode` reports as the source.
#[inline]
pub(super) fn encode<T: ?Sized, R, E>(
    format_name: &'static str,
    limits: &Limits,
    value: &T,
    encode: impl FnOnce(&Guarded<'_, T>) -> Result<R, E>,
) -> Result<R>
where
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    let depth_max = limits.depth_max.min(Limits::DEPTH_MOST);
    let depth = Depth { left: Cell::new(depth_max), is_passed: Cell::new(false) };
    let encoded = encode(&Guarded { value, depth: &depth, has_room: true });
    encoded.map_err(|cause| match depth.is_passed.get() {
        true => too_deep(depth_max, cause.into()),
        false => no_payload(format_name, cause.into()),
    })
}

#[cold]
fn no_payload(format_name: &'static str, cause: Box<dyn StdError + Send + Sync>) -> Error {
    let text = format!("the value has no form in {format_name}");
    Error::found(Code::BadPayload, text).with_source(cause)
}

#[cold]
fn too_deep(depth_max: usize, cause: Box<dyn StdError + Send + Sync>) -> Error {
    let levels = depth_max.saturating_add(1);
    let text = format!("nesting of {levels} levels is over depth_max ({depth_max})");
    Error::found(Code::TooLarge, text).with_source(cause)
}

/// Levels that may still be gone into.
struct Depth {
    left: Cell<usize>,
    is_passed: Cell<bool>,
}

impl Depth {
    #[inline]
    fn enter<E: serde::ser::Error>(&self) -> Result<(), E> {
        match self.left.get().checked_sub(1) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(self.pass()),
        }
    }

    #[inline]
    fn leave(&self) {
        self.left.set(self.left.get().wrapping_add(1));
    }

    /// Whether there is room for what may come back to its own type.
    #[inline]
    fn has_room(&self) -> bool {
        stack::has_room_to_encode()
    }

    /// Whether there is room for what is a part of a struct or a tuple.
    #[inline]
    fn has_room_for_fields(&self) -> bool {
        !self.left.get().is_multiple_of(LEVELS_UNSEEN) || self.has_room()
    }

    /// Runs `step` one level further in.
    #[inline]
    fn within<R, E: serde::ser::Error>(&self, step: impl FnOnce() -> Result<R, E>) -> Result<R, E> {
        self.enter()?;
        let written = step();
        self.leave();
        written
    }

    #[cold]
    fn pass<E: serde::ser::Error>(&self) -> E {
        self.is_passed.set(true);
        E::custom("too many levels")
    }
}

/// A value that is written with an eye on its depth, and on a new stack if there is no room.
pub(super) struct Guarded<'v, T: ?Sized> {
    value: &'v T,
    depth: &'v Depth,
    has_room: bool,
}

impl<T: Serialize + ?Sized> Serialize for Guarded<'_, T> {
    #[inline]
    fn serialize<S: Serializer>(&self, inner: S) -> Result<S::Ok, S::Error> {
        let Self { value, depth, has_room } = *self;
        let guard = Guard { inner, depth };
        if !has_room {
            let written = stack::grow_to_encode(|| value.serialize(guard));
            return written.unwrap_or_else(|| Err(S::Error::custom(stack::UNUSED)));
        }
        value.serialize(guard)
    }
}

/// The same with a value of its own.
struct Element<'d, T> {
    value: T,
    depth: &'d Depth,
    has_room: bool,
}

impl<T: Serialize> Serialize for Element<'_, T> {
    #[inline]
    fn serialize<S: Serializer>(&self, inner: S) -> Result<S::Ok, S::Error> {
        let Self { ref value, depth, has_room } = *self;
        Guarded { value, depth, has_room }.serialize(inner)
    }
}

/// A serializer with an eye on the depth.
struct Guard<'d, S> {
    inner: S,
    depth: &'d Depth,
}

/// What a serializer hands out for the parts of a value, with an eye on the depth.
struct Parts<'d, C> {
    inner: C,
    depth: &'d Depth,
    has_room: bool,
}

macro_rules! forward_plain {
    ($($method:ident($($argument:ident: $type:ty),*))*) => {$(
        #[inline]
        fn $method(self, $($argument: $type),*) -> Result<S::Ok, S::Error> {
            self.inner.$method($($argument),*)
        }
    )*};
}

macro_rules! forward_parts {
    ($has_room:ident: $($method:ident($($argument:ident: $type:ty),*) -> $parts:ident)*) => {$(
        #[inline]
        fn $method(self, $($argument: $type),*) -> Result<Self::$parts, S::Error> {
            let depth = self.depth;
            depth.enter()?;
            let inner = self.inner.$method($($argument),*)?;
            Ok(Parts { inner, depth, has_room: depth.$has_room() })
        }
    )*};
}

impl<'d, S: Serializer> Serializer for Guard<'d, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Parts<'d, S::SerializeSeq>;
    type SerializeTuple = Parts<'d, S::SerializeTuple>;
    type SerializeTupleStruct = Parts<'d, S::SerializeTupleStruct>;
    type SerializeTupleVariant = Parts<'d, S::SerializeTupleVariant>;
    type SerializeMap = Parts<'d, S::SerializeMap>;
    type SerializeStruct = Parts<'d, S::SerializeStruct>;
    type SerializeStructVariant = Parts<'d, S::SerializeStructVariant>;

    forward_plain! {
        serialize_bool(value: bool)
        serialize_i8(value: i8)
        serialize_i16(value: i16)
        serialize_i32(value: i32)
        serialize_i64(value: i64)
        serialize_i128(value: i128)
        serialize_u8(value: u8)
        serialize_u16(value: u16)
        serialize_u32(value: u32)
        serialize_u64(value: u64)
        serialize_u128(value: u128)
        serialize_f32(value: f32)
        serialize_f64(value: f64)
        serialize_char(value: char)
        serialize_str(value: &str)
        serialize_bytes(value: &[u8])
        serialize_none()
        serialize_unit()
        serialize_unit_struct(name: &'static str)
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str)
    }

    forward_parts! { has_room_for_fields:
        serialize_tuple(len: usize) -> SerializeTuple
        serialize_tuple_struct(name: &'static str, len: usize) -> SerializeTupleStruct
        serialize_struct(name: &'static str, len: usize) -> SerializeStruct
    }

    forward_parts! { has_room:
        serialize_seq(len: Option<usize>) -> SerializeSeq
        serialize_map(len: Option<usize>) -> SerializeMap
        serialize_tuple_variant(
            name: &'static str,
            index: u32,
            variant: &'static str,
            len: usize
        ) -> SerializeTupleVariant
        serialize_struct_variant(
            name: &'static str,
            index: u32,
            variant: &'static str,
            len: usize
        ) -> SerializeStructVariant
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        let Self { inner, depth } = self;
        let guarded = Guarded { value, depth, has_room: depth.has_room() };
        depth.within(|| inner.serialize_some(&guarded))
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let Self { inner, depth } = self;
        let guarded = Guarded { value, depth, has_room: depth.has_room_for_fields() };
        depth.within(|| inner.serialize_newtype_struct(name, &guarded))
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let Self { inner, depth } = self;
        let guarded = Guarded { value, depth, has_room: depth.has_room() };
        depth.within(|| inner.serialize_newtype_variant(name, index, variant, &guarded))
    }

    // A format may have a quick way to write bytes, which are a sequence to serde.
    #[inline]
    fn collect_seq<I>(self, values: I) -> Result<S::Ok, S::Error>
    where
        I: IntoIterator,
        I::Item: Serialize,
    {
        let Self { inner, depth } = self;
        depth.within(|| {
            let has_room = depth.has_room();
            inner.collect_seq(values.into_iter().map(|value| Element { value, depth, has_room }))
        })
    }

    #[inline]
    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.collect_str(value)
    }

    #[inline]
    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

impl<'d, C> Parts<'d, C> {
    #[inline]
    fn guard<'v, T: ?Sized>(&self, value: &'v T) -> Guarded<'v, T>
    where
        'd: 'v,
    {
        Guarded { value, depth: self.depth, has_room: self.has_room }
    }
}

/// Each part is written with an eye on the depth, and the level ends with them.
macro_rules! forward_values {
    ($($trait:ident: $method:ident)*) => {$(
        impl<C: $trait> $trait for Parts<'_, C> {
            type Ok = C::Ok;
            type Error = C::Error;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
                let guarded = self.guard(value);
                self.inner.$method(&guarded)
            }

            #[inline]
            fn end(self) -> Result<C::Ok, C::Error> {
                self.depth.leave();
                self.inner.end()
            }
        }
    )*};
}

forward_values! {
    SerializeSeq: serialize_element
    SerializeTuple: serialize_element
    SerializeTupleStruct: serialize_field
    SerializeTupleVariant: serialize_field
}

macro_rules! forward_named_values {
    ($($trait:ident)*) => {$(
        impl<C: $trait> $trait for Parts<'_, C> {
            type Ok = C::Ok;
            type Error = C::Error;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), C::Error> {
                let guarded = self.guard(value);
                self.inner.serialize_field(name, &guarded)
            }

            #[inline]
            fn skip_field(&mut self, name: &'static str) -> Result<(), C::Error> {
                self.inner.skip_field(name)
            }

            #[inline]
            fn end(self) -> Result<C::Ok, C::Error> {
                self.depth.leave();
                self.inner.end()
            }
        }
    )*};
}

forward_named_values! { SerializeStruct SerializeStructVariant }

impl<C: SerializeMap> SerializeMap for Parts<'_, C> {
    type Ok = C::Ok;
    type Error = C::Error;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), C::Error> {
        let guarded = self.guard(key);
        self.inner.serialize_key(&guarded)
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        let guarded = self.guard(value);
        self.inner.serialize_value(&guarded)
    }

    #[inline]
    fn serialize_entry<K: Serialize + ?Sized, V: Serialize + ?Sized>(
        &mut self,
        key: &K,
        value: &V,
    ) -> Result<(), C::Error> {
        let (key, value) = (self.guard(key), self.guard(value));
        self.inner.serialize_entry(&key, &value)
    }

    #[inline]
    fn end(self) -> Result<C::Ok, C::Error> {
        self.depth.leave();
        self.inner.end()
    }
}

/// One in so many levels of structs and tuples is looked at.
const LEVELS_UNSEEN: usize = 8;
