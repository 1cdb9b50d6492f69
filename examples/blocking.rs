//! What if a handler blocks, and where do its errors go? `cargo run --example blocking`.

use std::time::Duration;

use anyhow::Context as _;
use switchboard::{Command, Context, Endpoint, Result, blocking, transport};

const COUNT: Command<String, usize> = Command::new("COUNT");
const SPIN: Command<(), u64> = Command::new("SPIN");

// Not async: each call runs on a thread of its own. Any error will do; one that is not made for the
// wire by `switchboard::Error::new` goes to the log here, and the caller learns that it failed.
fn count(path: String) -> anyhow::Result<usize> {
    let text =
        std::fs::read_to_string(&path).with_context(move || format!("cannot read {path}"))?;
    Ok(text.lines().count())
}

// A thread cannot be stopped from outside, so work that is long looks up now and then.
#[expect(clippy::needless_pass_by_value, reason = "a handler owns what it is given")]
fn spin(_: (), context: Context) -> Result<u64> {
    let mut rounds = 0_u64;
    while !context.is_cancelled() {
        rounds = rounds.wrapping_add(1);
        std::thread::yield_now();
    }
    println!("the thread saw that nobody waits for it any more");
    Ok(rounds)
}

#[tokio::main]
async fn main() -> Result<()> {
    // Where the log goes is the program's choice. Without a subscriber it goes nowhere.
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();

    let (here, there) = transport::memory();
    let endpoint = Endpoint::new().on(COUNT, blocking(count)).on(SPIN, blocking(spin));
    let server = tokio::spawn(async move { endpoint.serve_stream(there).await });
    let client = Endpoint::new().connect_over(here);

    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let lines = client.call(COUNT, &manifest.to_owned()).await?;
    println!("the manifest has lines: {}", lines > 0);

    for result in [
        client.call(COUNT, &"no/such/file".to_owned()).await.map(|_| ()),
        client.call(SPIN, &()).timeout(Duration::from_millis(50)).await.map(|_| ()),
    ] {
        println!("{}", result.err().map(|error| error.to_string()).unwrap_or_default());
    }

    client.close().await;
    drop(server.await);
    Ok(())
}
