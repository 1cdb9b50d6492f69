//! The program of the order service: see `program::order_service`.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    switchboard_inventory::program::order_service().await
}
