//! How does a client outlive a restart of its server? `cargo run --example reconnect`.

use switchboard::{Client, Command, Endpoint, Error, Report, Result, transport};
use tokio::sync::oneshot;

// A call that may have run is made again, since that does no harm.
const DOUBLE: Command<u32, u64> = Command::new("DOUBLE").idempotent();

async fn serve(address: String, stop: oneshot::Receiver<()>) -> Result<Report> {
    let listener = transport::bind(&address).await?;
    let endpoint = Endpoint::new().on(DOUBLE, async |n: u32| Ok::<_, Error>(u64::from(n) * 2));
    endpoint.serve_until(listener, stop).await
}

#[tokio::main]
async fn main() -> Result<()> {
    let file = format!("switchboard-reconnect-{}.sock", std::process::id());
    let address = format!("unix:{}", std::env::temp_dir().join(file).display());
    let client = Client::reconnect(&address)?.client();

    let mut states = client.states();
    let watching = tokio::spawn(async move {
        while let Some(state) = states.next().await {
            println!("the client is {state:?}");
        }
    });

    for when in ["before", "after"] {
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(serve(address.clone(), stopped));
        println!("{when}: {}", client.call(DOUBLE, &21).await?);
        drop(stop);
        drop(server.await);
    }
    client.close().await;
    drop(watching.await);
    Ok(())
}
