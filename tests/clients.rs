//! The clients of `clients/`, each in its own language, and the library's own one: all pass the
//! cases of `clients/conformance.json`. The server is that of the example `conformance`.
//!
//! A language that is not installed is skipped, but never in CI.

#![cfg(all(feature = "io", feature = "json"))]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a panic is how a test fails"
)]

#[path = "../examples/conformance/caller.rs"]
mod caller;
#[path = "../examples/conformance/cases.rs"]
mod cases;
#[path = "../examples/conformance/commands.rs"]
mod commands;
#[path = "../examples/conformance/script.rs"]
mod script;

use std::process::Stdio;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::timeout;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/clients");

/// A run that takes longer hangs.
const RUN_TIME_MAX: Duration = Duration::from_secs(300);

#[tokio::test(flavor = "multi_thread")]
async fn the_library_s_own_client_passes_each_case() {
    let address = serve().await;
    let cases = cases::cases().unwrap();
    let failed = timeout(RUN_TIME_MAX, caller::run(&address, &cases)).await.unwrap().unwrap();
    assert_eq!(failed, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn python_s_client_passes_each_case() {
    let runner = format!("{FOLDER}/python/conformance.py");
    check("python", &["python3", "-B", &runner], "--version").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_s_client_passes_each_case() {
    check("node", &["node", &format!("{FOLDER}/node/conformance.mjs")], "--version").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn go_s_client_passes_each_case() {
    check("go", &["go", "run", "./conformance"], "version").await;
}

/// No two cases have the same name, and no two scripts the same call: those would be mistaken for
/// each other.
#[test]
fn each_case_has_a_name_of_its_own() {
    let cases = cases::cases().unwrap();
    let scripted = cases.iter().filter(|case| !case.script.is_empty());
    let mut names: Vec<_> = scripted.map(|case| case.calls[0].name()).collect();
    names.extend(cases.iter().map(|case| case.name.as_str()));
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}

/// The address of a server of the cases.
async fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(script::serve(listener, cases::cases().unwrap()));
    address
}

/// Runs a runner, which says at the end that all cases went well.
async fn check(language: &str, command: &[&str], version: &str) {
    let program = command[0];
    let probe = Command::new(program).arg(version).output().await;
    if !probe.is_ok_and(|output| output.status.success()) {
        let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!is_ci, "{program} is not installed, and CI must not skip it");
        eprintln!("skipped: {program} is not installed, so the client in {language} was not tried");
        return;
    }
    let mut runner = Command::new(program);
    runner.args(&command[1..]).arg(serve().await).current_dir(format!("{FOLDER}/{language}"));
    runner.env("GOTOOLCHAIN", "local").stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(RUN_TIME_MAX, runner.output()).await.unwrap().unwrap();
    let heard = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{heard}{complaints}");
    let count = cases::cases().unwrap().len();
    let last = format!("{language}: {count} of {count} cases ok\n");
    assert!(heard.ends_with(&last), "{heard}{complaints}");
}
