//! One value in step with its type: what is written of it, and what the schema says it must be.
//!
//! Zero fields of structs are left out. So a field's number is not written by the struct but by
//! the value, which is the first to know; a struct sees from the bytes whether the field was sent.
//! What a sequence, a map or a struct does with its content is told in `compound`, what serde calls
//! in `calls`.

use crate::error::{Error, Result};
use crate::kinds::{Definition, Field, Kind, TypeId, described};
use crate::order;
use crate::wire::{fill_in_len, put_bytes, put_int, put_uint};

/// What all serializers inside one value share.
pub(super) struct Walk<'s> {
    pub(super) out: &'s mut Vec<u8>,
    definitions: &'s [Definition],
    // The ids of the types, by their numbers.
    ids: &'s [TypeId],
    depth_max: usize,
    depth_left: usize,
}

impl<'s> Walk<'s> {
    pub(super) fn new(
        definitions: &'s [Definition],
        ids: &'s [TypeId],
        depth_max: usize,
        out: &'s mut Vec<u8>,
    ) -> Self {
        Self { out, definitions, ids, depth_max, depth_left: depth_max }
    }

    pub(super) fn definition(&self, kind: Kind) -> Option<&'s Definition> {
        match kind {
            Kind::Defined(number) => self.definitions.get(number as usize),
            _ => None,
        }
    }

    /// Goes one level further in.
    ///
    /// # Errors
    ///
    /// `Limit` if that is too deep.
    #[inline]
    pub(super) fn enter(&mut self) -> Result<()> {
        match self.depth_left.checked_sub(1) {
            Some(left) => {
                self.depth_left = left;
                Ok(())
            }
            None => Err(Error::limit("a value with more levels", "depth_max", self.depth_max)),
        }
    }

    #[inline]
    pub(super) fn leave(&mut self) {
        self.depth_left = self.depth_left.saturating_add(1);
    }

    /// Whether the schema has this type.
    pub(super) fn has(&self, kind: Kind) -> bool {
        order::has(kind, self.ids)
    }

    /// The 0 that is before a value that is no struct, where it stands for itself.
    pub(super) fn put_singleton_mark(&mut self, kind: Kind) {
        if !matches!(self.definition(kind), Some(Definition::Struct { .. })) {
            self.out.push(0);
        }
    }

    /// Begins a value in an interface. What comes back is for [`close`](Self::close).
    pub(super) fn open(&mut self, registered: &str, kind: Kind) -> Result<usize> {
        self.enter()?;
        put_bytes(self.out, registered.as_bytes());
        put_int(self.out, order::id(kind, self.ids));
        let len_at = self.out.len();
        self.out.push(0);
        self.put_singleton_mark(kind);
        Ok(len_at)
    }

    pub(super) fn close(&mut self, len_at: usize) {
        fill_in_len(self.out, len_at);
        self.leave();
    }
}

/// Writes one value.
pub(super) struct ValueSerializer<'a, 's> {
    pub(super) walk: &'a mut Walk<'s>,
    pub(super) kind: Kind,
    // As for `of_field`.
    pub(super) delta: u64,
}

/// The content of an enum's variant, in an interface.
pub(super) struct Enveloped<C> {
    pub(super) content: C,
    /// For [`Walk::close`].
    pub(super) len_at: usize,
}

impl<'a, 's> ValueSerializer<'a, 's> {
    /// Of a value that is sent even if it is zero.
    pub(super) fn new(walk: &'a mut Walk<'s>, kind: Kind) -> Self {
        Self { walk, kind, delta: 0 }
    }

    /// Of a field that is `delta` fields behind the last one that was sent, and left out if it is
    /// zero.
    #[inline]
    pub(super) fn of_field(walk: &'a mut Walk<'s>, kind: Kind, delta: u64) -> Self {
        Self { walk, kind, delta }
    }

    /// Whether nothing is to be written if the value is zero.
    fn is_omittable(&self) -> bool {
        self.delta > 0
    }

    #[inline]
    pub(super) fn put_delta(&mut self) {
        if self.delta > 0 {
            put_uint(self.walk.out, self.delta);
            self.delta = 0;
        }
    }

    /// Writes a value of one of the basic types with `put`.
    #[inline]
    pub(super) fn basic(
        mut self,
        kind: Kind,
        is_zero: bool,
        put: impl FnOnce(&mut Vec<u8>),
    ) -> Result<()> {
        if self.kind == kind {
            if !(is_zero && self.is_omittable()) {
                self.put_delta();
                put(self.walk.out);
            }
            return Ok(());
        }
        self.in_interface(kind, |inner| {
            put(inner.walk.out);
            Ok(())
        })
    }

    /// Writes a value of one of the basic types with `put` where anything can be.
    pub(super) fn in_interface<F>(mut self, kind: Kind, put: F) -> Result<()>
    where
        F: FnOnce(ValueSerializer<'_, 's>) -> Result<()>,
    {
        let (registered, received) = match kind {
            Kind::Bool => ("bool", "a bool"),
            Kind::Int => ("int64", "a signed integer"),
            Kind::Uint => ("uint64", "an unsigned integer"),
            Kind::Float => ("float64", "a float"),
            Kind::Bytes => ("[]uint8", "bytes"),
            Kind::String => ("string", "a string"),
            Kind::Complex => ("complex128", "a complex number"),
            Kind::Interface | Kind::Defined(_) => ("", "a value of its own type"),
        };
        if self.kind != Kind::Interface {
            return Err(self.mismatch(received));
        }
        self.put_delta();
        let len_at = self.walk.open(registered, kind)?;
        put(ValueSerializer::new(self.walk, kind))?;
        self.walk.close(len_at);
        Ok(())
    }

    pub(super) fn definition(&self) -> Option<&'s Definition> {
        self.walk.definition(self.kind)
    }

    #[cold]
    pub(super) fn mismatch(&self, received: &str) -> Error {
        if self.kind == Kind::Interface {
            return without_name(received);
        }
        let wanted = described(self.walk.definitions, self.kind);
        Error::schema_mismatch(format_args!("the schema says {wanted}, the value is {received}"))
    }

    pub(super) fn is_interface(&self) -> bool {
        self.kind == Kind::Interface || matches!(self.definition(), Some(Definition::Choice { .. }))
    }

    /// What Go calls nil.
    pub(super) fn nil(self, received: &str) -> Result<()> {
        if self.is_omittable() {
            return Ok(());
        }
        if !self.is_interface() {
            return Err(no_nil(received));
        }
        self.walk.out.push(0);
        Ok(())
    }

    /// The content of an enum's variant, and what closes it.
    pub(super) fn variant(mut self, variant: &str, received: &str) -> Result<(Self, usize)> {
        let Some(Definition::Choice { variants }) = self.definition() else {
            return Err(self.mismatch(received));
        };
        // The empty name is nil's.
        let is_meant = |known: &&Field| *known.name == *variant && !variant.is_empty();
        let Some(known) = variants.iter().find(is_meant) else {
            return Err(Error::schema_mismatch(format_args!(
                "the schema's interface has no type {variant}"
            )));
        };
        self.put_delta();
        let len_at = self.walk.open(variant, known.kind)?;
        Ok((Self::new(self.walk, known.kind), len_at))
    }
}

/// A value in an interface that does not say which type it is of.
#[cold]
pub(super) fn without_name(received: &str) -> Error {
    Error::unsupported(format!(
        "{received} in an interface of any type: its registered name is not known; a Value that \
         is a struct, a map or a sequence needs its schema: Encoder::encode_as with Decoder::schema"
    ))
}

#[cold]
fn no_nil(received: &str) -> Error {
    Error::unsupported(format!(
        "{received} has no form in gob, unless it is a struct's field or in an interface"
    ))
}
