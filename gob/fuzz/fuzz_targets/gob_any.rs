//! Any bytes, cut anywhere, give the same values and the same error as at once; nothing behind a
//! value is taken; what waits in the decoder is no more than has come; and a value that was read is
//! read again from what it is written as.
//!
//! Byte 0: how the rest is cut. The rest is a stream.

#![no_main]

use libfuzzer_sys::fuzz_target;
use switchboard_gob::{Decoder, Encoder, Limits, Schema, Value};

fuzz_target!(|data: &[u8]| {
    let [cut, stream @ ..] = data else {
        return;
    };
    let whole = read(stream, stream.len().max(1));
    // By their texts: not a number is not equal to itself.
    assert_eq!(format!("{:?}", read(stream, usize::from(*cut).max(1))), format!("{whole:?}"));

    let (mut encoder, mut again) = (Encoder::new(), Vec::new());
    for (schema, value) in &whole.values {
        encoder.encode_as(schema, value, &mut again).expect("what was read can be written");
    }
    let again = read(&again, again.len().max(1));
    assert_eq!(again.error, None);
    assert!(again.is_between_values);
    let texts = |read: &Read| read.values.iter().map(|(_, value)| text(value)).collect::<Vec<_>>();
    assert_eq!(texts(&again), texts(&whole));
});

/// The numbers of types differ, as only those that are needed are written.
fn text(value: &Value) -> String {
    let text = format!("{value:?}");
    let mut parts = text.split("value_type: Type(");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once("), ").map_or("", |(_, rest)| rest))
}

#[derive(Debug)]
struct Read {
    values: Vec<(Schema, Value)>,
    error: Option<String>,
    is_between_values: bool,
}

fn read(stream: &[u8], piece_bytes: usize) -> Read {
    let mut limits = Limits::default();
    limits.depth_max = 50;
    let mut decoder = Decoder::with_limits(limits);
    let (mut values, mut error) = (Vec::new(), None);
    'stream: for piece in stream.chunks(piece_bytes) {
        let mut rest = piece;
        while !rest.is_empty() {
            match decoder.push(rest) {
                Ok(progress) => {
                    assert!(progress.used_bytes > 0 && progress.used_bytes <= rest.len());
                    assert!(progress.is_complete || progress.used_bytes == rest.len());
                    assert!(decoder.buffered_bytes() <= stream.len() * 2);
                    rest = &rest[progress.used_bytes..];
                    if progress.is_complete {
                        let schema = decoder.schema().expect("a complete value has a type");
                        match decoder.decode() {
                            Ok(value) => values.push((schema, value)),
                            Err(refused) => error = Some(refused.to_string()),
                        }
                    }
                }
                Err(malformed) => {
                    error = Some(malformed.to_string());
                    break 'stream;
                }
            }
        }
    }
    let is_between_values = decoder.is_between_values();
    Read { values, error, is_between_values }
}
