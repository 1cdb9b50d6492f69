//! The program: reads the environment, opens the store and the doors, and waits for a signal.
//!
//! | variable | default | is |
//! |---|---|---|
//! | `PORT` | 3000 | the port of HTTP; 0 lets the system choose one |
//! | `HOST` | 127.0.0.1 | the address of HTTP |
//! | `HOSTS` | none | names that requests may be for, with commas between them |
//! | `DATABASE` | todos.sqlite | the file of the to-dos; `:memory:` keeps them in memory |
//! | `COMMAND_ADDRESS` | none | where commands are served: `HOST:PORT`, or `unix:/path` |
//!
//! It ends with 0 after SIGTERM or SIGINT, and with 1 if something was cut off, or did not begin.

use std::error::Error;
use std::io;
use std::process::ExitCode;

use switchboard_todo::{DRAIN_TIME_MAX, End, MemoryStore, Service, SqliteStore};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(io::stderr).with_max_level(LevelFilter::WARN).init();
    match run().await {
        Ok(End::Clean) => ExitCode::SUCCESS,
        Ok(end) => {
            eprintln!("stopped after {DRAIN_TIME_MAX:?} with requests unanswered: {end:?}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<End, Box<dyn Error>> {
    // From here on a signal is an orderly end, also one that comes before the first request.
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let service = open().await?;
    println!("listening on http://{}", service.http_address()?);
    if let Some(address) = service.command_address()? {
        println!("commands on {address}");
    }
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    Ok(service.serve(stop).await?)
}

async fn open() -> Result<Service, Box<dyn Error>> {
    let (host, port) = (variable("HOST", "127.0.0.1")?, variable("PORT", "3000")?);
    let port: u16 = port.parse().map_err(|_| format!("PORT is no port: {port:?}"))?;
    // An IPv6 address stands in brackets.
    let http =
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let commands = variable("COMMAND_ADDRESS", "")?;
    let commands = Some(commands.as_str()).filter(|address| !address.is_empty());
    let database = variable("DATABASE", "todos.sqlite")?;
    let hosts = variable("HOSTS", "")?;
    let hosts = hosts.split(',').map(str::trim).filter(|host| !host.is_empty());
    let service = match database.as_str() {
        ":memory:" => Service::open(MemoryStore::default(), &http, commands).await?,
        path => Service::open(SqliteStore::open(path)?, &http, commands).await?,
    };
    Ok(service.with_hosts(hosts.map(str::to_owned)))
}

fn variable(name: &str, default: &str) -> Result<String, String> {
    match std::env::var(name) {
        Ok(text) => Ok(text),
        Err(std::env::VarError::NotPresent) => Ok(default.to_owned()),
        Err(error) => Err(format!("{name}: {error}")),
    }
}
