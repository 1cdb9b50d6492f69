//! Faults that others had over HTTP, and that are not to be ours. The comment above each test names
//! the thread in which it was reported.

use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use switchboard::format::Json;
use switchboard::{Command, Error, Receiver, Sender, Streamed};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{sleep, timeout};

use super::support::*;

type Raw = Box<RawValue>;

/// Says nothing, and does not end by itself.
const QUIET: Command<(), Streamed<u64>, Json> = Command::new("QUIET").read_only();
/// JSON as it was written, line ends and all.
const LINES: Command<(), Streamed<Raw, Raw>, Json> = Command::new("LINES").read_only();
/// The first of many.
const FIRST: Command<Streamed<u64>, u64, Json> = Command::new("FIRST");
/// How many came, once it may look.
const TALLY: Command<Streamed<u64>, u64, Json> = Command::new("TALLY");
const PANIC: Command<(), Streamed<u64>, Json> = Command::new("PANIC").read_only();

fn lines(path: &str, headers: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\n\
         transfer-encoding: chunked\r\n{headers}\r\n"
    )
}

// hyper#2835: HEAD was told a length of 0 where GET has a body.
#[tokio::test(start_paused = true)]
async fn head_is_told_no_length_that_get_has_not() {
    let scene = Scene::new();
    for path in ["/", "/health", "/events/COUNT?request=1", "/events/FOLLOW"] {
        let request = get(path, "accept: application/json\r\n");
        let whole = scene.exchange(&request).await;
        let head = scene.exchange(request.replace("GET", "HEAD")).await;
        assert_eq!((status(&head), body(&head)), (200, ""), "{head}");
        let [said, is] = [&head, &whole].map(|response| header(response, "content-length"));
        assert!(said.is_none() || said == is, "{path} {said:?} {is:?}");
        assert_eq!(header(&head, "content-type"), header(&whole, "content-type"), "{path}");
    }
}

// hyper#1297: the body of a request that nobody had read was taken for the next request.
#[tokio::test(start_paused = true)]
async fn a_body_that_nobody_reads_is_no_request() {
    let scene = Scene::new();
    let inner = post("/call/ADD", "[1,2]");
    for (path, expected) in [("/call/NONE", 404), ("/nowhere", 404), ("/health", 405)] {
        for is_chunked in [false, true] {
            let mut request = post(path, &inner).replacen("close", "keep-alive", 1);
            if is_chunked {
                let len = inner.len();
                request = request
                    .replacen(&format!("content-length: {len}"), "transfer-encoding: chunked", 1)
                    .replacen(&inner, &format!("{len:x}\r\n{inner}\r\n0\r\n\r\n"), 1);
            }
            let response = scene.exchange(request + &post("/call/ADD", "[2,2]")).await;
            assert_eq!(status(&response), expected, "{response}");
            // It is passed over, or the connection ends.
            let after = response.split("HTTP/1.1").skip(2).collect::<Vec<_>>();
            assert!(after.len() <= 1, "{response}");
            assert!(after.iter().all(|next| next.ends_with("\r\n\r\n4")), "{response}");
        }
    }
}

// hyper#3253: a request whose client had gone in the middle of it seemed to be at its end.
#[tokio::test(start_paused = true)]
async fn a_request_that_breaks_off_is_never_whole() {
    let scene = Scene::new();
    let (ends, mut ended) = mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let handler = move |(): (), mut items: Receiver<u64>| {
        let (ends, opened) = (ends.clone(), Arc::clone(&opened));
        async move {
            // In a task that is not stopped.
            let taking = tokio::spawn(async move {
                opened.acquire().await.unwrap().forget();
                let mut count = 0;
                let end = loop {
                    match items.next().await {
                        Ok(Some(_)) => count += 1,
                        end => break end.map(drop).map_err(|error| error.code()),
                    }
                };
                ends.send((count, end)).unwrap();
                count
            });
            Ok::<_, Error>(taking.await.unwrap())
        }
    };
    scene.endpoint.add(TALLY, handler).unwrap();
    let much = format!("{:x}\r\n{}\r\n", 2 * 30_000, "1\n".repeat(30_000));
    for (sent, waits) in [("2\r\n1\n\r\n", false), ("2\r\n1\n\r\n2\r\n1", false), (&much, true)] {
        let mut peer = scene.dial().await;
        peer.send(lines("/call/TALLY", "")).await;
        peer.send(sent).await;
        if !waits {
            gate.add_permits(1);
        }
        settle().await;
        drop(peer);
        settle().await;
        gate.add_permits(usize::from(waits));
        let (count, end) = ended.recv().await.unwrap();
        assert!(end.is_err(), "after {count} items: {end:?}");
    }
    // One that has ended has.
    let mut peer = scene.dial().await;
    gate.add_permits(1);
    peer.send(lines("/call/TALLY", "") + "2\r\n1\n\r\n0\r\n\r\n").await;
    peer.until("\r\n\r\n1").await;
    assert_eq!(ended.recv().await.unwrap(), (1, Ok(())));
}

// grpc-rust#846 (tonic): an answer was seen only when all of its request had been sent.
#[tokio::test(start_paused = true)]
async fn an_answer_comes_while_its_request_still_goes_on() {
    let scene = Scene::new();
    let first = async |(): (), mut items: Receiver<u64>| {
        Ok::<_, Error>(items.next().await?.unwrap_or_default())
    };
    scene.endpoint.add(FIRST, first).unwrap();
    let mut peer = scene.dial().await;
    peer.send(lines("/call/FIRST", "") + "2\r\n7\n\r\n").await;
    let answer = peer.until("\r\n\r\n7").await;
    assert_eq!(status(&answer), 200, "{answer}");
    let mut peer = scene.dial().await;
    peer.send(lines("/call/FIRST", "") + "4\r\n\"x\"\n\r\n").await;
    let answer = peer.until("bad_payload").await;
    // A request that was waited for would be answered 408.
    assert_eq!(status(&answer), 400, "{answer}");
}

// axum#2786: an item with line ends in it was no longer one event, or lost them.
#[tokio::test(start_paused = true)]
async fn an_item_with_line_ends_is_one_event_and_one_line() {
    fn raw(text: &str) -> Raw {
        RawValue::from_string(text.to_owned()).unwrap()
    }
    let scene = Scene::new();
    let handler = async |(): (), out: Sender<Raw>| {
        out.send(&raw("[1,\n\n2,\r\"event: end\\ndata: 3\\r\\n\"]")).await?;
        Ok::<_, Error>(raw("{\"a\":\r\n\r\n4}"))
    };
    scene.endpoint.add(LINES, handler).unwrap();
    let event = "data: [1,  2, \"event: end\\ndata: 3\\r\\n\"]\n\n\
                 event: end\nid: end\ndata: {\"a\":    4}\n\n";
    let response = scene.exchange(get("/events/LINES", "")).await;
    assert_eq!(chunked(&response).as_deref(), Some(event), "{response}");
    let line = "[1,  2, \"event: end\\ndata: 3\\r\\n\"]\n{\"end\":{\"a\":    4}}\n";
    let response = scene.exchange(post("/call/LINES", "null")).await;
    assert_eq!(chunked(&response).as_deref(), Some(line), "{response}");
}

// axum#2673: an open stream of events to which nothing came held up the graceful shutdown.
#[tokio::test(start_paused = true)]
async fn a_silent_stream_does_not_hold_up_the_drain_and_is_told_of_it() {
    let scene = Scene::new();
    let seen = scene.seen.clone();
    let quiet = move |(): (), _out: Sender<u64>| {
        let entered = seen.enter();
        async move {
            let _entered = entered;
            std::future::pending::<Result<(), Error>>().await
        }
    };
    scene.endpoint.add(QUIET, quiet).unwrap();
    let (mut quiet, mut stuck) = (scene.dial().await, scene.dial().await);
    quiet.send(get("/events/QUIET", "")).await;
    quiet.until(":\n\n").await;
    // And one whose reader does not read.
    stuck.send(get("/events/FLOOD", "")).await;
    settle().await;
    let seen = scene.seen.clone();
    assert_eq!(seen.under_way(), 2);
    timeout(Duration::from_secs(3600), scene.stopped()).await.unwrap();
    assert_eq!(seen.under_way(), 0);
    let rest = quiet.rest().await;
    assert!(rest.contains("event: error\ndata: {\"error\":{\"code\":\"shutting_down\""), "{rest}");
}

// grpc-go#2374: a timeout too long for the clock was one that had passed.
#[tokio::test(start_paused = true)]
async fn a_timeout_beyond_the_clock_is_a_long_one() {
    let scene = Scene::new();
    for timeout in ["18446744073709551", "9223372036854775807", "9223372036", "1000000000000"] {
        let header = format!("request-timeout: {timeout}\r\n");
        for request in [
            post(&format!("/call/WAIT?timeout={timeout}"), "20000"),
            post_with("/call/WAIT", "20000", &header),
        ] {
            let response = scene.exchange(request).await;
            assert_eq!(body(&response), "\"waited\"", "{timeout} {response}");
        }
        let response = scene.exchange(get("/events/COUNT?request=1", &header)).await;
        assert!(response.contains("event: end\n"), "{timeout} {response}");
    }
}

// grpc-rust#2302 (tonic): a caller waited for its stream until there was an item.
#[tokio::test(start_paused = true)]
async fn the_head_of_a_stream_comes_before_its_first_item() {
    let scene = Scene::new();
    let quiet = |(): (), _out: Sender<u64>| std::future::pending::<Result<(), Error>>();
    scene.endpoint.add(QUIET, quiet).unwrap();
    for request in [get("/events/QUIET", ""), post("/call/QUIET", "null")] {
        let mut peer = scene.dial().await;
        peer.send(request).await;
        let head = timeout(Duration::from_secs(3600), peer.until("\r\n\r\n")).await.unwrap();
        assert_eq!(status(&head), 200, "{head}");
    }
}

// eventsource-parser#17: a line end of two bytes that came in two pieces was two line ends.
#[tokio::test(start_paused = true)]
async fn a_line_may_be_cut_anywhere() {
    let scene = Scene::new();
    let whole = "12\r\n345\r\n\r\n6\n 7";
    for cut in 1..whole.len() {
        let (before, after) = whole.split_at(cut);
        let chunks = [before, after].map(|part| format!("{:x}\r\n{part}\r\n", part.len()));
        let mut peer = scene.dial().await;
        peer.send(lines("/call/SUM", "connection: close\r\n")).await;
        for chunk in chunks {
            peer.send(chunk).await;
            settle().await;
        }
        peer.send("0\r\n\r\n").await;
        let response = peer.rest().await;
        assert_eq!(body(&response), "370", "{cut} {response}");
    }
}

// grpc-rust#2155 (tonic): a stream that panicked ended its reply as if all had been said.
#[tokio::test(start_paused = true)]
async fn a_panic_behind_an_item_is_told_in_the_last_line() {
    let scene = Scene::new();
    let panic = async |(): (), out: Sender<u64>| {
        out.send(&1).await?;
        assert!(out.is_closed(), "on purpose");
        Ok::<_, Error>(())
    };
    scene.endpoint.add(PANIC, panic).unwrap();
    let response = scene.exchange(post("/call/PANIC", "null")).await;
    let text = chunked(&response).unwrap();
    assert!(text.starts_with("1\n{\"error\":{\"code\":\"panicked\","), "{response}");
    let response = scene.exchange(get("/events/PANIC", "")).await;
    let text = chunked(&response).unwrap();
    assert!(text.starts_with("data: 1\n\nevent: error\nid: end\ndata: {\"error\""), "{response}");
    scene.check_serves().await;
}

// hyper#377: whoever asks whether to send its body was told nothing, and waited.
#[tokio::test(start_paused = true)]
async fn who_asks_before_it_sends_is_answered_before_it_sends() {
    let scene = Scene::new();
    let asking = |path: &str| post_with(path, "[1,2]", "expect: 100-continue\r\n");
    let head = |path: &str| asking(path).strip_suffix("[1,2]").unwrap().to_owned();
    let mut peer = scene.dial().await;
    peer.send(head("/call/ADD")).await;
    peer.until("HTTP/1.1 100 Continue\r\n\r\n").await;
    peer.send("[1,2]").await;
    let response = peer.rest().await;
    assert_eq!((status(&response), body(&response)), (200, "3"), "{response}");
    // What is refused by its head is not asked for.
    for (path, expected) in [("/call/NONE", 404), ("/call/ADD?x", 400), ("/nowhere", 404)] {
        let mut peer = scene.dial().await;
        peer.send(head(path)).await;
        let response = peer.rest().await;
        assert_eq!(status(&response), expected, "{response}");
    }
}

// waitress#308: a client that left was not noticed while a byte behind its request was unread, as
// hyper does not look for the end of a stream then either.
#[tokio::test(start_paused = true)]
async fn who_leaves_a_silent_stream_is_missed_whatever_was_sent_behind_the_request() {
    let scene = Scene::new();
    let after = ["", "G", "GET /health HTTP/1.1\r\nhost: x\r\n\r\n"];
    for (request, after) in [post("/call/NEWS", "null"), get("/events/NEWS", "")]
        .iter()
        .flat_map(|request| after.map(|after| (request, after)))
    {
        let mut peer = scene.dial().await;
        peer.send(request.replace("close", "keep-alive") + after).await;
        peer.until("1\n").await;
        assert_eq!(scene.seen.under_way(), 1);
        drop(peer);
        sleep(Duration::from_secs(60)).await;
        assert_eq!(scene.seen.under_way(), 0, "{request} {after}");
    }
    // Who stays reads on: white space stands before the next line.
    let end = "1\n {\"error\":{\"code\":\"shutting_down\",";
    let mut peer = scene.dial().await;
    peer.send(post("/call/NEWS", "null")).await;
    peer.until("1\n").await;
    sleep(Duration::from_secs(20)).await;
    let stopped = tokio::spawn(scene.stopped());
    let response = format!("\r\n\r\n2\r\n1\n{}", peer.rest().await);
    let text = chunked(&response).unwrap();
    assert!(text.starts_with(end), "{text}");
    stopped.await.unwrap();
}
