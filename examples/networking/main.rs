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

use tracing_subscriber::filter::LevelFilter;

/// What the program is asked to be.
enum Side {
    Server(String),
    Client(String),
}

#[tokio::main]
async fn main() -> ExitCode {
    // Which handler fails, who is turned away; at `LevelFilter::DEBUG` the end of each call, too.
    let log = tracing_subscriber::fmt().with_max_level(LevelFilter::INFO);
    log.with_writer(std::io::stderr).init();
    let result = match side(std::env::args().skip(1).collect()) {
        Some(Side::Server(address)) => server::run(&address).await,
        Some(Side::Client(address)) => client::run(&address).await,
        None => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Flags may be written as in Go, `-connect` for `--connect`.
fn side(arguments: Vec<String>) -> Option<Side> {
    let mut words = arguments.into_iter();
    let side = match words.next() {
        None => Side::Server("127.0.0.1:61000".to_owned()),
        Some(flag) => match flag.trim_start_matches('-') {
            "listen" => Side::Server(words.next()?),
            "connect" => Side::Client(words.next()?),
            _ => return None,
        },
    };
    words.next().is_none().then_some(side)
}

const USAGE: &str = "\
networking                      listens on port 61000
networking -listen ADDRESS      listens there
networking -connect ADDRESS     calls whoever listens there

ADDRESS is HOST:PORT, HOST, or unix:/path";
