//! Payloads that stand for nothing, and what is said of them.

use std::collections::BTreeMap;
use std::error::Error as _;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
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
        "string_is_a_number" => "the payload is not valid json: expected a string at line 1"
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

#[derive(Serialize, Deserialize, Debug)]
struct Plan {
    #[serde(alias = "stages")]
    steps: Vec<Step>,
    name: Option<String>,
    #[serde(default)]
    places: BTreeMap<String, (u8, i16)>,
    owner: Option<Owner>,
    mail: Option<Mail>,
    any: Option<Any>,
}

#[derive(Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Step {
    id: u32,
    kind: Kind,
}

#[derive(Serialize, Deserialize, Debug)]
enum Kind {
    Walk,
    Ride { speed: f64 },
    Fly(bool, char),
}

#[derive(Serialize, Deserialize, Debug)]
struct Owner(String);

#[derive(Serialize, Deserialize, Debug)]
#[serde(untagged)]
enum Any {
    Number(u8),
}

#[derive(Serialize, Deserialize, Debug)]
#[serde(try_from = "String", into = "String")]
#[derive(Clone)]
struct Mail(String);

impl TryFrom<String> for Mail {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.contains('@') { Ok(Self(text)) } else { Err(format!("missing field `{text}`")) }
    }
}

impl From<Mail> for String {
    fn from(mail: Mail) -> Self {
        mail.0
    }
}

/// The place is told in the names of the type, and what is expected there. What came is told to
/// nobody but the log: no value, no key of a map, no field that the type does not know, and not
/// what the type says of them.
#[test]
fn errors_in_json_tell_the_place_and_what_is_expected() {
    #[track_caller]
    fn check(payload: &'static str, wanted: &str) {
        let error = decode::<Json, Plan>(payload).unwrap_err();
        let at = format!("the payload is not valid json: {wanted} at line ");
        assert!(error.text().starts_with(&at), "{error}\nexpected {at}");
        assert!(!error.text().to_lowercase().contains("secret"), "{error}");
        assert_eq!(error.code(), Code::BadPayload);
    }
    check("7", "expected an object");
    check(r#""secret""#, "expected an object");
    check("{}", r#"missing field "steps""#);
    check(r#"{"secret": {"steps": []}}"#, r#"missing field "steps""#);
    check(r#"{"steps": "secret"}"#, ".steps: expected a list");
    check(r#"{"stages": {}}"#, ".steps: expected a list");
    check(r#"{"steps": [], "steps": []}"#, r#"field "steps" comes twice"#);
    check(r#"{"steps": [], "stages": []}"#, r#"field "steps" comes twice"#);
    check(
        "{\"steps\": [\n{\"id\": 1, \"kind\": \"Walk\"}, {\n\"id\": 1}]}",
        r#".steps[1]: missing field "kind""#,
    );
    check(r#"{"steps": [{"id": 1, "secret": 1}]}"#, r#".steps[0]: expected one of "id", "kind""#);
    let number = ".steps[0].id: expected a whole number from 0 to 4294967295";
    for value in ["-1", "4294967296", "1.5", "\"secret\"", "null", "[]", "{}", "true"] {
        let payload = format!(r#"{{"name": "secret", "steps": [{{"id": {value}, "kind": 1}}]}}"#);
        check(payload.leak(), number);
    }
    let kinds = r#".steps[0].kind: expected one of "Walk", "Ride", "Fly""#;
    check(r#"{"steps": [{"id": 1, "kind": "Secret"}]}"#, kinds);
    check(r#"{"steps": [{"id": 1, "kind": {"Secret": 1}}]}"#, kinds);
    check(
        r#"{"steps": [{"kind": {"Ride": {"speed": "secret"}}}]}"#,
        ".steps[0].kind::Ride.speed: expected a number",
    );
    check(
        r#"{"steps": [{"kind": {"Ride": {}}}]}"#,
        r#".steps[0].kind::Ride: missing field "speed""#,
    );
    check(
        r#"{"steps": [{"kind": {"Fly": [true, "secret"]}}]}"#,
        ".steps[0].kind::Fly[1]: expected a string of one character",
    );
    check(
        r#"{"steps": [{"kind": {"Fly": [1]}}]}"#,
        ".steps[0].kind::Fly[0]: expected true or false",
    );
    check(r#"{"steps": [{"kind": {"Fly": [true]}}]}"#, ".steps[0].kind::Fly: expected a list of 2");
    check(
        r#"{"places": {"secret": [1, 40000]}}"#,
        ".places[][1]: expected a whole number from -32768 to 32767",
    );
    check(r#"{"name": 7}"#, ".name: expected a string");
    check(r#"{"owner": ["secret"]}"#, ".owner: expected a string");
    check(r#"{"mail": 7}"#, ".mail: not the expected data");
    // These are read, and refused by rules of their own afterwards.
    check(r#"{"steps": [], "mail": "secret"}"#, "not the expected data");
    check(r#"{"steps": [], "any": "secret"}"#, "not the expected data");
    check("[[], 7]", ".name: expected a string");
}

#[test]
fn what_was_expected_is_said_in_the_source() {
    let error = decode::<Json, u32>(Bytes::from_static(b"true")).unwrap_err();
    let source = error.source().unwrap().to_string();
    assert!(source.contains("invalid type: boolean `true`, expected u32"), "{source}");
}
