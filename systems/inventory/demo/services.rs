//! The services as child processes of the demo, in a folder that is gone with it.

use std::error::Error;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};

/// What goes wrong in the demo ends it.
pub(crate) type Done<T> = Result<T, Box<dyn Error>>;

/// Where the demo has its files and its sockets.
pub(crate) struct Folder(PathBuf);

/// A service, which is killed when this is dropped.
pub(crate) struct Service {
    child: Child,
    pub(crate) lines: String,
    pub(crate) http: String,
    // Kept open, so that the service can write to it.
    output: BufReader<ChildStdout>,
}

impl Folder {
    pub(crate) fn new() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("inventory-demo-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Where the inventory has its commands, also when it is started again.
    pub(crate) fn inventory(&self) -> String {
        format!("unix:{}", self.path("inventory.sock").display())
    }

    pub(crate) fn orders(&self) -> String {
        format!("unix:{}", self.path("orders.sock").display())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Service {
    pub(crate) async fn inventory(folder: &Folder) -> Done<Self> {
        let mut command = begin("inventory", folder)?;
        command.env("COMMAND_ADDRESS", folder.inventory());
        command.env("DATABASE", folder.path("inventory.sqlite"));
        command.env("LINES_ADDRESS", "127.0.0.1:0").env("HTTP_ADDRESS", "127.0.0.1:0");
        // Tight, so that there is something to see.
        command.env("CALL_TIME_MAX", "1").env("CALLS_PER_SECOND", "100").env("CALLS_AT_ONCE", "50");
        let mut service = Self::start(&mut command).await?;
        service.lines = service.said("lines of JSON at ").await?;
        service.http = service.said("HTTP at ").await?;
        Ok(service)
    }

    pub(crate) async fn orders(folder: &Folder) -> Done<Self> {
        let mut command = begin("orders", folder)?;
        command.env("COMMAND_ADDRESS", folder.orders()).env("INVENTORY", folder.inventory());
        Self::start(&mut command).await
    }

    async fn start(command: &mut Command) -> Done<Self> {
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let output = BufReader::new(child.stdout.take().ok_or("a service without output")?);
        let (lines, http) = (String::new(), String::new());
        let mut service = Self { child, lines, http, output };
        service.said("commands at ").await?;
        Ok(service)
    }

    /// The rest of the next line that it prints, which begins so.
    async fn said(&mut self, what: &str) -> Done<String> {
        let mut line = String::new();
        self.output.read_line(&mut line).await?;
        let said = line.trim_end().strip_prefix(what);
        Ok(said.ok_or_else(|| format!("a service did not begin: {line:?}"))?.to_owned())
    }

    /// As `kill -9` does.
    pub(crate) async fn kill(&mut self) -> io::Result<()> {
        self.child.kill().await
    }

    /// Stops it in good order; its exit code.
    pub(crate) async fn stop(mut self) -> Done<i32> {
        let id = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        kill_process(id.ok_or("a service that has ended")?, Signal::TERM)?;
        let status = self.child.wait().await?;
        Ok(status.code().ok_or("a signal ended a service")?)
    }
}

/// The demo once more, as this service, with a log that is added to.
fn begin(name: &str, folder: &Folder) -> Done<Command> {
    let log =
        File::options().create(true).append(true).open(folder.path(&format!("{name}.log")))?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(name).stdin(Stdio::null()).stderr(log).env("LOG", "info");
    Ok(command)
}

/// What Prometheus does every few seconds.
pub(crate) async fn scrape(address: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let head = "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await?;
    Ok(response.split_once("\r\n\r\n").map_or_else(String::new, |(_, page)| page.to_owned()))
}

/// The value of this line of a page.
pub(crate) fn figure(page: &str, name: &str) -> u64 {
    let values = page.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    values.filter_map(|value| value.parse::<u64>().ok()).sum()
}

pub(crate) fn check(is_so: bool, else_say: &str) -> Done<()> {
    if is_so { Ok(()) } else { Err(else_say.into()) }
}
