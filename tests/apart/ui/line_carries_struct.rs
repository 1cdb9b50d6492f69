//! A struct does not go into one line of text.

use switchboard::format::Line;
use switchboard::{Command, Endpoint, Result};

struct Greet {
    name: String,
}

const GREET: Command<Greet, String, Line> = Command::new("GREET");

async fn greet(request: Greet) -> Result<String> {
    Ok(request.name)
}

fn main() {
    let _ = Endpoint::new().on(GREET, greet);
}
