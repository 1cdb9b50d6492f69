//! Writing values: what a stream's sender remembers, and in what order the messages come.
//!
//! A value is a message of its own, after a message for each type that it can need and that the
//! stream does not know yet. How a value is walked in step with its schema is told in `serializer`,
//! `compound` and `calls`, what is said of the types in `order`.
//!
//! Bytes go straight to the end of the caller's buffer, and come off again if anything fails. A
//! length is not known before its content is there, so one byte is left for it; a length from 128
//! on moves the content by what it takes more.

mod bytes;
mod calls;
mod compound;
mod fields;
mod identity;
mod serializer;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use self::identity::identity;
use self::serializer::{ValueSerializer, Walk};
use crate::decode::Decoder;
use crate::error::{Error, Result};
use crate::kinds::{FIRST_ID_WRITTEN, LAST_ID, TypeId};
use crate::limits::Limits;
use crate::order::{self, Order};
use crate::schema::Schema;
use crate::wire::{cut_short, fill_in_len, put_int};

/// How many ids there are to give.
const IDS_MAX: TypeId = LAST_ID - FIRST_ID_WRITTEN + 1;

/// The sending side of a stream: writes values, and the definition of each type before its first
/// value.
///
/// All that one encoder writes, in this order, is one stream for one decoder. Values of different
/// types may follow each other. To write to a file or a connection, encode into a buffer, write it
/// whole, and clear it for the next value.
///
/// ```
/// use switchboard_gob::Encoder;
///
/// let mut encoder = Encoder::new();
/// let mut out = Vec::new();
/// encoder.encode(&"text".to_owned(), &mut out)?;
/// assert_eq!(out, [7, 12, 0, 4, b't', b'e', b'x', b't']);
/// # Ok::<(), switchboard_gob::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Encoder {
    limits: Limits,
    told: Vec<Told>,
    // Where in `told` the last value's schema is.
    last: usize,
    // The types of all schemas but the first few, and their ids. A stream of one schema, which is
    // most of them, never needs to look a type up.
    types: HashMap<Box<[u8]>, TypeId>,
    // How many of those in `told` are in `types`.
    told_in_types: usize,
    // How many ids from `FIRST_ID_WRITTEN` on are taken.
    ids_taken: TypeId,
}

/// A schema whose definitions have been sent.
#[derive(Debug)]
struct Told {
    schema: Schema,
    ids: Ids,
}

/// The ids that the types of a schema have on a stream, by their numbers.
type Ids = Box<[TypeId]>;

impl Encoder {
    /// An encoder for a new stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An encoder for a new stream whose values have at most `depth_max` levels. Of the types that
    /// the stream has heard it remembers `definitions_max`: when there are more, all are forgotten,
    /// as by [`forget_definitions`](Self::forget_definitions), before the value that has them. The
    /// other limits are for those who read.
    #[must_use]
    pub fn with_limits(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Appends a value to `out`, after the definitions that the stream does not have yet. The
    /// schema is found out from the type, once in a process.
    ///
    /// # Errors
    ///
    /// Nothing is appended then, and the stream goes on as if there had been no call. `Unsupported`
    /// if the type, or something in the value, has no form in gob, or the type's schema cannot be
    /// found out (see [`encode_as`](Self::encode_as)); `Mismatch` if it does not serialize as it
    /// deserializes; `Limit` if it has more levels than `depth_max`; `Custom` if it refuses.
    ///
    /// ```
    /// use serde::{Deserialize, Serialize};
    /// use switchboard_gob::Encoder;
    ///
    /// #[derive(Serialize, Deserialize)]
    /// #[serde(rename_all = "PascalCase")]
    /// struct Point {
    ///     x: i64,
    ///     y: i64,
    /// }
    ///
    /// let (mut encoder, mut out) = (Encoder::new(), Vec::new());
    /// encoder.encode(&Point { x: 22, y: 33 }, &mut out)?;
    /// let first_len = out.len();
    /// encoder.encode(&Point { x: 0, y: -1 }, &mut out)?;
    /// // Now the type is known: 5 bytes for id 65, field 2 (field 1 is zero), -1, end.
    /// assert_eq!(out[first_len..], [5, 0xff, 130, 2, 1, 0]);
    /// # Ok::<(), switchboard_gob::Error>(())
    /// ```
    pub fn encode<'de, T>(&mut self, value: &T, out: &mut Vec<u8>) -> Result<()>
    where
        T: Serialize + Deserialize<'de>,
    {
        self.encode_as(&Schema::of::<T>()?, value, out)
    }

    /// Appends a value to `out` in the form that a schema says, after the definitions that the
    /// stream does not have yet. A schema equal to one that was sent is not sent again.
    ///
    /// The fields of a struct come in the schema's order; those that the value does not name are
    /// left out. A map with the names of the fields as keys is as good as a struct, in any order,
    /// so flattened types can be written.
    ///
    /// # Errors
    ///
    /// As for [`encode`](Self::encode); `Mismatch` if the value is not of the schema's type.
    ///
    /// ```
    /// use switchboard_gob::{Encoder, ErrorKind, Schema, Type};
    ///
    /// // Go: struct { Name string; Sizes []int }
    /// let mut schema = Schema::builder();
    /// let sizes = schema.slice(Type::INT);
    /// let file = schema.structure("File", &[("Name", Type::STRING), ("Sizes", sizes)]);
    /// let schema = schema.build(file)?;
    ///
    /// #[derive(serde::Serialize)]
    /// #[serde(untagged)]
    /// enum File {
    ///     Sized { #[serde(rename = "Sizes")] sizes: Vec<i64> },
    ///     Named { #[serde(rename = "Name")] name: i64 },
    /// }
    ///
    /// let (mut encoder, mut out) = (Encoder::new(), Vec::new());
    /// encoder.encode_as(&schema, &File::Sized { sizes: vec![1, 2] }, &mut out)?;
    /// let error = encoder.encode_as(&schema, &File::Named { name: 1 }, &mut out).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Mismatch);
    /// assert_eq!(
    ///     error.to_string(),
    ///     "Name: the schema says string, the value is a signed integer",
    /// );
    /// # Ok::<(), switchboard_gob::Error>(())
    /// ```
    pub fn encode_as<T>(&mut self, schema: &Schema, value: &T, out: &mut Vec<u8>) -> Result<()>
    where
        T: Serialize + ?Sized,
    {
        let depth_max = self.limits.depth_max;
        self.put(schema, out, |schema, ids, out| {
            let kind = schema.root().0;
            let mut walk = Walk::new(schema.definitions(), ids, depth_max, out);
            walk.put_singleton_mark(kind);
            value.serialize(ValueSerializer::new(&mut walk, kind))
        })
    }

    /// Appends a value that was encoded as a stream of its own, by who did not know what the stream
    /// has heard before. Its definitions are left out where the stream has equal ones, and its ids
    /// become those of the stream.
    ///
    /// # Errors
    ///
    /// Nothing is appended then, and the stream goes on as if there had been no call. `Malformed`
    /// or `UnexpectedEnd` if the bytes are not one such value; `Limit` if it has more levels than
    /// `depth_max`, or is of more types than `definitions_max`.
    ///
    /// ```
    /// use switchboard_gob::{Encoder, to_vec};
    ///
    /// let (alone, mut stream) = (to_vec(&vec![1_i64, 2])?, Vec::new());
    /// let mut encoder = Encoder::new();
    /// encoder.append(&alone, &mut stream)?;
    /// assert_eq!(stream, alone);
    /// // The type is known now.
    /// encoder.append(&alone, &mut stream)?;
    /// assert!(stream.len() < alone.len() * 2);
    /// # Ok::<(), switchboard_gob::Error>(())
    /// ```
    pub fn append(&mut self, alone: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let Limits { depth_max, definitions_max, .. } = self.limits;
        let mut decoder = Decoder::with_limits(Limits { depth_max, definitions_max, ..UNLIMITED });
        decoder.push_whole(alone)?;
        let schema = decoder.schema().ok_or_else(cut_short)?;
        self.put(&schema, out, |_, ids, out| decoder.rewrite(|kind| order::id(kind, ids), out))
    }

    /// Forgets what the stream has heard: definitions are sent again with the next value, under ids
    /// that were not used before. So the stream goes on for one decoder, and begins anew for
    /// others.
    pub fn forget_definitions(&mut self) {
        self.told.clear();
        self.types.clear();
        (self.last, self.told_in_types) = (0, 0);
        // Who remembers a thousand million types has other worries than two of one id.
        if self.ids_taken > IDS_MAX / 2 {
            self.ids_taken = 0;
        }
    }

    fn find(&self, schema: &Schema) -> Option<(usize, &Told)> {
        if let Some(told) = self.told.get(self.last)
            && told.schema.is(schema)
        {
            return Some((self.last, told));
        }
        let all = || self.told.iter().enumerate();
        all()
            .find(|(_, told)| told.schema.is(schema))
            .or_else(|| all().find(|(_, told)| told.schema == *schema))
    }

    /// Appends a value of this schema, which `put` appends with the ids that its types have, after
    /// the definitions that the stream does not have yet.
    #[inline]
    fn put<F>(&mut self, schema: &Schema, out: &mut Vec<u8>, put: F) -> Result<()>
    where
        F: FnOnce(&Schema, &[TypeId], &mut Vec<u8>) -> Result<()>,
    {
        let before = out.len();
        let written = match self.find(schema) {
            Some((place, told)) => {
                let written = put_message(&told.schema, &told.ids, out, put);
                written.map(|()| self.last = place)
            }
            None => self.put_first(schema, out, put),
        };
        if written.is_err() {
            out.truncate(before);
        }
        written
    }

    fn put_first<F>(&mut self, schema: &Schema, out: &mut Vec<u8>, put: F) -> Result<()>
    where
        F: FnOnce(&Schema, &[TypeId], &mut Vec<u8>) -> Result<()>,
    {
        let order = schema.order()?;
        let (ids, ids_taken) = if self.told.is_empty() && self.types.is_empty() {
            self.tell_all(order, schema, out)?
        } else {
            self.tell_the_rest(order, schema, out)?
        };
        put_message(schema, &ids, out, put)?;
        self.ids_taken = ids_taken;
        if self.told.len() >= TOLD_MAX {
            self.register_told();
            self.told.clear();
            self.told_in_types = 0;
        }
        self.last = self.told.len();
        self.told.push(Told { schema: schema.clone(), ids });
        Ok(())
    }

    /// Appends all definitions of a schema; the ids of its types, and how many are taken then.
    fn tell_all(&self, order: &Order, schema: &Schema, out: &mut Vec<u8>) -> Result<(Ids, TypeId)> {
        let ids_taken = self.ids_taken.saturating_add(order.ids_count());
        if ids_taken > IDS_MAX {
            return Err(no_ids_left());
        }
        let first = FIRST_ID_WRITTEN.saturating_add(self.ids_taken);
        let ids = order.ids(|offset| first.saturating_add(offset));
        order.put_all(schema.definitions(), first, &ids, out);
        Ok((ids, ids_taken))
    }

    /// As [`tell_all`](Self::tell_all), leaving out what the stream has heard within other schemas.
    fn tell_the_rest(
        &mut self,
        order: &Order,
        schema: &Schema,
        out: &mut Vec<u8>,
    ) -> Result<(Ids, TypeId)> {
        self.register_told();
        let definitions = schema.definitions();
        let mut ids = order.ids(|_| 0);
        let mut new = Vec::new();
        for number in order.numbers_by_id() {
            let known = self.types.get(&identity(definitions, number)).copied();
            if known.is_none() {
                new.push(number);
            }
            if let (Some(id), Some(known)) = (ids.get_mut(number as usize), known) {
                *id = known;
            }
        }
        let (count, max) =
            (self.types.len().saturating_add(new.len()), self.limits.definitions_max);
        if count > max {
            // Else whoever uses ever other types would be remembered without end.
            self.forget_definitions();
            return self.tell_all(order, schema, out);
        }
        let mut ids_taken = self.ids_taken;
        for number in &new {
            if let Some(id) = ids.get_mut(*number as usize) {
                *id = FIRST_ID_WRITTEN.saturating_add(ids_taken);
            }
            ids_taken = ids_taken.saturating_add(1);
        }
        if ids_taken > IDS_MAX {
            return Err(no_ids_left());
        }
        order.put(definitions, &ids, |number| new.contains(&number), out);
        Ok((ids, ids_taken))
    }

    /// Makes the types of all schemas that were told known by themselves.
    fn register_told(&mut self) {
        for Told { schema, ids } in self.told.iter().skip(self.told_in_types) {
            let Ok(order) = schema.order() else {
                continue;
            };
            for number in order.numbers_by_id() {
                if let Some(id) = ids.get(number as usize) {
                    self.types.insert(identity(schema.definitions(), number), *id);
                }
            }
        }
        self.told_in_types = self.told.len();
    }
}

/// Appends the message of a value, which `put` appends behind the id of its type.
#[inline]
fn put_message<F>(schema: &Schema, ids: &[TypeId], out: &mut Vec<u8>, put: F) -> Result<()>
where
    F: FnOnce(&Schema, &[TypeId], &mut Vec<u8>) -> Result<()>,
{
    let len_at = out.len();
    out.push(0);
    put_int(out, order::id(schema.root().0, ids));
    put(schema, ids, out)?;
    fill_in_len(out, len_at);
    Ok(())
}

/// For bytes of our own side, which are there already.
const UNLIMITED: Limits = Limits {
    value_bytes_max: usize::MAX,
    depth_max: usize::MAX,
    elements_max: usize::MAX,
    definitions_max: usize::MAX,
    fields_max: usize::MAX,
    definition_bytes_max: usize::MAX,
    name_bytes_max: usize::MAX,
};

/// Schemas that are remembered as a whole. What is more, values whose interfaces hold ever other
/// types, is put together from types that are remembered one by one.
const TOLD_MAX: usize = 64;

#[cold]
fn no_ids_left() -> Error {
    Error::unsupported("the stream has no ids left for more types")
}

/// A value as a whole stream, of at most 200 levels; for a deeper one there is
/// [`Encoder::with_limits`].
///
/// # Errors
///
/// As for [`Encoder::encode`].
///
/// ```
/// assert_eq!(switchboard_gob::to_vec(&-1_i64)?, [3, 4, 0, 1]);
/// # Ok::<(), switchboard_gob::Error>(())
/// ```
pub fn to_vec<'de, T>(value: &T) -> Result<Vec<u8>>
where
    T: Serialize + Deserialize<'de>,
{
    to_vec_as(&Schema::of::<T>()?, value)
}

/// A value as a whole stream, in the form that a schema says.
///
/// # Errors
///
/// As for [`Encoder::encode_as`].
///
/// ```
/// use switchboard_gob::{Schema, Type, to_vec_as};
///
/// let schema = Schema::builder().build(Type::STRING)?;
/// assert_eq!(to_vec_as(&schema, "text")?, [7, 12, 0, 4, b't', b'e', b'x', b't']);
/// # Ok::<(), switchboard_gob::Error>(())
/// ```
pub fn to_vec_as<T>(schema: &Schema, value: &T) -> Result<Vec<u8>>
where
    T: Serialize + ?Sized,
{
    let mut out = Vec::new();
    Encoder::new().encode_as(schema, value, &mut out)?;
    Ok(out)
}

#[cfg(test)]
mod tests;
