//! The program: reads lines, has each asked, and prints what comes back.
//!
//! A line is asked when the one before is answered, so the answers stand in the order of the lines.
//! One that fails is told on the error stream, and the next one is asked all the same. It is no
//! shell: it has no history, no variables, and nothing but what `--help` says.

mod ask;
mod line;
mod target;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use tokio::io::{AsyncBufReadExt, BufReader};

use crate::ask::Asker;
use crate::line::Line;
use crate::target::Target;

const HELP: &str = "\
Asks a node, line by line.

usage: switchboard-console [--clusterip ADDRESS]

ADDRESS  is whom to ask (localhost:61000 if it is not said):
  http://HOST:PORT   a node over HTTP: each line is a POST /query
  HOST:PORT          an endpoint over the command protocol
  unix:/PATH         the same, on a Unix socket

A line that begins with a name in capitals and goes on as JSON calls that command:
  ADD [1, 2]
  CREATE_TODO {\"title\": \"milk\"}
  LIST_TODOS {}
  STATUS null
JSON is whatever begins with { [ \" - or a digit, or is null, true or false.
Every other line is a text, which the command QUERY is asked. So is one that begins with a space.
Empty lines are passed over.

It ends with the last line: with 0 if all were answered, with 1 if one was not, and with 2 if it
was not called in this way.
";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match target(std::env::args().skip(1)) {
        Ok(Some(target)) => match run(Asker::new(target)).await {
            Ok(true) => ExitCode::SUCCESS,
            // Whoever read the answers has gone.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::FAILURE
            }
        },
        Ok(None) => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}; see --help");
            ExitCode::from(2)
        }
    }
}

/// Whom the arguments say to ask; `None` if they ask for help.
fn target(mut arguments: impl Iterator<Item = String>) -> Result<Option<Target>, String> {
    let mut address = None;
    while let Some(argument) = arguments.next() {
        let value = match argument.as_str() {
            "--help" | "-h" => return Ok(None),
            "--clusterip" => arguments.next().ok_or("--clusterip wants an address")?,
            other => match other.strip_prefix("--clusterip=") {
                Some(value) => value.to_owned(),
                None => return Err(format!("there is no argument {other:?}")),
            },
        };
        if address.replace(value).is_some() {
            return Err("--clusterip is there twice".to_owned());
        }
    }
    Target::parse(address.as_deref().unwrap_or("localhost:61000")).map(Some)
}

/// Asks line by line; answers whether all were answered.
async fn run(mut asker: Asker) -> io::Result<bool> {
    let is_person = io::stdin().is_terminal();
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let (mut are_all_answered, mut number) = (true, 0_u64);
    loop {
        if is_person {
            // Not among the answers.
            eprint!("> ");
        }
        let Some(line) = lines.next_line().await? else { break };
        number = number.saturating_add(1);
        let answer = match Line::parse(&line) {
            Ok(None) => continue,
            Ok(Some(line)) => asker.ask(&line).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(answer) => print(&answer)?,
            Err(error) => {
                // A person sees which line it was.
                let place = if is_person { String::new() } else { format!(" in line {number}") };
                eprintln!("error{place}: {}", printable(&error));
                are_all_answered = false;
            }
        }
    }
    Ok(are_all_answered)
}

fn print(answer: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let is_terminal = out.is_terminal();
    let answer = if is_terminal { printable(answer) } else { answer.to_owned() };
    writeln!(out, "{answer}")?;
    out.flush()
}

/// The text without what a terminal would obey: a node may say anything.
fn printable(text: &str) -> String {
    let is_plain = |char: char| !char.is_control() || char == '\n' || char == '\t';
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        if is_plain(char) { out.push(char) } else { out.extend(char.escape_unicode()) }
    }
    out
}
