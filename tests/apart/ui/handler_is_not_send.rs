//! A handler that holds an `Rc` across an await.

use std::rc::Rc;

use switchboard::{Command, Endpoint, Result};

const DOUBLE: Command<u32, u64> = Command::new("DOUBLE");

async fn double(number: u32) -> Result<u64> {
    let number = Rc::new(number);
    std::future::ready(()).await;
    Ok(u64::from(*number) * 2)
}

fn main() {
    let _ = Endpoint::new().on(DOUBLE, double);
}
