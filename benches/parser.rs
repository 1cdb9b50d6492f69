//! What parsing and printing cost beside their floor.
//!
//! The floor of the parser finds each line's end with `memchr` and skips a body whose length it
//! knows; that of the printer appends each line and body as they are. Neither checks anything.

#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    reason = "a panic is how a bench fails"
)]

#[path = "common/ratios.rs"]
mod ratios;

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use switchboard::Limits;
use switchboard::wire::{Decoder, Event, Line, Name, Options, Outbox};

use self::ratios::{Case, compare};

/// Tagged calls with bodies of 32 bytes.
fn stream() -> (Vec<u8>, Vec<Line>) {
    let name = Name::new("CHECK_STOCK");
    let line = |tag| Line::Call { name, tag, len: BODY.len() as u64, options: Options::default() };
    let lines: Vec<_> = (1..=LINES).map(line).collect();
    let mut bytes = BytesMut::new();
    for line in &lines {
        line.encode(&mut bytes);
        bytes.extend_from_slice(BODY);
    }
    (bytes.to_vec(), lines)
}

fn parse(criterion: &mut Criterion) {
    let (stream, _) = stream();
    for (pieces, word) in [(stream.len(), "whole"), (64, "in-pieces")] {
        let mut cases = [
            Case::new("switchboard", timed(|| parse_all(&stream, pieces))),
            Case::new("floor", timed(|| split_all(&stream, pieces))),
        ];
        compare(criterion, &format!("parse/{word}"), &throughput(&stream), &mut cases);
    }
}

fn print(criterion: &mut Criterion) {
    let (stream, lines) = stream();
    let heads: Vec<_> = lines
        .iter()
        .map(|line| {
            let mut head = BytesMut::new();
            line.encode(&mut head);
            head.freeze()
        })
        .collect();
    let mut outbox = Outbox::default();
    let mut tail = BytesMut::new();
    let mut cases = [
        Case::new(
            "switchboard",
            timed(|| {
                for line in &lines {
                    outbox.push_line(black_box(line));
                    outbox.push_body(BODY);
                }
                outbox.advance(black_box(outbox.len()));
            }),
        ),
        Case::new(
            "floor",
            timed(|| {
                for head in &heads {
                    tail.extend_from_slice(black_box(head));
                    tail.extend_from_slice(BODY);
                }
                black_box(&tail);
                tail.clear();
            }),
        ),
    ];
    compare(criterion, "print", &throughput(&stream), &mut cases);
}

/// Parses everything.
fn parse_all(stream: &[u8], piece_bytes: usize) {
    let limits = Limits::default();
    let mut decoder = Decoder::new(limits.line_bytes_max, limits.payload_bytes_max);
    let (mut input, mut bodies) = (BytesMut::new(), 0);
    for piece in stream.chunks(piece_bytes) {
        input.extend_from_slice(piece);
        while let Some(event) = decoder.decode(&mut input).unwrap() {
            bodies += u32::from(matches!(black_box(event), Event::Body(_)));
        }
    }
    assert_eq!(bodies, LINES);
}

/// As [`parse_all`], without parsing: the length of each body is known.
fn split_all(stream: &[u8], piece_bytes: usize) {
    let (mut input, mut bodies, mut scanned) = (BytesMut::new(), 0, 0);
    for piece in stream.chunks(piece_bytes) {
        input.extend_from_slice(piece);
        loop {
            let Some(end) = memchr::memchr(b'\n', &input[scanned..]) else {
                scanned = input.len();
                break;
            };
            let unit_bytes = scanned + end + 1 + BODY.len();
            if input.len() < unit_bytes {
                scanned += end;
                break;
            }
            black_box(input.split_to(unit_bytes).freeze());
            scanned = 0;
            bodies += 1;
        }
    }
    assert_eq!(bodies, LINES);
}

/// Lines and bytes a second.
fn throughput(stream: &[u8]) -> Throughput {
    Throughput::ElementsAndBytes { elements: LINES.into(), bytes: stream.len() as u64 }
}

fn timed(mut action: impl FnMut()) -> impl FnMut(u64) -> Duration {
    move |count| {
        let begin = Instant::now();
        for _ in 0..count {
            action();
        }
        begin.elapsed()
    }
}

const BODY: &[u8] = b"a body that has thirty-two bytes";

/// Calls in a stream.
const LINES: u32 = 1000;

criterion_group! { name = benches; config = ratios::criterion(); targets = parse, print }
criterion_main!(benches);
