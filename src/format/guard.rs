//! The serde side of a [`Budget`]: a deserializer around any other that charges for what it makes.
//!
//! It changes nothing about the values, and it knows no format. It is not the policy: what is
//! allowed and how a refusal reads is in `budget`.
//!
//! Serde decodes in a dance: a type calls its deserializer with a visitor, which is called back
//! with another deserializer, or with an access that hands out further ones. Whoever wants to see
//! every value has to wrap each of these as they are passed on, so the file has one wrapper for
//! each part: [`Guard`] (deserializer), [`Watch`] (visitor), [`Access`] (sequences and maps),
//! [`Choice`] (enums), and [`Seed`] for what an access is asked for.
//!
//! What is charged, and when:
//!
//! - **Depth** goes down by one where a visitor is about to look inside: some, newtype, sequence,
//!   map, enum, and the content of a variant. It is carried by value, so nothing has to be undone.
//! - **Stack** is checked at the same places; where it runs short, the rest runs on a new piece.
//! - **Elements**: each element of a sequence and each key of a map, when the format says that there
//!   is one and before it is made. Not fields: a struct or tuple has as many as its type says.
//! - **Memory**: every value is charged with its size once. [`Place::bytes_paid`] says how much of
//!   that the surroundings have paid for, as a field lies within its struct; only what lies beyond,
//!   behind a `Box` for instance, is charged anew.
//!
//! All this is plain generic code with constants in it, and most of it vanishes in an optimised
//! build: `benches/decode.rs` compares it with the bare format.

use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::budget::{Budget, Passed};

/// A deserializer within a budget.
pub(super) struct Guard<'b, D> {
    inner: D,
    place: Place<'b>,
}

impl<'b, D> Guard<'b, D> {
    #[inline]
    pub(super) fn new(inner: D, budget: &'b Budget, depth_left: usize) -> Self {
        Self { inner, place: Place { budget, depth_left, bytes_paid: 0 } }
    }
}

/// Where a value is about to be made.
#[derive(Clone, Copy)]
struct Place<'b> {
    budget: &'b Budget,
    depth_left: usize,
    /// Bytes of the value that were charged with what it lies in.
    bytes_paid: usize,
}

impl Place<'_> {
    /// Pays for a value of type `T` that goes here.
    #[inline]
    fn pay<T, E: Error>(self) -> Result<Self, E> {
        let bytes = size_of::<T>();
        if let Some(owed @ 1..) = bytes.checked_sub(self.bytes_paid)
            && let Err(passed) = self.budget.charge_memory(owed)
        {
            return Err(self.refuse(passed));
        }
        Ok(Self { bytes_paid: bytes, ..self })
    }

    /// One level further in.
    #[inline]
    fn descend<E: Error>(self) -> Result<Self, E> {
        match self.depth_left.checked_sub(1) {
            Some(depth_left) => Ok(Self { depth_left, ..self }),
            None => Err(self.refuse(self.budget.pass(Passed::Depth))),
        }
    }

    #[cold]
    fn refuse<E: Error>(self, passed: Passed) -> E {
        E::custom(self.budget.text(passed))
    }
}

/// Calls the inner deserializer with a watched visitor, with nothing to pay: for values that have
/// nothing inside, and whose size is a few words.
macro_rules! forward_plain {
    ($($method:ident to $inner_method:ident)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            let watch = Watch { inner: visitor, place: self.place, room: None };
            self.inner.$inner_method(watch)
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Guard<'_, D> {
    type Error = D::Error;

    forward_plain! {
        deserialize_bool to deserialize_bool
        deserialize_i8 to deserialize_i8
        deserialize_i16 to deserialize_i16
        deserialize_i32 to deserialize_i32
        deserialize_i64 to deserialize_i64
        deserialize_i128 to deserialize_i128
        deserialize_u8 to deserialize_u8
        deserialize_u16 to deserialize_u16
        deserialize_u32 to deserialize_u32
        deserialize_u64 to deserialize_u64
        deserialize_u128 to deserialize_u128
        deserialize_f32 to deserialize_f32
        deserialize_f64 to deserialize_f64
        deserialize_char to deserialize_char
        deserialize_str to deserialize_str
        deserialize_string to deserialize_str
        deserialize_bytes to deserialize_bytes
        deserialize_byte_buf to deserialize_bytes
        deserialize_unit to deserialize_unit
        deserialize_identifier to deserialize_identifier
        deserialize_ignored_any to deserialize_ignored_any
    }

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let place = self.place.pay::<V::Value, _>()?;
        self.inner.deserialize_any(Watch { inner: visitor, place, room: None })
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let place = self.place.pay::<V::Value, _>()?;
        self.inner.deserialize_option(Watch { inner: visitor, place, room: None })
    }

    #[inline]
    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let place = self.place.pay::<V::Value, _>()?;
        self.inner.deserialize_unit_struct(name, Watch { inner: visitor, place, room: None })
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let place = self.place.pay::<V::Value, _>()?;
        self.inner.deserialize_newtype_struct(name, Watch { inner: visitor, place, room: None })
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let place = self.place.pay::<V::Value, _>()?;
        self.inner.deserialize_seq(Watch { inner: visitor, place, room: None })
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let place = self.place.pay::<V::Value, _>()?;
        let watch = Watch { inner: visitor, place, room: Some(place.bytes_paid) };
        self.inner.deserialize_tuple(len, watch)
    }

    #[inline]
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let place = self.place.pay::<V::Value, _>()?;
        let watch = Watch { inner: visitor, place, room: Some(place.bytes_paid) };
        self.inner.deserialize_tuple_struct(name, len, watch)
    }

    #[inline]
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let place = self.place.pay::<V::Value, _>()?;
        self.inner.deserialize_map(Watch { inner: visitor, place, room: None })
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let place = self.place.pay::<V::Value, _>()?;
        let watch = Watch { inner: visitor, place, room: Some(place.bytes_paid) };
        self.inner.deserialize_struct(name, fields, watch)
    }

    #[inline]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let place = self.place.pay::<V::Value, _>()?;
        self.inner.deserialize_enum(name, variants, Watch { inner: visitor, place, room: None })
    }

    #[inline]
    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

/// A visitor within a budget.
struct Watch<'b, V> {
    inner: V,
    place: Place<'b>,
    /// For a struct or a tuple the bytes in which its fields lie; `None` if what is inside has to
    /// be counted and paid for.
    room: Option<usize>,
}

macro_rules! visit_plain {
    ($($method:ident: $type:ty)*) => {$(
        #[inline]
        fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.inner.$method(value)
        }
    )*};
}

macro_rules! visit_content {
    ($($method:ident: $type:ty)*) => {$(
        #[inline]
        fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.place.budget.note_content(value.len());
            self.inner.$method(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Watch<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    visit_plain! {
        visit_bool: bool
        visit_i8: i8
        visit_i16: i16
        visit_i32: i32
        visit_i64: i64
        visit_i128: i128
        visit_u8: u8
        visit_u16: u16
        visit_u32: u32
        visit_u64: u64
        visit_u128: u128
        visit_f32: f32
        visit_f64: f64
        visit_char: char
    }

    visit_content! {
        visit_str: &str
        visit_borrowed_str: &'de str
        visit_string: String
        visit_bytes: &[u8]
        visit_borrowed_bytes: &'de [u8]
        visit_byte_buf: Vec<u8>
    }

    #[inline]
    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    #[inline]
    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    #[inline]
    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        let place = self.place.descend()?;
        with_stack(|| self.inner.visit_some(Guard { inner, place }))
    }

    #[inline]
    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        let place = self.place.descend()?;
        with_stack(|| self.inner.visit_newtype_struct(Guard { inner, place }))
    }

    #[inline]
    fn visit_seq<A: SeqAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let access = Access { inner, place: self.place.descend()?, room: self.room };
        with_stack(|| self.inner.visit_seq(access))
    }

    #[inline]
    fn visit_map<A: MapAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let access = Access { inner, place: self.place.descend()?, room: self.room };
        with_stack(|| self.inner.visit_map(access))
    }

    #[inline]
    fn visit_enum<A: EnumAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let choice = Choice { inner, place: self.place.descend()? };
        with_stack(|| self.inner.visit_enum(choice))
    }
}

/// What a sequence or a map hands out, within a budget.
struct Access<'b, A> {
    inner: A,
    place: Place<'b>,
    /// What is left of [`Watch::room`].
    room: Option<usize>,
}

impl<'b, A> Access<'b, A> {
    /// The seed for a value that `seed` makes. It is an element of its own if `may_count`.
    #[inline]
    fn seed<'de, S: DeserializeSeed<'de>>(&mut self, inner: S, may_count: bool) -> Seed<'b, S> {
        let bytes = size_of::<S::Value>();
        let room = self.room.unwrap_or(0);
        if self.room.is_some() {
            self.room = Some(room.saturating_sub(bytes));
        }
        let place = Place { bytes_paid: bytes, ..self.place };
        let is_counted = may_count && self.room.is_none();
        Seed { inner, place, is_counted, bytes_owed: bytes.saturating_sub(room) }
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Access<'_, A> {
    type Error = A::Error;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        let seed = self.seed(seed, true);
        self.inner.next_element_seed(seed)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        let hint = self.inner.size_hint()?;
        Some(hint.min(self.place.budget.elements_left()))
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Access<'_, A> {
    type Error = A::Error;

    #[inline]
    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        // The names of fields are read and forgotten: they take no room in their struct.
        let room = self.room;
        let seed = self.seed(seed, true);
        self.room = room;
        self.inner.next_key_seed(seed)
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        let seed = self.seed(seed, false);
        self.inner.next_value_seed(seed)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        let hint = self.inner.size_hint()?;
        Some(hint.min(self.place.budget.elements_left()))
    }
}

/// An enum, and then the content of the variant that was found, within a budget.
struct Choice<'b, A> {
    inner: A,
    place: Place<'b>,
}

impl<'de, 'b, A: EnumAccess<'de>> EnumAccess<'de> for Choice<'b, A> {
    type Error = A::Error;
    type Variant = Choice<'b, A::Variant>;

    #[inline]
    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self::Variant), A::Error> {
        let place = Place { bytes_paid: size_of::<S::Value>(), ..self.place };
        let seed = Seed { inner: seed, place, is_counted: false, bytes_owed: 0 };
        let (value, inner) = self.inner.variant_seed(seed)?;
        Ok((value, Choice { inner, place: self.place }))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Choice<'_, A> {
    type Error = A::Error;

    #[inline]
    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    #[inline]
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        // The stack was checked when the enum was entered.
        let place = self.place.descend()?;
        let bytes = size_of::<S::Value>();
        let bytes_owed = bytes.saturating_sub(place.bytes_paid);
        let place = Place { bytes_paid: bytes, ..place };
        self.inner.newtype_variant_seed(Seed { inner: seed, place, is_counted: false, bytes_owed })
    }

    #[inline]
    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        let place = self.place.pay::<V::Value, _>()?;
        let watch = Watch { inner: visitor, place, room: Some(place.bytes_paid) };
        self.inner.tuple_variant(len, watch)
    }

    #[inline]
    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        let place = self.place.pay::<V::Value, _>()?;
        let watch = Watch { inner: visitor, place, room: Some(place.bytes_paid) };
        self.inner.struct_variant(fields, watch)
    }
}

/// What an access is asked for, within a budget. It is charged when it is used, for an access that
/// has come to its end drops it.
struct Seed<'b, S> {
    inner: S,
    place: Place<'b>,
    is_counted: bool,
    bytes_owed: usize,
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Seed<'_, S> {
    type Value = S::Value;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<S::Value, D::Error> {
        let place = self.place;
        if self.is_counted
            && let Err(passed) = place.budget.charge_element()
        {
            return Err(place.refuse(passed));
        }
        if self.bytes_owed > 0
            && let Err(passed) = place.budget.charge_memory(self.bytes_owed)
        {
            return Err(place.refuse(passed));
        }
        self.inner.deserialize(Guard { inner, place })
    }
}

/// Runs `visit` on this stack if that has room for one level, else on a new piece of stack.
#[inline]
fn with_stack<R>(visit: impl FnOnce() -> R) -> R {
    stacker::maybe_grow(STACK_BYTES_MIN, STACK_BYTES_NEW, visit)
}

/// Room that one level of decoding finds: the frames of a type's own code and of the format's.
const STACK_BYTES_MIN: usize = 128 * 1024;
const STACK_BYTES_NEW: usize = 1024 * 1024;
