//! What errors say: what kind, where, what was wanted and what came.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::fmt::Debug;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use switchboard_gob::{Error, ErrorKind, Schema, Type, from_slice, to_vec, to_vec_as};

/// The article's struct with another type for the values of the map.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct Tree<T> {
    n: i64,
    m: BTreeMap<String, T>,
    l: Vec<Leaf<T>>,
    c: Option<Box<Self>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct Leaf<T> {
    v: T,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wanted {
    n: i64,
    #[serde(default)]
    optional: i64,
    other: Option<i64>,
}

#[derive(Debug, Serialize, Deserialize)]
enum Shape {
    #[serde(rename = "main.Circle")]
    Circle(Leaf<f64>),
    #[serde(rename = "main.Square")]
    Square(Leaf<f64>),
}

#[derive(Debug, Serialize, Deserialize)]
enum RoundShape {
    #[serde(rename = "main.Circle")]
    Circle(Radius),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Radius {
    radius: f64,
}

#[derive(Debug, Serialize, Deserialize)]
enum Inline {
    #[serde(rename = "main.Circle")]
    Circle { radius: f64 },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Optional<T> {
    shape: T,
}

#[derive(Debug, Serialize, Deserialize)]
enum Color {
    Red,
    Green,
}

#[test]
fn mismatches_say_where() {
    let leaf = |v: i64| Leaf { v };
    let inner = Tree { m: BTreeMap::from([("x".to_owned(), 300)]), ..Tree::default() };
    let key = Tree { c: Some(Box::new(inner)), ..Tree::default() };
    check::<Tree<i8>>(&key, "C.M[\"x\"]", "wanted i8, received 300");
    let element = Tree { l: vec![leaf(1), leaf(-129)], ..Tree::default() };
    check::<Tree<i8>>(&element, "L[1].V", "wanted i8, received -129");
    let map = BTreeMap::from([(-5_i64, 1_i64), (7, 70_000)]);
    check::<BTreeMap<i64, i16>>(&map, "[7]", "wanted i16, received 70000");
    let long = BTreeMap::from([("k".repeat(40), 256_u64)]);
    let path = format!("[\"{}\"...]", "k".repeat(32));
    check::<BTreeMap<String, u8>>(&long, &path, "wanted u8, received 256");
    check::<Vec<char>>(&vec![-1_i64], "[0]", "wanted a Unicode character, received -1");
    check::<Vec<f32>>(&vec![0.0, 1e39], "[1]", "wanted a float of 32 bits, received 1e39");
    let name = "received the name \"Blue\"; wanted one of Red, Green";
    check::<Vec<Color>>(&vec!["Red".to_owned(), "Blue".to_owned()], "[1]", name);

    // Of types, before any value is looked at.
    check::<Tree<String>>(&Tree::<i64>::default(), "M[]", "wanted string, received int");
    check::<Vec<Vec<u64>>>(&Vec::<Vec<i64>>::new(), "[][]", "wanted uint, received int");
    check::<[i64; 3]>(&[1_i64, 2], "", "wanted array of 3, received array of 2");
    check::<(i64, i64)>(&vec![1_i64, 2], "", "wanted array of 2, received slice");
    check::<Vec<u8>>(&"text".to_owned(), "", "wanted slice, received string");
    let text = "the sender's type has no field of the struct Leaf: it has N, Optional, Other; \
                wanted V";
    check::<Leaf<i64>>(&Wanted { n: 1, optional: 0, other: None }, "", text);

    // In interfaces.
    let circle = Shape::Circle(Leaf { v: 1.0 });
    let no_field = "the sender's type has no field of the struct Radius: it has V; wanted Radius";
    check::<RoundShape>(&circle, "", no_field);
    let square = vec![Shape::Circle(Leaf { v: 1.0 }), Shape::Square(Leaf { v: 2.0 })];
    check::<Vec<RoundShape>>(&square, "[0]", no_field);
    let name = "received the name \"main.Square\"; wanted one of main.Circle";
    check::<Vec<RoundShape>>(&vec![Shape::Square(Leaf { v: 2.0 })], "[0]", name);
    let no_field =
        "the sender's type has no field of the struct main.Circle: it has V; wanted radius";
    check::<Vec<Inline>>(&vec![Shape::Circle(Leaf { v: 1.0 })], "[0]", no_field);
    let nil = "wanted enum Shape, received nil; Option<..> takes nil";
    check::<Optional<Shape>>(&Optional::<Option<Shape>> { shape: None }, "Shape", nil);
}

#[test]
fn fields_that_differ_in_case_are_told_the_way_out() {
    #[derive(Debug, Serialize, Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Sent {
        unit_price: i64,
        b: i64,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "it is never made")]
    struct Snake {
        unit_price: i64,
    }

    let text = "the sender's type has no field of the struct Snake: it has UnitPrice, B; wanted \
                unit_price; names of Go's fields begin with an upper-case letter: \
                #[serde(rename_all = \"PascalCase\")]";
    check::<Snake>(&Sent { unit_price: 1, b: 2 }, "", text);
}

#[test]
fn what_is_listed_is_short() {
    let names: Vec<String> = (0..9).map(|number| format!("F{number}")).collect();
    let mut schema = Schema::builder();
    let fields: Vec<_> = names.iter().map(|name| (&**name, Type::INT)).collect();
    let many = schema.structure("Many", &fields);
    let schema = schema.build(many).unwrap();
    let bytes = to_vec_as(&schema, &BTreeMap::from([("F0", 1)])).unwrap();
    let error = from_slice::<Leaf<i64>>(&bytes).unwrap_err();
    let text = "the sender's type has no field of the struct Leaf: it has F0, F1, F2, F3, F4, F5, \
                F6, F7, ..; wanted V";
    assert_eq!(error.text(), text);
    let name = format!("{}\u{1b}", "x".repeat(70));
    let error = from_slice::<Color>(&to_vec(&name).unwrap()).unwrap_err();
    let shown = format!("received the name \"{}...\"; wanted", "x".repeat(64));
    assert!(error.text().starts_with(&shown), "{error}");
    let error = from_slice::<Color>(&to_vec(&"\u{1b}[2J".to_owned()).unwrap()).unwrap_err();
    assert!(error.text().starts_with("received the name \"\\u{1b}[2J\"; wanted"), "{error}");
}

#[test]
fn a_slice_is_one_value() {
    let bytes = to_vec(&1_i64).unwrap();
    let error = from_slice::<i64>(&bytes.repeat(2)).unwrap_err();
    let text = "4 bytes left behind the value; a stream of several values is for a Decoder";
    assert_eq!((error.kind(), error.text()), (ErrorKind::Malformed, text));
    let error = from_slice::<i64>(&[]).unwrap_err();
    let text = "there is no value: the bytes are empty";
    assert_eq!((error.kind(), error.to_string()), (ErrorKind::UnexpectedEnd, text.to_owned()));
}

#[test]
fn missing_fields_have_names() {
    // `other` is an option and `optional` has a default: they may be missing, and `n` may not.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Sent {
        optional: i64,
    }

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Least {
        n: i64,
    }

    check::<Vec<Wanted>>(&vec![Sent { optional: 1 }], "[0]", "the sender's type has no field N");
    let wanted: Wanted = from_slice(&to_vec(&Least { n: 0 }).unwrap()).unwrap();
    // It was declared, and left out for being zero.
    assert_eq!((wanted.n, wanted.optional, wanted.other), (0, 0, None));
}

#[test]
fn malformed_bytes_have_an_offset() {
    // (bytes, the offset, the text)
    let cases: [(&[u8], u64, &str); 5] = [
        (&[3, 4, 1, 10], 2, "no 0 before a value that is no struct"),
        (&[4, 4, 0, 0xfd, 1], 3, "the message ends in a number"),
        (&[5, 12, 0, 9, b'a', b'b'], 3, "a count of 9 where 2 bytes are left"),
        (&[3, 0x12, 0, 0], 1, "the type id 9, which is not defined"),
        (&[0xf0], 0, "a number of more than 8 bytes"),
    ];
    for (bytes, offset, text) in cases {
        let error = from_slice::<i64>(bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert_eq!((error.offset(), error.text()), (Some(offset), text));
        assert_eq!(error.to_string(), format!("{text}, at byte {offset}"));
    }
    let error = from_slice::<i64>(&[3, 4]).unwrap_err();
    assert_eq!((error.kind(), error.offset()), (ErrorKind::UnexpectedEnd, None));
}

/// A mismatch, with this way to it and this text, when `sent` is read as a `T`.
#[track_caller]
fn check<T: DeserializeOwned + Debug>(
    sent: &(impl Serialize + DeserializeOwned),
    path: &str,
    text: &str,
) {
    let error: Error = from_slice::<T>(&to_vec(sent).unwrap()).unwrap_err();
    assert_eq!((&*error.path(), error.text()), (path, text));
    assert_eq!(error.kind(), ErrorKind::Mismatch);
    let printed = if path.is_empty() { text.to_owned() } else { format!("{path}: {text}") };
    assert_eq!(error.to_string(), printed);
}
