//! Streams that Go wrote, read without knowing their types, and written again.
//!
//! What is read here is what the sender said. Go's literals tell what a receiver of Go's made of
//! it, so they are compared where both have the same type; the others are in `typed`. That nothing
//! is lost of those either is shown by writing them again.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "so is this")]

mod support;

use crate::support::{
    End, Random, Reading, Vector, from_hex, limits, literal, outcome, read, vectors,
    with_deep_stack,
};
use switchboard_gob::{Decoder, Encoder, ErrorKind, Schema, Value, from_slice};

/// Groups whose vectors Go reads as other types than were sent.
const OTHER_TYPES: [&str; 4] = ["reader", "ignored", "go_bug", "refused"];

/// Vectors with more levels than `Limits` has by itself.
const DEEP: [&str; 2] = ["recursive/nodes_1000", "interface/nested_100"];

/// Vectors of which a `Value` says something else than Go: why, which, and what. Behind `!` is an
/// error.
const EXCEPTIONS: [(&str, &str, &str); 11] = [
    ("a zero that was sent is shown", "raw/field_explicit_zero", "(X=0 Y=0)"),
    ("a zero that was sent is shown", "raw/pointer_explicit_zero", "(X=0 Y=0)"),
    ("text is UTF-8, for all else there are bytes", "string/not_utf8", "x:61fffe807a"),
    ("bytes of a type's own are only bytes", "raw/time_of_no_bytes", "o:"),
    (
        "Go reads 231 seconds where it wrote -25",
        "time/zone_seconds_west",
        "o:020000000edd7270f02f072f41ffc4e7",
    ),
    (
        "Go's receiver lacks a field",
        "embedded/read_as_field",
        "(Base=(ID=1 Name=\"b\") Extra=\"x\")",
    ),
    ("no name needs to be registered", "raw/interface_not_registered", "<abc>5"),
    ("the end is missing", "raw/no_end_of_struct", "!the message ends in a number, at byte 39"),
    (
        "something is left over",
        "raw/bytes_after_struct",
        "!1 bytes left behind the value, at byte 40",
    ),
    ("something is left over", "raw/bytes_after_int", "!1 bytes left behind the value, at byte 4"),
    (
        "a length is wrong",
        "raw/interface_wrong_length",
        "!an interface value longer than its message, at byte 8",
    ),
];

/// Vectors that become other bytes when they are written again: why, the group, and which of it.
const OTHER_BYTES: [(&str, &str, &str); 11] = [
    (OTHER_FIRST_ID, "ids64", "*"),
    (OTHER_FIRST_ID, "ids127", "*"),
    (OTHER_FIRST_ID, "ids_large", "*"),
    (
        DEFINED_BEFORE,
        "interface",
        "array array_longer_than_message basic_[]bool basic_[]complex128 basic_[]complex64 \
         basic_[]float32 basic_[]float64 basic_[]int basic_[]int16 basic_[]int32 \
         basic_[]int64 basic_[]int8 basic_[]string basic_[]uint basic_[]uint16 basic_[]uint32 \
         basic_[]uint64 basic_[]uintptr between big encoder encoder_basic encoder_pointer \
         envelope field_shape field_struct kinds long_name many map map_int map_key \
         map_new_type map_of_structs marshaler named_array nested_100 nested_5 new_type_deep \
         new_types odd_name old_types pair_in_pair pair_nested_types pair_one_type \
         pair_two_types pointer recursive recursive_pointer shape shape_default_name \
         shape_map shape_pointer shape_read_as_any shapes slice slice_longer_than_message \
         slice_of_boxes slice_of_pointers slice_of_slices slice_of_structs struct \
         struct_empty struct_generic struct_many_types struct_nested struct_zero time",
    ),
    (DEFINED_BEFORE, "go_bug", "new_type_nested two_new_types_nested"),
    (
        DEFINED_BEFORE,
        "ignored",
        "interface_nested interface_recursive interface_shape interface_slice_new \
         interface_struct interface_two_new then_known",
    ),
    (DEFINED_BEFORE, "refused", "interface_not_assignable interface_to_struct"),
    (DEFINED_BEFORE, "stream", "interfaces type_first_in_interface"),
    (
        ID_OF_POINTER,
        "encoder",
        "big_float big_float_infinite big_int big_int_large big_int_zero big_map big_rat \
         big_slice binary_pointer elements elements_zero numbers numbers_zero pointer \
         pointer_fields pointer_fields_nil pointer_fields_zero pointer_no_bytes \
         slice_of_pointers url url_fields url_fields_zero value_pointer",
    ),
    (NOT_CANONICAL, "raw", "int_long_form int_one_byte_long_form length_long_form"),
    (
        NOT_CANONICAL,
        "raw",
        "bool_two id_inside_31_bits other_id_inside type_id_long_form unused_definition",
    ),
];

const OTHER_FIRST_ID: &str = "our first id is 65";
const DEFINED_BEFORE: &str = "we define what is in an interface before the value, Go in its middle";
const ID_OF_POINTER: &str = "Go takes one more id for the pointer to a type of its own bytes";
const NOT_CANONICAL: &str = "neither Go nor we would write it like this";

#[test]
fn values_are_those_of_go() {
    with_deep_stack(|| {
        for vector in vectors() {
            let reading = read_in(&vector.bytes, || usize::MAX);
            let exception = EXCEPTIONS.iter().find(|(_, name, _)| *name == vector.name);
            if let Some((_, name, wanted)) = exception {
                assert_eq!(shown(&reading), *wanted, "{name}");
            } else if OTHER_TYPES.contains(&vector.group()) {
                assert_eq!(reading.end, End::Clean, "{}", vector.name);
            } else {
                let literals: Vec<_> = reading.values.iter().map(|(_, v)| literal(v)).collect();
                assert_eq!(literals, vector.values, "{}", vector.name);
                let is_refused = reading.end != End::Clean;
                assert_eq!(is_refused, vector.refusal.is_some(), "{}", vector.name);
            }
        }
    });
}

#[test]
fn bytes_are_those_of_go() {
    with_deep_stack(|| {
        let is_listed = |vector: &Vector| {
            let short = vector.name.split_once('/').unwrap().1;
            let mut rows = OTHER_BYTES.iter().filter(|(_, group, _)| *group == vector.group());
            rows.any(|(_, _, names)| *names == "*" || names.split(' ').any(|name| name == short))
        };
        let (mut same, mut other) = (Vec::new(), Vec::new());
        for vector in vectors() {
            let reading = read_in(&vector.bytes, || usize::MAX);
            if reading.end != End::Clean {
                continue;
            }
            let again = written(&reading);
            if again == vector.bytes {
                same.push(vector.name);
            } else {
                other.push(vector.name);
                let reading_again = read_in(&again, || usize::MAX);
                assert_eq!(shown(&reading_again), shown(&reading), "{}", vector.name);
                // From then on nothing changes.
                assert_eq!(written(&reading_again), again, "{}", vector.name);
            }
        }
        let listed: Vec<_> = vectors().into_iter().filter(is_listed).map(|v| v.name).collect();
        assert_eq!(other, listed);
        println!("{} streams are Go's byte for byte, {} are not", same.len(), other.len());
    });
}

/// A schema that a decoder has of one value does not change with what else is on the stream.
#[test]
fn types_of_one_stream_do_not_mix() {
    let stream = [
        // Point, and (X=22 Y=33); AnyBox, with nothing, and with that Point.
        "1fff8103010105506f696e7401ff82000102010158010400010159010400000007ff82012c014200",
        "1eff8303010106416e79426f7801ff84000101010556616c7565011000000003ff8400",
        "12ff840105506f696e74ff8205012c01420000",
    ];
    let reading = read_in(&from_hex(&stream.concat()), || usize::MAX);
    assert_eq!(shown(&reading), "(X=22 Y=33) () (Value=<Point>(X=22 Y=33))");
    let again = read_in(&written(&reading), || usize::MAX);
    assert_eq!(shown(&again), shown(&reading));
}

#[test]
fn pieces_make_no_difference() {
    with_deep_stack(|| {
        let mut random = Random::new(1);
        for vector in vectors() {
            let whole = read_in(&vector.bytes, || usize::MAX);
            let check = |sizes: &mut dyn FnMut() -> usize| {
                let pieces = read_in(&vector.bytes, sizes);
                assert_eq!(shown(&pieces), shown(&whole), "{}", vector.name);
                assert_eq!(pieces.used_bytes, whole.used_bytes, "{}", vector.name);
            };
            check(&mut || 1);
            for most in [2, 10, 100] {
                check(&mut || 1 + random.below(most));
            }
        }
    });
}

#[test]
fn nothing_behind_a_value_is_read() {
    with_deep_stack(|| {
        for vector in vectors() {
            let reading = read_in(&vector.bytes, || usize::MAX);
            let end = reading.used_bytes;
            // The end of a message, and what would be the beginning of the next one.
            for behind in [&b"STRING\n"[..], &[0xff], &[0]] {
                let bytes = [&vector.bytes[..end], behind].concat();
                let mut last_end = 0;
                let mut decoder = Decoder::with_limits(limits());
                for _ in &reading.values {
                    let progress = decoder.push(&bytes[last_end..]).unwrap();
                    assert!(progress.is_complete, "{}", vector.name);
                    last_end += progress.used_bytes;
                }
                assert_eq!(last_end, end, "{}", vector.name);
                assert!(decoder.is_between_values(), "{}", vector.name);
            }
        }
    });
}

#[test]
fn from_slice_reads_the_same() {
    // Within the default limits, which it has.
    let is_shallow = |vector: &Vector| !DEEP.contains(&vector.name);
    for vector in vectors().into_iter().filter(is_shallow) {
        let reading = read_in(&vector.bytes, || usize::MAX);
        let ours = from_slice::<Value>(&vector.bytes);
        let wanted = match (&reading.values[..], &reading.end) {
            ([(_, value)], End::Clean) => literal(value),
            ([], End::Refused(text)) => format!("!{text}"),
            ([], End::Clean) => "!there is no value: the bytes are empty".to_owned(),
            ([], _) => "!the bytes end in the middle of a value".to_owned(),
            // Another value, or what is left of one.
            _ => {
                assert_eq!(ours.unwrap_err().kind(), ErrorKind::Malformed, "{}", vector.name);
                continue;
            }
        };
        let ours = ours.map_or_else(|error| format!("!{error}"), |value| literal(&value));
        assert_eq!(ours, wanted, "{}", vector.name);
    }
    for vector in vectors().iter().filter(|vector| !is_shallow(vector)) {
        let error = from_slice::<Value>(&vector.bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit, "{}", vector.name);
    }
}

/// Each vector is from an encoder of its own, so ids have another meaning with each; where there
/// are interfaces, they get it in the middle of a value.
#[test]
fn one_decoder_reads_what_many_encoders_wrote() {
    with_deep_stack(|| {
        let mut decoder = Decoder::with_limits(limits()).allow_new_streams();
        // Twice in a row as well: then the definitions are the same.
        for vector in vectors().iter().flat_map(|vector| [vector, vector]) {
            let wanted = read_in(&vector.bytes, || usize::MAX);
            if wanted.end != End::Clean {
                continue;
            }
            let mut rest = &vector.bytes[..];
            for (_, value) in &wanted.values {
                let progress = decoder.push(rest).expect(vector.name);
                assert!(progress.is_complete, "{}", vector.name);
                let (value, name) = (literal(value), vector.name);
                assert_eq!(literal(&decoder.decode().unwrap()), value, "{name}");
                let mut alone = Vec::new();
                decoder.put_definitions(&mut alone);
                alone.extend(&rest[..progress.used_bytes]);
                let alone = read_in(&alone, || usize::MAX);
                assert_eq!((alone.values.len(), shown(&alone)), (1, value), "{name}");
                rest = &rest[progress.used_bytes..];
            }
            assert!(rest.is_empty(), "{}", vector.name);
        }
    });
}

fn read_in(bytes: &[u8], sizes: impl FnMut() -> usize) -> Reading<(Schema, Value)> {
    read(bytes, sizes, |decoder, _| Ok((decoder.schema().unwrap(), decoder.decode()?)))
}

/// The literals of the values, and behind `!` what ended them.
fn shown(reading: &Reading<(Schema, Value)>) -> String {
    outcome(reading.values.iter().map(|(_, value)| literal(value)), &reading.end).join(" ")
}

fn written(reading: &Reading<(Schema, Value)>) -> Vec<u8> {
    let (mut encoder, mut bytes) = (Encoder::with_limits(limits()), Vec::new());
    for (schema, value) in &reading.values {
        encoder.encode_as(schema, value, &mut bytes).unwrap();
    }
    bytes
}

/// The values of Go's messages that are cut in the middle, and those of ours, under other ids.
#[test]
fn values_are_the_same_on_another_stream() {
    with_deep_stack(|| {
        for vector in vectors() {
            let before = from_hex("0cff81020102ff82000104000006ff8200020204");
            let (mut encoder, mut stream) = (Encoder::with_limits(limits()), Vec::new());
            encoder.append(&before, &mut stream).unwrap();
            let (mut decoder, mut wanted) = (Decoder::with_limits(limits()), Vec::new());
            let mut rest = &*vector.bytes;
            while let Ok(progress) = decoder.push(rest)
                && progress.is_complete
                && let Ok(value) = decoder.decode::<Value>()
            {
                let mut alone = Vec::new();
                decoder.put_definitions(&mut alone);
                alone.extend_from_slice(&rest[..progress.used_bytes]);
                encoder.append(&alone, &mut stream).expect(vector.name);
                wanted.push(literal(&value));
                rest = &rest[progress.used_bytes..];
            }
            let again = read_in(&stream, || usize::MAX);
            assert_eq!(again.end, End::Clean, "{}", vector.name);
            let literals: Vec<_> = again.values.iter().map(|(_, value)| literal(value)).collect();
            assert_eq!(literals[1..], wanted, "{}", vector.name);
        }
    });
}

/// Go's strings are any bytes.
#[test]
fn a_string_that_is_no_text_is_bytes_and_is_written_as_it_was() {
    // Go: map[string]any{"\xff": "a\xfe", "b": "c"}, with the definition before the value.
    let bytes = from_hex(
        "0eff81040102ff8200010c0110000021ff82000201ff06737472696e670c04000261fe016206737472696e67\
         0c03000163",
    );
    let mut decoder = Decoder::new();
    assert!(decoder.push(&bytes).unwrap().is_complete);
    let (schema, value) = (decoder.schema().unwrap(), decoder.decode::<Value>().unwrap());
    assert_eq!(literal(&value), "{\"b\"=<string>\"c\" x:ff=<string>x:61fe}");
    let mut again = Vec::new();
    Encoder::new().encode_as(&schema, &value, &mut again).unwrap();
    assert_eq!(again, bytes);
}
