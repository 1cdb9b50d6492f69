//! Functions that block, with another reply, and with an error that does not become ours.

use switchboard::{Command, Endpoint, blocking};

const DOUBLE: Command<u32, u64> = Command::new("DOUBLE");

struct JobError;

fn print(number: u32) -> Result<String, std::io::Error> {
    Ok(number.to_string())
}

fn double(number: u32) -> Result<u64, JobError> {
    u64::from(number).checked_mul(2).ok_or(JobError)
}

fn main() {
    let _ = Endpoint::new().on(DOUBLE, blocking(print));
    let _ = Endpoint::new().on(DOUBLE, blocking(double));
}
