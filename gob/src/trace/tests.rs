//! Types, and the schemas that are found of them; types that have none, and why.

use std::any::type_name;
use std::collections::{BTreeMap, BTreeSet, HashMap, LinkedList, VecDeque};
use std::marker::PhantomData;
use std::net::IpAddr;
use std::num::{NonZeroI64, NonZeroU8};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::*;
use crate::kinds::{Definition, Field};
use crate::schema::Schema;
use crate::{BinaryBytes, Complex, ErrorKind, GobBytes, Time};

/// The root, and each definition in its order, told by its place in it.
fn print(schema: &Schema) -> String {
    let kind = |kind: Kind| match kind {
        Kind::Defined(number) => format!("#{number}"),
        kind => format!("{kind:?}").to_lowercase(),
    };
    let fields = |fields: &[Field]| {
        let field = |field: &Field| format!("{} {}", field.name, kind(field.kind));
        fields.iter().map(field).collect::<Vec<_>>().join(", ")
    };
    let mut text = kind(schema.root().0);
    for (number, definition) in schema.definitions().iter().enumerate() {
        text += &format!("; #{number} = ");
        text += &match definition {
            Definition::Missing => "missing".to_owned(),
            Definition::Array { name, element, len } => {
                format!("{name:?} array {len} {}", kind(*element))
            }
            Definition::Slice { name, element } => format!("{name:?} slice {}", kind(*element)),
            Definition::Map { name, key, value } => {
                format!("{name:?} map {} {}", kind(*key), kind(*value))
            }
            Definition::Struct { name, fields: of } => format!("{name} {{{}}}", fields(of)),
            Definition::Opaque { name, by } => format!("{name} {by:?}"),
            Definition::Choice { variants } => format!("({})", fields(variants)),
        };
    }
    text
}

#[track_caller]
fn check<T: DeserializeOwned>(wanted: &str) {
    let schema = Schema::of::<T>().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(print(&schema), wanted, "{}", type_name::<T>());
    assert_eq!(print(&Schema::of::<T>().unwrap()), wanted, "from the cache");
}

#[track_caller]
fn check_refused<T: DeserializeOwned>(wanted: &str) {
    let error = Schema::of::<T>().expect_err("no schema");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let wanted = wanted.replace("WAY_OUT", unknown::WAY_OUT);
    let text = error.to_string().replace("switchboard_gob::trace::tests::", "");
    assert_eq!(text, wanted);
    assert_eq!(Schema::of::<T>().expect_err("no schema").to_string(), error.to_string());
}

macro_rules! structs {
    ($(
        $(#[$attribute:meta])*
        struct $name:ident $(<$parameter:ident>)? { $($fields:tt)* }
    )*) => {$(
        #[derive(Deserialize)]
        #[allow(dead_code)]
        $(#[$attribute])*
        struct $name $(<$parameter>)? { $($fields)* }
    )*};
}

macro_rules! enums {
    ($($(#[$attribute:meta])* enum $name:ident { $($variants:tt)* })*) => {$(
        #[derive(Deserialize)]
        #[allow(dead_code)]
        $(#[$attribute])*
        enum $name { $($variants)* }
    )*};
}

structs! {
    #[serde(rename_all = "PascalCase")]
    struct ComplexData {
        n: i64,
        s: String,
        m: HashMap<String, i64>,
        #[serde(with = "serde_bytes")]
        p: Vec<u8>,
        c: Option<Box<ComplexData>>,
    }
    struct Empty {}
    struct Numbers { a: Vec<i8>, b: Vec<i16>, c: Vec<i32>, d: Vec<i64>, e: Vec<char> }
    struct Naturals { a: Vec<u16>, b: Vec<u32>, c: Vec<u64>, d: Vec<f32>, e: Vec<f64> }
    struct Shared {
        a: Vec<i64>,
        b: BTreeSet<i64>,
        c: LinkedList<Option<i64>>,
        d: VecDeque<Meters>,
        e: Vec<i32>,
    }
    struct Unnamed {
        a: Vec<Vec<Empty>>,
        b: Vec<Empty>,
        c: BTreeMap<bool, [bool; 2]>,
        d: [bool; 2],
    }
    struct Wrapper<T> { value: T }
    struct Generic { a: Wrapper<i64>, b: Wrapper<String>, c: Wrapper<i64> }
    struct SameNames { a: left::Named, b: right::Named, c: Vec<left::Named> }
    struct Aliases {
        #[serde(alias = "z", alias = "b")]
        x: i64,
        #[serde(alias = "n")]
        m: String,
        #[serde(skip)]
        skipped: i64,
        #[serde(rename = "L", default)]
        last: Option<bool>,
    }
    struct Even { list: Vec<Odd>, leaf: bool }
    struct Odd { map: HashMap<String, Even>, odd: Option<Box<Odd>>, even: Option<Box<Even>> }
    struct Samples { a: NonZeroU8, b: NonZeroI64, c: Zero, d: Filled, e: Date }
    #[serde(try_from = "i64")]
    struct Zero { never: i64 }
    #[serde(try_from = "Vec<Wrapper<i64>>")]
    struct Filled { never: i64 }
    #[serde(try_from = "String")]
    struct Date { never: String }
    struct Special {
        a: Complex,
        b: Vec<GobBytes>,
        c: BinaryBytes,
        d: Option<Time>,
        e: GobBytes,
    }
    struct Enums { a: Colour, b: Vec<Colour>, c: Option<Shape>, d: HashMap<Colour, Shape> }
    struct Square { side: f64 }
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct Meters(i64);

#[derive(Deserialize)]
struct Unit;

#[derive(Deserialize)]
#[allow(dead_code)]
struct Point(f64, f64);

#[derive(Deserialize)]
#[allow(dead_code)]
struct Tree(Vec<Self>);

enums! {
    #[derive(PartialEq, Eq, Hash)]
    enum Colour { Red, Green }
    enum Shape {
        #[serde(rename = "main.Square")]
        Square(Square),
        #[serde(rename = "main.Circle")]
        Circle { radius: f64, inner: Option<Box<Shape>> },
        Line(Point),
        Pair(i64, i64),
        Path(Vec<Square>),
        Number(u8),
    }
    // Those that come to an end are the last ones.
    enum Expression {
        Sum { left: Box<Self>, right: Box<Self> },
        Block { statements: Vec<Statement> },
        Do { statement: Box<Statement> },
        Literal(i64),
    }
    enum Statement {
        Return { value: Box<Expression> },
        Both { statements: Box<(Self, Self)> },
        Nothing {},
    }
    enum OnlyVec { More { list: Vec<OnlyVec> } }
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

#[test]
fn each_row_of_the_data_model_has_its_schema() {
    check::<bool>("bool");
    check::<i8>("int");
    check::<i64>("int");
    check::<u8>("uint");
    check::<u64>("uint");
    check::<f32>("float");
    check::<f64>("float");
    check::<char>("int");
    check::<String>("string");
    check::<serde_bytes::ByteBuf>("bytes");
    check::<Vec<u8>>("bytes");
    check::<Vec<Wrapper<u8>>>("#0; #0 = \"\" slice #1; #1 = Wrapper {value uint}");
    check::<Vec<Option<u8>>>("#0; #0 = \"\" slice uint");
    check::<Vec<Meters>>("#0; #0 = \"\" slice int");
    check::<[u8; 3]>("#0; #0 = \"\" array 3 uint");
    check::<(i64, Meters, Option<i64>)>("#0; #0 = \"\" array 3 int");
    check::<Point>("#0; #0 = \"\" array 2 float");
    check::<HashMap<String, f32>>("#0; #0 = \"\" map string float");
    check::<Empty>("#0; #0 = Empty {}");
    check::<Unit>("#0; #0 = Unit {}");
    check::<()>("#0; #0 =  {}");
    check::<Result<Vec<()>, Unit>>(
        "#0; #0 = (Ok #1, Err #3); #1 = \"\" slice #2; #2 =  {}; #3 = Unit {}",
    );
    check::<PhantomData<String>>("#0; #0 = PhantomData {}");
    check::<Meters>("int");
    check::<Option<Box<i64>>>("int");
    check::<Complex>("complex");
    check::<GobBytes>("#0; #0 = GobBytes Gob");
    check::<BinaryBytes>("#0; #0 = BinaryBytes Binary");
    check::<Time>("#0; #0 = Time Gob");
    check::<Special>(
        "#0; #0 = Special {a complex, b #1, c #3, d #4, e #2}; #1 = \"[]GobBytes\" slice #2; \
         #2 = GobBytes Gob; #3 = BinaryBytes Binary; #4 = Time Gob",
    );
    check::<Colour>("string");
}

#[test]
fn definitions_have_the_names_and_the_sharing_of_go() {
    check::<ComplexData>(
        "#0; #0 = ComplexData {N int, S string, M #1, P bytes, C #0}; \
         #1 = \"map[string]int\" map string int",
    );
    check::<Numbers>(
        "#0; #0 = Numbers {a #1, b #2, c #3, d #4, e #3}; #1 = \"[]int8\" slice int; \
         #2 = \"[]int16\" slice int; #3 = \"[]int32\" slice int; #4 = \"[]int\" slice int",
    );
    check::<Naturals>(
        "#0; #0 = Naturals {a #1, b #2, c #3, d #4, e #5}; #1 = \"[]uint16\" slice uint; \
         #2 = \"[]uint32\" slice uint; #3 = \"[]uint\" slice uint; \
         #4 = \"[]float32\" slice float; #5 = \"[]float64\" slice float",
    );
    check::<Shared>(
        "#0; #0 = Shared {a #1, b #1, c #1, d #1, e #2}; #1 = \"[]int\" slice int; \
         #2 = \"[]int32\" slice int",
    );
    check::<Unnamed>(
        "#0; #0 = Unnamed {a #1, b #2, c #4, d #5}; #1 = \"[][]Empty\" slice #2; \
         #2 = \"\" slice #3; #3 = Empty {}; #4 = \"map[bool][2]bool\" map bool #5; \
         #5 = \"\" array 2 bool",
    );
}

#[test]
fn types_of_one_name_are_told_apart() {
    check::<Generic>(
        "#0; #0 = Generic {a #1, b #2, c #1}; #1 = Wrapper {value int}; \
         #2 = Wrapper {value string}",
    );
    check::<SameNames>(
        "#0; #0 = SameNames {a #1, b #2, c #3}; #1 = Named {value int}; \
         #2 = Named {value string}; #3 = \"[]Named\" slice #1",
    );
}

#[test]
fn attributes_of_fields_are_respected() {
    check::<Aliases>("#0; #0 = Aliases {x int, m string, L bool}");
}

#[test]
fn recursive_types_come_to_an_end() {
    check::<Even>(
        "#0; #0 = Even {list #1, leaf bool}; #1 = \"[]Odd\" slice #2; \
         #2 = Odd {map #3, odd #2, even #0}; #3 = \"map[string]Even\" map string #0",
    );
    check::<Odd>(
        "#0; #0 = Odd {map #1, odd #0, even #2}; #1 = \"map[string]Even\" map string #2; \
         #2 = Even {list #3, leaf bool}; #3 = \"[]Odd\" slice #0",
    );
    check::<Tree>("#0; #0 = \"\" slice #0");
    check::<Wrapper<Tree>>("#0; #0 = Wrapper {value #1}; #1 = \"[]\" slice #1");
    check::<OnlyVec>("#0; #0 = (More #1); #1 = More {list #2}; #2 = \"[]OnlyVec\" slice #0");
    check::<Expression>(
        "#0; #0 = (Sum #1, Block #2, Do #5, Literal int); #1 = Sum {left #0, right #0}; \
         #2 = Block {statements #3}; #3 = \"[]Statement\" slice #4; \
         #4 = (Return #6, Both #7, Nothing #9); #5 = Do {statement #4}; \
         #6 = Return {value #0}; #7 = Both {statements #8}; #8 = \"[2]Statement\" array 2 #4; \
         #9 = Nothing {}",
    );
}

#[test]
fn enums_are_texts_or_interfaces() {
    check::<Shape>(
        "#0; #0 = (main.Square #1, main.Circle #2, Line #3, Pair #4, Path #5, Number uint); \
         #1 = Square {side float}; #2 = Circle {radius float, inner #0}; \
         #3 = \"\" array 2 float; #4 = \"\" array 2 int; #5 = \"\" slice #1",
    );
    check::<Enums>(
        "#0; #0 = Enums {a string, b #1, c #2, d #3}; #1 = \"[]Colour\" slice string; \
         #2 = (main.Square #4, main.Circle #5, Line #6, Pair #7, Path #8, Number uint); \
         #3 = \"map[Colour]Shape\" map string #2; #4 = Square {side float}; \
         #5 = Circle {radius float, inner #2}; #6 = \"\" array 2 float; \
         #7 = \"\" array 2 int; #8 = \"\" slice #4",
    );
    check::<Result<String, Empty>>("#0; #0 = (Ok string, Err #1); #1 = Empty {}");
    check::<IpAddr>("#0; #0 = (V4 #1, V6 #2); #1 = \"\" array 4 uint; #2 = \"\" array 16 uint");
}

#[test]
fn types_that_refuse_samples_get_others() {
    check::<Samples>(
        "#0; #0 = Samples {a uint, b int, c int, d #1, e string}; \
         #1 = \"[]Wrapper\" slice #2; #2 = Wrapper {value int}",
    );
}

structs! {
    struct Flat {
        a: i64,
        #[serde(flatten)]
        rest: Wrapper<i64>,
    }
    struct Endless { a: Box<Endless> }
    #[serde(try_from = "i64")]
    struct Never { never: i64 }
    struct Deep { list: Vec<HashMap<String, Wrapper<i128>>> }
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct Nothing(Option<Box<Self>>);

#[derive(Deserialize)]
#[allow(dead_code)]
struct NoElements();

enums! {
    #[serde(untagged)]
    enum Untagged { Number(i64) }
    #[serde(tag = "type")]
    enum Internal { Number { value: i64 } }
    #[serde(tag = "t", content = "c")]
    enum Adjacent { Number(i64), Text(String) }
    enum Mixed { Some(i64), None }
    enum NoVariants {}
    enum EndlessEnum { A(Box<Self>), B { a: Box<Self> } }
    enum Inner { A(i64) }
    enum Outer { A(Box<Inner>) }
}

impl TryFrom<i64> for Never {
    type Error = &'static str;

    fn try_from(_: i64) -> Result<Self, &'static str> {
        Err("never")
    }
}

#[test]
fn what_cannot_be_traced_says_why_and_the_way_out() {
    let data = "looks at the data to know what it is, as untagged and internally tagged enums do";
    check_refused::<Untagged>(&format!("`Untagged` {data}: WAY_OUT"));
    check_refused::<Vec<Internal>>(&format!("[]: `Internal` {data}: WAY_OUT"));
    check_refused::<Adjacent>(
        "c: `Adjacent` does not ask for the same each time, as adjacently tagged enums do, \
         or is one of two types of this name: WAY_OUT",
    );
    check_refused::<Flat>(
        "`Flat` has fields whose names are not fixed, as #[serde(flatten)] makes them: WAY_OUT",
    );
    check_refused::<Never>("`Never` refuses every sample value (never): WAY_OUT");
    check_refused::<Deep>(
        "list[][].value: `i128` has no form in gob, whose integers have 64 bits: use text or \
         bytes",
    );
    check_refused::<serde::de::IgnoredAny>(
        "`serde_core::de::ignored_any::IgnoredAny` ignores a part of itself: WAY_OUT",
    );
    check_refused::<(i64, i32)>("`(i64, i32)` is a tuple of more than one type: use a struct");
    check_refused::<[i64; 0]>("`[i64; 0]` is a tuple or array without elements: leave it out");
    check_refused::<NoElements>("`NoElements` is a tuple or array without elements: leave it out");
    check_refused::<Mixed>(
        "`Mixed` has variants with and without content: give all its variants none, or all \
         of them, such as a struct of their own",
    );
    check_refused::<NoVariants>("`NoVariants` is an enum without variants: leave it out");
    check_refused::<Outer>(
        "`Outer` has a variant A that holds an enum or any value itself: put it into a field \
         of the variant",
    );
    check_refused::<Nothing>("`Nothing` contains nothing but itself: use a struct");
    check_refused::<EndlessEnum>("a: `EndlessEnum` has no value that comes to an end");
}

#[test]
fn endless_types_do_not_overflow_the_stack() {
    let error = Schema::of::<Endless>().unwrap_err();
    assert_eq!(
        error.text().replace("switchboard_gob::trace::tests::", ""),
        format!(
            "`Endless` has more than 200 levels of types inside each other: {}",
            unknown::WAY_OUT
        )
    );
}

#[test]
fn types_whose_whole_names_clash_are_an_error_if_they_differ() {
    macro_rules! clashing {
        ($type:ty) => {{
            structs! {
                struct Clash { field: $type }
            }
            PhantomData::<Clash>
        }};
    }
    fn check_both<A: DeserializeOwned, B: DeserializeOwned>(_: PhantomData<(A, B)>) {
        check_refused::<BothOf<A, B>>(
            "b.field: `types_whose_whole_names_clash_are_an_error_if_they_differ::Clash` does \
             not ask for the same each time, as adjacently tagged enums do, or is one of two \
             types of this name: WAY_OUT",
        );
    }
    #[derive(Deserialize)]
    #[allow(dead_code)]
    struct BothOf<A, B> {
        a: A,
        b: B,
    }
    fn pair<A, B>(_: PhantomData<A>, _: PhantomData<B>) -> PhantomData<(A, B)> {
        PhantomData
    }
    check_both(pair(clashing!(i64), clashing!(String)));
}
