//! Every code, provoked over a real wire.

use std::collections::HashSet;
use std::time::Duration;

use switchboard::{Client, Code, Command, Endpoint, Error, Limits, Result, transport};

use super::support::*;

const DENY: Command<(), ()> = Command::new("DENY");
const FAIL: Command<(), ()> = Command::new("FAIL");
const PANIC: Command<(), ()> = Command::new("PANIC");
const NOPE: Command<(), ()> = Command::new("NOPE");
/// What the other side takes for an `ADD` of numbers.
const WRONG_ADD: Command<String, u32> = Command::new("ADD");
/// What the other side speaks in bincode.
const LINE_STOCK: Command<String, String, switchboard::format::Line> = Command::new("STRING");

#[tokio::test]
async fn every_code_comes_over_a_real_wire() {
    let held = Held::new();
    let limits = Limits::default().with(|limits| {
        limits.payload_bytes_max = 1000;
        limits.blocking_calls_max = 0;
        limits.linger_time_max = Duration::from_millis(10);
    });
    const BLOCK: Command<(), ()> = Command::new("BLOCK");
    const SAY: Command<String, ()> = Command::new("SAY");
    let endpoint = held
        .on(endpoint())
        .with_limits(limits)
        .on(DENY, async |(): ()| Err::<(), _>(Error::new(Code::Denied, "no")))
        .on(SAY, async |word: String| {
            Err::<(), _>(Error::new(word.parse().expect("a code"), "as it was asked for"))
        })
        .on(FAIL, async |(): ()| Err::<(), _>("no"))
        .on(PANIC, |(): ()| -> std::future::Ready<Result<()>> { panic!("on purpose") })
        .on(BLOCK, switchboard::blocking(|(): ()| Ok::<_, Error>(())));
    let listener = transport::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_address().unwrap().to_string();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serve = tokio::spawn(async move { endpoint.serve_until(listener, stopped).await });

    let client = Client::connect(&address).await.unwrap();
    let mut seen = HashSet::new();
    let mut check = |code: Code, result: Result<()>| {
        let error = result.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(seen.insert(code), "{code} comes twice");
    };
    check(Code::UnknownCommand, client.call(NOPE, &()).await);
    check(Code::BadPayload, client.call(WRONG_ADD, &String::new()).await.map(drop));
    check(Code::TooLarge, client.call(ECHO, &"x".repeat(1001)).await.map(drop));
    check(Code::UnsupportedFormat, client.call(LINE_STOCK, &"x".into()).await.map(drop));
    let call = client.call(HOLD, &"x".into()).timeout(Duration::from_millis(5));
    check(Code::DeadlineExceeded, call.await.map(drop));
    check(Code::Overloaded, client.call(BLOCK, &()).await);
    check(Code::Denied, client.call(DENY, &()).await);
    for code in [Code::Invalid, Code::NotFound, Code::Conflict, Code::Unauthenticated] {
        check(code, client.call(SAY, &code.to_string()).await);
    }
    check(Code::Failed, client.call(FAIL, &()).await);
    check(Code::Panicked, client.call(PANIC, &()).await);

    // Those that take bytes of one's own.
    let dial = async || Peer::new(tokio::net::TcpStream::connect(&address).await.unwrap());
    let mut peer = dial().await;
    peer.send("HOLD 1 1 f=line\na>1 cancel\n\n").await;
    check(Code::Cancelled, told(&peer.next().await.unwrap()));
    check(Code::Protocol, told(&peer.next().await.unwrap()));
    let mut peer = dial().await;
    peer.send("ECHO 1 1 f=line\na").await;
    peer.expect("<1 ok 1\na").await;
    stop.send(()).unwrap();
    check(Code::ShuttingDown, told(&peer.next().await.unwrap()));
    drop(peer);
    serve.await.unwrap().unwrap();
    drop(client);
    let refused = Endpoint::new().connect(&address).await;
    check(Code::Disconnected, refused.map(drop));

    assert_eq!(seen, Code::ALL.iter().copied().collect());
}

/// The code of an error reply, which is the fourth word of its line.
fn told(reply: &str) -> Result<()> {
    let line = reply.lines().next().unwrap();
    let code = Code::from_wire(line.split(' ').nth(3).unwrap().as_bytes()).unwrap();
    Err(Error::new(code, "told"))
}

/// What a notice says beside its text is no part of the text, and its time is told.
#[tokio::test(start_paused = true)]
async fn a_notice_says_when_to_call_again() {
    let (client, mut peer) = client_and_peer();
    peer.send("<0 err 7 overloaded d=3 retry=1500\nfullabc").await;
    peer.send("<0 ok 0\n").await;
    settle().await;
    let error = client.call(ECHO, &"a".to_owned()).await.unwrap_err();
    assert_eq!((error.code(), error.text()), (Code::Overloaded, "full"));
    assert_eq!(error.retry_after(), Some(Duration::from_millis(1500)));
}
