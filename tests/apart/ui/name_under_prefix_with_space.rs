//! A prefix that no name has.

use switchboard::Command;

const ADD: Command<String, u32> = Command::new("ADD");
const JOBS_ADD: Command<String, u32> = ADD.under("my jobs.");

fn main() {
    let _ = JOBS_ADD;
}
