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

mod access;

use std::fmt;
use std::marker::PhantomData;
use std::mem::needs_drop;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

use self::access::{Access, Seed};
use super::budget::{Account, Budget, refuse};
use super::growth::{allocated, bytes_behind};
use super::stack::{is_buffer, with_buffer, with_first_room, with_inner_room, with_room};

/// A `T` from `deserializer`, made within `budget`.
#[inline]
pub(super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>, B: Account>(
    deserializer: D,
    budget: B,
) -> Result<T, D::Error> {
    budget.begin_content().map_err(|passed| refuse(&budget, passed))?;
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

macro_rules! visit_plain {
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

/// A visitor within a budget that wants text and is lent its bytes.
struct Text<B, V> {
    inner: V,
    budget: B,
}

impl<'de, B: Account, V: Visitor<'de>> Visitor<'de> for Text<B, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    #[inline]
    fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<V::Value, E> {
        note::<V::Value, _>(&self.budget, bytes.len())?;
        match std::str::from_utf8(bytes) {
            Ok(text) => self.inner.visit_borrowed_str(text),
            Err(cause) => Err(E::custom(cause)),
        }
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
        fields: &'static [&'static str],
        inner: V,
    ) -> Result<V::Value, A::Error> {
        let budget = self.budget;
        pay(&budget, bytes_behind::<Paid, V::Value>())?;
        let watch = Watch::<_, _, true> { inner, budget };
        with_room::<V::Value, _, _>(&budget, || self.inner.struct_variant(fields, watch))
    }
}

/// Charges text or bytes of which a `T` is made, with what the allocator adds to them.
#[inline]
fn note<T, E: Error>(budget: &Budget, bytes: usize) -> Result<(), E> {
    if needs_drop::<T>() {
        pay(budget, allocated(bytes).saturating_sub(bytes))?;
    }
    budget.note_content(bytes).map_err(|passed| refuse(budget, passed))
}

/// Charges `bytes` of memory, if any.
#[inline]
fn pay<E: Error>(budget: &Budget, bytes: usize) -> Result<(), E> {
    if bytes == 0 {
        return Ok(());
    }
    budget.charge_memory(bytes).map_err(|passed| refuse(budget, passed))
}

/// Runs `visit`, which makes a `T`, one level further in.
#[inline]
fn within<T, const IS_FIXED: bool, R, E: Error>(
    budget: &Budget,
    visit: impl FnOnce() -> Result<R, E>,
) -> Result<R, E> {
    budget.descend().map_err(|passed| refuse(budget, passed))?;
    if is_buffer::<T>() {
        budget.stack().note_buffered(budget.depth_left());
    }
    let visited = with_inner_room::<T, IS_FIXED, _, _>(budget, visit);
    budget.ascend();
    visited
}
