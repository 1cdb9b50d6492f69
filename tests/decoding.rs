//! Hostile payloads: whatever they claim, decoding ends in an error, without an abort.

#![cfg(all(feature = "bincode", feature = "json"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a panic is how a test fails"
)]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::error::Error as _;
use std::fmt::Debug;

use bytes::{Bytes, BytesMut};
use serde::de::DeserializeOwned;
use serde::de::value::{self, SeqDeserializer};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
#[cfg(feature = "gob")]
use switchboard::format::Gob;
#[cfg(feature = "postcard")]
use switchboard::format::Postcard;
use switchboard::format::{Bincode, Budget, Codec, Format, Framing, Json, Line};
use switchboard::{Code, Limits, Result};
use switchboard_testing::child;
use switchboard_testing::nested::{Chain, List, Map, Tree};

fn decode<F: Format<T>, T>(payload: impl Into<Bytes>) -> Result<T> {
    let payload = payload.into();
    let budget = Budget::new(&Limits::default(), payload.len());
    F::decode(payload, &budget)
}

fn encode<F: Format<T>, T>(value: &T) -> Bytes {
    let mut out = BytesMut::new();
    F::encode(value, &mut out).unwrap();
    out.freeze()
}

/// Decoding `payload` fails with `code` and a text that begins with `text`.
#[track_caller]
fn check<F: Format<T>, T>(payload: impl Into<Bytes>, code: Code, text: &str) {
    let Err(error) = decode::<F, T>(payload) else { panic!("decoded; expected {code}: {text}") };
    assert_eq!(error.code(), code, "{error}");
    assert!(error.text().starts_with(text), "{error}; expected {text}");
}

// --- depth ---

fn repeat(open: &[u8], inmost: &[u8], close: &[u8], levels: usize) -> Bytes {
    [open.repeat(levels), inmost.to_vec(), close.repeat(levels)].concat().into()
}

const TOO_DEEP: &str = "nesting of 129 levels is over depth_max (128)";

/// Each level of these types costs two levels of depth, and what is inmost one or two.
fn check_depth<F, T>(open: &[u8], inmost: &[u8], close: &[u8])
where
    F: Format<T>,
    T: Clone + PartialEq + Debug,
{
    let payload = repeat(open, inmost, close, 63);
    let value: T = decode::<F, T>(payload.clone()).unwrap();
    assert_eq!(value.clone(), value);
    assert!(format!("{value:?}").len() > 63);
    assert_eq!(encode::<F, T>(&value), payload);
    drop(value);
    for levels in [64, 65, 1000, 1_000_000] {
        check::<F, T>(repeat(open, inmost, close, levels), Code::TooLarge, TOO_DEEP);
    }
}

fn check_all_depths() {
    check_depth::<Bincode, Chain>(&[1], &[0], &[]);
    check_depth::<Bincode, List>(&[1], &[0], &[]);
    check_depth::<Bincode, Tree>(&[1], &[0], &[]);
    check_depth::<Bincode, Map>(&[1, 7], &[0], &[]);
    #[cfg(feature = "postcard")]
    {
        check_depth::<Postcard, Chain>(&[1], &[0], &[]);
        check_depth::<Postcard, List>(&[1], &[0], &[]);
        check_depth::<Postcard, Tree>(&[1], &[0], &[]);
        check_depth::<Postcard, Map>(&[1, 7], &[0], &[]);
    }
    check_depth::<Json, Chain>(br#"{"next":"#, br#"{"next":null}"#, b"}");
    check_depth::<Json, List>(br#"{"Cons":"#, br#""Nil""#, b"}");
    check_depth::<Json, Tree>(b"[", b"[]", b"]");
    check_depth::<Json, Map>(br#"{"7":"#, b"{}", b"}");
    // Nothing but arrays costs one each. What is skipped makes nothing and so may be deeper.
    assert!(decode::<Json, serde_json::Value>(repeat(b"[", b"", b"]", 128)).is_ok());
    check::<Json, serde_json::Value>(vec![b'['; 1_000_000], Code::TooLarge, TOO_DEEP);
    let skipped = repeat(b"[", b"", b"]", 1_000_000);
    let payload = [br#"{"x":"#.as_slice(), &skipped, br#","next":null}"#].concat();
    assert_eq!(decode::<Json, Chain>(payload).unwrap(), Chain { next: None });
}

/// Runs `body` in a child process on a small and on a usual stack.
fn in_child(test: &str, body: fn()) {
    child::in_child(test, &[256 * 1024, 2 * 1024 * 1024], move |_| body());
}

#[test]
fn nesting_beyond_the_limit_is_refused_on_any_stack() {
    in_child("nesting_beyond_the_limit_is_refused_on_any_stack", check_all_depths);
}

/// A level whose frame is larger than the room that a small stack has.
#[derive(Deserialize, Debug)]
struct Wide {
    _block: [[u64; 32]; 16],
    next: Option<Box<Self>>,
}

#[test]
fn wide_levels_get_new_stack() {
    in_child("wide_levels_get_new_stack", || {
        let limits = Limits::default().with(|limits| limits.depth_max = 1000);
        let payload = Bytes::from([vec![0; 512], vec![1]].concat().repeat(300));
        let payload = Bytes::from([&payload, [0; 513].as_slice()].concat());
        let budget = Budget::new(&limits, payload.len());
        // Not `Serialize`, so past `Bincode` but by the same door.
        let mut decoder = bincode::serde::BorrowedSerdeDecoder::from_slice(
            &payload,
            bincode::config::standard(),
            (),
        );
        let mut wide: Wide = budget.deserialize(decoder.as_deserializer()).unwrap();
        let mut levels = 0;
        while let Some(next) = wide.next.take() {
            (wide, levels) = (*next, levels + 1);
        }
        assert_eq!(levels, 300);
    });
}

// --- lengths and counts ---

fn bincode_length(length: u64) -> Vec<u8> {
    [&[0xfd], length.to_le_bytes().as_slice()].concat()
}

#[cfg(feature = "postcard")]
fn postcard_length(length: u64) -> Vec<u8> {
    encode::<Postcard, u64>(&length).to_vec()
}

#[test]
fn claimed_lengths_reserve_nothing() {
    in_child("claimed_lengths_reserve_nothing", || {
        let lengths = [1 << 16, 1 << 32, 1 << 40, 1 << 60, 1 << 63, u64::MAX];
        for length in lengths {
            check_length::<Bincode>(&bincode_length(length), "the payload is not valid bincode");
            #[cfg(feature = "postcard")]
            check_length::<Postcard>(&postcard_length(length), "the payload is not valid postcard");
        }
    });
}

fn check_length<F>(payload: &[u8], text: &str)
where
    F: Format<String> + Format<Vec<u8>> + Format<ByteBuf> + Format<Vec<u64>>,
    F: Format<HashMap<String, i64>>,
{
    let payload = Bytes::copy_from_slice(payload);
    check::<F, String>(payload.clone(), Code::BadPayload, text);
    check::<F, Vec<u8>>(payload.clone(), Code::BadPayload, text);
    check::<F, ByteBuf>(payload.clone(), Code::BadPayload, text);
    check::<F, Vec<u64>>(payload.clone(), Code::BadPayload, text);
    check::<F, HashMap<String, i64>>(payload, Code::BadPayload, text);
}

#[test]
fn elements_of_no_size_are_counted() {
    for length in [1 << 32, 1 << 60] {
        let payload = Bytes::from(bincode_length(length));
        let text = "1034 elements from a payload of 9 bytes are over spare_elements_max (1024)";
        check::<Bincode, Vec<()>>(payload.clone(), Code::TooLarge, text);
        check::<Bincode, Vec<[u8; 0]>>(payload.clone(), Code::TooLarge, text);
        check::<Bincode, HashSet<()>>(payload.clone(), Code::TooLarge, text);
        check::<Bincode, BTreeMap<(), ()>>(payload, Code::TooLarge, text);
        #[cfg(feature = "postcard")]
        {
            let payload = Bytes::from(postcard_length(length));
            check::<Postcard, Vec<()>>(payload.clone(), Code::TooLarge, "10");
            check::<Postcard, HashSet<()>>(payload.clone(), Code::TooLarge, "10");
            check::<Postcard, BTreeMap<(), ()>>(payload, Code::TooLarge, "10");
        }
    }
    let allowed = vec![(); 1024];
    assert_eq!(decode::<Bincode, Vec<()>>(encode::<Bincode, _>(&allowed)).unwrap(), allowed);
}

#[test]
fn dense_but_honest_values_are_not_refused() {
    fn check_back<T>(value: &T)
    where
        T: Serialize + DeserializeOwned + PartialEq + Debug,
    {
        assert_eq!(decode::<Bincode, T>(encode::<Bincode, T>(value)).unwrap(), *value);
        assert_eq!(decode::<Json, T>(encode::<Json, T>(value)).unwrap(), *value);
        #[cfg(feature = "postcard")]
        assert_eq!(decode::<Postcard, T>(encode::<Postcard, T>(value)).unwrap(), *value);
    }
    check_back(&vec![[1u8, 2, 3]; 100_000]);
    check_back(&vec![(1u8,); 100_000]);
    check_back(&vec![Vec::<u8>::new(); 100_000]);
    check_back(&vec![vec![((), 5u8)]; 100_000]);
    check_back(&(0..50_000u32).map(|key| (key, ())).collect::<HashMap<_, _>>());
    check_back(&vec![7u8; 1_000_000]);
}

// --- memory ---

const OVER_MEMORY: &str = "value of ";

#[test]
fn small_payloads_do_not_become_large_values() {
    const MIB: usize = 1024 * 1024;
    type Sparse = Vec<Option<[u64; 32]>>;
    type Boxed = Vec<Box<Option<[u64; 32]>>>;
    // A length of four bytes after its mark, then nothing but `None`, empty strings, empty lists.
    let length = u32::try_from(MIB).unwrap().to_le_bytes();
    let zeros = Bytes::from([[0xfc].as_slice(), &length, &vec![0; MIB]].concat());
    check::<Bincode, Sparse>(zeros.clone(), Code::TooLarge, OVER_MEMORY);
    check::<Bincode, Boxed>(zeros.clone(), Code::TooLarge, OVER_MEMORY);
    check::<Bincode, Vec<String>>(zeros.clone(), Code::TooLarge, OVER_MEMORY);
    check::<Bincode, Vec<Vec<u64>>>(zeros, Code::TooLarge, OVER_MEMORY);
    let nulls = Bytes::from(["[", &"null,".repeat(MIB / 5), "null]"].concat());
    check::<Json, Sparse>(nulls, Code::TooLarge, OVER_MEMORY);
    let objects = Bytes::from(["[", &r#"{"":[]},"#.repeat(2 * MIB / 8), "0]"].concat());
    check::<Json, serde_json::Value>(objects, Code::TooLarge, OVER_MEMORY);
}

#[test]
fn memory_used_has_elements_and_text_in_it() {
    let payload = encode::<Bincode, _>(&vec!["abc".to_owned(), "d".to_owned()]);
    let budget = Budget::new(&Limits::default(), payload.len());
    let _: Vec<String> = Bincode::decode(payload, &budget).unwrap();
    // The vector itself, its piece of memory, and one for each string, as the allocator has them.
    assert_eq!(budget.memory_used(), 48 + 64 + 32 + 32);
}

#[test]
fn text_beyond_the_length_of_the_payload_is_charged() {
    let text = "x".repeat(1024 * 1024);
    // The first is free, and the vector and the strings themselves take a part of the 16 MiB.
    for (count, is_allowed) in [(1, true), (16, true), (17, false), (1000, false)] {
        let budget = Budget::new(&Limits::default(), text.len());
        let texts = std::iter::repeat_n(text.as_str(), count);
        let deserializer = SeqDeserializer::<_, value::Error>::new(texts);
        let decoded: Result<Vec<String>, _> = budget.deserialize(deserializer);
        if is_allowed {
            assert_eq!(decoded.map(|texts| texts.len()), Ok(count));
            let strings_bytes = (count * size_of::<String>() + 8).next_multiple_of(16).max(32);
            assert_eq!(budget.memory_used(), 48 + strings_bytes + count * (text.len() + 16));
        } else {
            let Err(cause) = decoded else { panic!("{count} texts were made") };
            let error = budget.error("again", cause);
            assert_eq!(error.code(), Code::TooLarge);
            assert!(error.text().starts_with(OVER_MEMORY), "{error}");
        }
    }
}

// --- payloads that stand for nothing ---

#[test]
fn hostile_files_are_refused() {
    let bad = Code::BadPayload;
    let file = |bytes: &'static [u8]| Bytes::from_static(bytes);
    macro_rules! check_files {
        ($format:ident, $folder:literal: $($name:literal => $text:literal)*) => {$(
            let bytes = include_bytes!(concat!("data/hostile/", $folder, "/", $name, ".bin"));
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

// --- gob ---

#[cfg(feature = "gob")]
const NO_GOB: &str = "the payload is not valid gob";

/// The definitions of a type, then a value of it with this body. `zero` is one whose own body is so
/// many bytes.
#[cfg(feature = "gob")]
fn gob<T>(zero: &T, zero_bytes: usize, body: &[u8]) -> Bytes
where
    T: Serialize + DeserializeOwned,
{
    with_body(&encode::<Gob, T>(zero), zero_bytes, body)
}

#[cfg(feature = "gob")]
fn with_body(zero: &[u8], zero_bytes: usize, body: &[u8]) -> Bytes {
    // Its message has a byte of length and two of type before the value.
    let (before, _) = zero.split_at(zero.len() - zero_bytes);
    let (definitions, message) = before.split_at(before.len() - 3);
    let length = u32::try_from(body.len() + 2).unwrap().to_be_bytes();
    [definitions, &[0xfc], &length, &message[1..], body].concat().into()
}

#[cfg(feature = "gob")]
#[test]
fn nested_gobs_are_refused_on_any_stack() {
    in_child("nested_gobs_are_refused_on_any_stack", || {
        let chain = |levels| gob(&Chain { next: None }, 1, &repeat(&[1], &[0], &[0], levels));
        let tree = |levels| {
            let lists = repeat(&[1], &[0], &[], levels);
            gob(&Tree(vec![]), 2, &[&[0], &lists[..]].concat())
        };
        assert!(decode::<Gob, Tree>(tree(62)).is_ok());
        assert!(decode::<Gob, Chain>(chain(63)).is_ok());
        for levels in [64, 65, 1000, 1_000_000, 3_000_000] {
            check::<Gob, Chain>(chain(levels), Code::TooLarge, "nesting of 129 levels");
        }
        for levels in [128, 1000, 1_000_000] {
            check::<Gob, Tree>(tree(levels), Code::TooLarge, "nesting of 129 levels");
        }
    });
}

#[cfg(feature = "gob")]
#[test]
fn gobs_that_claim_more_than_they_have_reserve_nothing() {
    in_child("gobs_that_claim_more_than_they_have_reserve_nothing", || {
        for power in [16, 32, 40, 60, 63] {
            let bytes = (1_u64 << power).to_be_bytes();
            // A 0, as before everything that is no struct, and the count.
            let body = [&[0, 0xf8], bytes.as_slice()].concat();
            check::<Gob, Vec<u64>>(gob(&Vec::<u64>::new(), 2, &body), Code::BadPayload, NO_GOB);
            let strings = gob(&Vec::<String>::new(), 2, &body);
            check::<Gob, Vec<String>>(strings, Code::BadPayload, NO_GOB);
            let map = gob(&BTreeMap::<String, u64>::new(), 2, &body);
            check::<Gob, BTreeMap<String, u64>>(map, Code::BadPayload, NO_GOB);
            let text = [&[13, 12, 0, 0xf8], bytes.as_slice()].concat();
            check::<Gob, String>(text, Code::BadPayload, NO_GOB);
            let message = [&[0xf8], bytes.as_slice(), &[12, 0]].concat();
            check::<Gob, String>(message, Code::BadPayload, NO_GOB);
        }
    });
}

/// An empty struct is one byte, whatever it is in memory, and however many fields its sender has.
#[cfg(feature = "gob")]
#[test]
fn small_gobs_do_not_become_large_values() {
    #[derive(Default, Serialize, Deserialize)]
    struct Sparse {
        words: Option<[u64; 32]>,
    }
    let count = 1_000_000_u32;
    let body = [&[0, 0xfc], count.to_be_bytes().as_slice(), &vec![0; 1_000_000]].concat();
    let sparse = gob(&Vec::<Sparse>::new(), 2, &body);
    check::<Gob, Vec<Sparse>>(sparse, Code::TooLarge, OVER_MEMORY);

    let names: Vec<_> = (0..4000).map(|number| format!("F{number}")).collect();
    let mut builder = switchboard_gob::Schema::builder();
    let fields = names.iter().map(|name| (name.as_str(), switchboard_gob::Type::UINT));
    let wide = builder.structure("Wide", &fields.collect::<Vec<_>>());
    let slice = builder.slice(wide);
    let schema = builder.build(slice).unwrap();
    let none: [BTreeMap<String, u64>; 0] = [];
    let whole = switchboard_gob::to_vec_as(&schema, &none).unwrap();
    #[derive(Deserialize, Serialize)]
    struct Narrow {
        #[serde(rename = "F7")]
        field: u64,
    }
    let narrow = decode::<Gob, Vec<Narrow>>(with_body(&whole, 2, &body)).unwrap();
    assert!(narrow.len() == 1_000_000 && narrow.iter().all(|narrow| narrow.field == 0));
}

/// Elements of three bytes, each a struct with one field of this name. Gob has the name only once.
#[cfg(feature = "gob")]
fn structs_with_a_field(name: &str, count: u32) -> Bytes {
    let mut builder = switchboard_gob::Schema::builder();
    let structure = builder.structure("T", &[(name, switchboard_gob::Type::UINT)]);
    let slice = builder.slice(structure);
    let schema = builder.build(slice).unwrap();
    let none: [BTreeMap<String, u64>; 0] = [];
    let whole = switchboard_gob::to_vec_as(&schema, &none).unwrap();
    let elements = [1, 7, 0].repeat(usize::try_from(count).unwrap());
    with_body(&whole, 2, &[&[0, 0xfc], count.to_be_bytes().as_slice(), &elements].concat())
}

#[cfg(feature = "gob")]
#[test]
fn names_that_gob_has_once_are_not_kept_for_each_element_uncharged() {
    let gob = structs_with_a_field(&"F".repeat(200), 100_000);
    check::<Gob, switchboard_gob::Value>(gob, Code::TooLarge, OVER_MEMORY);
    // A name that is only compared is free.
    #[derive(Serialize, Deserialize)]
    struct Element {
        #[serde(rename = "TheNameOfThisFieldIsAsLongAsSomeThatGoProgramsReallyGiveToTheirs")]
        field: u64,
    }
    let name = "TheNameOfThisFieldIsAsLongAsSomeThatGoProgramsReallyGiveToTheirs";
    let elements = decode::<Gob, Vec<Element>>(structs_with_a_field(name, 330_000)).unwrap();
    assert!(elements.len() == 330_000 && elements.iter().all(|element| element.field == 7));
}

#[cfg(feature = "gob")]
#[test]
fn dense_but_honest_gobs_are_not_refused() {
    fn check_back<T>(value: &T)
    where
        T: Serialize + DeserializeOwned + PartialEq + Debug,
    {
        assert_eq!(decode::<Gob, T>(encode::<Gob, T>(value)).unwrap(), *value);
    }
    check_back(&vec![[1u8, 2, 3]; 100_000]);
    check_back(&vec![Vec::<u8>::new(); 100_000]);
    check_back(&vec![vec![(5u8, 6u8)]; 100_000]);
    check_back(&vec![7u8; 1_000_000]);
    check_back(&vec![7u64; 500_000]);
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

/// A variant without content is a word, or has a null.
#[test]
fn a_unit_variant_takes_its_null() {
    #[derive(Deserialize, Serialize, PartialEq, Debug)]
    enum Light {
        Green,
        Red,
    }
    let lights: Vec<Light> = decode::<Json, _>(&br#"["Green",{"Red":null}]"#[..]).unwrap();
    assert_eq!(lights, [Light::Green, Light::Red]);
    check::<Json, Light>(&br#"{"Red":7}"#[..], Code::BadPayload, "the payload is not valid json");
}

/// A type with a form for people and one for programs is told which it is.
#[test]
fn addresses_are_text_in_json_and_bytes_in_bincode() {
    let address = std::net::Ipv4Addr::new(10, 0, 0, 1);
    let back = decode::<Json, std::net::Ipv4Addr>(Bytes::from_static(br#""10.0.0.1""#));
    assert_eq!(back.unwrap(), address);
    let back = decode::<Bincode, std::net::Ipv4Addr>(Bytes::from_static(&[10, 0, 0, 1]));
    assert_eq!(back.unwrap(), address);
}

#[test]
fn white_space_around_json_is_allowed() {
    assert_eq!(decode::<Json, u64>(Bytes::from_static(b" 7 \n")).unwrap(), 7);
}

#[test]
fn lines_with_ends_in_them_are_not_written() {
    for (text, reason) in [("a\n", "line feed"), ("\ra", "carriage return"), ("a\0b", "NUL")] {
        let mut out = BytesMut::new();
        let error = Line::encode(&text.to_owned(), &mut out).unwrap_err();
        assert_eq!(error.code(), Code::BadPayload);
        assert!(error.text().contains(reason), "{error}");
        assert!(out.is_empty());
    }
    let text = "any other text, \u{85}\u{2028}\t".to_owned();
    assert_eq!(decode::<Line, String>(encode::<Line, _>(&text)).unwrap(), text);
}

#[test]
fn serde_formats_are_spoken_in_json_and_gob_too() {
    let spoken = [
        ("json", Framing::Line),
        #[cfg(feature = "gob")]
        ("gob", Framing::Gob),
    ];
    let alternatives = |codecs: Vec<Codec<_>>| -> Vec<_> {
        codecs.iter().map(|codec| (codec.name, codec.framing)).collect()
    };
    assert_eq!(alternatives(<Bincode as Format<String>>::alternatives()), spoken);
    assert_eq!(alternatives(<Json as Format<String>>::alternatives()), spoken);
    assert_eq!(alternatives(Line::alternatives()), spoken);
    assert!(switchboard::format::Bytes::alternatives().is_empty());
}

#[test]
fn a_limit_that_a_type_makes_light_of_is_reported_all_the_same() {
    #[derive(Debug)]
    struct Lenient;
    impl<'de> Deserialize<'de> for Lenient {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            _ = Vec::<()>::deserialize(deserializer);
            Ok(Self)
        }
    }
    impl Serialize for Lenient {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_unit()
        }
    }
    check::<Bincode, Lenient>(bincode_length(1 << 20), Code::TooLarge, "1034 elements");
}
