//! What is logged: registered names, and nothing that a peer made up, at info and above.
//!
//! A binary of its own: whether a place that logs is listened to is decided once for the whole
//! process, so the listener must be there before anything else runs.

#![cfg(all(feature = "io", feature = "bincode", feature = "json"))]
#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a test that goes wrong may panic"
)]

use std::cell::{Cell, RefCell};
use std::fmt::{Debug, Write};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Once;
use std::task::Poll;
use std::time::Duration;

#[cfg(feature = "postcard")]
use switchboard::format::Postcard;
use switchboard::format::{Json, Line};
use switchboard::service::{Pipe, Request, Service};
use switchboard::transport::{self, MemoryStream};
use switchboard::{
    Code, Command, Connection, Context, Endpoint, Error, Limits, Sender, Streamed, Traceparent,
};
use switchboard_testing::peer::{Peer, err, exchange_over, ran};
use switchboard_testing::waiting::settle;
use tokio::time::{Instant, sleep};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::set_global_default;
use tracing::{Event, Level, Metadata, Subscriber};

/// Writes down all that this crate logs, for each thread on its own: a test is a thread.
struct Log;

thread_local! {
    static LINES: RefCell<Vec<(Level, String)>> = const { RefCell::new(Vec::new()) };
    // Spans that have been entered, and events in none.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    static ALONE: Cell<usize> = const { Cell::new(0) };
}

impl Log {
    fn listen() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| set_global_default(Self).unwrap());
        LINES.with_borrow_mut(Vec::clear);
        ALONE.set(0);
    }

    fn note(metadata: &Metadata<'_>, fields: impl FnOnce(&mut Text)) {
        if metadata.target().starts_with("switchboard") {
            let mut text = Text(metadata.name().to_owned());
            fields(&mut text);
            LINES.with_borrow_mut(|lines| lines.push((*metadata.level(), text.0)));
        }
    }

    fn lines(level: Level) -> Vec<String> {
        LINES.with_borrow(|lines| {
            let lines = lines.iter().filter(|(of, _)| *of <= level);
            lines.map(|(_, text)| text.clone()).collect()
        })
    }
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        Self::note(span.metadata(), |text| span.record(text));
        Id::from_u64(1)
    }

    fn event(&self, event: &Event<'_>) {
        Self::note(event.metadata(), |text| event.record(text));
        ALONE.set(ALONE.get() + usize::from(DEPTH.get() == 0));
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {
        DEPTH.set(DEPTH.get() + 1);
    }

    fn exit(&self, _: &Id) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

const ECHO: Command<String, String, Line> = Command::new("ECHO");
const ADD: Command<(u32, u32), u32> = Command::new("ADD");
const FAIL: Command<String, String, Line> = Command::new("FAIL");
const WAIT: Command<String, String, Line> = Command::new("WAIT");

/// An endpoint with `ECHO` and the raw `STRING`.
fn endpoint() -> Endpoint {
    Endpoint::new().on(ECHO, async |text: String| Ok::<_, Error>(text)).on_raw("STRING", strings)
}

async fn strings(connection: &mut Connection) -> Result<(), Error> {
    connection.read_line().await?;
    connection.write_line("Thank you.").await
}

/// The far end of a connection that `endpoint` serves.
fn dial(endpoint: &Endpoint) -> MemoryStream {
    let (here, there) = transport::memory();
    let endpoint = endpoint.clone();
    tokio::spawn(async move { endpoint.serve_stream(there).await });
    here
}

/// Sends all of this and ends; answers all that comes back.
async fn exchange(endpoint: &Endpoint, sent: &str) -> String {
    exchange_over(dial(endpoint), sent).await
}

/// Fails with what it was sent.
async fn fail(text: String) -> Result<String, Error> {
    match text.split_once(' ') {
        Some(("panic", _)) => panic!("a panic on purpose"),
        Some(("code", text)) => Err(Error::new(Code::Failed, text.to_owned())),
        _ => Ok(text),
    }
}

#[tokio::test(start_paused = true)]
async fn connections_and_calls_have_spans() {
    Log::listen();
    let (listener, dialer) = transport::memory_listener();
    let endpoint = endpoint();
    let serving = endpoint.clone();
    tokio::spawn(async move { serving.serve(listener).await });
    let sent = "ECHO 7 1 f=line\nxECHO\ny\nSTRING\nz\n";
    exchange_over(dialer.dial().await.unwrap(), sent).await;
    let mut lines = Log::lines(Level::DEBUG);
    lines.retain(|line| !line.starts_with("event"));
    let expected = [
        "connection peer=memory",
        "call command=ECHO tag=7",
        "plain call command=ECHO",
        "plain call command=STRING",
    ];
    assert_eq!(lines, expected);
    assert_eq!(Log::lines(Level::INFO), expected[..1]);
    // A stream that somebody else accepted has one too.
    exchange(&endpoint, "").await;
    assert_eq!(Log::lines(Level::INFO)[1..], ["connection peer=unknown"]);
}

#[tokio::test(start_paused = true)]
async fn a_call_in_a_trace_has_its_ids_in_its_span() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const PARENT: &str = "b7ad6b7169203331";
    let span = || {
        let lines = Log::lines(Level::DEBUG);
        let mut spans = lines.iter().filter(|line| line.contains("call command=ECHO"));
        let span = spans.next().unwrap().clone();
        assert_eq!((spans.next(), ALONE.get()), (None, 0), "{lines:#?}");
        let is_ignored = lines.iter().any(|line| line.contains("ignored a malformed traceparent"));
        (span, is_ignored)
    };
    let check = async |trace: &str, is_one: bool| {
        Log::listen();
        let told = exchange(&endpoint(), &format!("ECHO 1 1 f=line trace={trace}\nx")).await;
        assert_eq!(told, "<1 ok 1\nx", "{trace}");
        let (span, is_ignored) = span();
        let (known, own) = span.split_once(" span_id=").unwrap_or((&span, ""));
        let ids = format!(" trace_id={TRACE} parent_id={PARENT}");
        let expected = format!("call command=ECHO tag=1{}", if is_one { &ids } else { "" });
        assert_eq!(known, expected, "{trace}");
        assert_eq!((own.len(), is_ignored), if is_one { (16, false) } else { (0, true) });
        assert!(own != PARENT && Log::lines(Level::INFO).len() == 1, "{trace}");
    };
    check(&format!("00-{TRACE}-{PARENT}-01"), true).await;
    check(&format!("00-{TRACE}-{PARENT}-00"), true).await;
    check(&format!("01-{TRACE}-{PARENT}-01-SECRET"), true).await;
    check("SECRET", false).await;
    check("", false).await;
    check(&format!("00-{TRACE}-{PARENT}-01-SECRET"), false).await;
    check(&format!("ff-{TRACE}-{PARENT}-01"), false).await;

    Log::listen();
    let trace = format!("00-{TRACE}-{PARENT}-01").parse::<Traceparent>().unwrap();
    let client = endpoint().client();
    assert_eq!(client.call(ECHO, &"x".to_owned()).trace(trace).await.unwrap(), "x");
    let expected = format!("direct call command=ECHO trace_id={TRACE} parent_id={PARENT} span_id=");
    assert!(span().0.starts_with(&expected), "{:?}", span());
}

#[tokio::test(start_paused = true)]
async fn nothing_that_a_peer_made_up_is_logged_at_info() {
    Log::listen();
    let endpoint = Endpoint::new()
        .on(FAIL, fail)
        .on(ADD, async |(a, b): (u32, u32)| Ok::<_, Error>(a + b))
        .on_raw("RAW", async |connection: &mut Connection| {
            let line = connection.read_line().await?.unwrap_or_default();
            Err::<(), _>(Error::new(Code::Denied, line))
        });
    let secrets = [
        "SECRET 1 6\nSECRET",
        "SECRET\nSECRET\n",
        "SECRET SECRET\n",
        "?SECRET\n",
        "FAIL 1 6 f=secret\nSECRET",
        "FAIL 1 6 f=line x=SECRET trace=SECRET\nSECRET",
        "FAIL 1 12 f=line\npanic SECRET",
        "FAIL 1 17 f=line\ncode SECRET\u{1b}[31mx",
        "FAIL\npanic SECRET\n",
        "FAIL\ncode SECRET\u{1b}]0;x\u{7}\n",
        "RAW\nSECRET\u{1b}\n",
        "ADD 1 8 f=json\n\"SECRET\"",
        "ADD json\n\"SECRET\"\n",
        "<9 err 6 failed ran=1\nSECRET",
        "<0 err 7 failed ran=1\nSECRET\u{1b}",
        "SECRET\u{1b}[2J\n",
        "SECRET SECRET SECRET SECRET\n",
        "GET /SECRET HTTP/1.1\r\n",
        "SECRET",
    ];
    for secret in secrets {
        exchange(&endpoint, secret).await;
    }
    let (here, there) = transport::memory();
    let (client, mut peer) = (Endpoint::new().connect_over(here), Peer::new(there));
    let call = tokio::spawn(client.call(FAIL, &"SECRET".to_owned()));
    peer.next().await.unwrap();
    peer.send("<1 err 7 denied ran=1\nSECRET\u{1b}").await;
    assert_eq!(call.await.unwrap().unwrap_err().code(), Code::Denied);

    let lines = Log::lines(Level::INFO);
    assert!(lines.iter().any(|line| line.contains("a handler panicked")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("closing the connection")), "{lines:#?}");
    let told: Vec<_> = lines.iter().filter(|line| line.to_lowercase().contains("secret")).collect();
    assert!(told.is_empty(), "{told:#?}");
    for line in Log::lines(Level::TRACE) {
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
    assert!(
        Log::lines(Level::DEBUG).iter().any(|line| line.contains("there is no command SECRET"))
    );
}

#[cfg(feature = "gob")]
mod net_rpc {
    use std::time::Duration;

    use switchboard_testing::gob_bytes::{INT, int, message, structure};
    use tokio::io::AsyncWriteExt;
    use tokio::time::sleep;

    use super::*;

    /// A value whose one field has this name.
    fn value(name: &str) -> Vec<u8> {
        let value = message(&[int(70), vec![1, 14, 0]].concat());
        [message(&structure(70, &[(name, INT)])), value].concat()
    }

    /// Says this to a server of ours, and ends.
    async fn say(sent: &[u8]) {
        let (listener, dialer) = transport::memory_listener();
        let endpoint = endpoint();
        let server = tokio::spawn(async move { endpoint.serve_net_rpc(listener).await });
        let mut stream = dialer.dial().await.unwrap();
        stream.write_all(sent).await.unwrap();
        stream.shutdown().await.unwrap();
        sleep(Duration::from_secs(10)).await;
        server.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn names_that_a_peer_made_up_are_not_logged_at_info() {
        Log::listen();
        for sent in [value("SECRET"), value("SECRET/x")] {
            say(&sent).await;
            let (here, mut there) = transport::memory();
            let client = Endpoint::new().connect_net_rpc_over(here);
            there.write_all(&sent).await.unwrap();
            client.closed().await;
        }
        let lines = Log::lines(Level::INFO);
        let ends: Vec<_> = lines.iter().filter(|line| line.contains("closing")).collect();
        assert_eq!(ends.len(), 4, "{lines:#?}");
        for end in ends {
            assert!(end.contains("code=\"bad_payload\" flaw="), "{end}");
        }
        assert!(!lines.iter().any(|line| line.contains("SECRET")), "{lines:#?}");
        let lines = Log::lines(Level::DEBUG);
        assert!(lines.iter().any(|line| line.contains("SECRET")), "{lines:#?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_speaks_another_protocol_is_logged() {
        // (what comes first, what that is called)
        let cases: [(&[u8], &str); 5] = [
            (b"GET /SECRET HTTP/1.1\r\n\r\n", "the peer speaks HTTP, not net/rpc"),
            (b"CONNECT /SECRET HTTP/1.0\r\n\r\n", "asks HTTP for another path than /_goRPC_"),
            (b"\x16\x03\x01\x02\x00SECRET", "the peer speaks TLS, not net/rpc"),
            (b"{\"method\":\"SECRET\"}", "the peer speaks JSON, not net/rpc in gob"),
            (b"SECRET\nSECRET\n", "it does not begin with a type"),
        ];
        for (sent, text) in cases {
            Log::listen();
            say(sent).await;
            let lines = Log::lines(Level::INFO);
            let [line] = &lines[..] else { panic!("{text}: {lines:#?}") };
            assert!(
                line.contains("closing the connection peer=memory error=bad_payload"),
                "{line}"
            );
            assert!(line.contains(text) && !line.contains("SECRET"), "{line}");
        }
    }
}

/// How each call that was made since [`Log::listen`] ended.
fn ends() -> Vec<String> {
    let lines = Log::lines(Level::DEBUG);
    let ends = lines.iter().filter_map(|line| line.split_once("a call ended command="));
    ends.map(|(_, end)| end.to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn the_end_of_each_call_is_logged() {
    let wait = async |text: String| {
        sleep(Duration::from_millis(text.len() as u64)).await;
        Ok::<_, Error>(text)
    };
    let endpoint = endpoint().on(FAIL, fail).on(WAIT, wait);
    let check = async |sent: &str, expected: &[&str]| {
        Log::listen();
        exchange(&endpoint, sent).await;
        assert_eq!(ends(), expected, "{sent}");
        assert_eq!(ALONE.get(), 0, "{sent}: whose call it was is not known");
    };
    check("ECHO 1 1 f=line\nxECHO\ny\n", &["ECHO code=\"ok\" time=0ns"; 2]).await;
    check("ECHO 0 1 f=line\nx", &["ECHO code=\"ok\" time=0ns"]).await;
    check("STRING\nx\n", &["STRING code=\"ok\" time=0ns"]).await;
    check("WAIT 1 3 f=line\nabc", &["WAIT code=\"ok\" time=3ms"]).await;
    check("FAIL 1 6 f=line\ncode x", &["FAIL code=\"failed\" time=0ns"]).await;
    check("FAIL\npanic x\n", &["FAIL code=\"panicked\" time=0ns"]).await;
    check("WAIT 1 3 f=line\nabc>1 cancel\n", &["WAIT code=\"cancelled\" time=0ns"]).await;
    check("WAIT 1 3 f=line t=2\nabc", &["WAIT code=\"deadline_exceeded\" time=2ms"]).await;
    check("ECHO 1 1 f=json\nx", &[]).await;
    Log::listen();
    assert_eq!(endpoint.client().call(ECHO, &"x".to_owned()).await.unwrap(), "x");
    assert_eq!(ends(), ["ECHO code=\"ok\" time=0ns"]);
}

/// Nobody gets through its handshake.
struct Guarded(transport::MemoryListener);

impl transport::Listener for Guarded {
    type Io = transport::Handshake;

    async fn accept(&mut self) -> std::io::Result<(Self::Io, transport::Peer)> {
        let (stream, peer) = self.0.accept().await?;
        let handshake = transport::Handshake::new(async move {
            drop::<MemoryStream>(stream);
            Err::<(MemoryStream, _), _>(std::io::Error::other("no luck"))
        });
        Ok((handshake, peer))
    }
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_fails_is_logged() {
    Log::listen();
    let (listener, dialer) = transport::memory_listener();
    tokio::spawn(async move { endpoint().serve(Guarded(listener)).await });
    let _stream = dialer.dial().await.unwrap();
    settle().await;
    let lines = Log::lines(Level::INFO);
    let is_told = |line: &String| line.contains("a handshake failed") && line.contains("no luck");
    assert!(lines.iter().any(is_told), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn a_missed_deadline_is_logged_at_info() {
    let limits = Limits::default().with(|limits| limits.call_time_max = Duration::from_millis(5));
    let endpoint = endpoint().with_limits(limits).on(WAIT, async |text: String| {
        sleep(Duration::from_secs(1)).await;
        Ok::<_, Error>(text)
    });
    for sent in ["WAIT 1 1 f=line\nx", "WAIT 0 1 f=line\nx", "WAIT 1 1 f=line t=2\nx", "WAIT\nx\n"]
    {
        Log::listen();
        exchange(&endpoint, sent).await;
        let lines = Log::lines(Level::INFO);
        let late = |line: &&String| line.contains("a handler missed its deadline command=WAIT");
        assert_eq!(lines.iter().filter(late).count(), 1, "{sent}: {lines:#?}");
    }
    Log::listen();
    endpoint.client().call(WAIT, &String::new()).await.unwrap_err();
    settle().await;
    assert!(Log::lines(Level::INFO)[0].contains("a handler missed its deadline command=WAIT"));
    Log::listen();
    exchange(&endpoint, "WAIT 1 1 f=line\nx>1 cancel\n").await;
    assert_eq!(Log::lines(Level::INFO).len(), 1, "the span of the connection alone");
}

/// Makes so much time pass as a thread would that is blocked.
async fn block(time: Duration) {
    let mut passing = pin!(tokio::time::advance(time));
    poll_fn(|cx| {
        let _ = passing.as_mut().poll(cx);
        Poll::Ready(())
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_holds_up_its_connection_is_logged() {
    let wait = async |text: String| {
        block(Duration::from_millis(text.len() as u64)).await;
        Ok::<_, Error>(text)
    };
    let endpoint = endpoint().on(WAIT, wait).on(FAIL, async |text: String| {
        tokio::task::yield_now().await;
        block(Duration::from_secs(1)).await;
        Ok::<_, Error>(text)
    });
    for (sent, expected) in [
        ("WAIT 1 10 f=line\n0123456789", 0),
        ("WAIT 1 11 f=line\n01234567890", 1),
        ("WAIT\n01234567890\n", 1),
        ("FAIL 1 1 f=line\nx", 0),
    ] {
        Log::listen();
        exchange(&endpoint, sent).await;
        let lines = Log::lines(Level::WARN);
        assert_eq!(lines.len(), expected, "{sent}: {lines:#?}");
        let text = "a handler held up its connection before its first await; see `blocking`";
        assert!(lines.iter().all(|line| line.contains(text)), "{lines:#?}");
        assert!(lines.iter().all(|line| line.ends_with("command=WAIT time=11ms")), "{lines:#?}");
    }

    // Whoever comes behind waits for all of them.
    let began = Instant::now();
    let slow = format!("WAIT 0 500 f=line\n{}", "x".repeat(500));
    let mut peer = Peer::new(dial(&endpoint));
    peer.send(slow.repeat(3) + "ECHO 1 1 f=line\nx").await;
    peer.expect("<1 ok 1\nx").await;
    assert_eq!(began.elapsed(), Duration::from_millis(1500));
}

/// What its caller is not told has to be told somewhere, on one line.
#[tokio::test(start_paused = true)]
async fn a_foreign_error_is_in_the_log() {
    Log::listen();
    let endpoint = Endpoint::new()
        .on(FAIL, async |_: String| Err::<String, _>(anyhow::anyhow!("the disk\nis full")));
    let told = exchange(&endpoint, "FAIL 1 0 f=line\n").await;
    assert_eq!(told, ran(1, Code::Failed, "the handler failed"));
    let expected = "command=FAIL code=\"failed\" text=\"the handler failed\" \
                    source=\"the disk\\nis full\"";
    let lines = Log::lines(Level::WARN);
    assert!(lines.len() == 1 && lines[0].contains(expected), "{lines:#?}");

    // All that it says, and nothing twice.
    Log::listen();
    let endpoint = Endpoint::new().on(FAIL, async |_: String| {
        let cause = std::io::Error::other("inode 9");
        let error = anyhow::Error::from(cause).context("reading: inode 9").context("answering");
        Err::<String, _>(error)
    });
    exchange(&endpoint, "FAIL 1 0 f=line\n").await;
    let lines = Log::lines(Level::WARN);
    assert!(lines[0].ends_with("source=\"answering: reading: inode 9\""), "{lines:#?}");
}

#[test]
fn an_error_is_printed_with_all_that_its_sources_say() {
    let cause = std::io::Error::other("inode 9");
    let error = anyhow::Error::from(cause).context("reading");
    let error = Error::new(Code::Failed, "no answer").with_source(error);
    assert_eq!(error.to_string(), "failed: no answer: reading: inode 9");

    /// Its own source.
    #[derive(Debug)]
    struct Ring;

    impl std::fmt::Display for Ring {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("round")
        }
    }

    impl std::error::Error for Ring {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&Self)
        }
    }
    assert_eq!(Error::internal(Ring).to_string(), "failed: the handler failed: round");
}

/// The words of a format may have something of the payload in them, and nothing else tells which
/// part of it was wrong.
#[tokio::test(start_paused = true)]
async fn what_a_format_says_of_a_bad_payload_is_in_the_log() {
    #[track_caller]
    fn check(told: &str, expected: &str, logged: &str) {
        assert_eq!(told, expected);
        let lines = Log::lines(Level::DEBUG);
        let refused: Vec<_> = lines.iter().filter(|line| line.contains("refused a call")).collect();
        assert!(refused.len() == 1 && refused[0].contains(logged), "{refused:#?}");
        assert!(Log::lines(Level::INFO).iter().all(|line| !line.contains("secret")));
    }
    const KIND: Command<Result<bool, ()>, ()> = Command::new("KIND");
    const NAMED: Command<Result<bool, ()>, (), Json> = Command::new("NAMED");
    let endpoint = Endpoint::new()
        .on(KIND, async |_| Ok::<_, Error>(()))
        .on(NAMED, async |_| Ok::<_, Error>(()));
    Log::listen();
    let told = exchange(&endpoint, "KIND 1 1\n\x07").await;
    let text = "the payload is not valid bincode";
    let logged = "command=KIND tag=1 code=\"bad_payload\" \
                  text=\"the payload is not valid bincode\" \
                  source=\"OtherString(\\\"invalid value: integer `7`";
    check(&told, &err(1, Code::BadPayload, text), logged);
    Log::listen();
    let told = exchange(&endpoint, "NAMED 2 15 f=json\n{\"Ok\":\"secret\"}").await;
    let text = "the payload is not valid json: ::Ok: expected true or false at line 1 column 14";
    let logged = "column 14\" source=\"invalid type: string \\\"secret\\\", expected a boolean at";
    check(&told, &err(2, Code::BadPayload, text), logged);
    #[cfg(feature = "postcard")]
    {
        const SMALL: Command<(u16, bool), (), Postcard> = Command::new("SMALL");
        let endpoint = Endpoint::new().on(SMALL, async |_| Ok::<_, Error>(()));
        Log::listen();
        let told = exchange(&endpoint, "SMALL 3 2 f=postcard\n\x05\x07").await;
        let logged = "command=SMALL tag=3 code=\"bad_payload\" \
                      text=\"the payload is not valid postcard\" \
                      source=\"Found a bool that wasn't 0 or 1 at byte 2\"";
        check(&told, &err(3, Code::BadPayload, "the payload is not valid postcard"), logged);
    }
}

#[tokio::test(start_paused = true)]
async fn refused_one_way_calls_are_logged_once_a_second() {
    Log::listen();
    let mut peer = Peer::new(dial(&endpoint()));
    for _ in 0..3 {
        peer.send("NOPE 0 1\na".repeat(10)).await;
        settle().await;
    }
    tokio::time::advance(Duration::from_millis(999)).await;
    peer.send("NOPE 0 1\na").await;
    settle().await;
    tokio::time::advance(Duration::from_millis(1)).await;
    peer.send("NOPE 0 1\naECHO 1 1 f=line\na").await;
    peer.expect("<1 ok 1\na").await;
    let lines = Log::lines(Level::WARN);
    let [first, second] = &lines[..] else { panic!("{lines:?}") };
    assert!(first.ends_with("peer=unknown calls=10"), "{first}");
    assert!(second.ends_with("peer=unknown calls=22"), "{second}");
}

/// What a handler keeps from its caller is in the log.
#[tokio::test(start_paused = true)]
async fn the_cause_of_an_error_that_is_passed_on_is_logged() {
    Log::listen();
    const ASK: Command<(), u32> = Command::new("ASK");
    let endpoint = Endpoint::new().on(ASK, async |(), context: Context| {
        context.client().call(ADD, &(1, 2)).await.map_err(Error::pass_on)
    });
    let error = endpoint.client().call(ASK, &()).await.unwrap_err();
    let text = "the handler calls its caller back, and there is no way back";
    assert_eq!((error.code(), error.text()), (Code::Failed, text));
    let lines = Log::lines(Level::WARN);
    let cause = "ADD: unknown_command: ADD cannot be called: there is no way back";
    assert!(lines.len() == 1 && lines[0].contains("a handler failed"), "{lines:#?}");
    assert!(lines[0].contains(cause), "{lines:#?}");
    // An answer of the callee is passed on whole.
    Log::listen();
    let (here, there) = transport::memory();
    tokio::spawn(async move { endpoint.serve_stream(there).await });
    let client = Endpoint::new().connect_over(here);
    let error = client.call(ASK, &()).await.unwrap_err();
    assert_eq!(error.code(), Code::UnknownCommand);
    assert_eq!(Log::lines(Level::WARN), [""; 0]);
}

/// A caller that gives a stream up is no failure of its handler.
#[tokio::test(start_paused = true)]
async fn a_stream_that_is_given_up_is_no_warning() {
    Log::listen();
    const TAIL: Command<(), Streamed<u32>> = Command::new("TAIL").endless();
    async fn tail((): (), out: Sender<u32>) -> Result<(), Error> {
        loop {
            out.send(&7).await?;
        }
    }
    let endpoint = Endpoint::new().on(TAIL, tail);
    let mut request = Request::new("TAIL", "").unwrap();
    let pipe = Pipe::of(&mut request);
    let mut answer = pin!(endpoint.door().call(request));
    assert!(poll_fn(|cx| Poll::Ready(answer.as_mut().poll(cx))).await.is_pending());
    // Its answer is still waited for, so the handler learns of it by its next item.
    drop(pipe);
    assert_eq!(answer.await.unwrap_err().code(), Code::Cancelled);
    assert_eq!(Log::lines(Level::WARN), [""; 0]);
}
