//! One test for each field of `Limits`, named like it: the limit refuses, says so, and others are
//! served.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use switchboard::format::{Json, Line};
use switchboard::wire::Flaw;
use switchboard::{
    Code, Command, Endpoint, Error, Limits, Result, Sender, Streamed, blocking, transport,
};
#[cfg(feature = "gob")]
use switchboard_testing::gob_bytes::{INT, int, message, slice, structure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};

use super::support::*;

#[test]
fn every_limit_has_a_test() {
    let fields = include_str!("../../src/limits.rs").lines().filter_map(|line| {
        line.strip_prefix("    pub ")?.split_once(':').map(|(name, _)| name).filter(is_field)
    });
    let tests = include_str!("limits.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("async fn ")?.strip_suffix("() {").filter(is_field));
    let fields: BTreeSet<_> = fields.collect();
    assert!(fields.len() > 20);
    assert_eq!(tests.collect::<BTreeSet<_>>(), fields);
}

fn is_field(name: &&str) -> bool {
    name.ends_with("_max")
}

#[tokio::test(start_paused = true)]
async fn line_bytes_max() {
    let endpoint = limited(|limits| limits.line_bytes_max = 9000);
    let line = |bytes: usize| format!("{:y<1$}\n", "ECHO 1 1 f=line x=", bytes - 1);
    check(&endpoint, &(line(9000) + "x"), "<1 ok 1\nx").await;
    let text = "the line is longer than line_bytes_max (9000)";
    check(&endpoint, &(line(9001) + "x"), &err(0, Code::Protocol, text)).await;
    check(&endpoint, &"A".repeat(9000), &err(0, Code::Protocol, text)).await;
    check_serves(&endpoint).await;
}

#[tokio::test(start_paused = true)]
async fn payload_bytes_max() {
    let endpoint = limited(|limits| limits.payload_bytes_max = 8);
    let text = "a payload of 9 bytes is over payload_bytes_max (8)";
    let mistake = err(1, Code::TooLarge, text);
    check(&endpoint, "ECHO 1 8 f=line\n12345678", "<1 ok 8\n12345678").await;
    check(&endpoint, "ECHO 1 9 f=line\n123456789ECHO 2 1 f=line\nx", &(mistake + "<2 ok 1\nx"))
        .await;
    check(
        &endpoint,
        "LETTERS 1 1 f=json\n7ECHO 2 1 f=line\nx",
        &(ran(1, Code::TooLarge, text) + "<2 ok 1\nx"),
    )
    .await;
    check(&endpoint, "ADD\n9\n123456789", &err(0, Code::TooLarge, text)).await;
    check(&endpoint, "ECHO\n12345678\n", "12345678\n").await;
    let text = "a line of 9 bytes or more is over payload_bytes_max (8)";
    check(&endpoint, "ECHO\n123456789\n", &err(0, Code::TooLarge, text)).await;
    let huge = "ECHO 1 18446744073709551615 f=line\n";
    let text = "a payload of 18446744073709551615 bytes is over payload_bytes_max (8)";
    let mut peer = peer(&endpoint);
    peer.send(huge).await;
    assert_eq!(peer.expect_error(1, Code::TooLarge).await, text);
    check_serves(&endpoint).await;
}

#[derive(Serialize, Deserialize)]
struct Chain(Option<Box<Self>>);

#[tokio::test(start_paused = true)]
async fn depth_max() {
    const DEPTH: Command<Chain, u32> = Command::new("DEPTH");
    async fn depth(mut chain: Chain) -> Result<u32> {
        let mut depth = 1;
        while let Some(next) = chain.0 {
            (chain, depth) = (*next, depth + 1);
        }
        Ok(depth)
    }
    let endpoint = limited(|limits| limits.depth_max = 8).on(DEPTH, depth);
    check_over(&endpoint, "DEPTH 1 4\n\u{1}\u{1}\u{1}\u{0}", "<1 ok 1\n\u{4}", 0, "").await;
    let bomb = format!("DEPTH 1 1000001\n{}\u{0}", "\u{1}".repeat(1_000_000));
    check_over(&endpoint, &bomb, "", 1, "depth_max (8)").await;
}

#[tokio::test(start_paused = true)]
async fn spare_elements_max() {
    const UNITS: Command<Vec<()>, usize> = Command::new("UNITS");
    let endpoint = limited(|limits| limits.spare_elements_max = 8)
        .on(UNITS, async |units: Vec<()>| Ok::<_, Error>(units.len()));
    check_over(&endpoint, "UNITS 1 1\n\u{9}", "<1 ok 1\n\u{9}", 0, "").await;
    check_over(&endpoint, "UNITS 1 1\n\u{a}", "", 1, "spare_elements_max (8)").await;
    let mut bomb = b"UNITS 1 9\n\xfd".to_vec();
    bomb.extend_from_slice(&(1_u64 << 60).to_le_bytes());
    check_over(&endpoint, bomb, "", 1, "spare_elements_max (8)").await;
}

#[cfg(feature = "gob")]
#[tokio::test(start_paused = true)]
async fn definition_bytes_max() {
    const TEXTS: Command<Vec<String>, usize> = Command::new("TEXTS");
    let endpoint = limited(|limits| limits.definition_bytes_max = 20)
        .on(TEXTS, async |texts: Vec<String>| Ok::<_, Error>(texts.len()));
    // As Go defines []string; what is behind the first id are the ten bytes that count.
    let define = |id: u8| {
        let [minus_id, id] = [2 * id - 1, 2 * id];
        [12, 0xff, minus_id, 2, 1, 2, 0xff, id, 0, 1, 12, 0, 0]
    };
    let call = |ids: &[u8]| {
        let definitions = ids.iter().flat_map(|id| define(*id)).collect();
        [b"TEXTS gob\n".to_vec(), definitions, b"\x08\xff\x82\0\x02\x01a\x01b".to_vec()].concat()
    };
    // Kept, twice at the limit; then over it, and forgotten.
    let sent = [call(&[65, 66]), call(&[]), call(&[67]), call(&[])].concat();
    let got = exchange(&endpoint, sent).await;
    let text = "the payload is not valid gob: the type id 65, which is not defined any more: \
                there were too many";
    let (replies, error) = got.split_at(12);
    assert_eq!(replies, "\u{3}\u{6}\u{0}\u{2}".repeat(3));
    assert!(error.contains("bad_payload") && error.contains(text), "{error}");
    // Read with up to twice as many at once, and no more.
    assert_eq!(exchange(&endpoint, call(&[65, 66, 67, 68])).await, "\u{3}\u{6}\u{0}\u{2}");
    let got = exchange(&endpoint, call(&[65, 66, 67, 68, 69])).await;
    let text = "50 bytes of type definitions: over definition_bytes_max (20)";
    assert_eq!(got, err(0, Code::TooLarge, text));
    check_serves(&endpoint).await;
}

#[cfg(feature = "gob")]
#[tokio::test(start_paused = true)]
async fn net_rpc_definition_bytes_max() {
    let endpoint = limited(|limits| limits.net_rpc_definition_bytes_max = 100);
    let (listener, dialer) = transport::memory_listener();
    let go = endpoint.clone();
    let server = tokio::spawn(async move { go.serve_net_rpc(listener).await });
    let heard = async |arguments: i64| {
        let fields = [("ServiceMethod", 6), ("Seq", 3)];
        let header = [int(65), b"\x01\x07NOTHING\x00".to_vec()].concat();
        let mut sent = message(&structure(65, &fields));
        for id in 0..arguments {
            let argument =
                [message(&slice(100 + id, INT)), message(&[int(100 + id), vec![0, 0]].concat())];
            sent.extend([message(&header), argument.concat()].concat());
        }
        exchange_over(dialer.dial().await.unwrap(), sent).await
    };
    // 36 bytes of the header's type, 10 of each argument's.
    let text = "106 bytes of type definitions: over net_rpc_definition_bytes_max (100)";
    for (arguments, is_over) in [(1, false), (6, false), (7, true)] {
        assert_eq!(heard(arguments).await.contains(text), is_over, "{arguments}");
    }
    server.abort();
    check_serves(&endpoint).await;
}

#[tokio::test(start_paused = true)]
async fn decode_bytes_max() {
    const WIDE: Command<Vec<Option<[u64; 32]>>, usize> = Command::new("WIDE");
    let endpoint = limited(|limits| limits.decode_bytes_max = 4096)
        .on(WIDE, async |list: Vec<Option<[u64; 32]>>| Ok::<_, Error>(list.len()));
    check_over(&endpoint, "WIDE 1 3\n\u{2}\u{0}\u{0}", "<1 ok 1\n\u{2}", 0, "").await;
    let bomb = format!("WIDE 1 101\n\u{64}{}", "\u{0}".repeat(100));
    check_over(&endpoint, &bomb, "", 1, "decode_bytes_max (4096)").await;
}

/// `sent` gets `reply`, or `errors` errors whose text names the limit; then all is as before.
async fn check_over(
    endpoint: &Endpoint,
    sent: impl AsRef<[u8]>,
    reply: &str,
    errors: usize,
    name: &str,
) {
    let mut peer = peer(endpoint);
    peer.send(sent).await;
    if errors == 0 {
        peer.expect(reply).await;
    } else {
        let text = peer.expect_error(1, Code::TooLarge).await;
        assert!(text.contains(name), "{text}");
    }
    peer.send("ECHO 2 1 f=line\nx").await;
    peer.expect("<2 ok 1\nx").await;
    check_serves(endpoint).await;
}

#[tokio::test(start_paused = true)]
async fn calls_per_connection_max() {
    let held = Held::new();
    let endpoint = held.on(limited(|limits| limits.calls_per_connection_max = 2));
    let mut peer = peer(&endpoint);
    peer.send("HOLD 1 1 f=line\naHOLD 2 1 f=line\nbECHO 3 1 f=line\nc").await;
    let text = peer.expect_error(3, Code::Overloaded).await;
    assert_eq!(text, "calls_per_connection_max (2) are running");
    check_serves(&endpoint).await;
    held.release(1);
    peer.expect("<1 ok 1\na").await;
    peer.send("ECHO 3 1 f=line\nc").await;
    peer.expect("<3 ok 1\nc").await;
}

#[tokio::test(start_paused = true)]
async fn one_way_bytes_max() {
    let held = Held::new();
    let endpoint = held.on(limited(|limits| {
        limits.calls_per_connection_max = 1;
        limits.one_way_bytes_max = 2 * 256 + 20;
    }));
    let mut peer = peer(&endpoint);
    // One runs and one waits; the next is the last that may. Behind it nothing is read.
    peer.send("HOLD 0 10 f=line\n0123456789".repeat(2)).await;
    peer.send("ECHO 1 1 f=line\nc").await;
    peer.expect_error(1, Code::Overloaded).await;
    peer.send("HOLD 0 10 f=line\n0123456789ECHO 2 1 f=line\nc").await;
    let unread = tokio::time::timeout(Duration::from_secs(5), peer.next()).await;
    assert!(unread.is_err(), "{unread:?}");
    check_serves(&endpoint).await;
    held.release(1);
    peer.expect_error(2, Code::Overloaded).await;
    held.release(2);
    held.ended.reach(3).await;
    peer.send("ECHO 3 1 f=line\nc").await;
    peer.expect("<3 ok 1\nc").await;
}

#[tokio::test(start_paused = true)]
async fn consecutive_errors_max() {
    let endpoint = limited(|limits| limits.consecutive_errors_max = 2);
    let mut peer = peer(&endpoint);
    for _ in 0..3 {
        peer.send("NOPE 1 0\nADD 2 0\nECHO 3 1 f=line\nx").await;
        peer.expect_error(1, Code::UnknownCommand).await;
        peer.expect_error(2, Code::BadPayload).await;
        peer.expect("<3 ok 1\nx").await;
    }
    peer.send("NOPE 1 0\nNOPE 0 0\nADD 3 0\nECHO 4 1 f=line\nx").await;
    peer.expect_error(1, Code::UnknownCommand).await;
    peer.expect_error(3, Code::BadPayload).await;
    let text = peer.expect_error(0, Code::Protocol).await;
    assert_eq!(text, "more errors in a row than consecutive_errors_max (2)");
    peer.expect_end().await;
    check_serves(&endpoint).await;
    // A handler's error between them is not one of them, and does not end the row.
    let mut peer = self::peer(&endpoint);
    for _ in 0..2 {
        peer.send("NOPE 1 0\nCHECK_STOCK 2 1\n\0CHECK_STOCK 2 1\n\0").await;
        peer.expect_error(1, Code::UnknownCommand).await;
        peer.expect_ran(2, Code::Failed).await;
        peer.expect_ran(2, Code::Failed).await;
    }
    peer.send("NOPE 1 0\n").await;
    peer.expect_error(1, Code::UnknownCommand).await;
    peer.expect_error(0, Code::Protocol).await;
    peer.expect_end().await;
}

#[tokio::test(start_paused = true)]
async fn unwritten_bytes_max() {
    const RUN: Command<String, String, Line> = Command::new("RUN");
    let runs = Count::default();
    let kept = runs.clone();
    let endpoint =
        limited(|limits| limits.unwritten_bytes_max = 10_000).on(RUN, move |_: String| {
            kept.add();
            async { Ok::<_, Error>("x".repeat(9000)) }
        });
    // As many as the stream takes from one who does not read.
    let mut stream = dial(&endpoint);
    let sent = "RUN 0 0 f=line\nRUN 1 0 f=line\n".repeat(10_000);
    let taken = tokio::time::timeout(SECOND, stream.write_all(sent.as_bytes())).await;
    assert!(taken.is_err(), "all of it was taken");
    // What the stream holds, what may wait, and one more.
    let most = (64 * 1024 + 10_000) / 9000 + 2;
    assert!(runs.now() <= 2 * most, "{} ran", runs.now());
    check_serves(&endpoint).await;
}

#[tokio::test(start_paused = true)]
async fn calls_max() {
    let held = Held::new();
    let endpoint = held.on(limited(|limits| limits.calls_max = 2));
    let (mut one, mut two) = (peer(&endpoint), peer(&endpoint));
    one.send("HOLD 1 1 f=line\naHOLD 2 1 f=line\nb").await;
    held.begun.reach(2).await;
    two.send("ECHO 1 1 f=line\nc").await;
    let text = two.expect_error(1, Code::Overloaded).await;
    assert_eq!(text, "calls_max (2) are running already");
    held.release(1);
    one.expect("<1 ok 1\na").await;
    two.send("ECHO 1 1 f=line\nc").await;
    two.expect("<1 ok 1\nc").await;
    check(&endpoint, "ECHO\nd\n", "d\n").await;
}

#[tokio::test]
async fn blocking_calls_max() {
    const BLOCK: Command<String, String, Line> = Command::new("BLOCK");
    let (begun, ended) = (Count::default(), Count::default());
    let (gate, doors) = std::sync::mpsc::channel::<()>();
    let doors = std::sync::Mutex::new(doors);
    let (begins, ends) = (begun.clone(), ended.clone());
    let block = move |text: String| {
        begins.add();
        let _guard = ends.guard();
        doors.lock().unwrap().recv().unwrap();
        Ok::<_, Error>(text)
    };
    let endpoint = limited(|limits| limits.blocking_calls_max = 1).on(BLOCK, blocking(block));
    let mut peer = peer(&endpoint);
    peer.send("BLOCK 1 1 f=line\na").await;
    begun.reach(1).await;
    peer.send("BLOCK 2 1 f=line\nb").await;
    let text = peer.expect_error(2, Code::Overloaded).await;
    assert_eq!(text, "blocking_calls_max (1) are running already");
    check_serves(&endpoint).await;
    // A cancelled one runs on, and its place is taken until it has ended.
    peer.send(">1 cancel\nBLOCK 3 1 f=line\nc").await;
    peer.expect_ran(1, Code::Cancelled).await;
    peer.expect_error(3, Code::Overloaded).await;
    gate.send(()).unwrap();
    ended.reach(1).await;
    gate.send(()).unwrap();
    loop {
        // The place is given back a moment after the function has ended.
        peer.send("BLOCK 4 1 f=line\nd").await;
        match peer.next().await.unwrap().as_str() {
            "<4 ok 1\nd" => break,
            refused => assert!(refused.contains("overloaded"), "{refused}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn held_bytes_max() {
    let held = Held::new();
    let endpoint = held.on(limited(|limits| limits.held_bytes_max = 100_000));
    let large = "x".repeat(60_000);
    let mut one = peer(&endpoint);
    one.send(format!("HOLD 1 60000 f=line\n{large}")).await;
    held.begun.reach(1).await;
    let mut two = peer(&endpoint);
    two.send(format!("ECHO 1 60000 f=line\n{large}")).await;
    let text = two.expect_error(1, Code::Overloaded).await;
    assert!(
        text.contains("bytes on top of ") && text.contains("held_bytes_max (100000)"),
        "{text}"
    );
    two.send("ECHO 2 1 f=line\nx").await;
    two.expect("<2 ok 1\nx").await;
    check_serves(&endpoint).await;
    held.release(1);
    assert!(one.next().await.unwrap().starts_with("<1 ok 60000\n"));
    settle().await;
    two.send(format!("ECHO 1 60000 f=line\n{large}")).await;
    assert!(two.next().await.unwrap().starts_with("<1 ok 60000\n"));
    check_that_all_is_given_back(&endpoint, &large).await;
}

async fn check_that_all_is_given_back(endpoint: &Endpoint, large: &str) {
    for _ in 0..20 {
        let got = exchange(endpoint, format!("ECHO 1 60000 f=line\n{large}")).await;
        assert!(got.starts_with("<1 ok 60000\n"), "{}", &got[..100.min(got.len())]);
    }
}

#[tokio::test(start_paused = true)]
async fn connections_max() {
    let endpoint = limited(|limits| limits.connections_max = 1);
    let (listener, dialer) = transport::memory_listener();
    tokio::spawn(async move { endpoint.serve(listener).await });
    let mut first = Peer::new(dialer.dial().await.unwrap());
    first.send("ECHO 1 1 f=line\na").await;
    first.expect("<1 ok 1\na").await;
    let mut second = Peer::new(dialer.dial().await.unwrap());
    let text = second.expect_error(0, Code::Overloaded).await;
    assert_eq!(text, "connections_max (1) are open");
    second.expect_farewell().await;
    first.send("ECHO 1 1 f=line\nb").await;
    first.expect("<1 ok 1\nb").await;
    first.finish().await;
    first.expect_end().await;
    settle().await;
    let third = dialer.dial().await.unwrap();
    assert_eq!(exchange_over(third, "ECHO 1 1 f=line\nc").await, "<1 ok 1\nc");
}

#[tokio::test]
async fn connections_per_peer_max() {
    let endpoint = limited(|limits| limits.connections_per_peer_max = 1);
    let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap();
    let (listener, dialer) = transport::memory_listener();
    let (serving, too) = (endpoint.clone(), endpoint);
    tokio::spawn(async move { serving.serve(tcp).await });
    tokio::spawn(async move { too.serve(listener).await });
    let dial = async || Peer::new(tokio::net::TcpStream::connect(address).await.unwrap());
    let mut first = dial().await;
    first.send("ECHO 1 1 f=line\na").await;
    first.expect("<1 ok 1\na").await;
    let mut second = dial().await;
    let text = second.expect_error(0, Code::Overloaded).await;
    assert_eq!(text, "connections_per_peer_max (1) of yours are open");
    second.expect_farewell().await;
    let other = dialer.dial().await.unwrap();
    assert_eq!(exchange_over(other, "ECHO 1 1 f=line\nc").await, "<1 ok 1\nc");
    first.finish().await;
    first.expect_end().await;
}

#[tokio::test(start_paused = true)]
async fn handshake_time_max() {
    /// Shakes hands for ever.
    struct Endless(transport::MemoryListener);

    impl transport::Listener for Endless {
        type Io = transport::Handshake;

        async fn accept(&mut self) -> std::io::Result<(Self::Io, transport::Peer)> {
            let (stream, peer) = self.0.accept().await?;
            let handshake = transport::Handshake::new(async move {
                std::future::pending::<()>().await;
                Ok((stream, transport::Peer::unknown()))
            });
            Ok((handshake, peer))
        }
    }

    let endpoint = limited(|limits| limits.handshake_time_max = 5 * SECOND);
    let (listener, dialer) = transport::memory_listener();
    let serving = endpoint.clone();
    tokio::spawn(async move { serving.serve(Endless(listener)).await });
    let mut peer = Peer::new(dialer.dial().await.unwrap());
    let start = Instant::now();
    peer.expect_end().await;
    assert!(start.elapsed() >= 5 * SECOND && start.elapsed() < 6 * SECOND);
    check_serves(&endpoint).await;
}

#[tokio::test(start_paused = true)]
async fn line_time_max() {
    let endpoint = limited(|limits| limits.line_time_max = 5 * SECOND);
    let start = Instant::now();
    let mut peer = peer(&endpoint);
    let mut text = String::new();
    for _ in 0..10 {
        peer.send("A").await;
        if let Ok(got) =
            tokio::time::timeout(SECOND, peer.expect_error(0, Code::DeadlineExceeded)).await
        {
            text = got;
            break;
        }
    }
    assert_eq!(text, "a line took longer than line_time_max (5s)");
    assert!(start.elapsed() < 6 * SECOND, "{:?}", start.elapsed());
    peer.expect_end().await;
    check_serves(&endpoint).await;
}

#[tokio::test(start_paused = true)]
async fn body_time_max() {
    let endpoint = limited(|limits| limits.body_time_max = 5 * SECOND);
    let mut tagged = peer(&endpoint);
    tagged.send("ECHO 1 2 f=line\na").await;
    let text = tagged.expect_error(0, Code::DeadlineExceeded).await;
    assert_eq!(text, "a body took longer than body_time_max (5s)");
    tagged.expect_end().await;
    let mut plain = peer(&endpoint);
    plain.send("ECHO\na").await;
    let text = plain.expect_error(0, Code::DeadlineExceeded).await;
    assert_eq!(text, "the payload did not come within body_time_max (5s)");
    plain.expect_end().await;
    check_serves(&endpoint).await;
}

#[tokio::test(start_paused = true)]
async fn idle_time_max() {
    let held = Held::new();
    let endpoint = held.on(limited(|limits| limits.idle_time_max = 5 * SECOND));
    let mut idle = peer(&endpoint);
    let mut plain = peer(&endpoint);
    plain.send("ECHO\n").await;
    let mut busy = peer(&endpoint);
    busy.send("HOLD 1 1 f=line\na").await;
    let text = idle.expect_error(0, Code::ShuttingDown).await;
    assert_eq!(text, "nothing was sent for idle_time_max (5s)");
    idle.expect_farewell().await;
    let text = plain.expect_error(0, Code::DeadlineExceeded).await;
    assert_eq!(text, "the payload did not come within idle_time_max (5s)");
    plain.expect_end().await;
    sleep(10 * SECOND).await;
    held.release(1);
    busy.expect("<1 ok 1\na").await;
    check_serves(&endpoint).await;
}

#[tokio::test(start_paused = true)]
async fn write_time_max() {
    let endpoint = limited(|limits| limits.write_time_max = 5 * SECOND);
    // One takes nothing, one a byte a second, one does not take a plain reply.
    let calls = "LETTERS 1 6 f=json\n500000";
    let (mut none, mut some, mut plain) = (peer(&endpoint), peer(&endpoint), peer(&endpoint));
    none.send(calls).await;
    some.send(calls).await;
    plain.send("LETTERS\n500000\nECHO\nx\n").await;
    for _ in 0..7 {
        sleep(SECOND).await;
        some.stream.read_u8().await.unwrap();
    }
    check_serves(&endpoint).await;
    for mut peer in [none, some, plain] {
        // Nothing more than the stream held, and no error: there is nobody who reads it.
        let rest = peer.rest().await;
        assert!(rest.len() <= 64 * 1024, "{}", rest.len());
        assert!(rest.ends_with("xxx"));
    }
}

#[tokio::test(start_paused = true)]
async fn call_time_max() {
    let held = Held::new();
    let endpoint = held.on(limited(|limits| limits.call_time_max = 5 * SECOND));
    let text = "the handler did not answer within call_time_max (5s)";
    let late = ran(1, Code::DeadlineExceeded, text);
    check(&endpoint, "HOLD 1 1 f=line\na", &late).await;
    check(&endpoint, "HOLD 1 1 f=line t=60000\na", &late).await;
    let text = "the handler did not answer in time";
    check(&endpoint, "HOLD 1 1 f=line t=1000\na", &ran(1, Code::DeadlineExceeded, text)).await;
    held.ended.reach(3).await;
    check_serves(&endpoint).await;
}

/// Sends as many items as it is asked to, of as many bytes.
const ITEMS: Command<(u32, u32), Streamed<String>, Json> = Command::new("ITEMS");

/// An endpoint with `ITEMS`.
fn streaming(set: impl FnOnce(&mut Limits)) -> Endpoint {
    limited(set).on(ITEMS, async |(count, bytes): (u32, u32), out: Sender<String>| {
        let item = "x".repeat(bytes as usize);
        for _ in 0..count {
            out.send(&item).await?;
        }
        Ok::<_, Error>(())
    })
}

#[tokio::test(start_paused = true)]
async fn streams_max() {
    let endpoint = streaming(|limits| {
        limits.streams_max = 2;
        limits.calls_max = 1;
    });
    let (mut one, mut two) = (peer(&endpoint), peer(&endpoint));
    for tag in 1..=2 {
        one.send(format!("ITEMS {tag} 10 f=json credit=1\n[100,1000]")).await;
        one.next().await.unwrap();
    }
    let text = "streams_max (2) are running already";
    two.send("ITEMS 1 5 f=json credit=1\n[1,1]").await;
    assert_eq!(two.expect_error(1, Code::Overloaded).await, text);
    // Through other doors, too.
    let error = endpoint.client().call(ITEMS, &(1, 1)).next().await.unwrap().unwrap_err();
    assert_eq!((error.code(), error.text()), (Code::Overloaded, text));
    check(&endpoint, "ITEMS json\n[1,1]\n", &err(0, Code::Overloaded, text)).await;
    // Calls have other places.
    two.send("ECHO 2 1 f=line\nx>1 cancel\n").await;
    two.expect("<2 ok 1\nx").await;
    one.send(">1 cancel\n").await;
    one.expect_ran(1, Code::Cancelled).await;
    settle().await;
    two.send("ITEMS 3 5 f=json credit=9\n[1,1]").await;
    two.expect("<3 item 3\n\"x\"").await;
    check_serves(&endpoint).await;
}

#[tokio::test(start_paused = true)]
async fn streams_per_connection_max() {
    let endpoint = streaming(|limits| {
        limits.streams_per_connection_max = 2;
        limits.calls_per_connection_max = 1;
    });
    let mut peer = peer(&endpoint);
    for tag in 1..=2 {
        // Each waits for credit.
        peer.send(format!("ITEMS {tag} 10 f=json credit=1\n[100,1000]")).await;
        peer.next().await.unwrap();
    }
    peer.send("ITEMS 3 5 f=json credit=1\n[1,1]").await;
    let text = "streams_per_connection_max (2) are open";
    assert_eq!(peer.expect_error(3, Code::Overloaded).await, text);
    // A call has another place, and a stream that was given up leaves its own.
    peer.send("ECHO 4 1 f=line\nx>1 cancel\n").await;
    peer.expect("<4 ok 1\nx").await;
    peer.expect_ran(1, Code::Cancelled).await;
    settle().await;
    peer.send("ITEMS 5 5 f=json credit=9\n[1,1]").await;
    peer.expect("<5 item 3\n\"x\"").await;
    peer.expect("<5 ok 4\nnull").await;
    check_serves(&endpoint).await;
}

#[tokio::test(start_paused = true)]
async fn item_bytes_max() {
    let endpoint = streaming(|limits| limits.item_bytes_max = 10);
    let client = client(&endpoint);
    let item = client.call(ITEMS, &(1, 8)).next().await.unwrap().unwrap();
    assert_eq!(item, "xxxxxxxx");
    // One of our own is refused before it is sent, and the handler gives up.
    let error = client.call(ITEMS, &(1, 9)).next().await.unwrap().unwrap_err();
    assert_eq!((error.code(), error.text()), (Code::Failed, "the handler failed"));
    // One of the peer's ends its stream.
    let own = Endpoint::new().with_limits(Limits::default().with(|own| own.item_bytes_max = 10));
    let (here, there) = transport::memory();
    let endpoint = streaming(|_| {});
    tokio::spawn(async move { endpoint.serve_stream(there).await });
    let client = own.connect_over(here);
    let error = client.call(ITEMS, &(1, 9)).next().await.unwrap().unwrap_err();
    let text = "an item of 11 bytes is over item_bytes_max (10)";
    assert_eq!((error.code(), error.text()), (Code::TooLarge, text));
    check_serves(&streaming(|_| {})).await;
}

#[tokio::test(start_paused = true)]
async fn stall_time_max() {
    let endpoint = streaming(|limits| limits.stall_time_max = 5 * SECOND);
    let mut peer = peer(&endpoint);
    let start = Instant::now();
    peer.send("ITEMS 1 5 f=json credit=1\n[2,1]").await;
    peer.expect("<1 item 3\n\"x\"").await;
    let text = "no credit was granted for items within stall_time_max (5s)";
    assert_eq!(peer.expect_ran(1, Code::DeadlineExceeded).await, text);
    assert_eq!(start.elapsed(), 5 * SECOND);
    // Credit that comes in time is as good.
    peer.send("ITEMS 2 5 f=json credit=1\n[2,1]").await;
    peer.expect("<2 item 3\n\"x\"").await;
    sleep(4 * SECOND).await;
    peer.send(">2 credit 67\n").await;
    peer.expect("<2 item 3\n\"x\"").await;
    peer.expect("<2 ok 4\nnull").await;
    check_serves(&endpoint).await;
}

#[tokio::test(start_paused = true)]
async fn drain_time_max() {
    let held = Held::new();
    let endpoint = held.on(limited(|limits| limits.drain_time_max = 5 * SECOND));
    let (listener, dialer) = transport::memory_listener();
    let start = Instant::now();
    let mut peer = Peer::new(dialer.dial().await.unwrap());
    peer.send("HOLD 1 1 f=line\na").await;
    let begun = held.begun.clone();
    let stop = async move { begun.reach(1).await };
    let serve = tokio::spawn(async move { endpoint.serve_until(listener, stop).await.unwrap() });
    peer.expect_error(0, Code::ShuttingDown).await;
    let text = peer.expect_ran(1, Code::ShuttingDown).await;
    assert_eq!(text, "the call did not end within drain_time_max (5s)");
    peer.expect_farewell().await;
    peer.finish().await;
    let report = within(serve).await.unwrap();
    assert_eq!((report.calls_answered, report.calls_cut_off), (0, 1));
    assert!(start.elapsed() >= 5 * SECOND && start.elapsed() < 6 * SECOND);
    held.ended.reach(1).await;
}

#[tokio::test(start_paused = true)]
async fn linger_time_max() {
    let endpoint = limited(|limits| limits.linger_time_max = 5 * SECOND);
    let (mut stream, served) = closing(&endpoint).await;
    let start = Instant::now();
    // It goes on sending, a byte now and then, and never ends.
    while stream.write_all(b"x").await.is_ok() {
        sleep(SECOND).await;
    }
    within(served).await.unwrap();
    assert!(start.elapsed() >= 4 * SECOND && start.elapsed() < 8 * SECOND);
    check_serves(&endpoint).await;
}

#[tokio::test(start_paused = true)]
async fn linger_bytes_max() {
    let endpoint = limited(|limits| limits.linger_bytes_max = 100_000);
    let (mut stream, served) = closing(&endpoint).await;
    let taken = AtomicUsize::new(0);
    while stream.write_all(&[b'x'; 1000]).await.is_ok() {
        taken.fetch_add(1000, Ordering::Relaxed);
    }
    within(served).await.unwrap();
    let taken = taken.into_inner();
    assert!((100_000..200_000).contains(&taken), "{taken}");
    check_serves(&endpoint).await;
}

/// A connection that the endpoint has ended.
async fn closing(endpoint: &Endpoint) -> (transport::MemoryStream, tokio::task::JoinHandle<()>) {
    let (mut here, there) = transport::memory();
    let serving = Arc::new(endpoint.clone());
    let served = tokio::spawn(async move { serving.serve_stream(there).await });
    here.write_all(b"\n").await.unwrap();
    let mut got = String::new();
    within(here.read_to_string(&mut got)).await.unwrap();
    assert_eq!(got, err(0, Code::Protocol, &Flaw::EmptyLine.to_string()));
    (here, served)
}

#[test]
fn limits_are_changed_one_by_one() {
    let limits = Limits::default().with(|limits| limits.depth_max = 7);
    assert_eq!(limits.depth_max, 7);
    assert_eq!(limits.with(|limits| limits.depth_max = 128), Limits::default());
}
