//! An async closure that does not say what its error is.

use switchboard::{Command, Endpoint};

const DOUBLE: Command<u32, u64> = Command::new("DOUBLE");

fn main() {
    let _ = Endpoint::new().on(DOUBLE, async |number: u32| Ok(u64::from(number) * 2));
}
