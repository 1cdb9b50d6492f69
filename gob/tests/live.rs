//! Streams of ours read by Go, and damaged ones read by both, where Go is installed.
//!
//! The question is never how an error reads but whether there is one: of a damaged stream we may
//! refuse what Go takes, and never the other way round, nor say another value.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "so is this")]

mod mirrors;
mod support;

use crate::mirrors::{mirrors, read_as, rewritten, written};
use crate::support::oracle::{Answer, ask, go_version, oracle, printed};
use crate::support::{
    End, Vector, all_mutations, as_go_shows, limits, literal, mutations, other_definitions, read,
    to_hex, vectors, with_deep_stack,
};
use switchboard_gob::{Decoder, Encoder, Interface, Schema, Type, Value, to_vec_as};

/// Vectors whose damaged streams are not compared, and why.
const NOT_COMPARED: [(&str, &str); 9] = [
    ("array/fields", "our type is without the field of no elements"),
    ("array/fields_zero", "our type is without the field of no elements"),
    ("go_bug/nil_in_slice", LOST),
    ("go_bug/nil_in_map", LOST),
    ("go_bug/nil_in_array", LOST),
    ("go_bug/new_type_nested", LOST),
    ("go_bug/two_new_types_nested", LOST),
    ("time/zone_seconds", SIGN),
    ("time/zone_seconds_west", SIGN),
];

/// Refusals of Go's that we need not share: of which vectors, how they begin, and why.
const OWN_REFUSALS: [(&str, &str, &str); 17] = [
    ("", "died: out of memory", "Go allocates what a message or a count announces"),
    ("", "Gobbed: ", OWN_CODE),
    ("", "Version: ", OWN_CODE),
    ("", "VersionPointer: ", OWN_CODE),
    ("", "Int.GobDecode: ", OWN_CODE),
    ("", "Rat.GobDecode: ", OWN_CODE),
    ("", "Float.GobDecode: ", OWN_CODE),
    ("", "strconv.ParseFloat: ", OWN_CODE),
    ("", "parse ", OWN_CODE),
    ("", "net/url: ", OWN_CODE),
    ("interface/", "gob: bad data: field numbers out of bounds", LOST),
    ("interface/", "gob: bad interface encoding: data length too large", LOST),
    ("interface/", "gob: decoding array or slice: length exceeds input size", LOST),
    ("interface/", "gob: duplicate type received", LOST),
    ("interface/", "gob: type mismatch in decoder: want struct type main.Point", LEFT_OUT),
    ("interface/", "gob: wrong type (map[string]main.Point) for received field", LEFT_OUT),
    ("interface/", "gob: wrong type ([]main.Point) for received field", LEFT_OUT),
];

const OWN_CODE: &str = "the type's own code refuses bytes, which are only bytes to us";
const LOST: &str = "Go loses its place in a field that, misnamed, it passes over (as in go_bug)";
const SIGN: &str = "Go reads the seconds of an offset without the sign that it wrote";
const LEFT_OUT: &str = "within an interface, a field left out is zero for us, of whatever type";

/// Vectors of which all changes are tried, not several for each byte.
const CHOSEN: [&str; 8] = [
    "struct/point",
    "map/string_int",
    "slice/slices",
    "interface/between",
    "pointer/top_struct",
    "encoder/binary_value",
    "stream/alternating",
    "time/utc",
];

/// What Go's own code refuses, and ours has not looked at.
const NOT_SENT: [&str; 1] = ["refused/marshaler_own_error"];

/// What Go reads rightly in our bytes, and not in its own.
const READ_RIGHTLY: [(&str, &str); 6] = [
    ("go_bug/nil_in_slice", "(A=1 Z=2)"),
    ("go_bug/nil_in_map", "(A=1 Z=2)"),
    ("go_bug/nil_in_array", "(A=1 Z=2)"),
    ("go_bug/new_type_nested", "(A=1 Z=2)"),
    ("go_bug/two_new_types_nested", "(A=1 Z=2)"),
    ("time/zone_seconds_west", "o:020000000edd7270f02f072f41ffc4e7"),
];

#[test]
fn the_vectors_are_those_of_go() {
    let Some(program) = oracle() else {
        return;
    };
    let version = go_version();
    if version.starts_with("go1.19") {
        let kept = include_str!("data/vectors.tsv").lines().filter(|line| !line.starts_with('#'));
        let printed = printed(program, "vectors");
        let made = printed.lines().filter(|line| !line.starts_with('#'));
        assert!(kept.eq(made), "tests/data/vectors.tsv is not what {version} makes");
    } else {
        println!("SKIPPED: the vectors are those of Go 1.19, and this is {version}");
    }
}

#[test]
fn go_reads_what_we_write() {
    let Some(program) = oracle() else {
        return;
    };
    with_deep_stack(move || {
        let mut asked = Vec::new();
        for vector in vectors() {
            let Vector { name, types, .. } = vector;
            if NOT_SENT.contains(&name) {
                continue;
            }
            let wanted = |count: usize| match READ_RIGHTLY.iter().find(|row| row.0 == name) {
                Some((_, literal)) => vec![*literal],
                None => vector.values[..count].to_vec(),
            };
            if let Some(mirrors) = mirrors(types) {
                let values = read_as(&mirrors, &vector.bytes, usize::MAX).values;
                asked.push((name, types, written(&values).unwrap(), wanted(values.len())));
            }
            // Without types, what does not fit the receiver's would be sent as well.
            if vector.refusal.is_none() {
                let (bytes, count) = written_untyped(&vector.bytes);
                asked.push((name, types, bytes, vector.values[..count].to_vec()));
            }
        }
        let questions = asked.clone().into_iter().map(|(_, types, bytes, _)| (types, bytes));
        let mut answers = ask(program, questions);
        for (name, _, bytes, wanted) in &asked {
            let Answer { literals, refusal } = answers.next().unwrap();
            assert_eq!(refusal, None, "{name}: {}", to_hex(bytes));
            assert_eq!(literals, *wanted, "{name}: {}", to_hex(bytes));
        }
        assert!(answers.next().is_none());
        println!("Go reads {} streams of ours", asked.len());
    });
}

/// A `Value` that a program has made, with Go's own names for its types.
#[test]
fn go_reads_interfaces_that_were_made_here() {
    let Some(program) = oracle() else {
        return;
    };
    let mut schema = Schema::builder();
    let square = schema.structure("Square", &[("Side", Type::FLOAT)]);
    schema.hold(square);
    let list = schema.slice(Type::INTERFACE);
    let schema = schema.build(list).unwrap();
    let side = Value::Struct(vec![("Side".to_owned(), Value::Float(2.0))]);
    let values = Value::Slice(vec![
        Interface::new("main.Square", square, side).into(),
        Interface::new("int", Type::INT, Value::Int(-7)).into(),
        Interface::new("uint8", Type::UINT, Value::Uint(7)).into(),
        Value::Int(1),
    ]);
    let bytes = to_vec_as(&schema, &values).unwrap();
    let Answer { literals, refusal } =
        ask(program, std::iter::once(("[]any", bytes))).next().unwrap();
    assert_eq!(refusal, None);
    let wanted = "[<main.Square>(Side=f:4000000000000000) <int>-7 <uint8>7u <int64>1]";
    assert_eq!(literals, [wanted]);
}

#[test]
fn no_change_of_a_byte_becomes_another_value() {
    compare_with_go(|vector| {
        let is_chosen = CHOSEN.contains(&vector.name);
        if is_chosen { all_mutations(&vector.bytes) } else { mutations(&vector.bytes) }
    });
}

#[test]
fn no_definition_that_go_refuses_is_taken() {
    compare_with_go(|vector| match CHOSEN.contains(&vector.name) {
        true => other_definitions(&vector.bytes),
        false => Vec::new(),
    });
}

/// Reads what is made of each vector, and has Go read it.
fn compare_with_go(change: impl Fn(&Vector) -> Vec<Vec<u8>> + Send + 'static) {
    let Some(program) = oracle() else {
        return;
    };
    with_deep_stack(move || {
        let is_like_go = |vector: &Vector| {
            let is_unlike = NOT_COMPARED.iter().any(|(name, _)| *name == vector.name);
            !is_unlike && mirrors(vector.types).is_some()
        };
        let mut changed = Vec::new();
        for vector in vectors().into_iter().filter(is_like_go) {
            let all = change(&vector).into_iter();
            changed.extend(all.map(|bytes| (vector.name, vector.types, bytes)));
        }
        let questions = changed.clone().into_iter().map(|(_, types, bytes)| (types, bytes));
        let mut answers = ask(program, questions);
        let (mut same, mut stricter, mut findings) = (0, 0, Vec::new());
        for (name, types, bytes) in &changed {
            let reading = read_as(&mirrors(types).unwrap(), bytes, usize::MAX);
            let values = rewritten(&reading.values).into_iter().map(as_go_shows);
            let ours: Vec<_> = values.map(|value| literal(&value)).collect();
            let answer = answers.next().unwrap();
            match finding((name, types), &ours, &reading.end, &answer) {
                Some(what) => findings.push(format!(
                    "{name} [{types}] {}: {what}\n  ours {ours:?} {:?}\n  Go's {answer:?}",
                    to_hex(bytes),
                    reading.end
                )),
                None if reading.end != End::Clean && answer.refusal.is_none() => stricter += 1,
                None => same += 1,
            }
        }
        println!("{same} changed streams end as in Go, {stricter} only we refuse");
        assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
    });
}

/// What is wrong with our reading, if it is.
fn finding(
    (name, types): (&str, &str),
    ours: &[String],
    end: &End,
    go: &Answer,
) -> Option<&'static str> {
    let has_own_code = OWN_CODE_TYPES.iter().any(|name| types.contains(name));
    let is_same = |(ours, go): (&String, &String)| {
        ours == go || has_own_code && without_own_bytes(ours) == without_own_bytes(go)
    };
    if !ours.iter().zip(&go.literals).all(is_same) {
        return Some("another value");
    }
    if let Some(refusal) = &go.refusal
        && OWN_REFUSALS
            .iter()
            .any(|(of, begin, _)| name.starts_with(of) && refusal.starts_with(begin))
    {
        return None;
    }
    if ours.len() > go.literals.len() {
        return Some("a value that Go refuses");
    }
    if *end == End::Clean && (ours.len() < go.literals.len() || go.refusal.is_some()) {
        return Some("an end where there is none");
    }
    None
}

/// Types whose own code makes other bytes of those it has read, or is in an interface that may.
const OWN_CODE_TYPES: [&str; 12] = [
    "Gobbed", "Version", "Celsius", "CSV", "Both", "Encoder", "Link", "Numbers", "big.", "url.",
    "any", "Any",
];

/// The literal without fields and contents of types' own bytes.
fn without_own_bytes(literal: &str) -> String {
    let mut parts = literal.split("o:");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let field = plain.trim_end_matches(|c: char| c.is_ascii_alphanumeric() || c == '=').len();
        plain.truncate(field);
        plain.push_str(part.trim_start_matches(|c: char| c.is_ascii_hexdigit()));
    }
    plain.replace("( ", "(").replace(" )", ")")
}

/// The values of a stream written again as they came, and how many they are.
fn written_untyped(bytes: &[u8]) -> (Vec<u8>, usize) {
    let decode = |decoder: &mut Decoder, _| Ok((decoder.schema().unwrap(), decoder.decode()?));
    let values: Vec<(Schema, Value)> = read(bytes, || usize::MAX, decode).values;
    let (mut encoder, mut again) = (Encoder::with_limits(limits()), Vec::new());
    for (schema, value) in &values {
        encoder.encode_as(schema, value, &mut again).unwrap();
    }
    (again, values.len())
}
