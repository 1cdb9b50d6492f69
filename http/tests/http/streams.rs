//! Streamed calls: items out as lines and events, items in as lines, and how they end.

use std::time::Duration;

use switchboard_http::HttpLimits;

use super::support::*;

#[tokio::test(start_paused = true)]
async fn items_are_lines_and_the_last_line_is_none() {
    let scene = Scene::new();
    let check = async |path: &str, request: &str, expected: &str| {
        let response = scene.exchange(post_with(path, request, "x-request-id: a1\r\n")).await;
        assert_eq!(status(&response), 200, "{response}");
        assert_eq!(header(&response, "content-type"), Some("application/x-ndjson"));
        assert_eq!(chunked(&response).as_deref(), Some(expected), "{response}");
    };
    check("/call/COUNT", "3", "1\n2\n3\n{\"end\":null}\n").await;
    check("/call/COUNT", "0", "{\"end\":null}\n").await;
    check("/call/FOLLOW", "null", "100\n101\n102\n{\"end\":\"done\"}\n").await;
    let broken = "1\n{\"error\":{\"code\":\"conflict\",\"message\":\"it broke\",\"details\":7,\
                  \"request_id\":\"a1\"}}\n";
    check("/call/BREAK", "null", broken).await;
    // What fails before it has begun has a status.
    let response = scene.exchange(post("/call/COUNT", "\"x\"")).await;
    assert_eq!(status(&response), 400, "{response}");
}

#[tokio::test(start_paused = true)]
async fn items_are_events_for_whoever_asks_for_them() {
    let scene = Scene::new();
    let all = "id: 100\ndata: 100\n\nid: 101\ndata: 101\n\nid: 102\ndata: 102\n\n\
               event: end\nid: end\ndata: \"done\"\n\n";
    let accept = "accept: text/event-stream\r\n";
    let response = scene.exchange(post_with("/call/FOLLOW", "null", accept)).await;
    assert_eq!(chunked(&response).as_deref(), Some(all));
    let behind = format!("last-event-id: 101\r\n{accept}");
    let response = scene.exchange(post_with("/call/FOLLOW", "null", &behind)).await;
    assert!(chunked(&response).unwrap().starts_with("id: 102\n"), "{response}");
    let behind_all = "last-event-id: end\r\n";
    assert_eq!(status(&scene.exchange(post_with("/call/FOLLOW", "null", behind_all)).await), 204);
    let check = async |path: &str, headers: &str, expected: &str| {
        let headers = format!("x-request-id: a1\r\n{headers}");
        let response = scene.exchange(get(path, &headers)).await;
        assert_eq!(status(&response), 200, "{response}");
        assert_eq!(header(&response, "content-type"), Some("text/event-stream"));
        assert_eq!(chunked(&response).as_deref(), Some(expected), "{response}");
    };
    check("/events/FOLLOW", "", all).await;
    let rest = "id: 102\ndata: 102\n\nevent: end\nid: end\ndata: \"done\"\n\n";
    check("/events/FOLLOW", "last-event-id: 101\r\n", rest).await;
    let end = "event: end\nid: end\ndata: \"done\"\n\n";
    check("/events/FOLLOW", "last-event-id: 102\r\n", end).await;
    let counted = "data: 1\n\ndata: 2\n\nevent: end\nid: end\ndata: null\n\n";
    check("/events/COUNT?request=%32", "", counted).await;
    let broken = "data: 1\n\nevent: error\nid: end\ndata: {\"error\":{\"code\":\"conflict\",\
                  \"message\":\"it broke\",\"details\":7,\"request_id\":\"a1\"}}\n\n";
    check("/events/BREAK", "", broken).await;
}

#[tokio::test(start_paused = true)]
async fn events_are_for_what_changes_nothing() {
    let scene = Scene::new();
    let check = async |path: &str, headers: &str, expected: u16| {
        let response = scene.exchange(get(path, headers)).await;
        assert_eq!(status(&response), expected, "{path} {response}");
    };
    // After the end there is nothing to come back for.
    check("/events/FOLLOW", "last-event-id: end\r\n", 204).await;
    check("/events/WRITE", "", 403).await;
    check("/events/ADD?request=[1,2]", "", 403).await;
    check("/events/SUM", "", 403).await;
    check("/events/NONE", "", 404).await;
    check("/events/FOLLOW", "last-event-id: x\r\n", 400).await;
    check("/events/FOLLOW", "last-event-id: 18446744073709551615\r\n", 400).await;
    check("/events/COUNT?request=1", "last-event-id: 1\r\n", 400).await;
    check("/events/FOLLOW", "last-event-id: 7\r\n", 404).await;
    check("/events/COUNT?request=x", "", 400).await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_says_that_it_lives_and_ends_with_its_reader() {
    let scene = Scene::new();
    let mut peer = scene.dial().await;
    peer.send(get("/events/NEWS", "")).await;
    peer.until("data: 1\n\n").await;
    let start = tokio::time::Instant::now();
    peer.until(":\n\n").await;
    peer.until(":\n\n").await;
    assert_eq!(start.elapsed().as_secs(), 30);
    assert_eq!(scene.seen.under_way(), 1);
    drop(peer);
    settle().await;
    assert_eq!(scene.seen.under_way(), 0);
    scene.check_serves().await;
}

#[tokio::test(start_paused = true)]
async fn requests_in_items_are_lines() {
    let scene = Scene::new();
    let check = async |path: &str, lines: &str, expected: u16, reply: &str| {
        let request = post(path, lines).replace("application/json", "application/x-ndjson");
        let response = scene.exchange(request).await;
        assert_eq!(status(&response), expected, "{response}");
        let found = chunked(&response).unwrap_or_else(|| body(&response).to_owned());
        assert!(found.contains(reply), "{response}");
    };
    check("/call/SUM", "1\n2\n3\n", 200, "6").await;
    check("/call/SUM", "1\r\n\n 2\n3", 200, "6").await;
    check("/call/SUM", "", 200, "0").await;
    check("/call/SUM?request=null", "1", 200, "1").await;
    check("/call/SUM", "1\nx\n", 400, "bad_payload").await;
    check("/call/SUM", &"1".repeat(70_000), 413, "too_large").await;
    check("/call/DOUBLE", "1\n2\n", 200, "2\n4\n{\"end\":null}\n").await;
}

#[tokio::test(start_paused = true)]
async fn items_go_both_ways_at_once() {
    let scene = Scene::new();
    let mut peer = scene.dial().await;
    peer.send(
        "POST /call/DOUBLE HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-ndjson\r\n\
         transfer-encoding: chunked\r\n\r\n",
    )
    .await;
    for number in 1..=3 {
        peer.send("2\r\n").await;
        peer.send(format!("{number}\n\r\n")).await;
        peer.until(&format!("\r\n{}\n\r\n", 2 * number)).await;
    }
    peer.send("0\r\n\r\n").await;
    peer.until("{\"end\":null}\n\r\n0\r\n\r\n").await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_stops_is_cut_off_and_nothing_grows() {
    let scene = Scene::new();
    let mut peer = scene.dial().await;
    peer.send(get("/events/FLOOD", "")).await;
    peer.until("data: ").await;
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(scene.seen.under_way(), 1);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(scene.seen.under_way(), 0);
    scene.check_serves().await;
}

#[tokio::test(start_paused = true)]
async fn a_request_in_items_lasts_as_long_as_it_goes_on() {
    let scene = Scene::new();
    let head = "POST /call/SUM HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
                content-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n";
    let second = Duration::from_secs(1);
    let begun = async |limits: HttpLimits| {
        let scene = Scene::with(limits, |gateway| gateway);
        let mut peer = scene.dial().await;
        peer.send(head).await;
        (scene, peer)
    };
    // Longer than body_time_max, and more than body_bytes_max.
    let (_scene, mut peer) = begun(HttpLimits::default().with(|l| l.body_bytes_max = 8)).await;
    for _ in 0..10 {
        peer.send("2\r\n4\n\r\n").await;
        tokio::time::sleep(20 * second).await;
    }
    peer.send("0\r\n\r\n").await;
    assert_eq!(body(&peer.rest().await), "40");
    // But a silence has its time.
    let (_scene, mut peer) = begun(HttpLimits::default()).await;
    peer.send("2\r\n4\n\r\n").await;
    let start = tokio::time::Instant::now();
    let response = peer.rest().await;
    assert_eq!((status(&response), start.elapsed().as_secs()), (408, 30), "{response}");
    // A body that is read as a whole has it in all.
    let mut peer = scene.dial().await;
    peer.send(head.replace("SUM", "ADD").replace("x-ndjson", "json")).await;
    let start = tokio::time::Instant::now();
    for _ in 0..2 {
        peer.send("1\r\n[\r\n").await;
        tokio::time::sleep(14 * second).await;
    }
    let response = peer.rest().await;
    assert_eq!((status(&response), start.elapsed().as_secs()), (408, 30), "{response}");
}

#[tokio::test(start_paused = true)]
async fn an_end_that_may_pass_keeps_the_last_id() {
    let scene = Scene::new();
    let response = scene.exchange(get("/events/NEWS?timeout=2", "")).await;
    let events = chunked(&response).unwrap();
    assert!(events.contains("event: error\ndata: {"), "{events}");
    assert!(events.contains("deadline_exceeded") && !events.contains("id: end"), "{events}");
}
