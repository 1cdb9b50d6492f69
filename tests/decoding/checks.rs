//! What is tried with each payload, and what several kinds of them are made of.

use bytes::{Bytes, BytesMut};
use switchboard::format::{Budget, Format};
use switchboard::{Code, Limits, Result};
use switchboard_testing::child;

pub(crate) fn decode<F: Format<T>, T>(payload: impl Into<Bytes>) -> Result<T> {
    let payload = payload.into();
    let budget = Budget::new(&Limits::default(), payload.len());
    F::decode(payload, &budget)
}

pub(crate) fn encode<F: Format<T>, T>(value: &T) -> Bytes {
    let mut out = BytesMut::new();
    let limits = Limits::default().with(|limits| limits.depth_max = Limits::DEPTH_MOST);
    F::encode(value, &limits, &mut out).unwrap();
    out.freeze()
}

/// Decoding `payload` fails with `code` and a text that begins with `text`.
#[track_caller]
pub(crate) fn check<F: Format<T>, T>(payload: impl Into<Bytes>, code: Code, text: &str) {
    let Err(error) = decode::<F, T>(payload) else { panic!("decoded; expected {code}: {text}") };
    assert_eq!(error.code(), code, "{error}");
    assert!(error.text().starts_with(text), "{error}; expected {text}");
}

pub(crate) fn repeat(open: &[u8], inmost: &[u8], close: &[u8], levels: usize) -> Bytes {
    [open.repeat(levels), inmost.to_vec(), close.repeat(levels)].concat().into()
}

/// Runs `body` in a child process on a small and on a usual stack.
pub(crate) fn in_child(test: &str, body: fn()) {
    child::in_child(test, &[256 * 1024, 2 * 1024 * 1024], move |_| body());
}

pub(crate) const OVER_MEMORY: &str = "value of ";

#[cfg(feature = "gob")]
pub(crate) const NO_GOB: &str = "the payload is not valid gob";
