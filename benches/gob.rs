//! The struct of the article, and bytes, encoded and decoded, beside Go's own `encoding/gob`.
//!
//! Criterion measures each case by itself. Then, where Go is installed, Go and this crate take
//! turns, and the median of the ratios is printed: above 1, this crate is faster.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a panic is how a bench fails"
)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use criterion::Criterion;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use switchboard_gob::{Decoder, Encoder, from_slice, to_vec};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", rename = "complexData")]
struct ComplexData {
    n: i64,
    s: String,
    m: BTreeMap<String, i64>,
    p: Vec<u8>,
    c: Option<Box<Self>>,
}

/// A case: its name, that of Go's in `tests/go/bench.go`, what to do so many times, and how many of
/// them are measured beside Go. serde takes and gives a `Vec<u8>` byte by byte, and `serde_bytes`
/// as a whole.
type Case = (&'static str, &'static str, fn(u64) -> Duration, u64);

const CASES: [Case; 8] = [
    ("encode_fresh", "encode_fresh", encode_fresh, 100_000),
    ("encode_warm", "encode_warm", encode_warm, 100_000),
    ("decode_fresh", "decode_fresh", decode_fresh, 100_000),
    ("decode_warm", "decode_warm", decode_warm, 100_000),
    ("encode_vec_u8", "encode_bytes", encode_bytes::<Vec<u8>>, 1_000),
    ("decode_vec_u8", "decode_bytes", decode_bytes::<Vec<u8>>, 1_000),
    ("encode_serde_bytes", "encode_bytes", encode_bytes::<ByteBuf>, 1_000),
    ("decode_serde_bytes", "decode_bytes", decode_bytes::<ByteBuf>, 1_000),
];

fn encode_fresh(times: u64) -> Duration {
    let (value, mut out) = (article(), Vec::new());
    timed(times, || {
        out.clear();
        Encoder::new().encode(black_box(&value), &mut out).unwrap();
        black_box(&out);
    })
}

fn encode_warm(times: u64) -> Duration {
    let (value, mut out, mut encoder) = (article(), Vec::new(), Encoder::new());
    encoder.encode(&value, &mut out).unwrap();
    timed(times, || {
        out.clear();
        encoder.encode(black_box(&value), &mut out).unwrap();
        black_box(&out);
    })
}

fn decode_fresh(times: u64) -> Duration {
    let stream = to_vec(&article()).unwrap();
    timed(times, || {
        black_box(from_slice::<ComplexData>(black_box(&stream)).unwrap());
    })
}

fn decode_warm(times: u64) -> Duration {
    let (mut encoder, mut stream) = (Encoder::new(), Vec::new());
    encoder.encode(&article(), &mut stream).unwrap();
    let first_bytes = stream.len();
    encoder.encode(&article(), &mut stream).unwrap();
    let (first, second) = stream.split_at(first_bytes);
    let mut decoder = Decoder::new();
    assert!(decoder.push(first).unwrap().is_complete);
    timed(times, || {
        assert!(decoder.push(black_box(second)).unwrap().is_complete);
        black_box(decoder.decode::<ComplexData>().unwrap());
    })
}

fn encode_bytes<T>(times: u64) -> Duration
where
    T: From<Vec<u8>> + Serialize + DeserializeOwned,
{
    let (value, mut out, mut encoder) = (some_bytes::<T>(), Vec::new(), Encoder::new());
    timed(times, || {
        out.clear();
        encoder.encode(black_box(&value), &mut out).unwrap();
        black_box(&out);
    })
}

fn decode_bytes<T>(times: u64) -> Duration
where
    T: From<Vec<u8>> + Serialize + DeserializeOwned,
{
    let stream = to_vec(&some_bytes::<T>()).unwrap();
    timed(times, || {
        black_box(from_slice::<T>(black_box(&stream)).unwrap());
    })
}

fn some_bytes<T: From<Vec<u8>>>() -> T {
    (0..100_000_u32).map(|index| index.wrapping_mul(7).to_le_bytes()[0]).collect::<Vec<_>>().into()
}

fn timed(times: u64, mut run: impl FnMut()) -> Duration {
    let start = Instant::now();
    (0..times).for_each(|_| run());
    start.elapsed()
}

fn article() -> ComplexData {
    let map = |keys: [&str; 3]| (1..).zip(keys).map(|(n, key)| (key.to_owned(), n)).collect();
    let inner = ComplexData {
        n: 256,
        s: "Recursive structs? Piece of cake!".to_owned(),
        m: map(["01", "10", "11"]),
        p: Vec::new(),
        c: None,
    };
    ComplexData {
        n: 23,
        s: "string data".to_owned(),
        m: map(["one", "two", "three"]),
        p: b"abc".to_vec(),
        c: Some(Box::new(inner)),
    }
}

/// Go's and our turns.
const ROUNDS: usize = 5;

fn beside_go() {
    let Some(oracle) = oracle() else {
        println!("beside Go: skipped, for Go is not installed");
        return;
    };
    let mut ratios = [const { Vec::new() }; CASES.len()];
    for _ in 0..ROUNDS {
        let output = Command::new(&oracle).arg("bench").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        for ((_, name, run, times), ratios) in CASES.iter().zip(&mut ratios) {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap();
            let go: f64 = line.rsplit('\t').next().unwrap().parse().unwrap();
            #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
            let ours = run(*times).as_nanos() as f64 / *times as f64;
            ratios.push((go / ours, go, ours));
        }
    }
    for ((name, ..), mut ratios) in CASES.into_iter().zip(ratios) {
        ratios.sort_by(|one, other| one.0.total_cmp(&other.0));
        let (low, high) = (ratios[0].0, ratios[ROUNDS - 1].0);
        let (ratio, go, ours) = ratios[ROUNDS / 2];
        println!(
            "{name}: Go {go:.0} ns, ours {ours:.0} ns, {ratio:.1} times as fast \
             ({low:.1} to {high:.1})"
        );
    }
}

/// The program in `tests/go`, built.
fn oracle() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("oracle-for-bench");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../gob/tests/go");
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(&path).arg(".").current_dir(folder);
    build.status().ok()?.success().then_some(path)
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for (name, _, run, _) in CASES {
        criterion.bench_function(name, |bencher| bencher.iter_custom(run));
    }
    criterion.final_summary();
    // `cargo bench -- NAME` and `cargo test --benches` want no more than that.
    if std::env::args().skip(1).all(|argument| argument == "--bench") {
        beside_go();
    }
}
