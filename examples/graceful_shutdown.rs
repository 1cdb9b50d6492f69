//! How do I stop without losing an answer? `cargo run --example graceful_shutdown`.

use std::sync::Arc;
use std::time::Duration;

use switchboard::{Client, Command, Endpoint, Limits, Result, transport, with_state};
use tokio::sync::Notify;

const PRINT: Command<u32, String> = Command::new("PRINT");

// Has the server stopped while it is still at work itself.
async fn print(stop: Arc<Notify>, pages: u32) -> Result<String> {
    stop.notify_one();
    tokio::time::sleep(Duration::from_millis(100)).await;
    Ok(format!("{pages} pages printed"))
}

#[tokio::main]
async fn main() -> Result<()> {
    let listener = transport::bind("127.0.0.1:0").await?;
    let address = listener.local_address()?;

    // Calls that take longer than this to finish are cut off, and their callers told.
    let limits = Limits::default().with(|limits| limits.drain_time_max = Duration::from_secs(5));
    let stop = Arc::new(Notify::new());
    let endpoint = Endpoint::new().with_limits(limits).on(PRINT, with_state(&stop, print));

    // Any future stops a server; `tokio::signal::ctrl_c()` would be another one.
    let stop = async move { stop.notified().await };
    let server = tokio::spawn(async move { endpoint.serve_until(listener, stop).await });

    let client = Client::connect(&address).await?;
    println!("under way when the server stops: {}", client.call(PRINT, &3).await?);
    if let Ok(report) = server.await {
        println!("the server stopped: {:?}", report?);
    }
    if let Err(error) = Client::connect(&address).await {
        println!("whoever comes later: {}", error.code());
    }
    Ok(())
}
