//! Definitions on the wire: what Go calls a `wireType`.
//!
//! A message that begins with a negative id defines the type of that id. What follows is a gob
//! itself, of a struct with one of seven fields:
//!
//! ```text
//! 1 array    { 1 common, 2 element id, 3 length }
//! 2 slice    { 1 common, 2 element id }
//! 3 struct   { 1 common, 2 fields: [{ 1 name, 2 id }] }
//! 4 map      { 1 common, 2 key id, 3 value id }
//! 5, 6, 7    { 1 common }                       bytes of a GobEncoder, Binary-, TextMarshaler
//!   common   { 1 name, 2 id }
//! ```
//!
//! The number before each field is how far it is behind the last field that was sent; 0 ends a
//! struct. The id inside may be another one than the message's (Go's is, for every type whose
//! pointer has the encoder), and means nothing.

use crate::error::{Error, Result};
use crate::kinds::{Definition, Field, Kind, Marshaler, TypeId, twice};
use crate::limits::Limits;
use crate::wire::{Reader, put_bytes, put_int, put_len, put_uint};

/// Appends what follows the negative id in the message that defines `id`. A choice and a missing
/// definition have no such form, and nothing is appended.
pub(crate) fn put_definition(
    out: &mut Vec<u8>,
    definition: &Definition,
    id: TypeId,
    id_of: impl Fn(Kind) -> TypeId,
) {
    match definition {
        Definition::Array { name, element, len } => {
            put_start(out, 1, name, id);
            put_id(out, 1, id_of(*element));
            if *len > 0 {
                put_uint(out, 1);
                put_int(out, i64::try_from(*len).unwrap_or(i64::MAX));
            }
        }
        Definition::Slice { name, element } => {
            put_start(out, 2, name, id);
            put_id(out, 1, id_of(*element));
        }
        Definition::Struct { name, fields } => {
            put_start(out, 3, name, id);
            if !fields.is_empty() {
                put_uint(out, 1);
                put_len(out, fields.len());
            }
            for Field { name, kind } in fields {
                put_name_and_id(out, name, id_of(*kind));
            }
        }
        Definition::Map { name, key, value } => {
            put_start(out, 4, name, id);
            put_id(out, 1, id_of(*key));
            put_id(out, 1, id_of(*value));
        }
        Definition::Opaque { name, by } => {
            let form = match by {
                Marshaler::Gob => 5,
                Marshaler::Binary => 6,
                Marshaler::Text => 7,
            };
            put_start(out, form, name, id);
        }
        Definition::Choice { .. } | Definition::Missing => return,
    }
    // The ends of the form's struct and of the `wireType`.
    out.extend_from_slice(&[0, 0]);
}

fn put_start(out: &mut Vec<u8>, form: u64, name: &str, id: TypeId) {
    put_uint(out, form);
    put_uint(out, 1);
    put_name_and_id(out, name, id);
}

fn put_name_and_id(out: &mut Vec<u8>, name: &str, id: TypeId) {
    if name.is_empty() {
        put_id(out, 2, id);
    } else {
        put_uint(out, 1);
        put_bytes(out, name.as_bytes());
        put_id(out, 1, id);
    }
    out.push(0);
}

fn put_id(out: &mut Vec<u8>, delta: u64, id: TypeId) {
    put_uint(out, delta);
    put_int(out, id);
}

/// Reads what follows the negative id in a message that defines a type. `kind_of` is asked what an
/// id stands for.
///
/// # Errors
///
/// `Malformed`, or `Limit` if it has more than `fields_max` fields, or a field whose name has more
/// than `name_bytes_max` bytes.
pub(crate) fn read_definition(
    reader: &mut Reader<'_>,
    limits: &Limits,
    mut kind_of: impl FnMut(TypeId) -> Option<Kind>,
) -> Result<Definition> {
    let before = *reader;
    let mut kind_of = |id, reader: &Reader<'_>| {
        kind_of(id).ok_or_else(|| reader.malformed(format!("the type id {id}, which cannot be")))
    };
    let form = reader.uint()?;
    let definition = match form {
        3 => read_struct(reader, limits, kind_of)?,
        1..=7 => {
            let Parts { name, ids: [first, second] } = read_parts(reader, form)?;
            match form {
                1 => {
                    let bad = |_| before.malformed("an array of a length that cannot be");
                    let len = usize::try_from(second).map_err(bad)?;
                    Definition::Array { name, element: kind_of(first, reader)?, len }
                }
                2 => Definition::Slice { name, element: kind_of(first, reader)? },
                4 => {
                    let (key, value) = (kind_of(first, reader)?, kind_of(second, reader)?);
                    Definition::Map { name, key, value }
                }
                5 => Definition::Opaque { name, by: Marshaler::Gob },
                6 => Definition::Opaque { name, by: Marshaler::Binary },
                _ => Definition::Opaque { name, by: Marshaler::Text },
            }
        }
        _ => return Err(before.malformed("a type definition of an unknown form")),
    };
    let end = *reader;
    match reader.uint()? {
        0 => Ok(definition),
        _ => Err(end.malformed("a type definition of two forms")),
    }
}

/// What every definition has, and up to two numbers more.
struct Parts {
    name: Box<str>,
    ids: [TypeId; 2],
}

fn read_parts(reader: &mut Reader<'_>, form: u64) -> Result<Parts> {
    let mut parts = Parts { name: "".into(), ids: [0; 2] };
    let count = match form {
        1 | 4 => 3,
        2 => 2,
        _ => 1,
    };
    let mut fields = Fields::of(count);
    while let Some(field) = fields.next(reader)? {
        let [first, second] = &mut parts.ids;
        match field {
            1 => (parts.name, _) = read_name_and_id(reader)?,
            2 => *first = reader.int()?,
            _ => *second = reader.int()?,
        }
    }
    Ok(parts)
}

fn read_struct(
    reader: &mut Reader<'_>,
    limits: &Limits,
    mut kind_of: impl FnMut(TypeId, &Reader<'_>) -> Result<Kind>,
) -> Result<Definition> {
    let before = *reader;
    let (mut name, mut list) = (Box::from(""), Vec::new());
    let mut fields = Fields::of(2);
    while let Some(field) = fields.next(reader)? {
        if field == 1 {
            (name, _) = read_name_and_id(reader)?;
            continue;
        }
        let (count, max) = (reader.count()?, limits.fields_max);
        if count > max {
            return Err(Error::limit(format!("a struct of {count} fields"), "fields_max", max));
        }
        for _ in 0..count {
            let start = *reader;
            let (name, id) = read_name_and_id(reader)?;
            if name.is_empty() {
                return Err(start.malformed("a field without a name"));
            }
            let (len, max) = (name.len(), limits.name_bytes_max);
            if len > max {
                let what = format!("a field's name of {len} bytes");
                return Err(Error::limit(what, "name_bytes_max", max));
            }
            list.push(Field { name, kind: kind_of(id, reader)? });
        }
    }
    match twice(&list) {
        Some(_) => Err(before.malformed("a struct type with two fields of one name")),
        None => Ok(Definition::Struct { name, fields: list.into() }),
    }
}

fn read_name_and_id(reader: &mut Reader<'_>) -> Result<(Box<str>, TypeId)> {
    let (mut name, mut id) = ("", 0);
    let mut fields = Fields::of(2);
    while let Some(field) = fields.next(reader)? {
        match field {
            1 => name = reader.text()?,
            _ => {
                let start = *reader;
                id = reader.int()?;
                if i32::try_from(id).is_err() {
                    return Err(start.malformed(format!("the type id {id}, which cannot be")));
                }
            }
        }
    }
    Ok((name.into(), id))
}

/// The numbers of the fields that were sent of a struct, from 1 on.
#[derive(Debug)]
pub(crate) struct Fields {
    last: usize,
    count: usize,
}

impl Fields {
    /// Of a struct with so many fields.
    pub(crate) fn of(count: usize) -> Self {
        Self { last: 0, count }
    }

    /// The next field that was sent; `None` at the end of the struct.
    #[inline]
    pub(crate) fn next(&mut self, reader: &mut Reader<'_>) -> Result<Option<usize>> {
        let before = *reader;
        let delta = reader.uint()?;
        if delta == 0 {
            return Ok(None);
        }
        let field = usize::try_from(delta).ok().and_then(|delta| self.last.checked_add(delta));
        match field {
            Some(field) if field <= self.count => {
                self.last = field;
                Ok(Some(field))
            }
            _ => Err(before.malformed("a field that the struct does not have")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{FIRST_ID, basic, id_of};

    #[test]
    fn definitions_are_read_as_they_were_written() {
        let field = |name: &str, kind| Field { name: name.into(), kind };
        let cases = [
            Definition::Array { name: "[3]int".into(), element: Kind::Int, len: 3 },
            Definition::Array { name: "".into(), element: Kind::Defined(7), len: 0 },
            Definition::Slice { name: "".into(), element: Kind::Defined(0) },
            Definition::Map { name: "M".into(), key: Kind::String, value: Kind::Interface },
            Definition::Struct { name: "Empty".into(), fields: Box::default() },
            Definition::Struct {
                name: "Point".into(),
                fields: [field("X", Kind::Float), field("Y", Kind::Defined(70_000))].into(),
            },
            Definition::Opaque { name: "Time".into(), by: Marshaler::Gob },
            Definition::Opaque { name: "".into(), by: Marshaler::Binary },
            Definition::Opaque { name: "T".into(), by: Marshaler::Text },
        ];
        let limits = Limits::default();
        for definition in cases {
            let mut bytes = Vec::new();
            let id_of = |kind| id_of(kind, |number| FIRST_ID + i64::from(number));
            put_definition(&mut bytes, &definition, 65, id_of);
            let kind_of = |id: TypeId| {
                basic(id).or_else(|| Some(Kind::Defined(u32::try_from(id - FIRST_ID).ok()?)))
            };
            let mut reader = Reader::new(&bytes, 0);
            assert_eq!(read_definition(&mut reader, &limits, kind_of).unwrap(), definition);
            assert_eq!(reader.left(), 0);
            for len in 0..bytes.len() {
                let mut reader = Reader::new(&bytes[..len], 0);
                assert!(read_definition(&mut reader, &limits, kind_of).is_err());
            }
        }
    }
}
