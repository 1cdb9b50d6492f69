//! Bad input: none of it reaches a handler that it should not, and others go on being served.
//!
//! | is refused by | what |
//! |---|---|
//! | hyper, with a bare status | heads that are no HTTP, or over a limit; lengths that conflict |
//! | us, in our shape | all that is HTTP: names, types, bodies, hosts |
//! | nobody | a connection that is too slow or gone is closed |

use std::time::Duration;

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
