//! The command line of the runner.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::plan;

/// What is to be measured, and where it goes.
pub(crate) struct Arguments {
    /// Names of peers; all if there is none.
    pub(crate) peers: Vec<String>,
    pub(crate) scenarios: Vec<String>,
    pub(crate) transports: Vec<String>,
    pub(crate) threads: Vec<String>,
    pub(crate) rounds: usize,
    pub(crate) seconds: f64,
    /// Cores that the server and the client are bound to, as `taskset` has them.
    pub(crate) cores: Option<(String, String)>,
    /// Where the figures are written.
    pub(crate) json: Option<PathBuf>,
    /// Figures that were measured before, to be shown again.
    pub(crate) from: Option<PathBuf>,
    /// Where the plot is written.
    pub(crate) svg: Option<PathBuf>,
    /// Whether the table and the plot go into the README of the peers.
    pub(crate) is_readme: bool,
}

impl Arguments {
    pub(crate) fn parse() -> Result<Self> {
        let mut arguments = Self {
            peers: Vec::new(),
            scenarios: list(plan::SCENARIOS),
            transports: list("tcp"),
            threads: list("many"),
            rounds: 5,
            seconds: 2.0,
            cores: None,
            json: None,
            from: None,
            svg: None,
            is_readme: false,
        };
        let mut words = std::env::args().skip(1);
        while let Some(flag) = words.next() {
            if flag == "--readme" {
                arguments.is_readme = true;
                continue;
            }
            let value = words.next().with_context(|| format!("{flag} has no value\n{USAGE}"))?;
            match flag.as_str() {
                "--peers" => arguments.peers = list(&value),
                "--scenarios" => arguments.scenarios = list(&value),
                "--transports" => arguments.transports = list(&value),
                "--threads" => arguments.threads = list(&value),
                "--rounds" => arguments.rounds = value.parse()?,
                "--seconds" => arguments.seconds = value.parse()?,
                "--cores" => {
                    let (server, client) = value.split_once('/').context(USAGE)?;
                    arguments.cores = Some((server.to_owned(), client.to_owned()));
                }
                "--json" => arguments.json = Some(value.into()),
                "--from" => arguments.from = Some(value.into()),
                "--svg" => arguments.svg = Some(value.into()),
                _ => bail!("{flag} is not known\n{USAGE}"),
            }
        }
        Ok(arguments)
    }
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::to_owned).collect()
}

const USAGE: &str = "runner [--peers raw,...] [--scenarios echo1,...] [--transports tcp,unix] \
                     [--threads many,one] [--rounds 5] [--seconds 2] \
                     [--cores SERVER/CLIENT] [--json FILE] [--svg FILE] \
                     [--from JSON_FILE] [--readme]";
