//! The Go programs in `tests/go`, built for the tests that talk to them.
//!
//! They are built once for each process, all of them, with the Go that is installed. Without Go
//! there is nothing to talk to: a test that needs it says that it was skipped, and in CI none is.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The file to run for the program `tests/go/NAME`, `None` without Go.
///
/// What is built goes into `folder`, which must be the same for each call: each file of tests has
/// one of its own, since they may run at the same time. `go_program!` knows it.
pub fn go_program(folder: &str, name: &str) -> Option<PathBuf> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    let program = FOLDER.get_or_init(|| build(folder)).as_ref()?.join(name);
    assert!(program.exists(), "there is no Go program {name}");
    Some(program)
}

/// The folder with all programs in it.
fn build(folder: &str) -> Option<PathBuf> {
    if Command::new("go").arg("version").output().is_err() {
        let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!is_ci, "Go is not installed, and CI must not skip it");
        eprintln!("skipped: Go is not installed, so no real Go program was tried");
        return None;
    }
    std::fs::create_dir_all(folder).unwrap();
    let mut command = Command::new("go");
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../go"));
    let output = command.arg("build").arg("-o").arg(folder).arg("./...").output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "go build:\n{complaints}");
    Some(Path::new(folder).to_owned())
}

/// The function of this name, which builds into a folder of the file that calls it.
#[macro_export]
macro_rules! go_program {
    ($name:expr) => {
        $crate::go_programs::go_program(
            concat!(env!("CARGO_TARGET_TMPDIR"), "/go/", env!("CARGO_CRATE_NAME")),
            $name,
        )
    };
}
