//! Streams that Go wrote, read as Rust types, written again and read without types.
//!
//! What is compared at the end are literals: what Go read, and what came out of ours. So a value
//! has to survive the decoder, serde's derives, the tracing of its type and the encoder.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "so is this")]

mod mirrors;
mod support;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::mirrors::{MIRRORS, mirrors, outcome, read_as};
use crate::support::{from_hex, vectors, with_deep_stack};
use switchboard_gob::{ErrorKind, Schema, Type, from_slice, to_vec, to_vec_as};

/// Types of Go's that have no form in Rust, and why.
const NO_FORM: [(&str, &str); 2] = [
    ("[0]int", "an array without elements cannot be asked for their type"),
    ("[0]uint8", "an array without elements cannot be asked for their type"),
];

/// Vectors of which we say something else than Go: why, which, and what. Behind `!` is an error.
const EXCEPTIONS: [(&str, &str, &str); 15] = [
    (
        "text is UTF-8, for all else there are bytes",
        "string/not_utf8",
        "!wanted text in UTF-8, received other bytes",
    ),
    (
        "Go reads 231 seconds where it wrote -25; we write them in a way that it reads",
        "time/zone_seconds_west",
        "o:020000000edd7270f02f072f41ffc323",
    ),
    (
        "the type is without the field of no elements",
        "array/fields",
        "(Ints=[2|1 2] Strings=[2|\"a\" \"b\"] Points=[2|(X=1) (Y=2)] \
         Matrix=[2|[2|f:3ff0000000000000 f:4000000000000000] \
         [2|f:4008000000000000 f:4010000000000000]] Bytes=[3|1u 2u 255u] Slices=[1|[1 2]])",
    ),
    (
        "the type is without the field of no elements",
        "array/fields_zero",
        "(Ints=[2|0 0] Strings=[2|\"\" \"\"] Points=[2|() ()] \
         Matrix=[2|[2|f:0000000000000000 f:0000000000000000] \
         [2|f:0000000000000000 f:0000000000000000]] Bytes=[3|0u 0u 0u] Slices=[1|[]])",
    ),
    ("we do not lose our place", "go_bug/nil_in_slice", "(A=1 Z=2)"),
    ("we do not lose our place", "go_bug/nil_in_map", "(A=1 Z=2)"),
    ("we do not lose our place", "go_bug/nil_in_array", "(A=1 Z=2)"),
    ("we do not lose our place", "go_bug/new_type_nested", "(A=1 Z=2)"),
    ("we do not lose our place", "go_bug/two_new_types_nested", "(A=1 Z=2)"),
    ("BinaryBytes takes all bytes", "refused/marshaler_own_error", "o:0102"),
    ("Some(0) is not None, and sent as such", "raw/pointer_explicit_zero", "(X=0 Y=0)"),
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

/// What Go refuses, and how our refusal begins.
const REFUSALS: [(&str, &str); 83] = [
    ("refused/struct_signedness", "!X: wanted uint, received int"),
    ("refused/struct_float", "!X: wanted float, received int"),
    ("refused/struct_no_common_field", "!the sender's type has no field of the struct PointOther"),
    ("refused/struct_one_field", "!Y: wanted string, received int"),
    ("refused/struct_one_field_left_out", "!Y: wanted string, received int"),
    ("refused/struct_to_int", "!wanted int, received Point"),
    ("refused/struct_to_slice", "!wanted slice, received Point"),
    ("refused/struct_to_map", "!wanted map, received Point"),
    ("refused/int_to_struct", "!wanted Point, received int"),
    ("refused/struct_field_range", "!Y: wanted i8, received 128"),
    ("refused/second_value", "!wanted int, received string"),
    ("refused/second_value_range", "!wanted i8, received 128"),
    ("refused/nested_range", "![0].To.Y: wanted i8, received 300"),
    ("refused/int_to_uint", "!wanted uint, received int"),
    ("refused/uint_to_int", "!wanted int, received uint"),
    ("refused/int_to_float", "!wanted float, received int"),
    ("refused/float_to_int", "!wanted int, received float"),
    ("refused/float_to_complex", "!wanted complex, received float"),
    ("refused/bool_to_int", "!wanted int, received bool"),
    ("refused/int_to_bool", "!wanted bool, received int"),
    ("refused/int_to_string", "!wanted string, received int"),
    ("refused/string_to_bytes", "!wanted slice, received string"),
    ("refused/bytes_to_string", "!wanted string, received bytes"),
    ("refused/bytes_to_byte_array", "!wanted array of 2, received bytes"),
    ("refused/byte_array_to_bytes", "!wanted bytes, received array of 2"),
    ("refused/bytes_to_uint16s", "!wanted slice, received bytes"),
    ("refused/uint16s_to_bytes", "!wanted bytes, received slice"),
    ("refused/slice_to_array", "!wanted array of 2, received slice"),
    ("refused/array_to_slice", "!wanted slice, received array of 2"),
    ("refused/array_length", "!wanted array of 2, received array of 3"),
    ("refused/slice_element", "![]: wanted string, received int"),
    ("refused/map_key", "![key]: wanted string, received int"),
    ("refused/map_element", "![]: wanted string, received int"),
    ("refused/slice_to_map", "!wanted map, received slice"),
    ("refused/int_to_interface", "!wanted interface, received int"),
    ("refused/interface_to_int", "!wanted int, received interface"),
    ("refused/interface_to_struct", "!Value: wanted Point, received interface"),
    (
        "refused/interface_not_assignable",
        "!received the name \"Point\"; wanted one of Circle, main.Square, *main.Polygon, Meters",
    ),
    ("refused/encoder_to_string", "!wanted string, received Gobbed"),
    ("refused/string_to_encoder", "!wanted GobBytes, received string"),
    ("refused/embedded_to_flat", "!the sender's type has no field of the struct One"),
    ("refused/embedded_to_int", "!Base: wanted int, received Base"),
    ("refused/encoder_to_marshaler", "!wanted BinaryBytes, received Gobbed"),
    ("refused/marshaler_to_encoder", "!wanted GobBytes, received Version"),
    ("refused/int8_over", "!wanted i8, received 128"),
    ("refused/int8_under", "!wanted i8, received -129"),
    ("refused/int16_over", "!wanted i16, received 32768"),
    ("refused/int16_under", "!wanted i16, received -32769"),
    ("refused/int32_over", "!wanted i32, received 2147483648"),
    ("refused/int32_under", "!wanted i32, received -2147483649"),
    ("refused/uint8_over", "!wanted u8, received 256"),
    ("refused/uint16_over", "!wanted u16, received 65536"),
    ("refused/uint32_over", "!wanted u32, received 4294967296"),
    ("refused/float32_over", "!wanted a float of 32 bits, received 1e300"),
    ("refused/complex64_over", "!a part is over 32 bits"),
    ("refused/int8s_over", "![1]: wanted i8, received 128"),
    ("refused/array_over", "![2]: wanted i8, received 300"),
    ("refused/map_over", "![\"a\"]: wanted i8, received 128"),
    ("raw/uint_nine_bytes", "!a number of more than 8 bytes, at byte 3"),
    ("raw/definition_twice", "!a second definition of the type id 65, at byte 35"),
    ("raw/definition_without_value", "!cut"),
    ("raw/value_without_definition", "!the type id 65, which is not defined, at byte 1"),
    ("raw/value_in_definition_message", "!7 bytes behind a definition, at byte 32"),
    ("raw/id_inside_32_bits", "!the type id 2147483648, which cannot be, at byte 13"),
    ("raw/field_without_name", "!a field without a name, at byte 14"),
    ("raw/time_of_no_bytes", "!bytes that are no time"),
    ("raw/field_beyond", "!a field that the struct does not have, at byte 35"),
    ("raw/field_wraps", "!a field that the struct does not have, at byte 35"),
    ("raw/cut_in_value", "!the message ends in a number, at byte 36"),
    ("raw/cut_in_message", "!cut"),
    ("raw/cut_in_definition", "!cut"),
    ("raw/cut_in_length", "!cut"),
    ("raw/cut_then_value", "!the message ends in a number, at byte 36"),
    ("raw/empty_message", "!a message without a byte, at byte 0"),
    ("raw/only_empty_message", "!a message without a byte, at byte 0"),
    ("raw/no_zero_before_int", "!no 0 before a value that is no struct, at byte 2"),
    ("raw/string_too_long", "!a count of 5 where 1 bytes are left, at byte 3"),
    ("raw/bytes_too_long", "!a count of 5 where 1 bytes are left, at byte 3"),
    ("raw/reserved_type", "!the type id 9, which is not defined, at byte 1"),
    ("raw/type_zero", "!the type id 0, which is not defined, at byte 1"),
    ("raw/define_builtin", "!a definition of the type id 2, at byte 2"),
    ("raw/interface_not_registered", "!received the name \"abc\"; wanted one of bool, int, int8"),
    ("raw/interface_other_type", "!1 bytes left behind the value, at byte 13"),
];

#[test]
fn every_type_has_a_form_or_a_reason() {
    let used: BTreeSet<_> = vectors().iter().flat_map(|vector| vector.types.split(',')).collect();
    let mut known: Vec<_> = MIRRORS.iter().map(|mirror| mirror.name).collect();
    known.extend(NO_FORM.iter().map(|(name, _)| *name));
    known.sort_unstable();
    assert_eq!(known, used.into_iter().collect::<Vec<_>>());
}

#[test]
fn values_are_those_of_go() {
    with_deep_stack(|| {
        let (mut refused, mut excepted) = (Vec::new(), 0);
        for vector in vectors() {
            let Some(types) = mirrors(vector.types) else {
                continue;
            };
            let ours = outcome(&read_as(&types, &vector.bytes, usize::MAX));
            if let Some((_, name, wanted)) = EXCEPTIONS.iter().find(|row| row.1 == vector.name) {
                assert_eq!(ours.join(" "), *wanted, "{name}");
                excepted += 1;
            } else if vector.refusal.is_some() {
                let (error, values) = ours.split_last().unwrap();
                assert_eq!(values, vector.values, "{}", vector.name);
                let wanted = REFUSALS.iter().find(|(name, _)| *name == vector.name);
                let (name, wanted) = wanted.expect(vector.name);
                assert!(error.starts_with(wanted), "{name}: {error}");
                refused.push(*name);
            } else {
                assert_eq!(ours, vector.values, "{}", vector.name);
            }
        }
        // No row is there for nothing.
        assert_eq!(refused, REFUSALS.map(|(name, _)| name));
        assert_eq!(excepted, EXCEPTIONS.len());
    });
}

#[test]
fn pieces_make_no_difference() {
    with_deep_stack(|| {
        for vector in vectors() {
            if let Some(types) = mirrors(vector.types) {
                let [whole, bytes] =
                    [usize::MAX, 1].map(|size| outcome(&read_as(&types, &vector.bytes, size)));
                assert_eq!(bytes, whole, "{}", vector.name);
            }
        }
    });
}

#[test]
fn arrays_without_elements_can_be_read_only() {
    let bytes = from_hex("0cff81010102ff82000104000004ff820000");
    let array: [i64; 0] = from_slice(&bytes).unwrap();
    let error = to_vec(&array).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let text = "`[i64; 0]` is a tuple or array without elements: leave it out";
    assert_eq!(error.to_string(), text);
}

#[test]
fn units_are_structs_without_fields_or_nil() {
    let done: Result<(), String> = Ok(());
    assert_eq!(to_vec(&()).unwrap(), from_hex("0aff81030102ff8200000003ff8200"));
    assert_eq!(from_slice::<Result<(), String>>(&to_vec(&done).unwrap()).unwrap(), done);
    let any = Schema::builder().build(Type::INTERFACE).unwrap();
    from_slice::<()>(&to_vec_as(&any, &()).unwrap()).unwrap();
    // (what was sent, how its refusal begins)
    let cases = [
        (to_vec(&1_i64).unwrap(), "wanted struct, received int"),
        (to_vec(&vec![()]).unwrap(), "wanted struct, received slice"),
        (to_vec_as(&any, &1_i64).unwrap(), "wanted nil, received int"),
    ];
    for (bytes, text) in cases {
        assert_eq!(from_slice::<()>(&bytes).unwrap_err().to_string(), text);
    }
}

/// Read as its owner, who can be read at all: a stream is not kept for those who borrow of it.
#[test]
fn types_that_borrow_can_be_written() {
    #[derive(Serialize, Deserialize)]
    #[serde(rename = "Line")]
    struct Lent<'a> {
        #[serde(borrow)]
        text: &'a str,
        #[serde(with = "serde_bytes", borrow)]
        bytes: &'a [u8],
        next: Option<Box<Self>>,
    }

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    #[serde(rename = "Line")]
    struct Owned {
        text: String,
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
        next: Option<Box<Self>>,
    }

    let (text, bytes) = (String::from("one"), vec![1, 2]);
    let last = Some(Box::new(Lent { text: "two", bytes: &[], next: None }));
    let sent = to_vec(&Lent { text: &text, bytes: &bytes, next: last }).unwrap();
    let last = Some(Box::new(Owned { text: "two".to_owned(), bytes: Vec::new(), next: None }));
    let owned = Owned { text, bytes, next: last };
    assert_eq!(sent, to_vec(&owned).unwrap());
    assert_eq!(from_slice::<Owned>(&sent).unwrap(), owned);
}
