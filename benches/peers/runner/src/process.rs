//! One run: a server, a client, and what the system says of the server.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use peers_common::{Report, UNSUPPORTED};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::plan::{Group, Row, Run, Terms};
use crate::relay::Relay;

/// Lets this process and its children have as many files open as the system allows.
pub(crate) fn allow_many_files() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?)
}

/// Runs one peer once.
pub(crate) fn run(row: &Row, group: Group<'_>, round: usize, terms: Terms<'_>) -> Run {
    let mut run = Run {
        scenario: group.scenario.to_owned(),
        transport: group.transport.to_owned(),
        threads: group.threads.to_owned(),
        row: row.name.clone(),
        round,
        report: Report::default(),
        server_micros_per_call: 0.0,
        bytes_per_connection: 0.0,
        request_bytes: 0.0,
        reply_bytes: 0.0,
        failure: None,
    };
    if let Err(error) = measure(row, group, terms, &mut run) {
        run.failure = Some(format!("{error:#}"));
    }
    run
}

fn measure(row: &Row, group: Group<'_>, terms: Terms<'_>, run: &mut Run) -> Result<()> {
    let seconds = terms.seconds;
    let server = Server::start(row, group, terms)?;
    if server.address == UNSUPPORTED {
        run.report = Report::unsupported();
        return Ok(());
    }
    let client = |scenario: &str, address: &str, seconds: f64| {
        let seconds = seconds.to_string();
        let mut words = vec!["client", "--connect", address];
        words.extend(["--scenario", scenario, "--seconds", &seconds]);
        Process::start(row, group, terms.cores.map(|(_, client)| client), &words)
    };
    match group.scenario {
        "idle" => {
            // What one call needs is not what a connection needs.
            client("echo1", &server.address, 0.2)?.report()?;
            let before = server.process.memory_bytes()?;
            let mut idle = client("idle", &server.address, seconds)?;
            run.report = idle.report()?;
            let growth = server.process.memory_bytes()? - before;
            run.bytes_per_connection = growth / run.report.calls_in_all as f64;
        }
        "bytes" => {
            if group.transport != "tcp" {
                run.report = Report::unsupported();
                return Ok(());
            }
            let relay = Relay::start(server.address.clone())?;
            run.report = client("echo1", &relay.address, seconds)?.report()?;
            let calls = run.report.calls_in_all as f64;
            run.request_bytes = relay.request_bytes() as f64 / calls;
            run.reply_bytes = relay.reply_bytes() as f64 / calls;
        }
        _ => {
            run.report = client(&row.scenario, &server.address, seconds)?.report()?;
            let calls = run.report.calls_in_all.max(1) as f64;
            run.server_micros_per_call = server.process.cpu_micros()? / calls;
        }
    }
    Ok(())
}

/// A server, ended when it is dropped.
struct Server {
    process: Process,
    address: String,
    socket: Option<PathBuf>,
}

impl Server {
    fn start(row: &Row, group: Group<'_>, terms: Terms<'_>) -> Result<Self> {
        let (address, socket) = if group.transport == "unix" {
            let name = format!("peers-{}.sock", std::process::id());
            let path = std::env::temp_dir().join(name);
            // Left by a run that was killed.
            let _ = fs::remove_file(&path);
            (format!("unix:{}", path.display()), Some(path))
        } else {
            ("127.0.0.1:0".to_owned(), None)
        };
        let cores = terms.cores.map(|(server, _)| server);
        let mut process = Process::start(row, group, cores, &["server", "--listen", &address])?;
        let address = process.line().context("the server prints no address")?;
        Ok(Self { process, address, socket })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(path) = &self.socket {
            let _ = fs::remove_file(path);
        }
    }
}

/// A process, ended when it is dropped.
struct Process {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Process {
    fn start(row: &Row, group: Group<'_>, cores: Option<&str>, words: &[&str]) -> Result<Self> {
        let program: &Path = &row.peer.program;
        let mut command = match cores {
            Some(cores) => {
                // It becomes the program, so the process is the same.
                let mut command = Command::new("taskset");
                command.args(["--cpu-list", cores]).arg(program);
                command
            }
            None => Command::new(program),
        };
        let mut child = command
            .args(words)
            .args(["--threads", group.threads])
            .args(&row.flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| program.display().to_string())?;
        let output = BufReader::new(child.stdout.take().context("no output")?);
        Ok(Self { child, output })
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            bail!("the process has ended: {}", self.child.wait()?);
        }
        Ok(line.trim().to_owned())
    }

    fn report(&mut self) -> Result<Report> {
        let line = self.line().context("the client")?;
        serde_json::from_str(&line).with_context(|| line)
    }

    fn memory_bytes(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: f64 =
            line.and_then(|line| line.split_whitespace().next()).context("VmRSS")?.parse()?;
        Ok(kib * 1024.0)
    }

    /// CPU time so far, in user space and in the kernel.
    fn cpu_micros(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name before may hold spaces.
        let fields = stat.rsplit_once(')').context("stat")?.1;
        let mut ticks = 0.0;
        for field in fields.split_whitespace().skip(11).take(2) {
            ticks += field.parse::<f64>()?;
        }
        Ok(ticks * 1e6 / rustix::param::clock_ticks_per_second() as f64)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
