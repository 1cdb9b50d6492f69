//! The two programs: each reads the environment, opens its doors, and waits for a signal.
//!
//! They end with 0 after SIGTERM or SIGINT, and with 1 if something was cut off, or did not begin.
//! What they say of themselves comes on the standard output, and the log on the other one.

use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;

use crate::doors::{Doors, End};
use crate::inventory::{Inventory, Settings};
use crate::orders::{inventory_at, orders};

/// The inventory service.
///
/// | variable | default | is |
/// |---|---|---|
/// | `COMMAND_ADDRESS` | 127.0.0.1:61000 | where commands are: `HOST:PORT`, or `unix:/path` |
/// | `LINES_ADDRESS` | none | where lines of JSON are answered |
/// | `HTTP_ADDRESS` | none | where the gateway and the page of metrics are |
/// | `DATABASE` | inventory.sqlite | the file of stock and reservations |
/// | `CALL_TIME_MAX` | 5 | seconds that a call may take |
/// | `CALLS_PER_SECOND` | 1000 | calls that a client may begin in a second |
/// | `CALLS_AT_ONCE` | 2000 | calls that a client may begin at once |
/// | `LOG` | info | the level of the log |
pub async fn inventory() -> ExitCode {
    run(open_inventory).await
}

/// The order service.
///
/// | variable | default | is |
/// |---|---|---|
/// | `COMMAND_ADDRESS` | 127.0.0.1:61001 | where commands are served |
/// | `INVENTORY` | 127.0.0.1:61000 | where the inventory serves its commands |
/// | `CALL_TIME_MAX` | 5 | seconds that a call may take |
/// | `LOG` | info | the level of the log |
pub async fn order_service() -> ExitCode {
    run(open_orders).await
}

async fn run<Opened>(open: impl Fn() -> Opened) -> ExitCode
where
    Opened: Future<Output = Result<Doors, Box<dyn Error>>>,
{
    match run_until_stopped(open).await {
        Ok(End::Clean) => ExitCode::SUCCESS,
        Ok(end) => {
            eprintln!("stopped with calls unanswered: {end:?}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run_until_stopped<Opened>(open: impl Fn() -> Opened) -> Result<End, Box<dyn Error>>
where
    Opened: Future<Output = Result<Doors, Box<dyn Error>>>,
{
    let level: LevelFilter = parsed("LOG", "info")?;
    tracing_subscriber::fmt().with_writer(io::stderr).with_max_level(level).with_ansi(false).init();
    // From here on a signal is an orderly end, also one that comes before the first call.
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let doors = open().await?;
    for (what, address) in doors.addresses()? {
        println!("{what} at {address}");
    }
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    Ok(doors.serve(stop).await?)
}

async fn open_inventory() -> Result<Doors, Box<dyn Error>> {
    let usual = Settings::default();
    let settings = Settings {
        call_time_max: seconds("CALL_TIME_MAX", "5")?,
        calls_per_second: parsed("CALLS_PER_SECOND", &usual.calls_per_second.to_string())?,
        calls_at_once: parsed("CALLS_AT_ONCE", &usual.calls_at_once.to_string())?,
        ..usual
    };
    let inventory = Inventory::open(variable("DATABASE", "inventory.sqlite")?, &settings)?;
    let commands = variable("COMMAND_ADDRESS", "127.0.0.1:61000")?;
    let mut doors = Doors::open(inventory.endpoint(&settings), &commands).await?;
    let (lines, http) = (variable("LINES_ADDRESS", "")?, variable("HTTP_ADDRESS", "")?);
    if !lines.is_empty() {
        doors = doors.with_lines(&lines).await?;
    }
    if !http.is_empty() {
        doors = doors.with_http(&http, &inventory).await?;
    }
    Ok(doors)
}

async fn open_orders() -> Result<Doors, Box<dyn Error>> {
    let inventory = inventory_at(&variable("INVENTORY", "127.0.0.1:61000")?)?.client();
    let commands = variable("COMMAND_ADDRESS", "127.0.0.1:61001")?;
    Ok(Doors::open(orders(&Arc::new(inventory), seconds("CALL_TIME_MAX", "5")?), &commands).await?)
}

fn seconds(name: &str, default: &str) -> Result<Duration, String> {
    let seconds: f64 = parsed(name, default)?;
    Duration::try_from_secs_f64(seconds).map_err(|error| format!("{name}: {error}: {seconds}"))
}

fn parsed<T: FromStr>(name: &str, default: &str) -> Result<T, String> {
    let text = variable(name, default)?;
    text.parse().map_err(|_| format!("{name} cannot be {text:?}"))
}

fn variable(name: &str, default: &str) -> Result<String, String> {
    match std::env::var(name) {
        Ok(text) => Ok(text),
        Err(std::env::VarError::NotPresent) => Ok(default.to_owned()),
        Err(error) => Err(format!("{name}: {error}")),
    }
}
