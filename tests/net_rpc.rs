//! Go's `net/rpc` in front of an endpoint: byte for byte, and with a real Go program.

#![cfg(all(feature = "io", feature = "gob"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "what tests share is a test too"
)]

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use switchboard::format::Gob;
use switchboard::gob::net_rpc;
use switchboard::transport::{self, MemoryStream};
use switchboard::{
    Code, Command, Connection, Context, Endpoint, Error, Limits, Result, with_state,
};
use switchboard_gob::{Decoder, Encoder, Value};
use switchboard_testing::go_program;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

const MULTIPLY: Command<Args, i64, Gob> = Command::new("Arith.Multiply");
const DIVIDE: Command<Args, Quotient, Gob> = Command::new("Arith.Divide");
/// Answers what it was sent, after so many milliseconds.
const SLOW: Command<i64, i64, Gob> = Command::new("Arith.Slow");
const COMPLEX: Command<ComplexData, ComplexData, Gob> = Command::new("Echo.Complex");
/// Answers so many letters.
const LETTERS: Command<u64, String, Gob> = Command::new("Echo.Letters");
/// Answers 50,000 letters, after so many milliseconds.
const LATE: Command<u64, String, Gob> = Command::new("Echo.Late");
/// Answers who calls.
const ORIGIN: Command<i64, String, Gob> = Command::new("Echo.Origin");
/// Fails with an error that is not made for the caller.
const BREAK: Command<i64, i64, Gob> = Command::new("Arith.Break");
/// Calls somebody else, for whom this side has no room.
const ASK: Command<i64, i64, Gob> = Command::new("Arith.Ask");
const PANIC: Command<i64, i64, Gob> = Command::new("Arith.Panic");
/// Waits until it is let go, then answers what it was sent.
const HOLD: Command<i64, i64, Gob> = Command::new("Hold.On");

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Args {
    a: i64,
    b: i64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Quotient {
    quo: i64,
    rem: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct ComplexData {
    n: i64,
    s: String,
    m: BTreeMap<String, i64>,
    #[serde(with = "serde_bytes")]
    p: Vec<u8>,
    c: Option<Box<Self>>,
}

/// What Go 1.19 sends for four calls of one `rpc.Client`, written down behind a `net.Conn` that
/// keeps what passes: Multiply{7, 8}, Nothing{1, 2}, Divide{1, 0} and Divide{17, 5} of `Arith`.
const FROM_GO: [&str; 4] = [
    "2fff81030101075265717565737401ff82000102010d536572766963654d6574686f64010c00010353657101060000\
     0013ff82010e41726974682e4d756c7469706c79001eff83030101044172677301ff84000102010141010400010142\
     010400000007ff84010e011000",
    "14ff82010d41726974682e4e6f7468696e6701010007ff840102010400",
    "13ff82010c41726974682e44697669646501020005ff84010200",
    "13ff82010c41726974682e44697669646501030007ff840122010a00",
];

/// What Go's server answers, but for the numbers of the types: its Response, Quotient and
/// `struct{}` are 67, 69 and 68, ours are 65, 67 and 66.
const FROM_GO_S_SERVER: [&str; 4] = [
    "3aff8503010108526573706f6e736501ff86000103010d536572766963654d6574686f64010c000103536571010600\
     01054572726f72010c00000013ff86010e41726974682e4d756c7469706c790003040070",
    "3aff86010d41726974682e4e6f7468696e67010101247270633a2063616e27742066696e64206d6574686f642041\
     726974682e4e6f7468696e67000aff87030102ff8800000003ff8800",
    "23ff86010c41726974682e44697669646501020\
     10e646976696465206279207a65726f0003ff8800",
    "13ff86010c41726974682e44697669646501030026ff890301010851756f7469656e7401ff8a000102010351756f01\
     0400010352656d010400000007ff8a0106010400",
];

#[tokio::test(start_paused = true)]
async fn a_go_client_is_answered_as_by_go_s_server() {
    let (mut go, _) = dial(&endpoint());
    for (request, expected) in FROM_GO.into_iter().zip(FROM_GO_S_SERVER) {
        go.stream.write_all(&bytes(request)).await.unwrap();
        // All that is under way comes to rest.
        sleep(Duration::from_secs(1)).await;
        let mut answer = vec![0; 1024];
        let count = go.stream.read(&mut answer).await.unwrap();
        answer.truncate(count);
        assert_eq!(hex(&answer), with_our_types(expected), "{request}");
    }
}

#[tokio::test]
async fn requests_may_come_in_any_pieces() {
    let requests = bytes(&FROM_GO.concat());
    for at in 0..=requests.len() {
        let (mut go, _) = dial(&endpoint());
        let (before, after) = requests.split_at(at);
        for piece in [before, after] {
            go.stream.write_all(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        go.expect_what_go_asked_for().await;
    }
    let (mut go, _) = dial(&endpoint());
    for byte in requests {
        go.stream.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    go.expect_what_go_asked_for().await;
}

#[tokio::test]
async fn a_call_that_fails_does_no_harm_to_the_next() {
    let (two, text) = (&Args { a: 2, b: 0 }, &"two".to_owned());
    let (mut go, _) = dial(&endpoint());
    let long = "x".repeat(65);
    check_failure(&mut go, "Arith.Nothing", two, "rpc: can't find method Arith.Nothing").await;
    check_failure(&mut go, "Nothing", two, "rpc: can't find method Nothing").await;
    let ill_formed = "rpc: service/method request ill-formed: ";
    check_failure(&mut go, "", two, ill_formed).await;
    check_failure(&mut go, "Arith Multiply", two, &format!("{ill_formed}Arith Multiply")).await;
    check_failure(&mut go, &long, two, &format!("{ill_formed}{}", "x".repeat(64))).await;
    check_failure(&mut go, "Arith.Divide", two, "divide by zero").await;
    check_failure(&mut go, "Arith.Break", &1_i64, "the handler failed").await;
    check_failure(&mut go, "Arith.Ask", &1_i64, "the handler failed").await;
    check_failure(&mut go, "Arith.Panic", &1_i64, "the handler panicked").await;
    let mismatch = "the payload is not valid gob: wanted Args, received string";
    check_failure(&mut go, "Arith.Divide", text, mismatch).await;
    let mismatch = "the payload is not valid gob: wanted int, received Args";
    check_failure(&mut go, "Arith.Slow", two, mismatch).await;
    check_failure(&mut go, "?", two, "? has no formats to choose from").await;
    check_failure(&mut go, "STRING", two, "STRING is a raw command: call it plainly").await;
}

/// The call gets this error, and the one behind it its reply.
async fn check_failure<T>(go: &mut Caller<MemoryStream>, method: &str, argument: &T, expected: &str)
where
    T: Serialize + DeserializeOwned,
{
    let (failing, sound) = (go.send(method, argument).await, go.multiply(7, 8).await);
    let mut answers = [go.answer().await, go.answer().await];
    answers.sort_by_key(|answer| answer.seq);
    assert_eq!(answers[0].seq, failing);
    assert_eq!(answers[0].service_method, method);
    assert_eq!(answers[0].reply::<i64>(), Err(expected.to_owned()), "{method}");
    assert_eq!((answers[1].seq, answers[1].reply()), (sound, Ok(56_i64)), "{method}");
}

#[tokio::test]
async fn what_is_no_net_rpc_ends_the_connection() {
    let header = |rest: &str| format!("{}{rest}", &FROM_GO[0][..136]);
    // (what comes before the peer ends its side, what the end is called)
    let cases = [
        ("".to_owned(), None),
        (FROM_GO[0].to_owned(), None),
        (hex(b"STRING\nAdditional data.\n"), Some(Code::BadPayload)),
        (hex(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), Some(Code::BadPayload)),
        (hex(&[0xff; 40]), Some(Code::BadPayload)),
        // Strings, not a request and its argument.
        ("070c000474657874070c000474657874".to_owned(), Some(Code::BadPayload)),
        (FROM_GO[0][..60].to_owned(), Some(Code::BadPayload)),
        (header(""), Some(Code::BadPayload)),
        (header("1eff83"), Some(Code::BadPayload)),
        (header("00"), Some(Code::BadPayload)),
        // A message of 2 MiB.
        (header("fd200000"), Some(Code::TooLarge)),
    ];
    for (sent, expected) in cases {
        let (mut go, ended) = dial(&endpoint());
        go.stream.write_all(&bytes(&sent)).await.unwrap();
        go.stream.shutdown().await.unwrap();
        let ended = ended.await.unwrap();
        assert_eq!(ended.map_err(|error| error.code()).err(), expected, "{sent}");
    }
}

#[tokio::test]
async fn who_sends_too_much_is_told_why() {
    let (mut go, ended) = dial_limited(&endpoint(), |limits| limits.payload_bytes_max = 1000);
    let long = "x".repeat(1100);
    let call = go.send("Echo.Letters", &long).await;
    let answer = go.answer().await;
    assert_eq!(answer.seq, call);
    let text = answer.reply::<String>().unwrap_err();
    assert!(text.contains("1000"), "{text}");
    assert_eq!(ended.await.unwrap().unwrap_err().code(), Code::TooLarge);
}

#[tokio::test]
async fn a_reply_that_is_too_large_is_an_error_of_its_call() {
    let (mut go, _) = dial_limited(&endpoint(), |limits| limits.payload_bytes_max = 1000);
    go.send("Echo.Letters", &2000_u64).await;
    let text = go.answer().await.reply::<String>().unwrap_err();
    assert!(text.contains("payload_bytes_max (1000)"), "{text}");
    go.send("Echo.Letters", &3_u64).await;
    assert_eq!(go.answer().await.reply(), Ok("xxx".to_owned()));
}

#[tokio::test]
async fn what_the_endpoint_cannot_hold_is_an_error_of_its_call() {
    let (mut go, _) = dial_limited(&endpoint(), |limits| limits.held_bytes_max = 100_000);
    go.send("Echo.Letters", &200_000_u64).await;
    let text = go.answer().await.reply::<String>().unwrap_err();
    assert!(text.contains("held_bytes_max (100000)"), "{text}");
    // What was taken is given back.
    for _ in 0..50 {
        go.send("Echo.Letters", &20_000_u64).await;
        assert_eq!(go.answer().await.reply().map(|text: String| text.len()), Ok(20_000));
    }
}

#[tokio::test(start_paused = true)]
async fn replies_that_wait_for_the_peer_to_read_are_held() {
    let limits = |limits: &mut Limits| limits.held_bytes_max = 1_000_000;
    let (mut go, _ended) = dial_limited(&endpoint(), limits);
    // One after the other, so that each passes the session alone.
    for number in 0..100_u64 {
        go.send("Echo.Late", &number).await;
    }
    // All that can go on has gone on.
    sleep(Duration::from_secs(1)).await;
    let mut replied_bytes = 0;
    for _ in 0..100 {
        match go.answer().await.reply::<String>() {
            Ok(letters) => replied_bytes += letters.len(),
            Err(text) => {
                let is_why = text == "overloaded" || text.contains("held_bytes_max (1000000)");
                assert!(is_why, "{text}");
            }
        }
    }
    // What was written, or about to be, had left room for more.
    assert!((500_000..1_500_000).contains(&replied_bytes), "{replied_bytes}");
}

#[tokio::test]
async fn sixty_four_calls_are_answered_in_the_order_in_which_they_end() {
    let hold = Arc::new(Hold::default());
    let (mut go, _) = dial(&endpoint().on(HOLD, with_state(&hold, Hold::on)));
    let mut calls = BTreeMap::new();
    for number in 0..64 {
        calls.insert(number, go.send("Hold.On", &number).await);
    }
    hold.wait_for(64).await;
    for (number, call) in calls.into_iter().rev() {
        hold.let_go(number);
        let answer = go.answer().await;
        assert_eq!((answer.seq, answer.reply()), (call, Ok(number)));
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_calls_are_read_than_may_be_under_way() {
    let hold = Arc::new(Hold::default());
    let endpoint = endpoint().on(HOLD, with_state(&hold, Hold::on));
    let (mut go, _) = dial_limited(&endpoint, |limits| limits.calls_per_connection_max = 2);
    for number in 0..5_i64 {
        go.send("Hold.On", &number).await;
    }
    for number in 0..5 {
        sleep(Duration::from_secs(1)).await;
        assert_eq!(hold.begun.load(Ordering::SeqCst), (number + 2).min(5));
        hold.let_go(i64::try_from(number).unwrap());
        assert_eq!(go.answer().await.reply(), Ok(i64::try_from(number).unwrap()));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_read_need_not_hurry() {
    let body_time_max = Limits::default().body_time_max;
    let limits = |limits: &mut Limits| limits.calls_per_connection_max = 1;
    let (mut go, _ended) = dial_limited(&endpoint(), limits);
    // Read together, so that the call behind the slow one has begun to come.
    let mut slow = go.encode("Arith.Slow", &25_000_i64);
    slow.extend(go.encode("Arith.Slow", &1_i64));
    let rest = slow.split_off(slow.len() - 1);
    go.stream.write_all(&slow).await.unwrap();
    assert_eq!(go.answer().await.reply(), Ok(25_000_i64));
    sleep(body_time_max - Duration::from_secs(5)).await;
    go.stream.write_all(&rest).await.unwrap();
    assert_eq!(go.answer().await.reply(), Ok(1_i64));
}

#[tokio::test]
async fn who_ends_its_side_is_answered() {
    let hold = Arc::new(Hold::default());
    let (mut go, ended) = dial(&endpoint().on(HOLD, with_state(&hold, Hold::on)));
    for number in 0..3_i64 {
        go.send("Hold.On", &number).await;
    }
    go.stream.shutdown().await.unwrap();
    hold.wait_for(3).await;
    for number in 0..3 {
        hold.let_go(number);
        assert_eq!(go.answer().await.reply(), Ok(number));
    }
    ended.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn calls_of_a_client_that_is_gone_are_stopped() {
    let hold = Arc::new(Hold::default());
    let endpoint = endpoint().on(HOLD, with_state(&hold, Hold::on));
    let (mut go, ended) = dial(&endpoint);
    for number in 0..3_i64 {
        go.send("Hold.On", &number).await;
    }
    hold.wait_for(3).await;
    // That nobody waits any more is seen when the first answer cannot be written.
    drop(go.stream);
    hold.let_go(0);
    let error = ended.await.unwrap().unwrap_err();
    assert_eq!(error.code(), Code::Disconnected);
    hold.wait_for_stopped(2).await;

    // The same if the server's side is dropped.
    let (mut go, ended) = dial(&endpoint);
    go.send("Hold.On", &3_i64).await;
    hold.wait_for(4).await;
    ended.abort();
    hold.wait_for_stopped(3).await;
    assert_eq!(go.stream.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_is_cut_off() {
    let (mut go, ended) = dial(&endpoint());
    let begun = tokio::time::Instant::now();
    go.send("Echo.Letters", &500_000_u64).await;
    let error = ended.await.unwrap().unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded);
    assert!(error.text().contains("write_time_max"), "{error}");
    assert_eq!(begun.elapsed().as_secs(), Limits::default().write_time_max.as_secs());
}

#[tokio::test(start_paused = true)]
async fn who_is_silent_or_slow_is_cut_off() {
    let limits = Limits::default();
    let (idle, body) = (limits.idle_time_max.as_secs(), limits.body_time_max.as_secs());
    let request = bytes(FROM_GO[0]);
    // (what is sent, how many bytes a second, the limit that is passed, the seconds until then)
    let cases = [
        (&request[..0], 1, "idle_time_max", idle),
        (&request[..1], 1, "body_time_max", body),
        (&request[..68], 68, "body_time_max", body),
        (&request[..69], 69, "body_time_max", body),
        (&request[..], 1, "body_time_max", body),
    ];
    for (sent, pace, limit, seconds) in cases {
        let (mut go, ended) = dial(&endpoint());
        let begun = tokio::time::Instant::now();
        for piece in sent.chunks(pace) {
            // Fails when it has been cut off.
            let _ = go.stream.write_all(piece).await;
            sleep(Duration::from_secs(1)).await;
        }
        let error = ended.await.unwrap().unwrap_err();
        assert_eq!(error.code(), Code::DeadlineExceeded);
        assert!(error.text().contains(limit), "{error}, expected {limit}");
        let is_in_time = sent.len() > pace || begun.elapsed().as_secs() == seconds;
        assert!(is_in_time, "{limit} after {:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn answers_give_a_slow_request_no_more_time() {
    let (mut go, ended) = dial(&endpoint());
    let begun = tokio::time::Instant::now();
    for milliseconds in [10_000_i64, 20_000] {
        go.send("Arith.Slow", &milliseconds).await;
    }
    go.stream.write_all(&bytes("13ff82")).await.unwrap();
    for milliseconds in [10_000_i64, 20_000] {
        assert_eq!(go.answer().await.reply(), Ok(milliseconds));
    }
    assert_eq!(ended.await.unwrap().unwrap_err().code(), Code::DeadlineExceeded);
    assert_eq!(begun.elapsed().as_secs(), Limits::default().body_time_max.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_waits_is_not_idle() {
    let (mut go, ended) =
        dial_limited(&endpoint(), |limits| limits.idle_time_max = Duration::from_secs(3));
    go.send("Arith.Slow", &20_000_i64).await;
    assert_eq!(go.answer().await.reply(), Ok(20_000_i64));
    assert!(go.answer_or_end().await.is_none());
    // Whichever noticed first, this connection or the session behind it.
    let code = ended.await.unwrap().unwrap_err().code();
    assert!(matches!(code, Code::DeadlineExceeded | Code::ShuttingDown), "{code}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_takes_too_long_is_answered() {
    let (mut go, _) = dial(&endpoint());
    go.send("Arith.Slow", &3_600_000_i64).await;
    let text = go.answer().await.reply::<i64>().unwrap_err();
    assert!(text.contains("call_time_max") || text == "deadline_exceeded", "{text}");
    go.multiply(7, 8).await;
    assert_eq!(go.answer().await.reply(), Ok(56_i64));
}

#[tokio::test]
async fn no_number_of_mistakes_in_a_row_ends_the_connection() {
    let (mut go, ended) = dial_limited(&endpoint(), |limits| limits.consecutive_errors_max = 3);
    for number in 0..30 {
        go.send(&format!("Arith.Nothing{number}"), &1_i64).await;
        go.answer().await.reply::<i64>().unwrap_err();
    }
    go.multiply(7, 8).await;
    assert_eq!(go.answer().await.reply(), Ok(56_i64));
    drop(go);
    ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_server_of_go_programs_counts_no_mistakes() {
    let (listener, dialer) = transport::memory_listener();
    let server = tokio::spawn(async move { endpoint().serve_net_rpc(listener).await });
    let mut go = Caller::new(dialer.dial().await.unwrap());
    for _ in 0..300 {
        go.send("Arith.Nothing", &1_i64).await;
        let text = go.answer().await.reply::<i64>().unwrap_err();
        assert_eq!(text, "rpc: can't find method Arith.Nothing");
    }
    go.multiply(7, 8).await;
    assert_eq!(go.answer().await.reply(), Ok(56_i64));
    server.abort();
}

#[tokio::test(start_paused = true)]
async fn stopping_lets_calls_under_way_finish() {
    let (listener, dialer) = transport::memory_listener();
    let (stop, stopped) = oneshot::channel::<()>();
    let endpoint = endpoint();
    let server = tokio::spawn(async move { endpoint.serve_net_rpc_until(listener, stopped).await });
    let (mut busy, mut idle) =
        (Caller::new(dialer.dial().await.unwrap()), Caller::new(dialer.dial().await.unwrap()));
    busy.send("Arith.Slow", &5000_i64).await;
    busy.send("Arith.Slow", &3_600_000_i64).await;
    idle.multiply(7, 8).await;
    assert_eq!(idle.answer().await.reply(), Ok(56_i64));

    stop.send(()).unwrap();
    assert!(idle.answer_or_end().await.is_none());
    // Not taken any more.
    sleep(Duration::from_secs(1)).await;
    let late = busy.multiply(7, 8).await;
    let answer = busy.answer().await;
    assert_eq!((answer.seq, answer.reply::<i64>().is_err()), (late, true));
    assert_eq!(busy.answer().await.reply(), Ok(5000_i64));
    // This one is over drain_time_max.
    let answer = busy.answer().await;
    assert_eq!(answer.seq, 1);
    answer.reply::<i64>().unwrap_err();
    assert!(busy.answer_or_end().await.is_none());
    drop((busy, idle));
    let report = server.await.unwrap().unwrap();
    assert_eq!((report.connections, report.connections_refused), (2, 0));
    assert_eq!((report.calls_answered, report.calls_cut_off), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_answers_all_calls_that_were_taken() {
    let hold = Arc::new(Hold::default());
    let endpoint = endpoint().on(HOLD, with_state(&hold, Hold::on));
    let (listener, dialer) = transport::memory_listener();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(async move { endpoint.serve_net_rpc_until(listener, stopped).await });
    let mut go = Caller::new(dialer.dial().await.unwrap());
    for number in 0..500 {
        go.send("Hold.On", &number).await;
    }
    hold.wait_for(500).await;
    stop.send(()).unwrap();
    for number in 0..500 {
        hold.let_go(number);
    }
    let mut replies: Vec<i64> = Vec::new();
    while let Some(answer) = go.answer_or_end().await {
        replies.push(answer.reply().unwrap());
    }
    replies.sort_unstable();
    assert_eq!(replies, (0..500).collect::<Vec<_>>());
    drop(go);
    let report = server.await.unwrap().unwrap();
    assert_eq!((report.calls_answered, report.calls_cut_off), (500, 0));
}

#[tokio::test]
async fn doors_are_kept_as_for_others() {
    let (listener, dialer) = transport::memory_listener();
    let endpoint =
        endpoint().with_limits(Limits::default().with(|limits| limits.connections_max = 1));
    let server = tokio::spawn(async move { endpoint.serve_net_rpc(listener).await });
    let mut first = Caller::new(dialer.dial().await.unwrap());
    first.multiply(7, 8).await;
    assert_eq!(first.answer().await.reply(), Ok(56_i64));
    let mut second = Caller::new(dialer.dial().await.unwrap());
    assert!(second.answer_or_end().await.is_none());
    first.multiply(7, 9).await;
    assert_eq!(first.answer().await.reply(), Ok(63_i64));
    server.abort();
}

#[tokio::test]
async fn handlers_see_who_calls() {
    let listener = transport::bind(&"127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_address().unwrap().to_string();
    let server = tokio::spawn(async move { endpoint().serve_net_rpc(listener).await });
    let stream = tokio::net::TcpStream::connect(&address).await.unwrap();
    let own = stream.local_addr().unwrap().to_string();
    let mut caller = Caller::new(stream);
    caller.send("Echo.Origin", &1_i64).await;
    assert_eq!(caller.answer().await.reply(), Ok(own));
    server.abort();
}

#[tokio::test]
async fn it_can_begin_behind_a_raw_command() {
    async fn speak(arith: Arc<Endpoint>, connection: &mut Connection) -> Result<()> {
        net_rpc(connection, &arith.door()).await
    }
    let front = Endpoint::new().on_raw("NETRPC", with_state(&Arc::new(endpoint()), speak));
    let (mut here, there) = transport::memory();
    let server = tokio::spawn(async move { front.serve_stream(there).await });
    here.write_all(b"NETRPC\n").await.unwrap();
    let mut caller = Caller::new(here);
    for number in 0..3 {
        caller.multiply(number, 8).await;
        assert_eq!(caller.answer().await.reply(), Ok(number * 8));
    }
    drop(caller);
    server.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_go_client_finds_all_as_in_go() {
    let Some(program) = go_program!("netrpc") else {
        return;
    };
    let listener = transport::bind(&"127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_address().unwrap().to_string();
    let server = tokio::spawn(async move { endpoint().serve_net_rpc(listener).await });
    let mut command = tokio::process::Command::new(program);
    command.args(["-address", &address]).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.unwrap();
    let heard = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{heard}{complaints}");
    assert!(heard.ends_with("netrpc: all ok\n"), "{heard}");
    server.abort();
}

fn endpoint() -> Endpoint {
    Endpoint::new()
        .on(MULTIPLY, async |args: Args| Ok::<_, Error>(args.a.wrapping_mul(args.b)))
        .on(DIVIDE, divide)
        .on(SLOW, slow)
        .on(COMPLEX, async |data: ComplexData| Ok::<_, Error>(data))
        .on(LETTERS, async |count: u64| Ok::<_, Error>("x".repeat(usize::try_from(count).unwrap())))
        .on(LATE, late)
        .on(ORIGIN, async |_: i64, context: Context| Ok::<_, Error>(context.peer().to_string()))
        .on(BREAK, async |_: i64| Err::<i64, _>("a secret"))
        .on(ASK, ask)
        .on(PANIC, panic)
        .on_raw("STRING", async |caller: &mut Connection| caller.write_line("Thank you.").await)
}

async fn divide(args: Args) -> Result<Quotient> {
    if args.b == 0 {
        return Err(Error::new(Code::Failed, "divide by zero"));
    }
    Ok(Quotient { quo: args.a / args.b, rem: args.a % args.b })
}

async fn ask(number: i64) -> Result<i64> {
    let (here, _there) = transport::memory();
    let limits = Limits::default().with(|limits| limits.held_bytes_max = 1);
    let client = Endpoint::new().with_limits(limits).connect_over(here);
    client.call(Command::<_, (), Gob>::new("ASK"), &"x".repeat(100_000)).await?;
    Ok(number)
}

async fn slow(milliseconds: i64) -> Result<i64> {
    // Real time: the Go program counts it. Other tests have paused it.
    sleep(Duration::from_millis(u64::try_from(milliseconds).unwrap())).await;
    Ok(milliseconds)
}

async fn late(milliseconds: u64) -> Result<String> {
    // Real time: it is paused where this is called.
    sleep(Duration::from_millis(milliseconds)).await;
    Ok("x".repeat(50_000))
}

async fn panic(_: i64) -> Result<i64> {
    panic!("so it goes");
}

/// Handlers that wait to be let go.
#[derive(Default)]
struct Hold {
    waiting: Mutex<BTreeMap<i64, oneshot::Sender<()>>>,
    begun: AtomicUsize,
    stopped: AtomicUsize,
    changed: Notify,
}

impl Hold {
    async fn on(self: Arc<Self>, number: i64) -> Result<i64> {
        let (sender, receiver) = oneshot::channel();
        let guard = Guard(Some(Arc::clone(&self)));
        self.waiting.lock().unwrap().insert(number, sender);
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_waiters();
        receiver.await.unwrap();
        guard.disarm();
        Ok(number)
    }

    fn let_go(&self, number: i64) {
        self.waiting.lock().unwrap().remove(&number).unwrap().send(()).unwrap();
    }

    /// Waits until so many have begun.
    async fn wait_for(&self, count: usize) {
        self.reach(&self.begun, count).await;
    }

    /// Waits until so many were dropped before their end.
    async fn wait_for_stopped(&self, count: usize) {
        self.reach(&self.stopped, count).await;
    }

    async fn reach(&self, counter: &AtomicUsize, count: usize) {
        within(async {
            loop {
                let changed = self.changed.notified();
                if counter.load(Ordering::SeqCst) == count {
                    return;
                }
                changed.await;
            }
        })
        .await;
    }
}

/// Counts a handler that is dropped.
struct Guard(Option<Arc<Hold>>);

impl Guard {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(hold) = &self.0 {
            hold.stopped.fetch_add(1, Ordering::SeqCst);
            hold.changed.notify_waiters();
        }
    }
}

/// A caller, and the `net_rpc` at its other end.
fn dial(endpoint: &Endpoint) -> (Caller<MemoryStream>, JoinHandle<Result<()>>) {
    dial_limited(endpoint, |_| ())
}

/// The same with other limits, for all that there is.
fn dial_limited(
    endpoint: &Endpoint,
    change: impl FnOnce(&mut Limits),
) -> (Caller<MemoryStream>, JoinHandle<Result<()>>) {
    let (here, there) = transport::memory();
    let limits = Limits::default().with(change);
    let door = endpoint.clone().with_limits(limits.clone()).door();
    let ended = tokio::spawn(async move {
        let mut connection = Connection::connect_over(there).with_limits(limits);
        net_rpc(&mut connection, &door).await
    });
    (Caller::new(here), ended)
}

/// What a Go program would be, in its own words.
struct Caller<S> {
    stream: S,
    encoder: Encoder,
    decoder: Decoder,
    input: Vec<u8>,
    seq: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    service_method: String,
    seq: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Response {
    service_method: String,
    seq: u64,
    error: String,
}

/// An answer, with the reply as a stream of its own.
struct Answer {
    service_method: String,
    seq: u64,
    error: String,
    reply: Vec<u8>,
}

impl Answer {
    fn reply<T: DeserializeOwned>(&self) -> Result<T, String> {
        if self.error.is_empty() {
            return Ok(switchboard_gob::from_slice(&self.reply).unwrap());
        }
        let nothing: Value = switchboard_gob::from_slice(&self.reply).unwrap();
        assert_eq!(nothing, Value::Struct(Vec::new()));
        Err(self.error.clone())
    }
}

impl<S: transport::Io> Caller<S> {
    fn new(stream: S) -> Self {
        let (encoder, decoder) = (Encoder::new(), Decoder::new());
        Self { stream, encoder, decoder, input: Vec::new(), seq: 0 }
    }

    /// Makes a call; answers its number.
    async fn send<T>(&mut self, method: &str, argument: &T) -> u64
    where
        T: Serialize + DeserializeOwned,
    {
        let call = self.encode(method, argument);
        within(self.stream.write_all(&call)).await.unwrap();
        self.seq - 1
    }

    /// The next call, as it goes out.
    fn encode<T>(&mut self, method: &str, argument: &T) -> Vec<u8>
    where
        T: Serialize + DeserializeOwned,
    {
        let mut out = Vec::new();
        let request = Request { service_method: method.to_owned(), seq: self.seq };
        self.seq += 1;
        self.encoder.encode(&request, &mut out).unwrap();
        self.encoder.encode(argument, &mut out).unwrap();
        out
    }

    async fn multiply(&mut self, a: i64, b: i64) -> u64 {
        self.send("Arith.Multiply", &Args { a, b }).await
    }

    async fn answer(&mut self) -> Answer {
        self.answer_or_end().await.expect("the stream ended")
    }

    /// The next answer, unless the stream ends.
    async fn answer_or_end(&mut self) -> Option<Answer> {
        self.gob().await?;
        let Response { service_method, seq, error } = self.decoder.decode().unwrap();
        let reply = self.gob().await.expect("a reply");
        Some(Answer { service_method, seq, error, reply })
    }

    /// The next value, as a stream of its own.
    async fn gob(&mut self) -> Option<Vec<u8>> {
        let mut pushed = 0;
        loop {
            let progress = self.decoder.push(&self.input[pushed..]).unwrap();
            pushed += progress.used_bytes;
            if progress.is_complete {
                let mut alone = Vec::new();
                self.decoder.put_definitions(&mut alone);
                alone.extend(self.input.drain(..pushed));
                return Some(alone);
            }
            // Longer than any limit on time.
            let read = timeout(Duration::from_secs(1000), self.stream.read_buf(&mut self.input));
            if read.await.unwrap().unwrap_or_default() == 0 {
                assert!(self.input.is_empty(), "the stream ended in a value");
                return None;
            }
        }
    }

    /// The answers to all of [`FROM_GO`], in whatever order.
    async fn expect_what_go_asked_for(&mut self) {
        let mut answers = BTreeMap::new();
        while answers.len() < FROM_GO.len() {
            let answer = self.answer().await;
            answers.insert(answer.seq, answer);
        }
        assert_eq!(answers[&0].reply(), Ok(56_i64));
        let text = "rpc: can't find method Arith.Nothing";
        assert_eq!(answers[&1].reply::<i64>(), Err(text.to_owned()));
        assert_eq!(answers[&2].reply::<Quotient>(), Err("divide by zero".to_owned()));
        assert_eq!(answers[&3].reply(), Ok(Quotient { quo: 3, rem: 2 }));
    }
}

/// Does not wait for ever for what must come.
async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(1000), future).await.unwrap()
}

/// With the numbers that the types have on a stream of their own.
fn with_our_types(from_go: &str) -> String {
    let numbers = [("ff85", "ff81"), ("ff86", "ff82"), ("ff87", "ff83"), ("ff88", "ff84")];
    let numbers = numbers.into_iter().chain([("ff89", "ff85"), ("ff8a", "ff86")]);
    numbers.fold(from_go.to_owned(), |text, (from, to)| text.replace(from, to))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = (0..hex.len()).step_by(2);
    digits.map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}
