//! What is read is what was written, or nothing is sent.

#![cfg(all(feature = "bincode", feature = "json"))]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::trivially_copy_pass_by_ref,
    clippy::zero_sized_map_values,
    reason = "a panic is how a test fails, and types are tried as they come"
)]

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, LinkedList, VecDeque};
use std::fmt::Debug;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::{NonZeroU8, Wrapping};
use std::ops::Bound;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use serde::de::{DeserializeOwned, Error as _};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_bytes::ByteBuf;
#[cfg(feature = "gob")]
use switchboard::format::Gob;
#[cfg(feature = "postcard")]
use switchboard::format::Postcard;
use switchboard::format::{Bincode, Budget, Format, Json};
use switchboard::{Code, Command, Limits, Result, Streamed, check_all};
use switchboard_testing::random::{Random, rounds};

fn encode<F: Format<T>, T>(value: &T) -> Result<Bytes> {
    let mut out = BytesMut::new();
    F::encode(value, &Limits::default(), &mut out)?;
    Ok(out.freeze())
}

fn decode<F: Format<T>, T>(payload: Bytes) -> Result<T> {
    let budget = Budget::new(&Limits::default(), payload.len());
    F::decode(payload, &budget)
}

macro_rules! types {
    ($($(#[$attribute:meta])* ($($item:tt)*))*) => {$(
        #[allow(dead_code, reason = "variants that are skipped are never made")]
        #[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
        $(#[$attribute])*
        $($item)*
    )*};
}

types! {
    (struct Nothing;)
    (struct Empty {})
    (struct NoFields();)
    (struct Meters(f64);)
    (struct Pair(u8, i16);)
    (struct Plain { a: u8, b: Option<u8>, c: String })
    (struct Deep { a: Vec<Option<Plain>>, b: BTreeMap<String, Self>, c: Option<Box<Self>> })
    (enum Every { Unit, Newtype(Meters), Tuple(u8, Pair), Struct { a: Option<u8>, b: u8 } })
    (enum Words { Red, Green, Blue })
    (enum Aliased { #[serde(alias = "X", alias = "Y")] A, B(u8), C(u16) })
    (struct Both { #[serde(skip)] a: u8, b: u8 })
    (enum LastSkipped { A, B(u8), #[serde(skip)] C })
}

// --- positional formats ---

types! {
    (struct SkippedIf {
        #[serde(skip_serializing_if = "is_zero")]
        a: u8,
        b: Option<u8>,
        c: u8,
    })
    (struct Unwritten { #[serde(skip_serializing, default)] a: u8, b: u8, c: u8 })
    (struct Unread { #[serde(skip_deserializing)] a: u8, b: u8 })
    (struct ShortTuple(u8, #[serde(skip_serializing_if = "is_zero", default)] u8);)
    (enum Shifted { #[serde(skip)] A, B(u8), C(u8) })
    (enum ShiftedUnits { A, #[serde(skip_deserializing)] B, C, D })
    (enum ShiftedFields { #[serde(skip)] A, B { x: u8 }, C { y: u8 } })
    (enum Within { A { #[serde(skip_serializing_if = "is_zero")] a: u8, b: u8 } })
    #[serde(into = "String", from = "u8")]
    (struct IntoText { number: u8 })
    #[serde(untagged)]
    (enum Untagged { A(u8), B(String) })
    #[serde(tag = "type")]
    (enum Tagged { A { x: u8 }, B })
    #[serde(tag = "type", content = "value")]
    (enum Adjacent { A(u8), B })
    (struct Flat { a: u8, #[serde(flatten)] rest: HashMap<String, u8> })
    #[serde(try_from = "String", into = "String")]
    (struct Email { text: String })
    (struct Letter { from: Email, state: Shifted })
    (struct LetterSkipped { from: Email, #[serde(skip_deserializing)] read: bool, size: u8 })
    (struct GoodLetter { from: Email, state: Every })
}

fn is_zero(number: &u8) -> bool {
    *number == 0
}

impl From<IntoText> for String {
    fn from(value: IntoText) -> Self {
        value.number.to_string()
    }
}

impl From<u8> for IntoText {
    fn from(number: u8) -> Self {
        Self { number }
    }
}

impl TryFrom<String> for Email {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.contains('@') { Ok(Self { text }) } else { Err("no address") }
    }
}

impl From<Email> for String {
    fn from(value: Email) -> Self {
        value.text
    }
}

fn email() -> Email {
    Email { text: "ada@example.org".to_owned() }
}

/// A sequence that has fewer elements than it announces.
#[derive(Clone, PartialEq, Debug)]
struct Announced(Vec<u8>, usize);

impl Serialize for Announced {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sequence = serializer.serialize_seq(Some(self.1))?;
        self.0.iter().try_for_each(|number| sequence.serialize_element(number))?;
        sequence.end()
    }
}

impl<'de> Deserialize<'de> for Announced {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let numbers = Vec::<u8>::deserialize(deserializer)?;
        let len = numbers.len();
        Ok(Self(numbers, len))
    }
}

/// The same as a map.
#[derive(Clone, PartialEq, Debug)]
struct AnnouncedMap(BTreeMap<u8, u8>, Option<usize>);

impl Serialize for AnnouncedMap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(self.1)?;
        self.0.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for AnnouncedMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = BTreeMap::deserialize(deserializer)?;
        let len = map.len();
        Ok(Self(map, Some(len)))
    }
}

/// In formats without names the value is refused before anything is sent, for this reason.
#[track_caller]
fn check_positional<T>(value: &T, reason: &str)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    #[track_caller]
    fn check_format<F: Format<T>, T: Debug>(value: &T, reason: &str) {
        let error = encode::<F, T>(value).unwrap_err();
        assert_eq!(error.code(), Code::BadPayload, "{error}");
        let text = format!("the value has no form in {}: ", F::NAME);
        assert!(error.text().starts_with(&text), "{error}");
        assert!(error.text().contains(reason), "{error}\nexpected {reason}");
    }
    check_format::<Bincode, T>(value, reason);
    #[cfg(feature = "postcard")]
    check_format::<Postcard, T>(value, reason);
}

/// In formats without names the type is carried, or this value of it.
#[track_caller]
fn check_carried<T>(value: &T)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    assert_eq!(decode::<Bincode, T>(encode::<Bincode, T>(value).unwrap()).unwrap(), *value);
    #[cfg(feature = "postcard")]
    assert_eq!(decode::<Postcard, T>(encode::<Postcard, T>(value).unwrap()).unwrap(), *value);
}

#[test]
fn what_would_shift_is_not_sent_without_names() {
    let skipped = "`SkippedIf` leaves `a` out (skip_serializing_if), and what comes after it would \
                   be read in its place: use `Json` for this command, or remove the attribute";
    check_positional(&SkippedIf { a: 0, b: Some(0), c: 7 }, skipped);
    check_positional(&vec![SkippedIf { a: 0, b: Some(0), c: 7 }], skipped);
    check_positional(&Within::A { a: 0, b: 1 }, "`Within::A` leaves `a` out");
    check_positional(&Unwritten { a: 1, b: 2, c: 3 }, "a: it is not written, and read as u8: use");
    check_positional(&Unread { a: 1, b: 2 }, "a: it is written as u8, and not read: use `Json`");
    check_positional(&ShortTuple(1, 0), "what is written cannot be read");
    let shifted = "::B: it is written as variant 1, and read as variant 0: use `Json` for this";
    check_positional(&Shifted::B(5), shifted);
    check_positional(&Some(vec![Shifted::B(5)]), shifted);
    check_positional(&ShiftedUnits::C, "::C: it is written as variant 2, and read as variant 1");
    check_positional(&ShiftedFields::B { x: 1 }, "::B: it is written as variant 1");
    check_positional(&IntoText { number: 7 }, "it is written as string, and read as u8");
    let others = "announces 3 elements and has more or fewer";
    check_positional(&Announced(vec![1, 2], 3), others);
    check_positional(&Announced(vec![1, 2, 3, 4], 3), others);
    check_positional(&AnnouncedMap(BTreeMap::from([(1, 2)]), Some(3)), others);
    check_positional(&AnnouncedMap(BTreeMap::new(), None), "does not say its length");
}

/// In one case only the value tells, since the type around it cannot be traced.
#[test]
fn what_cannot_be_traced_is_read_again_without_names() {
    let other = "what is written is read as something else";
    check_positional(&Letter { from: email(), state: Shifted::B(5) }, other);
    check_carried(&GoodLetter { from: email(), state: Every::Tuple(1, Pair(2, 3)) });
    // What the peer cannot read it will say itself: it may have another type than this.
    let letter = LetterSkipped { from: email(), read: true, size: 0 };
    assert!(encode::<Bincode, _>(&letter).is_ok());
}

#[test]
fn what_does_not_shift_is_sent_without_names() {
    check_carried(&Both { a: 0, b: 7 });
    check_carried(&LastSkipped::B(7));
    check_carried(&Aliased::C(7));
    check_carried(&Announced(vec![1, 2], 2));
    // Those before the one that is skipped are where they should be.
    check_carried(&ShiftedUnits::A);
    check_carried(&SkippedIf { a: 1, b: None, c: 7 });
}

// --- when a command is registered ---

/// The types are told in one sentence with the way to the place, the reason and a way out.
#[track_caller]
fn check_type<F: Format<T>, T>(wanted: Option<&str>) {
    for result in [F::check(), F::check_read()] {
        let found = result.map_err(|error| error.text().to_owned()).err();
        let wanted = wanted.map(|wanted| {
            format!("`{}` has no form in {}: {wanted}", std::any::type_name::<T>(), F::NAME)
        });
        assert_eq!(found, wanted);
    }
}

#[test]
fn types_that_a_format_cannot_carry_are_told() {
    const DATA: &str = "looks at the data to know what it is, as untagged and internally tagged \
                        enums do: use `Json` for this command";
    const NAMES: &str = "has fields whose names are not fixed, as #[serde(flatten)] makes them: \
                         use `Json` for this command";
    let data = |path: &str, of: &str| format!("{path}`{of}` {DATA}");
    macro_rules! check_without_names {
        ($($type:ty: $text:expr;)*) => {$(
            let text: &str = &$text;
            check_type::<Bincode, $type>(Some(text));
            #[cfg(feature = "postcard")]
            check_type::<Postcard, $type>(Some(text));
            check_type::<Json, $type>(None);
        )*};
    }
    check_without_names! {
        Untagged: data("", "carried::Untagged");
        Vec<(u8, Tagged)>: data("[][1]: ", "carried::Tagged");
        Option<Adjacent>: data("value: ", "carried::Adjacent");
        BTreeMap<String, Flat>: format!("[]: `carried::Flat` {NAMES}");
        serde_json::Value: data("", "serde_json::value::Value");
        Result<u8, serde_json::Value>: data("::Err: ", "serde_json::value::Value");
        Shifted: "::B: it is written as variant 1, and read as variant 0: use `Json` for this \
                  command, or remove the attribute";
        Unread: "a: it is written as u8, and not read: use `Json` for this command, or remove \
                 the attribute";
    }
    let keys = "[key]: the keys of a map are text in JSON: use a list of pairs";
    check_type::<Json, BTreeMap<(u8, u8), u8>>(Some(keys));
    check_type::<Json, BTreeMap<Option<()>, u8>>(Some(keys));
    check_type::<Json, Option<BTreeMap<u8, BTreeMap<ByteBuf, u8>>>>(Some(&format!("[]{keys}")));
    check_type::<Bincode, BTreeMap<(u8, u8), u8>>(None);
    let missing = "a: it is left out at times, and has to be there when it is read \
                   (#[serde(default)] is missing): remove the attribute, or write another type";
    check_type::<Json, SkippedIf>(Some(missing));
    let text = "it is written as string, and read as u8: remove the attribute, or write another \
                type";
    check_type::<Json, IntoText>(Some(text));
}

/// One whose author wants nobody to read it, and one that panics when it is asked.
#[test]
fn what_cannot_be_traced_is_allowed() {
    #[derive(Serialize)]
    struct Mute(u8);
    impl<'de> Deserialize<'de> for Mute {
        fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Err(D::Error::custom("it is only written"))
        }
    }
    #[derive(Serialize)]
    struct Strict(u8);
    impl<'de> Deserialize<'de> for Strict {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let number = u8::deserialize(deserializer)?;
            assert!(number > 200, "it is no sample");
            Ok(Self(number))
        }
    }
    check_type::<Bincode, Mute>(None);
    check_type::<Json, Mute>(None);
    assert_eq!(encode::<Bincode, _>(&Mute(7)).unwrap(), [7].as_slice());
    assert_eq!(encode::<Json, _>(&Mute(7)).unwrap(), "7");
    check_type::<Bincode, Strict>(None);
    check_type::<Bincode, Email>(None);
    check_type::<Bincode, Letter>(None);
    check_type::<Json, Letter>(None);
    assert_eq!(encode::<Bincode, _>(&Strict(201)).unwrap(), [201].as_slice());
    // Whoever reads it panics, and not who writes it.
    assert_eq!(encode::<Bincode, _>(&Strict(7)).unwrap(), [7].as_slice());
}

#[test]
fn one_line_checks_all_commands() {
    const GOOD: Command<Every, Vec<Deep>> = Command::new("GOOD");
    const REQUEST: Command<Untagged, ()> = Command::new("REQUEST");
    const REPLY: Command<(), Shifted> = Command::new("REPLY");
    const JSON: Command<Untagged, Shifted, Json> = Command::new("JSON");
    check_all([GOOD.check(), JSON.check()]).unwrap();
    let error = check_all([GOOD.check(), REQUEST.check(), REPLY.check()]).unwrap_err();
    assert_eq!(error.code(), Code::Failed);
    let lines: Vec<_> = error.text().lines().collect();
    assert_eq!(lines.len(), 2, "{error}");
    assert!(lines[0].starts_with("REQUEST, the request: `carried::Untagged` has no form in bin"));
    assert!(lines[1].starts_with("REPLY, the reply: `carried::Shifted` has no form in bincode: "));

    // Items are checked as well.
    const ITEMS: Command<Streamed<Untagged, u8>, Streamed<u8, u8>> = Command::new("ITEMS");
    const DOWN: Command<u8, Streamed<Shifted, u8>> = Command::new("DOWN");
    const WHOLE: Command<Streamed<Every>, Streamed<Deep>> = Command::new("WHOLE");
    WHOLE.check().unwrap();
    let error = check_all([ITEMS.check(), DOWN.check()]).unwrap_err();
    let lines: Vec<_> = error.text().lines().collect();
    assert!(lines[0].starts_with("ITEMS, the items of the request: `carried::Untagged` has no"));
    assert!(lines[1].starts_with("DOWN, the items of the reply: `carried::Shifted` has no"));
}

// --- the same value ---

/// A value made of random numbers.
trait Draw: Sized {
    fn draw(random: &mut Random) -> Self;
}

macro_rules! draw {
    ($($type:ty: |$random:ident| $value:expr;)*) => {$(
        impl Draw for $type {
            fn draw($random: &mut Random) -> Self {
                $value
            }
        }
    )*};
}

fn draw<T: Draw>(random: &mut Random) -> T {
    T::draw(random)
}

fn draw_some<T: Draw>(random: &mut Random) -> impl Iterator<Item = T> + use<'_, T> {
    let count = random.below(4);
    (0..count).map(|_| draw(random))
}

fn bits(random: &mut Random) -> u32 {
    (random.draw() >> 13) as u32
}

fn wide(random: &mut Random) -> u128 {
    let number = u128::from(random.draw()) << 64 | u128::from(random.draw());
    number >> random.below(128)
}

fn text(random: &mut Random) -> String {
    let symbols = ['a', 'B', '"', '\\', '\n', '\0', '\u{7f}', 'é', '\u{2028}', '🦀', ' ', '1'];
    let count = random.below(8);
    (0..count).map(|_| symbols[random.below(symbols.len())]).collect()
}

draw! {
    bool: |random| random.below(2) == 0;
    u8: |random| [0, 1, 10, 255, 7][random.below(5)];
    i8: |random| [0, -1, 10, i8::MIN, i8::MAX][random.below(5)];
    u16: |random| bits(random) as u16;
    i16: |random| bits(random) as i16;
    u32: |random| bits(random);
    i32: |random| bits(random) as i32;
    u64: |random| random.draw() >> random.below(64);
    i64: |random| (random.draw() as i64) >> random.below(64);
    u128: |random| wide(random);
    i128: |random| if draw(random) { wide(random) as i128 } else { -(wide(random) as i128 >> 1) };
    usize: |random| random.below(usize::MAX);
    f32: |random| match random.below(4) {
        0 => [0.0, -0.0, 5.0, 1e20, f32::INFINITY, f32::NAN, 1e-45, -1e30][random.below(8)],
        _ => f32::from_bits(bits(random)),
    };
    f64: |random| match random.below(4) {
        0 => [0.0, -0.0, 5.0, 1e20, f64::INFINITY, f64::NAN, f64::MIN_POSITIVE / 2.0, -1e300]
            [random.below(8)],
        1 => f64::from(bits(random) as i32) / 1000.0,
        _ => f64::from_bits(random.draw()),
    };
    char: |random| text(random).chars().next().unwrap_or('x');
    String: |random| text(random);
    (): |_random| ();
    Nothing: |_random| Nothing;
    Empty: |_random| Empty {};
    NoFields: |_random| NoFields();
    Meters: |random| Meters(draw(random));
    Pair: |random| Pair(draw(random), draw(random));
    Plain: |random| Plain { a: draw(random), b: draw(random), c: draw(random) };
    Deep: |random| Deep {
        a: draw(random),
        b: if random.below(4) == 0 { draw(random) } else { BTreeMap::new() },
        c: (random.below(4) == 0).then(|| draw(random)),
    };
    Every: |random| match random.below(4) {
        0 => Every::Unit,
        1 => Every::Newtype(draw(random)),
        2 => Every::Tuple(draw(random), draw(random)),
        _ => Every::Struct { a: draw(random), b: draw(random) },
    };
    Words: |random| [Words::Red, Words::Green, Words::Blue][random.below(3)].clone();
    Aliased: |random| match random.below(3) {
        0 => Aliased::A,
        1 => Aliased::B(draw(random)),
        _ => Aliased::C(draw(random)),
    };
    Both: |random| Both { a: 0, b: draw(random) };
    LastSkipped: |random| if draw(random) { LastSkipped::A } else { LastSkipped::B(draw(random)) };
    SkippedIf: |random| SkippedIf { a: draw(random), b: draw(random), c: draw(random) };
    ShortTuple: |random| ShortTuple(draw(random), draw(random));
    Shifted: |random| match draw(random) {
        true => Shifted::B(draw(random)),
        false => Shifted::C(draw(random)),
    };
    ShiftedUnits: |random| {
        [ShiftedUnits::A, ShiftedUnits::C, ShiftedUnits::D][random.below(3)].clone()
    };
    IntoText: |random| IntoText { number: draw(random) };
    Untagged: |random| {
        if draw(random) { Untagged::A(draw(random)) } else { Untagged::B(draw(random)) }
    };
    Tagged: |random| if draw(random) { Tagged::A { x: draw(random) } } else { Tagged::B };
    Adjacent: |random| if draw(random) { Adjacent::A(draw(random)) } else { Adjacent::B };
    Flat: |random| Flat {
        a: draw(random),
        rest: HashMap::from([(format!("k{}", text(random)), draw(random))]),
    };
    OffByOne: |random| OffByOne { n: draw(random), x: draw(random) };
    Crossed: |random| match draw(random) {
        true => Crossed::A(draw(random)),
        false => Crossed::B(draw(random)),
    };
    Wide: |random| if draw(random) { Wide::Whole(draw(random)) } else { Wide::Float(draw(random)) };
    Patch: |random| Patch { name: draw(random) };
    IpAddr: |random| if draw(random) { IpAddr::V4(draw(random)) } else { IpAddr::V6(draw(random)) };
    Ipv4Addr: |random| Ipv4Addr::from_bits(draw(random));
    Ipv6Addr: |random| Ipv6Addr::from_bits(draw(random));
    SocketAddr: |random| {
        let ip: IpAddr = draw(random);
        SocketAddr::new(ip, draw(random))
    };
    Duration: |random| Duration::new(draw(random), bits(random) % 1_000_000_000);
    SystemTime: |random| SystemTime::UNIX_EPOCH + Duration::new(u64::from(bits(random)), 7);
    NonZeroU8: |random| NonZeroU8::new(draw(random)).unwrap_or(NonZeroU8::MIN);
    ByteBuf: |random| ByteBuf::from(text(random).into_bytes());
    Cow<'static, str>: |random| Cow::Owned(text(random));
    serde_json::Value: |random| match random.below(6) {
        0 => serde_json::Value::Null,
        1 => draw::<u64>(random).into(),
        2 => draw::<f64>(random).into(),
        3 => text(random).into(),
        4 => draw_some::<String>(random).collect(),
        _ => serde_json::json!({ "a": draw::<i64>(random), "b": draw::<f64>(random) }),
    };
}

types! {
    #[serde(untagged)]
    (enum Wide { Whole(u128), Float(f64) })
    (struct Measured { height: f64 })
    (struct OffByOne { #[serde(serialize_with = "one_more")] n: u8, x: u8 })
    (enum Crossed {
        #[serde(rename(serialize = "X", deserialize = "Y"))] A(u8),
        #[serde(rename(serialize = "Y", deserialize = "X"))] B(u8),
    })
    (struct Patch {
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        name: Option<Option<u8>>,
    })
}

/// Writes what is not read back.
fn one_more<S: Serializer>(n: &u8, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u8(n.wrapping_add(1))
}

/// What is there, if only as nothing: a habit where an update may clear a field.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u8>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

macro_rules! draw_collections {
    ($($type:ty where $($parameter:ident: $bound:path),*;)*) => {$(
        impl<$($parameter: Draw + $bound),*> Draw for $type {
            fn draw(random: &mut Random) -> Self {
                draw_some(random).collect()
            }
        }
    )*};
}

draw_collections! {
    Vec<T> where T: Sized;
    VecDeque<T> where T: Sized;
    LinkedList<T> where T: Sized;
    BTreeSet<T> where T: Ord;
    BTreeMap<K, V> where K: Ord, V: Sized;
}

/// One element at most, since others have no order that could be compared.
impl<T: Draw + Eq + Hash> Draw for HashSet<T> {
    fn draw(random: &mut Random) -> Self {
        draw_some(random).take(1).collect()
    }
}

impl<T: Draw> Draw for Option<T> {
    fn draw(random: &mut Random) -> Self {
        (random.below(3) > 0).then(|| draw(random))
    }
}

impl<T: Draw> Draw for Box<T> {
    fn draw(random: &mut Random) -> Self {
        Self::new(draw(random))
    }
}

impl<T: Draw, E: Draw> Draw for Result<T, E> {
    fn draw(random: &mut Random) -> Self {
        if draw(random) { Ok(draw(random)) } else { Err(draw(random)) }
    }
}

impl<T: Draw> Draw for Bound<T> {
    fn draw(random: &mut Random) -> Self {
        match random.below(3) {
            0 => Self::Unbounded,
            1 => Self::Included(draw(random)),
            _ => Self::Excluded(draw(random)),
        }
    }
}

impl<T: Draw> Draw for Wrapping<T> {
    fn draw(random: &mut Random) -> Self {
        Self(draw(random))
    }
}

impl<A: Draw, B: Draw> Draw for (A, B) {
    fn draw(random: &mut Random) -> Self {
        (draw(random), draw(random))
    }
}

impl<T: Draw, const COUNT: usize> Draw for [T; COUNT] {
    fn draw(random: &mut Random) -> Self {
        std::array::from_fn(|_| draw(random))
    }
}

/// Sends values of one type, and says how many went; what is wrong is put to the others.
fn check_format<F: Format<T>, T: Draw + Debug>(wanted: Sent, wrong: &mut Vec<String>) {
    let (mut random, count, mut sent) = (Random::new(7), rounds(200), 0);
    let of = format!("{} in {}", std::any::type_name::<T>(), F::NAME);
    for _ in 0..count {
        let value: T = draw(&mut random);
        let Ok(payload) = encode::<F, T>(&value) else { continue };
        sent += 1;
        // Numbers are printed with all their digits.
        let back = decode::<F, T>(payload.clone()).map(|back| format!("{back:?}"));
        if back.as_ref().ok() != Some(&format!("{value:?}")) {
            wrong.push(format!("{of}: {value:?} was sent as {payload:?}, and read as {back:?}"));
            return;
        }
    }
    let found = match sent {
        0 => Sent::No,
        _ if sent == count => Sent::All,
        _ => Sent::Part,
    };
    if found != wanted {
        wrong.push(format!("{of}: expected {wanted:?}, found {found:?}"));
    }
}

/// How many values of a type are sent.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Sent {
    All,
    Part,
    No,
}

/// How many values of each type are sent in formats without names, in JSON, and in gob.
macro_rules! check_types {
    ($($type:ty: $positional:ident, $json:ident, $gob:ident;)*) => {
        let mut wrong = Vec::new();
        $(
            check_format::<Bincode, $type>(Sent::$positional, &mut wrong);
            #[cfg(feature = "postcard")]
            check_format::<Postcard, $type>(Sent::$positional, &mut wrong);
            check_format::<Json, $type>(Sent::$json, &mut wrong);
            #[cfg(feature = "gob")]
            check_format::<Gob, $type>(Sent::$gob, &mut wrong);
        )*
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    };
}

#[test]
fn plain_values_that_are_sent_come_back_as_they_were() {
    check_types! {
        bool: All, All, All;
        u8: All, All, All;
        i8: All, All, All;
        u16: All, All, All;
        i16: All, All, All;
        u32: All, All, All;
        i32: All, All, All;
        u64: All, All, All;
        i64: All, All, All;
        u128: All, All, No;
        i128: All, All, No;
        usize: All, All, All;
        f32: All, Part, All;
        f64: All, Part, All;
        char: All, All, All;
        String: All, All, All;
        Cow<'static, str>: All, All, All;
        ByteBuf: All, All, All;
        (): All, All, All;
        Nothing: All, All, All;
        Empty: All, All, All;
        NoFields: All, All, No;
        Meters: All, Part, All;
        Pair: All, All, No;
        Plain: All, All, All;
        Deep: All, All, Part;
        Every: All, Part, No;
        Words: All, All, All;
        Aliased: All, All, No;
        Both: All, All, All;
        LastSkipped: All, All, No;
    }
}

#[test]
fn what_contains_others_and_is_sent_comes_back_as_it_was() {
    check_types! {
        Option<u8>: All, All, Part;
        Option<()>: All, Part, Part;
        Option<Nothing>: All, Part, Part;
        Option<Option<u8>>: All, Part, Part;
        Option<Option<Option<String>>>: All, Part, Part;
        Vec<Option<()>>: All, Part, Part;
        Option<f64>: All, Part, Part;
        Option<Meters>: All, Part, Part;
        Option<Every>: All, Part, No;
        Result<u8, ()>: All, All, All;
        Result<(), Option<u8>>: All, All, Part;
        Bound<u16>: All, All, No;
        Box<i64>: All, All, All;
        Wrapping<u8>: All, All, All;
        NonZeroU8: All, All, All;
        (u8, Option<i64>): All, All, No;
        (u8, (f32, ())): All, Part, No;
        [u16; 3]: All, All, All;
        [Option<()>; 2]: All, Part, Part;
        Vec<()>: All, All, All;
        Vec<u128>: All, All, No;
        VecDeque<i32>: All, All, All;
        LinkedList<char>: All, All, All;
        BTreeSet<String>: All, All, All;
        HashSet<u64>: All, All, All;
        BTreeMap<String, f64>: All, Part, All;
        BTreeMap<u64, ()>: All, All, All;
        BTreeMap<i128, u8>: All, All, No;
        BTreeMap<bool, char>: All, All, All;
        BTreeMap<char, Option<u8>>: All, All, Part;
        BTreeMap<(u8, u8), u8>: All, Part, All;
        BTreeMap<Option<u8>, u8>: All, Part, Part;
        BTreeMap<Option<String>, u8>: All, Part, Part;
        Duration: All, All, All;
        SystemTime: All, All, All;
        IpAddr: All, All, All;
        SocketAddr: All, All, No;
        Vec<IpAddr>: All, All, All;
    }
}

/// What a format cannot carry is not sent in it, and what it can is.
#[test]
fn types_with_attributes_come_back_as_they_were_or_are_not_sent() {
    check_types! {
        SkippedIf: Part, Part, All;
        ShortTuple: Part, All, Part;
        Shifted: No, All, All;
        ShiftedUnits: Part, All, All;
        IntoText: No, No, No;
        Untagged: No, All, No;
        Tagged: No, All, No;
        Adjacent: No, All, No;
        Flat: No, All, No;
        Wide: No, Part, No;
        OffByOne: No, No, No;
        Crossed: All, No, No;
        serde_json::Value: No, All, No;
    }
    // To gob, what is missing and what is there as nothing is the same, and so is a zero.
    #[cfg(feature = "gob")]
    {
        let payload = encode::<Gob, _>(&Measured { height: -0.0 }).unwrap();
        let back: Measured = decode::<Gob, _>(payload).unwrap();
        assert_eq!(back.height.to_bits(), 0.0_f64.to_bits());
    }
    let mut wrong = Vec::new();
    check_format::<Bincode, Patch>(Sent::No, &mut wrong);
    check_format::<Json, Patch>(Sent::All, &mut wrong);
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
