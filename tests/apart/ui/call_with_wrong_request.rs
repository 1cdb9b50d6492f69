//! A call with something else than the command's request, and one that wants another reply.

use switchboard::{Client, Command, Result};

const DOUBLE: Command<u32, u64> = Command::new("DOUBLE");

async fn ask(client: Client) -> Result<String> {
    client.call(DOUBLE, "21").await?;
    client.call(DOUBLE, &21).await
}

fn main() {
    let _ = ask;
}
