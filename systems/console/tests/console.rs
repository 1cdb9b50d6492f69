//! The program in a pipe: lines go in, answers come out, of an endpoint and of a node over HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "a panic is how a test fails"
)]

use std::io::Write;
use std::process::{Command as Process, Output, Stdio};

use switchboard::format::Json;
use switchboard::transport::{self, AnyListener};
use switchboard::{Code, Command, Endpoint, Error, Result};
use switchboard_http::{Gateway, HttpLimits, serve_http};

const QUERY: Command<String, String, Json> = Command::new("QUERY");
const ADD: Command<(i32, i32), i32> = Command::new("ADD");
const FIND: Command<Vec<String>, Vec<String>, Json> = Command::new("jobs.FIND");
const REFUSE: Command<(), (), Json> = Command::new("REFUSE");

/// Lines, and what is printed for them: answers, and behind them the errors.
const LINES: &[(&str, &str, &[&str])] = &[
    ("", "", &[]),
    ("\n  \n", "", &[]),
    ("how are you?\n", "you said \"how are you?\"\n", &[]),
    // The last line need not end.
    ("how are\u{e9} \"you\"?", "you said \"how are\u{e9} \\\"you\\\"?\"\n", &[]),
    ("ADD [1, 2]\nADD [-1, 1]\n", "3\n0\n", &[]),
    ("jobs.FIND [\"a\", \"b\"]\n", "[\"b\",\"a\"]\n", &[]),
    // The next line is asked all the same.
    ("REFUSE null\nADD [1, 2]\n", "3\n", &["denied: only for friends"]),
    ("NOPE {}\nADD [1, 2]\n", "3\n", &["unknown_command: "]),
    ("ADD [1, \"2\"]\nADD [1, 2]\n", "3\n", &["bad_payload: "]),
    ("ADD [1, 2\nADD [1, 2]\n", "3\n", &["what is behind ADD is not JSON"]),
];

fn endpoint() -> Endpoint {
    Endpoint::new()
        .on(QUERY, async |text: String| Ok::<_, Error>(format!("you said {text:?}")))
        .on(ADD, async |(a, b): (i32, i32)| Ok::<_, Error>(a + b))
        .on(FIND, async |mut names: Vec<String>| {
            names.reverse();
            Ok::<_, Error>(names)
        })
        .on(REFUSE, refuse)
}

async fn refuse(_: ()) -> Result<()> {
    Err(Error::new(Code::Denied, "only for friends"))
}

async fn bind(address: &str) -> (AnyListener, String) {
    let listener = transport::bind(address).await.unwrap();
    let address = listener.local_address().unwrap().to_string();
    (listener, address)
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_asked_over_tcp() {
    let (listener, address) = bind("127.0.0.1:0").await;
    tokio::spawn(async move { endpoint().serve(listener).await });
    check_lines(&address);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_asked_over_a_unix_socket() {
    let folder = env!("CARGO_TARGET_TMPDIR");
    let (listener, address) = bind(&format!("unix:{folder}/c{}", std::process::id())).await;
    tokio::spawn(async move { endpoint().serve(listener).await });
    check_lines(&address);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_asked_over_http() {
    let (listener, address) = bind("127.0.0.1:0").await;
    let endpoint = endpoint();
    let (gateway, limits) = (Gateway::new(&endpoint), HttpLimits::default());
    tokio::spawn(serve_http(&endpoint, listener, gateway, limits));
    check_lines(&format!("http://{address}"));
}

fn check_lines(address: &str) {
    for (lines, answers, errors) in LINES {
        let output = console(&["--clusterip", address], lines);
        check(&format!("{address}: {lines:?}"), &output, answers, errors);
        let code = if errors.is_empty() { 0 } else { 1 };
        assert_eq!(output.status.code(), Some(code), "{address}: {lines:?}");
    }
}

#[track_caller]
fn check(about: &str, output: &Output, answers: &str, errors: &[&str]) {
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), answers, "{about}: {told}");
    assert_eq!(told.lines().count(), errors.len(), "{about}: {told}");
    for (line, error) in told.lines().zip(errors) {
        let (place, text) = line.split_once(": ").unwrap();
        let is_placed = place == "error" || place.starts_with("error in line ");
        assert!(is_placed && text.contains(error), "{about}: {told}");
    }
}

/// What the program does with these arguments and these lines.
fn console(arguments: &[&str], lines: &str) -> Output {
    let mut child = Process::new(env!("CARGO_BIN_EXE_switchboard-console"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have ended without reading them.
    let _ = child.stdin.take().unwrap().write_all(lines.as_bytes());
    child.wait_with_output().unwrap()
}

/// Nobody listens, or somebody who speaks something else: that is told, line by line.
#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_answer_is_told() {
    // A port that was free a moment ago.
    let (listener, closed) = bind("127.0.0.1:0").await;
    drop(listener);
    let (listener, mute) = bind("127.0.0.1:0").await;
    tokio::spawn(async move { Endpoint::new().serve(listener).await });
    for (address, error) in [
        (closed.clone(), "refused"),
        (format!("http://{closed}"), "refused"),
        (mute.clone(), "this endpoint takes no texts"),
        (format!("http://{mute}"), ""),
    ] {
        let output = console(&["--clusterip", &address], "how are you?\n");
        check(&address, &output, "", &[error]);
        assert_eq!(output.status.code(), Some(1), "{address}");
    }
}

#[test]
fn the_arguments_are_two() {
    let output = console(&["--help"], "");
    let help = String::from_utf8_lossy(&output.stdout);
    assert!(help.contains("--clusterip") && help.contains("unix:/PATH"), "{help}");
    assert_eq!(output.status.code(), Some(0));
    for arguments in [
        &["--clusterip"][..],
        &["--clusterip", "https://localhost"],
        &["--clusterip", "localhost:1", "--clusterip=localhost:1"],
        &["localhost:1"],
    ] {
        let output = console(arguments, "");
        check(&format!("{arguments:?}"), &output, "", &["see --help"]);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}
