//! The gateway within an application of axum, and the application served by us.

use axum::Router;
use axum::body::Bytes;
use axum::routing::post as route;
use switchboard::transport;
use switchboard_http::{Gateway, HttpLimits, serve_http};

use super::support::*;

#[tokio::test(start_paused = true)]
async fn an_application_of_axum_is_served_and_holds_a_gateway() {
    let endpoint = endpoint(&Seen::default());
    let app = Router::new()
        .route("/len", route(async |body: Bytes| body.len().to_string()))
        .nest_service("/api", Gateway::new(&endpoint));
    let (listener, dialer) = transport::memory_listener();
    tokio::spawn(serve_http(listener, app, HttpLimits::default()).into_future());
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
