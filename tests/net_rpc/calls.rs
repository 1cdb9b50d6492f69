//! Calls as a Go program makes them, and what it hears: byte for byte, and from a real one.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use switchboard::format::Gob;
use switchboard::gob::net_rpc;
use switchboard::transport::{self, MemoryStream};
use switchboard::{Code, Command, Connection, Endpoint, Error, Result, with_state};
use switchboard_testing::go_programs;
use switchboard_testing::hex::{from_hex, to_hex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;

use crate::caller::{Caller, FROM_GO};
use crate::endpoint::{Args, HOLD, Hold, dial, endpoint};

#[tokio::test(start_paused = true)]
async fn a_go_client_is_answered_as_by_go_s_server() {
    let (mut go, _) = dial(&endpoint());
    for (request, expected) in FROM_GO.into_iter().zip(FROM_GO_S_SERVER) {
        go.stream.write_all(&from_hex(request)).await.unwrap();
        // All that is under way comes to rest.
        sleep(Duration::from_secs(1)).await;
        let mut answer = vec![0; 1024];
        let count = go.stream.read(&mut answer).await.unwrap();
        answer.truncate(count);
        assert_eq!(to_hex(&answer), with_our_types(expected), "{request}");
    }
}

/// With the numbers that the types have on a stream of their own.
fn with_our_types(from_go: &str) -> String {
    let numbers = [("ff85", "ff81"), ("ff86", "ff82"), ("ff87", "ff83"), ("ff88", "ff84")];
    let numbers = numbers.into_iter().chain([("ff89", "ff85"), ("ff8a", "ff86")]);
    numbers.fold(from_go.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[tokio::test]
async fn requests_may_come_in_any_pieces() {
    let requests = from_hex(&FROM_GO.concat());
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
    let unspoken = "? speaks json, and lines if no format is named";
    check_failure(&mut go, "?", two, unspoken).await;
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
async fn an_error_without_text_is_the_word_for_its_code() {
    const DENY: Command<i64, i64, Gob> = Command::new("Arith.Deny");
    let deny = async |_: i64| Err::<i64, _>(Error::new(Code::Denied, ""));
    let (mut go, _) = dial(&endpoint().on(DENY, deny));
    check_failure(&mut go, "Arith.Deny", &1_i64, "denied").await;
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

#[tokio::test]
async fn handlers_see_who_calls() {
    let listener = transport::bind("127.0.0.1:0").await.unwrap();
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
    let listener = transport::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_address().unwrap().to_string();
    let server = tokio::spawn(async move { endpoint().serve_net_rpc(listener).await });
    for program in go_programs!("netrpc") {
        for http in [None, Some("-http")] {
            let mut command = tokio::process::Command::new(&program);
            command.args(["-address", &address]).args(http).stdin(Stdio::null()).kill_on_drop(true);
            let output = command.output().await.unwrap();
            let heard = String::from_utf8_lossy(&output.stdout);
            let complaints = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{program:?} {http:?}: {heard}{complaints}");
            assert!(heard.ends_with("netrpc: all ok\n"), "{heard}");
        }
    }
    server.abort();
}

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
