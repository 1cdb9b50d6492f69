//! A raw handler that takes a request instead of the connection.

use switchboard::{Endpoint, Result};

async fn strings(line: String) -> Result<()> {
    drop(line);
    Ok(())
}

fn main() {
    let _ = Endpoint::new().on_raw("STRING", strings);
}
