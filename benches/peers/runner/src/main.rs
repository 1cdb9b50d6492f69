//! Runs the peers in turn, each as two processes of its own, and says how they compare.
//!
//! Absolute figures hold for a day and a machine, and other work on the machine bends them. So the
//! peers alternate round by round, and ratios are between runs of one round.

mod arguments;
mod peers;
mod plan;
mod plot;
mod process;
mod readme;
mod relay;
mod tables;

use std::path::Path;

use anyhow::{Context, Result, ensure};

use self::arguments::Arguments;
use self::plan::{Group, Row, Run, Terms};

fn main() -> Result<()> {
    let arguments = Arguments::parse()?;
    let runs = match &arguments.from {
        Some(path) => {
            let text = std::fs::read_to_string(path).context(path.display().to_string())?;
            serde_json::from_str(&text)?
        }
        None => measure(&arguments)?,
    };
    println!("{}", tables::tables(&runs));
    if let Some(path) = &arguments.json {
        std::fs::write(path, serde_json::to_string_pretty(&runs)?)?;
    }
    if let Some(path) = &arguments.svg {
        std::fs::write(path, plot::svg(&runs))?;
    }
    if arguments.is_readme {
        readme::write(root(), &runs)?;
    }
    let failures = runs.iter().filter(|run| run.failure.is_some()).count();
    ensure!(failures == 0, "{failures} runs have failed");
    Ok(())
}

fn measure(arguments: &Arguments) -> Result<Vec<Run>> {
    process::allow_many_files()?;
    let peers = peers::present(&arguments.peers);
    let mut runs = Vec::new();
    for scenario in &arguments.scenarios {
        for transport in &arguments.transports {
            for threads in &arguments.threads {
                let group = Group { scenario, transport, threads };
                take_turns(group, plan::rows(&peers, scenario), arguments, &mut runs);
            }
        }
    }
    runs.retain(|run| !run.report.is_unsupported);
    Ok(runs)
}

/// Runs each row once in each round. One that cannot do it, or fails, is left out from then on.
fn take_turns(group: Group<'_>, mut rows: Vec<Row>, arguments: &Arguments, runs: &mut Vec<Run>) {
    let cores = arguments.cores.as_ref().map(|(server, client)| (&**server, &**client));
    let terms = Terms { seconds: arguments.seconds, cores };
    for round in 0..arguments.rounds {
        rows.retain(|row| {
            let run = process::run(row, group, round, terms);
            eprintln!("{}", tables::line(&run));
            let is_of_use = run.is_of_use();
            runs.push(run);
            is_of_use
        });
        // Nobody always runs after the same one.
        if !rows.is_empty() {
            rows.rotate_left(1);
        }
    }
}

/// The root of the project.
fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(3).unwrap_or(here)
}
