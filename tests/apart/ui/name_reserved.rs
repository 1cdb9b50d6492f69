//! A name that belongs to the endpoint.

use switchboard::Command;

const HELP: Command<(), String> = Command::new("?help");

fn main() {
    let _ = HELP;
}
