//! How are calls spread over several servers, one of which stops? `cargo run --example balance`.

use std::collections::BTreeMap;

use switchboard::transport::Address;
use switchboard::{BackEnds, Client, Command, Endpoint, Error, Report, Result, transport};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

// Which server it is. A call that may have run is made again, since that does no harm.
const WHO: Command<(), char> = Command::new("WHO").idempotent();

/// A server of this name: its address, and how to stop it.
async fn start(name: char) -> Result<(Address, oneshot::Sender<()>, JoinHandle<Result<Report>>)> {
    let listener = transport::bind("127.0.0.1:0").await?;
    let address = listener.local_address()?;
    let endpoint = Endpoint::new().on(WHO, move |()| async move { Ok::<_, Error>(name) });
    let (stop, stopped) = oneshot::channel();
    let serving = tokio::spawn(async move { endpoint.serve_until(listener, stopped).await });
    Ok((address, stop, serving))
}

#[tokio::main]
async fn main() -> Result<()> {
    let (a, stop, stopping) = start('a').await?;
    let ((b, _b, _), (c, _c, _)) = (start('b').await?, start('c').await?);
    let client = Client::balance(BackEnds::list([a, b, c])?).round_robin().client();

    println!("all three: {:?}", shares(&client).await?);
    drop(stop);
    let report = stopping.await.map_err(Error::internal)??;
    println!("a has stopped, and cut off {} calls", report.calls_cut_off);
    println!("the other two: {:?}", shares(&client).await?);
    client.close().await;
    Ok(())
}

/// How many of 300 calls each server has answered.
async fn shares(client: &Client) -> Result<BTreeMap<char, u32>> {
    let mut shares = BTreeMap::new();
    for _ in 0..300 {
        let share: &mut u32 = shares.entry(client.call(WHO, &()).await?).or_default();
        *share = share.saturating_add(1);
    }
    Ok(shares)
}
