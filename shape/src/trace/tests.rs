//! Types, and the shapes that are found of them; what cannot be found, and why.

use std::any::type_name;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::num::NonZeroU8;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use uuid::Uuid;

use super::*;
use crate::types::{Content, Id, Type};

/// The whole shape. A field that may be missing has `?` behind its name; `..` says that other names
/// are taken; a named type is told once, and is its name with `^` from then on.
fn print(types: &Types, id: Id, told: &mut BTreeSet<Id>) -> String {
    let of = types.of(id).unwrap();
    let is_named = matches!(of, Type::Newtype { .. } | Type::Struct { .. } | Type::Enum { .. });
    let list = |texts: Vec<String>| texts.join(", ");
    if is_named && !told.insert(id) {
        return format!("^{}", name(of));
    }
    let mut print = |id| print(types, id, told);
    match of {
        Type::Primitive(primitive) => primitive.to_string(),
        Type::Unit { name } => format!("{name}()"),
        Type::Newtype { name, content } => format!("{name}({})", print(*content)),
        Type::Option { content } => format!("option {}", print(*content)),
        Type::Sequence { element } => format!("[{}]", print(*element)),
        Type::Map { key, value } => format!("{{{}: {}}}", print(*key), print(*value)),
        Type::Tuple { name, elements } => {
            format!("{name}({})", list(elements.iter().map(|id| print(*id)).collect()))
        }
        Type::Struct { name, fields, is_open } => {
            let field = |field: &crate::types::Field| {
                let mark = if field.is_optional { "?" } else { "" };
                let names =
                    [std::slice::from_ref(&field.name), &field.aliases[..]].concat().join("|");
                format!("{names}{mark}: {}", print(field.id))
            };
            let mut parts: Vec<_> = fields.iter().map(field).collect();
            parts.extend(is_open.then(|| "..".to_owned()));
            format!("{name} {{{}}}", list(parts))
        }
        Type::Enum { name, variants, is_open } => {
            let variant = |variant: &crate::types::Variant| match variant.content {
                Content::Unit => variant.name.to_string(),
                Content::Newtype(id) => format!("{} = {}", variant.name, print(id)),
                Content::Tuple(id) | Content::Struct(id) => print(id),
            };
            let mut parts: Vec<_> = variants.iter().map(variant).collect();
            parts.extend(is_open.then(|| "..".to_owned()));
            format!("{name} <{}>", list(parts))
        }
        Type::Unknown { reason, needs_description } => {
            let mark = if *needs_description { "!" } else { "" };
            format!("unknown: {}{mark}", short(reason))
        }
    }
}

fn name(of: &Type) -> &str {
    match of {
        Type::Newtype { name, .. } | Type::Struct { name, .. } | Type::Enum { name, .. } => name,
        _ => "",
    }
}

fn short(text: &str) -> String {
    text.replace("switchboard_shape::trace::tests::", "")
}

fn printed<T: DeserializeOwned>(encoding: Encoding) -> String {
    let types = trace::<T>(encoding);
    print(&types, types.root(), &mut BTreeSet::new())
}

#[track_caller]
fn check<T: DeserializeOwned>(wanted: &str) {
    assert_eq!(printed::<T>(Encoding::Text), wanted, "{}", type_name::<T>());
}

#[track_caller]
fn check_both<T: DeserializeOwned>(text: &str, binary: &str) {
    check::<T>(text);
    assert_eq!(printed::<T>(Encoding::Binary), binary, "{}", type_name::<T>());
}

macro_rules! types {
    ($($(#[$attribute:meta])* ($($item:tt)*))*) => {$(
        #[derive(Deserialize)]
        #[allow(dead_code)]
        $(#[$attribute])*
        $($item)*
    )*};
}

types! {
    (struct Empty {})
    (struct Unit;)
    (struct Meters(u64);)
    (struct Point(f64, f64);)
    (struct Wrapper<T> { value: T })
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    (struct Order {
        order_number: u32,
        #[serde(default)]
        notes: Vec<String>,
        gift: Option<bool>,
        #[serde(rename = "type")]
        kind: Kind,
        #[serde(skip)]
        skipped: u8,
    })
    (enum Kind { Unit, Newtype(u8), Tuple(u8, Point), Struct { a: Meters, b: Option<u8> } })
    #[serde(default)]
    (#[derive(Default)] struct AllDefault { a: u8, b: String })
    (struct Aliases {
        #[serde(alias = "z", alias = "b")]
        x: i64,
        #[serde(alias = "n")]
        m: String,
        #[serde(default)]
        last: bool,
    })
    (enum Open { A, #[serde(other)] B })
    (struct Even { list: Vec<Odd>, leaf: bool })
    (struct Odd { map: HashMap<String, Even>, odd: Option<Box<Self>>, even: Option<Box<Even>> })
    (struct Tree(Vec<Self>);)
    (enum Expression {
        Sum { left: Box<Self>, right: Box<Self> },
        Block { statements: Vec<Statement> },
        Do { statement: Box<Statement> },
        Literal(i64),
    })
    (enum Statement { Return { value: Box<Expression> }, Both(Box<(Self, Self)>), Nothing })
    (struct Generic { a: Wrapper<i64>, b: Wrapper<String>, c: Wrapper<i64> })
    (struct SameNames { a: left::Named, b: right::Named })
    (struct Samples { a: NonZeroU8, b: Zero, c: Filled, d: Date })
    #[serde(try_from = "i64")]
    (struct Zero { never: i64 })
    #[serde(try_from = "Vec<Wrapper<i64>>")]
    (struct Filled { never: i64 })
    #[serde(try_from = "String")]
    (struct Date { never: String })
    #[serde(try_from = "Linked")]
    (struct Long { never: i64 })
    (struct Linked { value: i64, list: Vec<i64>, next: Option<Box<Self>> })
}

mod left {
    #[derive(serde::Deserialize)]
    #[allow(dead_code)]
    pub(super) struct Named {
        value: i64,
    }
}

mod right {
    #[derive(serde::Deserialize)]
    #[allow(dead_code)]
    pub(super) struct Named {
        value: String,
    }
}

impl TryFrom<i64> for Zero {
    type Error = &'static str;

    fn try_from(value: i64) -> Result<Self, &'static str> {
        if value == 0 { Ok(Self { never: 0 }) } else { Err("not 0") }
    }
}

impl TryFrom<Vec<Wrapper<i64>>> for Filled {
    type Error = &'static str;

    fn try_from(list: Vec<Wrapper<i64>>) -> Result<Self, &'static str> {
        let first = list.first().ok_or("empty")?;
        Ok(Self { never: first.value })
    }
}

impl TryFrom<String> for Date {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        if text.contains(':') { Ok(Self { never: text }) } else { Err("no date") }
    }
}

impl TryFrom<Linked> for Long {
    type Error = &'static str;

    fn try_from(list: Linked) -> Result<Self, &'static str> {
        list.next.map(|_| Self { never: 0 }).ok_or("too short")
    }
}

#[test]
fn each_row_of_the_data_model_has_its_shape() {
    check::<bool>("bool");
    check::<i8>("i8");
    check::<i128>("i128");
    check::<u128>("u128");
    check::<f32>("f32");
    check::<char>("char");
    check::<String>("string");
    check::<Box<str>>("string");
    check::<serde_bytes::ByteBuf>("bytes");
    check::<Vec<u8>>("[u8]");
    check::<[u8; 3]>("(u8, u8, u8)");
    check::<[u8; 0]>("()");
    check::<(u8, String)>("(u8, string)");
    check::<BTreeMap<u16, f32>>("{u16: f32}");
    check::<()>("()");
    check::<PhantomData<u8>>("PhantomData()");
    check::<Unit>("Unit()");
    check::<Empty>("Empty {..}");
    check::<Meters>("Meters(u64)");
    check::<Point>("Point(f64, f64)");
    check::<Option<Option<u8>>>("option option u8");
    check::<Result<u8, String>>("Result <Ok = u8, Err = string>");
    check::<Kind>(
        "Kind <Unit, Newtype = u8, Tuple(u8, Point(f64, f64)), \
         Struct {a: Meters(u64), b?: option u8, ..}>",
    );
}

#[test]
fn formats_for_people_and_others_differ() {
    check_both::<Uuid>("string", "bytes");
    check_both::<Ipv4Addr>("string", "(u8, u8, u8, u8)");
    let octets = ["u8"; 16].join(", ");
    check_both::<IpAddr>("string", &format!("IpAddr <V4 = (u8, u8, u8, u8), V6 = ({octets})>"));
    check_both::<Ipv6Addr>("string", &format!("({octets})"));
    check::<(SocketAddr, SocketAddrV4, SocketAddrV6)>("(string, string, string)");
    check_both::<Duration>("Duration {secs: u64, nanos: u32}", "Duration {secs: u64, nanos: u32}");
}

#[test]
fn attributes_of_fields_and_variants_are_respected() {
    check::<Order>(
        "Order {orderNumber: u32, notes?: [string], gift?: option bool, type: Kind <Unit, \
         Newtype = u8, Tuple(u8, Point(f64, f64)), Struct {a: Meters(u64), b?: option u8, ..}>}",
    );
    check::<AllDefault>("AllDefault {a?: u8, b?: string, ..}");
    check::<Aliases>("Aliases {x|b|z: i64, m|n: string, last?: bool, ..}");
    check::<Open>("Open <A, B, ..>");
}

#[test]
fn types_of_one_name_are_told_apart() {
    check::<Generic>(
        "Generic {a: Wrapper {value: i64, ..}, b: Wrapper {value: string, ..}, c: ^Wrapper, ..}",
    );
    check::<SameNames>("SameNames {a: Named {value: i64, ..}, b: Named {value: string, ..}, ..}");
}

#[test]
fn recursive_types_come_to_an_end() {
    check::<Even>(
        "Even {list: [Odd {map: {string: ^Even}, odd?: option ^Odd, even?: option ^Even, ..}], \
         leaf: bool, ..}",
    );
    check::<Tree>("Tree([^Tree])");
    check::<Expression>(
        "Expression <Sum {left: ^Expression, right: ^Expression, ..}, Block {statements: \
         [Statement <Return {value: ^Expression, ..}, Both = (^Statement, ^Statement), Nothing>], \
         ..}, Do {statement: ^Statement, ..}, Literal = i64>",
    );
}

#[test]
fn types_that_refuse_samples_get_others() {
    check::<Samples>("Samples {a: u8, b: i64, c: [Wrapper {value: i64, ..}], d: string, ..}");
    check::<Long>("Linked {value: i64, list: [i64], next?: option ^Linked, ..}");
    check::<HashMap<Uuid, Uuid>>("{string: string}");
}

types! {
    #[serde(untagged)]
    (enum Untagged { Number(i64) })
    #[serde(tag = "type")]
    (enum Internal { Number { value: i64 } })
    #[serde(tag = "t", content = "c")]
    (enum Adjacent { Number(i64), Text(String), Nothing })
    (struct Flat { a: i64, #[serde(flatten)] rest: Wrapper<i64> })
    #[serde(try_from = "Wrapper<Vec<Point>>")]
    (struct Never { never: i64 })
    (struct Around {
        before: u8,
        unknown: Untagged,
        list: Vec<Wrapper<Flat>>,
        optional: Option<Internal>,
        #[serde(default)]
        number: u16,
        also: Never,
        after: Option<Wrapper<char>>,
    })
    (struct Outer { around: Around, tuple: (u8, Internal, Option<u16>), last: Vec<Meters> })
    (enum Mixed { A(Untagged), B(Outer), C { c: Option<Flat>, d: Vec<i8> }, D })
    (struct Tag(Untagged);)
    (struct Endless { a: Box<Self>, b: u8 })
    (enum NoVariants {})
    (enum EndlessEnum { A(Box<Self>), B { a: Box<Self> } })
    (struct Shared { never: Never, list: Wrapper<Vec<Point>> })
}

impl Default for Internal {
    fn default() -> Self {
        Self::Number { value: 0 }
    }
}

impl TryFrom<Wrapper<Vec<Point>>> for Never {
    type Error = &'static str;

    fn try_from(_: Wrapper<Vec<Point>>) -> Result<Self, &'static str> {
        Err("never")
    }
}

const DATA: &str =
    "looks at the data to know what it is, as untagged and internally tagged enums do!";
const NAMES: &str = "has fields whose names are not fixed, as #[serde(flatten)] makes them!";

#[test]
fn what_is_unknown_says_why() {
    check::<Untagged>(&format!("unknown: `Untagged` {DATA}"));
    check::<Vec<Internal>>(&format!("[unknown: `Internal` {DATA}]"));
    check::<Flat>(&format!("unknown: `Flat` {NAMES}"));
    check::<Tag>(&format!("Tag(unknown: `Tag` {DATA})"));
    check::<Never>("unknown: `Never` refuses every sample value (never)");
    check::<Adjacent>(
        "Adjacent {t: Adjacent <Number, Text, Nothing>, c?: unknown: `Adjacent` does not ask for \
         the same each time, as adjacently tagged enums do, or is one of two types of this \
         name, ..}",
    );
    check::<serde::de::IgnoredAny>(
        "unknown: `serde_core::de::ignored_any::IgnoredAny` ignores a part of itself!",
    );
    check::<serde_json::Value>(&format!("unknown: `serde_json::value::Value` {DATA}"));
    check::<NoVariants>("NoVariants <>");
    check::<EndlessEnum>(
        "EndlessEnum <A = ^EndlessEnum, B {a: unknown: `EndlessEnum` has no value that comes to \
         an end, ..}>",
    );
}

#[test]
fn what_is_around_the_unknown_is_known() {
    let around = format!(
        "Around {{before: u8, unknown: unknown: `Untagged` {DATA}, list: [Wrapper \
         {{value: unknown: `Flat` {NAMES}, ..}}], optional?: option unknown: `Internal` {DATA}, \
         number?: u16, also?: unknown: `Never` refuses every sample value (never), after?: \
         option Wrapper {{value: char, ..}}, ..}}"
    );
    // What stands behind the first field that is missing for good cannot be tried.
    let around = around.replace("list:", "list?:");
    check::<Around>(&around);
    let tuple = format!(
        "(u8, unknown: `Internal` {DATA}, unknown: no sample of `(u8, Internal, \
         core::option::Option<u16>)` shows this part of it)"
    );
    let outer = format!("Outer {{around: {around}, tuple: {tuple}, last: [Meters(u64)], ..}}");
    let outer = outer.replace("tuple:", "tuple?:").replace("last:", "last?:");
    check::<Outer>(&outer);
    check::<Mixed>(&format!(
        "Mixed <A = unknown: `Untagged` {DATA}, B = {outer}, C {{c?: option unknown: `Flat` \
         {NAMES}, d: [i8], ..}}, D>"
    ));
    // The list is met first within what is unknown.
    check::<Shared>(
        "Shared {never: unknown: `Never` refuses every sample value (never), list?: Wrapper \
         {value: [Point(f64, f64)], ..}, ..}",
    );
}

#[test]
fn endless_types_come_to_an_end() {
    check::<Endless>(
        "Endless {a: unknown: `Endless` has more than 200 levels of types inside each other, \
         b?: u8, ..}",
    );
}

#[test]
fn types_whose_whole_names_clash_are_unknown_if_they_differ() {
    macro_rules! clashing {
        ($type:ty) => {{
            types! {
                (struct Clash { field: $type })
            }
            PhantomData::<Clash>
        }};
    }
    fn check_clash<A: DeserializeOwned, B: DeserializeOwned>(_: PhantomData<A>, _: PhantomData<B>) {
        check::<(A, B)>(
            "(Clash {field: unknown: `types_whose_whole_names_clash_are_unknown_if_they_differ\
             ::Clash` does not ask for the same each time, as adjacently tagged enums do, or is \
             one of two types of this name, ..}, ^Clash)",
        );
    }
    check_clash(clashing!(i64), clashing!(String));
}

/// A level of types that has two of the level below.
macro_rules! doubling {
    ($($name:ident $inner:ty,)*) => {$(
        #[derive(Deserialize)]
        #[allow(dead_code)]
        struct $name { one: Box<$inner>, two: Box<$inner> }
    )*};
}

doubling! {
    D0 u8, D1 D0, D2 D1, D3 D2, D4 D3, D5 D4, D6 D5, D7 D6, D8 D7, D9 D8, D10 D9, D11 D10,
    D12 D11, D13 D12, D14 D13, D15 D14, D16 D15, D17 D16, D18 D17, D19 D18, D20 D19, D21 D20,
    D22 D21, D23 D22, D24 D23, D25 D24, D26 D25, D27 D26, D28 D27, D29 D28, D30 D29,
}

#[test]
fn what_doubles_without_end_is_unknown_behind_the_limit() {
    let text = printed::<Vec<D30>>(Encoding::Text);
    let limit = "is a part of a type that is too large: more than 2097152 samples would have to \
                 be made";
    assert!(text.contains(limit), "{text}");
    assert!(text.starts_with("[D30 {one?: D29 {one?: D28 {"), "{text}");
}

/// A type that announces whatever fields or variants it is made with.
struct Announced<const COUNT: usize, const IS_ENUM: bool>;

static NAMES_OF_MANY: std::sync::LazyLock<Vec<&'static str>> = std::sync::LazyLock::new(|| {
    (0..20_000).map(|number| &*Box::leak(format!("name{number}").into_boxed_str())).collect()
});

impl<'de, const COUNT: usize, const IS_ENUM: bool> Deserialize<'de> for Announced<COUNT, IS_ENUM> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names: &'static [&'static str] = &NAMES_OF_MANY[..COUNT];
        match IS_ENUM {
            true => deserializer.deserialize_enum("Many", names, ManyVisitor(names)),
            false => deserializer.deserialize_struct("Many", names, ManyVisitor(names)),
        }?;
        Ok(Self)
    }
}

struct ManyVisitor(&'static [&'static str]);

impl<'de> serde::de::Visitor<'de> for ManyVisitor {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("many names")
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut found = BTreeSet::new();
        while let Some(name) = map.next_key::<Box<str>>()? {
            map.next_value::<u8>()?;
            found.insert(name);
        }
        match self.0.iter().find(|name| !found.contains(**name)) {
            Some(name) => Err(serde::de::Error::missing_field(name)),
            None => Ok(()),
        }
    }

    fn visit_enum<A: serde::de::EnumAccess<'de>>(self, data: A) -> Result<(), A::Error> {
        use serde::de::VariantAccess;
        let (_, content) = data.variant::<Box<str>>()?;
        content.newtype_variant::<u8>().map(|_| ())
    }
}

#[track_caller]
fn check_many<const COUNT: usize, const IS_ENUM: bool>(unknown: usize, optional: usize) {
    let text = printed::<Announced<COUNT, IS_ENUM>>(Encoding::Text);
    assert_eq!(text.matches("name").count(), COUNT);
    let limit = "is a part of a type that is too large: more than 10000 values would have to be \
                 tried";
    assert_eq!(text.matches(limit).count(), unknown);
    assert_eq!(text.matches("?:").count(), optional);
}

#[test]
fn thousands_of_names_are_no_trouble() {
    check_many::<1_000, false>(0, 0);
    // Which fields may be missing is not tried of so many.
    check_many::<1_001, false>(0, 1_001);
    check_many::<20_000, false>(0, 20_000);
    check_many::<5_000, true>(0, 0);
    // One run is for the root, and each of the first variants takes one.
    check_many::<20_000, true>(20_000 - 9_999, 0);
}

/// An array of this many elements.
struct Array<const LEN: usize>;

impl<'de, const LEN: usize> Deserialize<'de> for Array<LEN> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(LEN, Self)
    }
}

impl<'de, const LEN: usize> serde::de::Visitor<'de> for Array<LEN> {
    type Value = Self;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut elements: A) -> Result<Self, A::Error> {
        while elements.next_element::<u8>()?.is_some() {}
        Ok(self)
    }
}

#[test]
fn large_arrays_are_known_up_to_the_limit() {
    // The whole type is a part, too, and each type counts as one.
    let largest = printed::<Array<262_143>>(Encoding::Text);
    assert_eq!(largest.matches("u8").count(), 262_143);
    check::<Array<262_144>>(
        "unknown: `Array<262144>` has 262144 parts, and all types together may have 262144",
    );
}
