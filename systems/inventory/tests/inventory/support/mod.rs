//! What the tests share: the programs as child processes, and the file that they keep.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};

/// A folder that is gone when this is dropped.
pub struct Folder(PathBuf);

/// A program, which is killed when this is dropped.
pub struct Program {
    child: Child,
    /// Where its commands are.
    pub commands: String,
    log: Option<JoinHandle<String>>,
    output: BufReader<ChildStdout>,
}

/// What is in the file: the stock of each item, and its reservations.
#[derive(Debug, PartialEq, Eq)]
pub struct Kept {
    pub stock: Vec<(String, i64)>,
    /// Order, item, count and what was left.
    pub reservations: Vec<(String, String, u64, u64)>,
}

impl Folder {
    pub fn new(name: &str) -> Self {
        // Short enough for the path of a socket.
        let path = std::env::temp_dir().join(format!("inventory-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn database(&self) -> String {
        self.text("inventory.sqlite")
    }

    /// Where the inventory is, also when it has been started again.
    pub fn inventory(&self) -> String {
        format!("unix:{}", self.text("inventory.sock"))
    }

    /// The same for the order service.
    pub fn orders(&self) -> String {
        format!("unix:{}", self.text("orders.sock"))
    }

    fn text(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// Puts so much of item1 on the shelf, before or beside the program.
    pub fn fill(&self, count: i64) {
        let file = Connection::open(self.database()).unwrap();
        file.execute("UPDATE stock SET count = ?1 WHERE item = 'item1'", [count]).unwrap();
    }

    pub fn kept(&self) -> Kept {
        let file = Connection::open(self.database()).unwrap();
        let mut stock = file.prepare("SELECT item, count FROM stock ORDER BY item").unwrap();
        let stock = stock.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        let sql = "SELECT \"order\", item, count, \"left\" FROM reservations";
        let mut reservations = file.prepare(sql).unwrap();
        let reservations = reservations
            .query_map([], |row| {
                let number = |at| row.get(at).map(|number: i64| u64::try_from(number).unwrap());
                Ok((row.get(0)?, row.get(1)?, number(2)?, number(3)?))
            })
            .unwrap();
        Kept { stock: all(stock), reservations: all(reservations) }
    }
}

fn all<T>(rows: impl Iterator<Item = rusqlite::Result<T>>) -> Vec<T> {
    rows.map(Result::unwrap).collect()
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Kept {
    /// What is on the shelf and what is reserved of this item, together.
    pub fn sum(&self, item: &str) -> u64 {
        let (_, stock) = self.stock.iter().find(|(name, _)| name == item).unwrap();
        let reserved = self.reservations.iter().filter(|(_, name, ..)| name == item);
        u64::try_from(*stock).unwrap() + reserved.map(|(_, _, count, _)| count).sum::<u64>()
    }
}

impl Program {
    /// Starts the inventory in this folder and waits until it listens.
    pub fn inventory(folder: &Folder, settings: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_switchboard-inventory"));
        command.env("DATABASE", folder.database()).env("COMMAND_ADDRESS", folder.inventory());
        // The tests are one client.
        command.env("CALLS_PER_SECOND", "1000000").env("CALLS_AT_ONCE", "1000000");
        Self::start(command, settings)
    }

    /// Starts the order service in front of the inventory of this folder.
    pub fn orders(folder: &Folder, settings: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_switchboard-orders"));
        command.env("INVENTORY", folder.inventory()).env("COMMAND_ADDRESS", "127.0.0.1:0");
        Self::start(command, settings)
    }

    fn start(mut command: Command, settings: &[(&str, &str)]) -> Self {
        let mut child = command
            .envs(settings.iter().copied())
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
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut program = Self { child, commands: String::new(), log: Some(log), output };
        program.commands = program.said("commands at ");
        program
    }

    /// The rest of the next line that it prints, which begins so.
    pub fn said(&mut self, what: &str) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let said = line.trim_end().strip_prefix(what);
        said.unwrap_or_else(|| panic!("the program said {line:?}")).to_owned()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end; answers its exit code, if no signal ended it, and its log.
    pub fn end(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().unwrap();
        (status.code(), self.log.take().unwrap().join().unwrap())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
