//! What a peer says first: HTTP by which a Go program may come, and other protocols.

use std::time::Duration;

use switchboard::{Code, Limits};
use switchboard_testing::hex::from_hex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};

use crate::caller::FROM_GO;
use crate::endpoint::{dial, endpoint};

/// What `rpc.DialHTTP` of Go 1.19 says, and waits for.
const DIAL_HTTP: &[u8] = b"CONNECT /_goRPC_ HTTP/1.0\n\n";
const CONNECTED: &[u8] = b"HTTP/1.0 200 Connected to Go RPC\n\n";

#[tokio::test]
async fn dial_http_is_answered_and_calls_follow() {
    let requests = from_hex(&FROM_GO.concat());
    let with_headers = b"CONNECT /_goRPC_ HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for greeting in [DIAL_HTTP, with_headers] {
        // Go waits for the answer before it calls; one that does not is served as well.
        let sent = [greeting, &requests].concat();
        for at in 0..=greeting.len() + 2 {
            let (mut go, _) = dial(&endpoint());
            let (before, after) = sent.split_at(at);
            for piece in [before, after] {
                go.stream.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            let mut answer = [0; CONNECTED.len()];
            go.stream.read_exact(&mut answer).await.unwrap();
            assert_eq!(answer, CONNECTED);
            go.expect_what_go_asked_for().await;
        }
    }
}

/// Its types have other numbers than those of [`FROM_GO`]; the first fits into a byte.
#[tokio::test]
async fn a_newer_go_is_heard() {
    let sent = from_hex(
        "2e7f030101075265717565737401ff80000102010d536572766963654d6574686f64010c000103536571010600\
         000013ff80010e41726974682e4d756c7469706c79001eff81030101044172677301ff820001020101410104\
         00010142010400000007ff82010e011000",
    );
    for at in 0..=sent.len() {
        let (mut go, _) = dial(&endpoint());
        let (before, after) = sent.split_at(at);
        for piece in [before, after] {
            go.stream.write_all(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        assert_eq!(go.answer().await.reply(), Ok(56_i64));
    }
}

/// What comes in whatever pieces is answered so and the connection closed, at once.
async fn check(sent: impl AsRef<[u8]>, answer: &str, text: &str) {
    let sent = sent.as_ref();
    for at in 0..=sent.len() {
        let (mut go, ended) = dial(&endpoint());
        let begun = Instant::now();
        let (before, after) = sent.split_at(at);
        for piece in [before, after] {
            // It may have been closed before the second one.
            let _ = go.stream.write_all(piece).await;
            tokio::task::yield_now().await;
        }
        let error = ended.await.unwrap().unwrap_err();
        assert_eq!((error.code(), error.text()), (Code::BadPayload, text), "{sent:?} cut at {at}");
        assert_eq!(begun.elapsed(), Duration::ZERO);
        let mut heard = String::new();
        go.stream.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard.lines().next().unwrap_or_default(), answer, "{sent:?} cut at {at}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_no_peer_of_net_rpc_is_turned_away_at_once() {
    let must_connect = "HTTP/1.0 405 Method Not Allowed";
    let http = "the peer speaks HTTP, not net/rpc";
    check("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", must_connect, http).await;
    check("GET /_goRPC_ HTTP/1.1\n", must_connect, http).await;
    check("POST /rpc HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", must_connect, http).await;
    check("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", must_connect, http).await;
    let text = "the peer asks HTTP for another path than /_goRPC_";
    check("CONNECT /other HTTP/1.0\n\n", "HTTP/1.0 404 Not Found", text).await;
    let text = "the peer speaks TLS, not net/rpc";
    check(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "", text).await;
    let text = "the peer speaks JSON, not net/rpc in gob";
    check(r#"{"method":"Arith.Multiply","params":[{"A":7,"B":8}],"id":0}"#, "", text).await;
    check(r#"[{"method":"Arith.Multiply"}]"#, "", text).await;
    let text = "what came is no net/rpc: it does not begin with a type";
    for other in ["STRING\n", "SSH-2.0-OpenSSH_9.2\r\n", "GET /\n", "CONNECT\n", "a b\n", "\n\n"] {
        check(other, "", text).await;
    }
    // Gob, of a string.
    check(from_hex("070c000474657874"), "", text).await;
    check(b"AB\x00", "", text).await;
}

#[tokio::test(start_paused = true)]
async fn a_greeting_that_does_not_end_is_cut_off() {
    let limits = Limits::default();
    let long = [b"CONNECT /_goRPC_ HTTP/1.0\n".as_slice(), &b"X: y\n".repeat(2000)].concat();
    for (sent, code, limit) in [
        (long, Code::TooLarge, "line_bytes_max (8192)"),
        (vec![b'A'; 9000], Code::TooLarge, "line_bytes_max (8192)"),
        (DIAL_HTTP[..DIAL_HTTP.len() - 1].to_vec(), Code::DeadlineExceeded, "body_time_max"),
        (b"G".to_vec(), Code::DeadlineExceeded, "body_time_max"),
    ] {
        let (mut go, ended) = dial(&endpoint());
        go.stream.write_all(&sent).await.unwrap();
        sleep(limits.body_time_max).await;
        let error = ended.await.unwrap().unwrap_err();
        assert_eq!(error.code(), code);
        assert!(error.text().contains(limit), "{error}");
    }
}
