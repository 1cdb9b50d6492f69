//! Damaged streams, without Go: cut anywhere, or with one byte changed. What is compared with Go is
//! in `live`; here it is that nothing panics, that what comes in pieces comes to the same, and that
//! no more waits in memory than has come.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "so is this")]

mod mirrors;
mod support;

use crate::mirrors::{mirrors, outcome, read_as};
use crate::support::{End, Random, Reading, literal, mutations, read, vectors, with_deep_stack};
use switchboard_gob::Value;

/// Longer ones are not cut at each place, which would take a minute.
const CUT_BYTES_MAX: usize = 1_500;

#[test]
fn a_stream_that_is_cut_has_the_values_before() {
    with_deep_stack(|| {
        for vector in vectors().iter().filter(|vector| vector.bytes.len() <= CUT_BYTES_MAX) {
            let whole = shown(&read_in(&vector.bytes, || usize::MAX));
            for len in 0..vector.bytes.len() {
                let cut = read_in(&vector.bytes[..len], || usize::MAX);
                let values = shown(&cut);
                assert_eq!(values, whole[..values.len()], "{}: {len}", vector.name);
                match cut.end {
                    End::Clean => assert_eq!(cut.used_bytes, len, "{}", vector.name),
                    End::Cut => {}
                    // What is wrong is in front of the cut.
                    End::Refused(_) => {
                        let end = read_in(&vector.bytes, || usize::MAX).end;
                        assert_eq!(cut.end, end, "{}: {len}", vector.name);
                    }
                }
            }
        }
    });
}

#[test]
fn a_stream_that_is_changed_is_the_same_in_pieces() {
    with_deep_stack(|| {
        let mut random = Random::new(3);
        let mut count = 0;
        for vector in vectors() {
            for bytes in mutations(&vector.bytes) {
                let whole = read_in(&bytes, || usize::MAX);
                let pieces = read_in(&bytes, || 1 + random.below(9));
                assert_eq!(shown(&pieces), shown(&whole), "{}: {bytes:02x?}", vector.name);
                assert_eq!(pieces.end, whole.end, "{}: {bytes:02x?}", vector.name);
                count += 1;
            }
        }
        println!("{count} changed streams end");
    });
}

#[test]
fn a_type_takes_what_is_changed_or_refuses_it() {
    with_deep_stack(|| {
        for vector in vectors() {
            let Some(types) = mirrors(vector.types) else {
                continue;
            };
            for bytes in mutations(&vector.bytes) {
                // What has been read can be written, and read again.
                let ours = outcome(&read_as(&types, &bytes, usize::MAX));
                assert!(ours.len() <= bytes.len(), "{}: {bytes:02x?}", vector.name);
            }
        }
    });
}

fn shown(reading: &Reading<Value>) -> Vec<String> {
    reading.values.iter().map(literal).collect()
}

fn read_in(bytes: &[u8], sizes: impl FnMut() -> usize) -> Reading<Value> {
    read(bytes, sizes, |decoder, _| {
        assert!(decoder.buffered_bytes() <= bytes.len(), "no more than has come");
        decoder.decode()
    })
}
