//! Types that write something else than they read, and what is told of them.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::trivially_copy_pass_by_ref,
    reason = "a panic is how a test fails"
)]
#![allow(missing_docs, dead_code, clippy::use_self, reason = "types are declared to be looked at")]

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::ffi::CString;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU8;
use std::ops::{Bound, RangeInclusive};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::AtomicU8;
use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};
use serde_bytes::ByteBuf;
use switchboard_shape::{Encoding, Layout, Sides};
use uuid::Uuid;

#[track_caller]
fn check<T: DeserializeOwned + Serialize>(wanted: &[&str]) {
    for encoding in [Encoding::Text, Encoding::Binary] {
        let sides = Sides::of::<T>(encoding);
        let told = |difference: &switchboard_shape::Difference| {
            let is_forgiven = difference.is_forgiven_by(Layout::Named);
            format!("{difference}{}", if is_forgiven { " (forgiven)" } else { "" })
        };
        let found: Vec<_> = sides.differences("it").iter().map(told).collect();
        assert_eq!(found, wanted, "{sides:?}");
        let is_alike = sides.read.fingerprint() == sides.written.fingerprint();
        assert!(!is_alike || wanted.is_empty());
    }
}

macro_rules! types {
    ($($(#[$attribute:meta])* ($($item:tt)*))*) => {$(
        #[derive(Serialize, Deserialize)]
        $(#[$attribute])*
        $($item)*
    )*};
}

types! {
    (struct Unit;)
    (struct Empty {})
    (struct Meters(u64);)
    (struct Point(f64, f64);)
    (struct Plain { a: u8, b: Option<String>, #[serde(default)] c: Vec<Every>, d: [u8; 2] })
    (enum Every { Unit, Newtype(Meters), Tuple(u8, Point), Struct { a: Option<u8> } })
    (struct List { value: u8, next: Option<Box<List>>, map: BTreeMap<String, List> })
    (enum Expression { Sum(Box<Expression>, Box<Expression>), Literal(i64) })
    (struct Renamed { #[serde(rename(serialize = "b"))] a: u8, c: u8 })
    (struct RenamedWithAlias { #[serde(rename(serialize = "b"), alias = "b")] a: u8, c: u8 })
    (struct Skipped { #[serde(skip_serializing)] a: u8, c: u8 })
    (struct SkippedWithDefault { #[serde(skip_serializing, default)] a: u8, c: u8 })
    (struct NotRead { #[serde(skip_deserializing)] a: u8, c: u8 })
    #[serde(deny_unknown_fields)]
    (struct NotReadStrictly { #[serde(skip_deserializing)] a: u8, c: u8 })
    (struct SkippedIf {
        #[serde(skip_serializing_if = "String::is_empty")]
        text: String,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        list: Vec<u8>,
        #[serde(skip_serializing_if = "Option::is_none")]
        option: Option<u8>,
        #[serde(skip_serializing_if = "is_zero")]
        number: u32,
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        good: Vec<u8>,
        last: bool,
    })
    (struct OnlyText { #[serde(skip_serializing_if = "String::is_empty")] text: String })
    (struct OnlyNumber { #[serde(skip_serializing_if = "is_zero")] number: u32 })
    (enum Shifted { A, #[serde(skip_deserializing)] B, C(u8), #[serde(skip)] D, E })
    (enum NotWritten { A, #[serde(skip_serializing)] B, C })
    (enum RenamedVariant { #[serde(rename(serialize = "b"))] A, C })
    (struct With {
        #[serde(serialize_with = "as_text")]
        a: u32,
        #[serde(serialize_with = "as_list")]
        b: Vec<u32>,
        #[serde(serialize_with = "as_texts")]
        c: Vec<u32>,
        d: u8,
    })
    (struct WithoutEnd { #[serde(serialize_with = "without_end")] a: u8, b: u8 })
    #[serde(into = "String", from = "u8")]
    (#[derive(Clone)] struct IntoText { number: u8 })
    #[serde(untagged)]
    (enum Untagged { A(u8) })
    (struct Partly { a: Option<Untagged>, b: u8, #[serde(skip_serializing)] c: u8 })
    (struct Hidden { a: Untagged, #[serde(skip_serializing)] c: u8 })
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

fn as_text<S: Serializer>(number: &u32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&number.to_string())
}

fn as_list<S: Serializer>(numbers: &[u32], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(numbers)
}

fn as_texts<S: Serializer>(numbers: &[u32], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(numbers.iter().map(ToString::to_string))
}

fn without_end<S: Serializer>(number: &u8, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(std::iter::repeat(number))
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

#[test]
fn types_that_write_what_they_read_have_no_differences() {
    check::<(bool, i8, i128, u128, f32, f64, char, String)>(&[]);
    check::<(Unit, Empty, Meters, Point, ())>(&[]);
    check::<Plain>(&[]);
    check::<List>(&[]);
    check::<Expression>(&[]);
    check::<HashMap<u8, Option<Vec<ByteBuf>>>>(&[]);
    check::<Vec<(Uuid, IpAddr, Duration, NonZeroU8)>>(&[]);
    check::<Result<Every, Box<str>>>(&[]);
    check::<RenamedWithAlias>(&[]);
    check::<(Bound<u8>, RangeInclusive<u8>, SystemTime, CString, PathBuf)>(&[]);
    check::<(Mutex<u8>, Cell<u8>, AtomicU8, Reverse<u8>, SocketAddr)>(&[]);
}

#[test]
fn fields_that_only_one_side_has_are_told() {
    check::<Renamed>(&[
        "it.b: u8 here, no field there (forgiven)",
        "it.a: no field here, u8 there",
    ]);
    check::<Skipped>(&["it.a: no field here, u8 there"]);
    check::<SkippedWithDefault>(&["it.a: no field here, u8 there (forgiven)"]);
    check::<NotRead>(&["it.a: u8 here, no field there (forgiven)"]);
    check::<NotReadStrictly>(&["it.a: u8 here, no field there"]);
}

#[test]
fn fields_that_are_left_out_at_times_must_be_read_without() {
    let missing = |name| format!("it.{name}: may be missing here, has to be there");
    let wanted = [missing("text"), missing("list"), missing("number")];
    check::<SkippedIf>(&wanted.each_ref().map(String::as_str));
    check::<OnlyText>(&["it.text: may be missing here, has to be there"]);
    check::<OnlyNumber>(&["it.number: may be missing here, has to be there"]);
}

#[test]
fn variants_that_shift_are_told() {
    check::<Shifted>(&[
        "it::C: variant 2 here, variant 1 there (forgiven)",
        "it::E: variant 4 here, variant 2 there (forgiven)",
    ]);
    check::<NotWritten>(&["it::B: no variant here, a variant there (forgiven)"]);
    check::<RenamedVariant>(&[
        "it::b: a variant here, no variant there",
        "it::A: no variant here, a variant there (forgiven)",
    ]);
}

#[test]
fn what_is_written_as_another_type_is_told() {
    check::<With>(&["it.a: string here, u32 there", "it.c[]: string here, u32 there"]);
    check::<Option<IntoText>>(&["it: string here, u8 there"]);
}

#[test]
fn what_is_around_the_unknown_is_seen_if_it_can_be_missing() {
    check::<Partly>(&["it.c: no field here, u8 there"]);
    check::<Hidden>(&["it: unknown here, struct Hidden there"]);
}

#[test]
fn what_is_written_without_end_is_given_up() {
    check::<WithoutEnd>(&["it: unknown here, struct WithoutEnd there"]);
}
