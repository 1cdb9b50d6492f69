//! Writing values: what a stream's sender remembers, and in what order the messages come.
//!
//! A value is a message of its own, after a message for each type that it can need and that the
//! stream does not know yet. How a value is walked in step with its schema is told in `serializer`
//! and `compound`, what is said of the types in `plan`.
//!
//! Bytes go straight to the end of the caller's buffer, and come off again if anything fails. A
//! length is not known before its content is there, so one byte is left for it; a length from 128
//! on moves the content by what it takes more.

mod compound;
mod join;
mod plan;
mod serializer;

use serde::Serialize;
use serde::de::DeserializeOwned;

use self::plan::fill_in_len;
use self::serializer::{ValueSerializer, Walk};
use crate::definition::{FIRST_ID_WRITTEN, LAST_ID, TypeId};
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::schema::Schema;
use crate::trace::schema_of;
use crate::wire::put_int;

pub(crate) use self::plan::Plan;

/// The sending side of a stream: writes values, and the definition of each type before its first
/// value.
///
/// All that one encoder writes, in this order, is one stream for one decoder. Values of different
/// types may follow each other.
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
    // How many ids from `FIRST_ID_WRITTEN` on are taken.
    ids_taken: TypeId,
}

/// A schema whose definitions have been sent.
#[derive(Debug)]
struct Told {
    schema: Schema,
    // Of the ids that its types have on this stream.
    first: TypeId,
}

impl Encoder {
    /// An encoder for a new stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An encoder for a new stream whose values have at most `depth_max` levels. The other limits
    /// are for those who read.
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
    pub fn encode<T>(&mut self, value: &T, out: &mut Vec<u8>) -> Result<()>
    where
        T: Serialize + DeserializeOwned,
    {
        self.encode_as(&schema_of::<T>()?, value, out)
    }

    /// Appends a value to `out` in the form that a schema says, after the definitions that the
    /// stream does not have yet. A schema equal to one that was sent is not sent again.
    ///
    /// The fields of a struct come in the schema's order; those that the value does not name are
    /// left out. A map with the names of the fields as keys is as good as a struct, so flattened
    /// types can be written.
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
    /// let file = schema.structure("File", [("Name", Type::STRING), ("Sizes", sizes)]);
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
        let before = out.len();
        let written = match self.find(schema) {
            Some((place, told)) => {
                let written = self.put_value(&told.schema, told.first, value, out);
                written.map(|()| self.last = place)
            }
            None => self.put_first_value(schema, value, out),
        };
        if written.is_err() {
            out.truncate(before);
        }
        written
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

    fn put_first_value<T>(&mut self, schema: &Schema, value: &T, out: &mut Vec<u8>) -> Result<()>
    where
        T: Serialize + ?Sized,
    {
        let plan = schema.plan()?;
        let first = FIRST_ID_WRITTEN.saturating_add(self.ids_taken);
        let ids_taken = self.ids_taken.saturating_add(plan.ids_count());
        if FIRST_ID_WRITTEN.saturating_add(ids_taken) > LAST_ID {
            return Err(Error::unsupported("the stream has no ids left for more types"));
        }
        plan.put(schema.definitions(), first, out);
        self.put_value(schema, first, value, out)?;
        self.ids_taken = ids_taken;
        self.last = self.told.len();
        self.told.push(Told { schema: schema.clone(), first });
        Ok(())
    }

    #[inline]
    fn put_value<T>(
        &self,
        schema: &Schema,
        first: TypeId,
        value: &T,
        out: &mut Vec<u8>,
    ) -> Result<()>
    where
        T: Serialize + ?Sized,
    {
        let (plan, kind) = (schema.plan()?, schema.root().0);
        let len_at = out.len();
        out.push(0);
        put_int(out, plan.id(kind, first));
        let depth_max = self.limits.depth_max;
        let mut walk = Walk::new(schema.definitions(), plan, first, depth_max, out);
        walk.put_singleton_mark(kind);
        value.serialize(ValueSerializer::new(&mut walk, kind))?;
        fill_in_len(out, len_at);
        Ok(())
    }
}

/// A value as a whole stream.
///
/// # Errors
///
/// As for [`Encoder::encode`].
///
/// ```
/// assert_eq!(switchboard_gob::to_vec(&-1_i64)?, [3, 4, 0, 1]);
/// # Ok::<(), switchboard_gob::Error>(())
/// ```
pub fn to_vec<T>(value: &T) -> Result<Vec<u8>>
where
    T: Serialize + DeserializeOwned,
{
    to_vec_as(&schema_of::<T>()?, value)
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
mod tests {
    use std::collections::BTreeMap;

    use serde::ser::{SerializeMap, SerializeSeq, Serializer};

    use super::*;
    use crate::error::ErrorKind;
    use crate::schema::{Definition, Marshaler, SchemaBuilder, Type};

    /// Definitions with the names that Go gives them.
    impl SchemaBuilder {
        fn go_slice(&mut self, name: &str, element: Type) -> Type {
            self.add(Definition::Slice { name: name.into(), element: element.0 })
        }

        fn go_array(&mut self, name: &str, len: usize, element: Type) -> Type {
            self.add(Definition::Array { name: name.into(), element: element.0, len })
        }

        fn go_map(&mut self, name: &str, key: Type, value: Type) -> Type {
            self.add(Definition::Map { name: name.into(), key: key.0, value: value.0 })
        }
    }

    /// What `build` makes of a builder.
    fn schema(build: impl FnOnce(&mut SchemaBuilder) -> Type) -> Schema {
        let mut builder = Schema::builder();
        let root = build(&mut builder);
        builder.build(root).unwrap()
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Expects these bytes, given as hexadecimal digits and blanks, of a new stream.
    #[track_caller]
    fn check<T: Serialize + ?Sized>(schema: &Schema, value: &T, bytes: &str) {
        let bytes = bytes.replace(' ', "");
        assert_eq!(hex(&to_vec_as(schema, value).unwrap()), bytes);
    }

    /// A map in this order.
    #[derive(Clone, Copy)]
    struct Pairs(&'static [(&'static str, i64)]);

    impl Serialize for Pairs {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map(self.0.iter().copied())
        }
    }

    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct ComplexData {
        n: i64,
        s: &'static str,
        m: Pairs,
        #[serde(with = "serde_bytes")]
        p: &'static [u8],
        c: Option<Box<Self>>,
    }

    /// Go: `type complexData struct { N int; S string; M map[string]int; P []byte; C *complexData }`
    fn complex_data(builder: &mut SchemaBuilder) -> Type {
        let (root, m) = (builder.declare(), builder.map(Type::STRING, Type::INT));
        let fields =
            [("N", Type::INT), ("S", Type::STRING), ("M", m), ("P", Type::BYTES), ("C", root)];
        builder.define_structure(root, "complexData", fields);
        root
    }

    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Inner {
        x: i64,
        y: i64,
    }

    /// Go: `type Inner struct { X, Y int }`
    fn inner(builder: &mut SchemaBuilder) -> Type {
        builder.structure("Inner", [("X", Type::INT), ("Y", Type::INT)])
    }

    #[derive(Serialize)]
    #[serde(rename = "$gob:complex")]
    struct Complex(f64, f64);

    #[derive(Serialize)]
    #[serde(rename = "$gob:complex")]
    struct NewComplex((f64, f64));

    #[test]
    fn the_article_s_struct_is_as_in_go() {
        let inner = ComplexData {
            n: 256,
            s: "Recursive structs? Piece of cake!",
            m: Pairs(&[("01", 1), ("10", 2), ("11", 3)]),
            p: b"",
            c: None,
        };
        let value = ComplexData {
            n: 23,
            s: "string data",
            m: Pairs(&[("one", 1), ("two", 2), ("three", 3)]),
            p: b"abc",
            c: Some(inner.into()),
        };
        let schema = schema(complex_data);
        check(
            &schema,
            &value,
            "39ff810301010b636f6d706c65784461746101ff8200010501014e010400010153010c0001014d01ff84\
             00010150010a0001014301ff820000001eff830401010e6d61705b737472696e675d696e7401ff840001\
             0c010400006 1ff82012e010b737472696e6720646174610103036f6e65020374776f0405746872656506\
             01036162630101fe0200012152656375727369766520737472756374733f205069656365206f66206361\
             6b652101030230310202313004023131060000"
                .replace(' ', "")
                .as_str(),
        );
        assert_eq!(to_vec_as(&schema, &value).unwrap().len(), 187);
    }
}
