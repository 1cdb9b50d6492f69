//! The command line, and what a scenario means.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::runtime::Builder;

use crate::callers::Unsupported;
use crate::net::Address;
use crate::samples::Report;

/// The command line of a peer.
#[derive(Clone, Debug)]
pub struct Arguments {
    /// Where to listen or what to connect to.
    pub address: Address,
    /// What the client does.
    pub scenario: Scenario,
    /// How long it does it, after a fifth of that to warm up.
    pub time: Duration,
    /// Whether the runtime has more than one thread.
    pub has_threads: bool,
    /// Handlers that the server has registered, of which one is called.
    pub handlers: usize,
    /// Whether all limits are as high as they go, where the peer has any.
    pub is_unlimited: bool,
}

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Echoes of the message.
    Echo(Load),
    /// Echoes of a MiB of bytes as a value, one at a time.
    Mib,
    /// Echoes of a MiB of bytes as they are, one at a time.
    MibBytes,
    /// Echoes of 8 bytes.
    Small(Load),
    /// Messages that are not answered.
    OneWay,
    /// Messages in a stream.
    Stream(Direction),
    /// A connection, one echo of the message, and the end of the connection, one at a time.
    Connect,
    /// Connections that are kept after one call.
    Idle,
    /// Echoes of the message, where every hundredth call is to a handler that waits; and the same
    /// without those before.
    Mixed(Load),
}

/// Where a stream goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
    /// Both at once, on one call.
    Both,
}

/// How much is under way at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Connections that call.
    pub connections: usize,
    /// Connections that are open beside them and do nothing.
    pub idle: usize,
    /// Calls under way on each of those that call.
    pub in_flight: usize,
    /// Whether all calls are futures of one task, instead of a task for each.
    pub is_joined: bool,
}

/// What a server prints instead of its address if it cannot listen at such a one.
pub const UNSUPPORTED: &str = "unsupported";

/// Runs a peer: `server` or `client`, as the command line says.
///
/// # Errors
///
/// If the command line is wrong or the peer fails.
pub fn main<S, C>(serve: impl Fn(Arguments) -> S, measure: impl Fn(Arguments) -> C) -> Result<()>
where
    S: Future<Output = Result<()>>,
    C: Future<Output = Result<Report>>,
{
    let words: Vec<_> = std::env::args().skip(1).collect();
    let (mode, words) = words.split_first().context(USAGE)?;
    let arguments = Arguments::parse(words).context(USAGE)?;
    let runtime = if arguments.has_threads {
        Builder::new_multi_thread().enable_all().build()?
    } else {
        Builder::new_current_thread().enable_all().build()?
    };
    match mode.as_str() {
        "server" => match runtime.block_on(serve(arguments)) {
            Err(error) if error.is::<Unsupported>() => {
                println!("{UNSUPPORTED}");
                Ok(())
            }
            served => served,
        },
        "client" => runtime.block_on(async {
            let is_idle = arguments.scenario == Scenario::Idle;
            println!("{}", serde_json::to_string(&measure(arguments).await?)?);
            if is_idle {
                // The connections are the subject of whoever started this process and ends it.
                std::future::pending::<()>().await;
            }
            Ok(())
        }),
        _ => bail!(USAGE),
    }
}

const USAGE: &str = "server --listen ADDRESS | client --connect ADDRESS --scenario S --seconds N \
                     [--threads one|many] [--handlers N] [--limits default|max]";

impl Arguments {
    fn parse(words: &[String]) -> Result<Self> {
        let mut arguments = Self {
            address: "127.0.0.1:0".parse()?,
            scenario: Scenario::Echo(Load::of(1, 1)),
            time: Duration::from_secs(1),
            has_threads: true,
            handlers: 1,
            is_unlimited: false,
        };
        for pair in words.chunks(2) {
            let [flag, value] = pair else {
                bail!("{} has no value", pair[0]);
            };
            match flag.as_str() {
                "--listen" | "--connect" => arguments.address = value.parse()?,
                "--scenario" => arguments.scenario = Scenario::parse(value)?,
                "--seconds" => arguments.time = Duration::from_secs_f64(value.parse()?),
                "--threads" => arguments.has_threads = value == "many",
                "--handlers" => arguments.handlers = value.parse()?,
                "--limits" => arguments.is_unlimited = value == "max",
                _ => bail!("{flag} is not known"),
            }
        }
        Ok(arguments)
    }
}

impl Scenario {
    fn parse(text: &str) -> Result<Self> {
        Ok(match text {
            "echo1" => Self::Echo(Load::of(1, 1)),
            "echo64" => Self::Echo(Load::of(1, 64)),
            "echo64-joined" => Self::Echo(Load { is_joined: true, ..Load::of(1, 64) }),
            "echo32x8" => Self::Echo(Load::of(32, 8)),
            "mib" => Self::Mib,
            "mib-bytes" => Self::MibBytes,
            "small64" => Self::Small(Load { is_joined: true, ..Load::of(1, 64) }),
            "oneway" => Self::OneWay,
            "stream-up" => Self::Stream(Direction::Up),
            "stream-down" => Self::Stream(Direction::Down),
            "stream-both" => Self::Stream(Direction::Both),
            "connect" => Self::Connect,
            "idle" => Self::Idle,
            "mixed" => Self::Mixed(Load::of(1, 64)),
            _ => {
                let (word, number) = text.split_once('-').unwrap_or((text, ""));
                let open: usize = number.parse().context(format!("{text} is no scenario"))?;
                match word {
                    // As many connections, of which few call.
                    "open" => {
                        let active = open.min(8);
                        Self::Echo(Load { idle: open - active, ..Load::of(active, 64 / active) })
                    }
                    // As many connections that all call.
                    "all" => Self::Echo(Load::of(open, 1.max(64 / open))),
                    _ => bail!("{text} is no scenario"),
                }
            }
        })
    }

    /// The load of this scenario.
    #[must_use]
    pub fn load(self) -> Load {
        match self {
            Self::Echo(load) | Self::Small(load) | Self::Mixed(load) => load,
            Self::Mib | Self::MibBytes | Self::OneWay | Self::Stream(_) => Load::of(1, 1),
            Self::Idle => Load { idle: 5000, ..Load::of(0, 0) },
            Self::Connect => Load::of(0, 0),
        }
    }
}

impl Load {
    /// So many connections with so many calls under way on each.
    #[must_use]
    pub fn of(connections: usize, in_flight: usize) -> Self {
        Self { connections, in_flight, idle: 0, is_joined: false }
    }
}
