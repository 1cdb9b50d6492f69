//! The types that a stream has defined so far.
//!
//! A definition mentions others by ids that may be defined later, so an id gets its number when it
//! is first seen, and a place that is filled when its definition comes. Before a value is read, all
//! that its type can lead to must be there; that is looked up once for each type.
//!
//! Values have numbers here as well. They tell whether a type was defined with the value that is
//! being read or before it, and which types this value has needed.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::definition::{put_definition, read_definition};
use crate::error::{Error, Result};
use crate::kinds::{Definition, FIRST_ID, Field, Kind, LAST_ID, TypeId, basic, id_of};
use crate::limits::Limits;
use crate::wire::{Reader, put_bytes, put_int};

/// Definitions, by ids and by numbers.
#[derive(Debug, Default)]
pub(crate) struct Types {
    definitions: Vec<Definition>,
    places: Vec<Place>,
    numbers: HashMap<TypeId, u32>,
    bytes: usize,
    // The value that is being read.
    value: u64,
    // The types that it began with, or that interfaces in it had.
    roots: Vec<u32>,
    are_new_streams_allowed: bool,
    // A type was defined again with the value.
    pub(crate) has_begun_anew: bool,
    // How many times a type has got another meaning.
    changes: u64,
    has_forgotten: bool,
}

/// What is known of a definition beside itself.
#[derive(Clone, Copy, Debug)]
struct Place {
    id: TypeId,
    bytes: usize,
    // It leads to nothing undefined.
    is_complete: bool,
    // The value before which it was defined, and the last one that had its type as a root.
    defined_with: u64,
    root_of: Option<u64>,
}

impl Types {
    /// Lets definitions replace those that came with earlier values, unless the value that is being
    /// read has used them.
    pub(crate) fn allow_new_streams(&mut self) {
        self.are_new_streams_allowed = true;
    }

    /// A value is over, and another one begins.
    ///
    /// Whoever begins anew with every value under ids of its own would fill any limit in the end.
    /// So where that is allowed, definitions over the limits are forgotten, all at once.
    pub(crate) fn begin_value(&mut self, limits: &Limits) {
        let Self { value, changes, are_new_streams_allowed, .. } = *self;
        if are_new_streams_allowed && self.check_limits(limits, 1).is_err() {
            let (changes, has_forgotten) = (changes.wrapping_add(1), true);
            *self = Self { changes, are_new_streams_allowed, has_forgotten, ..Self::default() };
        }
        self.value = value.wrapping_add(1);
        self.roots.clear();
        self.has_begun_anew = false;
    }

    /// Reads the definition of the type `id` from what is left of a message.
    ///
    /// # Errors
    ///
    /// `Malformed`, or `Limit`.
    pub(crate) fn define(
        &mut self,
        id: TypeId,
        reader: &mut Reader<'_>,
        limits: &Limits,
    ) -> Result<()> {
        let before = *reader;
        let Some(Kind::Defined(number)) = self.kind(id) else {
            return Err(before.malformed(format!("a definition of the type id {id}")));
        };
        let definition = read_definition(reader, limits, |id| self.kind(id))?;
        let is_new = *self.definition(number) == Definition::Missing;
        if !is_new && (!self.are_new_streams_allowed || self.is_of_value(number)) {
            return Err(before.malformed(format!("a second definition of the type id {id}")));
        }
        let index = number as usize;
        let (Some(old), Some(place)) =
            (self.definitions.get_mut(index), self.places.get_mut(index))
        else {
            return Err(before.malformed("a type without a place"));
        };
        let bytes = before.left().saturating_sub(reader.left());
        self.bytes = self.bytes.saturating_sub(place.bytes).saturating_add(bytes);
        (place.bytes, place.defined_with) = (bytes, self.value);
        self.has_begun_anew |= !is_new;
        let is_changed = !is_new && *old != definition;
        *old = definition;
        if is_changed {
            self.changes = self.changes.wrapping_add(1);
            self.places.iter_mut().for_each(|place| place.is_complete = false);
        }
        // Those from before are within the limits, and so may be those of this value.
        self.check_limits(limits, if self.are_new_streams_allowed { 2 } else { 1 })
    }

    /// Of all definitions that are remembered.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The type of a value that is about to be read: the outermost one, or one in an interface.
    ///
    /// # Errors
    ///
    /// `Malformed` if it, or a type that it leads to, was not defined.
    pub(crate) fn root(&mut self, id: TypeId, reader: &Reader<'_>) -> Result<Kind> {
        let Some(kind) = self.known(id) else {
            let text = format!("the type id {id}, which is not defined{}", self.any_more());
            return Err(reader.malformed(text));
        };
        let Kind::Defined(number) = kind else {
            return Ok(kind);
        };
        let Some(place) = self.places.get_mut(number as usize) else {
            return Ok(kind);
        };
        if place.root_of != Some(self.value) {
            place.root_of = Some(self.value);
            self.roots.push(number);
        }
        if place.is_complete {
            return Ok(kind);
        }
        let reachable = self.reachable(&[number]);
        if reachable.iter().any(|number| *self.definition(*number) == Definition::Missing) {
            let text =
                format!("the type id {id}, which leads to one not defined{}", self.any_more());
            return Err(reader.malformed(text));
        }
        for number in reachable {
            if let Some(place) = self.places.get_mut(number as usize) {
                place.is_complete = true;
            }
        }
        Ok(kind)
    }

    /// What an id stands for, if that is known.
    pub(crate) fn known(&self, id: TypeId) -> Option<Kind> {
        basic(id).or_else(|| self.numbers.get(&id).map(|number| Kind::Defined(*number)))
    }

    /// Reads the id of a type that is known.
    ///
    /// # Errors
    ///
    /// `Malformed` if it is not.
    pub(crate) fn read_known(&self, reader: &mut Reader<'_>) -> Result<Kind> {
        let before = *reader;
        let unknown = || before.malformed("an interface value of an unknown type");
        self.known(reader.int()?).ok_or_else(unknown)
    }

    /// Whether a value of this type can have interfaces in it, or is one.
    pub(crate) fn has_interfaces(&self, kind: Kind) -> bool {
        let is_interface = |kind: &Kind| *kind == Kind::Interface;
        let Kind::Defined(number) = kind else {
            return is_interface(&kind);
        };
        self.reachable(&[number]).iter().any(|number| match self.definition(*number) {
            Definition::Array { element, .. } | Definition::Slice { element, .. } => {
                is_interface(element)
            }
            Definition::Map { key, value, .. } => is_interface(key) || is_interface(value),
            Definition::Struct { fields, .. } => {
                fields.iter().any(|field| is_interface(&field.kind))
            }
            Definition::Choice { .. } | Definition::Opaque { .. } | Definition::Missing => false,
        })
    }

    /// Appends the messages that define what the value needs and did not come with it.
    pub(crate) fn put_needed_from_before(&self, out: &mut Vec<u8>) {
        let id_of = |kind| id_of(kind, |number| self.place(number).map_or(0, |place| place.id));
        let mut body = Vec::new();
        for number in self.reachable(&self.roots) {
            if let Some(place) = self.place(number)
                && place.defined_with != self.value
            {
                body.clear();
                put_int(&mut body, place.id.saturating_neg());
                put_definition(&mut body, self.definition(number), place.id, id_of);
                put_bytes(out, &body);
            }
        }
    }

    #[inline]
    pub(crate) fn definition(&self, number: u32) -> &Definition {
        self.definitions.get(number as usize).unwrap_or(&Definition::Missing)
    }

    /// The fields of a struct; `None` if the type is not a struct.
    #[inline]
    pub(crate) fn fields(&self, kind: Kind) -> Option<&[Field]> {
        match kind {
            Kind::Defined(number) => match self.definition(number) {
                Definition::Struct { fields, .. } => Some(fields),
                _ => None,
            },
            _ => None,
        }
    }

    pub(crate) fn definitions(&self) -> &[Definition] {
        &self.definitions
    }

    /// The definitions that the value needs, under their numbers. Those that it does not need are
    /// missing, so that they make no difference between the types of two values.
    pub(crate) fn needed_definitions(&self) -> Vec<Definition> {
        let mut needed = Vec::new();
        for number in self.reachable(&self.roots) {
            let len = needed.len().max((number as usize).saturating_add(1));
            needed.resize(len, Definition::Missing);
            if let Some(place) = needed.get_mut(number as usize) {
                *place = self.definition(number).clone();
            }
        }
        needed
    }

    /// The numbers of the types that the value began with, or that interfaces in it had.
    pub(crate) fn roots(&self) -> &[u32] {
        &self.roots
    }

    /// How many times a type has got another meaning: what was found out of types before is void.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// The types that these lead to, themselves included, each once.
    fn reachable(&self, roots: &[u32]) -> Vec<u32> {
        let mut is_seen = vec![false; self.definitions.len()];
        let mut found = Vec::new();
        let mut see = |kind: Kind, found: &mut Vec<u32>| {
            if let Kind::Defined(number) = kind
                && let Some(is_seen @ false) = is_seen.get_mut(number as usize)
            {
                *is_seen = true;
                found.push(number);
            }
        };
        roots.iter().for_each(|number| see(Kind::Defined(*number), &mut found));
        let mut next = 0;
        while let Some(number) = found.get(next) {
            match self.definition(*number) {
                Definition::Array { element, .. } | Definition::Slice { element, .. } => {
                    see(*element, &mut found);
                }
                Definition::Map { key, value, .. } => {
                    see(*key, &mut found);
                    see(*value, &mut found);
                }
                Definition::Struct { fields, .. } | Definition::Choice { variants: fields } => {
                    fields.iter().for_each(|field| see(field.kind, &mut found));
                }
                Definition::Opaque { .. } | Definition::Missing => {}
            }
            next = next.saturating_add(1);
        }
        found
    }

    /// Whether the type was defined with the value, or one that the value has had so far leads to
    /// it. Then it may not get another meaning: the bytes were followed as what it was, and are yet
    /// to be decoded.
    fn is_of_value(&self, number: u32) -> bool {
        self.place(number).is_some_and(|place| place.defined_with == self.value)
            || (!self.roots.is_empty() && self.reachable(&self.roots).contains(&number))
    }

    fn place(&self, number: u32) -> Option<&Place> {
        self.places.get(number as usize)
    }

    fn any_more(&self) -> &'static str {
        if self.has_forgotten { " any more: there were too many" } else { "" }
    }

    /// Whether there are no more definitions than so many times the limits.
    fn check_limits(&self, limits: &Limits, times: usize) -> Result<()> {
        // Those that were only mentioned have a place as well.
        let (count, max) = (self.definitions.len(), limits.definitions_max);
        if count > max.saturating_mul(times) {
            let what = format!("{count} type definitions");
            return Err(Error::limit(what, "definitions_max", max));
        }
        let (bytes, max) = (self.bytes, limits.definition_bytes_max);
        if bytes > max.saturating_mul(times) {
            let what = format!("{bytes} bytes of type definitions");
            return Err(Error::limit(what, "definition_bytes_max", max));
        }
        Ok(())
    }

    fn kind(&mut self, id: TypeId) -> Option<Kind> {
        if id < FIRST_ID {
            return basic(id);
        }
        if id > LAST_ID {
            return None;
        }
        let number = u32::try_from(self.definitions.len()).ok()?;
        Some(Kind::Defined(match self.numbers.entry(id) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                let (bytes, is_complete) = (0, false);
                self.definitions.push(Definition::Missing);
                let (defined_with, root_of) = (self.value, None);
                self.places.push(Place { id, bytes, is_complete, defined_with, root_of });
                *entry.insert(number)
            }
        }))
    }
}
