//! G10: it does not matter in how many pieces bytes arrive, neither for what they mean nor for what
//! reading them costs.
//!
//! That the work is linear is shown by the CPU time of this thread for each byte: lines that are a
//! thousand times longer would cost a thousand times more for each byte if they were looked at anew
//! for every piece. The margin is wide.

use std::time::Duration;

use bytes::BytesMut;
use rustix::time::{ClockId, clock_gettime};
use switchboard::transport;
use switchboard::wire::{Decoder, Event, Line};
use switchboard_testing::random::{Random, rounds};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::pipeline::{self, Subject};
use crate::{block_on_one_thread, figure};

pub(crate) fn run() {
    let streams = on_the_wire();
    let (pipelines, splits) = block_on_one_thread(at_an_endpoint());
    let (short, long) = (name_scan(1 << 10, 1 << 10), name_scan(1, 1 << 20));
    let whole = whole_scan(1 << 20);
    let text = format!(
        "{streams} streams cut in whole, in single bytes and in {SPLITS} random ways: the same \
         events; {pipelines} pipelines cut in {splits} ways: the same answers; byte by byte a line \
         of 1 KiB costs {short:.1} ns a byte, one of 1 MiB {long:.1}; whole {whole:.1} (goal 2, in \
         a release build)"
    );
    figure("G10", &text);
    assert!(long < 30.0 * short, "a long line costs {long} ns a byte and a short one {short}");
}

/// Cuts streams in all ways and compares the events; answers how many streams.
fn on_the_wire() -> u64 {
    let mut random = Random::new(10);
    let count = rounds(60);
    for _ in 0..count {
        let bytes = tagged_stream(&mut random);
        let expected = events(&[&bytes]);
        let single: Vec<_> = bytes.chunks(1).collect();
        assert_eq!(events(&single), expected, "{} in single bytes", bytes.escape_ascii());
        for _ in 0..SPLITS {
            let pieces = cut(&bytes, &mut random);
            assert_eq!(events(&pieces), expected, "{pieces:?}");
        }
    }
    count
}

/// Lines and bodies, with something that is no line at the end of some.
fn tagged_stream(random: &mut Random) -> Vec<u8> {
    let mut items = pipeline::random(random);
    items.retain(|item| !matches!(item.kind, pipeline::Kind::PlainLine));
    let mut bytes = pipeline::bytes(&items);
    bytes.extend_from_slice(
        [&b""[..], b"\x16\x03", b"POST / HTTP/1.1\r\n", b"A  B\n", b"<9 ok 3\r\nabc"]
            [random.below(5)],
    );
    bytes
}

/// What a decoder finds in these pieces, one after the other, up to the first flaw.
fn events(pieces: &[&[u8]]) -> Vec<Result<Event, switchboard::wire::Flaw>> {
    let mut decoder = Decoder::new(1024, 64);
    let (mut input, mut events) = (BytesMut::new(), Vec::new());
    let mut calls = 0;
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            calls += 1;
            match decoder.decode(&mut input) {
                Ok(None) => break,
                // The length of a plain payload, which is not the decoder's to read.
                Ok(Some(Event::Line(line @ Line::Plain { .. }))) => {
                    events.push(Ok(Event::Line(line)));
                    return events;
                }
                Ok(Some(event)) => events.push(Ok(event)),
                Err(flaw) => {
                    events.push(Err(flaw));
                    return events;
                }
            }
        }
    }
    assert!(calls <= pieces.len() + events.len(), "{calls} steps for {} pieces", pieces.len());
    events
}

fn cut<'a>(mut bytes: &'a [u8], random: &mut Random) -> Vec<&'a [u8]> {
    let largest = 1 + random.below(bytes.len().max(1));
    let mut pieces = Vec::new();
    while !bytes.is_empty() {
        let piece;
        (piece, bytes) = bytes.split_at((1 + random.below(largest)).min(bytes.len()));
        pieces.push(piece);
    }
    pieces
}

/// Cuts pipelines in all ways and compares the answers; answers how many, and how many cuts.
async fn at_an_endpoint() -> (u64, u64) {
    let subject = Subject::new();
    let mut random = Random::new(11);
    let (count, mut splits) = (rounds(40), 0);
    for _ in 0..count {
        let items = pipeline::random(&mut random);
        let bytes = pipeline::bytes(&items);
        let expected = pipeline::model(&items);
        let mut cuts = vec![vec![&*bytes], bytes.chunks(1).collect()];
        cuts.extend((0..30).map(|_| cut(&bytes, &mut random)));
        for pieces in cuts {
            let answer = answer(&subject, &pieces).await;
            if let Err(difference) = pipeline::read(&expected, &answer) {
                panic!("{difference}: {pieces:?}");
            }
            splits += 1;
        }
    }
    assert_eq!(subject.canaries(), 0);
    (count, splits)
}

async fn answer(subject: &Subject, pieces: &[&[u8]]) -> Vec<u8> {
    let (mut here, there) = transport::memory();
    let talk = async {
        for piece in pieces {
            // Refused if the connection is closed by now.
            let _ = here.write_all(piece).await;
            // Lets the endpoint see this piece alone.
            tokio::task::yield_now().await;
        }
        let _ = here.shutdown().await;
        let mut answer = Vec::new();
        here.read_to_end(&mut answer).await.unwrap();
        answer
    };
    let both = async { tokio::join!(talk, subject.endpoint.serve_stream(there)).0 };
    tokio::time::timeout(Duration::from_secs(60), both).await.expect("the connection is closed")
}

/// Nanoseconds for each byte of `lines` lines of `line_bytes` that come byte by byte.
fn name_scan(lines: usize, line_bytes: usize) -> f64 {
    let begun = thread_time();
    for _ in 0..lines {
        let mut decoder = Decoder::new(2 << 20, 0);
        let mut input = BytesMut::new();
        for _ in 0..line_bytes {
            input.extend_from_slice(b"a");
            assert!(matches!(decoder.decode(&mut input), Ok(None)));
        }
    }
    (thread_time() - begun).as_nanos() as f64 / (lines * line_bytes) as f64
}

/// The same for one line that comes whole.
fn whole_scan(line_bytes: usize) -> f64 {
    let mut decoder = Decoder::new(2 * line_bytes, 0);
    let mut input = BytesMut::from(&*vec![b'a'; line_bytes]);
    let begun = thread_time();
    assert!(matches!(decoder.decode(&mut input), Ok(None)));
    (thread_time() - begun).as_nanos() as f64 / line_bytes as f64
}

fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap())
}

const SPLITS: usize = 1_000;
