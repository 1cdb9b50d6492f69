//! House rules that neither the compiler nor clippy keeps.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod sources;

use std::fs;

use crate::sources::{Source, code_lines, files, is_tests, sources};

/// Lines of one file, without the tests at its end.
const LINES_MAX: usize = 500;

/// Columns of one line.
const COLUMNS_MAX: usize = 100;

/// Words that say nothing. In two pieces, so that this file may be read by itself.
const EMPTY_WORDS: [&str; 4] =
    [concat!("man", "ager"), concat!("hel", "per"), concat!("ut", "il"), concat!("ut", "ils")];

/// What is left for later belongs where it can be found and planned.
const LATER_WORDS: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")];

#[test]
fn every_file_keeps_the_house_rules() {
    let files = rust_files();
    assert!(files.len() > 40, "only {} files were found", files.len());
    let problems: Vec<_> = files.iter().flat_map(problems).collect();
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn links_between_the_documents_lead_somewhere() {
    let documents = documents();
    let mut broken = Vec::new();
    for (path, text) in &documents {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let Some((file, heading)) = link.split_once('#') else { continue };
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let target = match (file, folder, file.strip_prefix("../")) {
                ("", ..) => path.clone(),
                (_, _, Some(above)) => above.to_owned(),
                (_, "", None) => file.to_owned(),
                (_, folder, None) => format!("{folder}/{file}"),
            };
            let text = documents.iter().find(|(path, _)| *path == target).map(|(_, text)| text);
            let is_there = text.is_some_and(|text| headings(text).any(|slug| slug == heading));
            if !file.contains("://") && !is_there {
                broken.push(format!("{path}: {link}"));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

/// The documents of the project: path and text.
fn documents() -> Vec<(String, String)> {
    let sources = ["docs", "benches", "clients", "fuzz", "gob", "shape", "http", "systems"];
    let sources = sources.into_iter();
    let sources = sources.flat_map(|root| files(root, ".md"));
    let sources = sources.map(|source| (source.path, source.text));
    let top = ["README", "ARCHITECTURE", "CONTRIBUTING", "CHANGELOG", "SECURITY"];
    let top = top.map(|name| {
        let path = format!("{name}.md");
        let text = fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        (path, text)
    });
    sources.chain(top).collect()
}

/// What a link says to lead to a heading of a document.
fn headings(text: &str) -> impl Iterator<Item = String> {
    let lines = text.lines().filter(|line| line.starts_with('#'));
    lines.map(|line| {
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|symbol| if symbol == ' ' { '-' } else { symbol }).collect()
    })
}

#[test]
fn what_breaks_the_rules_is_found() {
    let long_file = "//! x\n".repeat(501);
    let long_line = format!("//! {}", "x".repeat(97));
    let paused = "#[tokio::test(start_paused = true)]\n";
    let name = |word: &str| format!("//! x\nstruct Call{word};");
    // (path, text, what the problem says; nothing if it is none)
    let cases = [
        ("src/a.rs", "//! x\nfn a() {}".to_owned(), ""),
        ("src/a.rs", "fn a() {}".to_owned(), "header"),
        ("src/a.rs", long_file.clone(), "501 lines"),
        ("tests/a.rs", long_file.clone(), ""),
        ("src/a/tests.rs", long_file.clone(), ""),
        ("gob/src/a.rs", long_file.clone(), "501 lines"),
        ("gob/tests/a.rs", long_file.clone(), ""),
        ("shape/src/a.rs", long_file.clone(), "501 lines"),
        ("shape/tests/a.rs", long_file, ""),
        ("src/a.rs", format!("//! x\n#[cfg(test)]\n{}", "x\n".repeat(500)), ""),
        ("src/a.rs", long_line.clone(), "101 columns"),
        ("tests/a.rs", long_line, "101 columns"),
        ("src/a.rs", name(concat!("Man", "ager")), "says nothing"),
        ("src/a.rs", name("Management"), ""),
        ("src/a.rs", "//! x\nfn get_name() {}".to_owned(), "get_"),
        ("src/a.rs", "//! x\nlet x = map.get_mut(key);".to_owned(), ""),
        (concat!("src/ut", "ils.rs"), "//! x".to_owned(), "says nothing"),
        ("src/a.rs", format!("//! x\n// {} more", concat!("TO", "DO")), "later"),
        ("src/a/tests.rs", "//! x\n#[test]\nfn a() {\nthread::sleep(TIME)".to_owned(), "sleeps"),
        ("tests/a.rs", format!("//! x\n{paused}async fn a() {{\nsleep(SECOND).await;"), ""),
        ("tests/a.rs", "//! x\n#[tokio::test]\nasync fn a() {\nsleep(TIME)".to_owned(), "sleeps"),
        ("tests/a.rs", "//! x\n#[test]\nfn a() {\nthread::sleep(TIME)".to_owned(), "sleeps"),
        ("tests/a.rs", format!("//! x\nfn s() {{ sleep(TIME) }}\n{paused}"), ""),
        ("tests/a.rs", "//! x\nfn s() { sleep(TIME) }\n#[tokio::test]".to_owned(), "sleeps"),
        ("tests/a.rs", "//! x\n#[test]\n// Real time: why.\nsleep(TIME)".to_owned(), ""),
    ];
    for (path, text, expected) in cases {
        let problems = problems(&Source { path: path.to_owned(), text }).join("; ");
        let is_right = problems.is_empty() == expected.is_empty() && problems.contains(expected);
        assert!(is_right, "{path} gives {problems:?}, expected {expected:?}");
    }
}

/// What the library does not say, where it may, and why.
const UNSAID: [(&str, &str, &str); 8] = [
    ("Error::new(", "", "that is how a handler's author speaks; the library says `found`"),
    ("bincode::", "src/format/bincode.rs", "one file knows bincode, so that it can be replaced"),
    ("anyhow", "", "it is for those who use the library"),
    ("unbounded", "", "every queue has a bound"),
    ("read_exact", "", "it loses what it has read when it is dropped"),
    ("from_reader", "", "a claimed length cannot be checked against what is there"),
    ("thread::sleep", "", "it holds up a thread of the runtime"),
    (
        "std::time::Instant::now",
        "src/blocking/clock.rs",
        "time comes from tokio's clock, which tests can pause; threads have one of their own",
    ),
];

#[test]
fn the_library_does_not_say_what_it_must_not() {
    for Source { path, text } in sources("src", ".rs") {
        for (number, line) in code_lines(&text) {
            let line = line.replace("self::bincode::", "").replace("io::Error::new(", "");
            for (word, place, why) in UNSAID {
                let is_said = line.contains(word) && path != place;
                assert!(!is_said, "{path}:{number}: {word}: {why}");
            }
        }
        let is_std = text
            .lines()
            .any(|line| line.starts_with("use std::time::") && line.contains("Instant"));
        let mut clock = code_lines(&text).filter(|(_, line)| line.contains("Instant::now"));
        let is_wrong = is_std && clock.any(|(_, line)| !line.contains("tokio::time::Instant::now"));
        assert!(!is_wrong, "{path}: time comes from tokio's clock, which tests can pause");
    }
}

#[test]
fn no_file_is_dead() {
    let files = rust_files();
    for Source { path, .. } in files.iter().filter(|source| !is_root(&source.path)) {
        let mut parts = path.trim_end_matches(".rs").trim_end_matches("/mod").split('/');
        let (top, module) = (parts.next().unwrap(), parts.next_back().unwrap());
        let declaration = format!("mod {module};");
        let is_declared = files.iter().any(|parent| {
            parent.path.starts_with(top)
                && parent.text.lines().any(|line| line.trim_end().ends_with(&declaration))
        });
        assert!(is_declared, "{path} is a module of nobody");
    }
}

#[test]
fn every_example_is_in_the_readme() {
    let readme = documents_at_the_root().into_iter().find(|source| source.path == "README.md");
    let readme = readme.expect("a README.md").text;
    for example in examples() {
        assert!(
            readme.contains(&format!("`{example}`"))
                || readme.contains(&format!("--example {example}")),
            "the README does not name the example {example}"
        );
    }
}

#[test]
fn the_readme_says_which_rust_builds_it() {
    let readme = documents_at_the_root().into_iter().find(|source| source.path == "README.md");
    let readme = readme.unwrap().text;
    let root = include_str!("../Cargo.toml").to_owned();
    let mut manifests = vec![Source { path: "Cargo.toml".to_owned(), text: root }];
    manifests
        .extend(["benches", "gob", "tests"].into_iter().flat_map(|at| files(at, "Cargo.toml")));
    let mut count = 0;
    for Source { path, text } in manifests {
        let mut lines = text.lines();
        if let Some(version) = lines.find_map(|line| line.strip_prefix("rust-version = ")) {
            let version = version.trim_matches('"');
            assert!(readme.contains(&format!("Rust that builds it is {version}.")), "{path}");
            count += 1;
        }
    }
    assert!(count > 3, "the manifests are elsewhere");
}

#[test]
fn the_readme_says_which_features_there_are() {
    let readme = documents_at_the_root().into_iter().find(|source| source.path == "README.md");
    let readme = readme.unwrap().text;
    let rows = readme.lines().skip_while(|line| !line.starts_with("| feature | default |"));
    let rows = rows.skip(2).take_while(|line| line.starts_with('|'));
    let written: Vec<_> = rows
        .map(|row| {
            let cells: Vec<_> = row.split('|').map(str::trim).collect();
            (cells[1].trim_matches('`').to_owned(), cells[2] == "yes")
        })
        .collect();
    let (_, features) = include_str!("../Cargo.toml").split_once("[features]\n").unwrap();
    let lines = features.lines().take_while(|line| !line.starts_with('['));
    let features: Vec<_> = lines.filter_map(|line| line.split_once(" = ")).collect();
    let (_, default) = features.iter().find(|(name, _)| *name == "default").unwrap();
    let declared = features.iter().map(|(name, _)| name).filter(|name| **name != "default");
    let mut declared: Vec<_> =
        declared.map(|name| ((*name).to_owned(), default.contains(&format!("{name:?}")))).collect();
    let mut written = written;
    declared.sort();
    written.sort();
    assert_eq!(written, declared);
}

#[test]
fn every_document_is_linked() {
    let roots = documents_at_the_root();
    for Source { path, .. } in sources("docs", ".md") {
        let is_linked = roots.iter().any(|root| root.text.contains(&path));
        assert!(is_linked, "no document at the root says {path}");
    }
}

fn rust_files() -> Vec<Source> {
    let folders =
        ["src", "tests", "examples", "benches", "fuzz", "gob", "shape", "http", "systems"];
    folders.into_iter().flat_map(|folder| files(folder, ".rs")).collect()
}

/// A path from the root of its own crate.
fn within_crate(path: &str) -> &str {
    let crates =
        ["gob/", "shape/", "http/", "systems/todo/", "systems/console/", "systems/inventory/"];
    crates.into_iter().find_map(|folder| path.strip_prefix(folder)).unwrap_or(path)
}

fn problems(source: &Source) -> Vec<String> {
    let Source { path, text } = source;
    let is_test = within_crate(path).starts_with("tests/") || is_tests(path);
    let mut problems = Vec::new();
    if !text.starts_with("//! ") {
        problems.push(format!("{path}: no header that says what the file is"));
    }
    let count = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count();
    if count > LINES_MAX && !is_test {
        problems.push(format!("{path}: {count} lines, and {LINES_MAX} are enough"));
    }
    if path.split(['/', '.']).any(says_nothing) {
        problems.push(format!("{path}: a name that says nothing"));
    }
    for (number, line) in (1..).zip(text.lines()) {
        let columns = line.chars().count();
        if columns > COLUMNS_MAX {
            problems.push(format!("{path}:{number}: {columns} columns"));
        }
        let mut words = line.split(|symbol: char| !symbol.is_alphanumeric() && symbol != '_');
        if words.any(|word| LATER_WORDS.contains(&word)) {
            problems.push(format!("{path}:{number}: leaves something for later"));
        }
    }
    for (number, line) in code_lines(text) {
        for name in defined_names(line) {
            if name.starts_with("get_") {
                problems.push(format!("{path}:{number}: {name}: leave get_ out"));
            } else if says_nothing(name) {
                problems.push(format!("{path}:{number}: {name} has a word that says nothing"));
            }
        }
    }
    if is_test {
        check_sleeps(path, text, &mut problems);
    }
    problems
}

/// The names that a line defines.
fn defined_names(line: &str) -> impl Iterator<Item = &str> {
    let is_name = |symbol: char| symbol.is_ascii_alphanumeric() || symbol == '_';
    let words: Vec<_> = line.split(move |symbol| !is_name(symbol)).collect();
    let pairs: Vec<_> = words.iter().copied().zip(words.iter().copied().skip(1)).collect();
    pairs.into_iter().filter(|(before, _)| DEFINING.contains(before)).map(|(_, name)| name)
}

const DEFINING: [&str; 8] = ["fn", "struct", "enum", "trait", "type", "mod", "const", "static"];

/// Whether one of the words in a name is an empty one.
fn says_nothing(name: &str) -> bool {
    let mut words = vec![String::new()];
    for symbol in name.chars() {
        if symbol == '_' || symbol.is_ascii_uppercase() {
            words.push(String::new());
        }
        if symbol != '_' {
            words.last_mut().unwrap().push(symbol.to_ascii_lowercase());
        }
    }
    words.iter().any(|word| EMPTY_WORDS.contains(&word.as_str()))
}

/// Tests do not sleep, but in paused time. Where it must be, a comment before it begins with
/// `// Real time:` and says why.
fn check_sleeps(path: &str, text: &str, problems: &mut Vec<String>) {
    let is_test = |line: &str| line.trim().starts_with("#[") && line.contains("test");
    let is_paused = |line: &str| line.contains("start_paused = true");
    let mut on_tokio = text.lines().filter(|line| is_test(line) && line.contains("tokio"));
    let all_paused = on_tokio.all(is_paused);
    let mut attribute = None;
    for (number, line) in code_lines(text) {
        if is_test(line) {
            attribute = Some(line);
        }
        if !line.contains("sleep(") || line.contains('"') {
            continue;
        }
        // What stands before the first test is for all of them.
        let is_paused = !line.contains("thread::") && attribute.map_or(all_paused, is_paused);
        if !is_paused && !has_reason(text, number) {
            problems.push(format!("{path}:{number}: sleeps: {}", line.trim()));
        }
    }
}

fn has_reason(text: &str, number: usize) -> bool {
    let before = text.lines().take(number.saturating_sub(1)).collect::<Vec<_>>();
    let comments = before.iter().rev().take_while(|line| line.trim().starts_with("//"));
    comments.into_iter().any(|line| line.trim().starts_with("// Real time:"))
}

/// What cargo finds by itself.
fn is_root(path: &str) -> bool {
    let path = within_crate(path);
    let is_program = ["/lib.rs", "/main.rs", "/build.rs"].iter().any(|name| path.ends_with(name));
    let folders =
        ["tests", "tests/apart", "tests/apart/ui", "examples", "benches", "fuzz/fuzz_targets"];
    is_program || path.rsplit_once('/').is_some_and(|(folder, _)| folders.contains(&folder))
}

fn documents_at_the_root() -> Vec<Source> {
    let entries = fs::read_dir(env!("CARGO_MANIFEST_DIR")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let paths = paths.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    paths
        .map(|path| Source {
            path: path.file_name().unwrap().to_str().unwrap().to_owned(),
            text: fs::read_to_string(path).unwrap(),
        })
        .collect()
}

/// The names of the examples, as cargo knows them.
fn examples() -> Vec<String> {
    let mut names: Vec<_> = sources("examples", ".rs")
        .iter()
        .filter_map(|source| {
            let path = source.path.strip_prefix("examples/")?;
            match path.split_once('/') {
                None => Some(path.trim_end_matches(".rs").to_owned()),
                Some((name, "main.rs")) => Some(name.to_owned()),
                Some(_) => None,
            }
        })
        .collect();
    names.sort();
    names
}
