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

/// The floors of one crate.
struct House {
    /// The folder of its sources.
    root: &'static str,
    /// From the ground up. The roof, `lib.rs`, may see everything.
    floors: &'static [&'static [&'static str]],
    /// What has no input and output, no clock, no task and no lock.
    pure: &'static [&'static str],
}

const SWITCHBOARD: House = House {
    root: "src/",
    floors: &[
        &["error"],
        &["limits"],
        &["wire", "format", "envelope"],
        &["command"],
        &["session", "asking"],
        &["transport", "quota", "clock", "codec"],
        &["stream", "ledger"],
        &["service"],
        &["conn", "blocking"],
        &["client"],
        &["reconnect", "handler"],
        &["driver", "balance"],
        &["net_rpc", "json_lines", "datagrams"],
        &["endpoint"],
    ],
    pure: &["error", "limits", "wire", "format", "envelope", "command", "session", "asking"],
};

const GOB: House = House {
    root: "gob/src/",
    floors: &[
        &["error", "limits", "rfc3339"],
        &["wire", "kinds"],
        &["definition", "key", "shape", "special"],
        &["order", "time", "value"],
        &["schema"],
        &["trace"],
        &["traced"],
        &["decode"],
        &["encode"],
    ],
    pure: &[
        "error",
        "limits",
        "rfc3339",
        "wire",
        "kinds",
        "definition",
        "key",
        "shape",
        "special",
        "order",
        "value",
        "schema",
        "trace",
        "decode",
        "encode",
    ],
};

/// A file with a type, and one above it with a block of the type's methods, which can be told in
/// the lower and done in the upper, and in no one place. `Client::connect` is a short way to say
/// `Endpoint::new().connect`, which starts a driver; `Schema::of` asks a type; what goes
/// beside an `Error` is a format's and a line's; net/rpc, lines of JSON, datagrams and layers are
/// features; and an endpoint is also a set of commands, what these have counted, and a place for
/// protocols of others. What a connection shares is also told how calls of its peer end, and what a
/// request says is set by whoever makes one. Items become a reader or a writer of bytes, which are
/// made of them, and an `Error` an `io::Error`. A client for threads connects and calls as well.
const PARTS_ABOVE: [(&str, &str); 28] = [
    ("src/blocking/client.rs", "src/blocking/connector.rs"),
    ("src/blocking/client.rs", "src/blocking/streamed.rs"),
    ("src/client/mod.rs", "src/client/by_name.rs"),
    ("src/client/mod.rs", "src/endpoint/dial.rs"),
    ("src/client/mod.rs", "src/client/layered.rs"),
    ("src/client/mod.rs", "src/client/streamed.rs"),
    ("src/client/streamed.rs", "src/client/as_bytes.rs"),
    ("src/conn/shared.rs", "src/conn/ends.rs"),
    ("src/endpoint/mod.rs", "src/endpoint/commands.rs"),
    ("src/endpoint/mod.rs", "src/endpoint/datagrams.rs"),
    ("src/endpoint/mod.rs", "src/endpoint/dial.rs"),
    ("src/endpoint/mod.rs", "src/endpoint/foreign.rs"),
    ("src/endpoint/mod.rs", "src/endpoint/json_lines.rs"),
    ("src/endpoint/mod.rs", "src/endpoint/layered.rs"),
    ("src/endpoint/mod.rs", "src/endpoint/net_rpc.rs"),
    ("src/endpoint/mod.rs", "src/endpoint/stats.rs"),
    ("src/error.rs", "src/error/io.rs"),
    ("src/error.rs", "src/error/passed.rs"),
    ("src/error.rs", "src/error/retry.rs"),
    ("src/error.rs", "src/format/details.rs"),
    ("src/error.rs", "src/wire/metadata.rs"),
    ("src/service/halves.rs", "src/service/item_reader.rs"),
    ("src/service/halves.rs", "src/service/item_writer.rs"),
    ("src/service/item_reader.rs", "src/client/as_bytes.rs"),
    ("src/service/item_writer.rs", "src/client/as_bytes.rs"),
    ("src/service/seam.rs", "src/service/request.rs"),
    ("src/session/whole.rs", "src/session/items.rs"),
    ("gob/src/schema.rs", "gob/src/traced.rs"),
];

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
    for house in [SWITCHBOARD, GOB] {
        let modules = house.sources();
        let problems = house.problems(&modules);
        assert!(problems.is_empty(), "\n{}", problems.join("\n"));
    }
}

#[test]
fn no_two_files_need_each_other() {
    let mut problems = [SWITCHBOARD, GOB].map(|house| house.cycles(&PARTS_ABOVE)).concat();
    // Without a table of floors.
    let roots = [
        ("shape/src", 10),
        ("http/src", 10),
        ("systems/inventory/src", 10),
        ("systems/inventory/demo", 2),
        ("systems/todo/src", 5),
    ];
    for (root, least) in roots {
        let files = sources(root, ".rs");
        assert!(files.len() > least, "only {} files were found in {root}", files.len());
        problems.extend(cycles::problems(root, &files, &[]));
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn each_part_above_is_there() {
    let without = |part| PARTS_ABOVE.into_iter().filter(|other| *other != part).collect();
    let lists: Vec<Vec<_>> = PARTS_ABOVE.into_iter().map(without).collect();
    let [ours, gobs] = [SWITCHBOARD, GOB].map(|house| house.cycles_of_each(&lists));
    for ((file, above), problems) in PARTS_ABOVE.into_iter().zip(ours.into_iter().zip(gobs)) {
        let problems = [problems.0, problems.1].concat().join("\n");
        let is_there = problems.contains(file) && problems.contains(above);
        assert!(is_there, "{above} has no part of {file} any more");
    }
}

#[test]
fn every_floor_has_its_modules() {
    for house in [SWITCHBOARD, GOB] {
        let modules = house.sources();
        for module in house.floors.concat() {
            let is_there =
                modules.iter().any(|source| house.module_of(&source.path) == Some(module));
            assert!(is_there, "{module} is in the table of floors and not in {}", house.root);
        }
    }
}

#[test]
fn the_tables_in_the_architecture_are_these() {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/ARCHITECTURE.md")).unwrap();
    let (ours, gobs) = text.split_once("## Floors of gob").unwrap();
    for (house, text) in [(SWITCHBOARD, ours), (GOB, gobs)] {
        let mut told = Vec::new();
        for line in text.lines() {
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            let [_, floor, module, _, pure, _] = cells[..] else { continue };
            if let Ok(floor) = floor.parse::<usize>() {
                told.push((floor, module.trim_matches('`').to_owned(), pure == "yes"));
            }
        }
        let mut expected = Vec::new();
        for (floor, modules) in house.floors.iter().enumerate() {
            let told = |name: &&str| (floor, (*name).to_owned(), house.pure.contains(name));
            expected.extend(modules.iter().map(told));
        }
        told.sort();
        expected.sort();
        assert_eq!(told, expected, "{}", house.root);
    }
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
        ("gob/src/decode/mod.rs", "use crate::schema::Schema;", ""),
        ("gob/src/decode/mod.rs", "use crate::encode::Encoder;", "encode, which is not below"),
        ("gob/src/schema.rs", "use crate::trace::trace;", "trace, which is not below schema"),
        ("gob/src/error.rs", "use crate::wire::Reader;", "wire, which is not below error"),
        ("gob/src/schema.rs", "static SCHEMAS: RwLock<u8>", "RwLock in schema, which is pure"),
        ("gob/src/plan.rs", "", "plan is on no floor"),
    ];
    for (path, text, expected) in cases {
        let source = Source { path: path.to_owned(), text: text.to_owned() };
        let house = if path.starts_with(GOB.root) { GOB } else { SWITCHBOARD };
        let problems = house.problems(&[source]).join("; ");
        let is_right = problems.is_empty() == expected.is_empty() && problems.contains(expected);
        assert!(is_right, "{path}: {text}\n  gives {problems:?}\n  expected {expected:?}");
    }
}

impl House {
    fn sources(&self) -> Vec<Source> {
        let modules = sources(self.root.trim_end_matches('/'), ".rs");
        assert!(modules.len() > 20, "only {} files were found", modules.len());
        modules
    }

    fn cycles(&self, parts_above: &[(&str, &str)]) -> Vec<String> {
        self.cycles_of_each(&[parts_above.to_vec()]).concat()
    }

    fn cycles_of_each(&self, lists: &[Vec<(&str, &str)>]) -> Vec<Vec<String>> {
        cycles::problems_of_each(self.root.trim_end_matches('/'), &self.sources(), lists)
    }

    fn problems(&self, modules: &[Source]) -> Vec<String> {
        let mut problems = Vec::new();
        for Source { path, text } in modules {
            let Some(module) = self.module_of(path) else {
                continue;
            };
            let Some(floor) = self.floor_of(module) else {
                problems
                    .push(format!("{path}: {module} is on no floor; see the table in this test"));
                continue;
            };
            let within = path.trim_start_matches(self.root);
            let is_top = !within.trim_end_matches("mod.rs").contains('/')
                || within.ends_with("/mod.rs") && within.matches('/').count() == 1;
            for (number, line) in code_lines(text) {
                let mut found = |what: String| problems.push(format!("{path}:{number}: {what}"));
                for import in line.split("crate::").skip(1) {
                    self.check_import(import, module, floor, &mut found);
                }
                if line.contains("super::super") {
                    found("super::super: say crate:: and the module".to_owned());
                } else if is_top && line.contains("super::") {
                    found("super:: from the top of a module is lib.rs".to_owned());
                }
                for word in IMPURE.iter().filter(|_| self.pure.contains(&module)) {
                    if line.contains(word) {
                        found(format!("{word} in {module}, which is pure"));
                    }
                }
            }
        }
        problems
    }

    /// Looks at what follows `crate::`.
    fn check_import(
        &self,
        import: &str,
        module: &str,
        floor: usize,
        found: &mut impl FnMut(String),
    ) {
        let is_name = |symbol: char| symbol.is_ascii_alphanumeric() || symbol == '_';
        let name = import.split(|symbol| !is_name(symbol)).next().unwrap_or_default();
        if import.starts_with('{') {
            found("several modules in one import: say one in each".to_owned());
        } else if import.starts_with('*') {
            found("imports everything through lib.rs".to_owned());
        } else if name.starts_with(|first: char| first.is_ascii_uppercase()) {
            found(format!("imports {name} through lib.rs: say the module that defines it"));
        } else if name != module && self.floor_of(name).is_none_or(|below| below >= floor) {
            found(format!("imports {name}, which is not below {module}"));
        }
    }

    /// The module of the crate that a file belongs to; none for the roof.
    fn module_of<'p>(&self, path: &'p str) -> Option<&'p str> {
        let module = path.strip_prefix(self.root)?.split(['/', '.']).next()?;
        Some(module).filter(|module| *module != "lib")
    }

    fn floor_of(&self, module: &str) -> Option<usize> {
        self.floors.iter().position(|floor| floor.contains(&module))
    }
}
