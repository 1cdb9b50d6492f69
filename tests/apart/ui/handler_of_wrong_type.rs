//! A handler that takes something else than its command's request.

use switchboard::{Command, Endpoint, Result};

const DOUBLE: Command<u32, u64> = Command::new("DOUBLE");

async fn double(number: String) -> Result<u64> {
    Ok(number.len() as u64)
}

fn main() {
    let _ = Endpoint::new().on(DOUBLE, double);
}
