//! What is charged where a value is seen: its text, its memory and its level.
//!
//! `guard` finds the places; how much containers take is in `growth`.

use std::fmt;
use std::mem::needs_drop;
use std::ops::Deref;

use serde::de::{Error, Visitor};

use crate::format::budget::{Budget, refuse};
use crate::format::growth::allocated;
use crate::format::stack::{is_buffer, with_inner_room};

/// Charges text or bytes of which a `T` is made, with what the allocator adds to them.
#[inline]
pub(super) fn note<T, E: Error>(budget: &Budget, bytes: usize) -> Result<(), E> {
    if needs_drop::<T>() {
        pay(budget, allocated(bytes).saturating_sub(bytes))?;
    }
    budget.note_content(bytes).map_err(refuse)
}

/// Charges `bytes` of memory, if any.
#[inline]
pub(super) fn pay<E: Error>(budget: &Budget, bytes: usize) -> Result<(), E> {
    if bytes == 0 {
        return Ok(());
    }
    budget.charge_memory(bytes).map_err(refuse)
}

/// Runs `visit`, which makes a `T`, one level further in.
#[inline]
pub(super) fn within<T, const IS_FIXED: bool, R, E: Error>(
    budget: &Budget,
    visit: impl FnOnce() -> Result<R, E>,
) -> Result<R, E> {
    budget.descend().map_err(refuse)?;
    if is_buffer::<T>() {
        budget.stack().note_buffered(budget.depth_left());
    }
    let visited = with_inner_room::<T, IS_FIXED, _, _>(budget, visit);
    budget.ascend();
    visited
}

/// A visitor within a budget that wants text and is lent its bytes.
pub(super) struct Text<B, V> {
    pub(super) inner: V,
    pub(super) budget: B,
}

impl<'de, B: Deref<Target = Budget>, V: Visitor<'de>> Visitor<'de> for Text<B, V> {
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
