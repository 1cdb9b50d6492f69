//! A handler that answers something else than its command's reply.

use switchboard::{Command, Endpoint, Result};

const DOUBLE: Command<u32, u64> = Command::new("DOUBLE");

async fn double(number: u32) -> Result<String> {
    Ok(number.to_string())
}

fn main() {
    let _ = Endpoint::new().on(DOUBLE, double);
}
