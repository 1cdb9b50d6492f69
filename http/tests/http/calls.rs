//! Calls with one reply: what reaches the handler, what comes back, and who is kept out.

use switchboard_http::Gateway;

use super::support::*;

#[tokio::test(start_paused = true)]
async fn a_call_is_answered_byte_for_byte() {
    let scene = Scene::new();
    let response = scene.exchange(post_with("/call/ADD", "[1,2]", "x-request-id: a1\r\n")).await;
    let date = header(&response, "date").unwrap().to_owned();
    let expected = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: a1\r\n\
                    cache-control: no-store\r\nx-content-type-options: nosniff\r\n\
                    connection: close\r\ncontent-length: 1\r\ndate: DATE\r\n\r\n3";
    assert_eq!(response.replace(&date, "DATE"), expected);
}

#[tokio::test(start_paused = true)]
async fn requests_become_calls_or_errors_with_their_status() {
    let scene = Scene::new();
    let check = async |request: String, expected: u16, code: &str| {
        let response = scene.exchange(&request).await;
        assert_eq!(status(&response), expected, "{request}\n{response}");
        assert!(header(&response, "x-request-id").is_some(), "{response}");
        if expected >= 400 {
            let json: serde_json::Value = serde_json::from_str(body(&response)).unwrap();
            assert_eq!(json["error"]["code"], code, "{request}\n{response}");
            assert!(json["error"]["message"].is_string());
            let id = header(&response, "x-request-id").unwrap();
            assert_eq!(json["error"]["request_id"], id);
        }
        response
    };
    check(post("/call/ADD", " [1, 2] "), 200, "").await;
    check(post("/call/%41DD", "[1,2]"), 200, "").await;
    check(post("/call/LINE", "\"a\""), 200, "").await;
    // No body is null.
    check(post("/call/TELL", ""), 200, "").await;

    let bad = check(post("/call/ADD", "[1,\n2"), 400, "bad_payload").await;
    assert!(body(&bad).contains("it ends too early at line 2 column 1"), "{bad}");
    check(post("/call/ADD", "[1,\"a\"]"), 400, "bad_payload").await;
    check(post("/call/ADD", "[1,2]x"), 400, "bad_payload").await;
    check(post("/call/ADD?timeout=x", "[1,2]"), 400, "invalid").await;
    check(post("/call/ADD?timeout=1&timeout=2", "[1,2]"), 400, "invalid").await;
    check(post("/call/ADD?time=1", "[1,2]"), 400, "invalid").await;
    check(post("/call/NONE", "[1,2]"), 404, "unknown_command").await;
    check(post("/call/%3F", "[1,2]"), 404, "unknown_command").await;
    check(post("/call/", "[1,2]"), 404, "unknown_command").await;
    check(post("/calls", "[1,2]"), 404, "not_found").await;
    check(post("/call/RAW", "[1,2]"), 404, "not_found").await;
    check(post("/call/SMALL", "\"12345678901234567890\""), 413, "too_large").await;
    let timed = post("/call/WAIT?timeout=0.5", "60000");
    check(timed, 504, "deadline_exceeded").await;
    let timed = post_with("/call/WAIT", "60000", "request-timeout: 0.5\r\n");
    check(timed, 504, "deadline_exceeded").await;

    let wrong = check(get("/call/ADD", ""), 405, "method_not_allowed").await;
    assert_eq!(header(&wrong, "allow"), Some("POST"));
    let wrong = check(post("/events/COUNT", ""), 405, "method_not_allowed").await;
    assert_eq!(header(&wrong, "allow"), Some("GET, HEAD"));
    let wrong = get("/call/ADD", "").replace("GET", "FROB");
    check(wrong, 405, "method_not_allowed").await;
    let typed = |kind| post("/call/ADD", "[1,2]").replace("application/json", kind);
    check(typed("application/json; charset=utf-8"), 200, "").await;
    check(typed("Application/JSON"), 200, "").await;
    check(typed("text/plain"), 415, "unsupported_format").await;
    check(typed("application/x-www-form-urlencoded"), 415, "unsupported_format").await;
    check(typed("multipart/form-data"), 415, "unsupported_format").await;
    let untyped = typed("x").replace("content-type: x\r\n", "");
    check(untyped, 415, "unsupported_format").await;
    let compressed = post_with("/call/ADD", "[1,2]", "content-encoding: gzip\r\n");
    check(compressed, 415, "unsupported_format").await;
}

#[tokio::test(start_paused = true)]
async fn errors_of_handlers_keep_code_text_and_details() {
    let scene = Scene::new();
    let check = async |code: &str, expected: u16, retry_after: Option<&str>| {
        let request = post_with("/call/FAIL", &format!("\"{code}\""), "x-request-id: a1\r\n");
        let response = scene.exchange(request).await;
        assert_eq!(status(&response), expected, "{response}");
        assert_eq!(header(&response, "retry-after"), retry_after);
        // Whose handler says so, has run: a drain need not mean that.
        let ran = if code == "shutting_down" { "\"ran\":true," } else { "" };
        let expected = format!(
            "{{\"error\":{{\"code\":\"{code}\",\"message\":\"as you like\",\"details\":7,\
             {ran}\"request_id\":\"a1\"}}}}\n"
        );
        assert_eq!(body(&response), expected);
    };
    check("invalid", 400, None).await;
    check("unauthenticated", 401, None).await;
    check("denied", 403, None).await;
    check("not_found", 404, None).await;
    check("conflict", 409, None).await;
    check("overloaded", 429, Some("1")).await;
    check("failed", 500, None).await;
    check("shutting_down", 503, Some("1")).await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_sees_who_asks_until_when_and_what_is_said_beside() {
    let scene = Scene::with(Default::default(), |gateway| {
        gateway.with_metadata_headers(["tenant-id", "user-name"])
    });
    let headers = "tenant-id: 42\r\nuser-name: A B\r\nother-one: x\r\n";
    let response = scene.exchange(post_with("/call/TELL?timeout=7", "null", headers)).await;
    assert_eq!(body(&response), "\"memory 7 tenant-id=42 user-name=A%20B \"", "{response}");
    let twice = post_with("/call/TELL", "null", "tenant-id: 1\r\ntenant-id: 2\r\n");
    assert_eq!(status(&scene.exchange(twice).await), 400);
    let much = post_with("/call/TELL", "null", &format!("tenant-id: {}\r\n", "x".repeat(5000)));
    assert_eq!(status(&scene.exchange(much).await), 400);
}

#[tokio::test(start_paused = true)]
async fn a_trace_goes_to_the_handler_if_it_is_one() {
    let scene = Scene::with(Default::default(), |gateway| gateway);
    let check = async |headers: &str, expected: &str| {
        let response = scene.exchange(post_with("/call/TELL", "null", headers)).await;
        assert_eq!(status(&response), 200, "{response}");
        assert!(body(&response).ends_with(&format!(" {expected}\"")), "{headers}: {response}");
    };
    let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let header = format!("traceparent: {good}\r\n");
    check(&header, good).await;
    check(&header.replace("traceparent", "TraceParent"), good).await;
    let later = good.replace("00-", "cc-") + "-more";
    check(&format!("traceparent: {later}\r\n"), &later).await;
    check(&header.repeat(2), "").await;
    for bad in ["", "x", "00-ab-cd-01", "\u{e9}", &good.to_uppercase(), &"x".repeat(200)] {
        check(&format!("traceparent: {bad}\r\n"), "").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_says_something_beside_its_answer() {
    let scene = Scene::with(Default::default(), |gateway| {
        gateway.with_metadata_headers(["tenant-id", "user-name"])
    });
    let check = async |request: String, expected: u16| {
        let response = scene.exchange(request).await;
        assert_eq!(status(&response), expected, "{response}");
        assert_eq!(header(&response, "tenant-id"), Some("4 2"));
        // The one is not listed, and the other can't be a header.
        assert_eq!((header(&response, "other-one"), header(&response, "user-name")), (None, None));
        let wants = (expected == 401).then_some("Bearer");
        assert_eq!(header(&response, "www-authenticate"), wants);
    };
    check(post("/call/SAY", "true"), 200).await;
    check(post("/call/SAY", "false"), 401).await;
    check(post("/query", "{\"query\": \"SAY\", \"params\": true}"), 200).await;
    check(post("/query", "{\"query\": \"SAY\", \"params\": false}"), 401).await;
}

#[tokio::test]
async fn a_handler_sees_the_address_and_a_proxy_is_believed_if_it_is_named() {
    let forwarded = post_with("/call/TELL", "null", "x-forwarded-for: 9.9.9.9\r\n");
    let address = on_port(|gateway| gateway).await;
    assert!(body(&exchange_at(&address, &forwarded).await).starts_with("\"127.0.0.1 "));
    let address = on_port(|gateway| gateway.trusting_proxies([[127, 0, 0, 1].into()])).await;
    assert!(body(&exchange_at(&address, &forwarded).await).starts_with("\"9.9.9.9 "));
}

#[tokio::test]
async fn a_web_page_does_not_drive_a_local_endpoint() {
    let address = on_port(|gateway| gateway.with_hosts(["box.lan"])).await;
    let check = async |host: &str, headers: &str, expected: u16| {
        let request = post_with("/call/ADD", "[1,2]", headers);
        let request = request.replace("host: localhost\r\n", &format!("{host}\r\n"));
        let response = exchange_at(&address, request).await;
        assert_eq!(status(&response), expected, "{host} {headers} {response}");
        assert_eq!(header(&response, "access-control-allow-origin"), None);
    };
    check("host: localhost", "", 200).await;
    check(&format!("host: {address}"), "", 200).await;
    check("host: box.lan:80", "", 200).await;
    check("host: evil.example", "", 403).await;
    check("x-host: nobody", "", 400).await;
    check("host: localhost", "host: localhost\r\n", 400).await;
    check("host: localhost", "origin: http://localhost\r\n", 200).await;
    check("host: localhost", "origin: http://evil.example\r\n", 403).await;
    check("host: localhost", "origin: null\r\n", 403).await;
    check("host: localhost", "sec-fetch-site: cross-site\r\n", 403).await;
    check("host: localhost", "sec-fetch-site: same-origin\r\n", 200).await;
    let absolute = |target: &str| post("/call/ADD", "[1,2]").replace("/call", target);
    let response = exchange_at(&address, absolute("http://localhost/call")).await;
    assert_eq!(status(&response), 200, "{response}");
    let response = exchange_at(&address, absolute("http://evil.example/call")).await;
    assert_eq!(status(&response), 400, "{response}");
}

#[tokio::test]
async fn pages_of_listed_origins_may_call() {
    let set = |gateway: Gateway| {
        gateway.with_cors(["https://app.example"]).with_metadata_headers(["tenant-id"])
    };
    let address = on_port(set).await;
    let origin = "origin: https://app.example\r\nsec-fetch-site: cross-site\r\n";
    let response = exchange_at(&address, post_with("/call/ADD", "[1,2]", origin)).await;
    assert_eq!(status(&response), 200);
    let allowed = header(&response, "access-control-allow-origin");
    assert_eq!(allowed, Some("https://app.example"));
    let asked = get("/call/ADD", origin).replace("GET", "OPTIONS");
    let response = exchange_at(&address, asked).await;
    assert_eq!(status(&response), 204);
    assert_eq!(header(&response, "access-control-allow-methods"), Some("POST"));
    let taken =
        "tenant-id, content-type, last-event-id, request-timeout, traceparent, x-request-id";
    assert_eq!(header(&response, "access-control-allow-headers"), Some(taken));
    assert_eq!(header(&response, "access-control-max-age"), Some("600"));
    let other = post_with("/call/ADD", "[1,2]", "origin: https://other.example\r\n");
    let response = exchange_at(&address, other).await;
    assert_eq!(status(&response), 403);
    assert_eq!(header(&response, "access-control-allow-origin"), None);
}

#[tokio::test(start_paused = true)]
async fn calls_over_http_are_counted_with_all_others() {
    let scene = Scene::new();
    for (name, body) in [("ADD", "[1,2]"), ("FAIL", "\"invalid\""), ("NOPE", "1")] {
        scene.exchange(post(&format!("/call/{name}"), body)).await;
    }
    scene.exchange(get("/events/COUNT?request=3", "")).await;
    let stats = scene.endpoint.stats();
    assert_eq!(stats.command("ADD").unwrap().answered, 1);
    assert_eq!(stats.command("FAIL").unwrap().failed(), 1);
    assert!(stats.command("NOPE").is_none(), "no peer makes a series");
    assert_eq!(stats.command("COUNT").unwrap().items_out, 3);
    assert_eq!((stats.calls.begun, stats.connections.accepted), (3, 4));
}
