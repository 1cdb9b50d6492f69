//! The part of the guard that sees elements, entries and fields, and pays for their places.

use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess};

use super::{Guard, pay};
use crate::format::budget::{Account, Passed, refuse};
use crate::format::growth::{Filling, allocated, entry_bytes};
use crate::format::stack::with_room;

/// What a sequence or a map hands out to whoever makes a `C` of it, within a budget. Fields of a
/// struct or a tuple are fixed.
pub(super) struct Access<B, A, C, const IS_FIXED: bool> {
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
    pub(super) fn new(inner: A, budget: B) -> Self {
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

    #[inline]
    fn check<T, E: Error>(&self, charged: Result<T, Passed>) -> Result<T, E> {
        charged.map_err(|passed| refuse(&self.budget, passed))
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
        let seed = Seed { inner, budget: self.budget };
        if IS_FIXED {
            self.pay_field::<S::Value, _>()?;
            let budget = self.budget;
            return with_room::<S::Value, _, _>(&budget, || self.inner.next_element_seed(seed));
        }
        let bytes = size_of::<S::Value>();
        if self.filling.is_new() {
            let reserved = self.filling.reserve::<C, false>(self.size_hint(), bytes, &self.budget);
            self.check(reserved)?;
        }
        let budget = self.budget;
        let element = with_room::<S::Value, _, _>(&budget, || self.inner.next_element_seed(seed))?;
        if element.is_some() {
            let left = || self.inner.size_hint();
            let taken = self.filling.take::<C, false>(bytes, left, &self.budget);
            self.check(taken)?;
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
        let seed = Seed { inner, budget: self.budget };
        if IS_FIXED {
            self.pay_field::<S::Value, _>()?;
            let budget = self.budget;
            return with_room::<S::Value, _, _>(&budget, || self.inner.next_value_seed(seed));
        }
        let bytes = entry_bytes::<S::Value>(self.key_bytes);
        if self.filling.is_new() {
            // The first of those that were announced is on its way.
            let hint = self.inner.size_hint().map(|left| left.saturating_add(1));
            let hint = self.capped(hint);
            let reserved = self.filling.reserve::<C, true>(hint, bytes, &self.budget);
            self.check(reserved)?;
        }
        let budget = self.budget;
        let value = with_room::<S::Value, _, _>(&budget, || self.inner.next_value_seed(seed))?;
        let left = || self.inner.size_hint();
        let taken = self.filling.take::<C, true>(bytes, left, &self.budget);
        self.check(taken)?;
        Ok(value)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.capped(self.inner.size_hint())
    }
}

/// What an access is asked for, within a budget.
pub(super) struct Seed<B, S> {
    pub(super) inner: S,
    pub(super) budget: B,
}

impl<'de, B: Account, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Seed<B, S> {
    type Value = S::Value;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(Guard::<_, _, S::Value>::new(inner, self.budget))
    }
}
