//! What a type is, whatever its number and whatever schema it is in.
//!
//! Two schemas that share a type have it under different numbers. To tell that it is the same, it
//! is written down from its own point of view: what it leads to is numbered in the order in which
//! it is met. Types that are written the same are the same, cycles included.

use std::collections::HashMap;

use crate::kinds::{Definition, FIRST_ID, Field, Kind, id_of};
use crate::wire::{put_bytes, put_int, put_len};

/// Writes down the type of this number.
pub(super) fn identity(definitions: &[Definition], number: u32) -> Box<[u8]> {
    let mut writing = Writing { places: HashMap::new(), met: Vec::new(), out: Vec::new() };
    writing.meet(number);
    let mut next = 0;
    while let Some(number) = writing.met.get(next) {
        next = next.saturating_add(1);
        match definitions.get(*number as usize) {
            Some(definition) => writing.put(definition),
            None => writing.out.push(0),
        }
    }
    writing.out.into()
}

struct Writing {
    // Where in `met` a number is.
    places: HashMap<u32, i64>,
    met: Vec<u32>,
    out: Vec<u8>,
}

impl Writing {
    fn put(&mut self, definition: &Definition) {
        match definition {
            Definition::Missing => self.out.push(0),
            Definition::Array { name, element, len } => {
                self.put_form(1, name);
                put_len(&mut self.out, *len);
                self.put_kind(*element);
            }
            Definition::Slice { name, element } => {
                self.put_form(2, name);
                self.put_kind(*element);
            }
            Definition::Struct { name, fields } => {
                self.put_form(3, name);
                self.put_fields(fields);
            }
            Definition::Map { name, key, value } => {
                self.put_form(4, name);
                self.put_kind(*key);
                self.put_kind(*value);
            }
            Definition::Opaque { name, by } => {
                self.put_form(5, name);
                self.out.push(*by as u8);
            }
            // On the wire every interface is alike.
            Definition::Choice { .. } => self.out.push(6),
        }
    }

    fn put_form(&mut self, form: u8, name: &str) {
        self.out.push(form);
        put_bytes(&mut self.out, name.as_bytes());
    }

    fn put_fields(&mut self, fields: &[Field]) {
        put_len(&mut self.out, fields.len());
        for Field { name, kind } in fields {
            put_bytes(&mut self.out, name.as_bytes());
            self.put_kind(*kind);
        }
    }

    fn put_kind(&mut self, kind: Kind) {
        let id = id_of(kind, |number| FIRST_ID.saturating_add(self.meet(number)));
        put_int(&mut self.out, id);
    }

    fn meet(&mut self, number: u32) -> i64 {
        let Self { places, met, .. } = self;
        *places.entry(number).or_insert_with(|| {
            met.push(number);
            i64::try_from(met.len()).unwrap_or(i64::MAX)
        })
    }
}
