//! A handler that answers a command with items, and does not take what sends them.

use switchboard::{Command, Endpoint, Result, Streamed};

const COUNT: Command<u32, Streamed<u32>> = Command::new("COUNT");

async fn count(_end: u32) -> Result<()> {
    Ok(())
}

fn main() {
    let _ = Endpoint::new().on(COUNT, count);
}
