//! How do I listen at two addresses and stop both? `cargo run --example two_listeners`.

use switchboard::{Client, Command, Endpoint, Error, Report, Result, transport};
use tokio::sync::watch;

const DOUBLE: Command<u32, u64> = Command::new("DOUBLE");

// Clones of an endpoint share handlers, limits and what is counted against them.
async fn serve(
    endpoint: Endpoint,
    listener: transport::AnyListener,
    mut stop: watch::Receiver<bool>,
) -> Result<Report> {
    // Ready when the value is true, also if it was before; and when the sender is gone.
    let stopped = async move { drop(stop.wait_for(|is_stopping| *is_stopping).await) };
    endpoint.serve_until(listener, stopped).await
}

#[tokio::main]
async fn main() -> Result<()> {
    let file = format!("switchboard-two-{}.sock", std::process::id());
    let path = format!("unix:{}", std::env::temp_dir().join(file).display());
    let tcp = transport::bind("127.0.0.1:0").await?;
    let unix = transport::bind(&path).await?;
    let addresses = [tcp.local_address()?.to_string(), path];

    let endpoint = Endpoint::new().on(DOUBLE, async |n: u32| Ok::<_, Error>(u64::from(n) * 2));
    let (stop, stopped) = watch::channel(false);
    let both = tokio::spawn(async move {
        tokio::try_join!(
            serve(endpoint.clone(), tcp, stopped.clone()),
            serve(endpoint.clone(), unix, stopped),
        )
    });

    for (address, number) in addresses.iter().zip([4, 21]) {
        let client = Client::connect(address).await?;
        let kind = if address.starts_with("unix:") { "the Unix socket" } else { "TCP" };
        println!("over {kind}: {}", client.call(DOUBLE, &number).await?);
        client.close().await;
    }

    // In a server, `tokio::signal::ctrl_c().await` stands before this.
    stop.send_replace(true);
    if let Ok(reports) = both.await {
        let (one, other) = reports?;
        let connections = one.connections.saturating_add(other.connections);
        let calls = one.calls_answered.saturating_add(other.calls_answered);
        println!("both together: {connections} connections, {calls} calls answered");
    }
    Ok(())
}
