//! What an endpoint holds at most, whatever its peers send: counted in bytes that live, all of
//! them.
//!
//! Peers and endpoint are in one thread, where every allocation is counted, over streams in memory
//! with paused time: a peer that can write no more is found by the clock, which runs only when
//! nobody has anything to do. The memory of the streams themselves is in the bounds.

#![cfg(all(feature = "io", feature = "bincode", feature = "json"))]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a panic is how a test fails"
)]

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::RangeInclusive;
use std::task::Poll;
use std::time::Duration;

use allocation_counter::{AllocationInfo, measure};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use switchboard::format::{self, Bincode, Format, Json};
use switchboard::transport::{self, MemoryListener, MemoryStream};
use switchboard::{Code, Command, Context, Endpoint, Error, Limits, Metadata};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const MIB: usize = 1 << 20;

/// `held_bytes_max` of every endpoint here. One value may take twice as much, by its own limit.
const HELD_BYTES_MAX: usize = 8 * MIB;

/// What a connection takes that holds nothing: its task, its session, what is free for it, and at
/// its two ends what a stream in memory has.
const CONNECTION_BYTES: usize = 4096 + 20 * 1024;

/// What waits in a stream in memory, in either direction, of what its writer would not stop to
/// send.
const STREAM_BYTES: usize = 2 * 64 * 1024;

/// The endpoint, the runtime, and what each thread keeps.
const BASE_BYTES: usize = 256 * 1024;

/// A peer that says this and nothing more.
struct Script {
    parts: Vec<&'static [u8]>,
    times: usize,
    is_reading: bool,
}

impl Script {
    fn new(part: impl Into<Vec<u8>>) -> Self {
        Self { parts: vec![part.into().leak()], times: 1, is_reading: true }
    }

    /// So many calls, each with a tag of its own.
    fn calls(name: &str, format: &str, payload: &[u8], times: usize) -> Self {
        let call = |tag| {
            let line = format!("{name} {tag} {} f={format}\n", payload.len());
            &*[line.as_bytes(), payload].concat().leak()
        };
        Self { parts: (1..=times).map(call).collect(), times: 1, is_reading: true }
    }

    async fn play(&self, mut stream: MemoryStream) {
        let (mut reading, mut writing) = tokio::io::split(&mut stream);
        let read = async {
            let mut room = [0; 4096];
            while self.is_reading && matches!(reading.read(&mut room).await, Ok(1..)) {}
            std::future::pending::<()>().await;
        };
        let write = async {
            for part in std::iter::repeat_n(&self.parts, self.times).flatten() {
                if writing.write_all(part).await.is_err() {
                    break;
                }
            }
            std::future::pending::<()>().await;
        };
        tokio::select! { () = read => {}, () = write => {}, () = quiet() => {} }
    }
}

/// Until nobody has anything to do.
async fn quiet() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

fn limits() -> Limits {
    Limits::default().with(|limits| {
        limits.held_bytes_max = HELD_BYTES_MAX;
        limits.consecutive_errors_max = u32::MAX;
    })
}

/// What lives at most while so many peers play a script.
fn attack(endpoint: impl FnOnce() -> Endpoint, peers: usize, script: &Script) -> AllocationInfo {
    attack_with(peers, script, endpoint, async |endpoint, listener| {
        endpoint.serve(listener).await.unwrap();
    })
}

fn attack_with(
    peers: usize,
    script: &Script,
    endpoint: impl FnOnce() -> Endpoint,
    serve: impl AsyncFn(Endpoint, MemoryListener),
) -> AllocationInfo {
    measured(async || {
        let (listener, dialer) = transport::memory_listener();
        let play = async {
            let mut playing = Vec::new();
            for _ in 0..peers {
                playing.push(Box::pin(script.play(dialer.dial().await.unwrap())));
            }
            all(playing).await;
        };
        tokio::select! { () = serve(endpoint(), listener) => {}, () = play => {} }
    })
}

/// What lives at most while this runs, and its tasks.
fn measured(run: impl AsyncFnOnce()) -> AllocationInfo {
    measure(|| {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().start_paused(true).build().unwrap();
        runtime.block_on(run());
    })
}

/// Waits for all of them.
async fn all(mut futures: Vec<std::pin::Pin<Box<impl Future<Output = ()>>>>) {
    std::future::poll_fn(|cx| {
        futures.retain_mut(|future| future.as_mut().poll(cx).is_pending());
        if futures.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// A peer that describes its types so costs whoever compares them no more than their number.
#[test]
fn types_deep_within_each_other_are_compared_in_a_few_steps_each() {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Tree {
        left: Option<Box<Self>>,
        right: Option<Box<Self>>,
    }
    const TREE: Command<Tree, ()> = Command::new("TREE");

    /// As many trees, each in the one before, and a last one that has `fields` more.
    fn described(trees: usize, fields: usize) -> String {
        let tree = |id: usize| {
            let next = (2 * id + 1).to_string();
            let tree = ["struct", "", "open", "left", &next, "may", "right", &next, "may"];
            [tree.map(str::to_owned).to_vec(), vec!["option".to_owned(), (2 * id + 2).to_string()]]
        };
        let mut shape: Vec<_> = (0..trees).flat_map(tree).collect();
        let mut last: Vec<_> = ["struct", "", "open"].map(str::to_owned).into();
        last.extend((0..fields).flat_map(|id| [id.to_string(), "0".to_owned(), "may".to_owned()]));
        shape.push(last);
        let shapes = serde_json::json!({ "bincode": shape });
        let request = serde_json::json!({ "shapes": shapes });
        serde_json::json!({ "formats": ["bincode"], "request": request }).to_string()
    }

    fn costs(trees: usize, fields: usize) -> AllocationInfo {
        let told = described(trees, fields);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        measure(|| {
            runtime.block_on(async {
                let (ours, mut theirs) = transport::memory();
                let client = Endpoint::new().connect_over(ours);
                let answer = async {
                    let mut asked = [0; 26];
                    theirs.read_exact(&mut asked).await.unwrap();
                    let said = format!("<1 ok {}\n{told}", told.len());
                    theirs.write_all(said.as_bytes()).await.unwrap();
                };
                let (found, ()) = tokio::join!(client.check(TREE), answer);
                assert_eq!(found.unwrap_err().code(), Code::Conflict);
            });
        })
    }

    let _ = costs(1, 1);
    for fields in [1, 2000] {
        let (few, many) = (costs(1000, fields), costs(4000, fields));
        let (few, many) = (few.bytes_total, many.bytes_total);
        assert!(many < 8 * few, "{fields} fields: {few} bytes of 1000 types, {many} of 4000");
    }
}

#[track_caller]
fn check(name: &str, peers: usize, found: &AllocationInfo) {
    let peak_bytes = usize::try_from(found.bytes_max).unwrap();
    let bound = HELD_BYTES_MAX / 4 * 5 + peers * (CONNECTION_BYTES + STREAM_BYTES) + BASE_BYTES;
    println!("{name:40} {peers:>4} peers {:>8} KiB of {:>8}", peak_bytes >> 10, bound >> 10);
    assert!(peak_bytes <= bound, "{name}: {peak_bytes} bytes live, more than {bound}");
    // It does hold something, or nothing was tried.
    assert!(peak_bytes > peers * 1024, "{name}: {peak_bytes} bytes");
}

/// A handler that keeps what it was given for as long as it may.
fn keeping<F, T>() -> Endpoint
where
    F: Format<T> + Format<()> + 'static,
    T: Send + 'static,
{
    let keep = async |value: T| {
        std::future::pending::<()>().await;
        drop(value);
        Ok::<_, Error>(())
    };
    Endpoint::new().with_limits(limits()).on(Command::<T, (), F>::new("KEEP"), keep)
}

fn check_kept<F, T>(name: &str, payload: impl Into<Vec<u8>>)
where
    F: Format<T> + Format<()> + 'static,
    T: Send + 'static,
{
    let script = Script::calls("KEEP", <F as Format<T>>::NAME, &payload.into(), 6);
    check(name, 4, &attack(keeping::<F, T>, 4, &script));
}

fn check_json<T: Serialize + DeserializeOwned + Send + 'static>(name: &str, text: &str) {
    check_kept::<Json, T>(
        name,
        format!("[{}{text}]", format!("{text},").repeat(39_999 / text.len())),
    );
}

fn check_bincode<T: Serialize + DeserializeOwned + Send + 'static>(name: &str, element: &[u8]) {
    let count = 40_000 / element.len();
    let length = u32::try_from(count).unwrap().to_le_bytes();
    let payload = [&[0xfc], length.as_slice(), &element.repeat(count)].concat();
    check_kept::<Bincode, T>(name, payload);
}

#[test]
fn values_that_grow() {
    check_json::<Value>("Value, objects of one", r#"{"":[]}"#);
    check_json::<Value>("Value, arrays", "[0]");
    check_json::<Value>("Value, numbers", "0");
    check_json::<Vec<String>>("strings with escapes", r#""\n""#);
    check_bincode::<Vec<BTreeMap<u8, u64>>>("trees of one", &[1, 7, 7]);
    check_bincode::<Vec<BTreeSet<u8>>>("sets of one", &[1, 7]);
    check_bincode::<Vec<HashMap<u8, u64>>>("tables of one", &[1, 7, 7]);
    check_bincode::<Vec<HashSet<u8>>>("hashed sets of one", &[1, 7]);
    check_bincode::<Vec<Box<u8>>>("boxes", &[7]);
    check_bincode::<Vec<Vec<u8>>>("vectors of one", &[1, 7]);
    check_bincode::<Vec<String>>("strings of one", &[1, b'x']);
    check_bincode::<Vec<Option<Box<[u64; 8]>>>>("boxed arrays", &[1, 0, 0, 0, 0, 0, 0, 0, 0]);
    check_bincode::<Vec<u64>>("numbers", &[7]);
    check_kept::<Json, String>("one text with escapes", format!("\"{}\"", "\\n".repeat(400_000)));
    check_kept::<Bincode, String>(
        "one text",
        [&[0xfc, 0, 0, 15, 0], vec![b'x'; 15 << 16].as_slice()].concat(),
    );
}

/// Keeps payloads as they came, and says nothing.
fn keeping_bytes() -> Endpoint {
    const KEEP: Command<bytes::Bytes, bytes::Bytes, format::Bytes> = Command::new("KEEP");
    Endpoint::new().with_limits(limits()).on(KEEP, async |bytes: bytes::Bytes| {
        std::future::pending::<()>().await;
        Ok::<_, Error>(bytes)
    })
}

#[test]
fn many_small_calls() {
    for bytes in [0, 1, 100, 1000, 4000, 10_000] {
        let script = Script::calls("KEEP", "bytes", &vec![7; bytes], 1024);
        let found = attack(keeping_bytes, 16, &script);
        check(&format!("calls of {bytes} bytes"), 16, &found);
    }
    // The next call is unknown, so that the one byte that is kept lies among others that are not.
    let mut script = Script::calls("KEEP", "bytes", b"\x07", 1024);
    for part in &mut script.parts {
        *part = [part, format!("NOTHING 0 6000\n{}", "x".repeat(6000)).as_bytes()].concat().leak();
    }
    check("a byte among many", 16, &attack(keeping_bytes, 16, &script));
}

#[test]
fn calls_that_want_no_reply() {
    let mut script = Script::new([b"KEEP 0 1000 f=bytes\n".as_slice(), &[7; 1000]].concat());
    script.times = 10_000;
    check("one-way calls", 16, &attack(keeping_bytes, 16, &script));
}

/// All that a line may say is kept with its call, whether or not it means something.
#[test]
fn options_of_calls() {
    const KEEP: Command<(), ()> = Command::new("KEEP");
    let keeping = || {
        Endpoint::new().with_limits(limits()).on(KEEP, async |(), context: Context| {
            std::future::pending::<()>().await;
            drop(context);
            Ok::<_, Error>(())
        })
    };
    let options = format!("color={}", "x".repeat(8000));
    let line = |tag| format!("KEEP {tag} 0 {options}\n").leak().as_bytes();
    let script = |tags: Vec<u32>| Script {
        parts: tags.into_iter().map(line).collect(),
        times: 1,
        is_reading: true,
    };
    check("calls with options", 16, &attack(keeping, 16, &script((1..=1000).collect())));
    check("one-way calls with options", 16, &attack(keeping, 16, &script(vec![0; 2000])));
}

#[test]
fn payloads_that_come_in_part() {
    for bytes in [100, 5000, 600_000] {
        let script =
            Script::new([b"KEEP 1 1048576 f=bytes\n".as_slice(), &vec![7; bytes]].concat());
        check(&format!("{bytes} bytes of a payload"), 64, &attack(keeping_bytes, 64, &script));
    }
}

#[test]
fn replies_that_nobody_reads() {
    for letters in [100, 40_000, 700_000] {
        let answering = || {
            const LETTERS: Command<usize, String, Json> = Command::new("LETTERS");
            Endpoint::new().with_limits(limits()).on(LETTERS, async |letters: usize| {
                tokio::task::yield_now().await;
                Ok::<_, Error>("x".repeat(letters))
            })
        };
        let calls = (4 * MIB / letters).min(1000);
        let mut script = Script::calls("LETTERS", "json", letters.to_string().as_bytes(), calls);
        script.is_reading = false;
        check(&format!("replies of {letters} letters"), 16, &attack(answering, 16, &script));
    }
}

#[test]
fn errors_that_nobody_reads() {
    let mut script = Script::new(b"NOTHING 1 0\n".repeat(1000));
    (script.times, script.is_reading) = (40, false);
    check("unknown commands", 16, &attack(keeping_bytes, 16, &script));
}

/// All of them are there before the first is written, and what finds no room waits.
#[test]
fn replies_that_are_ready_at_once_and_that_nobody_reads() {
    const LETTERS: Command<usize, String, Json> = Command::new("LETTERS");
    let answering = || {
        // As much as one reply has: the others wait, while one after the other is begun.
        let limits = limits().with(|limits| limits.unwritten_bytes_max = 100_000);
        let letters = async |letters: usize| Ok::<_, Error>("x".repeat(letters));
        Endpoint::new().with_limits(limits).on(LETTERS, letters)
    };
    for letters in [3000, 99_998] {
        let calls = 6 * MIB / letters;
        let mut script = Script::calls("LETTERS", "json", letters.to_string().as_bytes(), calls);
        script.is_reading = false;
        let name = format!("replies of {letters} letters at once");
        check(&name, 8, &attack(answering, 8, &script));
    }
}

/// An error is kept as far as it is told: a text of some length, and details of any.
#[test]
fn errors_of_handlers_that_nobody_reads() {
    const FAIL: Command<usize, (), Json> = Command::new("FAIL");
    const WRITE: Command<usize, (), Json> = Command::new("WRITE");
    let failing = || {
        Endpoint::new()
            .with_limits(limits())
            .on(FAIL, async |letters: usize| {
                let error = Error::new(Code::Invalid, "not like this");
                Err::<(), _>(error.with_details("x".repeat(letters)))
            })
            .on(WRITE, async |letters: usize| {
                tokio::task::yield_now().await;
                Err::<(), _>(Error::new(Code::Invalid, "x".repeat(letters)))
            })
    };
    for name in ["FAIL", "WRITE"] {
        let mut script = Script::calls(name, "json", b"700000", 3);
        script.is_reading = false;
        check(&format!("errors of {name}"), 16, &attack(failing, 16, &script));
        let mut script = Script::new(format!("{name}\n700000\n"));
        script.is_reading = false;
        check(&format!("plain errors of {name}"), 32, &attack(failing, 32, &script));
    }
}

mod items {
    use futures_util::stream;
    use switchboard::{Sender, Streamed, streaming};

    use super::*;

    const LAST: Command<usize, Streamed<String, String>, Json> = Command::new("LAST");
    const SIZES: Command<Vec<usize>, Streamed<String>, Json> = Command::new("SIZES");

    /// Two items of so many letters, and then a large value.
    async fn last(letters: usize, out: Sender<String>) -> Result<String, Error> {
        if letters > 0 {
            out.send(&"x".repeat(letters)).await?;
            out.send(&"x".repeat(letters)).await?;
        }
        Ok("x".repeat(1_000_000))
    }

    fn sending() -> Endpoint {
        let items = |sizes: Vec<usize>| {
            stream::iter(sizes.into_iter().map(|letters| Ok::<_, Error>("x".repeat(letters))))
        };
        Endpoint::new().with_limits(limits()).on(LAST, last).on(SIZES, streaming(items))
    }

    #[test]
    fn final_values_that_nobody_reads() {
        let mut script = Script::calls("LAST", "json credit=1", b"0", 4);
        script.is_reading = false;
        check("final values", 16, &attack(sending, 16, &script));
        let mut script = Script::new(b"LAST\n40000\n");
        script.is_reading = false;
        check("final values of plain calls", 24, &attack(sending, 24, &script));
    }

    /// Behind one that waits for credit is another, and its handler waits with it.
    #[test]
    fn items_that_wait_for_room() {
        let mut script = Script::calls("SIZES", "json credit=1", b"[1,1,60000]", 100);
        script.is_reading = false;
        check("items that wait", 16, &attack(sending, 16, &script));
    }
}

#[test]
fn what_is_said_beside_replies_to_come() {
    const KEEP: Command<(), ()> = Command::new("KEEP");
    let keeping = || {
        Endpoint::new().with_limits(limits()).on(KEEP, async |(), context: Context| {
            let said = Metadata::default().with("said-beside", &"x".repeat(4000)).unwrap();
            context.set_reply_metadata(said);
            std::future::pending::<()>().await;
            Ok::<_, Error>(())
        })
    };
    let script = Script::calls("KEEP", "bincode", b"", 1000);
    check("what is said beside replies", 16, &attack(keeping, 16, &script));
}

/// Our own callers who do not take their replies: so many of so many letters, and `kept` of them.
fn leave_replies(replies: u32, letters: usize, held_bytes_max: usize, kept: RangeInclusive<u32>) {
    const LETTERS: Command<u32, String, Json> = Command::new("LETTERS");
    let body: &[u8] = format!("\"{}\"", "x".repeat(letters)).leak().as_bytes();
    let found = measured(async || {
        let (here, mut there) = transport::memory();
        let limits = limits().with(|limits| limits.held_bytes_max = held_bytes_max);
        let client = Endpoint::new().with_limits(limits).connect_over(here);
        let mut calls: Vec<_> = (0..replies).map(|number| client.call(LETTERS, &number)).collect();
        for call in &mut calls {
            let mut call = std::pin::pin!(call);
            std::future::poll_fn(|cx| {
                assert!(call.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
        }
        let write = async {
            for tag in 1..=replies {
                let line = format!("<{tag} ok {}\n", body.len());
                there.write_all(line.as_bytes()).await.unwrap();
                there.write_all(body).await.unwrap();
            }
        };
        let written = tokio::time::timeout(Duration::from_secs(1), write).await;
        assert!(written.is_ok(), "the connection is not read on");
        quiet().await;
        let mut taken = 0;
        for call in calls {
            match call.await {
                Ok(_) => taken += 1,
                // It was read and dropped, so that those behind it could come.
                Err(error) => assert_eq!(error.code(), Code::Overloaded, "{error}"),
            }
        }
        assert!(kept.contains(&taken), "{taken} replies were kept");
    });
    check(&format!("replies of {letters} letters, not taken"), 1, &found);
}

#[test]
fn replies_that_nobody_takes() {
    leave_replies(100, 400_000, HELD_BYTES_MAX, 10..=20);
    // So small that what is read of them at a time is free.
    leave_replies(1000, 3000, MIB, 200..=350);
}

mod lines_of_json {
    use super::*;

    fn check_lines(name: &str, peers: usize, script: &Script) {
        let found = attack_with(peers, script, endpoint, async |endpoint, listener| {
            endpoint.serve_json_lines(listener).await.unwrap();
        });
        check(name, peers, &found);
    }

    /// `KEEP` keeps what it is given, and `FAIL` says much of it.
    fn endpoint() -> Endpoint {
        const FAIL: Command<(), (), Json> = Command::new("FAIL");
        keeping::<Json, Vec<String>>().on(FAIL, async |()| {
            let error = Error::new(Code::Invalid, "\n".repeat(4000));
            Err::<(), _>(error.with_details("x".repeat(50_000)))
        })
    }

    fn line(method: &str, params: &str, id: &str) -> String {
        format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params},"id":{id}}}"#)
    }

    #[test]
    fn that_keep_what_they_have() {
        let long = "9".repeat(900_000);
        let texts = format!(r#"["{}"]"#, "x".repeat(100_000));
        let tiny = format!("[{}]", [r#""x""#; 100_000].join(","));
        let more =
            format!(r#"{{"more":"{}",{}"#, "x".repeat(900_000), &line("KEEP", "[]", "1")[1..]);
        // A call that is kept, and mistakes whose answers wait for it.
        let mistakes = format!("[{}{}]", line("KEEP", "[]", "1"), ",1".repeat(1000));
        // One that is kept, and others that nobody is told of.
        let untold = r#",{"jsonrpc":"2.0","method":"x"}"#.repeat(1000);
        let untold = format!("[{}{untold}]", line("KEEP", "[]", "1"));
        let ids = format!("[{},{}]", line("KEEP", "[]", "1"), line("nobody", "[]", &long));
        for (name, peers, line, times) in [
            ("JSON lines, idle", 64, line("KEEP", "[]", "1"), 1),
            ("JSON lines, small calls", 16, line("KEEP", r#"["x"]"#, "1"), 1000),
            ("JSON lines, notifications", 16, r#"{"jsonrpc":"2.0","method":"KEEP"}"#.into(), 1000),
            ("JSON lines, texts", 16, line("KEEP", &texts, "1"), 10),
            ("JSON lines, tiny texts", 8, line("KEEP", &tiny, "1"), 2),
            ("JSON lines, ids", 16, line("KEEP", "[]", &long), 3),
            ("JSON lines, other members", 16, more, 3),
            ("JSON lines, batches of mistakes", 16, mistakes, 50),
            ("JSON lines, batches of notifications", 16, untold, 200),
            ("JSON lines, batches of ids", 16, ids, 3),
        ] {
            let script = Script { times, ..Script::new(format!("{line}\n")) };
            check_lines(name, peers, &script);
        }
        check_lines("JSON lines, half of one", 16, &Script::new(format!("{{\"{long}")));
        check_lines("JSON lines, lists", 16, &Script::new(format!("[{}", "1,".repeat(500_000))));
    }

    #[test]
    fn whose_answers_nobody_reads() {
        let batch = format!("[{}]", vec![line("FAIL", "[]", "1"); 100].join(","));
        let mistakes = format!("[{}1]", "1,".repeat(1000));
        for (name, line) in [
            ("JSON lines, errors", line("FAIL", "[]", "1")),
            ("JSON lines, batches of errors", batch),
            ("JSON lines, mistakes", "?".to_owned()),
            ("JSON lines, mistakes in batches", mistakes),
        ] {
            let script = Script::new(format!("{line}\n"));
            check_lines(name, 16, &Script { times: 100, is_reading: false, ..script });
        }
    }
}

#[cfg(feature = "gob")]
mod gob {
    use switchboard_testing::gob_bytes::{INT, INTERFACE, int, message, slice, structure, uint};

    use super::*;

    const KEEP: Command<Vec<String>, Vec<String>, format::Gob> = Command::new("Arith.Keep");

    fn keeping() -> Endpoint {
        Endpoint::new().with_limits(limits()).on(KEEP, async |texts: Vec<String>| {
            std::future::pending::<()>().await;
            Ok::<_, Error>(texts)
        })
    }

    #[derive(Serialize, serde::Deserialize)]
    #[serde(rename = "Request", rename_all = "PascalCase")]
    struct Request {
        service_method: String,
        seq: u64,
    }

    fn requests(count: u64, texts: &Vec<String>) -> Vec<u8> {
        let mut encoder = switchboard_gob::Encoder::new();
        let mut out = Vec::new();
        for seq in 0..count {
            let service_method = "Arith.Keep".to_owned();
            encoder.encode(&Request { service_method, seq }, &mut out).unwrap();
            encoder.encode(texts, &mut out).unwrap();
        }
        out
    }

    fn attack_net_rpc(name: &str, peers: usize, said: Vec<u8>) {
        check(name, peers, &attack_by_net_rpc(peers, &Script::new(said), keeping));
    }

    fn attack_by_net_rpc(
        peers: usize,
        script: &Script,
        endpoint: impl FnOnce() -> Endpoint,
    ) -> AllocationInfo {
        attack_with(peers, script, endpoint, async |endpoint, listener| {
            endpoint.serve_net_rpc(listener).await.unwrap();
        })
    }

    /// Many calls end together, and the Go program is told the texts of their errors alone.
    #[test]
    fn net_rpc_errors_that_nobody_reads() {
        let failing = || {
            Endpoint::new().with_limits(limits()).on(KEEP, async |_: Vec<String>| {
                let error = Error::new(Code::Invalid, "x".repeat(4000));
                Err::<Vec<String>, _>(error.with_details("x".repeat(200_000)))
            })
        };
        let mut script = Script::new(requests(1000, &vec![]));
        script.is_reading = false;
        check("net/rpc, errors", 16, &attack_by_net_rpc(16, &script, failing));
    }

    #[test]
    fn net_rpc_connections() {
        attack_net_rpc("net/rpc, idle", 64, requests(1, &vec![]));
        attack_net_rpc("net/rpc, small calls", 16, requests(1000, &vec!["x".to_owned()]));
        attack_net_rpc("net/rpc, texts", 8, requests(30, &vec!["x".repeat(100_000)]));
        attack_net_rpc("net/rpc, tiny texts", 8, requests(3, &vec!["x".to_owned(); 100_000]));
    }

    /// A call, and these types before its argument.
    fn defining(types: &[Vec<u8>]) -> Vec<u8> {
        let call = requests(1, &vec![]);
        let argument = switchboard_gob::to_vec(&Vec::<String>::new()).unwrap();
        let (header, argument) = call.split_at(call.len() - argument.len());
        let types: Vec<_> = types.iter().flat_map(|definition| message(definition)).collect();
        [header, &types, argument].concat()
    }

    /// A struct with so many fields, whose names have two letters.
    fn fields(id: i64, count: u8, of: impl Fn(u8) -> i64) -> Vec<u8> {
        let name = |number| {
            format!("{}{}", char::from(b'A' + number / 26), char::from(b'a' + number % 26))
        };
        structure(id, &(0..count).map(|number| (name(number), of(number))).collect::<Vec<_>>())
    }

    fn call_of(method: &str, argument: &str) -> Vec<u8> {
        let mut encoder = switchboard_gob::Encoder::new();
        let mut out = Vec::new();
        let request = Request { service_method: method.to_owned(), seq: 0 };
        encoder.encode(&request, &mut out).unwrap();
        encoder.encode(&argument.to_owned(), &mut out).unwrap();
        out
    }

    /// Each says this alone, so that it passes, and its last byte after it.
    fn attack_in_turn(name: &str, peers: usize, said: &[u8]) {
        let found = measured(async || {
            let (listener, dialer) = transport::memory_listener();
            let endpoint = keeping();
            let play = async {
                let mut open = Vec::new();
                for _ in 0..peers {
                    let mut stream = dialer.dial().await.unwrap();
                    let (first, last) = said.split_at(said.len() - 1);
                    stream.write_all(first).await.unwrap();
                    quiet().await;
                    let _ = stream.write_all(last).await;
                    quiet().await;
                    open.push(stream);
                }
            };
            tokio::select! { _ = endpoint.serve_net_rpc(listener) => {}, () = play => {} }
        });
        check(name, peers, &found);
    }

    #[test]
    fn net_rpc_names() {
        let name = "x".repeat(1_000_000);
        // Up to the first byte of the argument.
        let mut said = call_of(&name, "");
        said.truncate(said.len() - 3);
        attack_in_turn("net/rpc, names", 24, &said);
        // Up to where the argument is refused by its length; nobody reads that.
        let mut said = call_of(&name, &"x".repeat(1_100_000));
        said.truncate(said.len() - 1_099_000);
        attack_in_turn("net/rpc, names of refused calls", 64, &said);
    }

    #[derive(Serialize, serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Response {
        service_method: String,
        seq: u64,
        error: String,
    }

    /// A server answers each of our calls with an error, and does not come to its end.
    #[test]
    fn net_rpc_errors() {
        let (service_method, error) = ("Arith.Keep".to_owned(), "x".repeat(1_000_000));
        let mut said = Vec::new();
        let response = Response { service_method, seq: 0, error };
        switchboard_gob::Encoder::new().encode(&response, &mut said).unwrap();
        let found = measured(async || {
            let endpoint = keeping();
            let mut open = Vec::new();
            for _ in 0..24 {
                let (here, mut there) = transport::memory();
                let client = endpoint.connect_net_rpc_over(here);
                let call = tokio::spawn(client.call(KEEP, &vec![]));
                quiet().await;
                there.write_all(&said).await.unwrap();
                quiet().await;
                // The first byte of the reply.
                there.write_all(&[3]).await.unwrap();
                quiet().await;
                open.push((call, client, there));
            }
        });
        check("net/rpc, errors of a server", 24, &found);
    }

    /// Plain calls, after which the connection remembers the types.
    #[test]
    fn types_of_plain_calls() {
        const NEXT: Command<Vec<String>, u64, format::Gob> = Command::new("NEXT");
        let argument = switchboard_gob::to_vec(&Vec::<String>::new()).unwrap();
        let types: Vec<_> = (100..150).map(|id| message(&fields(id, 250, |_| INT))).collect();
        let said = [b"NEXT\n", &*types.concat(), &argument].concat();
        let endpoint = || {
            let limits = limits().with(|limits| limits.definition_bytes_max = 256 * 1024);
            let next = async |texts: Vec<String>| Ok::<_, Error>(texts.len() as u64);
            Endpoint::new().with_limits(limits).on(NEXT, next)
        };
        let found = attack(endpoint, 64, &Script::new(said));
        check("gob, types of plain calls", 64, &found);
    }

    #[test]
    fn net_rpc_types() {
        let wide: Vec<_> = (100..220).map(|id| fields(id, 250, |_| INT)).collect();
        attack_net_rpc("net/rpc, fields", 64, defining(&wide));
        let small: Vec<_> = (100..1090).map(|id| slice(id, INT)).collect();
        attack_net_rpc("net/rpc, slices", 64, defining(&small));
        let unknown: Vec<_> = (0..3)
            .map(|id| fields(100 + id, 250, |field| 1000 * (id + 1) + i64::from(field)))
            .collect();
        attack_net_rpc("net/rpc, types to come", 64, defining(&unknown));
        // Within two interfaces, so that no message begins with a definition.
        let inside: Vec<_> =
            wide.iter().flat_map(|definition| [&**definition, &uint(1)].concat()).collect();
        let interface = |id, inside: &[u8]| [message(id), inside.to_vec()].concat();
        let value =
            [int(70), vec![1], interface(b"int", &inside), int(INT), vec![2, 0, 2, 0]].concat();
        let types = [message(&structure(70, &[("X", INTERFACE)])), message(&value)].concat();
        let mut said = requests(1, &vec![]);
        let argument = switchboard_gob::to_vec(&Vec::<String>::new()).unwrap();
        said.truncate(said.len() - argument.len());
        attack_net_rpc("net/rpc, types inside of a value", 64, [said, types].concat());
    }
}
