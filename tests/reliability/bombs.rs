//! G1: recursion bombs. An abort takes the whole process along, so the endpoint is a child.
//!
//! While a frame is read its buffer grows, and if the allocator has to move it for that, what has
//! come lives twice for a moment: half a frame more, at most. That is left out of the bound for
//! frames over the default `payload_bytes_max`. Reserving what was merely announced would avoid it,
//! and is what a peer must not be able to ask for.

use std::collections::BTreeMap;
use std::time::Duration;

#[cfg(feature = "gob")]
use bytes::{BufMut, BytesMut};
#[cfg(feature = "gob")]
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
#[cfg(feature = "gob")]
use switchboard::format::Gob;
#[cfg(feature = "postcard")]
use switchboard::format::Postcard;
use switchboard::format::{Bincode, Format, Json};
use switchboard::{Code, Command, Endpoint, Error};
use switchboard_testing::nested::{Chain, List, Tree};

use crate::child::{Child, Settings};
use crate::figure;
use crate::peer::Peer;

#[derive(Default, Serialize, Deserialize)]
struct Map(BTreeMap<String, Self>);

/// 512 bytes.
#[derive(Serialize, Deserialize)]
struct Wide {
    words: [[u64; 32]; 2],
}

/// 520 bytes, and a single one in a gob if there is nothing in it.
#[cfg(feature = "gob")]
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Sparse {
    wide: Option<Wide>,
}

/// How a value of one shape is written down: around each level, in the middle, and what is made of
/// that to be a payload.
struct Shape {
    name: &'static str,
    begin: &'static str,
    middle: &'static str,
    end: &'static str,
    pack: fn(&[u8]) -> Vec<u8>,
}

pub(crate) fn run() {
    let mut tally = Tally::default();
    for stack_bytes in [2 << 20, 256 << 10] {
        for (format, shapes) in FORMATS {
            bomb(stack_bytes, format, shapes, &mut tally);
        }
    }
    let Tally { cases, slowest, growth_bytes, large_growth_bytes } = tally;
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    let text = format!(
        "{cases} recursion bombs to depth 10^6 ({build}; stacks of 2 MiB and 256 KiB): 0 aborts, \
         every connection lives; answered {} ms after the last byte at worst (goal 10 ms); \
         {} KiB beyond the frame at worst up to 1 MiB, {} KiB up to 16 MiB while the buffer moves \
         (goal 4,096 KiB)",
        slowest.as_millis(),
        growth_bytes >> 10,
        large_growth_bytes >> 10,
    );
    figure("G1", &text);
}

#[derive(Default)]
struct Tally {
    cases: u32,
    slowest: Duration,
    growth_bytes: u64,
    large_growth_bytes: u64,
}

fn bomb(stack_bytes: usize, format: &str, shapes: &[Shape], tally: &mut Tally) {
    let settings = Settings { stack_bytes, payload_bytes_max: 32 << 20, ..Settings::default() };
    let mut child = Child::start(&settings);
    let mut peer = Peer::connect(child.address);
    for shape in shapes {
        let command = format!("{format}_{}", shape.name);
        let mut frames: Vec<_> = DEPTHS.iter().map(|depth| (*depth, shape.nest(*depth))).collect();
        if shape.end.is_empty() {
            frames.push((16 << 20, (shape.pack)(&vec![1; 16 << 20])));
        }
        for (depth, frame) in frames {
            let case = format!("{command}, depth {depth}, stack {stack_bytes}");
            let used = watched(&child, async |watch| {
                watch.forget_peak().await;
                watch.status().await.rss_bytes
            });
            let (reply, time) = peer.call(&command, format, 1, &frame);
            assert!(depth > 31 || reply.is_ok(), "{case}: {reply:?}");
            assert!(depth < 129 || reply == Err(Code::TooLarge), "{case}: {reply:?}");
            assert!(
                peer.call("PING", "bincode", 2, b"").0.is_ok(),
                "{case}: the connection is dead"
            );
            assert!(child.is_alive(), "{case}: the endpoint is dead");
            let peak = watched(&child, async |watch| watch.status().await.peak_rss_bytes);
            let bytes = frame.len() as u64;
            let growth = peak.saturating_sub(used).saturating_sub(bytes);
            let is_large = bytes > 1 << 20;
            let spare = if is_large { bytes / 2 } else { 0 };
            assert!(growth <= (4 << 20) + spare, "{case}: {growth} bytes beyond the frame");
            let worst =
                if is_large { &mut tally.large_growth_bytes } else { &mut tally.growth_bytes };
            *worst = growth.max(*worst);
            tally.cases += 1;
            tally.slowest = tally.slowest.max(time);
        }
    }
}

fn watched<T>(child: &Child, ask: impl AsyncFnOnce(&crate::child::Watch) -> T) -> T {
    crate::block_on_one_thread(async { ask(&child.watch().await).await })
}

impl Shape {
    fn nest(&self, depth: usize) -> Vec<u8> {
        let Self { begin, middle, end, pack, .. } = self;
        pack(format!("{}{middle}{}", begin.repeat(depth), end.repeat(depth)).as_bytes())
    }
}

/// Registers what the bombs are thrown at.
pub(crate) fn register(endpoint: Endpoint) -> Endpoint {
    let endpoint = register_format::<Bincode>(endpoint, "bincode");
    #[cfg(feature = "postcard")]
    let endpoint = register_format::<Postcard>(endpoint, "postcard");
    #[cfg(feature = "gob")]
    let endpoint = register_gob(endpoint);
    let endpoint = register_shape::<Bincode, String>(endpoint, "bincode_string");
    let endpoint = register_shape::<Bincode, ByteBuf>(endpoint, "bincode_bytes");
    let endpoint = register_shape::<Bincode, Vec<()>>(endpoint, "bincode_units");
    let endpoint = register_shape::<Bincode, BTreeMap<(), ()>>(endpoint, "bincode_unit_map");
    let endpoint = register_shape::<Bincode, Vec<Option<Wide>>>(endpoint, "bincode_arrays");
    let endpoint = register_shape::<Json, Vec<Option<Wide>>>(endpoint, "json_arrays");
    register_format::<Json>(endpoint, "json")
}

fn register_format<F>(endpoint: Endpoint, format: &str) -> Endpoint
where
    F: Format<Chain> + Format<List> + Format<Tree> + Format<Map> + Format<u8> + 'static,
{
    let endpoint = register_shape::<F, Chain>(endpoint, &format!("{format}_struct"));
    let endpoint = register_shape::<F, List>(endpoint, &format!("{format}_enum"));
    let endpoint = register_shape::<F, Tree>(endpoint, &format!("{format}_vec"));
    register_shape::<F, Map>(endpoint, &format!("{format}_map"))
}

/// A variant without fields beside others has no form in gob.
#[cfg(feature = "gob")]
fn register_gob(endpoint: Endpoint) -> Endpoint {
    let endpoint = register_shape::<Gob, Chain>(endpoint, "gob_struct");
    let endpoint = register_shape::<Gob, Tree>(endpoint, "gob_vec");
    let endpoint = register_shape::<Gob, Map>(endpoint, "gob_map");
    register_shape::<Gob, Vec<Sparse>>(endpoint, "gob_sparse")
}

fn register_shape<F, T>(endpoint: Endpoint, name: &str) -> Endpoint
where
    F: Format<T> + Format<u8> + 'static,
    T: Send + 'static,
{
    // The reply is not what is tried here.
    endpoint.on(Command::<T, u8, F>::new(name), async |_value: T| Ok::<_, Error>(0))
}

const BINARY: &[Shape] = &[
    Shape { name: "struct", begin: "\x01", middle: "\0", end: "", pack: <[u8]>::to_vec },
    Shape { name: "enum", begin: "\x01", middle: "\0", end: "", pack: <[u8]>::to_vec },
    Shape { name: "vec", begin: "\x01", middle: "\0", end: "", pack: <[u8]>::to_vec },
    Shape { name: "map", begin: "\x01\0", middle: "\0", end: "", pack: <[u8]>::to_vec },
];

const TEXT: &[Shape] = &[
    Shape {
        name: "struct",
        begin: "{\"next\":",
        middle: "{\"next\":null}",
        end: "}",
        pack: <[u8]>::to_vec,
    },
    Shape { name: "enum", begin: "{\"Cons\":", middle: "\"Nil\"", end: "}", pack: <[u8]>::to_vec },
    Shape { name: "vec", begin: "[", middle: "[]", end: "]", pack: <[u8]>::to_vec },
    Shape { name: "map", begin: "{\"\":", middle: "{}", end: "}", pack: <[u8]>::to_vec },
];

#[cfg(feature = "gob")]
const GOB: &[Shape] = &[
    Shape { name: "struct", begin: "\x01", middle: "\0", end: "\0", pack: gob::<Chain> },
    Shape { name: "vec", begin: "\x01", middle: "\0", end: "", pack: gob::<Tree> },
    Shape { name: "map", begin: "\x01\0", middle: "\0", end: "", pack: gob::<Map> },
];

/// The definitions of `T`, then a value of it with this body.
#[cfg(feature = "gob")]
pub(crate) fn gob<T: Serialize + DeserializeOwned + Default>(body: &[u8]) -> Vec<u8> {
    let mut payload = BytesMut::new();
    Gob::encode(&T::default(), &switchboard::Limits::default(), &mut payload).unwrap();
    // The value's message: a length, two bytes of type, and a 0 if it is no struct; then the value,
    // which is a single byte: the end of a struct, or how many elements there are.
    let is_struct = payload.ends_with(b"\x03\xff\x82\0");
    let begin = payload.split_off(payload.len() - if is_struct { 3 } else { 4 });
    let begin = &begin[..begin.len() - 1];
    payload.truncate(payload.len() - 1);
    payload.put_u8(0xfc);
    payload.put_u32((begin.len() + body.len()) as u32);
    [&payload, begin, body].concat()
}

const FORMATS: &[(&str, &[Shape])] = &[
    ("bincode", BINARY),
    #[cfg(feature = "postcard")]
    ("postcard", BINARY),
    ("json", TEXT),
    #[cfg(feature = "gob")]
    ("gob", GOB),
];

const DEPTHS: [usize; 7] = [31, 63, 64, 65, 129, 1_000, 1_000_000];
