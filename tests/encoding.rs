//! What is encoded is the same with the guard as without it, and never too deep for the stack.

#![cfg(all(feature = "bincode", feature = "json"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    reason = "a panic is how a test fails"
)]

use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Debug, Display};

use bytes::{Bytes, BytesMut};
use serde::de::DeserializeOwned;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
#[cfg(feature = "gob")]
use switchboard::format::Gob;
#[cfg(feature = "postcard")]
use switchboard::format::Postcard;
use switchboard::format::{Bincode, Budget, Format, Json};
use switchboard::{Code, Limits, Result};
use switchboard_testing::child::in_child;
use switchboard_testing::nested::{Chain, List, Map, Tree};

fn encode<F: Format<T>, T>(value: &T) -> Result<Bytes> {
    encode_within::<F, T>(Limits::DEPTH_MOST, value)
}

fn encode_within<F: Format<T>, T>(depth_max: usize, value: &T) -> Result<Bytes> {
    let limits = Limits::default().with(|limits| limits.depth_max = depth_max);
    let mut out = BytesMut::new();
    F::encode(value, &limits, &mut out)?;
    Ok(out.freeze())
}

// --- depth ---

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
enum Fields {
    Nil,
    Cons { first: u8, next: Box<Self> },
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
enum Pair {
    Nil,
    Cons(u8, Box<Self>),
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
struct Tuple(Option<Box<(u8, Self)>>);

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(tag = "type", content = "value")]
enum Adjacent {
    Nil,
    Cons(Box<Self>),
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(tag = "type")]
enum Tagged {
    Nil,
    Cons { next: Box<Self> },
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(untagged)]
enum Untagged {
    Cons { next: Box<Self> },
    Nil(u8),
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
struct Flat {
    id: u8,
    #[serde(flatten)]
    rest: HashMap<String, Self>,
}

/// A value with so many others in it, made and unmade without recursion.
trait Nest: Serialize + DeserializeOwned + Clone + PartialEq + Debug + Sized {
    fn begin() -> Self;
    fn wrap(self) -> Self;
    /// What is in it, if anything.
    fn unwrap(self) -> Option<Self>;

    fn nest(levels: usize) -> Self {
        (0..levels).fold(Self::begin(), |value, _| value.wrap())
    }

    fn unmake(self) {
        let mut value = Some(self);
        while let Some(outer) = value {
            value = outer.unwrap();
        }
    }
}

macro_rules! nests {
    ($($name:ident: $begin:expr, $inner:ident => $wrap:expr, $outer:pat => $unwrap:expr;)*) => {$(
        impl Nest for $name {
            fn begin() -> Self {
                $begin
            }

            fn wrap(self) -> Self {
                let $inner = self;
                $wrap
            }

            fn unwrap(self) -> Option<Self> {
                match self {
                    $outer => $unwrap,
                    #[allow(unreachable_patterns, reason = "only enums have others")]
                    _ => None,
                }
            }
        }
    )*};
}

nests! {
    Chain: Self { next: None }, value => Self { next: Some(Box::new(value)) },
        Self { next } => next.map(|next| *next);
    List: Self::Nil, value => Self::Cons(Box::new(value)), Self::Cons(next) => Some(*next);
    Fields: Self::Nil, value => Self::Cons { first: 1, next: Box::new(value) },
        Self::Cons { next, .. } => Some(*next);
    Pair: Self::Nil, value => Self::Cons(1, Box::new(value)), Self::Cons(_, next) => Some(*next);
    Tree: Self(vec![]), value => Self(vec![value]), Self(mut values) => values.pop();
    Map: Self(BTreeMap::new()), value => Self(BTreeMap::from([(1, value)])),
        Self(map) => map.into_values().next();
    Tuple: Self(None), value => Self(Some(Box::new((1, value)))),
        Self(next) => next.map(|next| next.1);
    Adjacent: Self::Nil, value => Self::Cons(Box::new(value)), Self::Cons(next) => Some(*next);
    Tagged: Self::Nil, value => Self::Cons { next: Box::new(value) },
        Self::Cons { next } => Some(*next);
    Untagged: Self::Nil(1), value => Self::Cons { next: Box::new(value) },
        Self::Cons { next } => Some(*next);
    Flat: Self { id: 1, rest: HashMap::new() },
        value => Self { id: 1, rest: HashMap::from([("next".to_owned(), value)]) },
        Self { rest, .. } => rest.into_values().next();
}

/// A value of so many levels is encoded on any stack, one of more than there may be is refused.
fn check_deep<F: Format<T>, T: Nest>(levels: usize) {
    for levels in [levels, 100_000] {
        let value = T::nest(levels);
        let encoded = encode::<F, T>(&value);
        value.unmake();
        match encoded {
            Ok(_) => assert!(levels < 100_000, "{levels} levels were encoded"),
            Err(error) => {
                assert!(levels == 100_000, "{levels}: {error}");
                assert_eq!(error.code(), Code::TooLarge, "{error}");
                let text = "nesting of 1025 levels is over depth_max (1024)";
                assert_eq!(error.text(), text);
            }
        }
    }
}

#[test]
fn deep_values_are_encoded_or_refused_on_any_stack() {
    fn check_format<F>()
    where
        F: Format<Chain> + Format<List> + Format<Fields> + Format<Pair>,
        F: Format<Tree> + Format<Map> + Format<Tuple>,
    {
        check_deep::<F, Chain>(511);
        check_deep::<F, List>(511);
        check_deep::<F, Fields>(500);
        check_deep::<F, Pair>(500);
        check_deep::<F, Tree>(511);
        check_deep::<F, Map>(511);
        check_deep::<F, Tuple>(340);
    }
    let stacks = [64 * 1024, 256 * 1024, 2 * 1024 * 1024];
    in_child("deep_values_are_encoded_or_refused_on_any_stack", &stacks, |_| {
        check_format::<Bincode>();
        check_format::<Json>();
        check_deep::<Json, Adjacent>(1000);
        check_deep::<Json, Tagged>(1000);
        check_deep::<Json, Untagged>(1000);
        check_deep::<Json, Flat>(500);
        #[cfg(feature = "postcard")]
        check_format::<Postcard>();
        #[cfg(feature = "gob")]
        {
            check_deep::<Gob, Chain>(511);
            check_deep::<Gob, Tree>(511);
            check_deep::<Gob, Map>(511);
        }
    });
}

/// What is sent is as deep as what is read, in whatever format.
#[test]
fn depth_max_holds_for_what_is_encoded() {
    fn check<F: Format<Chain> + Format<Tree>>() {
        // (depth_max, is it enough?) for a chain of 5 options and structs, and 3 lists in newtypes
        for (depth_max, is_enough) in [(0, false), (10, false), (11, true), (100_000, true)] {
            let encoded = encode_within::<F, _>(depth_max, &Chain::nest(5));
            check_encoded(&encoded, depth_max, is_enough);
        }
        for (depth_max, is_enough) in [(0, false), (7, false), (8, true), (1024, true)] {
            let encoded = encode_within::<F, _>(depth_max, &Tree::nest(3));
            check_encoded(&encoded, depth_max, is_enough);
        }
    }
    fn check_encoded(encoded: &Result<Bytes>, depth_max: usize, is_enough: bool) {
        match encoded {
            Ok(_) => assert!(is_enough, "{depth_max}"),
            Err(error) => {
                assert!(!is_enough, "{depth_max}: {error}");
                let text =
                    format!("nesting of {} levels is over depth_max ({depth_max})", depth_max + 1);
                assert_eq!((error.code(), error.text()), (Code::TooLarge, text.as_str()));
            }
        }
    }
    check::<Bincode>();
    check::<Json>();
    #[cfg(feature = "postcard")]
    check::<Postcard>();
    #[cfg(feature = "gob")]
    check::<Gob>();
}

/// The deepest value that can be asked for is safe in the hands of code that knows no limit.
#[test]
fn the_deepest_values_hold_when_they_are_dropped() {
    fn check<T: DeserializeOwned + Clone + PartialEq + Debug + Serialize>(
        payload: impl Into<Bytes>,
    ) {
        let payload = payload.into();
        let limits = Limits::default().with(|limits| limits.depth_max = Limits::DEPTH_MOST);
        let budget = Budget::new(&limits, payload.len());
        let value: T = Json::decode(payload, &budget).unwrap();
        assert!(value.clone() == value);
        assert!(format!("{value:?}").len() > 1000);
        drop(value);
    }
    fn repeat(begin: &str, middle: &str, end: &str, levels: usize) -> String {
        [&begin.repeat(levels), middle, &end.repeat(levels)].concat()
    }
    in_child("the_deepest_values_hold_when_they_are_dropped", &[2 * 1024 * 1024], |_| {
        check::<Chain>(repeat(r#"{"next":"#, "null", "}", 512));
        check::<List>(repeat(r#"{"Cons":"#, r#""Nil""#, "}", 511));
        check::<Tree>(repeat("[", "", "]", 512));
        check::<Map>(repeat(r#"{"7":"#, "{}", "}", 511));
        check::<Flat>(repeat(r#"{"id":1,"next":"#, r#"{"id":1}"#, "}", 500));
        check::<serde_json::Value>(repeat("[", "", "]", 1024));
        check::<serde_json::Value>(repeat(r#"{"k":"#, "{}", "}", 1023));
        // Asking for more than there may be gives the most.
        let limits = Limits::default().with(|limits| limits.depth_max = 100_000);
        let payload = Bytes::from(vec![b'['; 100_000]);
        let budget = Budget::new(&limits, payload.len());
        let refused: Result<serde_json::Value> = Json::decode(payload, &budget);
        let text = "nesting of 1025 levels is over depth_max (1024)";
        assert_eq!(refused.unwrap_err().text(), text);
    });
}

// --- the same bytes ---

/// One of everything that serde has.
#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Everything {
    unit: (),
    none: Option<u8>,
    some: Option<Option<bool>>,
    integers: (i8, i16, i32, i64, i128, u8, u16, u32, u64, u128),
    floats: (f32, f64),
    char: char,
    text: String,
    #[serde(with = "serde_bytes")]
    bytes: Vec<u8>,
    array: [u16; 3],
    list: Vec<Kind>,
    map: BTreeMap<String, Vec<()>>,
    newtype: Newtype,
    pair: Pairs,
    #[serde(serialize_with = "in_two_steps")]
    steps: BTreeMap<String, u8>,
}

/// One that is left out, which formats with names take.
#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Sparse {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    skipped: Option<u8>,
    list: Vec<Kind>,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
enum Kind {
    Unit,
    Newtype(u8),
    Tuple(u8, String),
    Struct { x: i8, y: i8 },
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Newtype(u64);

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Pairs(u8, u8);

fn everything() -> Everything {
    Everything {
        unit: (),
        none: None,
        some: Some(Some(true)),
        integers: (-1, -300, 7, i64::MIN, i128::MIN, 255, 300, 70_000, u64::MAX, u128::MAX),
        floats: (0.5, -1e300),
        char: 'é',
        text: "text".to_owned(),
        bytes: vec![0, 255],
        array: [1, 2, 3],
        list: vec![
            Kind::Unit,
            Kind::Newtype(1),
            Kind::Tuple(2, "two".to_owned()),
            Kind::Struct { x: 3, y: -3 },
        ],
        map: BTreeMap::from([(String::new(), vec![(), ()]), ("k".to_owned(), vec![])]),
        newtype: Newtype(9),
        pair: Pairs(1, 2),
        steps: BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 2)]),
    }
}

/// A map whose keys and values are written one by one, as code by hand may do.
fn in_two_steps<S: Serializer>(
    map: &BTreeMap<String, u8>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut parts = serializer.serialize_map(Some(map.len()))?;
    for (key, value) in map {
        parts.serialize_key(key)?;
        parts.serialize_value(value)?;
    }
    parts.end()
}

#[test]
fn everything_is_written_as_by_the_bare_formats() {
    let value = everything();
    let bare = bincode::serde::encode_to_vec(&value, bincode::config::standard()).unwrap();
    assert_eq!(encode::<Bincode, _>(&value).unwrap(), bare);
    let bare = serde_json::to_vec(&value).unwrap();
    assert_eq!(encode::<Json, _>(&value).unwrap(), bare);
    let sparse = Sparse { skipped: None, list: value.list };
    assert_eq!(encode::<Json, _>(&sparse).unwrap(), serde_json::to_vec(&sparse).unwrap());
    #[cfg(feature = "postcard")]
    let value = everything();
    #[cfg(feature = "postcard")]
    assert_eq!(encode::<Postcard, _>(&value).unwrap(), postcard::to_allocvec(&value).unwrap());
    // Gob has no form for tuples of several types, but for these.
    #[cfg(feature = "gob")]
    {
        type Part = (BTreeMap<String, Vec<Newtype>>, Option<[u16; 3]>);
        let value = (BTreeMap::from([("k".to_owned(), vec![Newtype(9)])]), Some([1, 2, 3]));
        let part: &Part = &value;
        assert_eq!(encode::<Gob, _>(&part.0).unwrap(), switchboard_gob::to_vec(&part.0).unwrap());
        assert_eq!(encode::<Gob, _>(&part.1).unwrap(), switchboard_gob::to_vec(&part.1).unwrap());
    }
}

/// Whether a format is for people, and text that is written without a `String`, go through.
#[test]
fn what_a_format_is_asked_and_told_goes_through() {
    #[derive(PartialEq, Debug)]
    struct Version(u8, u8);
    impl Display for Version {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{}.{}", self.0, self.1)
        }
    }
    impl Serialize for Version {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            if serializer.is_human_readable() {
                serializer.collect_str(self)
            } else {
                (self.0, self.1).serialize(serializer)
            }
        }
    }
    impl<'de> Deserialize<'de> for Version {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            if deserializer.is_human_readable() {
                let text = String::deserialize(deserializer)?;
                let mut numbers = text.split('.').map(|number| number.parse().unwrap_or_default());
                return Ok(Self(numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)));
            }
            <(u8, u8)>::deserialize(deserializer).map(|(major, minor)| Self(major, minor))
        }
    }
    let versions = vec![Version(1, 2), Version(3, 4)];
    assert_eq!(encode::<Json, _>(&versions).unwrap(), r#"["1.2","3.4"]"#);
    assert_eq!(encode::<Bincode, _>(&versions).unwrap(), [2, 1, 2, 3, 4].as_slice());
}

/// `serde_json` knows raw values by the name of their struct: they are not quoted again.
#[test]
fn raw_json_goes_through() {
    struct Raw(&'static str);
    impl Serialize for Raw {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeStruct;
            const TOKEN: &str = "$serde_json::private::RawValue";
            let mut raw = serializer.serialize_struct(TOKEN, 1)?;
            raw.serialize_field(TOKEN, self.0)?;
            raw.end()
        }
    }
    impl<'de> Deserialize<'de> for Raw {
        fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Ok(Self(""))
        }
    }
    let encoded = encode::<Json, _>(&vec![Raw("{ \"a\": 1e5 }")]).unwrap();
    let is_raw = encoded == r#"[{ "a": 1e5 }]"#;
    // Without its feature `serde_json` writes a struct.
    let is_struct = encoded == r#"[{"$serde_json::private::RawValue":"{ \"a\": 1e5 }"}]"#;
    assert!(is_raw || is_struct, "{encoded:?}");
}
