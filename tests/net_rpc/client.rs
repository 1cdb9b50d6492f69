//! Calls of ours to a server of net/rpc: to our own, to one that misbehaves, and to Go's.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use switchboard::format::{Gob, Line};
use switchboard::service::{Reply, Request, Service};
use switchboard::transport::{self, MemoryStream};
use switchboard::{Client, Code, Command, Connection, Endpoint, Error, Limits, with_state};
use switchboard_gob::{Decoder, Encoder, Value};
use switchboard_testing::go_programs;
use switchboard_testing::gob_bytes::{INT, INTERFACE, int, message, structure};
use switchboard_testing::hex::to_hex;
use switchboard_testing::waiting::within;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::Child;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::endpoint::{Args, ComplexData, HOLD, Hold, Quotient, endpoint};

const MULTIPLY: Command<Args, i64, Gob> = Command::new("Arith.Multiply");
const DIVIDE: Command<Args, Quotient, Gob> = Command::new("Arith.Divide");
const SLOW: Command<i64, i64, Gob> = Command::new("Arith.Slow");
const LETTERS: Command<u64, String, Gob> = Command::new("Echo.Letters");
const COUNT: Command<String, u64, Gob> = Command::new("Echo.Count");
const NOTHING: Command<i64, i64, Gob> = Command::new("Arith.Nothing");

/// A client of a server that serves this endpoint.
fn client_of(endpoint: Endpoint, change: impl FnOnce(&mut Limits)) -> Client {
    let (here, there) = transport::memory();
    tokio::spawn(async move {
        let mut connection = Connection::connect_over(there);
        let _ = switchboard::gob::net_rpc(&mut connection, &endpoint.door()).await;
        let _ = connection.finish().await;
    });
    Endpoint::new().with_limits(Limits::default().with(change)).connect_net_rpc_over(here)
}

#[tokio::test]
async fn commands_are_called_as_usual() {
    let client = client_of(endpoint(), |_| ());
    assert_eq!(client.call(MULTIPLY, &Args { a: 7, b: 8 }).await.unwrap(), 56);
    let quotient = client.call(DIVIDE, &Args { a: 17, b: 5 }).await;
    assert_eq!(quotient.unwrap(), Quotient { quo: 3, rem: 2 });
    // (what fails, its text)
    let error = client.call(DIVIDE, &Args { a: 1, b: 0 }).await.unwrap_err();
    assert_eq!((error.code(), error.text()), (Code::Failed, "divide by zero"));
    assert!(error.is_from_peer() && error.was_sent() && !error.is_safe_to_retry());
    assert_eq!(error.to_string(), "Arith.Divide: the peer answered failed: divide by zero");
    let error = client.call(NOTHING, &1).await.unwrap_err();
    assert_eq!(error.text(), "rpc: can't find method Arith.Nothing");
    assert!(error.is_from_peer());
    assert_eq!(client.call(MULTIPLY, &Args { a: 7, b: 9 }).await.unwrap(), 63);
    within(client.close()).await;
}

#[tokio::test]
async fn sixty_four_calls_are_in_flight_and_end_in_any_order() {
    let hold = Arc::new(Hold::default());
    let client = client_of(endpoint().on(HOLD, with_state(&hold, Hold::on)), |_| ());
    let calls: BTreeMap<_, _> =
        (0..64).map(|number| (number, tokio::spawn(client.call(HOLD, &number)))).collect();
    hold.wait_for(64).await;
    for (number, call) in calls.into_iter().rev() {
        hold.let_go(number);
        assert_eq!(within(call).await.unwrap().unwrap(), number);
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_lets_calls_under_way_finish() {
    let client = client_of(endpoint(), |_| ());
    let call = tokio::spawn(client.call(SLOW, &5000));
    sleep(Duration::from_secs(1)).await;
    let closing = client.clone();
    let closed = tokio::spawn(closing.close());
    sleep(Duration::from_secs(1)).await;
    assert!(client.is_closed() && !closed.is_finished());
    let error = client.call(SLOW, &1).await.unwrap_err();
    assert_eq!((error.code(), error.text()), (Code::ShuttingDown, "the client is closed"));
    assert!(!error.was_sent() && error.is_safe_to_retry());
    assert_eq!(call.await.unwrap().unwrap(), 5000);
    closed.await.unwrap();
    client.closed().await;
}

#[tokio::test(start_paused = true)]
async fn a_close_waits_for_drain_time_max_and_not_for_calls_that_were_given_up() {
    let client = client_of(endpoint(), |_| ());
    let call = tokio::spawn(client.call(SLOW, &25_000));
    sleep(Duration::from_secs(1)).await;
    let begun = Instant::now();
    client.clone().close().await;
    assert_eq!(begun.elapsed(), Limits::default().drain_time_max);
    let error = call.await.unwrap().unwrap_err();
    assert_eq!(error.code(), Code::Cancelled);
    assert!(error.text().contains("drain_time_max (10s)"), "{error}");
    assert!(error.was_sent() && !error.is_safe_to_retry());

    let client = client_of(endpoint(), |_| ());
    let call = tokio::spawn(client.call(SLOW, &25_000));
    sleep(Duration::from_secs(1)).await;
    call.abort();
    let begun = Instant::now();
    client.close().await;
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn the_last_client_that_is_dropped_closes_the_connection() {
    let (here, mut there) = transport::memory();
    let client = Endpoint::new().connect_net_rpc_over(here);
    let call = client.call(SLOW, &5000);
    drop(client);
    let call = tokio::spawn(call);
    let mut room = [0; 1000];
    let count = there.read(&mut room).await.unwrap();
    assert!(count > 0, "the call that it made is sent");
    sleep(Duration::from_secs(1)).await;
    call.abort();
    assert_eq!(there.read(&mut room).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_a_call_and_its_reply_is_dropped_when_it_comes() {
    let client = client_of(endpoint(), |limits| limits.calls_per_connection_max = 1);
    let begun = Instant::now();
    let call = client.call(SLOW, &5000).timeout(Duration::from_secs(1));
    let error = call.await.unwrap_err();
    assert_eq!((error.code(), error.text()), (Code::DeadlineExceeded, "no reply came in time"));
    assert!(error.was_sent());
    // It has its place until then.
    let call = client.call(MULTIPLY, &Args { a: 7, b: 8 }).timeout(Duration::from_secs(1));
    let error = call.await.unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded);
    assert!(!error.was_sent(), "{error}");
    assert_eq!(client.call(MULTIPLY, &Args { a: 7, b: 8 }).await.unwrap(), 56);
    assert_eq!(begun.elapsed(), Duration::from_secs(5));
    let error = client.call(SLOW, &60_000).await.unwrap_err();
    assert_eq!(error.text(), "no reply came within call_time_max (30s)");
    const SOON: Command<i64, i64, Gob> =
        Command::new("Arith.Slow").timeout(Duration::from_millis(10));
    let client = client_of(endpoint(), |_| ());
    let error = client.call(SOON, &60_000).await.unwrap_err();
    assert_eq!(error.text(), "no reply came in time");
    // A request that is made by hand has its time as well.
    let request = Request::new("Arith.Slow", [5, 4, 0, 0xfe, 0x75, 0x30].as_slice()).unwrap();
    let request = request.with_format("gob").unwrap();
    let error = ask(&client, request.with_timeout(Duration::from_secs(2))).await;
    assert_eq!(error.unwrap_err().text(), "no reply came in time");
}

/// The untyped call.
async fn ask(client: &Client, request: Request) -> Result<Reply, Error> {
    Service::call(client, request).await
}

#[tokio::test]
async fn what_is_no_gob_is_not_sent() {
    const OTHER: Command<String, String, Line> = Command::new("Arith.Slow");
    let client = client_of(endpoint(), |limits| limits.payload_bytes_max = 1000);
    let by_hand = || Request::new("Arith.Slow", "1").unwrap();
    for _ in 0..2 {
        let error = client.call(OTHER, &"text".to_owned()).await.unwrap_err();
        check_unsent(&error, Code::UnsupportedFormat, "net/rpc speaks gob, not line");
        let error = ask(&client, by_hand()).await.unwrap_err();
        check_unsent(&error, Code::UnsupportedFormat, "net/rpc speaks gob, not bincode");
        let error = ask(&client, by_hand().with_format("gob").unwrap()).await.unwrap_err();
        check_unsent(&error, Code::BadPayload, "the argument of a call by net/rpc is no gob");
        assert_eq!(client.call(MULTIPLY, &Args { a: 7, b: 8 }).await.unwrap(), 56);
    }
    let error = ask(&client, Request::new("A", vec![0; 1001]).unwrap()).await.unwrap_err();
    let text = "a payload of 1001 bytes is over payload_bytes_max (1000)";
    check_unsent(&error, Code::TooLarge, text);
}

#[track_caller]
fn check_unsent(error: &Error, code: Code, text: &str) {
    assert_eq!((error.code(), error.text(), error.was_sent()), (code, text, false));
}

#[tokio::test]
async fn a_reply_that_is_too_large_is_an_error_of_its_call() {
    const LARGE: Command<u64, String, Gob> =
        Command::new("Echo.Letters").payload_bytes_max(100_000);
    let client = client_of(endpoint(), |limits| limits.payload_bytes_max = 1000);
    for letters in [1100, 50_000] {
        let error = client.call(LETTERS, &letters).await.unwrap_err();
        assert_eq!(error.code(), Code::TooLarge);
        assert!(error.text().ends_with("is over payload_bytes_max (1000)"), "{error}");
        assert!(error.was_sent());
        assert_eq!(client.call(LETTERS, &3).await.unwrap(), "xxx");
        let reply = client.call(LARGE, &letters).await.unwrap();
        assert_eq!(reply.len() as u64, letters);
    }
    let error = client.call(LARGE, &100_001).await.unwrap_err();
    assert!(error.text().ends_with("of its command (100000)"), "{error}");
    let client = client_of(endpoint(), |limits| limits.held_bytes_max = 10_000);
    let error = client.call(LETTERS, &20_000).await.unwrap_err();
    assert!(error.text().contains("held_bytes_max (10000)"), "{error}");
    assert!(!error.is_safe_to_retry());
}

#[tokio::test]
async fn a_payload_may_have_more_bytes_than_gob_has_by_default() {
    const HUGE: Command<String, String, Gob> = Command::new("Echo.Huge").payload_bytes_max(1 << 25);
    let client = client_of(endpoint().on(HUGE, async |text| Ok::<_, Error>(text)), |_| ());
    let same = within(client.call(HUGE, &"x".repeat(20 << 20))).await.unwrap();
    assert_eq!(same.len(), 20 << 20);
}

#[tokio::test(start_paused = true)]
async fn no_more_is_sent_than_there_is_room_for() {
    let (here, mut there) = transport::memory();
    let limits = Limits::default().with(|limits| limits.unwritten_bytes_max = 1000);
    let client = Endpoint::new().with_limits(limits).connect_net_rpc_over(here);
    let text = "x".repeat(100_000);
    let mut calls = Vec::new();
    for _ in 0..10 {
        calls.push(tokio::spawn(client.notify(COUNT, &text)));
        sleep(Duration::from_millis(1)).await;
    }
    // One is being written, and one waits for that.
    let taken = calls.iter().filter(|call| call.is_finished()).count();
    assert!((1..=3).contains(&taken), "{taken}");
    assert!(tokio::time::timeout(Duration::from_secs(1), client.flush()).await.is_err());
    let mut bytes = 0;
    let mut room = vec![0; 10_000];
    while bytes < 1_000_000 {
        bytes += there.read(&mut room).await.unwrap();
    }
    for call in calls {
        call.await.unwrap().unwrap();
    }
    let reading = tokio::spawn(async move { while there.read(&mut room).await.unwrap() > 0 {} });
    client.flush().await.unwrap();
    client.close().await;
    reading.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_read_is_given_up() {
    let (here, _there) = transport::memory();
    let client = Endpoint::new().connect_net_rpc_over(here);
    let begun = Instant::now();
    let text = "x".repeat(500_000);
    let error = client.call(COUNT, &text).await.unwrap_err();
    assert_eq!(error.code(), Code::Disconnected);
    assert!(error.text().contains("write_time_max (10s)"), "{error}");
    assert!(error.was_sent());
    assert_eq!(begun.elapsed(), Limits::default().write_time_max);
    let error = client.call(COUNT, &text).await.unwrap_err();
    assert!(!error.was_sent() && error.code() == Code::Disconnected, "{error}");
}

#[tokio::test]
async fn both_sides_may_write_at_once() {
    const ECHO: Command<String, String, Gob> = Command::new("Echo.Text");
    let endpoint = endpoint().on(ECHO, async |text: String| Ok::<_, Error>(text));
    let client = client_of(endpoint, |_| ());
    let text = "x".repeat(500_000);
    let calls: Vec<_> = (0..8).map(|_| tokio::spawn(client.call(ECHO, &text))).collect();
    for call in calls {
        assert_eq!(within(call).await.unwrap().unwrap().len(), 500_000);
    }
}

/// What a connection remembers of types has an end; the calls of sound ones have none.
#[tokio::test]
async fn calls_may_have_any_number_of_types() {
    let (here, mut there) = transport::memory();
    let limits = Limits::default().with(|limits| limits.calls_per_connection_max = 1200);
    let client = Endpoint::new().with_limits(limits).connect_net_rpc_over(here);
    let server = tokio::spawn(async move {
        let mut received = Vec::new();
        there.read_to_end(&mut received).await.unwrap();
        received
    });
    for number in 0..1200 {
        let payload = [
            message(&structure(70, &[(format!("F{number}"), INT)])),
            message(&[int(70), vec![1, 14, 0]].concat()),
        ];
        let request = Request::new("Arith.Any", payload.concat()).unwrap();
        let request = request.with_format("gob").unwrap().one_way();
        Service::call(&client, request).await.unwrap_or_else(|error| panic!("{number}: {error}"));
    }
    client.close().await;
    let (received, mut count) = (server.await.unwrap(), 0);
    let mut limits = switchboard_gob::Limits::default();
    limits.definitions_max = usize::MAX;
    let (mut decoder, mut rest) = (Decoder::with_limits(limits), &*received);
    while decoder.read::<Value>(&mut rest).unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, 2 * 1200);
}

// --- a server that misbehaves ---

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Response {
    service_method: String,
    seq: u64,
    error: String,
}

/// A client, and a call of it that has been sent, with the server's end.
async fn asking(
    change: impl FnOnce(&mut Limits),
) -> (Client, JoinHandle<Result<i64, Error>>, MemoryStream) {
    let (here, mut there) = transport::memory();
    let limits = Limits::default().with(change);
    let client = Endpoint::new().with_limits(limits).connect_net_rpc_over(here);
    let call = tokio::spawn(client.call(SLOW, &1));
    let (mut decoder, mut values) = (Decoder::new(), 0);
    while values < 2 {
        let byte = [there.read_u8().await.unwrap()];
        values += u8::from(decoder.push(&byte).unwrap().is_complete);
    }
    (client, call, there)
}

fn response(encoder: &mut Encoder, seq: u64, error: &str) -> Vec<u8> {
    let (service_method, mut out) = ("Arith.Slow".to_owned(), Vec::new());
    let response = Response { service_method, seq, error: error.to_owned() };
    encoder.encode(&response, &mut out).unwrap();
    out
}

/// What is sent ends the connection; the call under way may have run, and says why it ended.
async fn check_end(sent: Vec<u8>, code: Code, text: &str) {
    for is_whole in [true, false] {
        let (client, call, mut there) = asking(|limits| {
            limits.payload_bytes_max = 1000;
            limits.net_rpc_definition_bytes_max = 300;
        })
        .await;
        for piece in sent.chunks(if is_whole { sent.len().max(1) } else { 1 }) {
            let _ = there.write_all(piece).await;
        }
        there.shutdown().await.unwrap();
        let error = within(call).await.unwrap().unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.text().contains(text), "{error}, expected {text}");
        assert!(error.was_sent() && !error.is_safe_to_retry());
        within(client.closed()).await;
        let error = client.call(SLOW, &2).await.unwrap_err();
        assert_eq!(error.code(), Code::Disconnected);
        assert!(!error.was_sent() && error.text().starts_with("the connection ended: "), "{error}");
        assert!(client.flush().await.is_ok(), "all that was handed over is written");
    }
}

#[tokio::test]
async fn why_the_connection_ended_is_told_to_the_calls_under_way() {
    let header = |error| response(&mut Encoder::new(), 0, error);
    let lost = Code::Disconnected;
    check_end(Vec::new(), lost, "the server has closed it").await;
    check_end(header(""), lost, "between a Response and its reply").await;
    check_end(header("")[..20].to_vec(), lost, "ended in the middle of a payload").await;
    check_end(b"HTTP/1.0 400 Bad Request\r\n\r\n".to_vec(), lost, "ended: ").await;
    check_end(b"<0 err 0 overloaded\n".to_vec(), lost, "ended: ").await;
    let wide: Vec<_> = (0..100).map(|number| (format!("X{number}"), 2)).collect();
    let types = [header(""), message(&structure(99, &wide))].concat();
    check_end(types, Code::TooLarge, "net_rpc_definition_bytes_max (300)").await;
    let interface = message(&structure(99, &[("X", INTERFACE)]));
    let value = message(&[int(99), vec![1; 2000]].concat());
    let value = [header(""), interface, value].concat();
    check_end(value, Code::TooLarge, "payload_bytes_max (1000)").await;
    let text = switchboard_gob::to_vec(&"text".to_owned()).unwrap();
    check_end([text.clone(), text].concat(), lost, "ended: ").await;
}

#[tokio::test]
async fn a_reply_that_nobody_waits_for_is_dropped() {
    let (client, call, mut there) = asking(|_| ()).await;
    let mut encoder = Encoder::new();
    for (seq, number) in [(7, 1_i64), (7, 2), (0, 42), (0, 43)] {
        let mut sent = response(&mut encoder, seq, "");
        encoder.encode(&number, &mut sent).unwrap();
        there.write_all(&sent).await.unwrap();
    }
    assert_eq!(within(call).await.unwrap().unwrap(), 42);
    assert!(!client.is_closed());
}

#[tokio::test]
async fn the_text_of_a_server_is_no_danger_to_a_terminal() {
    let (_client, call, mut there) = asking(|_| ()).await;
    let nothing =
        [message(&structure(90, &[] as &[(&str, i64)])), message(&[int(90), vec![0]].concat())];
    let sent = [response(&mut Encoder::new(), 0, "\u{1b}[2J"), nothing.concat()].concat();
    there.write_all(&sent).await.unwrap();
    assert_eq!(within(call).await.unwrap().unwrap_err().text(), "\\u{1b}[2J");
}

/// As Go's own client sends them but for the numbers of types: see `FROM_GO`.
#[tokio::test]
async fn the_first_call_is_as_go_s() {
    let (here, mut there) = transport::memory();
    let client = Endpoint::new().connect_net_rpc_over(here);
    let call = tokio::spawn(client.call(MULTIPLY, &Args { a: 7, b: 8 }));
    let expected = crate::caller::FROM_GO[0];
    let mut sent = vec![0; expected.len() / 2];
    within(there.read_exact(&mut sent)).await.unwrap();
    assert_eq!(to_hex(&sent), expected);
    call.abort();
}

#[tokio::test(start_paused = true)]
async fn calls_that_were_not_written_are_safe_to_make_again() {
    let hold = Arc::new(Hold::default());
    let (here, there) = transport::memory();
    let client = Endpoint::new().connect_net_rpc_over(here);
    // Fills the stream, so that the next is not written.
    let first = tokio::spawn(client.call(COUNT, &"x".repeat(500_000)));
    sleep(Duration::from_secs(1)).await;
    let second = tokio::spawn(client.call(COUNT, &"y".to_owned()));
    sleep(Duration::from_secs(1)).await;
    drop(there);
    let (first, second) = (first.await.unwrap().unwrap_err(), second.await.unwrap().unwrap_err());
    assert!(first.was_sent() && !second.was_sent(), "{first}, {second}");
    assert!(!first.is_safe_to_retry() && second.is_safe_to_retry());
    assert_eq!(hold.begun.load(Ordering::SeqCst), 0);
}

// --- Go's own server ---

/// Go's server, killed when dropped, and its address.
async fn go_server(program: &Path) -> (Child, String) {
    let mut command = tokio::process::Command::new(program);
    command.arg("-serve").stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    within(BufReader::new(child.stdout.take().unwrap()).read_line(&mut line)).await.unwrap();
    let address = line.strip_prefix("listening on ").unwrap().trim_end().to_owned();
    (child, address)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_go_server_is_called_as_by_go_s_client() {
    for program in go_programs!("netrpc") {
        let (mut server, address) = go_server(&program).await;
        let client = within(Endpoint::new().connect_net_rpc(&address)).await.unwrap();
        check_refusals(&client).await;
        check_complex(&client).await;
        check_sixty_four(&client).await;
        // It is killed with a call under way.
        let call = tokio::spawn(client.call(SLOW, &20_000));
        assert_eq!(within(client.call(SLOW, &1)).await.unwrap(), 1);
        client.flush().await.unwrap();
        server.kill().await.unwrap();
        let error = within(call).await.unwrap().unwrap_err();
        assert_eq!(error.code(), Code::Disconnected, "{error}");
        assert!(error.was_sent() && !error.is_safe_to_retry());
        within(client.closed()).await;
        assert!(client.call(SLOW, &1).await.unwrap_err().is_safe_to_retry());
    }
}

async fn check_refusals(client: &Client) {
    const NOBODY: Command<i64, i64, Gob> = Command::new("Nobody.Nothing");
    const NO_DOT: Command<i64, i64, Gob> = Command::new("Nothing");
    const NO_STRUCT: Command<String, i64, Gob> = Command::new("Arith.Multiply");
    let refusals = [
        (client.call(NOTHING, &1).await, "rpc: can't find method Arith.Nothing"),
        (client.call(NOBODY, &1).await, "rpc: can't find service Nobody.Nothing"),
        (client.call(NO_DOT, &1).await, "rpc: service/method request ill-formed: Nothing"),
        (client.call(NO_STRUCT, &String::new()).await, "gob: type mismatch in decoder"),
    ];
    for (refused, text) in refusals {
        let error = refused.unwrap_err();
        assert_eq!(error.code(), Code::Failed, "{error}");
        assert!(error.text().starts_with(text) && error.is_from_peer(), "{error}");
        assert_eq!(client.call(MULTIPLY, &Args { a: 7, b: 8 }).await.unwrap(), 56);
    }
    let error = client.call(DIVIDE, &Args { a: 1, b: 0 }).await.unwrap_err();
    assert_eq!(error.text(), "divide by zero");
    let quotient = client.call(DIVIDE, &Args { a: -17, b: 5 }).await;
    assert_eq!(quotient.unwrap(), Quotient { quo: -3, rem: -2 });
}

async fn check_complex(client: &Client) {
    const COMPLEX: Command<ComplexData, ComplexData, Gob> = Command::new("Echo.Complex");
    for bytes in [0, 10, 500_000] {
        let inner = ComplexData { n: 7, ..ComplexData::default() };
        let data = ComplexData {
            s: "ü".repeat(bytes / 2),
            m: [("one".to_owned(), 1), ("zero".to_owned(), 0)].into(),
            c: Some(Box::new(inner)),
            ..ComplexData::default()
        };
        let same = within(client.call(COMPLEX, &data)).await.unwrap();
        assert_eq!((same.s, same.m, same.c.unwrap().n), (data.s, data.m, 7));
    }
}

/// All but one are slow, and the quick one overtakes them.
async fn check_sixty_four(client: &Client) {
    let slow = |number| client.call(SLOW, &(1000 + number));
    let calls: Vec<_> = (1..64).map(|number| (number, tokio::spawn(slow(number)))).collect();
    assert_eq!(within(client.call(MULTIPLY, &Args { a: 7, b: 8 })).await.unwrap(), 56);
    assert!(calls.iter().all(|(_, call)| !call.is_finished()));
    for (number, call) in calls {
        assert_eq!(within(call).await.unwrap().unwrap(), 1000 + number);
    }
}
