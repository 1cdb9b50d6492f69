//! A handler that takes its request by reference.

use switchboard::{Command, Endpoint, Result};

const SHOUT: Command<String, String> = Command::new("SHOUT");

async fn shout(text: &str) -> Result<String> {
    Ok(text.to_uppercase())
}

fn main() {
    let _ = Endpoint::new().on(SHOUT, shout);
}
