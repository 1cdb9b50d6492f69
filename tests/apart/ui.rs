//! What the compiler says to those who use the library wrongly, word for word.
//!
//! Each file in `ui` has one mistake and, beside it, the message that it gives. The words
//! are partly the compiler's own and change with its versions, so they are compared with one
//! version. With another one the test says so and does nothing, unless `CI` is set.
//!
//! To write the messages anew: `TRYBUILD=overwrite cargo test --test ui` in this folder, and read
//! the difference.

#![allow(clippy::expect_used, reason = "a panic is how a test fails")]

use std::path::Path;
use std::process::Command;

/// The compiler whose words these are.
const RUSTC: &str = "rustc 1.95.";

#[test]
fn mistakes_are_explained() {
    let version = rustc(&["--version"]);
    if !version.starts_with(RUSTC) && std::env::var_os("CI").is_none() {
        eprintln!("skipped: the messages are those of {RUSTC}*, and this is {version}");
        return;
    }
    let cases = trybuild::TestCases::new();
    cases.compile_fail("ui/call_*.rs");
    cases.compile_fail("ui/handler_*.rs");
    cases.compile_fail("ui/line_*.rs");
    cases.compile_fail("ui/raw_*.rs");
    // Where the compiler has the source of its own library, it quotes from it what panicked.
    let library = Path::new(&rustc(&["--print", "sysroot"])).join("lib/rustlib/src/rust/library");
    if library.exists() {
        eprintln!("skipped the names and facts: the component rust-src changes their messages");
    } else {
        cases.compile_fail("ui/fact_*.rs");
        cases.compile_fail("ui/name_*.rs");
    }
}

fn rustc(arguments: &[&str]) -> String {
    let program = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(program).args(arguments).output().expect("the compiler runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
