//! A command whose payloads may have no bytes.

use switchboard::Command;

const GREET: Command<String, String> = Command::new("GREET").payload_bytes_max(0);

fn main() {
    let _ = GREET;
}
