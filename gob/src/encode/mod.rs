//! Writing values: what a stream's sender remembers, and in what order the messages come.
//!
//! A value is a message of its own, after a message for each type that it can need and that the
//! stream does not know yet. How a value is walked in step with its schema is told in `serializer`
//! and `compound`, what is said of the types in `order`.
//!
//! Bytes go straight to the end of the caller's buffer, and come off again if anything fails. A
//! length is not known before its content is there, so one byte is left for it; a length from 128
//! on moves the content by what it takes more.

mod compound;
mod identity;
mod join;
mod serializer;

use std::collections::HashMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use self::identity::identity;
use self::serializer::{ValueSerializer, Walk};
use crate::error::{Error, Result};
use crate::kinds::{FIRST_ID_WRITTEN, LAST_ID, TypeId};
use crate::limits::Limits;
use crate::order::{self, Order};
use crate::schema::Schema;
use crate::wire::{fill_in_len, put_int};

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

    /// An encoder for a new stream whose values have at most `depth_max` levels and are of at most
    /// `definitions_max` types. The other limits are for those who read.
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
        self.encode_as(&Schema::of::<T>()?, value, out)
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
        let before = out.len();
        let written = match self.find(schema) {
            Some((place, told)) => {
                let written = self.put_value(&told.schema, &told.ids, value, out);
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
        let order = schema.order()?;
        let (ids, ids_taken) = if self.told.is_empty() && self.types.is_empty() {
            self.tell_all(order, schema, out)?
        } else {
            self.tell_the_rest(order, schema, out)?
        };
        self.put_value(schema, &ids, value, out)?;
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
            return Err(Error::limit(format!("{count} types"), "definitions_max", max));
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

    #[inline]
    fn put_value<T>(
        &self,
        schema: &Schema,
        ids: &[TypeId],
        value: &T,
        out: &mut Vec<u8>,
    ) -> Result<()>
    where
        T: Serialize + ?Sized,
    {
        let kind = schema.root().0;
        let len_at = out.len();
        out.push(0);
        put_int(out, order::id(kind, ids));
        let depth_max = self.limits.depth_max;
        let mut walk = Walk::new(schema.definitions(), ids, depth_max, out);
        walk.put_singleton_mark(kind);
        value.serialize(ValueSerializer::new(&mut walk, kind))?;
        fill_in_len(out, len_at);
        Ok(())
    }
}

/// Schemas that are remembered as a whole. What is more, values whose interfaces hold ever other
/// types, is put together from types that are remembered one by one.
const TOLD_MAX: usize = 64;

#[cold]
fn no_ids_left() -> Error {
    Error::unsupported("the stream has no ids left for more types")
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
mod tests {
    use std::collections::BTreeMap;

    use serde::ser::{SerializeMap, SerializeSeq, Serializer};

    use super::*;
    use crate::error::ErrorKind;
    use crate::kinds::{Definition, Field, Marshaler, Type};
    use crate::schema::SchemaBuilder;
    use crate::value::Value;

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
        let bytes: String = bytes.split_whitespace().collect();
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

    /// Go: `type complexData struct { N int; S string; M map[string]int; P []byte;
    /// C *complexData }`
    fn complex_data(builder: &mut SchemaBuilder) -> Type {
        let (root, m) = (builder.declare(), builder.map(Type::STRING, Type::INT));
        let fields =
            [("N", Type::INT), ("S", Type::STRING), ("M", m), ("P", Type::BYTES), ("C", root)];
        builder.define_structure(root, "complexData", &fields);
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
        builder.structure("Inner", &[("X", Type::INT), ("Y", Type::INT)])
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
        let bytes = "39ff810301010b636f6d706c65784461746101ff8200010501014e010400010153010c0001014d
            01ff8400010150010a0001014301ff820000001eff830401010e6d61705b737472696e675d696e7401ff84
            00010c0104000061ff82012e010b737472696e6720646174610103036f6e65020374776f04057468726565
            0601036162630101fe0200012152656375727369766520737472756374733f205069656365206f66206361
            6b652101030230310202313004023131060000";
        check(&schema, &value, bytes);
        assert_eq!(to_vec_as(&schema, &value).unwrap().len(), 187);
    }

    /// Go: `type Zeros struct { A bool; B int; C uint; D float64; E string; F []byte; G []int;
    /// H map[string]int; I complex128; J *int; K [2]int; L Empty }`, `type Empty struct{}`
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Zeros {
        a: bool,
        b: i8,
        c: u16,
        d: f32,
        e: &'static str,
        #[serde(with = "serde_bytes")]
        f: &'static [u8],
        g: &'static [i64],
        h: Pairs,
        i: Complex,
        j: Option<i64>,
        k: [i64; 2],
        l: Empty,
    }

    #[derive(Serialize)]
    struct Empty;

    #[test]
    fn zero_fields_are_left_out() {
        let schema = schema(|builder| {
            let (slice, map) = (builder.slice(Type::INT), builder.map(Type::STRING, Type::INT));
            let (array, empty) = (builder.array(2, Type::INT), builder.structure("Empty", &[]));
            let types = [
                ("A", Type::BOOL),
                ("B", Type::INT),
                ("C", Type::UINT),
                ("D", Type::FLOAT),
                ("E", Type::STRING),
                ("F", Type::BYTES),
                ("G", slice),
                ("H", map),
                ("I", Type::COMPLEX),
                ("J", Type::INT),
                ("K", array),
                ("L", empty),
            ];
            builder.structure("Zeros", &types)
        });
        let definitions = "5fff81030101055a65726f7301ff8200010c0101410102000101420104000101430106
            00010144010800010145010c00010146010a0001014701ff840001014801ff8600010149010e0001014a01
            040001014b01ff880001014c01ff8a00000013ff83020101055b5d696e7401ff8400010400001eff850401
            010e6d61705b737472696e675d696e7401ff8600010c0104000016ff87010101065b325d696e7401ff8800
            01040104000011ff8903010105456d70747901ff8a000000";
        let zeros = Zeros {
            a: false,
            b: 0,
            c: 0,
            d: 0.0,
            e: "",
            f: b"",
            g: &[],
            h: Pairs(&[]),
            i: Complex(0.0, -0.0),
            j: None,
            k: [0, 0],
            l: Empty,
        };
        check(&schema, &zeros, &format!("{definitions} 09ff820b020000010000"));
        // What Go never writes and always reads: a zero that is there.
        let explicit = Zeros { j: Some(0), ..zeros };
        check(&schema, &explicit, &format!("{definitions} 0bff820a0001020000010000"));
        let full = Zeros {
            a: true,
            b: -1,
            c: 300,
            d: 1.5,
            e: "x",
            f: &[1, 200],
            g: &[0, -5],
            h: Pairs(&[("", 0)]),
            i: Complex(0.0, -2.0),
            j: None,
            k: [7, 0],
            l: Empty,
        };
        let bytes = "28ff820101010101fe012c01fef83f010178010201c8010200090101000001 00ffc002020e
            00010000";
        check(&schema, &full, &format!("{definitions} {bytes}"));
    }

    /// Go: `type Floats struct { A, B, C float64 }`, `type Outer struct { A Inner; B []Inner }`,
    /// `type Tree struct { Kids []Tree; V int }`, and types without names
    #[test]
    fn values_are_as_in_go() {
        let floats = schema(|builder| {
            let fields = [("A", Type::FLOAT), ("B", Type::FLOAT), ("C", Type::FLOAT)];
            builder.structure("Floats", &fields)
        });
        let value =
            BTreeMap::from([("A", -0.0), ("B", f64::from_bits(0x7ff8 << 48 | 1)), ("C", 17.0)]);
        let bytes = "26ff8103010106466c6f61747301ff8200010301014101080001014201080001014301080000
            0011ff8202f8010000000000f87f01fe314000";
        check(&floats, &value, bytes);

        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct Outer {
            a: Inner,
            b: [Inner; 2],
        }
        let outer = schema(|builder| {
            let inner = inner(builder);
            let inners = builder.go_slice("[]main.Inner", inner);
            builder.structure("Outer", &[("A", inner), ("B", inners)])
        });
        let [a, b, c] = [(1, 0), (0, 0), (0, 2)].map(|(x, y)| Inner { x, y });
        let bytes = "21ff81030101054f7574657201ff8200010201014101ff840001014201ff860000001fff8303
            010105496e6e657201ff8400010201015801040001015901040000001bff850201010c5b5d6d61696e2e49
            6e6e657201ff860001ff8400000dff820101020001020002040000";
        check(&outer, &Outer { a, b: [b, c] }, bytes);

        #[derive(Default, Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct Tree {
            kids: Vec<Self>,
            v: i64,
        }
        let tree = schema(|builder| {
            let tree = builder.declare();
            let kids = builder.go_slice("[]main.Tree", tree);
            builder.define_structure(tree, "Tree", &[("Kids", kids), ("V", Type::INT)]);
            tree
        });
        let kids =
            vec![Tree { v: 1, ..Tree::default() }, Tree { kids: vec![Tree::default()], v: 0 }];
        let bytes = "22ff81030101045472656501ff8200010201044b69647301ff840001015601040000001aff83
            0201010b5b5d6d61696e2e5472656501ff840001ff8200000eff82010202020001010000010a00";
        check(&tree, &Tree { kids, v: 5 }, bytes);
        let slices = schema(|builder| {
            let ints = builder.go_slice("", Type::INT);
            builder.go_slice("", ints)
        });
        let bytes = "0dff83020102ff840001ff8200000cff81020102ff82000104000008ff84000202020400";
        check(&slices, &[vec![1, 2], vec![]], bytes);
        let map = schema(|builder| builder.go_map("", Type::STRING, Type::UINT));
        let bytes = "0eff81040102ff8200010c0106000008ff8200010161ff80";
        check(&map, &BTreeMap::from([("a", 128_u8)]), bytes);
        let array = schema(|builder| builder.go_array("", 3, Type::STRING));
        check(&array, &("", "b", ""), "0eff81010102ff8200010c0106000008ff82000300016200");
    }

    /// Go: `type SS struct { A [][]int; M map[int][]string; R [2][2]uint8; Last bool }`
    #[test]
    fn types_in_types_are_as_in_go() {
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct Types {
            a: [&'static [i64]; 2],
            m: BTreeMap<i8, (&'static str, &'static str)>,
            r: [[u8; 2]; 2],
            last: bool,
        }
        let schema = schema(|builder| {
            let ints = builder.go_slice("", Type::INT);
            let a = builder.go_slice("[][]int", ints);
            let strings = builder.go_slice("", Type::STRING);
            let m = builder.go_map("map[int][]string", Type::INT, strings);
            let pair = builder.go_array("", 2, Type::UINT);
            let r = builder.go_array("[2][2]uint8", 2, pair);
            builder.structure("SS", &[("A", a), ("M", m), ("R", r), ("Last", Type::BOOL)])
        });
        let value = Types {
            a: [&[1], &[]],
            m: BTreeMap::from([(-1, ("a", ""))]),
            r: [[1, 2], [0, 255]],
            last: true,
        };
        let bytes = "2eff8103010102535301ff8200010401014101ff860001014d01ff8a0001015201ff8e000104
            4c617374010200000016ff85020101075b5d5b5d696e7401ff860001ff8400000cff83020102ff84000104
            000021ff89040101106d61705b696e745d5b5d737472696e6701ff8a00010401ff8800000cff87020102ff
            8800010c00001cff8d0101010b5b325d5b325d75696e743801ff8e0001ff8c010400000eff8b010102ff8c
            000106010400001aff8201020102000101010201610001020201020200ffff010100";
        check(&schema, &value, bytes);
    }

    /// Go: `type G struct { Name string; T Tag; U *Tag }`, `type Tag struct{ V byte }` with
    /// `GobEncode`
    #[test]
    fn bytes_of_a_type_s_own_are_as_in_go() {
        #[derive(Serialize)]
        #[serde(rename = "$gob:gob:Tag")]
        struct Tag(#[serde(with = "serde_bytes")] Vec<u8>);
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct Tagged {
            name: &'static str,
            t: Tag,
            u: Option<Tag>,
        }
        let tagged = schema(|builder| {
            let tag = builder.opaque("Tag", Marshaler::Gob);
            builder.structure("G", &[("Name", Type::STRING), ("T", tag), ("U", tag)])
        });
        let value = Tagged { name: "g", t: Tag(vec![7]), u: Some(Tag(vec![9])) };
        let bytes = "26ff81030101014701ff8200010301044e616d65010c0001015401ff840001015501ff840000
            000fff830501010354616701ff840000000cff8201016701010701010900";
        check(&tagged, &value, bytes);
        let tag = schema(|builder| builder.opaque("Tag", Marshaler::Gob));
        check(&tag, &Tag(vec![7]), "0fff810501010354616701ff8200000005ff82000107");
    }

    #[test]
    fn basic_types_are_as_in_go() {
        let schema = |root| Schema::builder().build(root).unwrap();
        check(&schema(Type::STRING), "text", "070c000474657874");
        check(&schema(Type::STRING), "", "030c0000");
        check(&schema(Type::INT), &-5_i8, "03040009");
        check(&schema(Type::INT), &0, "03040000");
        check(&schema(Type::INT), &'\u{1f}', "0304003e");
        check(&schema(Type::UINT), &500_u64, "050600fe01f4");
        check(&schema(Type::BOOL), &true, "03020001");
        check(&schema(Type::FLOAT), &1.5_f32, "050800fef83f");
        check(&schema(Type::COMPLEX), &Complex(1.0, 2.0), "060e00fef03f40");
        check(&schema(Type::COMPLEX), &NewComplex((1.0, 2.0)), "060e00fef03f40");
        check(&schema(Type::BYTES), serde_bytes::Bytes::new(b"ab"), "050a00026162");
        check(&schema(Type::BYTES), &[0_u8, 127, 128, 255], "070a0004007f80ff");
        check(&schema(Type::BYTES), serde_bytes::Bytes::new(b""), "030a0000");
        check(&schema(Type::INTERFACE), &(), "03100000");
    }

    /// Go: `type Shapes struct { Any any; List []any }`
    #[test]
    fn basic_types_in_interfaces_are_as_in_go() {
        #[derive(Serialize)]
        #[serde(untagged)]
        enum Any {
            Nil,
            Bool(bool),
            Int(i8),
            Uint(u8),
            Float(f32),
            String(&'static str),
            Bytes(#[serde(with = "serde_bytes")] &'static [u8]),
            Complex(NewComplex),
        }
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct Shapes {
            any: Any,
            list: Vec<Any>,
        }
        let schema = schema(|builder| {
            let list = builder.go_slice("[]interface {}", Type::INTERFACE);
            builder.structure("Shapes", &[("Any", Type::INTERFACE), ("List", list)])
        });
        let list = vec![
            Any::Bool(true),
            Any::Uint(9),
            Any::Float(2.5),
            Any::String("s"),
            Any::Bytes(b"b"),
            Any::Complex(NewComplex((1.0, 0.0))),
            Any::Nil,
        ];
        let definitions = "26ff810301010653686170657301ff820001020103416e7901100001044c69737401ff
            840000001cff830201010e5b5d696e74657266616365207b7d01ff840001100000";
        let bytes = "5eff820105696e74363404020005010704626f6f6c020200010675696e743634060200090766
            6c6f61743634080400fe044006737472696e670c03000173075b5d75696e74380a030001620a636f6d706c
            65783132380e0500fef03f000000";
        check(&schema, &Shapes { any: Any::Int(-3), list }, &format!("{definitions} {bytes}"));
        let nothing = Shapes { any: Any::Nil, list: vec![] };
        check(&schema, &nothing, &format!("{definitions} 03ff8200"));
    }

    #[derive(Serialize)]
    enum Shape {
        #[serde(rename = "main.Square", rename_all = "PascalCase")]
        Square { side: f64 },
        #[serde(rename = "main.Length")]
        Length(i64),
        #[serde(rename = "main.Pair")]
        Pair(u8, u8),
        #[serde(rename = "main.Group")]
        Group(Vec<Option<Self>>),
        #[serde(rename = "main.Text")]
        Text(String),
    }

    /// Go: `type Square struct{ Side float64 }; type Length int; type Pair [2]uint8;
    /// type Group []any; type Text string`
    fn shape(builder: &mut SchemaBuilder) -> Type {
        let shape = builder.declare();
        let square = builder.structure("Square", &[("Side", Type::FLOAT)]);
        let pair = builder.go_array("Pair", 2, Type::UINT);
        let group = builder.go_slice("Group", shape);
        let variants = [
            ("main.Square", square),
            ("main.Length", Type::INT),
            ("main.Pair", pair),
            ("main.Group", group),
            ("main.Text", Type::STRING),
        ];
        let variants = variants.map(|(name, of)| Field { name: name.into(), kind: of.0 }).into();
        builder.define(shape, Definition::Choice { variants });
        shape
    }

    /// Go: `type Drawing struct { First any; Rest []any }`. Go itself defines `Square` in the
    /// middle of the value; it has read these bytes and found the same value.
    #[test]
    fn enums_are_values_of_registered_types() {
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct Drawing {
            first: Option<Shape>,
            rest: Vec<Shape>,
        }
        let drawing = schema(|builder| {
            let shape = shape(builder);
            let shapes = builder.go_slice("[]interface {}", shape);
            builder.structure("Drawing", &[("First", shape), ("Rest", shapes)])
        });
        let group = vec![None, Some(Shape::Text("x".repeat(130))), Some(Shape::Pair(1, 128))];
        let value = Drawing {
            first: Some(Shape::Square { side: 2.0 }),
            rest: vec![Shape::Length(-1), Shape::Group(group), Shape::Square { side: 0.0 }],
        };
        let definitions = "29ff810301010744726177696e6701ff82000102010546697273740110000104526573
            7401ff840000001cff830201010e5b5d696e74657266616365207b7d01ff8400011000001dff85030101
            0653717561726501ff86000101010453696465010800000014ff87010101045061697201ff8800010601
            04000013ff890201010547726f757001ff8a0001100000";
        let head = "ffeeff82010b6d61696e2e537175617265ff860301400001030b6d61696e2e4c656e67
            7468040200010a6d61696e2e47726f7570ff8affa7000300096d61696e2e546578740cff8500ff82";
        let text = "78".repeat(130);
        let tail = "096d61696e2e50616972ff8805000201ff800b6d61696e2e537175617265ff86010000";
        check(&drawing, &value, &format!("{definitions} {head} {text} {tail}"));
        let empty = Drawing { first: None, rest: vec![] };
        check(&drawing, &empty, &format!("{definitions} 03ff8200"));
        check(&drawing, &Pairs(&[]), &format!("{definitions} 03ff8200"));
    }

    /// Says nothing, or something wrong, about how long it is.
    struct Announced<T>(Option<usize>, T);

    impl Serialize for Announced<&[i64]> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut elements = serializer.serialize_seq(self.0)?;
            self.1.iter().try_for_each(|element| elements.serialize_element(element))?;
            elements.end()
        }
    }

    impl Serialize for Announced<&BTreeMap<i64, i64>> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut entries = serializer.serialize_map(self.0)?;
            self.1.iter().try_for_each(|(key, value)| entries.serialize_entry(key, value))?;
            entries.end()
        }
    }

    #[test]
    fn counts_are_what_came_and_not_what_was_announced() {
        let slice = schema(|builder| builder.slice(Type::INT));
        let map = schema(|builder| builder.map(Type::INT, Type::INT));
        let field = schema(|builder| {
            let (slice, map) = (builder.slice(Type::INT), builder.map(Type::INT, Type::INT));
            builder.structure("", &[("Slice", slice), ("Map", map), ("Last", Type::INT)])
        });
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct Both<S, M> {
            slice: S,
            map: M,
            last: i8,
        }
        for len in [0, 1, 127, 128, 300] {
            let list: Vec<i64> = (0..len).collect();
            let entries: BTreeMap<i64, i64> = (0..len).map(|number| (number, -number)).collect();
            let both = Both { slice: &list, map: &entries, last: 1 };
            let [list_bytes, map_bytes, both_bytes] = [
                to_vec_as(&slice, &list).unwrap(),
                to_vec_as(&map, &entries).unwrap(),
                to_vec_as(&field, &both).unwrap(),
            ];
            for announced in [None, Some(0), Some(1), Some(128), Some(300), Some(70_000)] {
                let list = Announced(announced, &*list);
                let entries = Announced(announced, &entries);
                assert_eq!(to_vec_as(&slice, &list).unwrap(), list_bytes);
                assert_eq!(to_vec_as(&map, &entries).unwrap(), map_bytes);
                let both = Both { slice: list, map: entries, last: 1 };
                assert_eq!(to_vec_as(&field, &both).unwrap(), both_bytes);
            }
        }
    }

    #[test]
    fn a_map_can_be_a_struct() {
        let schema = schema(inner);
        let expected = hex(&to_vec_as(&schema, &Inner { x: 0, y: 4 }).unwrap());
        check(&schema, &Pairs(&[("X", 0), ("Y", 4)]), &expected);
        check(&schema, &Pairs(&[("Y", 4)]), &expected);

        #[derive(Serialize)]
        struct Flattened {
            #[serde(rename = "X", skip_serializing_if = "Option::is_none")]
            x: Option<i64>,
            #[serde(flatten)]
            rest: Rest,
        }
        #[derive(Serialize)]
        struct Rest {
            #[serde(rename = "Y")]
            y: i64,
        }
        check(&schema, &Flattened { x: None, rest: Rest { y: 4 } }, &expected);
    }

    /// Expects these bytes, after those that are there already.
    #[track_caller]
    fn check_next<T>(encoder: &mut Encoder, schema: &Schema, value: &T, bytes: &str)
    where
        T: Serialize + ?Sized,
    {
        let mut out = b"before".to_vec();
        encoder.encode_as(schema, value, &mut out).unwrap();
        assert_eq!(out.strip_prefix(b"before").map(hex).as_deref(), Some(bytes));
    }

    /// Go: `Inner{1, 2}, Inner{3, 0}, []string{"x"}, Floats{A: 1}, Inner{0, 4}` on one stream
    #[test]
    fn a_type_is_defined_once_on_a_stream() {
        let inners = schema(inner);
        let strings = schema(|builder| builder.go_slice("", Type::STRING));
        let floats = schema(|builder| {
            let fields = [("A", Type::FLOAT), ("B", Type::FLOAT), ("C", Type::FLOAT)];
            builder.structure("Floats", &fields)
        });
        let encoder = &mut Encoder::new();
        let defined = "1fff8103010105496e6e657201ff820001020101580104000101590104000000\
                       07ff820102010400";
        check_next(encoder, &inners, &Inner { x: 1, y: 2 }, defined);
        check_next(encoder, &inners, &Inner { x: 3, y: 0 }, "05ff82010600");
        check_next(encoder, &strings, &["x"], "0cff83020102ff8400010c000006ff8400010178");
        let defined = "26ff8503010106466c6f61747301ff86000103010141010800010142010800010143010800\
                       000007ff8601fef03f00";
        check_next(encoder, &floats, &BTreeMap::from([("A", 1.0)]), defined);
        check_next(encoder, &inners, &Inner { x: 0, y: 4 }, "05ff82020800");
        check_next(encoder, &schema(inner), &Inner { x: 0, y: 4 }, "05ff82020800");
        check_next(encoder, &strings, &["x"], "06ff8400010178");
        check_next(encoder, &Schema::builder().build(Type::INT).unwrap(), &1, "03040002");
    }

    #[test]
    fn an_error_leaves_buffer_and_stream_as_they_were() {
        let (inners, strings) = (schema(inner), schema(|builder| builder.slice(Type::STRING)));
        let [first, next] = {
            let (mut encoder, mut out) = (Encoder::new(), Vec::new());
            encoder.encode_as(&inners, &Inner { x: 1, y: 2 }, &mut out).unwrap();
            let next = out.len();
            encoder.encode_as(&strings, &["x"], &mut out).unwrap();
            [hex(&out[..next]), hex(&out[next..])]
        };
        let encoder = &mut Encoder::new();
        let fail = |encoder: &mut Encoder, schema: &Schema| {
            let mut out = b"before".to_vec();
            encoder.encode_as(schema, &vec![("X", "text")], &mut out).unwrap_err();
            assert_eq!(out, b"before");
        };
        fail(encoder, &inners);
        fail(encoder, &strings);
        check_next(encoder, &inners, &Inner { x: 1, y: 2 }, &first);
        fail(encoder, &inners);
        fail(encoder, &strings);
        check_next(encoder, &strings, &["x"], &next);
        // One id is left, and it is the largest.
        encoder.ids_taken = IDS_MAX - 1;
        let ints = schema(|builder| builder.go_slice("", Type::INT));
        let nested = schema(|builder| {
            let ints = builder.go_slice("", Type::INT);
            builder.go_slice("", ints)
        });
        let error = encoder.encode_as(&nested, &[[1_i8]], &mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "the stream has no ids left for more types");
        check_next(
            encoder,
            &ints,
            &[1_i8],
            "12fcfffffffd020102fcfffffffe000104000008fcfffffffe000102",
        );
    }

    /// Expects this error.
    #[track_caller]
    fn check_error<T: Serialize + ?Sized>(schema: &Schema, value: &T, kind: ErrorKind, text: &str) {
        let error = to_vec_as(schema, value).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.kind()), (text, kind));
    }

    /// Any value, so that a table can hold it.
    trait Erased {
        fn check(&self, schema: &Schema, kind: ErrorKind, text: &str);
    }

    impl<T: Serialize> Erased for T {
        fn check(&self, schema: &Schema, kind: ErrorKind, text: &str) {
            check_error(schema, self, kind, text);
        }
    }

    #[test]
    fn what_does_not_fit_the_schema_is_an_error_that_says_where() {
        let fails = |root: Type, value: &dyn Erased, text: &str| {
            let schema = Schema::builder().build(root).unwrap();
            value.check(&schema, ErrorKind::Mismatch, text);
        };
        fails(Type::STRING, &1_i64, "the schema says string, the value is a signed integer");
        fails(Type::INT, &1_u8, "the schema says int, the value is an unsigned integer");
        fails(Type::UINT, &1_i8, "the schema says uint, the value is a signed integer");
        fails(Type::UINT, &1.0_f32, "the schema says uint, the value is a float");
        fails(Type::FLOAT, &true, "the schema says float, the value is a bool");
        fails(Type::BYTES, &"text", "the schema says bytes, the value is a string");
        fails(Type::BOOL, &Inner { x: 0, y: 0 }, "the schema says bool, the value is a struct");
        fails(Type::BOOL, &Empty, "the schema says bool, the value is a unit struct");
        fails(Type::BOOL, &(), "the schema says bool, the value is ()");
        fails(Type::BOOL, &[0], "the schema says bool, the value is a tuple");
        fails(Type::BOOL, &vec![0], "the schema says bool, the value is a sequence");
        fails(Type::BOOL, &Pairs(&[]), "the schema says bool, the value is a map");
        let shape_text = "the schema says string, the value is an enum's variant with content";
        fails(Type::STRING, &Shape::Length(1), shape_text);
        fails(Type::BYTES, &[1_u16, 256], "[1]: the schema says bytes, the value is over 255");
        fails(Type::COMPLEX, &[1.0], "the schema says 2 elements, the value has 1");
        fails(Type::COMPLEX, &[1, 0], "[0]: the schema says float, the value is a signed integer");
    }

    #[test]
    fn the_way_to_what_does_not_fit_is_told() {
        let mismatch = ErrorKind::Mismatch;
        let array = schema(|builder| builder.array(2, Type::INT));
        check_error(&array, &[1], mismatch, "the schema says 2 elements, the value has 1");
        check_error(&array, &vec![1; 3], mismatch, "the schema says 2 elements, the value has 3");
        let inners = schema(inner);
        check_error(&inners, &Pairs(&[("Z", 0)]), mismatch, "the schema has no field Z");
        let late = "the field X comes too late: the schema has an order";
        check_error(&inners, &Pairs(&[("Y", 0), ("X", 0)]), mismatch, late);
        check_error(&inners, &Pairs(&[("X", 0), ("X", 0)]), mismatch, late);
        let key = "the schema says string, the value is a signed integer";
        check_error(&inners, &BTreeMap::from([(1, 1)]), mismatch, key);

        let recursive = schema(complex_data);
        let text = BTreeMap::from([("C", BTreeMap::from([("M", BTreeMap::from([("x", "y")]))]))]);
        let path = r#"C.M["x"]: the schema says int, the value is a string"#;
        check_error(&recursive, &text, mismatch, path);
        let keys = BTreeMap::from([("M", BTreeMap::from([(1, 1)]))]);
        let path = "M[]: the schema says string, the value is a signed integer";
        check_error(&recursive, &keys, mismatch, path);
        let table = schema(|builder| {
            let row = builder.slice(Type::BOOL);
            builder.map(Type::INT, row)
        });
        let rows = BTreeMap::from([(-7, (true, "no"))]);
        let path = "[-7][1]: the schema says bool, the value is a string";
        check_error(&table, &rows, mismatch, path);
        let shapes = schema(shape);
        #[derive(Serialize)]
        enum Other {
            Round(i64),
        }
        let text = "the schema's interface has no type Round";
        check_error(&shapes, &Other::Round(1), mismatch, text);
        #[derive(Serialize)]
        enum Nameless {
            #[serde(rename = "")]
            Nil(i64),
        }
        let nameless = schema(|builder| builder.interface(&[("", Type::INT)]));
        let text = "the schema's interface has no type ";
        check_error(&nameless, &Nameless::Nil(1), mismatch, text);
        let text = "the schema says interface, the value is a string";
        check_error(&shapes, "text", mismatch, text);
    }

    #[test]
    fn what_gob_has_no_form_for_is_an_error() {
        let unsupported = ErrorKind::Unsupported;
        let ints = schema(|builder| builder.slice(Type::INT));
        let none = "None has no form in gob, unless it is a struct's field or in an interface";
        check_error(&ints, &None::<()>, unsupported, none);
        check_error(&ints, &[Some(1), None], unsupported, &format!("[1]: {none}"));
        let inners = schema(inner);
        let text = format!("X: {none}");
        check_error(&inners, &BTreeMap::from([("X", Some(None::<i64>))]), unsupported, &text);
        let text = "[0]: an integer of 128 bits has no form in gob";
        check_error(&ints, &[1_i128], unsupported, text);
        check_error(&ints, &[1_u128], unsupported, text);
        let any = Schema::builder().build(Type::INTERFACE).unwrap();
        let way_out = "in an interface of any type: its registered name is not known; a Value that \
                       is a struct, a map or a sequence needs its schema: Encoder::encode_as with \
                       Decoder::schema";
        let fails = |value: &dyn Erased, text: &str| {
            value.check(&any, unsupported, &format!("{text} {way_out}"));
        };
        fails(&Inner { x: 1, y: 2 }, "a struct");
        fails(&Value::Struct(vec![("X".to_owned(), Value::Int(1))]), "a map");
        fails(&Value::Struct(Vec::new()), "an empty map");
        fails(&Value::Slice(Vec::new()), "a sequence");
        #[derive(Serialize)]
        #[serde(rename = "$gob:gob:Tag")]
        struct Tag(#[serde(with = "serde_bytes")] Vec<u8>);
        fails(&Tag(vec![1]), "bytes of a type's own");
    }

    #[test]
    fn levels_are_bounded() {
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct List {
            next: Option<Box<Self>>,
        }
        let list = |levels: usize| {
            (1..levels).fold(List { next: None }, |list, _| List { next: Some(list.into()) })
        };
        let lists = schema(|builder| {
            let list = builder.declare();
            builder.define_structure(list, "List", &[("Next", list)]);
            list
        });
        let shapes = schema(shape);
        // Each is two levels: the interface and the slice.
        let shape = |levels: usize| {
            (2..levels)
                .step_by(2)
                .fold(Shape::Group(vec![]), |shape, _| Shape::Group(vec![Some(shape)]))
        };
        for depth_max in [2, 10, 200] {
            let limits = Limits { depth_max, ..Limits::default() };
            let (mut encoder, mut out) = (Encoder::with_limits(limits), Vec::new());
            for _ in 0..2 {
                encoder.encode_as(&lists, &list(depth_max), &mut out).unwrap();
                encoder.encode_as(&shapes, &shape(depth_max), &mut out).unwrap();
            }
            let text = format!("a value with more levels: over depth_max ({depth_max})");
            for error in [
                encoder.encode_as(&lists, &list(depth_max + 1), &mut out).unwrap_err(),
                encoder.encode_as(&shapes, &shape(depth_max + 1), &mut out).unwrap_err(),
            ] {
                assert_eq!((error.text(), error.kind()), (text.as_str(), ErrorKind::Limit));
            }
        }
    }
}
