//! How does a program without tokio call? `cargo run --all-features --example blocking_client`.
//!
//! The side that answers needs tokio, and runs in a thread here; nothing else does.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use switchboard::blocking::Client;
use switchboard::{Command, Context, Endpoint, Error, Result, Sender, Streamed, transport};

const DOUBLE: Command<u64, u64> = Command::new("DOUBLE");
const COUNT: Command<u32, Streamed<u32, String>> = Command::new("COUNT");
const WAIT: Command<(), ()> = Command::new("WAIT");

fn main() -> Result<()> {
    let (address, told) = mpsc::channel();
    thread::spawn(move || serve(&address));
    let address = told.recv().map_err(Error::internal)?;

    // One connection for all threads.
    let client = Client::connect(address)?;
    let threads: Vec<_> = (1..=4)
        .map(|number| {
            let client = client.clone();
            thread::spawn(move || client.call(DOUBLE, &number).wait())
        })
        .collect();
    let doubled: Result<Vec<_>> = threads.into_iter().filter_map(|one| one.join().ok()).collect();
    println!("doubled by four threads: {:?}", doubled?);

    let mut numbers = client.call(COUNT, &1000);
    let sum = (&mut numbers).sum::<Result<u32>>()?;
    println!("{}, and their sum is {sum}", numbers.finish()?);

    let late = client.call(WAIT, &()).timeout(Duration::from_millis(50)).wait();
    println!("{}", late.err().map(|error| error.to_string()).unwrap_or_default());

    client.close();
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn serve(address: &mpsc::Sender<transport::Address>) -> Result<()> {
    let listener = transport::bind("127.0.0.1:0").await?;
    address.send(listener.local_address()?).map_err(Error::internal)?;
    let endpoint = Endpoint::new()
        .on(DOUBLE, async |number: u64| Ok::<_, Error>(number.saturating_mul(2)))
        .on(COUNT, count)
        .on(WAIT, wait);
    endpoint.serve(listener).await
}

async fn count(end: u32, out: Sender<u32>) -> Result<String> {
    for number in 1..=end {
        out.send(&number).await?;
    }
    Ok(format!("{end} numbers"))
}

async fn wait(_: (), context: Context) -> Result<()> {
    context.cancelled().await;
    Ok(())
}
