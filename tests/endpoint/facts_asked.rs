//! What a command says of itself, kept by the side that asks: over a connection, and over channels
//! before it.

use std::time::Duration;

use switchboard::format::Line;
use switchboard::transport::MemoryStream;
use switchboard::{Client, Code, Command, Endpoint, Error, Fault};
use tokio::time::Instant;

use super::support::*;

const LARGE: Command<String, String, Line> = Command::new("LARGE").payload_bytes_max(16);
const SMALL: Command<String, String, Line> = Command::new("SMALL").payload_bytes_max(4);
const SLOW: Command<String, String, Line> = Command::new("SLOW").timeout(Duration::from_secs(60));
const QUICK: Command<String, String, Line> = Command::new("QUICK").timeout(SECOND);

const FULL: &str = "0123456789abcdef";

/// A client with 8 bytes for a payload, 2 s for a call and 10 s for a body; straight, or behind a
/// channel.
fn client_and_peer(is_behind: bool) -> (Client, Peer<MemoryStream>) {
    let endpoint = limited(|limits| {
        limits.payload_bytes_max = 8;
        limits.call_time_max = 2 * SECOND;
        limits.body_time_max = 10 * SECOND;
    });
    let (client, peer) = client_and_peer_of(&endpoint);
    (if is_behind { Client::over(Through(client)) } else { client }, peer)
}

/// A call with `request`, and the reply to it; what came of it, or the text of the error.
async fn check_sizes(
    command: Command<String, String, Line>,
    request: &str,
    reply: &str,
    expected: Result<(), &str>,
) {
    for is_behind in [false, true] {
        let (client, mut peer) = client_and_peer(is_behind);
        let call = tokio::spawn(client.call(command, &request.to_owned()));
        if !is_refused_here(command, request) {
            let name = command.name();
            peer.expect(&format!("{name} 1 {} f=line\n{request}", request.len())).await;
            peer.send(format!("<1 ok {}\n{reply}", reply.len())).await;
        }
        let got = within(call).await.unwrap();
        let what = format!("{command:?} {request} {reply} {is_behind}");
        match expected {
            Ok(()) => assert_eq!(got.unwrap(), reply, "{what}"),
            Err(text) => {
                let error = got.unwrap_err();
                assert_eq!((error.code(), error.text()), (Code::TooLarge, text), "{what}");
                let is_here = is_refused_here(command, request);
                assert_eq!(error.was_sent(), !is_here, "{what}");
                assert_eq!(error.fault() == Fault::Callee, !is_here, "{what}");
            }
        }
    }

    fn is_refused_here(command: Command<String, String, Line>, request: &str) -> bool {
        request.len() > command.facts().payload_bytes_max().unwrap_or(8)
    }
}

#[tokio::test(start_paused = true)]
async fn payloads_may_be_as_large_as_their_command_says() {
    check_sizes(LARGE, FULL, FULL, Ok(())).await;
    let text = "a payload of 17 bytes is over payload_bytes_max of its command (16)";
    check_sizes(LARGE, "0123456789abcdefg", "", Err(text)).await;
    check_sizes(LARGE, FULL, "0123456789abcdefg", Err(text)).await;
    check_sizes(SMALL, "0123", "0123", Ok(())).await;
    let text = "a payload of 5 bytes is over payload_bytes_max of its command (4)";
    check_sizes(SMALL, "01234", "", Err(text)).await;
    check_sizes(SMALL, "0123", "01234", Err(text)).await;
    check_sizes(ECHO, "01234567", "01234567", Ok(())).await;
    let text = "a payload of 9 bytes is over payload_bytes_max (8)";
    check_sizes(ECHO, "012345678", "", Err(text)).await;
    check_sizes(ECHO, "01234567", "012345678", Err(text)).await;
}

#[tokio::test(start_paused = true)]
async fn the_reply_to_one_call_may_be_large_and_that_to_its_neighbour_not() {
    let (client, mut peer) = client_and_peer(false);
    let (large, echo) = (client.call(LARGE, &"a".to_owned()), client.call(ECHO, &"b".to_owned()));
    let calls = tokio::spawn(async move { tokio::join!(large, echo) });
    peer.expect("LARGE 1 1 f=line\na").await;
    peer.expect("ECHO 2 1 f=line\nb").await;
    peer.send(format!("<2 ok 16\n{FULL}<1 ok 16\n{FULL}")).await;
    let (large, echo) = within(calls).await.unwrap();
    assert_eq!(large.unwrap(), FULL);
    let text = "a payload of 16 bytes is over payload_bytes_max (8)";
    assert_eq!(echo.unwrap_err().text(), text);
    // Its tag is a tag like any other afterwards.
    for tag in 3..=4 {
        let call = client.call(ECHO, &"c".to_owned());
        let call = tokio::spawn(call);
        peer.expect(&format!("ECHO {tag} 1 f=line\nc")).await;
        peer.send(format!("<{tag} ok 16\n{FULL}")).await;
        assert_eq!(within(call).await.unwrap().unwrap_err().text(), text);
    }
}

/// The text of an error is not a payload of the command.
#[tokio::test(start_paused = true)]
async fn an_error_may_be_longer_than_the_payloads_of_its_command() {
    let (client, mut peer) = client_and_peer(false);
    let call = tokio::spawn(client.call(SMALL, &"a".to_owned()));
    peer.expect("SMALL 1 1 f=line\na").await;
    peer.send("<1 err 8 denied ran=1\n01234567").await;
    let error = within(call).await.unwrap().unwrap_err();
    assert_eq!((error.code(), error.text()), (Code::Denied, "01234567"));
}

#[tokio::test(start_paused = true)]
async fn a_large_reply_has_more_time() {
    let check =
        async |command: Command<String, String, Line>, len: usize, seconds: u64, text: &str| {
            let (client, mut peer) = client_and_peer(false);
            let call = tokio::spawn(client.call(command, &"a".to_owned()).timeout(100 * SECOND));
            peer.next().await.unwrap();
            peer.send(format!("<1 ok {len}\n0")).await;
            let begun = Instant::now();
            assert_eq!(peer.expect_error(0, Code::DeadlineExceeded).await, text);
            assert_eq!(begun.elapsed(), Duration::from_secs(seconds));
            within(call).await.unwrap().unwrap_err();
        };
    let text = "a body took longer than body_time_max of its command (20s)";
    check(LARGE, 16, 20, text).await;
    let text = "a body took longer than body_time_max (10s)";
    check(SMALL, 4, 10, text).await;
    check(ECHO, 8, 10, text).await;
}

/// What the peer is told of the time, and when the call ends.
async fn check_time(
    command: Command<String, String, Line>,
    time: Option<Duration>,
    told: &str,
    ends_ms: u64,
    text: &str,
) {
    for is_behind in [false, true] {
        let (client, mut peer) = client_and_peer(is_behind);
        let begun = Instant::now();
        let call = tokio::spawn(async move {
            let call = client.call(command, &"a".to_owned());
            match time {
                Some(time) => call.timeout(time).await,
                None => call.await,
            }
        });
        peer.expect(&format!("{} 1 1 f=line{told}\na", command.name())).await;
        peer.expect(">1 cancel\n").await;
        let error = call.await.unwrap().unwrap_err();
        assert_eq!(error.code(), Code::DeadlineExceeded);
        assert_eq!(error.text(), text, "{is_behind}");
        assert_eq!(begun.elapsed().as_millis(), u128::from(ends_ms));
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_has_the_time_that_its_command_says_unless_its_caller_says_otherwise() {
    let text = "no reply came within the timeout of its command (60s)";
    check_time(SLOW, None, " t=60000", 60_000, text).await;
    let text = "no reply came within the timeout of its command (1s)";
    check_time(QUICK, None, " t=1000", 1000, text).await;
    let text = "no reply came in time";
    check_time(SLOW, Some(SECOND / 2), " t=500", 500, text).await;
    check_time(QUICK, Some(7 * SECOND), " t=7000", 7000, text).await;
    check_time(ECHO, None, "", 2000, "no reply came within call_time_max (2s)").await;
    check_time(LARGE, None, "", 2000, "no reply came within call_time_max (2s)").await;
}

#[tokio::test(start_paused = true)]
async fn a_one_way_call_is_as_large_as_its_command_says_and_tells_no_time() {
    const NOTE: Command<String, String, Line> =
        Command::new("NOTE").timeout(SECOND).payload_bytes_max(16);
    for is_behind in [false, true] {
        let (client, mut peer) = client_and_peer(is_behind);
        client.notify(NOTE, &FULL.to_owned()).await.unwrap();
        peer.expect(&format!("NOTE 0 16 f=line\n{FULL}")).await;
        let error = client.notify(NOTE, &"0123456789abcdefg".to_owned()).await.unwrap_err();
        let text = "a payload of 17 bytes is over payload_bytes_max of its command (16)";
        assert_eq!(error.text(), text);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_is_decoded_within_what_its_command_may_take() {
    const WIDE: Command<u8, Vec<Option<[u64; 32]>>> = Command::new("WIDE");
    const WIDE_LARGE: Command<u8, Vec<Option<[u64; 32]>>> =
        Command::new("WIDE").payload_bytes_max(400);
    let endpoint = limited(|limits| {
        limits.payload_bytes_max = 100;
        limits.decode_bytes_max = 2048;
    });
    let check = async |command: Command<u8, Vec<Option<[u64; 32]>>>, text: &str| {
        let (client, mut peer) = client_and_peer_of(&endpoint);
        let call = tokio::spawn(client.call(command, &1));
        peer.expect("WIDE 1 1\n\u{1}").await;
        peer.send(format!("<1 ok 17\n\u{10}{}", "\0".repeat(16))).await;
        let got = within(call).await.unwrap();
        let error = got.map(|list| assert_eq!(list.len(), 16)).err();
        assert!(error.map_or(text.is_empty(), |error| error.text().contains(text)));
    };
    check(WIDE, "decode_bytes_max (2048)").await;
    check(WIDE_LARGE, "").await;
}

#[tokio::test(start_paused = true)]
async fn calls_within_a_process_keep_the_facts_of_their_caller() {
    // The handlers are registered by constants that say nothing.
    let slow = Command::<String, String, Line>::new("SLOW");
    let small = Command::<String, String, Line>::new("SMALL");
    let endpoint = Endpoint::new()
        .on(small, async |text: String| Ok::<_, Error>(text.repeat(2)))
        .on(slow, async |_: String| std::future::pending::<Result<String, Error>>().await);
    let client = endpoint.client();
    assert_eq!(client.call(SMALL, &"01".to_owned()).await.unwrap(), "0101");
    let error = client.call(SMALL, &"012".to_owned()).await.unwrap_err();
    let text = "a payload of 6 bytes is over payload_bytes_max of its command (4)";
    assert_eq!((error.code(), error.text()), (Code::TooLarge, text));
    let quick = Command::<String, String, Line>::new("SLOW").timeout(SECOND);
    let begun = Instant::now();
    let error = client.call(quick, &String::new()).await.unwrap_err();
    assert_eq!((error.code(), begun.elapsed()), (Code::DeadlineExceeded, SECOND));
    // A longer time of the caller's is not the handler's.
    let error = client.call(SLOW, &String::new()).await.unwrap_err();
    assert_eq!(error.text(), "the handler did not answer within call_time_max (30s)");
}

#[tokio::test(start_paused = true)]
async fn a_large_command_passes_from_end_to_end() {
    const HUGE: Command<String, String, Line> =
        Command::new("HUGE").payload_bytes_max(8 * 1024 * 1024);
    let endpoint = Endpoint::new().on(HUGE, async |text: String| Ok::<_, Error>(text));
    let huge = "x".repeat(8 * 1024 * 1024);
    let client = client(&endpoint);
    for client in [client.clone(), Client::over(Through(client)), endpoint.client()] {
        let reply = within(client.call(HUGE, &huge)).await.unwrap();
        assert!(reply == huge);
    }
}
