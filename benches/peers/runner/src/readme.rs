//! The compact table in the README of the peers, and the plot beside it.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::available_parallelism;

use anyhow::{Context, Result};

use crate::plan::{Group, Run};
use crate::plot;
use crate::tables::{FLOORS, Figure, ratio, rows, spread, thousands};

/// Scenarios of which the table says calls per second.
const COLUMNS: [(&str, &str); 11] = [
    ("echo1", "1 in flight"),
    ("echo64", "64 tasks"),
    ("echo64-joined", "64 in one task"),
    ("echo32x8", "32 × 8"),
    ("small64", "64, 8 bytes"),
    ("mib", "1 MiB"),
    ("oneway", "one-way"),
    ("stream-up", "stream up"),
    ("stream-down", "stream down"),
    ("stream-both", "both ways"),
    ("connect", "connect, call, close"),
];

const OURS: &str = "switchboard";
const BEGIN: &str = "<!-- peers: written by benches/peers -->\n";
const END: &str = "<!-- peers: end -->\n";
const FOLDER: &str = "benches/peers";
const PLOT: &str = "peers.svg";

/// Writes both.
pub(crate) fn write(root: &Path, runs: &[Run]) -> Result<()> {
    let folder = root.join(FOLDER);
    fs::write(folder.join(PLOT), plot::svg(runs))?;
    let path = folder.join("README.md");
    let text = fs::read_to_string(&path)?;
    let (before, rest) = text.split_once(BEGIN).context("README.md has no place for the table")?;
    let (_, after) = rest.split_once(END).context("README.md has no end of the table")?;
    let table = table(runs)?;
    fs::write(path, format!("{before}{BEGIN}{table}{END}{after}"))?;
    Ok(())
}

fn table(runs: &[Run]) -> Result<String> {
    let group = |scenario| Group { scenario, transport: "tcp", threads: "many" };
    let mut peers: Vec<&str> = Vec::new();
    for (scenario, _) in COLUMNS {
        for row in rows(runs, group(scenario)) {
            if !peers.contains(&row) {
                peers.push(row);
            }
        }
    }
    let mut text = format!("![Calls per second in relation to raw tokio]({PLOT})\n\n");
    let _ = write!(text, "| calls/s (× raw-codec)");
    for (_, title) in COLUMNS {
        let _ = write!(text, " | {title}");
    }
    let columns = COLUMNS.len() + 4;
    let _ = writeln!(text, " | idle, KiB | bytes per call | p99, slow beside |");
    let _ = writeln!(text, "|{}", "---|".repeat(columns));
    for peer in &peers {
        let _ = write!(text, "| {peer}");
        for (scenario, _) in COLUMNS {
            let calls = spread(runs, group(scenario), peer, |run| run.report.calls_per_second);
            let cell = calls.map_or_else(|| "–".to_owned(), |calls| thousands(calls.median));
            let ratio = ratio(runs, group(scenario), peer, "raw-codec");
            let ratio = ratio.map_or_else(String::new, |ratio| format!(" ({:.2})", ratio.median));
            let _ = write!(text, " | {cell}{ratio}");
        }
        let median = |scenario, figure: Figure| {
            let spread = spread(runs, group(scenario), peer, figure);
            spread.map_or_else(|| "–".to_owned(), |spread| thousands(spread.median))
        };
        let idle = median("idle", |run| run.bytes_per_connection / 1024.0);
        let (request, reply) =
            (median("bytes", |run| run.request_bytes), median("bytes", |run| run.reply_bytes));
        let mixed = median("mixed", |run| run.report.p99_micros / run.report.p99_alone_micros);
        let _ = writeln!(text, " | {idle} | {request} + {reply} | {mixed} |");
    }
    let _ = writeln!(text, "\n{}", ahead(runs, &peers));
    let _ = writeln!(text, "{}", machine()?);
    Ok(text)
}

/// Where another peer makes more calls than we do.
fn ahead(runs: &[Run], peers: &[&str]) -> String {
    let mut ahead = Vec::new();
    for peer in peers.iter().filter(|peer| **peer != OURS && !FLOORS.contains(*peer)) {
        for (scenario, title) in COLUMNS {
            let group = Group { scenario, transport: "tcp", threads: "many" };
            let ratio = ratio(runs, group, peer, OURS).filter(|ratio| ratio.median > 1.0);
            ahead.extend(ratio.map(|ratio| format!("{peer} ({title}, {:.2}×)", ratio.median)));
        }
    }
    let ahead = if ahead.is_empty() { "nobody".to_owned() } else { ahead.join(", ") };
    format!(
        "Those that begin with `raw` are floors; they and both of redis check little or nothing of \
         what they get. Ahead of us: {ahead}."
    )
}

/// Where and when this was measured.
fn machine() -> Result<String> {
    let output = |program: &str, arguments: &[&str]| -> String {
        let output = Command::new(program).args(arguments).output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        text.unwrap_or_else(|_| format!("no {program}"))
    };
    let cores = available_parallelism()?;
    let (kernel, date) = (output("uname", &["-sr"]), output("date", &["-u", "+%-d %B %Y"]));
    let (rust, go) = (output("rustc", &["--version"]), output("go", &["version"]));
    Ok(format!("Measured on {date}: {cores} cores, {kernel}, {rust}, {go}."))
}
