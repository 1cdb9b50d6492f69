//! A server and its client, in two terminals:
//!
//! ```text
//! cargo run --example networking                          # listens on port 61000
//! cargo run --example networking -- -connect localhost    # calls all that is there to call
//! ```
//!
//! `data` is what both sides know, `server` and `client` are the two sides. With `--features gob`
//! after `run` there is `GOB` as well, and either side may be a Go program: see `gob`.

mod client;
mod data;
#[cfg(feature = "gob")]
mod gob;
mod server;

use std::process::ExitCode;

use clap::Parser;

/// A server of commands, or with --connect its client.
#[derive(Parser)]
struct Flags {
    /// Where to listen: HOST:PORT, or unix:/path.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:61000")]
    listen: String,
    /// Be a client of the server at this address: HOST, HOST:PORT, or unix:/path.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "listen")]
    connect: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let flags = Flags::parse_from(std::env::args().map(with_two_dashes));
    let result = match flags.connect {
        Some(address) => client::run(&address).await,
        None => server::run(&flags.listen).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Flags may be written as in Go, `-connect` for `--connect`. Single letters stay as they are.
fn with_two_dashes(argument: String) -> String {
    let is_word = argument.len() > 2 && argument.starts_with('-') && !argument.starts_with("--");
    if is_word { format!("-{argument}") } else { argument }
}
