//! A handler whose error is of another crate.

use switchboard::{Command, Endpoint};

const DOUBLE: Command<u32, u64> = Command::new("DOUBLE");

async fn double(number: u32) -> Result<u64, std::num::TryFromIntError> {
    Ok(u64::from(u16::try_from(number)?) * 2)
}

fn main() {
    let _ = Endpoint::new().on(DOUBLE, double);
}
