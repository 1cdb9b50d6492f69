//! A handler that returns its reply alone.

use switchboard::{Command, Endpoint};

const DOUBLE: Command<u32, u64> = Command::new("DOUBLE");

async fn double(number: u32) -> u64 {
    u64::from(number) * 2
}

fn main() {
    let _ = Endpoint::new().on(DOUBLE, double);
}
