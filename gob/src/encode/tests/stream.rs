//! Several values on one stream, also such as were encoded alone.

use serde::Deserialize;

use super::*;
use crate::decode::from_slice;
use crate::encode::to_vec;
use crate::value::Interface;

/// Expects these bytes, after those that are there already.
#[track_caller]
fn check_next<T>(encoder: &mut Encoder, schema: &Schema, value: &T, bytes: &str)
where
    T: Serialize + ?Sized,
{
    let mut out = b"before".to_vec();
    encoder.encode_as(schema, value, &mut out).unwrap();
    assert_eq!(out.strip_prefix(b"before").map(hex).as_deref(), Some(bytes));
}

/// Go: `Inner{1, 2}, Inner{3, 0}, []string{"x"}, Floats{A: 1}, Inner{0, 4}` on one stream
#[test]
fn a_type_is_defined_once_on_a_stream() {
    let inners = schema(inner);
    let strings = schema(|builder| builder.go_slice("", Type::STRING));
    let floats = schema(|builder| {
        let fields = [("A", Type::FLOAT), ("B", Type::FLOAT), ("C", Type::FLOAT)];
        builder.structure("Floats", &fields)
    });
    let encoder = &mut Encoder::new();
    let defined = "1fff8103010105496e6e657201ff820001020101580104000101590104000000\
                   07ff820102010400";
    check_next(encoder, &inners, &Inner { x: 1, y: 2 }, defined);
    check_next(encoder, &inners, &Inner { x: 3, y: 0 }, "05ff82010600");
    check_next(encoder, &strings, &["x"], "0cff83020102ff8400010c000006ff8400010178");
    let defined = "26ff8503010106466c6f61747301ff86000103010141010800010142010800010143010800\
                   000007ff8601fef03f00";
    check_next(encoder, &floats, &BTreeMap::from([("A", 1.0)]), defined);
    check_next(encoder, &inners, &Inner { x: 0, y: 4 }, "05ff82020800");
    check_next(encoder, &schema(inner), &Inner { x: 0, y: 4 }, "05ff82020800");
    check_next(encoder, &strings, &["x"], "06ff8400010178");
    check_next(encoder, &Schema::builder().build(Type::INT).unwrap(), &1, "03040002");
}

#[test]
fn an_error_leaves_buffer_and_stream_as_they_were() {
    let (inners, strings) = (schema(inner), schema(|builder| builder.slice(Type::STRING)));
    let [first, next] = {
        let (mut encoder, mut out) = (Encoder::new(), Vec::new());
        encoder.encode_as(&inners, &Inner { x: 1, y: 2 }, &mut out).unwrap();
        let next = out.len();
        encoder.encode_as(&strings, &["x"], &mut out).unwrap();
        [hex(&out[..next]), hex(&out[next..])]
    };
    let encoder = &mut Encoder::new();
    let fail = |encoder: &mut Encoder, schema: &Schema| {
        let mut out = b"before".to_vec();
        encoder.encode_as(schema, &vec![("X", "text")], &mut out).unwrap_err();
        assert_eq!(out, b"before");
    };
    fail(encoder, &inners);
    fail(encoder, &strings);
    check_next(encoder, &inners, &Inner { x: 1, y: 2 }, &first);
    fail(encoder, &inners);
    fail(encoder, &strings);
    check_next(encoder, &strings, &["x"], &next);
    // One id is left, and it is the largest.
    encoder.ids_taken = IDS_MAX - 1;
    let ints = schema(|builder| builder.go_slice("", Type::INT));
    let nested = schema(|builder| {
        let ints = builder.go_slice("", Type::INT);
        builder.go_slice("", ints)
    });
    let error = encoder.encode_as(&nested, &[[1_i8]], &mut Vec::new()).unwrap_err();
    assert_eq!(error.to_string(), "the stream has no ids left for more types");
    check_next(encoder, &ints, &[1_i8], "12fcfffffffd020102fcfffffffe000104000008fcfffffffe000102");
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Node {
    id: i64,
    next: Option<Box<Self>>,
}

fn node(id: i64) -> Node {
    Node { id, next: Some(Box::new(Node { id: id.saturating_add(1), next: None })) }
}

#[test]
fn what_was_said_is_not_said_again() {
    let (alone, strings) = (to_vec(&node(1)).unwrap(), to_vec(&vec!["a".to_owned()]).unwrap());
    let (mut encoder, mut stream) = (Encoder::new(), Vec::new());
    for value in [&alone, &strings, &alone, &strings] {
        encoder.append(value, &mut stream).unwrap();
    }
    let mut decoder = Decoder::new();
    let mut rest: &[u8] = &stream;
    for _ in 0..2 {
        assert_eq!(decoder.read::<Node>(&mut rest).unwrap(), Some(node(1)));
        let strings: Option<Vec<String>> = decoder.read(&mut rest).unwrap();
        assert_eq!(strings, Some(vec!["a".to_owned()]));
    }
    assert!(rest.is_empty());
    assert!(stream.len() < 2 * (alone.len() + strings.len()));
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    A { n: i64 },
    B { n: Vec<i64> },
    C(Box<Nested>),
    D(Vec<i64>),
    E(Vec<Nested>),
    F { n: Vec<Nested> },
    G(String),
    H(Vec<String>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Nested {
    list: Vec<i64>,
    shapes: Vec<Shape>,
}

fn shape(number: usize) -> Shape {
    let inner = Nested { list: vec![1], shapes: Vec::new() };
    match number {
        0 => Shape::A { n: 1 },
        1 => Shape::B { n: vec![2] },
        2 => Shape::C(Box::new(inner)),
        3 => Shape::D(vec![3]),
        4 => Shape::E(vec![inner.clone(), inner]),
        5 => Shape::F { n: vec![inner] },
        6 => Shape::G("text".to_owned()),
        _ => Shape::H(vec!["a".to_owned()]),
    }
}

/// Interfaces that hold ever other sets of types are no reason to say a type again.
#[test]
fn a_type_is_said_once_whatever_the_schemas_it_is_in() {
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
    let mut definitions = 0;
    for round in 0..2 {
        for set in 0..256_usize {
            let value: Vec<_> = (0..8).filter(|bit| set >> bit & 1 == 1).map(shape).collect();
            // As a peer would that says no more than it needs: by its values.
            let mut source = Decoder::new();
            assert!(source.push(&to_vec(&value).unwrap()).unwrap().is_complete);
            let (schema, dynamic) = (source.schema().unwrap(), source.decode().unwrap());
            let mut stream = Vec::new();
            encoder.encode_as::<Value>(&schema, &dynamic, &mut stream).unwrap();
            assert_eq!(decoder.read::<Vec<Shape>>(&mut &*stream).unwrap(), Some(value));
            assert!(encoder.told.len() <= 64);
        }
        let known = encoder.ids_taken;
        assert!(round == 0 || known == definitions, "{known} after {definitions}");
        definitions = known;
    }
    // Shapes; A, B, Nested, ints, F, strings; Nesteds.
    assert!(definitions <= 9, "{definitions}");
}

#[test]
fn a_stream_goes_on_for_one_decoder_and_begins_anew_for_others() {
    let alone = to_vec(&node(1)).unwrap();
    let (mut encoder, mut kept) = (Encoder::new(), Decoder::new());
    for ids_taken in [0, 0, IDS_MAX / 2, IDS_MAX / 2 + 2] {
        let mut stream = Vec::new();
        encoder.ids_taken = encoder.ids_taken.max(ids_taken);
        encoder.append(&alone, &mut stream).unwrap();
        encoder.forget_definitions();
        assert_eq!(from_slice::<Node>(&stream).unwrap(), node(1));
        assert_eq!(kept.read(&mut &*stream).unwrap(), Some(node(1)));
    }
    assert_eq!(encoder.ids_taken, 0);
}

/// Whoever passes on ever other types is remembered no more of than the limit says, and loses no
/// value.
#[test]
fn types_beyond_the_limit_are_said_again() {
    let schema = |number: usize| {
        let (mut builder, field) = (Schema::builder(), format!("F{number}"));
        let root = builder.structure("Root", &[(&*field, Type::INT)]);
        (builder.build(root).unwrap(), Value::Struct(vec![(field, Value::Int(number as i64))]))
    };
    let limits = Limits { definitions_max: 5, ..Limits::default() };
    let (mut encoder, mut decoder) = (Encoder::with_limits(limits), Decoder::new());
    for number in (0..100).chain(95..100) {
        let (schema, value) = schema(number);
        let mut stream = Vec::new();
        if number % 2 == 0 {
            encoder.encode_as(&schema, &value, &mut stream).unwrap();
        } else {
            encoder.append(&to_vec_as(&schema, &value).unwrap(), &mut stream).unwrap();
        }
        assert_eq!(decoder.read::<Value>(&mut &*stream).unwrap(), Some(value), "{number}");
        assert!(encoder.types.len() <= 5 && encoder.told.len() <= 5, "{encoder:?}");
    }
    assert_eq!(encoder.ids_taken, 100, "nothing is said again that is remembered");
}

#[test]
fn what_is_no_stream_of_its_own_is_refused() {
    let alone = to_vec(&node(1)).unwrap();
    let twice = [&*alone, &*alone].concat();
    let cases: [(&[u8], ErrorKind); 4] = [
        (&[], ErrorKind::UnexpectedEnd),
        (&alone[..alone.len() - 1], ErrorKind::UnexpectedEnd),
        (&twice, ErrorKind::Malformed),
        (&[1, 0], ErrorKind::Malformed),
    ];
    let mut encoder = Encoder::new();
    for (bytes, kind) in cases {
        let mut stream = b"before".to_vec();
        assert_eq!(encoder.append(bytes, &mut stream).unwrap_err().kind(), kind);
        assert_eq!(stream, b"before");
    }
    let mut stream = Vec::new();
    encoder.append(&alone, &mut stream).unwrap();
    assert_eq!(stream, alone);
}

#[test]
fn an_interface_that_nobody_could_read_is_refused() {
    let schema = Schema::builder().build(Type::INTERFACE).unwrap();
    let lost = Type::from_number(70).unwrap();
    let cases = [
        (
            Interface::new("main.Lost", lost, Value::Struct(Vec::new())),
            "of a type that the schema does not have; see SchemaBuilder::hold",
        ),
        (
            Interface::new("", Type::INT, Value::Int(1)),
            "without a registered name, which is how nil is written",
        ),
    ];
    for (interface, text) in cases {
        let error = to_vec_as(&schema, &Value::from(interface)).unwrap_err();
        let wanted = (format!("a value in an interface, {text}"), ErrorKind::Unsupported);
        assert_eq!((error.to_string(), error.kind()), wanted);
    }
    let error = to_vec_as(&schema, &Value::from(Interface::new("x", Type::INT, Value::Nil)));
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Unsupported);
}

/// Two schemas of the same types, of which one may hold more of them in interfaces.
#[test]
fn what_a_schema_may_hold_is_told_with_it() {
    let build = |is_held: bool| {
        let mut builder = Schema::builder();
        let (held, list) = (inner(&mut builder), builder.slice(Type::INTERFACE));
        if is_held {
            builder.hold(held);
        }
        (builder.build(list).unwrap(), held)
    };
    let ((without, _), (with, held)) = (build(false), build(true));
    assert_ne!(without, with);
    let value = |number| Value::Struct(vec![("X".to_owned(), Value::Int(number))]);
    let value = |number| Value::Slice(vec![Interface::new("I", held, value(number)).into()]);
    let (mut encoder, mut decoder, mut stream) = (Encoder::new(), Decoder::new(), Vec::new());
    encoder.encode_as(&without, &Value::Slice(Vec::new()), &mut stream).unwrap();
    assert!(encoder.encode_as(&without, &value(1), &mut stream).is_err());
    encoder.encode_as(&with, &value(2), &mut stream).unwrap();
    encoder.encode_as(&with, &value(3), &mut stream).unwrap();
    let mut rest: &[u8] = &stream;
    assert_eq!(decoder.read(&mut rest).unwrap(), Some(Value::Slice(Vec::new())));
    for number in [2, 3] {
        let Some(Value::Slice(read)) = decoder.read(&mut rest).unwrap() else { panic!() };
        let [Value::Interface(read)] = &*read else { panic!() };
        let wanted = Value::Struct(vec![("X".to_owned(), Value::Int(number))]);
        assert_eq!((read.name.as_str(), &read.value), ("I", &wanted));
    }
}

#[test]
fn no_limit_that_nobody_set_holds_for_what_is_our_own() {
    // 17 MiB, over 4 million elements, a name of over 1,024 bytes.
    let text = to_vec(&"x".repeat(17 << 20)).unwrap();
    let numbers = to_vec(&vec![1_u64; 5_000_000]).unwrap();
    let (name, value_type, value) = ("x".repeat(2_000), Type::INT, Value::Int(1));
    let named = Value::Interface(Box::new(Interface { name, value_type, value }));
    let any = Schema::builder().build(Type::INTERFACE).unwrap();
    let named = to_vec_as(&any, &named).unwrap();
    let mut stream = Vec::new();
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::with_limits(UNLIMITED));
    for alone in [&text, &numbers, &named] {
        stream.clear();
        encoder.append(alone, &mut stream).unwrap();
        assert!(decoder.push(&stream).unwrap().is_complete);
    }
}

#[test]
fn the_depth_that_was_set_holds_whichever_way_a_value_comes() {
    /// A list in a list in a list.
    #[derive(Serialize, Deserialize)]
    struct Lists(Vec<Self>);
    let deep = |levels: usize| (1..levels).fold(Lists(vec![]), |inner, _| Lists(vec![inner]));
    let encoder = |depth_max| Encoder::with_limits(Limits { depth_max, ..Limits::default() });
    for levels in [3, 200, 300] {
        let mut alone = Vec::new();
        encoder(levels).encode(&deep(levels), &mut alone).unwrap();
        encoder(levels).append(&alone, &mut Vec::new()).unwrap();
        let text = format!("over depth_max ({})", levels - 1);
        for refused in [
            encoder(levels - 1).encode(&deep(levels), &mut Vec::new()),
            encoder(levels - 1).append(&alone, &mut Vec::new()),
        ] {
            let error = refused.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Limit);
            assert!(error.to_string().contains(&text), "{error}");
        }
    }
}
