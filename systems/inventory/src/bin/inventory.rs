//! The program of the inventory service: see `program::inventory`.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    switchboard_inventory::program::inventory().await
}
