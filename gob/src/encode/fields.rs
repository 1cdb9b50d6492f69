//! The content of structs.
//!
//! Fields are sent in the schema's order, each with how far it is behind the last one that was
//! sent. A Rust struct has an order too, which must be the same. A map has none: what comes from it
//! is put in order at the end, if it must be.

use serde::Serialize;
use serde::ser::{SerializeStruct, SerializeStructVariant};

use super::serializer::{Enveloped, ValueSerializer, Walk};
use crate::error::{Error, Result, Step};
use crate::kinds::{Definition, Field, Kind};
use crate::wire::{Reader, put_uint};

/// The content of a struct.
pub(super) struct Fields<'a, 's> {
    walk: &'a mut Walk<'s>,
    fields: &'s [Field],
    // The number, from 0 on, of the first field that may come.
    next: usize,
    // The number, from 1 on, of the last field that was sent.
    sent: usize,
}

impl<'a, 's> Fields<'a, 's> {
    /// `received` is what to call the value in an error.
    pub(super) fn of(mut value: ValueSerializer<'a, 's>, received: &str) -> Result<Self> {
        let Some(Definition::Struct { fields, .. }) = value.definition() else {
            return Err(value.mismatch(received));
        };
        value.put_delta();
        value.walk.enter()?;
        Ok(Self { walk: value.walk, fields, next: 0, sent: 0 })
    }

    #[inline]
    fn find(&self, name: &str) -> Result<(usize, &'s Field)> {
        match self.fields.get(self.next) {
            Some(field) if *field.name == *name => Ok((self.next, field)),
            _ => self.search(name),
        }
    }

    fn search(&self, name: &str) -> Result<(usize, &'s Field)> {
        let found = self.search_all(name)?;
        if found.0 < self.next {
            return Err(Error::schema_mismatch(format_args!(
                "the field {name} comes too late: the schema has an order"
            )));
        }
        Ok(found)
    }

    fn search_all(&self, name: &str) -> Result<(usize, &'s Field)> {
        let found = self.fields.iter().enumerate().find(|(_, field)| *field.name == *name);
        let unknown = || Error::schema_mismatch(format_args!("the schema has no field {name}"));
        found.ok_or_else(unknown)
    }

    #[inline]
    fn put<T>(&mut self, (index, field): (usize, &Field), value: &T) -> Result<()>
    where
        T: Serialize + ?Sized,
    {
        self.next = index.saturating_add(1);
        let delta = delta(self.sent, self.next);
        let before = self.walk.out.len();
        value
            .serialize(ValueSerializer::of_field(self.walk, field.kind, delta))
            .map_err(|error| error.inside(Step::Field(field.name.clone())))?;
        if self.walk.out.len() > before {
            self.sent = self.next;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> &'a mut Walk<'s> {
        self.walk.out.push(0);
        self.walk.leave();
        self.walk
    }
}

/// The content of a struct that comes as a map, whose keys are names of fields.
pub(super) struct NamedFields<'a, 's> {
    fields: Fields<'a, 's>,
    // Of the last key.
    next: Option<(usize, &'s Field)>,
    // Where the first one begins.
    start: usize,
    came: Vec<Came>,
    // By the number of the field; empty as long as all came in order.
    has_come: Vec<bool>,
}

/// A field that came: its number, from 0 on, and where what was sent of it ends.
#[derive(Clone, Copy)]
struct Came {
    index: usize,
    end: usize,
}

impl<'a, 's> NamedFields<'a, 's> {
    pub(super) fn of(value: ValueSerializer<'a, 's>) -> Result<Self> {
        let fields = Fields::of(value, "a map")?;
        let start = fields.walk.out.len();
        Ok(Self { fields, next: None, start, came: Vec::new(), has_come: Vec::new() })
    }

    pub(super) fn put_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        // Nowhere else is the key's text at hand, so it is written, and taken off again.
        let Fields { walk, .. } = &mut self.fields;
        let start = walk.out.len();
        key.serialize(ValueSerializer::new(walk, Kind::String))?;
        let written = self.fields.walk.out.get(start..).unwrap_or_default();
        let found = Reader::new(written, 0).text().and_then(|name| {
            let next = self.fields.fields.get(self.fields.next);
            match next.filter(|field| *field.name == *name) {
                Some(field) => Ok((self.fields.next, field)),
                None => self.fields.search_all(name),
            }
        });
        self.fields.walk.out.truncate(start);
        self.next = Some(found?);
        Ok(())
    }

    pub(super) fn put_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        let (index, field) = self.next.take().ok_or_else(value_before_key)?;
        if index < self.fields.next && self.has_come.is_empty() {
            self.has_come.resize(self.fields.fields.len(), false);
            self.came.iter().for_each(|came| mark(&mut self.has_come, came.index));
        }
        if !self.has_come.is_empty() {
            if self.has_come.get(index) == Some(&true) {
                let text = format_args!("the field {} comes twice", field.name);
                return Err(Error::schema_mismatch(text));
            }
            mark(&mut self.has_come, index);
            // The right number is not known before the end.
            self.fields.sent = index;
        }
        self.fields.put((index, field), value)?;
        self.came.push(Came { index, end: self.fields.walk.out.len() });
        Ok(())
    }

    pub(super) fn finish(self) {
        let Self { fields, start, came, has_come, .. } = self;
        if !has_come.is_empty() {
            sort(&came, fields.walk.out, start);
        }
        fields.finish();
    }
}

/// Puts what was sent of the fields, from `start` on, in order, with the right numbers.
fn sort(came: &[Came], out: &mut Vec<u8>, start: usize) {
    let parts = out.split_off(start);
    let mut before = 0;
    let mut sorted: Vec<(usize, Reader<'_>)> = came
        .iter()
        .map(|Came { index, end }| {
            let end = end.saturating_sub(start);
            let part = parts.get(before..end).unwrap_or_default();
            before = end;
            (index.saturating_add(1), Reader::new(part, 0))
        })
        .collect();
    sorted.sort_unstable_by_key(|(number, _)| *number);
    let mut sent = 0;
    for (number, mut part) in sorted {
        // It begins with the number that it was written with, if it was.
        if part.uint().is_ok() {
            put_uint(out, delta(sent, number));
            out.extend_from_slice(part.rest());
            sent = number;
        }
    }
}

fn mark(has_come: &mut [bool], index: usize) {
    if let Some(has_come) = has_come.get_mut(index) {
        *has_come = true;
    }
}

/// How far a field is behind the last one that was sent.
fn delta(sent: usize, number: usize) -> u64 {
    u64::try_from(number.saturating_sub(sent)).unwrap_or(u64::MAX)
}

#[cold]
pub(super) fn value_before_key() -> Error {
    Error::unsupported("a map's value came before its key")
}

impl SerializeStruct for Fields<'_, '_> {
    type Ok = ();
    type Error = Error;

    #[inline]
    fn serialize_field<T>(&mut self, name: &'static str, value: &T) -> Result<()>
    where
        T: Serialize + ?Sized,
    {
        self.put(self.find(name)?, value)
    }

    #[inline]
    fn end(self) -> Result<()> {
        self.finish();
        Ok(())
    }
}

impl SerializeStructVariant for Enveloped<Fields<'_, '_>> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T>(&mut self, name: &'static str, value: &T) -> Result<()>
    where
        T: Serialize + ?Sized,
    {
        self.content.put(self.content.find(name)?, value)
    }

    fn end(self) -> Result<()> {
        self.content.finish().close(self.len_at);
        Ok(())
    }
}
