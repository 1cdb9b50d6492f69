//! Arbitrary bytes as frames: cut anywhere they give the same frames, and these the same bytes.
//!
//! Byte 0: `line_bytes_max`; byte 1: `payload_bytes_max`; byte 2: how the rest is cut. The rest is
//! the stream.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use switchboard::Limits;
use switchboard::wire::{Frame, Frames};
use switchboard_testing::random::Random;

fuzz_target!(|data: &[u8]| {
    let [line, payload, cut, stream @ ..] = data else {
        return;
    };
    let mut limits = Limits::default();
    limits.line_bytes_max = usize::from(*line).max(1);
    limits.payload_bytes_max = usize::from(*payload);
    let whole = read(&limits, [stream].into_iter());
    let mut written = BytesMut::new();
    for frame in &whole {
        let before = written.len();
        frame.encode(&mut written);
        assert_eq!(written.len() - before, frame.bytes());
        assert!(frame.line().is_none() || frame.body().len() <= limits.payload_bytes_max);
    }
    assert_eq!(written, stream);
    let mut random = Random::new(u64::from(*cut));
    let mut rest = stream;
    let pieces = std::iter::from_fn(|| {
        let len = (1 + random.below(1 + usize::from(cut >> 4) * 4)).min(rest.len());
        let piece = rest.split_off(..len)?;
        (!piece.is_empty()).then_some(piece)
    });
    assert_eq!(read(&limits, pieces), whole);
});

/// The frames of a stream; pieces behind each other are one.
fn read<'a>(limits: &Limits, pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Frame> {
    let (mut frames, mut input) = (Frames::new(limits), BytesMut::new());
    let mut read = Vec::<Frame>::new();
    let mut take = |frame: Frame| match read.last_mut() {
        Some(last) if last.line().is_none() && frame.line().is_none() => {
            *last = Frame::piece([last.body(), &**frame.body()].concat());
        }
        _ => read.push(frame),
    };
    for piece in pieces {
        input.extend_from_slice(piece);
        while let Some(frame) = frames.decode(&mut input) {
            take(frame);
        }
        assert!(input.len() <= limits.line_bytes_max.max(limits.payload_bytes_max));
    }
    while let Some(frame) = frames.decode_end(&mut input) {
        take(frame);
    }
    assert!(input.is_empty());
    read
}
