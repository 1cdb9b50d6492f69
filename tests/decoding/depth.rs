//! Payloads that nest: too deep is refused, on any stack.

use std::fmt::Debug;

use bytes::Bytes;
use serde::Deserialize;
#[cfg(feature = "postcard")]
use switchboard::format::Postcard;
use switchboard::format::{Bincode, Budget, Format, Json};
use switchboard::{Code, Limits};
use switchboard_testing::nested::{Chain, List, Map, Tree};

use crate::checks::{check, decode, encode, in_child, repeat};

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

#[test]
fn nesting_beyond_the_limit_is_refused_on_any_stack() {
    in_child("depth::nesting_beyond_the_limit_is_refused_on_any_stack", check_all_depths);
}

/// A level whose frame is larger than the room that a small stack has.
#[derive(Deserialize, Debug)]
struct Wide {
    _block: [[u64; 32]; 16],
    next: Option<Box<Self>>,
}

#[test]
fn wide_levels_get_new_stack() {
    in_child("depth::wide_levels_get_new_stack", || {
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
