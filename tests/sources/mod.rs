//! The project's own sources as text, for the tests that read them.

use std::fs;
use std::path::Path;

/// A file: its path from the root of the project, with `/` between its parts, and its text.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// All files in a folder of the project and its subfolders whose names end so, by path. None if
/// there is no such folder. Without those that hold the tests of what lies beside them.
pub(crate) fn sources(folder: &str, extension: &str) -> Vec<Source> {
    let files = files(folder, extension).into_iter();
    files.filter(|source| !is_tests(&source.path)).collect()
}

/// The same, with those that hold tests.
pub(crate) fn files(folder: &str, extension: &str) -> Vec<Source> {
    let mut found = Vec::new();
    collect(Path::new(env!("CARGO_MANIFEST_DIR")), folder, extension, &mut found);
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

/// Whether a file holds the tests of what lies beside it, as `src/quota/tests.rs` does.
pub(crate) fn is_tests(path: &str) -> bool {
    path.ends_with("/tests.rs")
}

/// The lines of a text that are code, numbered from 1: up to the tests at its end, and without
/// comments.
pub(crate) fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]"));
    let lines = lines.map(|line| line.split_once("//").map_or(line, |(code, _)| code));
    (1..).zip(lines).filter(|(_, line)| !line.trim().is_empty())
}

fn collect(root: &Path, folder: &str, extension: &str, found: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(root.join(folder)) else {
        return;
    };
    for entry in entries.map(Result::unwrap) {
        let path = format!("{folder}/{}", entry.file_name().into_string().unwrap());
        if entry.file_type().unwrap().is_dir() {
            if !path.ends_with("/target") {
                collect(root, &path, extension, found);
            }
        } else if path.ends_with(extension) {
            let text = fs::read_to_string(entry.path()).unwrap();
            found.push(Source { path, text });
        }
    }
}
