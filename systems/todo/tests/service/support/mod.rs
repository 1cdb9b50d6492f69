//! What the tests share: the program as a child process, and a client that hides no byte.

pub mod http;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::{self, JoinHandle};

use rustix::process::{Pid, Signal, kill_process};

pub use self::http::{Http, Response};

/// A folder that is gone when this is dropped.
pub struct Folder(PathBuf);

/// The program, which is killed when this is dropped.
pub struct Server {
    child: Child,
    // `127.0.0.1:PORT`.
    pub http: String,
    pub commands: String,
    log: Option<JoinHandle<String>>,
    // Kept open, so that the program can write to it.
    _output: BufReader<ChildStdout>,
}

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let path = path.join(format!("todo-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn database(&self) -> String {
        self.0.join("todos.sqlite").to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Server {
    /// Starts the program and waits until it listens.
    pub fn start(database: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_switchboard-todo"))
            .env("PORT", "0")
            .env("HOST", "127.0.0.1")
            .env("HOSTS", "todo.example, other.example")
            .env("DATABASE", database)
            .env("COMMAND_ADDRESS", "127.0.0.1:0")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut errors = child.stderr.take().unwrap();
        let log = thread::spawn(move || {
            let mut log = String::new();
            let _ = errors.read_to_string(&mut log);
            log
        });
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let http = said(&mut output, "listening on http://");
        let commands = said(&mut output, "commands on ");
        Self { child, http, commands, log: Some(log), _output: output }
    }

    pub fn connect(&self) -> Http {
        Http::connect(&self.http)
    }

    pub fn signal(&self, signal: Signal) {
        let id = Pid::from_child(&self.child);
        kill_process(id, signal).unwrap();
    }

    /// Waits for its end; answers its exit code, if no signal ended it, and what it said.
    pub fn end(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().unwrap();
        (status.code(), self.log.take().unwrap().join().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn said(output: &mut impl BufRead, what: &str) -> String {
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    let said = line.trim_end().strip_prefix(what);
    said.unwrap_or_else(|| panic!("the program said {line:?}")).to_owned()
}
