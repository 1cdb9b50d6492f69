//! What every guarded decode promises: it does not panic, keeps within its budget, and what it
//! gives is a value, which comes back equal when it is encoded and decoded again.
//!
//! The first byte of the input chooses the type that the rest is decoded as.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;

use bytes::{Bytes, BytesMut};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use switchboard::format::{Budget, Format};
use switchboard::{Code, Limits};

/// A type that is as deep as its payload likes.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Tree {
    name: String,
    children: Vec<Tree>,
    next: Option<Box<Tree>>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub enum Shape {
    Nothing,
    Wrapped(Box<Shape>),
    Pair(u8, char),
    Fields { wide: i128, flag: bool, shapes: Vec<Shape> },
}

/// Decodes as the type that the first byte chooses.
pub fn check_any<F>(data: &[u8])
where
    F: Format<Tree>
        + Format<Vec<Shape>>
        + Format<Vec<Option<[u64; 32]>>>
        + Format<Vec<()>>
        + Format<BTreeMap<String, u32>>
        + Format<HashMap<u64, Vec<i16>>>
        + Format<String>
        + Format<(char, i64, Option<Option<bool>>)>,
{
    let Some((kind, payload)) = data.split_first() else {
        return;
    };
    match kind % 8 {
        0 => check::<Tree, F>(payload),
        1 => check::<Vec<Shape>, F>(payload),
        2 => check::<Vec<Option<[u64; 32]>>, F>(payload),
        3 => check::<Vec<()>, F>(payload),
        4 => check::<BTreeMap<String, u32>, F>(payload),
        5 => check::<HashMap<u64, Vec<i16>>, F>(payload),
        6 => check::<String, F>(payload),
        _ => check::<(char, i64, Option<Option<bool>>), F>(payload),
    }
}

pub fn check<T: Debug + PartialEq + Serialize + DeserializeOwned, F: Format<T>>(payload: &[u8]) {
    let limits = Limits::default().with(|limits| limits.decode_bytes_max = DECODE_BYTES_MAX);
    let budget = Budget::new(&limits, payload.len());
    let decoded = F::decode(Bytes::copy_from_slice(payload), &budget);
    // Text is counted and never refused: it is no longer than the payload.
    assert!(budget.memory_used() <= DECODE_BYTES_MAX.saturating_add(payload.len()));
    let value = match decoded {
        Ok(value) => value,
        Err(error) => {
            assert!(matches!(error.code(), Code::BadPayload | Code::TooLarge), "{error}");
            return;
        }
    };
    let mut encoded = BytesMut::from("before");
    F::encode(&value, &limits, &mut encoded).expect("what was decoded can be encoded");
    let encoded = encoded.split_off(6).freeze();
    // A short form of the same may have more elements for each of its bytes.
    let limits = limits.with(|limits| limits.spare_elements_max = usize::MAX);
    let again = F::decode(encoded.clone(), &Budget::new(&limits, encoded.len()));
    assert_eq!(again.expect("what was encoded can be decoded"), value);
}

const DECODE_BYTES_MAX: usize = 1024 * 1024;
