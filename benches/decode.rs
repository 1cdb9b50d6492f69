//! What the guard costs: each value decoded and encoded by `Bincode` and by the bare crate.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    reason = "a panic is how a bench fails"
)]

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use switchboard::Limits;
use switchboard::format::{Bincode, Budget, Format};

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

fn compare<T: Serialize + DeserializeOwned>(criterion: &mut Criterion, name: &str, value: &T) {
    let mut out = BytesMut::new();
    Bincode::encode(value, &mut out).expect("a value of a plain type has a form");
    let payload: Bytes = out.freeze();
    let limits = Limits::default();

    let mut group = criterion.benchmark_group(name);
    group.bench_function(BenchmarkId::new("decode", "guarded"), |bencher| {
        bencher.iter(|| {
            let payload = black_box(payload.clone());
            let budget = Budget::new(&limits, payload.len());
            <Bincode as Format<T>>::decode(payload, &budget).expect("it was just encoded")
        });
    });
    group.bench_function(BenchmarkId::new("decode", "bare"), |bencher| {
        bencher.iter(|| {
            let payload = black_box(payload.clone());
            let config = bincode::config::standard();
            let decoded = bincode::serde::decode_from_slice::<T, _>(&payload, config);
            decoded.expect("it was just encoded").0
        });
    });
    group.bench_function(BenchmarkId::new("encode", "appended"), |bencher| {
        let mut out = BytesMut::with_capacity(payload.len());
        bencher.iter(|| {
            out.clear();
            Bincode::encode(black_box(value), &mut out)
        });
    });
    group.bench_function(BenchmarkId::new("encode", "bare"), |bencher| {
        let mut out = vec![0; payload.len()];
        bencher.iter(|| {
            let config = bincode::config::standard();
            bincode::serde::encode_into_slice(black_box(value), &mut out, config)
        });
    });
    group.finish();
}

fn decode(criterion: &mut Criterion) {
    let flat = Flat { id: -5, name: "Ada".to_owned(), data: vec![7; 16], is_open: true };
    compare(criterion, "flat", &flat);
    for depth in [0, 3, 20] {
        compare(criterion, &format!("nested-{depth}"), &nested(depth));
    }
    let numbers: Vec<u64> = (0..10_000).map(|number| number * 7).collect();
    compare(criterion, "numbers-10000", &numbers);
}

criterion_group!(benches, decode);
criterion_main!(benches);
