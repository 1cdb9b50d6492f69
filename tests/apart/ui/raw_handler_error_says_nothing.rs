//! A raw handler whose error is a type of its own that does not become ours.

use switchboard::{Connection, Endpoint};

struct JobError;

async fn strings(connection: &mut Connection) -> Result<(), JobError> {
    connection.read_line().await.map(drop).map_err(|_| JobError)
}

fn main() {
    let _ = Endpoint::new().on_raw("STRING", strings);
}
