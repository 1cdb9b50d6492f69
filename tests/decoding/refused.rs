//! Payloads that stand for nothing, and what is said of them.

use std::collections::BTreeMap;
use std::error::Error as _;

use bytes::Bytes;
use switchboard::Code;
#[cfg(feature = "gob")]
use switchboard::format::Gob;
#[cfg(feature = "postcard")]
use switchboard::format::Postcard;
use switchboard::format::{Bincode, Format, Json, Line};

#[cfg(feature = "gob")]
use crate::checks::NO_GOB;
use crate::checks::{check, decode, encode};

#[test]
fn hostile_files_are_refused() {
    let bad = Code::BadPayload;
    let file = |bytes: &'static [u8]| Bytes::from_static(bytes);
    macro_rules! check_files {
        ($format:ident, $folder:literal: $($name:literal => $text:literal)*) => {$(
            let bytes = include_bytes!(concat!("../data/hostile/", $folder, "/", $name, ".bin"));
            check::<$format, String>(file(bytes), bad, $text);
        )*};
    }
    check_files! { Bincode, "bincode":
        "string_length_2_to_40" => "the payload is not valid bincode"
        "string_length_2_to_63" => "the payload is not valid bincode"
        "sequence_length_2_to_64_less_1" => "the payload is not valid bincode"
        "string_not_utf8" => "the payload is not valid bincode"
        "string_one_byte_too_many" => "the payload is not valid bincode: 1 byte is left"
        "string_varint_cut" => "the payload is not valid bincode"
        "string_length_of_128_bits" => "the payload is not valid bincode"
    }
    check_files! { Json, "json":
        "string_lone_surrogate" => "the payload is not valid json: "
        "string_not_closed" => "the payload is not valid json: it ends too early at line 1 column 4"
        "string_two_values" => "the payload is not valid json: something else after the value at"
        "string_not_utf8" => "the payload is not valid json: syntax error at line 1 column"
        "string_is_a_number" => "the payload is not valid json: not the expected data at line 1"
        "string_empty_payload" => "the payload is not valid json: it ends too early at line 1"
    }
    check_files! { Line, "line":
        "line_feed_in_the_middle" => "the text is not one line: line feed at byte 1"
        "carriage_return_at_the_end" => "the text is not one line: carriage return at byte 1"
        "nul_at_the_start" => "the text is not one line: NUL at byte 0"
        "not_utf8" => "the payload is not valid line: no UTF-8 at byte 1"
    }
    #[cfg(feature = "postcard")]
    check_files! { Postcard, "postcard":
        "string_length_2_to_63" => "the payload is not valid postcard"
        "string_varint_endless" => "the payload is not valid postcard"
        "string_not_utf8" => "the payload is not valid postcard"
        "string_one_byte_too_many" => "the payload is not valid postcard: 1 byte is left"
    }
}

#[test]
fn cut_and_extended_payloads_are_refused() {
    type Value = (u32, String, Vec<Option<u64>>, BTreeMap<String, bool>);
    fn check_format<F: Format<Value>>(value: &Value) {
        let whole = encode::<F, Value>(value);
        assert_eq!(decode::<F, Value>(whole.clone()).unwrap(), *value);
        for length in 0..whole.len() {
            check::<F, Value>(whole.slice(..length), Code::BadPayload, "the payload is not valid");
        }
        for more in 1..=64 {
            let longer = [&whole, vec![b'1'; more].as_slice()].concat();
            check::<F, Value>(longer, Code::BadPayload, "the payload is not valid");
        }
    }
    let map = BTreeMap::from([("k".to_owned(), true)]);
    let value = (70_000, "text".to_owned(), vec![None, Some(1), Some(u64::MAX)], map);
    check_format::<Bincode>(&value);
    check_format::<Json>(&value);
    #[cfg(feature = "postcard")]
    check_format::<Postcard>(&value);
    // Gob has no tuples of several types.
    #[cfg(feature = "gob")]
    {
        let whole = encode::<Gob, _>(&value.3);
        assert_eq!(decode::<Gob, BTreeMap<String, bool>>(whole.clone()).unwrap(), value.3);
        for length in 0..whole.len() {
            check::<Gob, BTreeMap<String, bool>>(whole.slice(..length), Code::BadPayload, NO_GOB);
        }
        for more in 1..=64 {
            let longer = [&whole, vec![b'1'; more].as_slice()].concat();
            check::<Gob, BTreeMap<String, bool>>(longer, Code::BadPayload, NO_GOB);
        }
    }
}

#[test]
fn texts_of_errors_quote_nothing_and_keep_the_cause() {
    let error = decode::<Json, u64>(Bytes::from_static(br#""secret""#)).unwrap_err();
    assert!(!error.text().contains("secret"), "{error}");
    assert!(error.source().unwrap().to_string().contains("secret"));
    let error = decode::<Bincode, String>(Bytes::from_static(&[5])).unwrap_err();
    assert!(error.source().unwrap().is::<bincode::error::DecodeError>());
}

#[test]
fn what_was_expected_is_said_in_the_source() {
    let error = decode::<Json, u32>(Bytes::from_static(b"true")).unwrap_err();
    let source = error.source().unwrap().to_string();
    assert!(source.contains("invalid type: boolean `true`, expected u32"), "{source}");
}
