//! What the gateway costs beside a bare hyper handler, which decodes and encodes the same types
//! with `serde_json`: in the same run, over the same sockets, by the same client.
//!
//! Rounds of both take turns, so that whatever else the machine does strikes both. What is printed
//! is the median of the rounds. `cargo bench -p switchboard-http`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench that goes wrong may panic"
)]
#![allow(clippy::arithmetic_side_effects, reason = "its numbers are its own")]

use std::convert::Infallible;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use switchboard::format::Json;
use switchboard::{Command, Endpoint, Error};
use switchboard_http::{Gateway, HttpLimits, serve_http};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[derive(Serialize, Deserialize)]
struct Order {
    number: u32,
    items: Vec<Item>,
}

#[derive(Serialize, Deserialize)]
struct Item {
    name: String,
    price: u32,
}

#[derive(Serialize, Deserialize)]
struct Bill {
    number: u32,
    total: u32,
    note: String,
}

const BILL: Command<Order, Bill, Json> = Command::new("BILL");

fn bill(order: &Order) -> Bill {
    let total = order.items.iter().map(|item| item.price).sum();
    Bill { number: order.number, total, note: order.items[0].name.clone() }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (bare, ours) = (serve_bare().await, serve_ours().await);
        if let Some(one) = std::env::args().find(|one| one == "bare" || one == "gateway") {
            // By itself, for a profiler.
            let address = if one == "bare" { &bare } else { &ours };
            println!("{one} by itself: {:?}", measure(address, 64).await);
            return;
        }
        for connections in [1, 64] {
            let mut rounds = [Vec::new(), Vec::new()];
            for round in 0..ROUNDS + 1 {
                for (address, found) in [&bare, &ours].into_iter().zip(&mut rounds) {
                    let time = measure(address, connections).await;
                    // The first round warms up.
                    if round > 0 {
                        found.push(time);
                    }
                }
            }
            let [bare, ours] = rounds.map(|mut times| {
                times.sort();
                times[times.len() / 2].as_nanos() as f64 / f64::from(CALLS) / 1000.0
            });
            println!(
                "{connections:>2} connections: bare hyper {bare:6.2} us a call, \
                 gateway {ours:6.2} us, {:.2} times as much",
                ours / bare
            );
        }
    });
}

async fn serve_bare() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            tokio::spawn(async move {
                let service = hyper::service::service_fn(answer_bare);
                let mut builder = hyper::server::conn::http1::Builder::new();
                builder.header_read_timeout(None);
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    address
}

async fn answer_bare(
    request: http::Request<hyper::body::Incoming>,
) -> Result<http::Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let order: Order = serde_json::from_slice(&body).unwrap();
    let body = serde_json::to_vec(&bill(&order)).unwrap();
    let response = http::Response::builder().header("content-type", "application/json");
    Ok(response.body(Full::new(Bytes::from(body))).unwrap())
}

async fn serve_ours() -> String {
    let endpoint = Endpoint::new().on(BILL, async |order: Order| Ok::<_, Error>(bill(&order)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (gateway, limits) = (Gateway::new(&endpoint), HttpLimits::default());
    tokio::spawn(serve_http(&endpoint, listener, gateway, limits));
    address
}

/// How long so many connections take for all the calls, one after the other on each.
async fn measure(address: &str, connections: u32) -> Duration {
    let items = ["hammer", "nail", "saw", "plank"].map(|name| Item { name: name.into(), price: 7 });
    let order = serde_json::to_string(&Order { number: 1, items: items.into() }).unwrap();
    let request = format!(
        "POST /call/BILL HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{order}",
        order.len()
    );
    let mut streams = Vec::new();
    for _ in 0..connections {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        streams.push(stream);
    }
    let begin = Instant::now();
    let tasks: Vec<_> = streams
        .into_iter()
        .map(|stream| tokio::spawn(call(stream, request.clone(), CALLS / connections)))
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    begin.elapsed()
}

async fn call(mut stream: TcpStream, request: String, count: u32) {
    let mut buffer = vec![0; 4096];
    for _ in 0..count {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut len = 0;
        while !buffer[..len].ends_with(b"}") {
            let read = stream.read(&mut buffer[len..]).await.unwrap();
            assert_ne!(read, 0);
            len += read;
        }
        assert!(buffer.starts_with(b"HTTP/1.1 200"));
    }
}

const ROUNDS: u32 = 15;
const CALLS: u32 = 6400;
