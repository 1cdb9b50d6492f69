//! A public validator to ask: `jsonschema` for Python.

#![allow(clippy::expect_used, reason = "a panic is how a test fails")]

use std::io::Write;
use std::process::{Command, Stdio};
use std::{env, thread};

/// A schema, and instances of JSON that it takes or does not.
pub(crate) struct Case {
    pub(crate) schema: String,
    pub(crate) instances: Vec<String>,
}

/// Whether each schema takes each of its instances; `None` if there is no validator, and that is
/// said.
pub(crate) fn validate(cases: &[Case]) -> Option<Vec<Vec<bool>>> {
    let Some(python) = python() else {
        let is_ci = env::var("CI").is_ok_and(|value| value == "true");
        assert!(!is_ci, "no Python with jsonschema under CI");
        println!("SKIPPED: no schema is validated, for lack of Python with `jsonschema`");
        return None;
    };
    let told = cases.iter().map(|Case { schema, instances }| {
        format!("{{\"schema\":{schema},\"instances\":[{}]}}", instances.join(","))
    });
    let told = format!("{{\"cases\":[{}]}}", told.collect::<Vec<_>>().join(","));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/validate.py");
    let mut command = Command::new(python);
    command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("Python starts");
    let mut input = child.stdin.take().expect("an input");
    let writer = thread::spawn(move || input.write_all(told.as_bytes()));
    let output = child.wait_with_output().expect("Python ends");
    writer.join().expect("no panic").expect("Python reads");
    assert!(output.status.success(), "validate.py fails");
    Some(serde_json::from_slice(&output.stdout).expect("a list"))
}

/// The first Python that has the validator. Debian's package is for Debian's own.
fn python() -> Option<&'static str> {
    ["python3", "/usr/bin/python3"].into_iter().find(|python| {
        let mut command = Command::new(python);
        command.args(["-c", "from jsonschema import Draft202012Validator"]);
        command.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    })
}
