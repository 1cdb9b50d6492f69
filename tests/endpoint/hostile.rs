//! What comes to an open door: other protocols, endless lines, lies, and peers that do nothing.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use switchboard::format::Line;
use switchboard::wire::Flaw;
use switchboard::{Code, Command, Endpoint, Error, transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

use super::support::*;

/// A web page that posts to a local endpoint must not be able to drive it.
#[tokio::test(start_paused = true)]
async fn another_protocol_is_closed_at_once_without_an_answer() {
    let body = "CANARY\nx\nCANARY 1 1 f=line\nx";
    let requests = [
        "GET / HTTP/1.1\r\n".to_owned(),
        format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 22\r\n\r\n{body}"),
        format!("PUT /CANARY HTTP/1.0\r\n\r\n{body}"),
        format!("OPTIONS * HTTP/1.1\r\n\r\n{body}"),
        format!("CONNECT localhost:1 HTTP/1.1\r\n\r\n{body}"),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        format!("\u{16}\u{3}\u{1}\u{0}\u{5}\u{1}\n{body}"),
    ];
    for request in requests {
        let (endpoint, canary) = with_canary(endpoint());
        let start = Instant::now();
        let mut peer = peer(&endpoint);
        // It keeps its side open and waits for an answer.
        peer.stream.write_all(request.as_bytes()).await.unwrap();
        assert_eq!(peer.rest().await, "", "{request:?}");
        assert!(start.elapsed().is_zero(), "{request:?}");
        assert_eq!(canary.now(), 0, "{request:?}");
        check_serves(&endpoint).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_line_is_told_so_and_closes() {
    let digits = "18446744073709551616";
    check_flaw("\n".repeat(1_000_000), &Flaw::EmptyLine.to_string()).await;
    check_flaw("\nCANARY\nx\n", &Flaw::EmptyLine.to_string()).await;
    let text = "a word is empty: words are separated by one space each";
    check_flaw(" CANARY line\nx\n", text).await;
    check_flaw("CAN\u{0}ARY\nx\n", "byte 0x00 in a line, which is printable ASCII").await;
    check_flaw("\u{1b}[2JCANARY\nx\n", "byte 0x1b in a line, which is printable ASCII").await;
    check_flaw(format!("{} 1 0\n", "A".repeat(65)), "the name is longer than 64 bytes").await;
    let text = "the line is longer than line_bytes_max (8192)";
    check_flaw("A".repeat(1_000_000), text).await;
    let text = "the length is not a decimal of 64 bits without sign or leading zero";
    for length in [digits, "-1", "+1", "01", "0x1", "1e3"] {
        check_flaw(format!("ECHO 1 {length} f=line\nCANARY\nx\n"), text).await;
    }
    let text = "the tag is not a decimal of 32 bits without sign or leading zero";
    check_flaw("ECHO 4294967296 0 f=line\nCANARY\nx\n", text).await;
    check_flaw("<1 ok 0\nCANARY\nx\n", "a reply to tag 1, which is of no call").await;
    check_flaw("<1 item 0\nCANARY\nx\n", "a reply to tag 1, which is of no call").await;
    let text = "the stream ended in the middle of a line or a body";
    check_flaw("ECHO 1 9 f=line\nCANARY\n", text).await;
}

async fn check_flaw(sent: impl AsRef<[u8]>, text: &str) {
    let (endpoint, canary) = with_canary(endpoint());
    let sent = sent.as_ref();
    let got = exchange(&endpoint, sent).await;
    assert_eq!(got, err(0, Code::Protocol, text), "{:?}", show(&sent[..sent.len().min(80)]));
    settle().await;
    assert_eq!(canary.now(), 0, "{text}");
    check_serves(&endpoint).await;
}

#[tokio::test(start_paused = true)]
async fn a_tag_in_use_is_not_taken_again() {
    let held = Held::new();
    let endpoint = held.on(endpoint());
    let mut peer = peer(&endpoint);
    peer.send("HOLD 1 1 f=line\naECHO 1 1 f=line\nb").await;
    let text = peer.expect_error(0, Code::Protocol).await;
    assert_eq!(text, "tag 1 is of a call that is not answered yet");
    peer.expect_end().await;
    held.ended.reach(1).await;
    check_serves(&endpoint).await;
}

#[tokio::test(start_paused = true)]
async fn an_endless_line_in_single_bytes_is_cut_off() {
    let endpoint = endpoint();
    let mut peer = peer(&endpoint);
    for _ in 0..8192 {
        peer.send("A").await;
        tokio::task::yield_now().await;
    }
    let text = peer.expect_error(0, Code::Protocol).await;
    assert_eq!(text, "the line is longer than line_bytes_max (8192)");
    peer.expect_end().await;
    check_serves(&endpoint).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_drips_is_cut_off() {
    let text = "a line took longer than line_time_max (10s)";
    check_drip("", "A", text).await;
    let text = "a body took longer than body_time_max (30s)";
    check_drip("ECHO 1 1000 f=line\n", "a", text).await;
    check_drip("ECHO 1 2000000 f=line\n", "a", text).await;
    check_drip("ECHO\n", "a", "the payload did not come within body_time_max (30s)").await;
    check_drip("ADD\n1000\n", "a", "the payload did not come within body_time_max (30s)").await;
}

async fn check_drip(first: &str, drip: &str, text: &str) {
    let endpoint = endpoint();
    let mut peer = peer(&endpoint);
    peer.send(first).await;
    if first.contains("2000000") {
        peer.expect_error(1, Code::TooLarge).await;
    }
    let start = Instant::now();
    let got = loop {
        peer.send(drip).await;
        if let Ok(got) = timeout(SECOND, peer.expect_error(0, Code::DeadlineExceeded)).await {
            break got;
        }
        assert!(start.elapsed() < 40 * SECOND, "{text}");
    };
    assert_eq!(got, text);
    peer.expect_end().await;
    check_serves(&endpoint).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_nothing_is_cut_off() {
    let held = Held::new();
    let (runs, kept) = (Count::default(), Count::default());
    let counted = runs.clone();
    let guarded = kept.clone();
    let endpoint =
        held.on(endpoint()).on(Command::<String, String, Line>::new("BIG"), move |_: String| {
            counted.add();
            let guard = guarded.guard();
            async move {
                let _guard = guard;
                tokio::task::yield_now().await;
                Ok::<_, Error>("x".repeat(100_000))
            }
        });
    let start = Instant::now();
    let mut stream = dial(&endpoint);
    let calls: String = (1..=5000).map(|tag| format!("BIG {tag} 0 f=line\n")).collect();
    // It ends with an error: the endpoint has closed the connection.
    timeout(60 * SECOND, stream.write_all(calls.repeat(10).as_bytes()))
        .await
        .unwrap_err_or_closed();
    let mut rest = Vec::new();
    within(stream.read_to_end(&mut rest)).await.ok();
    assert!(rest.len() <= 64 * 1024, "{}", rest.len());
    assert!(start.elapsed() <= 61 * SECOND, "{:?}", start.elapsed());
    // No more than may run on one connection, and none is left.
    assert!(runs.now() <= 1100, "{} ran", runs.now());
    kept.reach(runs.now()).await;
    check_serves(&endpoint).await;
}

trait UnwrapErrOrClosed {
    fn unwrap_err_or_closed(self);
}

impl UnwrapErrOrClosed for Result<std::io::Result<()>, tokio::time::error::Elapsed> {
    fn unwrap_err_or_closed(self) {
        match self {
            Ok(Err(_)) => {}
            other => panic!("{other:?}: the endpoint neither stopped reading nor closed"),
        }
    }
}

/// Each file of bad input goes to a real endpoint, as wire bytes or as a payload.
#[tokio::test]
async fn every_hostile_file_gets_its_answer() {
    let (endpoint, canary) = with_canary(endpoint());
    let endpoint = endpoint
        .on(Command::<String, String>::new("BINCODE"), echo)
        .on(Command::<String, String, switchboard::format::Json>::new("JSON"), echo)
        .on(Command::<String, String, Line>::new("LINE"), echo)
        .on(Command::<String, String, Line>::new("GREET"), echo);
    #[cfg(feature = "postcard")]
    let endpoint = endpoint
        .on(Command::<String, String, switchboard::format::Postcard>::new("POSTCARD"), echo);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = endpoint.clone();
    tokio::spawn(async move { serving.serve(listener).await });
    let client = Endpoint::new().connect_over(TcpStream::connect(address).await.unwrap());

    let mut files = 0;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/hostile");
    for folder in std::fs::read_dir(root).unwrap() {
        let folder = folder.unwrap().path();
        let kind = folder.file_name().unwrap().to_str().unwrap().to_owned();
        if kind == "postcard" && cfg!(not(feature = "postcard")) {
            continue;
        }
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            let got =
                exchange_over(TcpStream::connect(address).await.unwrap(), wire(&kind, &bytes));
            check_answer(&kind, path.file_stem().unwrap().to_str().unwrap(), &got.await);
            assert_eq!(client.call(ADD, &(1, 2)).await.unwrap(), 3, "{path:?}");
            files += 1;
        }
    }
    assert!(files > 30, "{files}");
    assert_eq!(canary.now(), 0);
}

async fn echo(text: String) -> Result<String, Error> {
    Ok(text)
}

/// A payload becomes a call; what is on the wire is sent as it is.
fn wire(kind: &str, bytes: &[u8]) -> Vec<u8> {
    if kind == "wire" {
        return bytes.to_vec();
    }
    let head = format!("{} 1 {} f={kind}\n", kind.to_uppercase(), bytes.len());
    [head.as_bytes(), bytes, b"ECHO 2 1 f=line\nx"].concat()
}

fn check_answer(kind: &str, name: &str, got: &str) {
    if kind != "wire" {
        let word = got.lines().next().unwrap().rsplit(' ').next().unwrap();
        assert!(["bad_payload", "too_large"].contains(&word), "{kind}/{name}: {got}");
        assert!(got.ends_with("<2 ok 1\nx"), "{kind}/{name}: {got}");
        return;
    }
    let is_foreign = name.contains("http") || name.contains("tls");
    if is_foreign {
        assert_eq!(got, "", "{name}");
    } else {
        // The reply to what was well before it may come first; the last word is about all of it.
        let last = got.rsplit_once('<').unwrap().1;
        assert!(last.starts_with("0 err ") && last.contains(" protocol\n"), "{name}: {got}");
    }
}

/// A second in which many peers are torn down in the middle of everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_that_vanish_leave_nothing_behind() {
    let held = Held::new();
    let endpoint = held.on(limited(|limits| {
        limits.calls_max = 50;
        limits.connections_max = 50;
        limits.held_bytes_max = 1 << 20;
        limits.drain_time_max = Duration::from_millis(10);
        limits.linger_time_max = Duration::from_millis(10);
    }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = endpoint.clone();
    let serve = tokio::spawn(async move { serving.serve_until(listener, stopped).await });
    let large = "x".repeat(50_000);
    let sent = format!(
        "HOLD 1 50000 f=line\n{large}HOLD 2 1 f=line\naECHO 3 50000 f=line\n{large}ECHO\nab"
    );
    for round in 0..200 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let len = sent.len() * round / 199;
        stream.write_all(&sent.as_bytes()[..len]).await.ok();
    }
    // Those who came first are accepted first, so all of them have been when this one is answered.
    let mut last = Peer::new(TcpStream::connect(address).await.unwrap());
    last.send("?NOPE\n").await;
    assert!(last.next().await.is_some());
    drop((stop, last));
    let report = within(serve).await.unwrap().unwrap();
    assert_eq!(report.connections + report.connections_refused, 201);
    held.ended.reach(held.begun.now()).await;

    // All that was taken has been given back.
    let (here, there) = transport::memory();
    let serving = endpoint.clone();
    tokio::spawn(async move { serving.serve_stream(there).await });
    let mut peer = Peer::new(here);
    for tag in 1..=50 {
        peer.send(format!("HOLD {tag} 10000 f=line\n{}", &large[..10_000])).await;
    }
    held.release(1000);
    for _ in 0..50 {
        let reply = peer.next().await.unwrap();
        assert!(reply.contains(" ok 10000\n"), "{reply}");
    }
}

/// A flood on one connection does not keep another one waiting.
#[tokio::test]
async fn a_flood_leaves_others_their_turn() {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    const COUNT: Command<String, String, Line> = Command::new("COUNT");
    let endpoint = endpoint().on(COUNT, async |text: String| {
        RUNS.fetch_add(1, Ordering::Relaxed);
        Ok::<_, Error>(text)
    });
    let mut flooder = dial(&endpoint);
    let flood = tokio::spawn(async move {
        let calls = "COUNT 0 1 f=line\nx".repeat(5000);
        while flooder.write_all(calls.as_bytes()).await.is_ok() {}
    });
    let client = client(&endpoint);
    client.call(ECHO, &"x".to_owned()).await.unwrap();
    for _ in 0..20 {
        let before = RUNS.load(Ordering::Relaxed);
        client.call(ECHO, &"x".to_owned()).await.unwrap();
        let between = RUNS.load(Ordering::Relaxed) - before;
        // A call of another takes dozens of turns, and each turn of the flood has its end.
        assert!(between < 20_000, "{between} calls of the flood came before one of another");
    }
    flood.abort();
}

/// Refusals that a peer does not read are bounded like everything else.
#[tokio::test(start_paused = true)]
async fn refusals_that_nobody_reads_are_bounded() {
    let endpoint = limited(|limits| limits.held_bytes_max = 200_000);
    let mut flooders = Vec::new();
    for _ in 0..20 {
        let mut flooder = dial(&endpoint);
        flooders.push(tokio::spawn(async move {
            let late = "ECHO 1 0 f=line t=0\n".repeat(1000);
            let mut sent = 0;
            while timeout(SECOND, flooder.write_all(late.as_bytes())).await.is_ok_and(|r| r.is_ok())
            {
                sent += late.len();
            }
            (sent, flooder)
        }));
    }
    let mut sent = 0;
    for flooder in flooders {
        sent += flooder.await.unwrap().0;
    }
    // Each fills its own pipe, and the one back with refusals of six times the size.
    assert!(sent < 20 * 120_000, "{sent} bytes were taken");
    check_serves(&endpoint).await;
}

/// A plain call whose payload does not come keeps nobody from running.
#[tokio::test(start_paused = true)]
async fn a_payload_that_does_not_come_takes_no_call() {
    let endpoint = limited(|limits| limits.calls_max = 1);
    let mut silent = peer(&endpoint);
    silent.send("ADD json\n").await;
    settle().await;
    check_serves(&endpoint).await;
}

/// A peer that floods its own connection does not stop the time of its calls.
#[tokio::test]
async fn a_flood_does_not_stop_the_clock() {
    let held = Held::new();
    let endpoint = held.on(limited(|limits| limits.call_time_max = Duration::from_millis(50)));
    let (mut reads, mut writes) = tokio::io::split(dial(&endpoint));
    let flood = tokio::spawn(async move {
        writes.write_all(b"HOLD 7 1 f=line\nx").await.unwrap();
        let calls = "ECHO 0 1 f=line\nx".repeat(5000);
        while writes.write_all(calls.as_bytes()).await.is_ok() {}
    });
    let expected = format!("<7 err {} deadline_exceeded ran=1\n", 52);
    let mut got = vec![0; expected.len()];
    timeout(Duration::from_secs(30), reads.read_exact(&mut got)).await.unwrap().unwrap();
    let got = String::from_utf8(got).unwrap();
    assert!(got.starts_with("<7 err ") && got.contains(" deadline_exceeded ran=1\n"), "{got}");
    flood.abort();
}
