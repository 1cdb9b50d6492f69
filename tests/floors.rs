//! Who may import whom. Folders alone keep no order, so this does.
//!
//! A module imports only from floors below its own; neighbours on a floor are strangers. It imports
//! from the module that defines a thing, never through `lib.rs`. The pure floors know no socket, no
//! clock, no task and no lock.
//!
//! Within a module it is the same with files: no two need each other (`cycles`).

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a panic is how a test fails"
)]

mod cycles;
mod sources;

use std::fs;

use crate::sources::{Source, code_lines, sources};

/// The floors, from the ground up. The roof, `lib.rs`, may see everything.
const FLOORS: [&[&str]; 14] = [
    &["error"],
    &["limits"],
    &["wire", "format"],
    &["command"],
    &["session"],
    &["transport", "quota", "clock"],
    &["stream"],
    &["service"],
    &["conn"],
    &["client"],
    &["handler"],
    &["driver"],
    &["net_rpc"],
    &["endpoint"],
];

/// A file with a type, and one above it with a block of the type's methods. `Client::connect` is a
/// short way to say `Endpoint::new().connect`, which starts a driver: it can be told where clients
/// are looked for, and done where connections are served, and in no one place.
const PARTS_ABOVE: [(&str, &str); 1] = [("src/client/mod.rs", "src/endpoint/dial.rs")];

/// What has no input and output, no clock, no task and no lock.
const PURE: [&str; 6] = ["error", "limits", "wire", "format", "command", "session"];

/// What a pure module does not say.
const IMPURE: [&str; 10] = [
    "tokio",
    "Instant::now",
    "SystemTime",
    "std::thread",
    "std::net",
    "std::fs",
    "Mutex",
    "RwLock",
    ".await",
    "async ",
];

#[test]
fn imports_go_strictly_down() {
    let modules = sources("src", ".rs");
    assert!(modules.len() > 20, "only {} files were found", modules.len());
    let problems = problems(&modules);
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn no_two_files_need_each_other() {
    let problems = [("src", 20), ("gob/src", 20), ("shape/src", 10)].map(|(root, least)| {
        let files = sources(root, ".rs");
        assert!(files.len() > least, "only {} files were found", files.len());
        cycles::problems(root, &files, &PARTS_ABOVE)
    });
    let problems = problems.concat();
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn each_part_above_is_there() {
    let problems = cycles::problems("src", &sources("src", ".rs"), &[]).join("\n");
    for (file, above) in PARTS_ABOVE {
        let is_there = problems.contains(file) && problems.contains(above);
        assert!(is_there, "{above} has no part of {file} any more");
    }
}

#[test]
fn every_floor_has_its_modules() {
    let modules = sources("src", ".rs");
    for module in FLOORS.concat() {
        let is_there = modules.iter().any(|source| module_of(&source.path) == Some(module));
        assert!(is_there, "{module} is in the table of floors and not in src");
    }
}

#[test]
fn the_table_in_the_architecture_is_this_one() {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/ARCHITECTURE.md")).unwrap();
    let mut told = Vec::new();
    for line in text.lines() {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let [_, floor, module, _, pure, _] = cells[..] else { continue };
        if let Ok(floor) = floor.parse::<usize>() {
            told.push((floor, module.trim_matches('`').to_owned(), pure == "yes"));
        }
    }
    let mut expected = Vec::new();
    for (floor, modules) in FLOORS.iter().enumerate() {
        expected
            .extend(modules.iter().map(|name| (floor, (*name).to_owned(), PURE.contains(name))));
    }
    told.sort();
    expected.sort();
    assert_eq!(told, expected);
}

#[test]
fn what_breaks_the_rules_is_found() {
    // (path, text, what the problem says; nothing if it is none)
    let cases = [
        ("src/session/mod.rs", "use crate::wire::Line;", ""),
        ("src/session/mod.rs", "use crate::error::{Code, Error};", ""),
        ("src/session/outbound.rs", "use crate::session::Violation;", ""),
        ("src/lib.rs", "pub use crate::client::Client;", ""),
        ("src/wire/line.rs", "use crate::session::Call;", "session, which is not below wire"),
        ("src/wire/line.rs", "use crate::format::Json;", "format, which is not below wire"),
        ("src/error.rs", "use crate::limits::Limits;", "limits, which is not below error"),
        (
            "src/client/mod.rs",
            "pub(crate) use crate::driver::Driver;",
            "driver, which is not below",
        ),
        ("src/client/mod.rs", "    let x = crate::driver::run();", "driver, which is not below"),
        ("src/client/mod.rs", "/// See [`Context`](crate::Context).", ""),
        ("src/client/mod.rs", "//! use crate::endpoint::Endpoint;", ""),
        ("src/client/mod.rs", "    // crate::driver looks after it", ""),
        ("src/client/mod.rs", "fn x() {} // as crate::driver does", ""),
        ("src/client/mod.rs", "use crate::Error;", "Error through lib.rs"),
        ("src/client/mod.rs", "use crate::{error, driver};", "several modules in one import"),
        ("src/client/mod.rs", "use crate::*;", "everything through lib.rs"),
        ("src/client/call.rs", "use super::super::driver::Driver;", "super::super"),
        ("src/command.rs", "use super::driver::Driver;", "super:: from the top"),
        ("src/handler/mod.rs", "use super::driver::Driver;", "super:: from the top"),
        ("src/gateway/mod.rs", "", "gateway is on no floor"),
        ("src/gateway.rs", "use crate::error::Error;", "gateway is on no floor"),
        ("src/client/mod.rs", "use crate::gateway::Gateway;", "gateway, which is not below client"),
        ("src/session/mod.rs", "use tokio::time::sleep;", "tokio in session, which is pure"),
        ("src/session/timeouts.rs", "let now = Instant::now();", "Instant::now in session"),
        ("src/format/mod.rs", "std::thread::spawn(f);", "std::thread in format"),
        ("src/command.rs", "lock: Mutex<u8>,", "Mutex in command"),
        ("src/wire/mod.rs", "let line = read.await?;", ".await in wire"),
        ("src/wire/mod.rs", "//! no tokio, no Mutex", ""),
        ("src/driver/mod.rs", "let line = tokio::time::sleep(time).await;", ""),
        ("src/command.rs", "#[cfg(test)]\nuse super::*;", ""),
    ];
    for (path, text, expected) in cases {
        let source = Source { path: path.to_owned(), text: text.to_owned() };
        let problems = problems(&[source]).join("; ");
        let is_right = problems.is_empty() == expected.is_empty() && problems.contains(expected);
        assert!(is_right, "{path}: {text}\n  gives {problems:?}\n  expected {expected:?}");
    }
}

fn problems(modules: &[Source]) -> Vec<String> {
    let mut problems = Vec::new();
    for Source { path, text } in modules {
        let Some(module) = module_of(path) else {
            continue;
        };
        let Some(floor) = floor_of(module) else {
            problems.push(format!("{path}: {module} is on no floor; see the table in this test"));
            continue;
        };
        for (number, line) in code_lines(text) {
            let mut found = |what: String| problems.push(format!("{path}:{number}: {what}"));
            for import in line.split("crate::").skip(1) {
                check_import(import, module, floor, &mut found);
            }
            let is_top = !path.trim_end_matches("mod.rs").trim_start_matches("src/").contains('/')
                || path.ends_with("/mod.rs") && path.matches('/').count() == 2;
            if line.contains("super::super") {
                found("super::super: say crate:: and the module".to_owned());
            } else if is_top && line.contains("super::") {
                found("super:: from the top of a module is lib.rs".to_owned());
            }
            for word in IMPURE.iter().filter(|_| PURE.contains(&module)) {
                if line.contains(word) {
                    found(format!("{word} in {module}, which is pure"));
                }
            }
        }
    }
    problems
}

/// Looks at what follows `crate::`.
fn check_import(import: &str, module: &str, floor: usize, found: &mut impl FnMut(String)) {
    let is_name = |symbol: char| symbol.is_ascii_alphanumeric() || symbol == '_';
    let name = import.split(|symbol| !is_name(symbol)).next().unwrap_or_default();
    if import.starts_with('{') {
        found("several modules in one import: say one in each".to_owned());
    } else if import.starts_with('*') {
        found("imports everything through lib.rs".to_owned());
    } else if name.starts_with(|first: char| first.is_ascii_uppercase()) {
        found(format!("imports {name} through lib.rs: say the module that defines it"));
    } else if name != module && floor_of(name).is_none_or(|below| below >= floor) {
        found(format!("imports {name}, which is not below {module}"));
    }
}

/// The module of the crate that a file belongs to; none for the roof.
fn module_of(path: &str) -> Option<&str> {
    let module = path.strip_prefix("src/")?.split(['/', '.']).next()?;
    Some(module).filter(|module| *module != "lib")
}

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}
