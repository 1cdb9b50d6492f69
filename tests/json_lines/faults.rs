//! What no client of good will sends.

use switchboard_testing::random::{Random, rounds};
use tokio::time::{Duration, sleep};

use crate::caller::{Server, exchange};
use crate::endpoint::endpoint;

const GOOD: &str = r#"{"Method":"CheckStock","Params":"item1"}"#;
const GOOD_ANSWER: &str = "{\"Result\":100,\"Error\":\"\"}\n";

#[tokio::test]
async fn a_batch_of_a_million_is_one_mistake() {
    let batch = format!("[{}1]", "1,".repeat(999_999));
    let small = r#"{"jsonrpc":"2.0","method":"NOTE","params":[1]}"#;
    let calls = format!("[{}{small}]", format!("{small},").repeat(9_999));
    let cases = [
        // Longer than a line may be by default, and as long as one may be that is raised.
        (&batch, 1 << 20, "-32001", "payload_bytes_max and line_bytes_max together (1056768)"),
        (&batch, 1 << 26, "-32600", "1000000 entries are over calls_per_connection_max (1024)"),
        (&calls, 1 << 26, "-32600", "10000 entries are over calls_per_connection_max (1024)"),
    ];
    for (batch, payload_bytes_max, number, text) in cases {
        let (endpoint, seen) = endpoint();
        let server = Server::new(&endpoint, |limits| limits.payload_bytes_max = payload_bytes_max);
        let heard = exchange(&server, format!("{batch}\n{GOOD}\n").as_bytes(), 0).await;
        let (answer, next) = heard.split_once('\n').unwrap();
        assert!(answer.contains(number) && answer.contains(text), "{answer}");
        assert_eq!(next, GOOD_ANSWER);
        assert_eq!(seen.noted.now(), 0);
    }
}

#[tokio::test]
async fn what_is_nested_a_hundred_thousand_deep_is_one_mistake() {
    let server = Server::new(&endpoint().0, |_| ());
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        // (line, a part of its answer)
        let too_deep = "nesting of 129 levels is over depth_max (128)";
        let cases = [
            (format!(r#"{{"Method":"ECHO","Params":{deep}}}"#), too_deep),
            (format!(r#"{{"jsonrpc":"2.0","method":"ECHO","params":{deep},"id":1}}"#), too_deep),
            (format!(r#"{{"method":"ECHO","params":[{deep}],"id":1}}"#), too_deep),
            (format!(r#"{{"jsonrpc":"2.0","method":"ECHO","id":{deep}}}"#), "the id is a text"),
            (format!(r#"{{"Method":{deep}}}"#), "the method is a text"),
            (format!(r#"{{"Method":"NOTHING","more":{deep}}}"#), r#"{"Result":null,"Error":""}"#),
            (format!("[{deep}]"), "-32600"),
            (open.repeat(100_000), "it ends too early"),
        ];
        for (line, expected) in cases {
            let heard = exchange(&server, format!("{line}\n{GOOD}\n").as_bytes(), 0).await;
            let (answer, next) = heard.split_once('\n').unwrap();
            assert!(answer.contains(expected), "{answer:.200}, expected {expected}");
            assert_eq!(next, GOOD_ANSWER);
        }
    }
}

#[tokio::test]
async fn bytes_that_are_no_utf_8_are_one_mistake() {
    let server = Server::new(&endpoint().0, |_| ());
    for (bytes, expected) in [
        (&b"\xff\xfe"[..], "{\"Result\":null,\"Error\":\"the line is not UTF-8\"}\n"),
        (
            b"{\"Method\":\"CheckStock\",\"Params\":\"\xc3\"}",
            "{\"Result\":null,\"Error\":\"the line is not UTF-8\"}\n",
        ),
        (
            b"{\"jsonrpc\":\"2.0\",\"method\":\"\xed\xa0\x80\"}",
            "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32700,\
             \"message\":\"the line is not UTF-8\"},\"id\":null}\n",
        ),
    ] {
        let sent = [bytes, b"\n", GOOD.as_bytes()].concat();
        assert_eq!(exchange(&server, &sent, 5).await, format!("{expected}{GOOD_ANSWER}"));
    }
}

/// A web page can have a browser post lines to a local endpoint.
#[tokio::test]
async fn other_protocols_get_no_answer_and_no_call() {
    let long = "x".repeat(2 << 20);
    let note = r#"{"Method":"NOTE","Params":1}"#;
    for begin in [
        "POST / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        format!("POST /{long} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        format!("POST /{} HTTP/1.1\r\n\r\n", "x".repeat(100_000)),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "\x16\x03\x01\x02\n".to_owned(),
    ] {
        let (endpoint, seen) = endpoint();
        let server = Server::new(&endpoint, |_| ());
        let heard = exchange(&server, format!("{begin}{note}\n").as_bytes(), 0).await;
        assert_eq!((&*heard, seen.noted.now()), ("", 0), "{begin:.50}");
    }
}

#[tokio::test]
async fn half_a_line_at_the_end_is_answered() {
    let server = Server::new(&endpoint().0, |_| ());
    for end in 1..GOOD.len() {
        let heard = exchange(&server, &GOOD.as_bytes()[..end], 1).await;
        let expected = r#"{"Result":null,"Error":"the line is not JSON: it ends too early"}"#;
        assert_eq!(heard, format!("{expected}\n"), "{}", &GOOD[..end]);
    }
    assert_eq!(exchange(&server, GOOD.as_bytes(), 1).await, GOOD_ANSWER);
}

#[tokio::test(start_paused = true)]
async fn a_line_that_is_too_long_is_passed_over() {
    let (mib, kib) = (1 << 20, 1 << 10);
    // (bytes of a payload, letters, how it is cut): in small pieces less is enough.
    for (payload_bytes_max, letters, seed) in
        [(mib, 2 * mib, 0), (mib, 4 * mib, 0), (kib, 10 * kib, 1), (kib, 40 * kib, 2)]
    {
        let server =
            Server::new(&endpoint().0, |limits| limits.payload_bytes_max = payload_bytes_max);
        let long = format!("{{\"Method\":\"CheckStock\",\"Params\":\"{}\"}}", "x".repeat(letters));
        let heard = exchange(&server, format!("{long}\n{GOOD}\n").as_bytes(), seed).await;
        let (answer, next) = heard.split_once('\n').unwrap();
        let max = payload_bytes_max + 8192;
        let text = format!("or more is over payload_bytes_max and line_bytes_max together ({max})");
        assert!(answer.contains(&text), "{answer}");
        assert_eq!(next, GOOD_ANSWER);
    }
}

#[tokio::test(start_paused = true)]
async fn a_line_without_an_end_has_its_time() {
    let server = Server::new(&endpoint().0, |_| ());
    let mut caller = server.dial().await;
    let begun = tokio::time::Instant::now();
    caller.send(&vec![b'x'; 2 << 20]).await;
    let answer = caller.line().await.unwrap();
    assert!(answer.contains("line_bytes_max together"), "{answer}");
    // It goes on, slowly, and nothing more is said.
    for _ in 0..10 {
        sleep(Duration::from_secs(5)).await;
        let _ = tokio::io::AsyncWriteExt::write_all(&mut caller.stream, b"xxxx").await;
    }
    assert_eq!(caller.line().await, None);
    assert!(begun.elapsed() < Duration::from_secs(60));
}

/// What has come of a line tells how to say that no more is waited for, or to say nothing.
#[tokio::test(start_paused = true)]
async fn a_line_that_is_cut_off_is_answered_in_its_dialect() {
    let server = Server::new(&endpoint().0, |_| ());
    let late = "the payload did not come within body_time_max (30s)";
    for (begin, answer) in [
        ("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"Ch", Some("{\"jsonrpc\":\"2.0\",\"error\":")),
        ("[{\"jsonrpc\":\"2.0\",\"id\":7},", Some("{\"jsonrpc\":\"2.0\",\"error\":")),
        ("{\"Method\":\"Ch", Some("{\"Result\":null,\"Error\":")),
        ("\u{16}\u{3}\u{1}\u{2}", None),
        ("POST / HTTP/1.1\r", None),
    ] {
        let mut caller = server.dial().await;
        caller.send(begin.as_bytes()).await;
        let line = caller.line().await;
        let is_expected = match (&line, answer) {
            (Some(line), Some(answer)) => line.starts_with(answer) && line.contains(late),
            (line, answer) => line.is_none() && answer.is_none(),
        };
        assert!(is_expected, "{begin}: {line:?}");
    }
}

#[tokio::test]
async fn whatever_comes_the_connection_lives() {
    let server = Server::new(&endpoint().0, |_| ());
    let pieces: [&[u8]; 16] = [
        b"{",
        b"}",
        b"[",
        b"]",
        b"\"",
        b":",
        b",",
        b"\\",
        b"\n",
        b"1",
        b"\"id\"",
        b"\"jsonrpc\":\"2.0\"",
        b"\"method\":\"NOTHING\"",
        b"\"params\":[]",
        b"\xff",
        b" ",
    ];
    let mut random = Random::new(17);
    for _ in 0..rounds(300) {
        let count = 1 + random.below(40);
        let mut sent: Vec<u8> =
            (0..count).flat_map(|_| pieces[random.below(pieces.len())].to_vec()).collect();
        sent.push(b'\n');
        let shown = String::from_utf8_lossy(&sent).into_owned();
        sent.extend_from_slice(GOOD.as_bytes());
        let heard = exchange(&server, &sent, random.draw()).await;
        for line in heard.lines() {
            let answer: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(answer.is_object() || answer.as_array().is_some_and(|list| !list.is_empty()));
        }
        // Whatever was wrong was wrong in the lines before.
        assert!(heard.ends_with(GOOD_ANSWER), "{shown}: {heard}");
    }
}
