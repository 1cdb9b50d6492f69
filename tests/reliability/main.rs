//! The reliability goals: each prints one line with its figure beside its limit.
//!
//! Counts, memory, liveness and correctness are asserted. Times are only printed, since they depend
//! on the machine and on what else it does. The goals run one after the other in this process, so
//! that memory and CPU time can be told apart; what may die or must be measured from outside runs
//! in child processes, which are this same program (see [`child`]).
//!
//! ```text
//! cargo test --test reliability                        all goals, a few minutes
//! cargo test --test reliability -- G5 G14              some of them
//! SWITCHBOARD_SCALE=10 cargo test --test reliability   ten times as many rounds
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "a test that goes wrong may panic"
)]

mod bombs;
mod cancels;
mod child;
mod comebacks;
mod copies;
mod crowd;
mod desync;
mod drips;
mod files;
mod frozen;
mod injection;
mod memory;
mod panics;
mod peer;
mod pipeline;
mod restarts;
mod shutdown;
mod splits;
mod streams;

use std::process::ExitCode;
use std::time::Instant;

/// What there is to reach, in the order in which it is run.
const GOALS: [(&str, fn()); 17] = [
    ("G1", bombs::run),
    ("G3", memory::run),
    ("G5", crowd::run),
    ("G6", comebacks::run),
    ("G7", shutdown::run),
    ("G9", desync::run),
    ("G10", splits::run),
    ("G11", cancels::run),
    ("G12", panics::run),
    ("G13", files::run),
    ("G14", drips::run),
    ("G16", injection::run),
    ("G17", frozen::run),
    ("G18", streams::run),
    ("G19", restarts::run),
    ("G20", copies::run),
    ("R16", comebacks::run_storm),
];

fn main() -> ExitCode {
    if child::is_child() {
        child::main();
        return ExitCode::SUCCESS;
    }
    if restarts::is_child() {
        restarts::main();
        return ExitCode::SUCCESS;
    }
    if comebacks::is_child() {
        comebacks::main();
        return ExitCode::SUCCESS;
    }
    let args: Vec<String> = std::env::args().skip(1).collect();
    let is_wanted = |goal: &str| {
        let mut names = args.iter().filter(|arg| !arg.starts_with('-')).peekable();
        names.peek().is_none() || names.any(|name| name == goal)
    };
    if args.iter().any(|arg| arg == "--list") {
        GOALS.iter().for_each(|(goal, _)| println!("{goal}: test"));
        return ExitCode::SUCCESS;
    }
    let begun = Instant::now();
    let mut failed = Vec::new();
    for (goal, run) in GOALS.into_iter().filter(|(goal, _)| is_wanted(goal)) {
        let begun = Instant::now();
        if std::panic::catch_unwind(run).is_err() {
            failed.push(goal);
        }
        eprintln!("{goal}: {:.1} s", begun.elapsed().as_secs_f64());
    }
    let seconds = begun.elapsed().as_secs_f64();
    eprintln!("reliability: {} failed {failed:?}, {seconds:.1} s", failed.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints the figure that was reached for a goal.
fn figure(goal: &str, text: &str) {
    eprintln!("{goal}: {text}");
}

/// Runs a future on a runtime of its own, with both of the usual two cores.
fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.unwrap().block_on(work)
}

/// Runs a future on this thread alone.
fn block_on_one_thread<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// The value below which `per_cent` of the values lie.
fn percentile<T: Copy + Ord>(values: &mut [T], per_cent: usize) -> T {
    values.sort_unstable();
    values[(values.len() * per_cent / 100).min(values.len() - 1)]
}
