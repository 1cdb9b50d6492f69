//! A handler that is not async, without `blocking`.

use switchboard::{Command, Endpoint, Result};

const DOUBLE: Command<u32, u64> = Command::new("DOUBLE");

fn double(number: u32) -> Result<u64> {
    Ok(u64::from(number) * 2)
}

fn main() {
    let _ = Endpoint::new().on(DOUBLE, double);
}
