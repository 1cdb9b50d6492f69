//! A handler whose error is a type of its own that does not become ours.

use switchboard::{Command, Endpoint};

const DOUBLE: Command<u32, u64> = Command::new("DOUBLE");

struct JobError;

async fn double(number: u32) -> Result<u64, JobError> {
    u64::from(number).checked_mul(2).ok_or(JobError)
}

fn main() {
    let _ = Endpoint::new().on(DOUBLE, double);
}
