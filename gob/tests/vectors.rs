//! Streams that Go wrote, read without knowing their types, and written again.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod support;

use crate::support::{Vector, literal, vectors};
use switchboard_gob::{Decoder, Encoder, Error, Schema, Value};

#[test]
fn tmp() {
    let mut bad = 0;
    let mut same = 0;
    let mut other = std::collections::BTreeMap::new();
    for vector in vectors() {
        let (values, error) = read(&vector.bytes);
        let literals: Vec<_> = values.iter().map(|(_, value)| literal(value)).collect();
        if literals != vector.values {
            bad += 1;
            println!(
                "{} [{}] {:?}\n   ours {literals:?} {error:?}\n   go   {:?} {:?}",
                vector.name,
                vector.types,
                (),
                vector.values,
                vector.refusal
            );
        } else if error.is_some() != vector.refusal.is_some() {
            println!("{} ERROR {error:?} {:?}", vector.name, vector.refusal);
        }
        let mut encoder = Encoder::new();
        let mut out = Vec::new();
        for (schema, value) in &values {
            if let Err(error) = encoder.encode_as(schema, value, &mut out) {
                println!("{} ENCODE {error}", vector.name);
            }
        }
        if out == vector.bytes {
            same += 1
        } else {
            *other.entry(vector.group()).or_insert(0) += 1;
            let again = read(&out);
            let l: Vec<_> = again.0.iter().map(|(_, value)| literal(value)).collect();
            if l != literals || again.1.is_some() {
                println!("{} AGAIN {l:?} {:?} {literals:?}", vector.name, again.1)
            }
        }
    }
    println!("{bad} bad, {same} same bytes, {other:?}");
}

/// All values of a stream with their types, and what ends it but its end.
fn read(bytes: &[u8]) -> (Vec<(Schema, Value)>, Option<Error>) {
    let (mut decoder, mut rest, mut values) = (Decoder::new(), bytes, Vec::new());
    while !rest.is_empty() {
        match decoder.push(rest) {
            Ok(progress) if progress.is_complete => {
                rest = &rest[progress.used_bytes..];
                let schema = decoder.schema().unwrap();
                match decoder.decode() {
                    Ok(value) => values.push((schema, value)),
                    Err(error) => return (values, Some(error)),
                }
            }
            Ok(progress) => {
                assert_eq!(progress.used_bytes, rest.len());
                break;
            }
            Err(error) => return (values, Some(error)),
        }
    }
    (values, None)
}
