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
//! - **Depth** goes down by one where a visitor is about to look inside, and up again after: some,
//!   newtype, sequence, tuple, map, struct, enum, and the content of a variant.
//! - **Stack** is looked at before anything large is made, and where a type can come back to
//!   itself: see `stack`.
//! - **Elements**: each element of a sequence and each key of a map, once the format has said that
//!   it is there. Not fields: a struct or tuple has as many as its type says.
//! - **Memory** is charged where it is taken from the allocator. A sequence or a map takes it as it
//!   grows: [`growth`](super::growth) knows how, from the type that its visitor makes. A field lies
//!   within its struct and the content of an option within the option; only what lies beyond,
//!   behind a `Box` for instance, is charged by itself. That is why a [`Guard`] knows the type that
//!   was paid for. An element is paid for when it is there, before it is put into its container;
//!   what is reserved for elements that were announced, before the first of them is read.
//! - **Text and byte strings** when they are handed to their visitor, before it copies them. Names
//!   of fields and variants only if they may be kept.
//!
//! What can be known from types is in types and constants, and what is passed along is one pointer:
//! the optimiser sees through the wrappers then. Each word more made `benches/decode.rs` slower.

mod charge;

use std::fmt;
use std::marker::PhantomData;
use std::mem::needs_drop;
use std::ops::Deref;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

use self::charge::{Text, note, pay, within};
use super::budget::{Budget, Guarded, refuse};
use super::growth::{Filling, allocated, bytes_behind, entry_bytes};
use super::stack::{is_buffer, with_buffer, with_first_room, with_room};

/// A budget as it is passed along, with what is known of the format.
pub(super) trait Account: Copy + Deref<Target = Budget> {
    /// Whether text is asked for as byte strings, which the format lends.
    const IS_TEXT_READ_AS_BYTES: bool;
}

impl Account for &Budget {
    const IS_TEXT_READ_AS_BYTES: bool = false;
}

impl Guarded for Budget {
    #[inline]
    fn guarded<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        &self,
        deserializer: D,
    ) -> Result<T, D::Error> {
        deserialize(deserializer, self)
    }
}

/// A `T` from `deserializer`, made within `budget`.
#[inline]
pub(super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>, B: Account>(
    deserializer: D,
    budget: B,
) -> Result<T, D::Error> {
    budget.begin_content().map_err(refuse)?;
    let guard = Guard::<_, _, ()>::new(deserializer, budget);
    budget.check_passed(with_first_room::<T, _, _>(&budget, || T::deserialize(guard)))
}

/// A deserializer within a budget, for a value that goes where a `Paid` was paid for.
struct Guard<B, D, Paid> {
    inner: D,
    budget: B,
    paid: PhantomData<Paid>,
}

impl<B: Account, D, Paid> Guard<B, D, Paid> {
    #[inline]
    fn new(inner: D, budget: B) -> Self {
        Self { inner, budget, paid: PhantomData }
    }

    /// A visitor, with what its value takes beside its place paid.
    #[inline]
    fn paid_watch<'de, V: Visitor<'de>, E: Error, const IS_FIXED: bool>(
        &self,
        inner: V,
    ) -> Result<Watch<B, V, IS_FIXED>, E> {
        pay(&self.budget, bytes_behind::<Paid, V::Value>())?;
        Ok(Watch { inner, budget: self.budget })
    }
}

/// Calls the inner deserializer with a watched visitor whose value has been paid for.
macro_rules! forward_paid {
    ($($method:ident($($argument:ident: $type:ty),*) is_fixed: $is_fixed:literal)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(
            self,
            $($argument: $type,)*
            visitor: V,
        ) -> Result<V::Value, D::Error> {
            let watch = self.paid_watch::<_, _, $is_fixed>(visitor)?;
            let Self { inner, budget, .. } = self;
            with_room::<V::Value, _, _>(&budget, || inner.$method($($argument,)* watch))
        }
    )*};
}

type Names = &'static [&'static str];

impl<'de, B: Account, D: Deserializer<'de>, Paid> Deserializer<'de> for Guard<B, D, Paid> {
    type Error = D::Error;

    forward_paid! {
        deserialize_bool() is_fixed: false
        deserialize_i8() is_fixed: false
        deserialize_i16() is_fixed: false
        deserialize_i32() is_fixed: false
        deserialize_i64() is_fixed: false
        deserialize_i128() is_fixed: false
        deserialize_u8() is_fixed: false
        deserialize_u16() is_fixed: false
        deserialize_u32() is_fixed: false
        deserialize_u64() is_fixed: false
        deserialize_u128() is_fixed: false
        deserialize_f32() is_fixed: false
        deserialize_f64() is_fixed: false
        deserialize_char() is_fixed: false
        deserialize_bytes() is_fixed: false
        deserialize_unit() is_fixed: false
        deserialize_ignored_any() is_fixed: false
        deserialize_option() is_fixed: false
        deserialize_unit_struct(name: &'static str) is_fixed: false
        deserialize_newtype_struct(name: &'static str) is_fixed: false
        deserialize_seq() is_fixed: false
        deserialize_map() is_fixed: false
        deserialize_enum(name: &'static str, variants: Names) is_fixed: false
        deserialize_tuple(len: usize) is_fixed: true
        deserialize_tuple_struct(name: &'static str, len: usize) is_fixed: true
        deserialize_struct(name: &'static str, fields: Names) is_fixed: true
    }

    /// What reads whatever comes may be a buffer of serde's, from which more is made unseen.
    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let watch = self.paid_watch::<_, _, false>(visitor)?;
        let Self { inner, budget, .. } = self;
        if is_buffer::<V::Value>() {
            return with_buffer::<Paid, _, _>(&budget, || inner.deserialize_any(watch));
        }
        with_room::<V::Value, _, _>(&budget, || inner.deserialize_any(watch))
    }

    #[inline]
    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.deserialize_bytes(visitor)
    }

    #[inline]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.deserialize_str(visitor)
    }

    #[inline]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let watch = self.paid_watch::<_, _, false>(visitor)?;
        if B::IS_TEXT_READ_AS_BYTES {
            self.inner.deserialize_bytes(Text { inner: watch.inner, budget: watch.budget })
        } else {
            self.inner.deserialize_str(watch)
        }
    }

    /// A name that becomes a value which owns nothing is compared and forgotten, and its visitor
    /// looks inside nothing: there is nothing to charge, however often the name is handed out.
    #[inline]
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        if !needs_drop::<V::Value>() {
            return self.inner.deserialize_identifier(visitor);
        }
        let watch = Watch::<_, _, false> { inner: visitor, budget: self.budget };
        self.inner.deserialize_identifier(watch)
    }

    #[inline]
    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

/// A visitor within a budget. It is fixed if its value is a struct or a tuple, in which the fields
/// lie and which has a fixed number of them.
struct Watch<B, V, const IS_FIXED: bool> {
    inner: V,
    budget: B,
}

macro_rules! visit_scalars {
    ($($method:ident: $type:ty)*) => {$(
        #[inline]
        fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.inner.$method(value)
        }
    )*};
}

macro_rules! visit_content {
    ($($method:ident: $type:ty, $size:ident)*) => {$(
        #[inline]
        fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            note::<V::Value, _>(&self.budget, value.$size())?;
            self.inner.$method(value)
        }
    )*};
}

impl<'de, B: Account, V: Visitor<'de>, const IS_FIXED: bool> Visitor<'de>
    for Watch<B, V, IS_FIXED>
{
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    visit_scalars! {
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
        visit_str: &str, len
        visit_borrowed_str: &'de str, len
        visit_string: String, capacity
        visit_bytes: &[u8], len
        visit_borrowed_bytes: &'de [u8], len
        visit_byte_buf: Vec<u8>, capacity
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
        let guard = Guard::<_, _, V::Value>::new(inner, self.budget);
        within::<V::Value, false, _, _>(&self.budget, || self.inner.visit_some(guard))
    }

    #[inline]
    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        let guard = Guard::<_, _, V::Value>::new(inner, self.budget);
        within::<V::Value, true, _, _>(&self.budget, || self.inner.visit_newtype_struct(guard))
    }

    #[inline]
    fn visit_seq<A: SeqAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let access = Access::<_, _, V::Value, IS_FIXED>::new(inner, self.budget);
        within::<V::Value, IS_FIXED, _, _>(&self.budget, || self.inner.visit_seq(access))
    }

    #[inline]
    fn visit_map<A: MapAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let access = Access::<_, _, V::Value, IS_FIXED>::new(inner, self.budget);
        within::<V::Value, IS_FIXED, _, _>(&self.budget, || self.inner.visit_map(access))
    }

    #[inline]
    fn visit_enum<A: EnumAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let choice = Choice::<_, _, V::Value> { inner, budget: self.budget, paid: PhantomData };
        within::<V::Value, false, _, _>(&self.budget, || self.inner.visit_enum(choice))
    }
}

/// An enum of type `Paid`, and then the content of the variant that was found, within a budget.
struct Choice<B, A, Paid> {
    inner: A,
    budget: B,
    paid: PhantomData<Paid>,
}

impl<'de, B: Account, A: EnumAccess<'de>, Paid> EnumAccess<'de> for Choice<B, A, Paid> {
    type Error = A::Error;
    type Variant = Choice<B, A::Variant, Paid>;

    #[inline]
    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        inner: S,
    ) -> Result<(S::Value, Self::Variant), A::Error> {
        let budget = self.budget;
        let (value, inner) = self.inner.variant_seed(Seed { inner, budget })?;
        Ok((value, Choice { inner, budget, paid: PhantomData }))
    }
}

impl<'de, B: Account, A: VariantAccess<'de>, Paid> VariantAccess<'de> for Choice<B, A, Paid> {
    type Error = A::Error;

    #[inline]
    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    #[inline]
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, inner: S) -> Result<S::Value, A::Error> {
        let budget = self.budget;
        // The content of a variant lies in its enum, unless that is too small for it.
        let is_behind = size_of::<S::Value>() > size_of::<Paid>();
        pay(&budget, if is_behind { bytes_behind::<Paid, S::Value>() } else { 0 })?;
        let seed = Seed { inner, budget };
        within::<S::Value, true, _, _>(&budget, || self.inner.newtype_variant_seed(seed))
    }

    #[inline]
    fn tuple_variant<V: Visitor<'de>>(self, len: usize, inner: V) -> Result<V::Value, A::Error> {
        let budget = self.budget;
        pay(&budget, bytes_behind::<Paid, V::Value>())?;
        let watch = Watch::<_, _, true> { inner, budget };
        with_room::<V::Value, _, _>(&budget, || self.inner.tuple_variant(len, watch))
    }

    #[inline]
    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: Names,
        inner: V,
    ) -> Result<V::Value, A::Error> {
        let budget = self.budget;
        pay(&budget, bytes_behind::<Paid, V::Value>())?;
        let watch = Watch::<_, _, true> { inner, budget };
        with_room::<V::Value, _, _>(&budget, || self.inner.struct_variant(fields, watch))
    }
}

/// What a sequence or a map hands out to whoever makes a `C` of it, within a budget. Fields of a
/// struct or a tuple are fixed.
struct Access<B, A, C, const IS_FIXED: bool> {
    inner: A,
    budget: B,
    /// Bytes of the struct or tuple that no field has taken yet.
    room_bytes: usize,
    filling: Filling,
    key_bytes: usize,
    container: PhantomData<C>,
}

impl<B: Account, A, C, const IS_FIXED: bool> Access<B, A, C, IS_FIXED> {
    #[inline]
    fn new(inner: A, budget: B) -> Self {
        let room_bytes = if IS_FIXED { size_of::<C>() } else { 0 };
        let filling = Filling::default();
        Self { inner, budget, room_bytes, filling, key_bytes: 0, container: PhantomData }
    }

    /// Pays for a field that does not lie within the struct or tuple: it may lie in a vector.
    #[inline]
    fn pay_field<T, E: Error>(&mut self) -> Result<(), E> {
        let bytes_owed = size_of::<T>().saturating_sub(self.room_bytes);
        self.room_bytes = self.room_bytes.saturating_sub(size_of::<T>());
        pay(&self.budget, allocated(bytes_owed).saturating_mul(2))
    }

    /// Announces no more elements than may be made; to an unknown type not many.
    #[inline]
    fn capped(&self, hint: Option<usize>) -> Option<usize> {
        hint.map(|hint| hint.min(self.budget.elements_left()).min(Filling::hint_max::<C>()))
    }
}

impl<'de, B: Account, A: SeqAccess<'de>, C, const IS_FIXED: bool> SeqAccess<'de>
    for Access<B, A, C, IS_FIXED>
{
    type Error = A::Error;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        inner: S,
    ) -> Result<Option<S::Value>, A::Error> {
        let budget = self.budget;
        let seed = Seed { inner, budget };
        if IS_FIXED {
            self.pay_field::<S::Value, _>()?;
            return with_room::<S::Value, _, _>(&budget, || self.inner.next_element_seed(seed));
        }
        let bytes = size_of::<S::Value>();
        if self.filling.is_new() {
            let hint = self.size_hint();
            self.filling.reserve::<C, false>(hint, bytes, &budget).map_err(refuse)?;
        }
        let element = with_room::<S::Value, _, _>(&budget, || self.inner.next_element_seed(seed))?;
        if element.is_some() {
            let left = || self.inner.size_hint();
            self.filling.take::<C, false>(bytes, left, &budget).map_err(refuse)?;
        } else {
            self.filling.finish(&self.budget);
        }
        Ok(element)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.capped(self.inner.size_hint())
    }
}

impl<'de, B: Account, A: MapAccess<'de>, C, const IS_FIXED: bool> MapAccess<'de>
    for Access<B, A, C, IS_FIXED>
{
    type Error = A::Error;

    #[inline]
    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        inner: S,
    ) -> Result<Option<S::Value>, A::Error> {
        // Names of fields are read and forgotten: they take no room in their struct.
        let budget = self.budget;
        let seed = Seed { inner, budget };
        let key = with_room::<S::Value, _, _>(&budget, || self.inner.next_key_seed(seed))?;
        if !IS_FIXED {
            self.key_bytes = size_of::<S::Value>();
            if key.is_none() {
                self.filling.finish(&self.budget);
            }
        }
        Ok(key)
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, inner: S) -> Result<S::Value, A::Error> {
        let budget = self.budget;
        let seed = Seed { inner, budget };
        if IS_FIXED {
            self.pay_field::<S::Value, _>()?;
            return with_room::<S::Value, _, _>(&budget, || self.inner.next_value_seed(seed));
        }
        let bytes = entry_bytes::<S::Value>(self.key_bytes);
        if self.filling.is_new() {
            // The first of those that were announced is on its way.
            let hint = self.capped(self.inner.size_hint().map(|left| left.saturating_add(1)));
            self.filling.reserve::<C, true>(hint, bytes, &budget).map_err(refuse)?;
        }
        let value = with_room::<S::Value, _, _>(&budget, || self.inner.next_value_seed(seed))?;
        let left = || self.inner.size_hint();
        self.filling.take::<C, true>(bytes, left, &budget).map_err(refuse)?;
        Ok(value)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.capped(self.inner.size_hint())
    }
}

/// What an access is asked for, within a budget.
struct Seed<B, S> {
    inner: S,
    budget: B,
}

impl<'de, B: Account, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Seed<B, S> {
    type Value = S::Value;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(Guard::<_, _, S::Value>::new(inner, self.budget))
    }
}
