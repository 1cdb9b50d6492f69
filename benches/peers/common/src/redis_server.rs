//! The server of the peers that speak with Redis: `redis-server` with persistence off.

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::arguments::Arguments;
use crate::net::Address;

/// Prints the address as the first line of the output; then this process becomes the server.
///
/// # Errors
///
/// If it is not installed, or there is no port.
pub fn become_redis_server(arguments: &Arguments) -> Result<()> {
    let mut command = Command::new("redis-server");
    command.args(["--save", "", "--appendonly", "no", "--daemonize", "no"]);
    command.args(["--loglevel", "warning", "--logfile", "/dev/null", "--maxclients", "15000"]);
    match &arguments.address {
        Address::Tcp(address) => {
            // It cannot choose a port by itself, so it gets one that was free a moment ago.
            let address = TcpListener::bind(address)?.local_addr()?;
            println!("{address}");
            let (host, port) = (address.ip().to_string(), address.port().to_string());
            command.args(["--bind", &host, "--port", &port]);
        }
        Address::Unix(path) => {
            println!("unix:{}", path.display());
            command.arg("--unixsocket").arg(path).args(["--port", "0"]);
        }
    }
    Err(command.exec()).context("redis-server")
}

/// The address was printed before the server listens, and a relay before it accepts all the same:
/// only an answer shows that it is there.
///
/// # Errors
///
/// If it has not answered within 10 seconds.
pub async fn wait_for_redis(arguments: &Arguments) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(10);
    while let Err(error) = ask(arguments).await {
        ensure!(Instant::now() < end, "redis-server does not answer: {error:#}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

async fn ask(arguments: &Arguments) -> Result<()> {
    let mut stream = arguments.address.connect().await?;
    stream.write_all(b"PING\r\n").await?;
    ensure!(stream.read_u8().await? == b'+', "no answer to PING");
    Ok(())
}
