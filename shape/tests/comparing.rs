//! Pairs of types: where they differ, which formats mind, and whether their fingerprints do.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a panic is how a test fails"
)]
#![allow(missing_docs, dead_code, clippy::use_self, reason = "types are declared to be looked at")]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::LazyLock;

use serde::de::{DeserializeOwned, EnumAccess, VariantAccess, Visitor};
use serde::{Deserialize, Deserializer};
use switchboard_shape::{Encoding, Layout, Shape};

#[track_caller]
fn check<A: DeserializeOwned, B: DeserializeOwned>(wanted: &[&str]) {
    let (a, b) = (Shape::of::<A>(Encoding::Text), Shape::of::<B>(Encoding::Text));
    let told = |difference: &switchboard_shape::Difference| {
        assert!(!difference.is_forgiven_by(Layout::Positional), "{difference}");
        let is_forgiven = difference.is_forgiven_by(Layout::Named);
        format!("{difference}{}", if is_forgiven { " (forgiven)" } else { "" })
    };
    let found: Vec<_> = a.differences("it", &b).iter().map(told).collect();
    assert_eq!(found, wanted);
    assert_eq!(a.fingerprint() == b.fingerprint(), wanted.is_empty(), "fingerprints");
    assert_eq!(b.differences("it", &a).len(), wanted.len(), "the other way");
    for shape in [a, b] {
        let sent = serde_json::to_string(&shape).unwrap();
        let received: Shape = serde_json::from_str(&sent).unwrap();
        assert_eq!(received.fingerprint(), shape.fingerprint(), "{sent}");
        assert_eq!(received.differences("it", &shape), [], "{sent}");
        assert_eq!(serde_json::to_string(&received).unwrap(), sent);
    }
}

macro_rules! types {
    ($($(#[$attribute:meta])* ($($item:tt)*))*) => {$(
        #[derive(Deserialize)]
        $(#[$attribute])*
        $($item)*
    )*};
}

types! {
    (struct Price { amount: u32, currency: String })
    (struct PriceAsFloat { amount: f64, currency: String })
    (struct Reordered { currency: String, amount: u32 })
    (struct Newtyped { amount: Cents, currency: Box<str> })
    (struct Cents(u32);)
    (struct WithNote { amount: u32, currency: String, note: Option<String> })
    (struct WithMore { amount: u32, currency: String, more: String })
    (struct WithDefault { amount: u32, #[serde(default)] currency: String })
    #[serde(deny_unknown_fields)]
    (struct Strict { amount: u32, currency: String })
    (struct Alias { amount: u32, #[serde(alias = "unit")] currency: String })
    (struct Order<T> { items: Vec<T>, first: Option<T>, by_name: BTreeMap<String, (u8, T)> })
    (struct Unit;)
    (struct List { value: u8, next: Option<Box<List>> })
    (struct OtherList { value: u8, next: Option<Box<OtherList>> })
    (struct Pair { value: u8, next: Option<Box<SecondOfPair>> })
    (struct SecondOfPair { value: u8, next: Option<Box<Pair>> })
    (struct LongList { value: u8, next: Option<Box<LongSecond>> })
    (struct LongSecond { value: u8, next: Option<Box<LongThird>> })
    (struct LongThird { value: u16, next: Option<Box<LongList>> })
    (struct Shared { a: Price, b: Price })
    (struct NotShared { a: Price, b: Newtyped })
    (enum Kind { A, B(u8), C { x: u8 } })
    (enum KindReordered { B(u8), A, C { x: u8 } })
    (enum KindWithMore { A, B(u8), C { x: u8 }, D })
    (enum KindWithOther { A, B(u8), C { x: u8 }, #[serde(other)] E })
    (enum KindWithContent { A(()), B(u8), C { x: u8 } })
    (enum KindOfStruct { A, B(u8), C(X) })
    (struct X { x: u8 })
    #[serde(untagged)]
    (enum Untagged { A(u8) })
    #[serde(untagged)]
    (enum OtherUntagged { A(u16) })
}

#[test]
fn what_is_alike_on_every_wire_does_not_differ() {
    check::<Price, Price>(&[]);
    check::<Price, Newtyped>(&[]);
    check::<Price, Strict>(&[]);
    check::<Price, Alias>(&[]);
    check::<Vec<u8>, BTreeSet<u8>>(&[]);
    check::<[u8; 2], (u8, u8)>(&[]);
    check::<(), Unit>(&[]);
    check::<HashMap<String, Cents>, BTreeMap<Box<str>, u32>>(&[]);
    check::<List, OtherList>(&[]);
    check::<List, Pair>(&[]);
    check::<Shared, NotShared>(&[]);
    check::<Kind, KindOfStruct>(&[]);
    check::<Untagged, OtherUntagged>(&[]);
}

#[test]
fn primitives_and_forms_are_told_apart() {
    check::<u32, u64>(&["it: u32 here, u64 there"]);
    check::<String, char>(&["it: string here, char there"]);
    check::<Option<u8>, u8>(&["it: optional u8 here, u8 there"]);
    check::<Vec<u8>, [u8; 2]>(&["it: sequence here, tuple of 2 there"]);
    check::<(u8, u8), (u8, u8, u8)>(&["it: tuple of 2 here, tuple of 3 there"]);
    check::<BTreeMap<u8, u8>, BTreeMap<u16, u8>>(&["it[key]: u8 here, u16 there"]);
    check::<Price, Kind>(&["it: struct Price here, enum Kind there"]);
    check::<Untagged, u8>(&["it: unknown here, u8 there"]);
}

#[test]
fn the_way_to_a_difference_is_told() {
    check::<Order<Price>, Order<PriceAsFloat>>(&["it.items[].amount: u32 here, f64 there"]);
    check::<(u8, Kind), (u8, KindWithMore)>(&["it[1]::D: no variant here, a variant there"]);
    check::<Result<u8, Vec<u8>>, Result<u8, Vec<i8>>>(&["it::Err[]: u8 here, i8 there"]);
    check::<Price, Reordered>(&[
        "it: `amount` before `currency` here, `currency` before `amount` there (forgiven)",
    ]);
    check::<List, LongList>(&["it.next.next.value: u8 here, u16 there"]);
}

#[test]
fn fields_that_one_side_has_are_forgiven_if_the_other_may_miss_them() {
    check::<Price, WithNote>(&["it.note: no field here, optional string there (forgiven)"]);
    check::<WithNote, Price>(&["it.note: optional string here, no field there (forgiven)"]);
    check::<Strict, WithNote>(&["it.note: no field here, optional string there"]);
    check::<WithNote, Strict>(&["it.note: optional string here, no field there"]);
    check::<Price, WithMore>(&["it.more: no field here, string there"]);
    check::<Price, WithDefault>(&["it.currency: has to be here, may be missing there"]);
}

#[test]
fn variants_are_told_by_name_and_number() {
    check::<Kind, KindReordered>(&[
        "it::A: variant 0 here, variant 1 there (forgiven)",
        "it::B: variant 1 here, variant 0 there (forgiven)",
    ]);
    check::<KindWithMore, Kind>(&["it::D: a variant here, no variant there"]);
    check::<KindWithOther, KindWithMore>(&[
        "it::E: a variant here, no variant there",
        "it::D: no variant here, a variant there (forgiven)",
    ]);
    check::<Kind, KindWithContent>(&["it::A: without content here, with content there"]);
}

#[test]
fn fingerprints_are_stable() {
    let fingerprint = |shape: Shape| format!("{:016x}", shape.fingerprint());
    let of_order = fingerprint(Shape::of::<Order<Price>>(Encoding::Text));
    let of_list = fingerprint(Shape::of::<List>(Encoding::Binary));
    assert_eq!([of_order, of_list], ["4eb7bc2b3c9ddee0", "09be98cbb9fd73ef"]);
}

/// An enum that announces this many variants.
struct Variants<const COUNT: usize>;

static NAMES: LazyLock<Vec<&str>> =
    LazyLock::new(|| (0..200).map(|number| &*format!("V{number}").leak()).collect());

impl<'de, const COUNT: usize> Deserialize<'de> for Variants<COUNT> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_enum("Variants", &NAMES[..COUNT], Self)
    }
}

impl<'de, const COUNT: usize> Visitor<'de> for Variants<COUNT> {
    type Value = Self;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a variant")
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Self, A::Error> {
        let (_, content) = data.variant::<String>()?;
        content.unit_variant()?;
        Ok(self)
    }
}

#[test]
fn no_more_than_a_hundred_differences_are_told() {
    let few = Shape::of::<Variants<10>>(Encoding::Text);
    for (many, wanted) in [
        (Shape::of::<Variants<109>>(Encoding::Text), 99),
        (Shape::of::<Variants<110>>(Encoding::Text), 100),
        (Shape::of::<Variants<111>>(Encoding::Text), 100),
    ] {
        assert_eq!(few.differences("", &many).len(), wanted);
    }
}

#[test]
fn a_path_may_begin_with_nothing() {
    let (a, b) = (Shape::of::<Price>(Encoding::Text), Shape::of::<PriceAsFloat>(Encoding::Text));
    assert_eq!(a.differences("", &b)[0].to_string(), "amount: u32 here, f64 there");
    let (a, b) = (Shape::of::<u8>(Encoding::Text), Shape::of::<u16>(Encoding::Text));
    assert_eq!(a.differences("", &b)[0].to_string(), "u8 here, u16 there");
}

/// What another program sends is not trusted: it is a shape or an error.
#[test]
fn words_that_are_no_shape_are_refused() {
    for words in [
        r"[]",
        r"[[]]",
        r#"[["nothing"]]"#,
        r#"[["u8", "more"]]"#,
        r#"[["option"]]"#,
        r#"[["option", "x"]]"#,
        r#"[["option", "-1"]]"#,
        r#"[["option", "1"]]"#,
        r#"[["enum", "A", "open", "B", "0", "struct", "7"]]"#,
        r#"[["map", "0"]]"#,
        r#"[["tuple"]]"#,
        r#"[["struct", "A"]]"#,
        r#"[["struct", "A", "ajar"]]"#,
        r#"[["struct", "A", "open", "b", "0"]]"#,
        r#"[["struct", "A", "open", "b", "0", "perhaps"]]"#,
        r#"[["enum", "A", "open", "B", "0", "unit"]]"#,
        r#"[["enum", "A", "open", "B", "0", "some", "0"]]"#,
        r#"[["unknown", "text"]]"#,
        r#"[[1]]"#,
        r#"{"a": 1}"#,
    ] {
        assert!(serde_json::from_str::<Shape>(words).is_err(), "{words}");
    }
}

/// Circles end.
#[test]
fn shapes_from_elsewhere_come_to_an_end() {
    let ours = Shape::of::<Option<Vec<u8>>>(Encoding::Binary);
    for words in [
        r#"[["newtype", "A", "0"]]"#,
        r#"[["option", "0"]]"#,
        r#"[["newtype", "A", "1"], ["newtype", "B", "0"]]"#,
        r#"[["struct", "A", "open", "a", "0", "must", "b", "0", "may"]]"#,
        r#"[["enum", "A", "open", "B", "0", "struct", "0"]]"#,
    ] {
        let theirs: Shape = serde_json::from_str(words).unwrap();
        let _ = (theirs.fingerprint(), format!("{theirs:?}"), theirs.json_schema().to_string());
        assert!(!ours.differences("it", &theirs).is_empty(), "{words}");
        assert!(!theirs.differences("it", &ours).is_empty(), "{words}");
    }
}
