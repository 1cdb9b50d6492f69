//! A command whose request borrows.

use switchboard::{Command, Endpoint, Result};

const SHOUT: Command<&str, String> = Command::new("SHOUT");

async fn shout(text: &str) -> Result<String> {
    Ok(text.to_uppercase())
}

fn main() {
    let _ = Endpoint::new().on(SHOUT, shout);
}
