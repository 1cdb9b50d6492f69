//! JSON Schemas of many types, asked through a public validator: what serde_json reads is valid,
//! and what it refuses is not, but for what is listed here with its reason.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a panic is how a test fails"
)]
#![allow(missing_docs, dead_code, clippy::use_self, reason = "types are declared to be looked at")]

mod support;

use std::any::type_name;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::{NonZeroU8, Wrapping};
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;
use switchboard_shape::{Encoding, JsonSchema, Shape};
use uuid::Uuid;

use crate::support::{Case, validate};

macro_rules! types {
    ($($(#[$attribute:meta])* ($($item:tt)*))*) => {$(
        #[derive(Deserialize)]
        $(#[$attribute])*
        $($item)*
    )*};
}

types! {
    (struct Empty {})
    (struct Unit;)
    (struct Meters(u64);)
    (struct Point(f64, f64);)
    (struct Single { value: u8 })
    (struct Wrapper<T> { value: T })
    (struct Optional { value: Option<u8>, #[serde(default)] name: String })
    #[serde(deny_unknown_fields)]
    (struct Strict { value: u8, name: Option<String> })
    #[serde(rename_all = "SCREAMING-KEBAB-CASE")]
    (struct Renamed { the_value: u8, #[serde(rename = "\"quoted\"\n")] other: Option<bool> })
    (struct Aliases {
        #[serde(alias = "number", alias = "amount")]
        value: u8,
        #[serde(default, alias = "title")]
        name: String,
    })
    (enum Colour { Red, Green })
    (enum One { Only })
    (#[derive(PartialEq, Eq, PartialOrd, Ord)] enum Key { A, B(u8) })
    (enum Every { Unit, Newtype(u8), Tuple(u8, String), Struct { value: Option<u8> } })
    (enum Single2 { Newtype(Box<Single2>), End(u8) })
    (enum WithOther { A, #[serde(other)] Other })
    #[serde(rename_all = "lowercase")]
    (enum Lower { A, #[serde(alias = "bee")] B(u8) })
    (enum NoVariants {})
    (struct List { value: u8, next: Option<Box<List>> })
    (struct Tree(Vec<Tree>);)
    (struct Nested { single: Single, list: Vec<Every>, map: BTreeMap<String, Option<Point>> })
    #[serde(untagged)]
    (enum Untagged { Number(u8), Text(String) })
    #[serde(tag = "type")]
    (enum Internal { A { value: u8 }, B })
    #[serde(tag = "t", content = "c")]
    (enum Adjacent { A(u8), B(String), C })
    (struct Flat { value: u8, #[serde(flatten)] rest: BTreeMap<String, u8> })
    #[serde(try_from = "String")]
    (#[derive(PartialEq, Eq, PartialOrd, Ord)] struct Email { text: String })
    #[serde(try_from = "u8")]
    (struct Even { number: u8 })
    (struct Partly { value: u8, any: Untagged })
}

#[cfg(feature = "schemars")]
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
enum Derived {
    Small(u8),
    Next { value: Option<DerivedInner> },
}

#[cfg(feature = "schemars")]
#[derive(Deserialize, schemars::JsonSchema)]
struct DerivedInner {
    value: Box<Derived>,
}

impl TryFrom<String> for Email {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        if text.contains('@') { Ok(Self { text }) } else { Err("no address") }
    }
}

impl TryFrom<u8> for Even {
    type Error = &'static str;

    fn try_from(number: u8) -> Result<Self, &'static str> {
        if number.is_multiple_of(2) { Ok(Self { number }) } else { Err("odd") }
    }
}

/// What every type is asked to read.
const INSTANCES: [&str; 66] = [
    "null",
    "true",
    "false",
    "0",
    "1",
    "-1",
    "2",
    "127",
    "128",
    "-128",
    "-129",
    "255",
    "256",
    "32768",
    "65536",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775809",
    "340282366920938463463374607431768211456",
    "0.5",
    "-1e300",
    r#""""#,
    r#""a""#,
    r#""é""#,
    r#""ab""#,
    r#""A""#,
    r#""Red""#,
    r#""Unit""#,
    r#""Only""#,
    r#""red""#,
    r#""127.0.0.1""#,
    r#""::1""#,
    r#""127.0.0.1:80""#,
    r#""ada@example.org""#,
    r#""67e55044-10b1-426f-9247-bb680e5fe0c8""#,
    "[[]]",
    "[[[]],[]]",
    "[null]",
    r#"["a"]"#,
    "[true,false,true,false]",
    "{}",
    r#"{"value":1}"#,
    r#"{"value":1,"name":"a"}"#,
    r#"{"value":1,"other":null}"#,
    r#"{"value":null}"#,
    r#"{"value":256}"#,
    r#"{"value":"a"}"#,
    r#"{"name":"a"}"#,
    r#"{"value":1,"next":{"value":2,"next":null}}"#,
    r#"{"value":1,"next":{"value":256}}"#,
    r#"{"value":{"value":"a"}}"#,
    r#"{"1":1,"2":2}"#,
    r#"{"-1":1}"#,
    r#"{"01":1}"#,
    r#"{"true":1}"#,
    r#"{"a":1}"#,
    r#"{"a":"b"}"#,
    r#"{"A":1}"#,
    r#"{"Newtype":1}"#,
    r#"{"Newtype":{"End":1}}"#,
    r#"{"Tuple":[1,"a"]}"#,
    r#"{"Struct":{"value":1}}"#,
    r#"{"Struct":{"value":"a"}}"#,
];

/// Of a type: what else it is asked to read.
const MORE: [(&str, &[&str]); 21] = [
    ("Partly", &[r#"{"value":1,"any":null}"#, r#"{"value":1,"any":"a"}"#, r#"{"any":1}"#]),
    ("Adjacent", &[r#"{"t":"A","c":1}"#, r#"{"t":"A"}"#, r#"{"t":"C"}"#, r#"{"c":1}"#]),
    ("alloc::collections::btree::map::BTreeMap<u8, u8>", &[r#"{"256":1}"#]),
    ("std::collections::hash::map::HashMap<i64, u8>", &[r#"{"9223372036854775808":1}"#]),
    ("u8", &["1.0"]),
    ("Renamed", &[r#"{"THE-VALUE":1}"#, "{\"THE-VALUE\":1,\"\\\"quoted\\\"\\n\":2}"]),
    (
        "Aliases",
        &[
            r#"{"number":1}"#,
            r#"{"amount":1,"title":"a"}"#,
            r#"{"amount":1,"value":1}"#,
            r#"{"value":1,"name":"a","title":"b"}"#,
            r#"{"title":"a"}"#,
        ],
    ),
    ("Every", &[r#"{"Newtype":1,"Tuple":[1,"a"]}"#, r#"{"Struct":{}}"#, r#"{"Tuple":[1]}"#]),
    ("Every", &[r#"{"Tuple":[1,"a",2]}"#, r#"{"Newtype":null}"#]),
    ("Lower", &[r#"{"b":1}"#, r#"{"bee":2}"#, r#""b""#, r#""a""#]),
    ("WithOther", &[r#""anything""#]),
    ("Point", &["[1.5,2]", "[1]", "[1,2,3]", r#"[1,"a"]"#]),
    ("(u8, alloc::string::String)", &[r#"[1,"a"]"#, "[1]", r#"[1,"a",1]"#, r#"["a",1]"#]),
    ("[u8; 3]", &["[1,2,3]", "[1,2]", "[1,2,3,4]", "[1,2,256]"]),
    ("alloc::vec::Vec<u8>", &["[1,2,3]", "[256]", "[-1]"]),
    ("serde_bytes::bytebuf::ByteBuf", &["[1,2,3]", "[256]", "[-1]"]),
    ("core::ops::range::Range<u8>", &[r#"{"start":1,"end":2}"#, r#"{"start":1}"#]),
    (
        "core::time::Duration",
        &[r#"{"secs":1,"nanos":2}"#, r#"{"secs":1}"#, r#"{"secs":-1,"nanos":0}"#],
    ),
    (
        "Nested",
        &[r#"{"single":{"value":1},"list":["Unit",{"Newtype":1}],"map":{"a":[1,2],"b":null}}"#],
    ),
    ("Nested", &[r#"{"single":{"value":1},"list":["Unti"],"map":{}}"#]),
    ("Nested", &[r#"{"single":{"value":1},"list":[],"map":{"a":[1]}}"#]),
];

/// Types whose schema takes more than they read, and why.
const LOOSE: [(&str, &str); 16] = [
    ("u8", "JSON Schema does not tell 1.0 from 1"),
    ("f32", "that a number is out of its range does not show"),
    ("core::num::nonzero::NonZero<u8>", "that 0 is refused does not show"),
    ("core::net::ip_addr::IpAddr", "it is a text, and which texts it reads does not show"),
    ("core::net::ip_addr::Ipv4Addr", "as IpAddr"),
    ("core::net::socket_addr::SocketAddr", "as IpAddr"),
    ("uuid::Uuid", "as IpAddr"),
    ("Email", "as IpAddr"),
    ("Even", "which numbers it reads does not show"),
    ("Untagged", "it is unknown"),
    ("Internal", "it is unknown"),
    ("Adjacent", "its content is unknown"),
    ("Flat", "it is unknown"),
    ("Partly", "a part of it is unknown"),
    ("alloc::collections::btree::map::BTreeMap<u8, u8>", "a pattern for names has no range"),
    ("std::collections::hash::map::HashMap<i64, u8>", "as BTreeMap<u8, u8>"),
];

/// Instances that a type reads and its schema refuses, and why.
const STRICT: [(&str, &str, &str); 3] = [
    ("Wrapper<Untagged>", r#"["a"]"#, "a struct is an object, as it is written"),
    ("Optional", "[null]", "a struct is an object, as it is written"),
    ("WithOther", r#"{"value":null}"#, "a unit variant is a text, as it is written"),
];

fn short(name: &str) -> String {
    name.replace("schemas::", "")
}

struct Asked {
    name: String,
    reads: Vec<bool>,
    case: Case,
}

fn asked<T: DeserializeOwned>() -> Asked {
    asked_as::<T>(&Shape::of::<T>(Encoding::Text).json_schema())
}

fn asked_as<T: DeserializeOwned>(schema: &JsonSchema) -> Asked {
    let name = short(type_name::<T>());
    let more = MORE.iter().filter(|(of, _)| *of == name).flat_map(|(_, instances)| *instances);
    let instances: Vec<_> = INSTANCES.iter().chain(more).map(|text| (*text).to_owned()).collect();
    let reads = instances.iter().map(|text| serde_json::from_str::<T>(text).is_ok()).collect();
    Asked { name, reads, case: Case { schema: schema.to_string(), instances } }
}

macro_rules! asked {
    ($($type:ty,)*) => { vec![$(asked::<$type>(),)*] };
}

#[test]
fn schemas_take_what_serde_json_reads() {
    let asked = asked![
        bool, i8, i16, i32, i64, i128, u8, u16, u32, u64, u128, f32, f64, char, String,
        Box<str>, Cow<'static, str>, PathBuf, ByteBuf, (), PhantomData<u8>, Unit, Empty,
        Option<u8>, Option<()>, Option<Option<String>>, Vec<u8>, Vec<Vec<()>>, VecDeque<bool>,
        BTreeSet<String>, [u8; 3], [bool; 0], (u8, String), (bool, bool, bool, bool),
        BTreeMap<String, u8>, BTreeMap<u8, u8>, HashMap<i64, u8>, BTreeMap<bool, u8>,
        BTreeMap<char, String>, BTreeMap<Key, u8>, BTreeMap<Option<u8>, u8>, BTreeMap<(), u8>,
        Result<u8, String>, Duration, Range<u8>, IpAddr, Ipv4Addr, SocketAddr, Uuid, NonZeroU8,
        Wrapping<i8>, Box<Single>, Meters, Point, Single, Wrapper<Wrapper<String>>, Optional,
        Strict, Renamed, Aliases, Colour, One, Every, Single2, WithOther, Lower, NoVariants, List,
        Tree, Nested, Untagged, Internal, Adjacent, Flat, Email, Even, Partly,
    ];
    assert!(asked.len() >= 60);
    check(asked, &LOOSE.map(|(name, _)| name));
}

#[test]
fn schemas_that_are_put_in_are_exact() {
    let untagged = r#"{"anyOf": [{"type": "integer", "minimum": 0, "maximum": 255},
        {"type": "string"}]}"#;
    let untagged = |schema: JsonSchema| schema.put::<Untagged>(untagged).unwrap();
    let not_zero = r#"{"type": "integer", "minimum": 1, "maximum": 255}"#;
    let flat = r#"{"type": "object", "required": ["value"],
        "additionalProperties": {"type": "integer", "minimum": 0, "maximum": 255}}"#;
    let partly = r##"{"type": "object", "required": ["value", "any"], "properties": {
        "value": {"type": "integer", "maximum": 255}, "any": {"type": ["integer", "string"]}}}"##;
    let asked = vec![
        asked_as::<Wrapper<Untagged>>(&untagged(
            Shape::of::<Wrapper<Untagged>>(Encoding::Text).json_schema(),
        )),
        asked_as::<Untagged>(&untagged(Shape::of::<Untagged>(Encoding::Text).json_schema())),
        asked_as::<Partly>(
            &untagged(Shape::of::<Partly>(Encoding::Text).json_schema())
                .put::<Partly>(partly)
                .unwrap(),
        ),
        asked_as::<Option<Box<NonZeroU8>>>(
            &Shape::of::<Option<Box<NonZeroU8>>>(Encoding::Text)
                .json_schema()
                .put::<NonZeroU8>(not_zero)
                .unwrap(),
        ),
        asked_as::<Vec<Flat>>(
            &Shape::of::<Vec<Flat>>(Encoding::Text).json_schema().put::<Flat>(flat).unwrap(),
        ),
        asked_as::<BTreeMap<Email, u8>>(
            &Shape::of::<BTreeMap<Email, u8>>(Encoding::Text)
                .json_schema()
                .put::<Email>(r#"{"type": "string", "pattern": "@"}"#)
                .unwrap(),
        ),
    ];
    check(asked, &[]);
}

#[cfg(feature = "schemars")]
#[test]
fn schemas_by_schemars_are_exact() {
    let asked = vec![
        asked_as::<Vec<Derived>>(
            &Shape::of::<Vec<Derived>>(Encoding::Text).json_schema().put_schemars::<Derived>(),
        ),
        asked_as::<Wrapper<Derived>>(
            &Shape::of::<Wrapper<Derived>>(Encoding::Text).json_schema().put_schemars::<Derived>(),
        ),
    ];
    check(asked, &[]);
}

#[test]
fn definitions_have_names_of_their_own() {
    let shape = Shape::of::<(Wrapper<u8>, Wrapper<Wrapper<u8>>, Tree)>(Encoding::Text);
    let wanted = r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"array",
        "prefixItems":[{"$ref":"#/$defs/Wrapper"},{"$ref":"#/$defs/Wrapper2"},
        {"$ref":"#/$defs/Tree"}],"items":false,"minItems":3,"$defs":{
        "Wrapper":{"type":"object","properties":{"value":
        {"type":"integer","minimum":0,"maximum":255}},"required":["value"]},
        "Wrapper2":{"type":"object","properties":{"value":{"$ref":"#/$defs/Wrapper"}},
        "required":["value"]},
        "Tree":{"type":"array","items":{"$ref":"#/$defs/Tree"}}}}"##;
    assert_eq!(shape.json_schema().to_string(), wanted.replace("\n        ", ""));
}

/// Its `Deserialize` is that of a list of itself, so nothing in it has a name.
struct Nameless;

impl<'de> Deserialize<'de> for Nameless {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<Self>::deserialize(deserializer).map(|_| Self)
    }
}

#[test]
fn schemas_of_types_that_contain_themselves_without_a_name_end() {
    check(vec![asked::<Nameless>()], &[]);
}

type Double<T> = (Option<T>, Vec<T>);
type Doubled<T> = Double<Double<Double<Double<Double<Double<T>>>>>>;

#[test]
fn schemas_do_not_double() {
    let len = |shape: Shape| shape.json_schema().to_string().len();
    let once = len(Shape::of::<Doubled<Point>>(Encoding::Text));
    let twice = len(Shape::of::<Doubled<Doubled<Point>>>(Encoding::Text));
    assert!(twice < 3 * once, "{twice} bytes, and {once} of half as many levels");
}

/// Whether all answers are as they should be, and all types that are listed are loose.
#[track_caller]
fn check(asked: Vec<Asked>, listed: &[&str]) {
    let (names, cases): (Vec<_>, Vec<_>) =
        asked.into_iter().map(|Asked { name, reads, case }| ((name, reads), case)).unzip();
    let Some(answers) = validate(&cases) else { return };
    let (mut problems, mut loose) = (Vec::new(), BTreeSet::new());
    for (((name, reads), case), takes) in names.iter().zip(&cases).zip(&answers) {
        for ((instance, reads), takes) in case.instances.iter().zip(reads).zip(takes) {
            let is_listed = listed.contains(&name.as_str());
            let is_strict = STRICT.iter().any(|(of, what, _)| of == name && what == instance);
            match (reads, takes) {
                (false, true) if is_listed => {
                    loose.insert(name.as_str());
                }
                (true, false) if is_strict => {}
                _ if reads == takes => {}
                _ => problems.push(format!("{name}: {instance} read: {reads}: {}", case.schema)),
            }
        }
    }
    assert!(problems.is_empty(), "{} of {}\n{}", problems.len(), cases.len(), problems.join("\n"));
    assert_eq!(loose, listed.iter().copied().collect(), "all that are listed are loose");
}
