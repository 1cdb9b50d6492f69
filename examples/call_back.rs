//! How does a server call its client back? `cargo run --example call_back`.

use switchboard::{Command, Context, Endpoint, Result, transport};

const COPY: Command<String, u64> = Command::new("COPY");
const PROGRESS: Command<u8, ()> = Command::new("PROGRESS");

// The server's. `context.client()` is a client of whoever calls, over the same connection.
async fn copy(file: String, context: Context) -> Result<u64> {
    println!("the server copies {file}");
    for percent in [0, 50, 100] {
        context.client().call(PROGRESS, &percent).timeout(context.time_left()).await?;
    }
    Ok(4096)
}

// The client's.
async fn progress(percent: u8) -> Result<()> {
    println!("the client is told: {percent} %");
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let listener = transport::bind("127.0.0.1:0").await?;
    let address = listener.local_address()?;
    tokio::spawn(async move { Endpoint::new().on(COPY, copy).serve(listener).await });

    // An endpoint that connects: a client that has handlers as well.
    let client = Endpoint::new().on(PROGRESS, progress).connect(&address).await?;
    let bytes = client.call(COPY, &"letters.txt".to_owned()).await?;
    println!("the client got its answer: {bytes} bytes");
    client.close().await;
    Ok(())
}
