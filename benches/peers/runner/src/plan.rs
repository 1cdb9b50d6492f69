//! What is compared with what.
//!
//! The rows of a table are the peers; where the library is compared with itself, they are variants
//! of it, and ratios are to the first of them.

use peers_common::Report;
use serde::{Deserialize, Serialize};

use crate::peers::Peer;

/// All of them, in the order of the tables.
pub(crate) const SCENARIOS: &str = "echo1,echo64,echo64-joined,echo32x8,mib,mib-bytes,small64,\
                                    oneway,stream-up,stream-down,stream-both,mixed,connect,\
                                    idle,bytes,open,all,handlers,guard";

/// What the peers of a table have in common.
#[derive(Clone, Copy)]
pub(crate) struct Group<'a> {
    pub(crate) scenario: &'a str,
    pub(crate) transport: &'a str,
    pub(crate) threads: &'a str,
}

/// How runs are made.
#[derive(Clone, Copy)]
pub(crate) struct Terms<'a> {
    pub(crate) seconds: f64,
    /// Cores of the server and of the client.
    pub(crate) cores: Option<(&'a str, &'a str)>,
}

/// One line of a table.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) peer: Peer,
    /// What its client does.
    pub(crate) scenario: String,
    /// Flags for the server and the client beside those that all have.
    pub(crate) flags: Vec<String>,
}

/// What came of one run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) scenario: String,
    pub(crate) transport: String,
    pub(crate) threads: String,
    pub(crate) row: String,
    pub(crate) round: usize,
    pub(crate) report: Report,
    /// What the server spent on one call, in microseconds of CPU time.
    pub(crate) server_micros_per_call: f64,
    /// What the server's memory grew by with each idle connection.
    pub(crate) bytes_per_connection: f64,
    /// Bytes on the wire per call, from the client and to it.
    pub(crate) request_bytes: f64,
    pub(crate) reply_bytes: f64,
    /// Why there are no figures.
    pub(crate) failure: Option<String>,
}

impl Run {
    pub(crate) fn is_of_use(&self) -> bool {
        self.failure.is_none() && !self.report.is_unsupported
    }

    pub(crate) fn is_of(&self, group: Group<'_>) -> bool {
        self.failure.is_none()
            && self.scenario == group.scenario
            && self.transport == group.transport
            && self.threads == group.threads
    }
}

/// Whether the rows of a table are variants of the library, beside the first of them.
pub(crate) fn has_variants(scenario: &str) -> bool {
    variants(scenario).is_some()
}

/// The rows of a table.
pub(crate) fn rows(peers: &[Peer], scenario: &str) -> Vec<Row> {
    let Some(variants) = variants(scenario) else {
        let scenario = if scenario == "bytes" { "echo1" } else { scenario };
        return peers.iter().map(|peer| Row::new(peer.name, peer, scenario, &[])).collect();
    };
    let mut rows = Vec::new();
    for (name, scenario, flags) in variants {
        let program = if name.starts_with("raw-codec") { "raw-codec" } else { "switchboard" };
        let present = peers.iter().find(|peer| peer.name == program);
        rows.extend(present.map(|peer| Row::new(name, peer, scenario, flags)));
    }
    rows
}

impl Row {
    fn new(name: &str, peer: &Peer, scenario: &str, flags: &[&str]) -> Self {
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        Self { name: name.to_owned(), peer: peer.clone(), scenario: scenario.to_owned(), flags }
    }
}

fn variants(scenario: &str) -> Option<&'static [Variant]> {
    match scenario {
        "open" => Some(OPEN),
        "all" => Some(ALL),
        "handlers" => Some(HANDLERS),
        "guard" => Some(GUARD),
        _ => None,
    }
}

/// A name, what the client does, flags.
type Variant = (&'static str, &'static str, &'static [&'static str]);

/// Connections that are open, of which few call.
const OPEN: &[Variant] = &[
    ("8 connections, all call", "open-8", &[]),
    ("100 connections, 8 call", "open-100", &[]),
    ("10,000 connections, 8 call", "open-10000", &[]),
];

/// Connections that all call.
const ALL: &[Variant] = &[
    ("1 connection, 64 in flight", "all-1", &[]),
    ("100 connections, 1 in flight", "all-100", &[]),
    ("10,000 connections, 1 in flight", "all-10000", &[]),
    ("raw-codec, 1 connection", "all-1", &[]),
    ("raw-codec, 100 connections", "all-100", &[]),
    ("raw-codec, 10,000 connections", "all-10000", &[]),
];

/// Handlers of which one is called.
const HANDLERS: &[Variant] = &[
    ("1 handler", "echo64-joined", &[]),
    ("100 handlers", "echo64-joined", &["--handlers", "100"]),
    ("10,000 handlers", "echo64-joined", &["--handlers", "10000"]),
];

/// Limits, and what a codec does without any.
const GUARD: &[Variant] = &[
    ("limits as they are", "echo64-joined", &[]),
    ("limits at their maximum", "echo64-joined", &["--limits", "max"]),
    ("raw-codec, without any", "echo64-joined", &[]),
];
