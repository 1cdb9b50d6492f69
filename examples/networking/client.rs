//! The side that asks.

use std::time::Duration;

use anyhow::{Context, ensure};
use switchboard::{Client, Connection};
use tokio::task::JoinSet;

use crate::data::{CHECK_STOCK, ComplexData, SQUARE, STRING, STRUCT, WAIT};

/// Calls everything that the server has, and prints what comes back.
pub(crate) async fn run(address: &str) -> anyhow::Result<()> {
    plain(address).await?;
    let client = Client::connect(address).await?;
    recursive_struct(&client).await?;
    shared_state(&client).await?;
    many_at_once(&client).await?;
    deadline(&client).await?;
    client.close().await;
    Ok(())
}

/// What netcat does: a line with a name, a line of data, a line back.
async fn plain(address: &str) -> anyhow::Result<()> {
    let mut connection = Connection::connect(address).await?;
    connection.write_line(STRING).await?;
    connection.write_line("Additional data.").await?;
    let reply = connection.read_line().await?.context("the server said nothing")?;
    println!("STRING: {reply:?}");
    #[cfg(feature = "gob")]
    crate::gob::send(connection).await?;
    Ok(())
}

async fn recursive_struct(client: &Client) -> anyhow::Result<()> {
    let data = ComplexData::sample();
    let reply = client.call(STRUCT, &data).await?;
    println!("STRUCT: {reply}");
    ensure!(reply == data, "the struct came back changed");
    Ok(())
}

async fn shared_state(client: &Client) -> anyhow::Result<()> {
    let count = client.call(CHECK_STOCK, &"item1".to_owned()).await?;
    println!("CHECK_STOCK: {count} of item1");
    let refused = client.call(CHECK_STOCK, &"item3".to_owned()).await;
    let error = refused.err().context("nobody has item3")?;
    println!("{error}");
    Ok(())
}

/// From as many tasks, over the one connection.
async fn many_at_once(client: &Client) -> anyhow::Result<()> {
    let mut calls = JoinSet::new();
    for number in 1..=CALLS {
        let client = client.clone();
        calls.spawn(async move { client.call(SQUARE, &number).await });
    }
    let mut sum = 0_u64;
    while let Some(reply) = calls.join_next().await {
        sum = sum.saturating_add(reply??);
    }
    println!("SQUARE: the squares of 1 to {CALLS}, asked for all at once, add up to {sum}");
    Ok(())
}

async fn deadline(client: &Client) -> anyhow::Result<()> {
    let (minute_ms, time) = (60_000, Duration::from_millis(100));
    let late = client.call(WAIT, &minute_ms).timeout(time).await;
    let error = late.err().context("a minute passed in no time")?;
    println!("WAIT: {minute_ms} ms are not to be had within {time:?}: {}", error.code());
    Ok(())
}

/// Calls in flight at one moment. The server takes 1,024 from one connection.
const CALLS: u32 = 1000;
