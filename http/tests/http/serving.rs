//! The server: its times, its limits, its end.

use std::time::Duration;

use switchboard::{Endpoint, Limits, transport};
use switchboard_http::{Gateway, HttpLimits, serve_http, serve_http_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use super::support::*;

#[tokio::test(start_paused = true)]
async fn silence_ends_a_connection_after_its_time() {
    let scene = Scene::new();
    let check = async |begin: &str, seconds: u64| {
        let mut peer = scene.dial().await;
        let start = Instant::now();
        peer.send(begin).await;
        assert_eq!(peer.rest().await, "");
        assert_eq!(start.elapsed().as_secs(), seconds, "{begin}");
    };
    check("", 120).await;
    check("GET / HT", 5).await;
    check("GET / HTTP/1.1\r\nhost: x\r\n", 5).await;
    // However long it was idle before.
    let mut peer = scene.dial().await;
    tokio::time::sleep(Duration::from_secs(100)).await;
    let start = Instant::now();
    peer.send("GET").await;
    assert_eq!(peer.rest().await, "");
    assert_eq!(start.elapsed().as_secs(), 5);
    // Kept alive, it idles, and a second head has its time.
    let mut peer = scene.dial().await;
    for seconds in [100, 100, 100, 0] {
        peer.send("GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await;
        peer.until("{\"health\":\"ready\"}\n").await;
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }
    peer.send("GET").await;
    let start = Instant::now();
    assert_eq!(peer.rest().await, "");
    assert_eq!(start.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_drips_has_no_more_time_than_another() {
    let scene = Scene::new();
    let (mut reader, mut writer) = tokio::io::split(scene.dial().await.io);
    let start = Instant::now();
    tokio::spawn(async move {
        for byte in "GET / HTTP/1.1\r\nhost: x\r\n".bytes() {
            if writer.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let mut response = String::new();
    reader.read_to_string(&mut response).await.unwrap();
    assert_eq!((response.as_str(), start.elapsed().as_secs()), ("", 5));
    scene.check_serves().await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_may_take_longer_than_a_connection_may_idle() {
    let scene = Scene::limited(|limits| limits.idle_time_max = Duration::from_secs(1));
    let response = scene.exchange(post("/call/WAIT", "20000")).await;
    assert_eq!(body(&response), "\"waited\"", "{response}");
}

#[tokio::test(start_paused = true)]
async fn connections_count_with_those_of_other_doors() {
    let limits = Limits::default().with(|limits| limits.connections_max = 2);
    let endpoint = Endpoint::new().with_limits(limits);
    let (listener, dialer) = transport::memory_listener();
    let gateway = Gateway::new(&endpoint);
    tokio::spawn(serve_http(&endpoint, listener, gateway, HttpLimits::default()));
    let (commands, caller) = transport::memory_listener();
    tokio::spawn(async move { endpoint.serve(commands).await });
    let other = caller.dial().await.unwrap();
    let mut first = Peer::new(dialer.dial().await.unwrap());
    first.send("GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await;
    first.until("ready").await;
    let refused = Peer::new(dialer.dial().await.unwrap()).rest().await;
    assert_eq!(status(&refused), 503);
    assert_eq!(header(&refused, "retry-after"), Some("1"));
    let id = header(&refused, "x-request-id").unwrap();
    let text = "\"code\":\"overloaded\",\"message\":\"connections_max (2) are open\"";
    assert_eq!(body(&refused), format!("{{\"error\":{{{text},\"request_id\":\"{id}\"}}}}\n"));
    drop(other);
    settle().await;
    let mut second = Peer::new(dialer.dial().await.unwrap());
    second.send("GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await;
    second.until("ready").await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_what_is_idle_and_waits_for_what_is_not() {
    let mut scene = Scene::new();
    let (mut idle, mut fresh) = (scene.dial().await, scene.dial().await);
    idle.send("GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await;
    idle.until("ready\"}\n").await;
    let (mut busy, mut endless) = (scene.dial().await, scene.dial().await);
    busy.send(post("/call/WAIT", "3000").replace("close", "keep-alive")).await;
    endless.send(get("/events/NEWS", "x-request-id: a1\r\n")).await;
    endless.until("data: 1\n\n").await;
    settle().await;
    let start = Instant::now();
    drop(scene.stop.take());
    assert_eq!(idle.rest().await, "");
    assert_eq!(fresh.rest().await, "");
    let end = endless.rest().await;
    assert!(end.contains("event: error\ndata: {\"error\":{\"code\":\"shutting_down\""), "{end}");
    assert!(end.ends_with("\r\n0\r\n\r\n"), "{end}");
    assert!(start.elapsed().is_zero());
    settle().await;
    let late = scene.dialer.dial().await;
    assert!(late.is_err());
    let response = busy.rest().await;
    assert_eq!(body(&response), "\"waited\"");
    drop(busy);
    let report = scene.stopped().await;
    assert_eq!(start.elapsed().as_secs(), 3);
    let counts = (report.connections, report.connections_cut_off, report.requests);
    assert_eq!(counts, (4, 0, 3));
}

#[tokio::test]
async fn who_waits_to_be_accepted_at_the_end_is_answered() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let mut peer = Peer::new(TcpStream::connect(address).await.unwrap());
        peer.send(post("/call/ADD", "[1,2]")).await;
        waiting.push(peer);
    }
    let mut silent = Peer::new(TcpStream::connect(address).await.unwrap());
    let (seen, limits) = (Seen::default(), HttpLimits::default());
    let endpoint = endpoint(&seen);
    let (gateway, stop) = (Gateway::new(&endpoint), std::future::ready(()));
    let report = serve_http_until(&endpoint, listener, gateway, limits, stop).await;
    for mut peer in waiting {
        let response = peer.rest().await;
        assert_eq!(status(&response), 503, "{response}");
        assert!(body(&response).contains("shutting_down"), "{response}");
        assert!(!body(&response).contains("\"ran\""), "{response}");
    }
    assert_eq!(silent.rest().await, "");
    assert_eq!((report.connections, report.requests, report.connections_cut_off), (4, 3, 0));
    assert_eq!(seen.begun(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_does_not_end_in_time_is_answered_so() {
    let scene = Scene::new();
    let mut slow = scene.dial().await;
    slow.send(post("/call/WAIT", "25000")).await;
    settle().await;
    let (seen, start) = (scene.seen.clone(), Instant::now());
    let stopped = tokio::spawn(scene.stopped());
    let response = slow.rest().await;
    assert_eq!((start.elapsed().as_secs(), seen.under_way()), (10, 0));
    drop(slow);
    let report = stopped.await.unwrap();
    assert_eq!((start.elapsed().as_secs(), report.connections_cut_off), (10, 0));
    assert_eq!(status(&response), 503);
    let text = "the call did not end within drain_time_max";
    let text = format!("\"code\":\"shutting_down\",\"message\":\"{text}");
    assert!(body(&response).contains(&text), "{response}");
    assert!(body(&response).contains("\"ran\":true"), "{response}");
}

#[tokio::test(start_paused = true)]
async fn a_handler_is_told_of_the_drain_which_waits_for_what_it_leaves_running() {
    let scene = Scene::new();
    let mut peer = scene.dial().await;
    peer.send(post("/call/STAY", "null")).await;
    settle().await;
    let (seen, start) = (scene.seen.clone(), Instant::now());
    let stopped = tokio::spawn(scene.stopped());
    assert_eq!(body(&peer.rest().await), "\"told\"");
    assert!(start.elapsed().is_zero());
    assert_eq!(seen.under_way(), 1);
    assert_eq!(stopped.await.unwrap().connections_cut_off, 0);
    assert_eq!((seen.under_way(), start.elapsed().as_secs()), (0, 3));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_hangs_is_cut_off() {
    let service = axum::Router::new().fallback(std::future::pending::<()>);
    let (listener, dialer) = transport::memory_listener();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (endpoint, limits) = (Endpoint::new(), HttpLimits::default());
    let report = tokio::spawn(serve_http_until(&endpoint, listener, service, limits, stopped));
    let mut peer = Peer::new(dialer.dial().await.unwrap());
    peer.send(get("/", "")).await;
    settle().await;
    let start = Instant::now();
    drop(stop);
    assert_eq!(peer.rest().await, "");
    let report = report.await.unwrap();
    // With the time for a last word.
    assert_eq!(start.elapsed().as_secs(), 12);
    assert_eq!((report.connections, report.connections_cut_off, report.requests), (1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_response_that_is_not_read_during_the_drain_is_cut_off() {
    let scene = Scene::new();
    let mut reader = scene.dial().await;
    reader.send(post("/call/REPEAT", "1000000")).await;
    settle().await;
    let report = scene.stopped().await;
    assert_eq!((report.connections, report.connections_cut_off), (1, 1));
    let read = reader.rest().await.len();
    assert!(read > 0 && read < 1_000_000, "{read}");
}

#[tokio::test(start_paused = true)]
async fn a_request_during_the_drain_is_told_so() {
    let mut scene = Scene::new();
    let mut peer = scene.dial().await;
    let request = post("/call/ADD", "[1,2]");
    let (head, rest) = request.split_at(40);
    peer.send(head).await;
    settle().await;
    drop(scene.stop.take());
    settle().await;
    peer.send(rest).await;
    let response = peer.rest().await;
    assert_eq!(status(&response), 503, "{response}");
    assert_eq!(header(&response, "retry-after"), Some("1"));
    assert!(body(&response).contains("shutting_down"), "{response}");
    assert!(!body(&response).contains("\"ran\""), "{response}");
    assert_eq!(scene.seen.begun(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_slow_is_waited_for_as_long_as_it_reads() {
    let scene = Scene::new();
    let mut peer = scene.dial().await;
    peer.send(get("/events/FLOOD", "")).await;
    // Each stall is shorter than write_stall_time_max, all together are not.
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_secs(9)).await;
        let mut buffer = vec![0; 60_000];
        peer.io.read_exact(&mut buffer).await.unwrap();
    }
    assert_eq!(scene.seen.under_way(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_goes_on_sending_is_read_for_as_long_as_the_endpoint_lingers() {
    let limits = Limits::default().with(|limits| limits.linger_time_max = Duration::from_secs(5));
    let endpoint = Endpoint::new().with_limits(limits);
    let (listener, dialer) = transport::memory_listener();
    let gateway = Gateway::new(&endpoint);
    tokio::spawn(serve_http(&endpoint, listener, gateway, HttpLimits::default()));
    let mut peer = Peer::new(dialer.dial().await.unwrap());
    peer.send("no HTTP\r\n\r\n").await;
    assert_eq!(status(&peer.rest().await), 400);
    let start = Instant::now();
    while peer.io.write_all(b"x").await.is_ok() {
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    assert_eq!(start.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn connections_drain_also_if_nobody_waits_for_them() {
    let scene = Scene::new();
    let mut busy = scene.dial().await;
    busy.send(post("/call/WAIT", "3000").replace("close", "keep-alive")).await;
    settle().await;
    scene.report.abort();
    settle().await;
    assert!(scene.dialer.dial().await.is_err());
    assert_eq!(body(&busy.rest().await), "\"waited\"");
}

#[tokio::test(start_paused = true)]
async fn one_line_is_logged_for_each_request_and_nothing_that_a_peer_made_up() {
    Lines::listen();
    let scene = Scene::new();
    scene.exchange(get("/", "x-request-id: a0\r\n").replace("GET", "HEAD")).await;
    let head = Lines::taken();
    assert!(head.len() == 1 && head[0].contains("is_cut=false"), "{head:?}");
    scene.exchange(post_with("/call/ADD", "[1,2]", "x-request-id: a1\r\n")).await;
    scene.exchange(post_with("/call/MADE_UP", "[1,2]", "x-request-id: a2\r\n")).await;
    scene.exchange(get("/made/up", "x-request-id: a3\r\n").replace("GET", "MADEUP")).await;
    let mut reader = scene.dial().await;
    reader.send(get("/events/NEWS", "x-request-id: a4\r\n")).await;
    reader.until("data: 1\n\n").await;
    drop(reader);
    settle().await;
    let mut leaver = scene.dial().await;
    leaver.send(post_with("/call/WAIT", "3000", "x-request-id: a5\r\n")).await;
    settle().await;
    drop(leaver);
    settle().await;
    let expected = [
        "method=POST command=ADD status=200 bytes=1 is_cut=false peer=memory request_id=a1",
        "method=POST status=404 bytes=100 is_cut=false peer=memory request_id=a2",
        "method=another status=404 bytes=92 is_cut=false peer=memory request_id=a3",
        "method=GET command=NEWS status=200 bytes=9 is_cut=true peer=memory request_id=a4",
        "method=POST command=WAIT bytes=0 is_cut=true peer=memory request_id=a5",
    ];
    assert_eq!(Lines::taken(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_is_closed_takes_no_calls_wherever_it_is_served() {
    let endpoint = endpoint(&Seen::default());
    let gateway = Gateway::new(&endpoint);
    let (listener, dialer) = transport::memory_listener();
    tokio::spawn(serve_http(&endpoint, listener, gateway.clone(), HttpLimits::default()));
    let ask = async |request: String| {
        let mut peer = Peer::new(dialer.dial().await.unwrap());
        peer.send(request).await;
        peer.rest().await
    };
    let mut endless = Peer::new(dialer.dial().await.unwrap());
    endless.send(get("/events/NEWS", "")).await;
    endless.until("data: 1\n\n").await;
    gateway.close();
    let end = endless.rest().await;
    assert!(end.contains("event: error\n"), "{end}");
    gateway.closed().await;
    assert_eq!(status(&ask(post("/call/ADD", "[1,2]")).await), 503);
    assert_eq!(status(&ask(get("/events/COUNT?request=1", "")).await), 503);
    let health = ask(get("/health", "")).await;
    assert_eq!((status(&health), body(&health)), (503, "{\"health\":\"draining\"}\n"));
    assert!(ask(get("/", "")).await.contains("\"health\":\"draining\""));
}

/// Who says `H` before its first request is in.
struct Shaken(transport::MemoryListener);

impl transport::Listener for Shaken {
    type Io = transport::Handshake;

    async fn accept(&mut self) -> std::io::Result<(transport::Handshake, transport::Peer)> {
        let (mut stream, peer) = self.0.accept().await?;
        let same = peer.clone();
        let handshake = transport::Handshake::new(async move {
            let word = stream.read_u8().await?;
            if word == b'H' {
                Ok((stream, same))
            } else {
                Err(std::io::ErrorKind::PermissionDenied.into())
            }
        });
        Ok((handshake, peer))
    }
}

#[tokio::test(start_paused = true)]
async fn a_handshake_comes_before_the_first_request() {
    let (listener, dialer) = transport::memory_listener();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let endpoint = endpoint(&Seen::default());
    let (gateway, limits) = (Gateway::new(&endpoint), HttpLimits::default());
    let serving = serve_http_until(&endpoint, Shaken(listener), gateway, limits, stopped);
    let report = tokio::spawn(serving);
    let check = async |before: &str, expected: u16| {
        let mut peer = Peer::new(dialer.dial().await.unwrap());
        peer.send(format!("{before}{}", post("/call/ADD", "[1,2]"))).await;
        assert_eq!(status(&peer.rest().await), expected, "{before:?}");
    };
    check("H", 200).await;
    check("X", 0).await;
    let (mut silent, start) = (Peer::new(dialer.dial().await.unwrap()), Instant::now());
    assert_eq!(silent.rest().await, "");
    assert_eq!(start.elapsed().as_secs(), 10);
    drop(stop);
    let report = report.await.unwrap();
    assert_eq!((report.connections, report.handshakes_failed, report.requests), (1, 2, 1));
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_is_served_whatever_the_host_and_the_peer_is_told() {
    let folder = std::env::temp_dir().join(format!("switchboard-http-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("socket");
    let listener = transport::bind(format!("unix:{}", path.display())).await.unwrap();
    let endpoint = endpoint(&Seen::default());
    let (gateway, limits) = (Gateway::new(&endpoint), HttpLimits::default());
    tokio::spawn(serve_http(&endpoint, listener, gateway, limits));
    let mut peer = Peer::new(tokio::net::UnixStream::connect(&path).await.unwrap());
    peer.send(post("/call/IS_OWN", "null").replace("localhost", "anything")).await;
    let response = peer.rest().await;
    assert_eq!((status(&response), body(&response)), (200, "true"), "{response}");
    std::fs::remove_dir_all(&folder).unwrap();
}
