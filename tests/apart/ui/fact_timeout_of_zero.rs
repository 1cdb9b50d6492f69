//! A command that may take no time.

use std::time::Duration;

use switchboard::Command;

const GREET: Command<String, String> = Command::new("GREET").timeout(Duration::ZERO);

fn main() {
    let _ = GREET;
}
