//! The serializer around any other, and the ones that it hands out for the parts of a value.
//!
//! Names, lengths and forms go through as they are. What is looked at is told in `encoding`; what
//! depends on the format is a constant of its [`Habits`], so that others pay nothing for it.

use std::fmt::Display;
use std::marker::PhantomData;

use serde::ser::{
    Error as _, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::state::{Flaw, Habits, State};
use crate::format::stack;

/// A value that is written under the guard, and on a new stack if there is no room.
pub(in crate::format) struct Guarded<'v, T: ?Sized, H> {
    value: &'v T,
    state: &'v State,
    has_room: bool,
    habits: PhantomData<H>,
}

impl<'v, T: ?Sized, H: Habits> Guarded<'v, T, H> {
    /// A whole value.
    #[inline]
    pub(super) fn new(value: &'v T, state: &'v State) -> Self {
        Self::part(value, state, true)
    }

    #[inline]
    fn part(value: &'v T, state: &'v State, has_room: bool) -> Self {
        Self { value, state, has_room, habits: PhantomData }
    }
}

impl<T: Serialize + ?Sized, H: Habits> Serialize for Guarded<'_, T, H> {
    #[inline]
    fn serialize<S: Serializer>(&self, inner: S) -> Result<S::Ok, S::Error> {
        let Self { value, state, has_room, .. } = *self;
        let guard = Guard::<_, H> { inner, state, habits: PhantomData };
        if !has_room {
            let written = stack::grow_to_encode(|| value.serialize(guard));
            return written.unwrap_or_else(|| Err(S::Error::custom(stack::UNUSED)));
        }
        value.serialize(guard)
    }
}

/// The same with a value of its own.
struct Element<'d, T, H> {
    value: T,
    state: &'d State,
    has_room: bool,
    habits: PhantomData<H>,
}

impl<T: Serialize, H: Habits> Serialize for Element<'_, T, H> {
    #[inline]
    fn serialize<S: Serializer>(&self, inner: S) -> Result<S::Ok, S::Error> {
        Guarded::<_, H>::part(&self.value, self.state, self.has_room).serialize(inner)
    }
}

/// A serializer under the guard.
struct Guard<'d, S, H> {
    inner: S,
    state: &'d State,
    habits: PhantomData<H>,
}

macro_rules! forward_scalars {
    ($($method:ident($($argument:ident: $type:ty),*))*) => {$(
        #[inline]
        fn $method(self, $($argument: $type),*) -> Result<S::Ok, S::Error> {
            self.inner.$method($($argument),*)
        }
    )*};
}

/// What is not finite has no form as text.
macro_rules! forward_floats {
    ($($method:ident: $type:ty)*) => {$(
        #[inline]
        fn $method(self, value: $type) -> Result<S::Ok, S::Error> {
            if H::IS_TEXT && !value.is_finite() {
                return Err(self.state.refuse(Flaw::NotFinite));
            }
            self.inner.$method(value)
        }
    )*};
}

/// In text, what is written as nothing is read as an option that has nothing, and who reads
/// integers of 128 bits without asking for them makes something else of them.
macro_rules! forward_doubtful {
    ($state:ident: $($method:ident($($argument:ident: $type:ty),*) if $is_doubtful:expr;)*) => {$(
        #[inline]
        fn $method(self, $($argument: $type),*) -> Result<S::Ok, S::Error> {
            let $state = self.state;
            if H::IS_TEXT && $is_doubtful {
                $state.doubt();
            }
            self.inner.$method($($argument),*)
        }
    )*};
}

macro_rules! forward_parts {
    ($parts:ident, $has_room:ident:
        $($method:ident($($argument:ident: $type:ty),*) -> $associated:ident)*
    ) => {$(
        #[inline]
        fn $method(self, $($argument: $type),*) -> Result<Self::$associated, S::Error> {
            let state = self.state;
            state.enter()?;
            let inner = self.inner.$method($($argument),*)?;
            Ok($parts::new(inner, state, state.$has_room()))
        }
    )*};
}

/// Sequences and maps have as many elements as they announce.
macro_rules! forward_counted {
    ($($method:ident -> $associated:ident)*) => {$(
        #[inline]
        fn $method(self, len: Option<usize>) -> Result<Self::$associated, S::Error> {
            let state = self.state;
            if H::IS_POSITIONAL && len.is_none() {
                return Err(state.refuse(Flaw::NoLength));
            }
            state.enter()?;
            let inner = self.inner.$method(len)?;
            Ok(Counted::new(inner, state, len.unwrap_or_default()))
        }
    )*};
}

impl<'d, S: Serializer, H: Habits> Serializer for Guard<'d, S, H> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Counted<'d, S::SerializeSeq, H>;
    type SerializeTuple = Parts<'d, S::SerializeTuple, H>;
    type SerializeTupleStruct = Parts<'d, S::SerializeTupleStruct, H>;
    type SerializeTupleVariant = Parts<'d, S::SerializeTupleVariant, H>;
    type SerializeMap = Counted<'d, S::SerializeMap, H>;
    type SerializeStruct = Fields<'d, S::SerializeStruct, H>;
    type SerializeStructVariant = Fields<'d, S::SerializeStructVariant, H>;

    forward_scalars! {
        serialize_bool(value: bool)
        serialize_i8(value: i8)
        serialize_i16(value: i16)
        serialize_i32(value: i32)
        serialize_i64(value: i64)
        serialize_u8(value: u8)
        serialize_u16(value: u16)
        serialize_u32(value: u32)
        serialize_u64(value: u64)
        serialize_char(value: char)
        serialize_str(value: &str)
        serialize_bytes(value: &[u8])
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str)
    }

    forward_floats! {
        serialize_f32: f32
        serialize_f64: f64
    }

    forward_doubtful! { state:
        serialize_i128(value: i128) if true;
        serialize_u128(value: u128) if true;
        serialize_none() if state.is_in_some();
        serialize_unit() if state.is_in_some();
        serialize_unit_struct(name: &'static str) if state.is_in_some();
    }

    forward_counted! {
        serialize_seq -> SerializeSeq
        serialize_map -> SerializeMap
    }

    forward_parts! { Parts, has_room_for_fields:
        serialize_tuple(len: usize) -> SerializeTuple
        serialize_tuple_struct(name: &'static str, len: usize) -> SerializeTupleStruct
    }

    forward_parts! { Parts, has_room:
        serialize_tuple_variant(
            name: &'static str,
            index: u32,
            variant: &'static str,
            len: usize
        ) -> SerializeTupleVariant
    }

    #[inline]
    fn serialize_struct(
        self,
        of: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStruct, S::Error> {
        let state = self.state;
        state.enter()?;
        let inner = self.inner.serialize_struct(of, len)?;
        let parts = Parts::new(inner, state, state.has_room_for_fields());
        Ok(Fields { parts, of, variant: "" })
    }

    #[inline]
    fn serialize_struct_variant(
        self,
        of: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        let state = self.state;
        state.enter()?;
        let inner = self.inner.serialize_struct_variant(of, index, variant, len)?;
        Ok(Fields { parts: Parts::new(inner, state, state.has_room()), of, variant })
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        let Self { inner, state, .. } = self;
        let guarded = Guarded::<_, H>::part(value, state, state.has_room());
        state.within(|| {
            if H::IS_TEXT {
                return state.within_some(|| inner.serialize_some(&guarded));
            }
            inner.serialize_some(&guarded)
        })
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let Self { inner, state, .. } = self;
        let guarded = Guarded::<_, H>::part(value, state, state.has_room_for_fields());
        // It is written as what is in it.
        let is_in_some = H::IS_TEXT && state.is_in_some();
        state.within(|| {
            if is_in_some {
                return state.within_some(|| inner.serialize_newtype_struct(name, &guarded));
            }
            inner.serialize_newtype_struct(name, &guarded)
        })
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let Self { inner, state, .. } = self;
        let guarded = Guarded::<_, H>::part(value, state, state.has_room());
        state.within(|| inner.serialize_newtype_variant(name, index, variant, &guarded))
    }

    // A format may have a quick way to write bytes, which are a sequence to serde.
    #[inline]
    fn collect_seq<I>(self, values: I) -> Result<S::Ok, S::Error>
    where
        I: IntoIterator,
        I::Item: Serialize,
    {
        let Self { inner, state, habits } = self;
        state.within(|| {
            let has_room = state.has_room();
            let guarded = |value| Element { value, state, has_room, habits };
            inner.collect_seq(values.into_iter().map(guarded))
        })
    }

    /// Of an iterator, which is trusted to have as many entries as it says.
    #[inline]
    fn collect_map<K, V, I>(self, entries: I) -> Result<S::Ok, S::Error>
    where
        K: Serialize,
        V: Serialize,
        I: IntoIterator<Item = (K, V)>,
    {
        let entries = entries.into_iter();
        let len = match entries.size_hint() {
            (least, Some(most)) if least == most => Some(least),
            _ => None,
        };
        let Counted { mut parts, .. } = self.serialize_map(len)?;
        for (key, value) in entries {
            let (key, value) = (parts.guard(&key), parts.guard(&value));
            parts.inner.serialize_entry(&key, &value)?;
        }
        parts.state.leave();
        parts.inner.end()
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

/// What a serializer hands out for the parts of a value, under the guard.
struct Parts<'d, C, H> {
    inner: C,
    state: &'d State,
    has_room: bool,
    habits: PhantomData<H>,
}

impl<'d, C, H: Habits> Parts<'d, C, H> {
    #[inline]
    fn new(inner: C, state: &'d State, has_room: bool) -> Self {
        Self { inner, state, has_room, habits: PhantomData }
    }

    #[inline]
    fn guard<'v, T: ?Sized>(&self, value: &'v T) -> Guarded<'v, T, H>
    where
        'd: 'v,
    {
        Guarded::part(value, self.state, self.has_room)
    }
}

/// Each part is written under the guard, and the level ends with them.
macro_rules! forward_elements {
    ($($trait:ident: $method:ident)*) => {$(
        impl<C: $trait, H: Habits> $trait for Parts<'_, C, H> {
            type Ok = C::Ok;
            type Error = C::Error;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
                let guarded = self.guard(value);
                self.inner.$method(&guarded)
            }

            #[inline]
            fn end(self) -> Result<C::Ok, C::Error> {
                self.state.leave();
                self.inner.end()
            }
        }
    )*};
}

forward_elements! {
    SerializeTuple: serialize_element
    SerializeTupleStruct: serialize_field
    SerializeTupleVariant: serialize_field
}

/// The same for fields, of what they call themselves.
struct Fields<'d, C, H> {
    parts: Parts<'d, C, H>,
    of: &'static str,
    variant: &'static str,
}

macro_rules! forward_fields {
    ($($trait:ident)*) => {$(
        impl<C: $trait, H: Habits> $trait for Fields<'_, C, H> {
            type Ok = C::Ok;
            type Error = C::Error;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), C::Error> {
                let guarded = self.parts.guard(value);
                self.parts.inner.serialize_field(name, &guarded)
            }

            #[inline]
            fn skip_field(&mut self, name: &'static str) -> Result<(), C::Error> {
                if H::IS_POSITIONAL {
                    let Self { parts, of, variant } = self;
                    let (of, variant, field) = (*of, *variant, name);
                    return Err(parts.state.refuse(Flaw::Skipped { of, variant, field }));
                }
                self.parts.inner.skip_field(name)
            }

            #[inline]
            fn end(self) -> Result<C::Ok, C::Error> {
                self.parts.state.leave();
                self.parts.inner.end()
            }
        }
    )*};
}

forward_fields! { SerializeStruct SerializeStructVariant }

/// The same for elements of which a number was announced.
struct Counted<'d, C, H> {
    parts: Parts<'d, C, H>,
    announced: usize,
    left: usize,
}

impl<'d, C, H: Habits> Counted<'d, C, H> {
    #[inline]
    fn new(inner: C, state: &'d State, announced: usize) -> Self {
        let parts = Parts::new(inner, state, state.has_room());
        Self { parts, announced, left: announced }
    }

    /// Takes one of those that were announced. Whether there are more is seen at the end.
    #[inline]
    fn count(&mut self) {
        if H::IS_POSITIONAL {
            self.left = self.left.wrapping_sub(1);
        }
    }

    #[inline]
    fn finish<E: serde::ser::Error>(&self) -> Result<(), E> {
        self.parts.state.leave();
        if H::IS_POSITIONAL && self.left != 0 {
            return Err(self.other_length());
        }
        Ok(())
    }

    #[cold]
    fn other_length<E: serde::ser::Error>(&self) -> E {
        self.parts.state.refuse(Flaw::OtherLength { announced: self.announced })
    }
}

impl<C: SerializeSeq, H: Habits> SerializeSeq for Counted<'_, C, H> {
    type Ok = C::Ok;
    type Error = C::Error;

    #[inline]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        self.count();
        let guarded = self.parts.guard(value);
        self.parts.inner.serialize_element(&guarded)
    }

    #[inline]
    fn end(self) -> Result<C::Ok, C::Error> {
        self.finish()?;
        self.parts.inner.end()
    }
}

impl<C: SerializeMap, H: Habits> SerializeMap for Counted<'_, C, H> {
    type Ok = C::Ok;
    type Error = C::Error;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), C::Error> {
        self.count();
        let guarded = self.parts.guard(key);
        self.parts.inner.serialize_key(&guarded)
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        let guarded = self.parts.guard(value);
        self.parts.inner.serialize_value(&guarded)
    }

    #[inline]
    fn serialize_entry<K: Serialize + ?Sized, V: Serialize + ?Sized>(
        &mut self,
        key: &K,
        value: &V,
    ) -> Result<(), C::Error> {
        self.count();
        let (key, value) = (self.parts.guard(key), self.parts.guard(value));
        self.parts.inner.serialize_entry(&key, &value)
    }

    #[inline]
    fn end(self) -> Result<C::Ok, C::Error> {
        self.finish()?;
        self.parts.inner.end()
    }
}
