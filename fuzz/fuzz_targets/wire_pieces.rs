//! Arbitrary bytes give the same events and the same flaw in pieces as at once, and the decoder
//! never asks for memory.
//!
//! Byte 0: `line_bytes_max`; byte 1: `payload_bytes_max`, by eight; byte 2: how the rest is cut,
//! and whether bodies are skipped. The rest is the stream.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use switchboard::wire::{Decoder, Event, Flaw, Position};
use switchboard_testing::random::Random;

fuzz_target!(|data: &[u8]| {
    let [line, payload, cut, stream @ ..] = data else {
        return;
    };
    let (line_max, payload_max) = (usize::from(*line).max(1), usize::from(*payload) * 8);
    let is_skipping = cut & 1 == 1;
    let whole = decode(Decoder::new(line_max, payload_max), is_skipping, [stream].into_iter());
    let mut random = Random::new(u64::from(*cut));
    let mut rest = stream;
    let pieces = std::iter::from_fn(|| {
        let len = (1 + random.below(1 + usize::from(cut >> 4) * 4)).min(rest.len());
        let piece = rest.split_off(..len)?;
        (!piece.is_empty()).then_some(piece)
    });
    let split = decode(Decoder::new(line_max, payload_max), is_skipping, pieces);
    assert_eq!(split, whole);
});

fn decode<'a>(
    mut decoder: Decoder,
    is_skipping: bool,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> (Vec<Event>, Option<Flaw>) {
    let (mut input, mut events) = (BytesMut::new(), Vec::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            let (capacity, len) = (input.capacity(), input.len());
            let event = decoder.decode(&mut input);
            assert!(input.capacity() <= capacity && input.len() <= len);
            match event {
                Ok(Some(Event::Line(line))) => {
                    // By its number: pieces must not change which are skipped.
                    if is_skipping && events.len() % 2 == 0 {
                        decoder.skip_body();
                    }
                    events.push(Event::Line(line));
                }
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(flaw) => return (events, Some(flaw)),
            }
        }
        let missing = decoder.missing_body_bytes(&input);
        assert!(missing == 0 || decoder.position(&input) == Position::Body);
    }
    (events, None)
}
