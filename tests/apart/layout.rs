//! The bincode layout is frozen: `tests/data/golden/bincode.txt` has the bytes of a value of each
//! shape, and we and a second implementation (wincode) have to read and write exactly those.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    reason = "a panic is how a test fails"
)]

use std::collections::BTreeMap;
use std::fmt::Debug;

use bytes::{Bytes, BytesMut};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use switchboard::Limits;
use switchboard::format::{Bincode, Budget, Format};
use switchboard_testing::hex::{from_hex, to_hex};
use wincode::config::{Configuration, DEFAULT_PREALLOCATION_SIZE_LIMIT};
use wincode::int_encoding::{LittleEndian, VarInt};
use wincode::len::BincodeLen;
use wincode::{SchemaRead, SchemaWrite};

/// What bincode calls standard: little-endian varints, for lengths and variants as well.
type Standard =
    Configuration<true, DEFAULT_PREALLOCATION_SIZE_LIMIT, BincodeLen, LittleEndian, VarInt, u32>;

#[derive(Serialize, Deserialize, SchemaRead, SchemaWrite, PartialEq, Debug)]
struct Point {
    x: i32,
    y: i32,
    label: String,
}

#[derive(Serialize, Deserialize, SchemaRead, SchemaWrite, PartialEq, Debug)]
struct Pair(u8, u64);

#[derive(Serialize, Deserialize, SchemaRead, SchemaWrite, PartialEq, Debug)]
struct Meters(u64);

#[derive(Serialize, Deserialize, SchemaRead, SchemaWrite, PartialEq, Debug)]
enum Shape {
    Nothing,
    Circle(u32),
    Segment(i8, i8),
    Named { name: String, corners: u16 },
}

#[derive(Serialize, Deserialize, SchemaRead, SchemaWrite, PartialEq, Debug)]
struct Tree {
    value: u8,
    children: Vec<Self>,
}

/// The table; each value checked takes its line away, and none may be left.
struct Table {
    lines: BTreeMap<String, String>,
}

impl Table {
    fn check<T>(&mut self, name: &str, value: &T)
    where
        T: Serialize + DeserializeOwned + PartialEq + Debug,
        T: SchemaWrite<Standard, Src = T> + for<'de> SchemaRead<'de, Standard, Dst = T>,
    {
        let hex = self.check_ours(name, value);
        let written =
            wincode::config::serialize(value, Configuration::default().with_varint_encoding());
        assert_eq!(to_hex(&written.unwrap()), hex, "{name}: wincode wrote other bytes");
        let config = Configuration::default().with_varint_encoding();
        let read: T = wincode::config::deserialize_exact(&from_hex(&hex), config).unwrap();
        assert_eq!(read, *value, "{name}: wincode read another value");
    }

    /// For what wincode has no type for.
    fn check_ours<T>(&mut self, name: &str, value: &T) -> String
    where
        T: Serialize + DeserializeOwned + PartialEq + Debug,
    {
        let mut out = BytesMut::new();
        Bincode::encode(value, &Limits::default(), &mut out).unwrap();
        let hex =
            self.lines.remove(name).unwrap_or_else(|| panic!("no line {name}: {}", to_hex(&out)));
        assert_eq!(to_hex(&out), hex, "{name}: we wrote other bytes");
        let payload = Bytes::from(from_hex(&hex));
        let budget = Budget::new(&Limits::default(), payload.len());
        let read: T = Bincode::decode(payload, &budget).unwrap();
        assert_eq!(read, *value, "{name}: we read another value");
        hex
    }
}

#[test]
fn the_layout_of_bincode_stays_as_it_is() {
    let text = include_str!("../data/golden/bincode.txt");
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let lines = lines.map(|line| {
        let (name, hex) = line.split_once(':').expect("name: hex");
        (name.to_owned(), hex.trim().to_owned())
    });
    let mut table = Table { lines: lines.collect() };
    check_integers(&mut table);
    check_scalars(&mut table);
    check_compounds(&mut table);
    assert!(table.lines.is_empty(), "never checked: {:?}", table.lines);
}

fn check_integers(table: &mut Table) {
    table.check("u8 0", &0u8);
    table.check("u8 255", &255u8);
    table.check("i8 -1", &-1i8);
    table.check("u16 250", &250u16);
    table.check("u16 251", &251u16);
    table.check("u16 65535", &u16::MAX);
    table.check("u32 65536", &65_536u32);
    table.check("u32 4294967295", &u32::MAX);
    table.check("u64 250", &250u64);
    table.check("u64 251", &251u64);
    table.check("u64 65535", &65_535u64);
    table.check("u64 65536", &65_536u64);
    table.check("u64 4294967296", &4_294_967_296u64);
    table.check("u64 18446744073709551615", &u64::MAX);
    table.check("u128 18446744073709551616", &(1u128 << 64));
    table.check("i16 -125", &-125i16);
    table.check("i16 -126", &-126i16);
    table.check("i32 -1", &-1i32);
    table.check("i32 1", &1i32);
    table.check("i64 125", &125i64);
    table.check("i64 126", &126i64);
    table.check("i64 -9223372036854775808", &i64::MIN);
    table.check("i128 -1", &-1i128);
}

fn check_scalars(table: &mut Table) {
    table.check("unit", &());
    table.check("false", &false);
    table.check("true", &true);
    table.check("f32 1.5", &1.5f32);
    table.check("f64 -0.25", &-0.25f64);
    table.check("char a", &'a');
    table.check("char of three bytes", &'\u{20ac}');
    table.check("empty string", &String::new());
    table.check("string", &"Zo\u{eb}".to_owned());
    table.check("string of 251 bytes", &"x".repeat(251));
    table.check_ours("bytes", &serde_bytes::ByteBuf::from(vec![0, 255, 10]));
    // The same bytes, as wincode has no byte buffer of its own but lays a sequence out alike.
    table.check("sequence of u8", &vec![0u8, 255, 10]);
}

fn check_compounds(table: &mut Table) {
    table.check("none", &None::<u32>);
    table.check("some", &Some(300u32));
    table.check("some none", &Some(None::<u8>));
    table.check("tuple", &(1u8, true, "a".to_owned()));
    table.check("array", &[1u16, 2, 300]);
    table.check("struct", &Point { x: -3, y: 200, label: "p".to_owned() });
    table.check("tuple struct", &Pair(7, 251));
    table.check("newtype struct", &Meters(1000));
    table.check("unit variant", &Shape::Nothing);
    table.check("newtype variant", &Shape::Circle(9));
    table.check("tuple variant", &Shape::Segment(-1, 1));
    table.check("struct variant", &Shape::Named { name: "tri".to_owned(), corners: 3 });
    table.check("empty sequence", &Vec::<u64>::new());
    table.check("sequence of u64", &vec![1u64, 251, 65_536]);
    table.check("map", &BTreeMap::from([("a".to_owned(), 1u8), ("b".to_owned(), 2)]));
    let leaf = |value| Tree { value, children: vec![] };
    table.check("tree", &Tree { value: 1, children: vec![leaf(2), leaf(3)] });
}
