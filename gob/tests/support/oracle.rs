//! Go itself, where it is installed: the program in `tests/go`.

use std::env;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::thread::JoinHandle;

use super::to_hex;

/// What Go makes of a stream.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) literals: Vec<String>,
    /// With which message it refuses what comes then.
    pub(crate) refusal: Option<String>,
}

/// The oracle's answers, in the order of the questions.
pub(crate) struct Answers {
    lines: BufReader<ChildStdout>,
    asker: Option<JoinHandle<()>>,
}

/// The program, built once; `None` if there is no Go, and that is said.
pub(crate) fn oracle() -> Option<&'static Path> {
    static ORACLE: OnceLock<Option<PathBuf>> = OnceLock::new();
    ORACLE.get_or_init(build).as_deref()
}

fn build() -> Option<PathBuf> {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("oracle");
    let mut go = Command::new("go");
    go.args(["build", "-o"]).arg(&program).arg(".");
    match go.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/go")).status() {
        Ok(status) => {
            assert!(status.success(), "tests/go builds");
            Some(program)
        }
        Err(error) => {
            assert!(env::var_os("CI").is_none(), "no Go under CI: {error}");
            println!("SKIPPED: nothing is compared with Go, which is not here ({error})");
            None
        }
    }
}

/// The version of Go, such as `go1.19.8`.
pub(crate) fn go_version() -> String {
    let output = Command::new("go").args(["env", "GOVERSION"]).output().expect("go runs");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// What the oracle prints for a command.
pub(crate) fn printed(program: &Path, command: &str) -> String {
    let output = Command::new(program).arg(command).output().expect("the oracle runs");
    assert!(output.status.success(), "the oracle can {command}");
    String::from_utf8(output.stdout).unwrap()
}

/// Asks what Go reads from streams, as values of Go's types of these names. The questions are sent
/// while answers come.
pub(crate) fn ask<'a, Q>(program: &Path, questions: Q) -> Answers
where
    Q: Iterator<Item = (&'a str, Vec<u8>)> + Send + 'static,
{
    let mut child = Command::new(program)
        .arg("check")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the oracle runs");
    let mut stdin = BufWriter::new(child.stdin.take().unwrap());
    let lines = BufReader::new(child.stdout.take().unwrap());
    let asker = std::thread::spawn(move || {
        for (types, bytes) in questions {
            writeln!(stdin, "q\t{types}\t{}", to_hex(&bytes)).expect("the oracle listens");
        }
        drop(stdin);
        assert!(child.wait().unwrap().success(), "the oracle ends well");
    });
    Answers { lines, asker: Some(asker) }
}

impl Iterator for Answers {
    type Item = Answer;

    fn next(&mut self) -> Option<Answer> {
        let mut line = Vec::new();
        self.lines.read_until(b'\n', &mut line).expect("the oracle answers");
        // Go quotes what it refuses as it came.
        let line = String::from_utf8_lossy(&line);
        let Some(line) = line.strip_suffix('\n') else {
            self.asker.take()?.join().unwrap();
            return None;
        };
        let mut columns = line.split('\t').skip(1);
        let refusal = match columns.next().unwrap() {
            "ok" => None,
            _ => Some(columns.next().unwrap().to_owned()),
        };
        Some(Answer { literals: columns.map(str::to_owned).collect(), refusal })
    }
}
