//! Streams that mean harm: they end in an error, or are read in proportion to their size.
//!
//! Small ones are files, whose names say what is wrong and whose first lines how we refuse it.
//! Large ones are made here. No time is measured, since machines differ; what would take more than
//! its share would take hours. Memory is: all streams are read once more in a process that may
//! have half a GiB of addresses.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "so is this")]

mod support;

use std::collections::HashMap;
use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{from_hex, literal};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use switchboard_gob::{Decoder, Error, ErrorKind, Limits, Value, from_slice};

/// Set in the process that may not have much memory.
const IS_LIMITED: &str = "GOB_TEST_IS_LIMITED";

const INT: i64 = 2;
const INTERFACE: i64 = 8;

#[test]
fn files_are_refused_as_they_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/hostile");
    let mut count = 0;
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let (wanted, hex) = text.split_once('\n').unwrap();
        let bytes = from_hex(&hex.replace('\n', ""));
        let error = from_slice::<Value>(&bytes).expect_err(name);
        assert_eq!(error.to_string(), wanted, "{name}");
        let in_bytes = bytes.iter().try_fold(Decoder::new(), |mut decoder, byte| {
            let progress = decoder.push(&[*byte])?;
            assert!(!progress.is_complete, "{name}");
            // Never what was announced.
            assert!(decoder.buffered_bytes() <= bytes.len(), "{name}");
            Ok::<_, Error>(decoder)
        });
        assert_eq!(in_bytes.expect_err(name).to_string(), wanted, "{name}");
        count += 1;
    }
    println!("{count} files are refused");
}

#[test]
fn each_limit_is_kept() {
    let cases = cases_of_limits();
    for (name, set, stream, needed, text) in &cases {
        let mut limits = Limits::default();
        set(&mut limits, *needed);
        read_with(&limits, stream).expect(name);
        set(&mut limits, needed - 1);
        let error = read_with(&limits, stream).expect_err(name);
        assert_eq!((error.kind(), &error.to_string()), (ErrorKind::Limit, text), "{name}");
    }
    // None is forgotten.
    let all = format!("{:?}", Limits::default());
    let all: Vec<_> = all.split([' ', ':']).filter(|word| word.ends_with("_max")).collect();
    let mut named: Vec<_> = cases.iter().map(|case| case.0).collect();
    named.sort_by_key(|name| all.iter().position(|field| field == name));
    named.dedup();
    assert_eq!(named, all);
}

/// (limit, how it is set, a stream, the limit that it needs, the error under one less)
type CaseOfLimit = (&'static str, fn(&mut Limits, usize), Vec<u8>, usize, String);

fn cases_of_limits() -> [CaseOfLimit; 8] {
    let fields = structure(65, &[("A", INT), ("B", INT)]);
    let fields_bytes = fields.len() - 3;
    [
        (
            "value_bytes_max",
            |limits, max| limits.value_bytes_max = max,
            message(&[&int(INT), &[0], &int(300)]),
            6,
            "a value of 6 bytes or more: over value_bytes_max (5)".to_owned(),
        ),
        (
            "depth_max",
            |limits, max| limits.depth_max = max,
            [slice(65, 66), slice(66, INT), message(&[&int(65), &[0, 1, 0]])].concat(),
            2,
            "nesting of 2 levels: over depth_max (1)".to_owned(),
        ),
        (
            "elements_max",
            |limits, max| limits.elements_max = max,
            [slice(65, INT), message(&[&int(65), &[0, 3, 0, 0, 0]])].concat(),
            3,
            "3 elements: over elements_max (2)".to_owned(),
        ),
        (
            "definitions_max",
            |limits, max| limits.definitions_max = max,
            [slice(65, 66), slice(66, INT), message(&[&int(65), &[0, 0]])].concat(),
            2,
            "2 type definitions: over definitions_max (1)".to_owned(),
        ),
        (
            "fields_max",
            |limits, max| limits.fields_max = max,
            [&fields[..], &message(&[&int(65), &[0]])].concat(),
            2,
            "a struct of 2 fields: over fields_max (1)".to_owned(),
        ),
        (
            "definition_bytes_max",
            |limits, max| limits.definition_bytes_max = max,
            [&fields[..], &message(&[&int(65), &[0]])].concat(),
            fields_bytes,
            format!(
                "{fields_bytes} bytes of type definitions: over definition_bytes_max ({})",
                fields_bytes - 1
            ),
        ),
        (
            "name_bytes_max",
            |limits, max| limits.name_bytes_max = max,
            message(&[&int(INTERFACE), &[0, 3], b"int", &int(INT), &[2, 0, 10]]),
            3,
            "a type name of 3 bytes: over name_bytes_max (2)".to_owned(),
        ),
        (
            "name_bytes_max",
            |limits, max| limits.name_bytes_max = max,
            [structure(65, &[("A", INT), ("Name", INT)]), message(&[&int(65), &[0]])].concat(),
            4,
            "a field's name of 4 bytes: over name_bytes_max (3)".to_owned(),
        ),
    ]
}

/// It kills a Go program.
#[test]
fn three_million_structs_inside_each_other_are_too_deep() {
    let levels = 3_000_000;
    let value = [vec![1; levels], vec![0; levels + 1]].concat();
    let stream = [structure(65, &[("Next", 65)]), message(&[&int(65), &value])].concat();
    let mut decoder = Decoder::new();
    let error = decoder.push(&stream).unwrap_err();
    assert_eq!(error.to_string(), "nesting of 201 levels: over depth_max (200)");
    assert_eq!(decoder.buffered_bytes(), 0);
    // Where that much is allowed, following it takes no stack.
    let mut limits = Limits::default();
    limits.depth_max = usize::MAX;
    let mut decoder = Decoder::with_limits(limits);
    assert!(decoder.push(&stream).unwrap().is_complete);
    assert!(decoder.buffered_bytes() <= stream.len());
}

#[test]
fn a_million_interfaces_inside_each_other_are_too_deep() {
    // A field, the name B, the type, and a length that is not wrong as far as it is looked at.
    let level = [&[1, 1, b'B'], &int(65)[..], &[1]].concat();
    let value = level.repeat(1_000_000);
    let stream = [structure(65, &[("Value", INTERFACE)]), message(&[&int(65), &value])].concat();
    let error = from_slice::<Value>(&stream).unwrap_err();
    assert_eq!(error.to_string(), "nesting of 201 levels: over depth_max (200)");
}

/// The cost is the receiver's fields, which `elements_max` counts, and not the sender's.
#[test]
fn a_million_empty_structs_of_4096_fields_cost_what_is_wanted_of_them() {
    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(rename_all = "UPPERCASE")]
    struct Few {
        f7: i64,
        f4095: String,
    }

    let count = 1_000_000;
    let names: Vec<_> = (0..4_096).map(|number| format!("F{number}")).collect();
    let fields: Vec<_> =
        names.iter().map(|name| (&**name, if name == "F4095" { 6 } else { INT })).collect();
    let value = [int(65), vec![0], uint(count as u64), vec![0; count]].concat();
    let stream = [slice(65, 66), structure(66, &fields), message(&[&value])].concat();
    let mut limits = Limits::default();
    limits.elements_max = 3 * count;
    let few: Vec<Few> = read_as(&limits, &stream).unwrap();
    assert_eq!(few.len(), count);
    assert!(few.iter().all(|few| *few == Few::default()));
    limits.elements_max -= 1;
    let error = read_as::<Vec<Few>>(&limits, &stream).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
}

/// A name is sent once, and handed out with every element.
#[test]
fn names_cost_no_more_than_the_value_has_bytes() {
    #[derive(Debug, Default, PartialEq, Deserialize)]
    struct Typed {
        #[serde(default, rename = "F0")]
        field: i64,
    }

    #[derive(Debug, Deserialize)]
    struct Rest {
        #[serde(flatten)]
        _fields: HashMap<String, i64>,
    }

    type Read = fn(&Limits, &[u8]) -> Result<usize, Error>;
    let maps: Read = |limits, stream| read_as::<Vec<Rest>>(limits, stream).map(|maps| maps.len());
    let values: Read = |limits, stream| match read_as::<Value>(limits, stream)? {
        Value::Slice(values) => Ok(values.len()),
        other => panic!("{other:?}"),
    };
    let typed: Read =
        |limits, stream| read_as::<Vec<Typed>>(limits, stream).map(|typed| typed.len());
    let ignored: Read =
        |limits, stream| read_as::<Vec<IgnoredAny>>(limits, stream).map(|ignored| ignored.len());
    let (left_out, sent) = (&[0_u8][..], &[1_u8, 2, 0][..]);
    // (receiver, fields and bytes of each name, an element, how many may be, the units of the
    // first field that is too much and of all that may be)
    let cases = [
        (maps, 9, 15, left_out, 25, Some((8 * 28 + 10, 8 * 28 + 9))),
        (maps, 9, 16, left_out, 2, Some((50, 8 * 5 + 9))),
        (maps, 9, 15, sent, 100, None),
        (maps, 1, 400, sent, 8, Some((9 * 26, 8 * 29 + 1))),
        (values, 1, 400, sent, 8, Some((9 * 26, 8 * 29 + 1))),
        (values, 1, 255, sent, 100, None),
        (values, 9, 1_000, left_out, 100, None),
        (typed, 9, 1_000, left_out, 100, None),
        (ignored, 9, 1_000, sent, 100, None),
    ];
    for (index, (read, fields, name_bytes, element, count_max, over)) in cases.iter().enumerate() {
        let mut limits = Limits::default();
        limits.fields_max = *fields;
        let stream = |count| of_long_names(*fields, *name_bytes, element, count);
        assert_eq!(read(&limits, &stream(*count_max)).unwrap(), *count_max, "case {index}");
        let Some((units, max)) = over else {
            continue;
        };
        let error = read(&limits, &stream(count_max + 1)).unwrap_err();
        let text = format!(
            "{units} units of fields with their names, where elements_max allows {max} for so \
             short a value"
        );
        assert_eq!((error.kind(), error.text()), (ErrorKind::Limit, &*text), "case {index}");
    }
    // These names would be half a GiB.
    let stream = of_long_names(1, 1_024, sent, 1 << 19);
    let error = values(&Limits::default(), &stream).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
}

/// Elements of one struct, whose fields have names of so many bytes.
fn of_long_names(fields: usize, name_bytes: usize, element: &[u8], count: usize) -> Vec<u8> {
    let names: Vec<_> = (0..fields).map(|field| format!("F{field:0<0$}", name_bytes - 1)).collect();
    let fields: Vec<_> = names.iter().map(|name| (&**name, INT)).collect();
    let elements = element.repeat(count);
    let value = message(&[&int(65), &[0], &uint(count as u64), &elements]);
    [slice(65, 66), structure(66, &fields), value].concat()
}

/// The value would be followed as one type and decoded as another.
#[test]
fn what_a_value_has_used_is_not_defined_again_in_its_middle() {
    const UINT: i64 = 3;
    const STRING: i64 = 6;
    let put = |name: &[u8], id, content: &[u8]| {
        let length = uint(content.len() as u64);
        [&uint(name.len() as u64), name, &int(id), &length, content].concat()
    };
    let begin = |id, content: &[&[u8]]| message(&[&int(id), &content.concat()]);
    // What there is before: a value that has defined and used them all.
    let before = [
        slice(65, INTERFACE),
        slice(66, 67),
        slice(67, UINT),
        structure(68, &[("A", 66), ("B", INTERFACE), ("C", 66)]),
        begin(65, &[&[0, 1], &put(b"X", 66, &[0, 0])]),
        begin(68, &[&[0]]),
    ]
    .concat();
    let used = put(b"X", 66, &[0, 1, 1, 7]);
    // (a value up to the type in an interface, a definition there, the id that it is of)
    let cases = [
        (begin(65, &[&[0, 2], &used, &[1, b'X']]), slice(66, 66), 66),
        (begin(65, &[&[0, 2], &used, &[1, b'X']]), slice(67, 67), 67),
        // The same once more: what is said before the value would come twice.
        (begin(65, &[&[0, 2], &used, &[1, b'X']]), slice(67, UINT), 67),
        (begin(65, &[&[0, 1, 1, b'X']]), slice(65, STRING), 65),
        (begin(68, &[&[1, 1, 1, 7, 1, 1, b'X']]), slice(67, 67), 67),
    ];
    for (start, definition, id) in cases {
        let mut decoder = Decoder::new().allow_new_streams();
        let mut rest = &before[..];
        while !rest.is_empty() {
            rest = &rest[decoder.push(rest).unwrap().used_bytes..];
        }
        assert!(!decoder.push(&start).unwrap().is_complete);
        let error = decoder.push(&definition).unwrap_err();
        let text = format!("a second definition of the type id {id}");
        assert_eq!((error.kind(), error.text()), (ErrorKind::Malformed, &*text));
    }
}

/// Were the value read from its beginning for every message, this would take hours.
#[test]
fn a_value_in_a_hundred_thousand_messages_is_read_once() {
    let count: usize = 100_000;
    // Each message ends behind the name of a type; the next one begins with the type.
    let mut stream = slice(65, INTERFACE);
    stream.extend(message(&[&int(65), &[0], &uint(count as u64), &[1, b'n']]));
    for _ in 1..count {
        stream.extend(message(&[&int(INT), &[2, 0, 10, 1, b'n']]));
    }
    stream.extend(message(&[&int(INT), &[2, 0, 10]]));
    let mut decoder = Decoder::new();
    let (last, rest) = stream.split_last().unwrap();
    for byte in rest {
        assert!(!decoder.push(&[*byte]).unwrap().is_complete);
    }
    assert!(decoder.push(&[*last]).unwrap().is_complete);
    assert!(decoder.buffered_bytes() <= stream.len());
    let Value::Slice(values) = decoder.decode().unwrap() else {
        panic!("a slice");
    };
    assert_eq!(values.len(), count);
    assert!(values.iter().all(|value| literal(value) == "<n>5"));
}

#[test]
fn what_is_left_out_has_an_end() {
    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Endless {
        #[expect(dead_code, reason = "it is never reached")]
        next: Box<Self>,
    }

    let endless = [structure(65, &[("Next", 65)]), message(&[&int(65), &[0]])].concat();
    assert_eq!(literal(&from_slice::<Value>(&endless).unwrap()), "()");
    from_slice::<IgnoredAny>(&endless).unwrap();
    let error = from_slice::<Endless>(&endless).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit, "{error}");

    let array = array(66, INT, 1 << 60);
    let long = [structure(65, &[("Array", 66)]), array, message(&[&int(65), &[0]])].concat();
    assert_eq!(literal(&from_slice::<Value>(&long).unwrap()), "()");
    from_slice::<IgnoredAny>(&long).unwrap();
}

/// All of the above once more, where there is not much memory.
#[cfg(unix)]
#[test]
fn half_a_gib_is_enough() {
    if env::var_os(IS_LIMITED).is_some() {
        return;
    }
    let tests = env::current_exe().unwrap();
    let status = Command::new("sh")
        .args(["-c", "ulimit -v 524288 && exec \"$0\" --test-threads=1 --quiet"])
        .arg(tests)
        .env(IS_LIMITED, "1")
        .env("RUST_BACKTRACE", "0")
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
}

fn read_with(limits: &Limits, stream: &[u8]) -> Result<Value, Error> {
    read_as(limits, stream)
}

fn read_as<T: DeserializeOwned>(limits: &Limits, mut stream: &[u8]) -> Result<T, Error> {
    let value = Decoder::with_limits(limits.clone()).read(&mut stream)?;
    Ok(value.expect("a value"))
}

fn uint(value: u64) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    match usize::try_from(value.leading_zeros() / 8).unwrap() {
        _ if value < 128 => vec![bytes[7]],
        zeros => [&[u8::try_from(256 - (8 - zeros)).unwrap()], &bytes[zeros..]].concat(),
    }
}

fn int(value: i64) -> Vec<u8> {
    uint((value << 1 ^ value >> 63).cast_unsigned())
}

fn message(parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    [uint(body.len() as u64), body].concat()
}

fn define(id: i64, form: u8, content: &[u8]) -> Vec<u8> {
    message(&[&int(-id), &[form, 1, 2], &int(id), &[0], content, &[0, 0]])
}

fn slice(id: i64, element: i64) -> Vec<u8> {
    define(id, 2, &[&[1], &int(element)[..]].concat())
}

fn array(id: i64, element: i64, len: i64) -> Vec<u8> {
    define(id, 1, &[&[1], &int(element)[..], &[1], &int(len)].concat())
}

fn structure(id: i64, fields: &[(&str, i64)]) -> Vec<u8> {
    let field = |(name, id): &(&str, i64)| {
        [&[1], &uint(name.len() as u64)[..], name.as_bytes(), &[1], &int(*id), &[0]].concat()
    };
    let fields: Vec<_> = [vec![1], uint(fields.len() as u64)]
        .into_iter()
        .chain(fields.iter().map(field))
        .flatten()
        .collect();
    define(id, 3, &fields)
}
