//! Bad input: none of it reaches a handler that it should not, and others go on being served.
//!
//! | is refused by | what |
//! |---|---|
//! | hyper, with a bare status | heads that are no HTTP, or over a limit; lengths that conflict |
//! | us, in our shape | all that is HTTP: names, types, bodies, hosts |
//! | nobody | a connection that is too slow or gone is closed |

use std::time::Duration;

use switchboard::transport::{self, MemoryDialer};
use switchboard::{Code, Endpoint, Limits};
use switchboard_http::{Gateway, HttpLimits, serve_http};
use tokio::time::Instant;

use super::support::*;

#[tokio::test(start_paused = true)]
async fn names_that_no_command_has_are_not_found() {
    let scene = Scene::new();
    let check = async |name: &str, expected: u16, code: &str| {
        let response = scene.exchange(post(&format!("/call/{name}"), "[1,2]")).await;
        assert_eq!(status(&response), expected, "{name:.100} {response}");
        assert!(body(&response).contains(code), "{response}");
        let shown = name.get(..20).unwrap_or(name);
        assert!(!response.contains(shown), "nothing of a name comes back: {response}");
    };
    check("ADD%2F", 404, "unknown_command").await;
    check("ADD/", 404, "unknown_command").await;
    check("ADD%0A", 404, "unknown_command").await;
    check("ADD%0D%0Ax:%20y", 404, "unknown_command").await;
    check("ADD%00", 404, "unknown_command").await;
    check("%2E%2E", 404, "unknown_command").await;
    check("..", 404, "unknown_command").await;
    check("../health", 404, "unknown_command").await;
    check("%C3%84DD", 404, "unknown_command").await;
    check("%FF%FE", 404, "unknown_command").await;
    check("%", 404, "unknown_command").await;
    check("%4", 404, "unknown_command").await;
    check(&"A".repeat(10_240), 404, "unknown_command").await;
    assert_eq!(scene.seen.begun(), 0);
    scene.check_serves().await;
}

/// What hyper decides, which is written down in the README.
#[tokio::test(start_paused = true)]
async fn what_hyper_refuses_has_a_bare_status_and_reaches_nobody() {
    let scene = Scene::new();
    let check = async |request: String, expected: u16| {
        let response = scene.exchange(&request).await;
        assert_eq!(status(&response), expected, "{request:.200} {response}");
        assert_eq!(header(&response, "x-request-id"), None, "{response}");
        assert_eq!(body(&response), "", "{response}");
    };
    let begin = "POST /call/ADD HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    let headed = |headers: &str| format!("{begin}{headers}\r\n[1,2]");
    check(headed("content-length: 5\r\ncontent-length: 6\r\n"), 400).await;
    check(headed("content-length: 5, 6\r\n"), 400).await;
    check(headed("content-length: -5\r\n"), 400).await;
    check(headed("content-length: +5\r\n"), 400).await;
    check(headed("content-length: 99999999999999999999999\r\n"), 400).await;
    check(headed("transfer-encoding: gzip\r\n"), 400).await;
    check(headed("transfer-encoding: chunked, gzip\r\n"), 400).await;
    // Obsolete folding.
    check(headed("content-length: 5\r\nx: y\r\n z\r\n"), 400).await;
    check(headed("content-length : 5\r\n"), 400).await;
    check(headed("x\0y: z\r\n"), 400).await;
    check(headed("x: a\0b\r\n"), 400).await;
    check("GET /a b HTTP/1.1\r\nhost: x\r\n\r\n".into(), 400).await;
    check("GET / HTTP/2.0\r\nhost: x\r\n\r\n".into(), 400).await;
    check("GET / HTTP/1.1\nhost x\n\n".into(), 400).await;
    check("\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}".into(), 400).await;
    // Who speaks HTTP/2 is closed without a word.
    check("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), 0).await;
    check(headed(&"a: b\r\n".repeat(10_000)), 431).await;
    check(headed(&"a: b\r\n".repeat(101)), 431).await;
    check(headed(&format!("a: {}\r\n", "b".repeat(20_000))), 431).await;
    check(format!("GET /{} HTTP/1.1\r\n", "a".repeat(100_000)), 431).await;
    assert_eq!(scene.seen.begun(), 0);
    scene.check_serves().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_http_is_answered_by_us() {
    let scene = Scene::new();
    let check = async |request: String, expected: u16| {
        let response = scene.exchange(&request).await;
        assert_eq!(status(&response), expected, "{request:.200} {response:.500}");
        assert!(header(&response, "x-request-id").is_some(), "{response}");
    };
    let deep = "[".repeat(1_000_000);
    check(post("/call/ADD", &deep), 400).await;
    check(post("/call/TELL", &deep), 400).await;
    check(post("/query", &deep), 400).await;
    check(post("/query", &format!("{{\"query\":\"ADD\",\"params\":{deep}")), 400).await;
    check(post("/call/ADD", &" ".repeat(2 << 20)), 413).await;
    check(post("/query", &" ".repeat(2 << 20)), 413).await;
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    let chunked = post("/call/ADD", "").replace("content-length: 0", "transfer-encoding: chunked");
    check(format!("{chunked}{}0\r\n\r\n", chunk.repeat(32)), 413).await;
    check(format!("{chunked}5\r\n[1,2]\r\n0\r\n\r\n"), 200).await;
    check(format!("{chunked}xyz\r\n[1,2]\r\n0\r\n\r\n"), 400).await;
    check(get("/", "").replace("GET", "BREW"), 405).await;
    check(get("/", "").replace("GET", "CONNECT"), 405).await;
    check(get("localhost:80", "").replace("GET", "CONNECT"), 400).await;
    check(get("*", "").replace("GET", "OPTIONS"), 404).await;
    check(get("http://localhost/health", ""), 200).await;
    check(get("//health", ""), 404).await;
    check(get("/health/", ""), 404).await;
    check(get("/health?x", ""), 200).await;
    // No version below 1.1 keeps a connection.
    check("GET /health HTTP/1.0\r\n\r\n".into(), 200).await;
    scene.check_serves().await;
}

#[tokio::test(start_paused = true)]
async fn a_length_beside_chunks_is_not_believed() {
    let scene = Scene::new();
    // hyper goes by the chunks, and closes: what follows is no second request.
    let request = "POST /call/ADD HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                   content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n5\r\n[1,2]\r\n0\r\n\r\n\
                   GET /health HTTP/1.1\r\nhost: x\r\n\r\n";
    let response = scene.exchange(request).await;
    assert_eq!(response.matches("HTTP/1.1").count(), 1, "{response}");
    assert_eq!((status(&response), body(&response)), (200, "3"), "{response}");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_drips_ends_with_its_time() {
    let scene = Scene::new();
    let mut peer = scene.dial().await;
    let start = Instant::now();
    let request = post("/call/ADD", &" ".repeat(100));
    peer.send(&request[..request.len() - 100]).await;
    for _ in 0..29 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        peer.send(" ").await;
    }
    let response = peer.rest().await;
    assert_eq!((status(&response), start.elapsed().as_secs()), (408, 30), "{response}");
    assert!(body(&response).contains("body_time_max (30s)"), "{response}");
    assert_eq!(scene.seen.begun(), 0);
    scene.check_serves().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_takes_its_call_along() {
    let scene = Scene::new();
    let mut peer = scene.dial().await;
    peer.send(post("/call/WAIT", "60000")).await;
    settle().await;
    assert_eq!(scene.seen.under_way(), 1);
    drop(peer);
    settle().await;
    assert_eq!((scene.seen.begun(), scene.seen.under_way()), (1, 0));
    let mut peer = scene.dial().await;
    let request = post("/call/ADD", "[1,2]");
    peer.send(&request[..request.len() - 2]).await;
    drop(peer);
    settle().await;
    assert_eq!(scene.seen.begun(), 1);
    scene.check_serves().await;
}

#[tokio::test(start_paused = true)]
async fn requests_that_come_together_are_answered_in_turn() {
    let scene = Scene::new();
    let kept = post("/call/ADD", "[1,2]").replace("close", "keep-alive");
    let response = scene.exchange(format!("{kept}{kept}{}", post("/call/ADD", "[2,2]"))).await;
    assert_eq!(response.matches("\r\n\r\n3HTTP/1.1 200 OK").count(), 2, "{response}");
    assert!(response.ends_with("\r\n\r\n4"), "{response}");
}

#[tokio::test(start_paused = true)]
async fn the_other_doors_go_on() {
    use switchboard::transport;
    let scene = Scene::new();
    let (listener, dialer) = transport::memory_listener();
    let endpoint = scene.endpoint.clone();
    tokio::spawn(async move { endpoint.serve(listener).await });
    let mut bad = Vec::new();
    for _ in 0..100 {
        let mut peer = scene.dial().await;
        peer.send("POST /call/ADD HTTP/1.1\r\nhost: x\r\n").await;
        bad.push(peer);
    }
    settle().await;
    let mut peer = Peer::new(dialer.dial().await.unwrap());
    peer.send("ADD 1 5 f=json\n[1,2]").await;
    peer.until("<1 ok 1\n3").await;
    scene.check_serves().await;
}

#[tokio::test]
async fn who_sends_too_much_over_a_socket_still_reads_why_it_was_refused() {
    let address = on_port(|gateway| gateway).await;
    let large = " ".repeat(2 << 20);
    for request in [post("/call/ADD", &large), post("/call/NONE", &large)] {
        let response = exchange_at(&address, request).await;
        assert!(matches!(status(&response), 404 | 413), "{response}");
        assert!(body(&response).contains("\"request_id\""), "{response}");
    }
    assert_eq!(body(&exchange_at(&address, post("/call/ADD", "[1,2]")).await), "3");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_is_missed_whatever_it_sent_behind() {
    for behind in ["", "G", "\r\n", "GET / HTTP/1.1\r\n", &get("/health", "")] {
        for request in [post("/call/WAIT", "20000"), post("/call/NEWS", "null")] {
            let scene = Scene::new();
            let mut peer = scene.dial().await;
            peer.send(format!("{}{behind}", request.replace("close", "keep-alive"))).await;
            settle().await;
            drop(peer);
            settle().await;
            assert_eq!((scene.seen.begun(), scene.seen.under_way()), (1, 0), "{behind:?}");
            let start = Instant::now();
            assert_eq!(scene.stopped().await.connections_cut_off, 0);
            assert!(start.elapsed().is_zero(), "{behind:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn requests_that_come_before_their_turn_are_answered_in_turn() {
    let scene = Scene::new();
    let mut peer = scene.dial().await;
    let wait = post("/call/WAIT", "3000").replace("close", "keep-alive");
    let many = get("/health", "").replace("close", "keep-alive").repeat(100);
    peer.send(wait + &many + &post("/call/ADD", "[1,2]")).await;
    let answers = peer.rest().await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 102);
    assert!(answers.ends_with("\r\n\r\n3"), "{answers}");
}

/// A server whose endpoint holds 1 MB at most.
fn with_little_memory() -> (MemoryDialer, Endpoint) {
    let limits = Limits::default().with(|limits| limits.held_bytes_max = 1_000_000);
    let endpoint = endpoint(&Seen::default()).with_limits(limits);
    let (listener, dialer) = transport::memory_listener();
    let (gateway, limits) = (Gateway::new(&endpoint), HttpLimits::default());
    tokio::spawn(serve_http(&endpoint, listener, gateway, limits));
    (dialer, endpoint)
}

#[tokio::test(start_paused = true)]
async fn bodies_that_are_read_and_replies_that_are_written_count() {
    let (dialer, _endpoint) = with_little_memory();
    let dial = async || Peer::new(dialer.dial().await.unwrap());
    let text = format!("\"{}\"", "x".repeat(599_998));
    let request = post("/call/QUERY", &text);
    let (most, last) = request.split_at(request.len() - 1);
    // One body that is not whole takes more than half of the memory.
    let mut first = dial().await;
    first.send(most).await;
    settle().await;
    let mut second = dial().await;
    second.send(most).await;
    let refused = second.rest().await;
    assert_eq!((status(&refused), header(&refused, "retry-after")), (503, Some("1")));
    assert!(body(&refused).contains("held_bytes_max (1000000)"), "{refused}");
    drop(first);
    settle().await;
    // A reply that nobody reads takes as much.
    let mut third = dial().await;
    third.send(post("/call/REPEAT", "600000")).await;
    settle().await;
    let mut fourth = dial().await;
    fourth.send(most).await;
    assert_eq!(status(&fourth.rest().await), 503);
    third.rest().await;
    settle().await;
    let mut fifth = dial().await;
    fifth.send(post("/call/REPEAT", "600000")).await;
    assert_eq!(body(&fifth.rest().await).len(), 600_002);
    let mut sixth = dial().await;
    sixth.send([most, last].concat()).await;
    // Not for a body that is read, and again for a text of as many bytes.
    assert_eq!(status(&sixth.rest().await), 503);
}

/// Over a socket, since hyper keeps bytes as they are only for a stream that takes many at once.
#[cfg(unix)]
#[tokio::test]
async fn items_that_are_not_read_count_as_well() {
    let limits = Limits::default().with(|limits| limits.held_bytes_max = 1_000_000);
    let endpoint = endpoint(&Seen::default()).with_limits(limits);
    let folder = std::env::temp_dir().join(format!("switchboard-items-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("socket");
    let listener = transport::bind(format!("unix:{}", path.display())).await.unwrap();
    let (gateway, limits) = (Gateway::new(&endpoint), HttpLimits::default());
    tokio::spawn(serve_http(&endpoint, listener, gateway, limits));
    let mut readers = Vec::new();
    for _ in 0..5 {
        let stream = tokio::net::UnixStream::connect(&path).await.unwrap();
        let mut reader = Peer::new(stream);
        reader.send(get("/events/DELUGE", "")).await;
        readers.push(reader);
    }
    for _ in 0..20 {
        settle().await;
    }
    // Each has an item or two in its pipe, and what hyper keeps for it: that makes the difference.
    let mut other = endpoint.door().held();
    assert_eq!(other.cover(550_000).unwrap_err().code(), Code::Overloaded);
    drop(readers);
    settle().await;
    assert!(other.cover(1_000_000).is_ok());
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_connection_of_lines_is_not_the_measure_of_all_of_http() {
    let limits = Limits::default().with(|limits| limits.calls_per_connection_max = 1);
    let endpoint = endpoint(&Seen::default()).with_limits(limits);
    let (listener, dialer) = transport::memory_listener();
    let (gateway, limits) = (Gateway::new(&endpoint), HttpLimits::default());
    tokio::spawn(serve_http(&endpoint, listener, gateway, limits));
    let mut peers = Vec::new();
    for _ in 0..20 {
        let mut peer = Peer::new(dialer.dial().await.unwrap());
        peer.send(post("/call/WAIT", "3000")).await;
        peers.push(peer);
    }
    for mut peer in peers {
        assert_eq!(body(&peer.rest().await), "\"waited\"");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_too_large_is_told_by_which_limit() {
    let check = async |limits: HttpLimits, request: String, expected: &str| {
        let scene = Scene::with(limits, |gateway| gateway);
        let response = scene.exchange(&request).await;
        assert_eq!(status(&response), 413, "{response}");
        assert!(body(&response).contains(expected), "{response}");
        let chunked = request.replace("content-length", "x-length").replacen(
            "\r\n\r\n",
            &format!("\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n", body(&request).len()),
            1,
        );
        let response = scene.exchange(chunked + "\r\n0\r\n\r\n").await;
        assert_eq!(status(&response), 413, "{response}");
        assert!(body(&response).contains(expected), "{response}");
    };
    let (whole, less) = (HttpLimits::default(), |bytes| {
        HttpLimits::default().with(|limits| limits.body_bytes_max = bytes)
    });
    let text = format!("\"{}\"", "x".repeat(98));
    check(whole.clone(), post("/call/SMALL", &text), "payload_bytes_max (16)").await;
    check(less(50), post("/call/QUERY", &text), "body_bytes_max (50)").await;
    check(less(50), post("/query", &text), "body_bytes_max (50)").await;
    let long = post("/call/SUM", &"1".repeat(70_000));
    check(less(50), long.replace("/json", "/x-ndjson"), "item_bytes_max (65536)").await;
}
