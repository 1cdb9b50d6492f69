//! A metrics page for Prometheus, beside the commands: `cargo run --example metrics`
//!
//! The page is a listener of its own, whose connections are lent to a function that speaks as much
//! HTTP as a scrape needs. In your program keep it running, and point Prometheus at its address.

use std::sync::Arc;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use switchboard::{
    Client, Code, Command, Connection, Endpoint, Error, Latency, Result, transport, with_state,
};

const CHECK_STOCK: Command<String, u32> = Command::new("CHECK_STOCK");

async fn check_stock(item: String) -> Result<u32> {
    if item == "item1" { Ok(100) } else { Err(Error::new(Code::NotFound, "no such item")) }
}

/// What the page tells, and in which words.
struct Page {
    endpoint: Endpoint,
    text: PrometheusHandle,
}

/// Answers one scrape.
async fn answer(page: Arc<Page>, asked: &mut Connection) -> Result<()> {
    while asked.read_line().await?.is_some_and(|line| !line.is_empty()) {}
    page.endpoint.publish_metrics();
    let text = page.text.render();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\n";
    let length = text.len();
    let answer = format!("{head}content-length: {length}\r\nconnection: close\r\n\r\n{text}");
    asked.write_bytes(answer.as_bytes()).await
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let bounds = Latency::BOUNDS.map(|bound| bound.as_secs_f64());
    let seconds = Matcher::Full("switchboard_call_seconds".to_owned());
    let text =
        PrometheusBuilder::new().set_buckets_for_metric(seconds, &bounds)?.install_recorder()?;

    let endpoint = Endpoint::new().on(CHECK_STOCK, check_stock);
    let (commands, pages) = (transport::bind("127.0.0.1:0").await?, transport::bind(":0").await?);
    let (address, page_address) = (commands.local_address()?, pages.local_address()?);
    let page = Arc::new(Page { endpoint: endpoint.clone(), text });
    tokio::spawn(async move { endpoint.serve(commands).await });
    let answer = with_state(&page, answer);
    tokio::spawn(async move { Endpoint::new().serve_raw(pages, answer).await });

    let client = Client::connect(&address).await?;
    for item in ["item1", "item1", "item2"] {
        let _ = client.call(CHECK_STOCK, &item.to_owned()).await;
    }
    println!("the page is at http://{page_address}/metrics, and has lines such as these:");
    for line in scrape(&page_address.to_string()).await?.lines() {
        if line.starts_with("switchboard_calls_total") {
            println!("{line}");
        }
    }
    Ok(())
}

/// What Prometheus does every few seconds.
async fn scrape(address: &str) -> anyhow::Result<String> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n").await?;
    let mut page = String::new();
    stream.read_to_string(&mut page).await?;
    Ok(page)
}
