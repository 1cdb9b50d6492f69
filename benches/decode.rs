//! What the guard costs: each value decoded and encoded by `Bincode` and by the bare crate.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a panic is how a bench fails"
)]

#[path = "common/ratios.rs"]
mod ratios;

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use switchboard::Limits;
use switchboard::format::{Bincode, Budget, Format};
use switchboard_testing::message::Message;

use self::ratios::{Case, compare};

#[derive(Serialize, Deserialize)]
struct Flat {
    id: i64,
    name: String,
    #[serde(with = "serde_bytes")]
    data: Vec<u8>,
    is_open: bool,
}

#[derive(Serialize, Deserialize)]
struct Nested {
    id: u64,
    name: String,
    kind: Kind,
    tags: Vec<String>,
    scores: Vec<(u32, f64)>,
    child: Option<Box<Self>>,
}

#[derive(Serialize, Deserialize)]
enum Kind {
    Plain,
    Weighed(f64),
    Placed { x: i32, y: i32 },
}

fn nested(depth: usize) -> Nested {
    Nested {
        id: 7_000_000,
        name: format!("node at {depth}"),
        kind: match depth % 3 {
            0 => Kind::Plain,
            1 => Kind::Weighed(0.5),
            _ => Kind::Placed { x: -300, y: 5 },
        },
        tags: vec!["red".to_owned(), "round".to_owned()],
        scores: vec![(1, 0.25), (1000, 1.5)],
        child: depth.checked_sub(1).map(|depth| Box::new(nested(depth))),
    }
}

fn compare_with_bare<T>(criterion: &mut Criterion, name: &str, value: &T)
where
    T: Serialize + DeserializeOwned,
{
    let limits = Limits::default();
    let mut payload = BytesMut::new();
    Bincode::encode(value, &limits, &mut payload).expect("a value of a plain type has a form");
    let payload = payload.freeze();
    let throughput = Throughput::Bytes(payload.len() as u64);
    let config = bincode::config::standard();

    let guarded = || {
        let payload = black_box(&payload).clone();
        let budget = Budget::new(&limits, payload.len());
        <Bincode as Format<T>>::decode(payload, &budget).expect("it was just encoded")
    };
    let bare = || {
        let payload = black_box(&payload).clone();
        let decoded = bincode::serde::decode_from_slice::<T, _>(&payload, config);
        decoded.expect("it was just encoded").0
    };
    let mut cases = [Case::new("guarded", timed(guarded)), Case::new("bare", timed(bare))];
    compare(criterion, &format!("decode/{name}"), &throughput, &mut cases);

    let mut out = BytesMut::with_capacity(payload.len());
    let appended = || {
        out.clear();
        Bincode::encode(black_box(value), &limits, &mut out).expect("it was encoded before");
    };
    let mut slice = vec![0; payload.len()];
    let bare = || {
        bincode::serde::encode_into_slice(black_box(value), &mut slice, config)
            .expect("it was encoded before")
    };
    let mut cases = [Case::new("appended", timed(appended)), Case::new("bare", timed(bare))];
    compare(criterion, &format!("encode/{name}"), &throughput, &mut cases);
}

fn decode(criterion: &mut Criterion) {
    compare_with_bare(criterion, "message", &Message::sample());
    let flat = Flat { id: -5, name: "Ada".to_owned(), data: vec![7; 16], is_open: true };
    compare_with_bare(criterion, "flat", &flat);
    for depth in [0, 3, 20] {
        compare_with_bare(criterion, &format!("nested-{depth}"), &nested(depth));
    }
    let numbers: Vec<u64> = (0..10_000).map(|number| number * 7).collect();
    compare_with_bare(criterion, "numbers-10000", &numbers);
}

fn timed<T>(mut action: impl FnMut() -> T) -> impl FnMut(u64) -> Duration {
    move |count| {
        let begin = Instant::now();
        for _ in 0..count {
            black_box(action());
        }
        begin.elapsed()
    }
}

criterion_group! { name = benches; config = ratios::criterion(); targets = decode }
criterion_main!(benches);
