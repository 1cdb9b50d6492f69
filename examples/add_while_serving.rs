//! How do I add and remove handlers while serving? `cargo run --example add_while_serving`.

use switchboard::{Client, Command, Endpoint, Result, transport};

const SHOUT: Command<String, String> = Command::new("SHOUT");

async fn shout(text: String) -> Result<String> {
    Ok(text.to_uppercase())
}

async fn ask(client: &Client, when: &str) {
    match client.call(SHOUT, &"hello".to_owned()).await {
        Ok(reply) => println!("{when}: {reply}"),
        Err(error) => println!("{when}: {error}"),
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    // Clones of an endpoint share their handlers, so the one that is kept changes the one served.
    let endpoint = Endpoint::new();
    let served = endpoint.clone();
    let (here, there) = transport::memory();
    tokio::spawn(async move { served.serve_stream(there).await });
    let client = Endpoint::new().connect_over(here);

    ask(&client, "before").await;
    endpoint.add(SHOUT, shout)?;
    ask(&client, "added").await;

    // A name is never replaced silently.
    let refused = endpoint.add(SHOUT, shout);
    println!("once more: {}", refused.err().map(|error| error.to_string()).unwrap_or_default());

    // Calls that are running would keep their handler.
    endpoint.remove(SHOUT.name().as_str());
    ask(&client, "removed").await;
    Ok(())
}
