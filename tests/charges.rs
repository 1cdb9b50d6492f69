//! What a decoded value is charged, and what it takes: for each kind of type and the payload that
//! makes most of it.
//!
//! The bytes that live are those that the allocator was asked for. A charge has what the allocator
//! itself adds on top, some 8 to 31 bytes for each piece, so it is the larger one. By how much at
//! most is in each row; honest values are those that a program would send.

#![cfg(all(feature = "bincode", feature = "json"))]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::vec_box,
    reason = "a panic is how a test fails, and boxes are what is measured"
)]

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque};
use std::fmt::Write as _;
use std::path::PathBuf;

use allocation_counter::measure;
use bytes::Bytes;
use serde::de::{EnumAccess, SeqAccess, VariantAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_bytes::ByteBuf;
use serde_json::Value;
use switchboard::format::{Bincode, Budget, Format, Json};
use switchboard::{Code, Limits};
use switchboard_testing::nested::{Chain, List, Map, Tree};

/// What was found of one type.
struct Row {
    name: &'static str,
    payload_bytes: usize,
    charge: usize,
    live_bytes: usize,
    peak_bytes: usize,
    factor_max: usize,
}

#[derive(Default)]
struct Table {
    rows: Vec<Row>,
}

impl Table {
    /// Decodes `payload` as a `T`. The charge is at least what lives, and at most `factor_max`
    /// times as much.
    fn add<F: Format<T>, T>(
        &mut self,
        name: &'static str,
        factor_max: usize,
        payload: impl Into<Vec<u8>>,
    ) {
        let payload: &'static [u8] = Box::leak(payload.into().into_boxed_slice());
        let limits = Limits::default().with(|limits| limits.decode_bytes_max = 1 << 30);
        let budget = Budget::new(&limits, payload.len());
        let mut value = None;
        let found = measure(|| value = Some(F::decode(Bytes::from_static(payload), &budget)));
        value.unwrap().unwrap_or_else(|error| panic!("{name}: {error}"));
        self.rows.push(Row {
            name,
            payload_bytes: payload.len(),
            charge: budget.memory_used(),
            live_bytes: usize::try_from(found.bytes_current).unwrap(),
            peak_bytes: usize::try_from(found.bytes_max).unwrap(),
            factor_max,
        });
    }

    fn check(&self) {
        let mut text = "type, bytes of: payload, charge, live, peak, charge by live\n".to_owned();
        let mut faults = String::new();
        for row in &self.rows {
            let Row { name, payload_bytes, charge, live_bytes, peak_bytes, factor_max } = row;
            let factor = *charge as f64 / (*live_bytes).max(1) as f64;
            let line = format!(
                "{name:44} {payload_bytes:>8} {charge:>10} {live_bytes:>10} {peak_bytes:>10} \
                 {factor:>6.2}"
            );
            writeln!(text, "{line}").unwrap();
            // While a container grows its old memory lives too, which fits but is not kept charged.
            let is_covered = live_bytes <= charge && *peak_bytes <= charge * 3 / 2 + payload_bytes;
            if !is_covered || *charge > live_bytes * factor_max + 256 {
                writeln!(faults, "{line}").unwrap();
            }
        }
        println!("{text}");
        assert!(faults.is_empty(), "charged too little or far too much:\n{faults}");
    }
}

/// A length and then the same again and again, as bincode has it.
fn times(count: u32, element: &[u8]) -> Vec<u8> {
    [&[0xfc], count.to_le_bytes().as_slice(), &element.repeat(count as usize)].concat()
}

fn json_times(count: usize, element: &str) -> String {
    format!("[{}{element}]", format!("{element},").repeat(count - 1))
}

fn bincode<T: Serialize>(value: &T) -> Vec<u8> {
    bincode::serde::encode_to_vec(value, bincode::config::standard()).unwrap()
}

#[derive(Serialize, Deserialize)]
struct Name(String);

#[derive(Serialize, Deserialize)]
struct Hidden(Box<u64>);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(u64),
    Texts(Vec<String>),
    Table(BTreeMap<String, Self>),
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    Point { x: f64, y: f64 },
    Label { text: String },
}

#[derive(Serialize, Deserialize)]
struct Flat {
    id: u64,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct Person {
    id: u64,
    name: String,
    email: Option<String>,
    tags: Vec<String>,
    scores: BTreeMap<String, f64>,
    is_active: bool,
}

/// A container of somebody else's: a heap of boxes, of which nothing is known.
#[expect(dead_code, reason = "they are there to take memory")]
struct Boxes(Vec<Box<u64>>);

impl<'de> Deserialize<'de> for Boxes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Numbers;
        impl<'de> Visitor<'de> for Numbers {
            type Value = Boxes;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("numbers")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Boxes, A::Error> {
                let mut boxes = Vec::with_capacity(access.size_hint().unwrap_or(0));
                while let Some(number) = access.next_element()? {
                    boxes.push(Box::new(number));
                }
                Ok(Boxes(boxes))
            }
        }
        deserializer.deserialize_seq(Numbers)
    }
}

/// They are decoded only, and a format asks for both.
macro_rules! never_encoded {
    ($($name:ident)*) => {$(
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_unit()
            }
        }
    )*};
}

never_encoded! { Boxes Kept Behind }

/// A tuple that is kept in a vector: its fields do not lie within it.
#[expect(dead_code, reason = "they are there to take memory")]
struct Kept(Vec<u64>);

impl<'de> Deserialize<'de> for Kept {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Kept;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a tuple of 100")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Kept, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = access.next_element()? {
                    fields.push(field);
                }
                Ok(Kept(fields))
            }
        }
        deserializer.deserialize_tuple(100, Fields)
    }
}

/// An enum that puts a content behind a pointer which is larger than itself.
#[expect(dead_code, reason = "it is there to take memory")]
enum Behind {
    Large(Box<[u64; 16]>),
}

impl<'de> Deserialize<'de> for Behind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Variant;
        impl<'de> Visitor<'de> for Variant {
            type Value = Behind;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a variant")
            }

            fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<Behind, A::Error> {
                let (_, content): (u32, _) = access.variant()?;
                Ok(Behind::Large(Box::new(content.newtype_variant()?)))
            }
        }
        deserializer.deserialize_enum("Behind", &["Large"], Variant)
    }
}

const N: u32 = 50_000;

const RECORD: &str = r#"{"id":7000001,"name":"Ada Lovelace","email":"ada@example.com",
    "active":true,"score":12.5,"tags":["red","round"],"city":"London","age":36}"#;

fn worst_vectors(table: &mut Table) {
    table.add::<Bincode, Vec<u8>>("Vec<u8>", 2, times(N, &[7]));
    table.add::<Bincode, Vec<u64>>("Vec<u64>", 2, times(N, &[7]));
    table.add::<Json, Vec<u8>>("Vec<u8>, no hint", 2, json_times(33_000, "1"));
    table.add::<Json, Vec<Option<[u64; 32]>>>(
        "Vec<Option<[u64; 32]>>",
        2,
        json_times(5000, "null"),
    );
    table.add::<Bincode, Vec<String>>("Vec<String>, empty", 2, times(N, &[0]));
    table.add::<Bincode, Vec<String>>("Vec<String>, of a byte", 3, times(N, &[1, b'x']));
    table.add::<Json, Vec<String>>("Vec<String>, escaped", 3, json_times(20_000, r#""\n""#));
    table.add::<Bincode, Vec<Vec<u8>>>("Vec<Vec<u8>>, empty", 2, times(N, &[0]));
    table.add::<Bincode, Vec<Vec<u8>>>("Vec<Vec<u8>>, of a byte", 4, times(N, &[1, 7]));
    table.add::<Json, Vec<Vec<u64>>>("Vec<Vec<u64>>, no hint", 2, json_times(20_000, "[1]"));
    table.add::<Bincode, Vec<Box<u8>>>("Vec<Box<u8>>", 5, times(N, &[7]));
    table.add::<Bincode, Vec<Box<u64>>>("Vec<Box<u64>>", 4, times(N, &[7]));
    table.add::<Bincode, Vec<Box<Box<u64>>>>("Vec<Box<Box<u64>>>", 4, times(N, &[7]));
    table.add::<Bincode, Vec<Option<Box<[u64; 8]>>>>(
        "Vec<Option<Box<[u64; 8]>>>",
        2,
        times(N, &[1, 0, 0, 0, 0, 0, 0, 0, 0]),
    );
    table.add::<Bincode, Vec<Box<str>>>("Vec<Box<str>>", 5, times(N, &[1, b'x']));
    table.add::<Bincode, Vec<Box<[u8]>>>("Vec<Box<[u8]>>", 5, times(N, &[1, 7]));
    table.add::<Bincode, Vec<ByteBuf>>("Vec<ByteBuf>", 3, times(N, &[1, 7]));
    table.add::<Bincode, Vec<Cow<'static, str>>>("Vec<Cow<str>>", 3, times(N, &[1, b'x']));
    table.add::<Bincode, Vec<PathBuf>>("Vec<PathBuf>", 3, times(N, &[1, b'x']));
    table.add::<Bincode, Vec<Hidden>>("Vec of newtypes of Box<u64>", 5, times(N, &[7]));
}

fn worst_collections(table: &mut Table) {
    table.add::<Bincode, VecDeque<u32>>("VecDeque<u32>", 2, times(N, &[7]));
    table.add::<Bincode, BinaryHeap<u16>>("BinaryHeap<u16>", 2, times(N, &[7]));
    table.add::<Bincode, LinkedList<u8>>("LinkedList<u8>", 3, times(N, &[7]));
    table.add::<Bincode, HashSet<u32>>("HashSet<u32>", 2, bincode(&(0..N).collect::<Vec<_>>()));
    table.add::<Bincode, HashMap<u64, u8>>(
        "HashMap<u64, u8>",
        2,
        bincode(&(0..u64::from(N)).map(|key| (key, 0)).collect::<HashMap<_, u8>>()),
    );
    table.add::<Bincode, Vec<HashSet<u8>>>("Vec<HashSet<u8>>, of one", 2, times(N, &[1, 7]));
    table.add::<Bincode, Vec<HashMap<u8, u8>>>(
        "Vec<HashMap<u8, u8>>, of one",
        2,
        times(N, &[1, 7, 7]),
    );
    table.add::<Bincode, Vec<HashMap<u8, [u64; 8]>>>(
        "Vec<HashMap<u8, [u64; 8]>>, of one",
        2,
        times(N, &[1, 7, 0, 0, 0, 0, 0, 0, 0, 0]),
    );
    table.add::<Bincode, Vec<BTreeSet<u8>>>("Vec<BTreeSet<u8>>, of one", 3, times(N, &[1, 7]));
    table.add::<Bincode, Vec<BTreeMap<u8, u8>>>(
        "Vec<BTreeMap<u8, u8>>, of one",
        2,
        times(N, &[1, 7, 7]),
    );
    table.add::<Bincode, Vec<BTreeMap<u8, [u64; 8]>>>(
        "Vec<BTreeMap<u8, [u64; 8]>>, of one",
        2,
        times(N, &[1, 7, 0, 0, 0, 0, 0, 0, 0, 0]),
    );
    table.add::<Bincode, BTreeSet<u32>>("BTreeSet<u32>", 3, bincode(&(0..N).collect::<Vec<_>>()));
    let down: Vec<_> = (0..N).rev().map(|key| (key, 0_u64)).collect();
    table.add::<Bincode, BTreeMap<u32, u64>>("BTreeMap<u32, u64>, from the end", 2, bincode(&down));
    table.add::<Bincode, Vec<Tree>>("trees of vectors", 3, times(N, &[2, 0, 1, 0]));
    table.add::<Bincode, Vec<Map>>("trees of maps", 2, times(N, &[1, 7, 1, 7, 0]));
    table.add::<Bincode, Vec<Chain>>("chains", 8, times(N, &[1, 1, 1, 0]));
    table.add::<Bincode, Vec<List>>("lists", 8, times(N, &[1, 1, 1, 0]));
    table.add::<Bincode, Vec<Boxes>>("an unknown container, of one", 14, times(N, &[1, 7]));
    table.add::<Bincode, Boxes>("an unknown container", 5, times(N, &[7]));
    table.add::<Bincode, Vec<Kept>>("tuples kept in vectors", 7, times(500, &[7; 100]));
    let large = [&[0_u8][..], &[7; 16]].concat();
    table.add::<Bincode, Vec<Behind>>("enums with a box by hand", 2, times(5000, &large));
}

/// Tables as full as they may be, and with one entry more.
fn edges_of_hash_tables(table: &mut Table) {
    for (name, count) in [
        ("HashSet<u64>, of 3", 3),
        ("HashSet<u64>, of 4", 4),
        ("HashSet<u64>, of 7", 7),
        ("HashSet<u64>, of 8", 8),
        ("HashSet<u64>, of 14", 14),
        ("HashSet<u64>, of 15", 15),
        ("HashSet<u64>, of 28", 28),
        ("HashSet<u64>, of 29", 29),
    ] {
        let set: Vec<u64> = (0..count).collect();
        // In JSON, which announces no length: the table grows by itself.
        let text = serde_json::to_string(&set).unwrap();
        table.add::<Json, Vec<HashSet<u64>>>(name, 2, json_times(2000, &text));
    }
}

fn worst_json(table: &mut Table) {
    table.add::<Json, Value>("Value, objects of one", 2, json_times(30_000, r#"{"":[]}"#));
    table.add::<Json, Value>("Value, nested objects", 2, json_times(9000, r#"{"":{"":{"":0}}}"#));
    table.add::<Json, Value>("Value, arrays of one", 2, json_times(50_000, "[0]"));
    table.add::<Json, Value>("Value, strings", 3, json_times(50_000, r#""x""#));
    table.add::<Json, Value>("Value, numbers", 2, json_times(66_000, "0"));
    let object = (0..20_000).fold(String::new(), |text, key| format!("{text},\"{key}\":0"));
    table.add::<Json, Value>("Value, an object", 3, format!("{{{}}}", &object[1..]));
    table.add::<Json, serde_json::Map<String, Value>>(
        "Map<String, Value>",
        3,
        format!("{{{}}}", &object[1..]),
    );
    table.add::<Json, Vec<Untagged>>("untagged, texts", 30, json_times(20_000, r#"["x"]"#));
    table.add::<Json, Vec<Untagged>>("untagged, maps", 8, json_times(20_000, r#"{"":1}"#));
    table.add::<Json, Vec<Tagged>>(
        "tagged",
        50,
        json_times(9000, r#"{"x":1,"y":2,"kind":"Point"}"#),
    );
    table.add::<Json, Vec<Flat>>("flattened", 5, json_times(9000, r#"{"id":7,"a":1,"b":2}"#));
}

fn honest(table: &mut Table) {
    table.add::<Json, Value>("Value, records", 2, json_times(5000, RECORD));
    table.add::<Bincode, Vec<Name>>("newtypes of String", 2, times(20_000, b"\x0cAda Lovelace"));
    let person = Person {
        id: 7_000_001,
        name: "Ada Lovelace".to_owned(),
        email: Some("ada@example.com".to_owned()),
        tags: vec!["red".to_owned(), "round".to_owned()],
        scores: (0..5).map(|key| (format!("score {key}"), 0.5)).collect(),
        is_active: true,
    };
    let people: Vec<_> = std::iter::repeat_with(|| &person).take(3000).collect();
    let json = serde_json::to_vec(&people).unwrap();
    table.add::<Json, Vec<Person>>("records", 2, json);
    let words: HashMap<_, _> = (0..20_000)
        .map(|key| (format!("key number {key}"), vec![format!("value number {key}")]))
        .collect();
    table.add::<Bincode, HashMap<String, Vec<String>>>(
        "HashMap<String, Vec<String>>",
        2,
        bincode(&words),
    );
}

#[test]
fn a_value_takes_no_more_than_it_is_charged() {
    let mut table = Table::default();
    worst_vectors(&mut table);
    worst_collections(&mut table);
    edges_of_hash_tables(&mut table);
    worst_json(&mut table);
    honest(&mut table);
    assert!(table.rows.len() >= 30);
    table.check();
}

/// A megabyte of what programs send each other decodes within the defaults.
#[test]
fn a_large_document_is_not_refused() {
    let count = (1 << 20) / (RECORD.len() + 1);
    for text in [
        json_times(count, RECORD),
        json_times(40_000, "[51.5074,-0.1278,11.0]"),
        json_times(20_000, r#""a sentence of a usual length, with some words in it""#),
        json_times(200_000, "1.25"),
    ] {
        let text = Bytes::from(text.replace('\n', ""));
        let budget = Budget::new(&Limits::default(), text.len());
        let decoded: Result<Value, _> = Json::decode(text.clone(), &budget);
        let used = budget.memory_used();
        println!("{} bytes of JSON: charged {used}", text.len());
        decoded.unwrap_or_else(|error| panic!("{error}: {:.60?}", text));
    }
}

/// Vectors within vectors that announce more than they have.
#[test]
fn what_is_announced_is_charged_before_the_next_is_read() {
    let payload = Bytes::from(times(60_000, &[0xfc, 0, 0, 1, 0]));
    let limits = Limits::default().with(|limits| limits.decode_bytes_max = 4 << 20);
    let budget = Budget::new(&limits, payload.len());
    let mut code = None;
    let found = measure(|| {
        let decoded: Result<Tree, _> = Bincode::decode(payload.clone(), &budget);
        code = decoded.err().map(|error| error.code());
    });
    assert_eq!(code, Some(Code::TooLarge));
    assert!(found.bytes_max < 6 << 20, "{} bytes", found.bytes_max);
}
