//! A whole value that is being decoded: where in its bytes it is, and what it has cost.
//!
//! What serde calls is told in `calls`, what is inside of a value in `access`. The bytes have been
//! [walked](super::walk) through before, so what can go wrong is that the sender's types are not
//! those that the receiver asks for.
//!
//! A field that was left out is read from zeros, since every zero begins with the byte 0: a number,
//! an empty text, no elements, a struct without fields. Only options and arrays have to be told.

use super::plan::Plans;
use super::scan::Whole;
use super::types::Types;
use super::walk::{check_start, skip};
use crate::error::{Error, ErrorKind, Result};
use crate::kinds::{Definition, Kind, Type, described};
use crate::limits::Limits;
use crate::wire::Reader;

/// A value that has come whole, as a deserializer: [`Decoder::deserializer`](super::Decoder).
#[derive(Debug)]
pub struct ValueDeserializer<'de> {
    pub(super) reader: Reader<'de>,
    // The type of what comes next.
    pub(super) kind: Kind,
    pub(super) types: &'de Types,
    pub(super) limits: &'de Limits,
    pub(super) plans: &'de mut Plans,
    // For what is made without having been sent.
    pub(super) elements_left: usize,
    // What fields have cost that were handed out with their names, and what they may cost.
    pub(super) name_units: usize,
    pub(super) name_units_max: usize,
    // Levels inside a field that was left out; 0 if outside.
    pub(super) left_out_depth: usize,
    // The address of the value in the last interface.
    pub(super) in_interface_at: usize,
}

/// What the field of a type that was left out is read from: two, for a complex number.
pub(super) const ZEROS: [u8; 2] = [0; 2];

/// A name is sent once and handed out with every element, so it costs what it has of bytes: one
/// unit, and one more for so many of them.
const NAME_BYTES_PER_UNIT: usize = 16;

/// What the names in a value may cost, beside `fields_max`. A field that is sent takes two bytes or
/// more, so no name of less than 256 bytes is too long for it.
const NAME_UNITS_PER_VALUE_BYTE: usize = 8;

impl<'de> ValueDeserializer<'de> {
    pub(super) fn new(
        whole: Whole<'de>,
        types: &'de Types,
        limits: &'de Limits,
        plans: &'de mut Plans,
    ) -> Self {
        let name_units = whole.bytes.len().saturating_mul(NAME_UNITS_PER_VALUE_BYTE);
        Self {
            reader: Reader::new(whole.bytes, 0),
            kind: whole.kind,
            types,
            limits,
            plans,
            elements_left: limits.elements_max.saturating_sub(whole.elements),
            name_units: 0,
            name_units_max: name_units.saturating_add(limits.fields_max),
            left_out_depth: 0,
            in_interface_at: 0,
        }
    }

    /// The type of the value, within the decoder's schema.
    #[must_use]
    pub fn value_type(&self) -> Type {
        Type(self.kind)
    }

    /// Goes to the value itself, past the byte in front of it.
    pub(super) fn start(&mut self) -> Result<()> {
        check_start(self.kind, &mut self.reader, self.types)
    }

    /// Goes into an interface: the name of its type, or `None` if it holds nothing.
    pub(super) fn enter_interface(&mut self) -> Result<Option<&'de str>> {
        let name = self.reader.text()?;
        if name.is_empty() {
            return Ok(None);
        }
        self.kind = self.types.read_known(&mut self.reader)?;
        self.reader.uint()?;
        self.start()?;
        self.in_interface_at = self.reader.rest().as_ptr().addr();
        Ok(Some(name))
    }

    pub(super) fn skip(&mut self, kind: Kind) -> Result<()> {
        skip(kind, &mut self.reader, self.types, self.limits)
    }

    /// Charges what is made without having been sent.
    pub(super) fn charge(&mut self, count: usize) -> Result<()> {
        match self.elements_left.checked_sub(count) {
            Some(left) => {
                self.elements_left = left;
                Ok(())
            }
            None => {
                let (max, what) = (self.limits.elements_max, "elements and fields left out");
                Err(Error::limit(what, "elements_max", max))
            }
        }
    }

    /// Charges a field that a receiver is given without having said that it wants it.
    pub(super) fn charge_name(&mut self, name: &str) -> Result<()> {
        let units = (name.len() / NAME_BYTES_PER_UNIT).saturating_add(1);
        self.name_units = self.name_units.saturating_add(units);
        let (units, max) = (self.name_units, self.name_units_max);
        if units > max {
            let text = format!(
                "{units} units of fields with their names, where elements_max allows {max} for \
                 so short a value"
            );
            return Err(Error::new(ErrorKind::Limit, text));
        }
        Ok(())
    }

    #[cold]
    pub(super) fn mismatch(&self, wanted: &str) -> Error {
        Error::mismatch(wanted, described(self.types.definitions(), self.kind))
    }

    pub(super) fn definition(&self) -> Option<&'de Definition> {
        match self.kind {
            Kind::Defined(number) => Some(self.types.definition(number)),
            _ => None,
        }
    }

    pub(super) fn int(&mut self) -> Result<i64> {
        match self.kind {
            Kind::Int => self.reader.int(),
            _ => Err(self.mismatch("int")),
        }
    }

    pub(super) fn uint(&mut self) -> Result<u64> {
        match self.kind {
            Kind::Uint => self.reader.uint(),
            _ => Err(self.mismatch("uint")),
        }
    }

    pub(super) fn float(&mut self) -> Result<f64> {
        match self.kind {
            Kind::Float => self.reader.float(),
            _ => Err(self.mismatch("float")),
        }
    }

    pub(super) fn text(&mut self) -> Result<&'de str> {
        if self.kind != Kind::String {
            return Err(self.mismatch("string"));
        }
        let bytes = self.reader.bytes()?;
        std::str::from_utf8(bytes).map_err(|_| Error::mismatch("text in UTF-8", "other bytes"))
    }
}
