//! Any value of a type with everything in it is written, and read as the same; a second one on the
//! same stream as well; and the same in pieces.

#![no_main]

use std::collections::BTreeMap;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use serde::{Deserialize, Serialize};
use switchboard_gob::{Decoder, Encoder, from_slice};

#[derive(Arbitrary, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Everything {
    flag: bool,
    small: i8,
    wide: i64,
    unsigned: u64,
    symbol: char,
    text: String,
    bytes: Vec<u8>,
    triple: [u16; 3],
    list: Vec<(i32, i32)>,
    map: BTreeMap<String, Vec<u8>>,
    nested: BTreeMap<u8, BTreeMap<bool, String>>,
    color: Color,
    shapes: Vec<Shape>,
    inner: Option<Box<Self>>,
}

#[derive(Arbitrary, Debug, PartialEq, Serialize, Deserialize)]
enum Color {
    Red,
    Green,
}

#[derive(Arbitrary, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Circle { radius: u32 },
    Square(i64),
    Text(String),
}

fuzz_target!(|input: (u8, Everything, Everything)| {
    let (cut, first, second) = input;
    let (mut encoder, mut stream) = (Encoder::new(), Vec::new());
    if encoder.encode(&first, &mut stream).is_err() {
        // Deeper than the limit.
        assert!(stream.is_empty());
        return;
    }
    let value: Everything = from_slice(&stream).expect("what was written can be read");
    assert_eq!(value, first);
    if encoder.encode(&second, &mut stream).is_err() {
        return;
    }
    let (mut decoder, mut values) = (Decoder::new(), Vec::new());
    for piece in stream.chunks(usize::from(cut).max(1)) {
        let mut rest = piece;
        while !rest.is_empty() {
            let progress = decoder.push(rest).expect("a stream that we wrote");
            rest = &rest[progress.used_bytes..];
            if progress.is_complete {
                values.push(decoder.decode::<Everything>().expect("a value that we wrote"));
            }
        }
    }
    assert!(decoder.is_between_values());
    assert_eq!(values, [first, second]);
});
