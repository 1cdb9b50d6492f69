//! An endpoint and a client in one process: `cargo run --example hello`.

use serde::{Deserialize, Serialize};
use switchboard::{Client, Command, Endpoint, Result, transport};

#[derive(Serialize, Deserialize)]
struct Greet {
    name: String,
}

#[derive(Serialize, Deserialize)]
struct Greeting {
    text: String,
}

// The endpoint and the client are given the same constant.
const GREET: Command<Greet, Greeting> = Command::new("GREET");

async fn greet(request: Greet) -> Result<Greeting> {
    Ok(Greeting { text: format!("Hello, {}!", request.name) })
}

#[tokio::main]
async fn main() -> Result<()> {
    let listener = transport::bind("127.0.0.1:0").await?;
    let address = listener.local_address()?;
    tokio::spawn(async move { Endpoint::new().on(GREET, greet).serve(listener).await });
    println!("the endpoint listens at {address}");

    let client = Client::connect(&address).await?;
    let greeting = client.call(GREET, &Greet { name: "Ada".into() }).await?;
    println!("the client got {:?}", greeting.text);
    client.close().await;
    Ok(())
}
