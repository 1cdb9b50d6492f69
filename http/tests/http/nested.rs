//! The gateway within an application of axum, and the application served by us.

use axum::Router;
use axum::body::Bytes;
use axum::routing::post as route;
use switchboard::transport;
use switchboard_http::{Gateway, HttpLimits, serve_http};

use super::support::*;

#[tokio::test(start_paused = true)]
async fn routes_beside_the_gateway_are_guarded_as_it_is() {
    let endpoint = endpoint(&Seen::default());
    let gateway = Gateway::new(&endpoint).with_cors(["https://app.example"]);
    let app = Router::new()
        .route("/len", route(async |body: Bytes| body.len().to_string()))
        .fallback_service(gateway.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let guarded = gateway.guarding(app);
    tokio::spawn(serve_http(&endpoint, listener, guarded, HttpLimits::default()));
    for path in ["/len", "/call/ADD"] {
        let check = async |headers: &str, expected: u16| {
            let response = exchange_at(&address, post_with(path, "[1,2]", headers)).await;
            assert_eq!(status(&response), expected, "{path} {headers} {response}");
            assert!(header(&response, "vary").is_some());
            response
        };
        let whole = check("", 200).await;
        assert_eq!(header(&whole, "access-control-allow-origin"), None);
        let refused = check("origin: https://evil.example\r\nx-request-id: a1\r\n", 403).await;
        assert_eq!(header(&refused, "x-request-id"), Some("a1"));
        assert!(body(&refused).contains("\"request_id\":\"a1\""), "{refused}");
        check("sec-fetch-site: cross-site\r\n", 403).await;
        let read = check("origin: https://app.example\r\n", 200).await;
        let reader = header(&read, "access-control-allow-origin");
        assert_eq!(reader, Some("https://app.example"));
        let shown = header(&read, "access-control-expose-headers");
        assert_eq!(shown, Some("retry-after, x-request-id"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_application_of_axum_is_served_and_holds_a_gateway() {
    let endpoint = endpoint(&Seen::default());
    let app = Router::new()
        .route("/len", route(async |body: Bytes| body.len().to_string()))
        .nest_service("/api", Gateway::new(&endpoint));
    let (listener, dialer) = transport::memory_listener();
    tokio::spawn(serve_http(&endpoint, listener, app, HttpLimits::default()));
    let check = async |request: String, expected: u16, answer: &str| {
        let mut peer = Peer::new(dialer.dial().await.unwrap());
        peer.send(&request).await;
        let response = peer.rest().await;
        assert_eq!(status(&response), expected, "{response}");
        assert!(body(&response).contains(answer), "{response}");
    };
    check(post("/len", "abc"), 200, "3").await;
    check(post("/api/call/ADD", "[1,2]"), 200, "3").await;
    check(post("/api/call/TELL", "null"), 200, "\"memory ").await;
    check(get("/api/events/COUNT?request=1", ""), 200, "event: end\n").await;
    check(get("/api/health", ""), 200, "ready").await;
    // The bounds of the server hold for its own routes as well.
    check(post("/len", &"a".repeat(2 << 20)), 413, "").await;
}
