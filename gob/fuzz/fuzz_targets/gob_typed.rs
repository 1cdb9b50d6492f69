//! Any bytes, read as types that have everything in them: no panic, and what is read is written,
//! read again, and written as the same bytes.
//!
//! The input is a stream.

#![no_main]

use std::collections::BTreeMap;
use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use switchboard_gob::{Complex, GobBytes, Time, Value, from_slice, to_vec};

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ComplexData {
    n: i64,
    s: String,
    m: BTreeMap<String, i64>,
    p: Vec<u8>,
    c: Option<Box<Self>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Everything {
    flag: bool,
    small: i8,
    wide: u64,
    half: f32,
    whole: f64,
    pair: [i16; 2],
    lists: Vec<Vec<String>>,
    map: BTreeMap<i32, Option<u8>>,
    point: Complex,
    time: Time,
    own: GobBytes,
    shape: Option<Shape>,
    any: Option<Value>,
    inner: Option<Box<Self>>,
}

#[derive(Debug, Serialize, Deserialize)]
enum Shape {
    Circle { radius: f64 },
    Square(i64),
}

fuzz_target!(|stream: &[u8]| {
    check::<ComplexData>(stream);
    check::<Everything>(stream);
    check::<Vec<Everything>>(stream);
    check::<BTreeMap<String, Value>>(stream);
});

fn check<T: Serialize + DeserializeOwned + Debug>(stream: &[u8]) {
    let Ok(value) = from_slice::<T>(stream) else {
        return;
    };
    // A value of unknown type inside another one cannot always be written.
    let Ok(bytes) = to_vec(&value) else {
        return;
    };
    // Not the same as what was read: a value of unknown type gets one.
    let again: T = from_slice(&bytes).expect("what was written can be read");
    assert_eq!(to_vec(&again).expect("what was read can be written"), bytes);
}
