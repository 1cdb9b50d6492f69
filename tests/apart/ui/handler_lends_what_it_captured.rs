//! An `async move` closure that uses what it captured.

use switchboard::{Command, Endpoint, Error};

const DOUBLE: Command<u32, u64> = Command::new("DOUBLE");

fn main() {
    let factor = String::from("2");
    let _ = Endpoint::new().on(DOUBLE, async move |number: u32| {
        Ok::<_, Error>(u64::from(number) * factor.len() as u64)
    });
}
