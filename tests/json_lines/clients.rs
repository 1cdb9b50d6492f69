//! Clients that others have written, unmodified: of JSON-RPC 1.0 Go's `net/rpc/jsonrpc`, and of
//! both versions aiorpcX, a library of PyPI. What is not installed is skipped, but never in CI.

use std::ffi::OsString;
use std::process::{Output, Stdio};

use switchboard::transport;
use switchboard_testing::go_programs;
use tokio::process::Command;

use crate::endpoint::endpoint;

#[tokio::test(flavor = "multi_thread")]
async fn go_s_client_finds_all_as_in_go() {
    for program in go_programs!("jsonrpc") {
        let mut command = Command::new(program);
        let output = talk(&mut command, |command, port| {
            command.args(["-address", &format!("127.0.0.1:{port}")]);
        });
        expect_all_ok(&output.await, "jsonrpc: all ok\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn aiorpcx_finds_all_as_it_is_specified() {
    // A folder that pip has installed it into; else it may be there for all.
    let folder = std::env::var_os("SWITCHBOARD_AIORPCX");
    if !has_aiorpcx(folder.as_ref()).await {
        let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!is_ci, "aiorpcX is not installed, and CI must not skip it");
        eprintln!("skipped: aiorpcX is not installed, so it was not tried");
        return;
    }
    let mut command = python(folder.as_ref());
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/json_lines/aiorpcx_client.py"));
    let output = talk(&mut command, |command, port| {
        command.arg(port.to_string());
    });
    expect_all_ok(&output.await, "aiorpcx: all ok\n");
}

/// Runs a client against an endpoint of ours.
async fn talk(command: &mut Command, tell: impl FnOnce(&mut Command, u16)) -> Output {
    let (endpoint, _) = endpoint();
    let listener = transport::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_address().unwrap().to_string();
    let port = address.rsplit(':').next().unwrap().parse().unwrap();
    let server = tokio::spawn(async move { endpoint.serve_json_lines(listener).await });
    tell(command, port);
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
    server.abort();
    output
}

fn expect_all_ok(output: &Output, last: &str) {
    let heard = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{heard}{complaints}");
    assert!(heard.ends_with(last), "{heard}");
}

async fn has_aiorpcx(folder: Option<&OsString>) -> bool {
    let mut command = python(folder);
    let status = command.args(["-c", "import aiorpcx"]).stderr(Stdio::null()).status().await;
    status.is_ok_and(|status| status.success())
}

fn python(folder: Option<&OsString>) -> Command {
    let mut command = Command::new("python3");
    command.arg("-B").envs(folder.map(|folder| ("PYTHONPATH", folder)));
    command
}
