//! An application of axum with the commands of an endpoint nested in it, both served by
//! `serve_http_until`, whose limits and drain hold for the application's own routes as well.
//!
//! ```sh
//! cd systems && cargo run -p switchboard-http --example axum_app
//! ```

use axum::Router;
use axum::extract::Json as Body;
use axum::routing::post;
use switchboard::format::Json;
use switchboard::{Command, Endpoint, Error, transport};
use switchboard_http::{Gateway, HttpLimits, serve_http_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

const ADD: Command<(u32, u32), u32, Json> = Command::new("ADD").about("Adds two numbers.");

async fn multiply(Body((a, b)): Body<(u32, u32)>) -> Body<Option<u32>> {
    Body(a.checked_mul(b))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let endpoint = Endpoint::new().on(ADD, async |(a, b): (u32, u32)| {
        a.checked_add(b).ok_or_else(|| Error::new(switchboard::Code::Invalid, "too large a sum"))
    });
    let gateway = Gateway::new(&endpoint);
    let app = Router::new()
        .route("/multiply", post(multiply))
        .nest_service("/commands", gateway.clone())
        .fallback_service(gateway);

    let listener = transport::bind("127.0.0.1:0").await?;
    let address = listener.local_address()?.to_string();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = serve_http_until(&endpoint, listener, app, HttpLimits::default(), stopped);
    let serving = tokio::spawn(serving);

    for path in ["/multiply", "/call/ADD", "/commands/call/ADD"] {
        println!("{path} [6,7]: {}", ask(&address, path).await?);
    }
    drop(stop);
    let report = serving.await?;
    println!("{} connections, {} requests", report.connections, report.requests);
    Ok(())
}

/// The body of what an HTTP server answers.
async fn ask(address: &str, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let head = format!("POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    let body = "content-type: application/json\r\ncontent-length: 5\r\n\r\n[6,7]";
    stream.write_all(format!("{head}{body}").as_bytes()).await?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await?;
    Ok(response.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_owned())
}
