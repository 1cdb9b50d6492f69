//! What the documents of the project say of the two doors, done.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::*;

const README: &str = include_str!("../../../README.md");
const DOORS: &str = include_str!("../../../docs/DOORS.md");

#[tokio::test(start_paused = true)]
async fn one_registration_has_the_two_doors_that_the_readme_shows() {
    let (_, shown) = README.split_once("One registration, two doors").unwrap();
    let (_, shown) = shown.split_once("```text\n").unwrap();
    let (shown, _) = shown.split_once("```").unwrap();
    let expected = "$ curl -w '\\n' localhost:8080/call/ADD -H 'content-type: application/json' \
                    -d '[1,2]'\n\
                    3\n\
                    $ printf 'ADD\\n[1,2]\\n' | nc -N localhost 61000\n\
                    3\n";
    assert_eq!(shown, expected);
    let scene = Scene::new();
    assert_eq!(body(&scene.exchange(post("/call/ADD", "[1,2]")).await), "3");
    let (mut here, there) = switchboard::transport::memory();
    let endpoint = scene.endpoint.clone();
    tokio::spawn(async move { endpoint.serve_stream(there).await });
    here.write_all(b"ADD json\n[1,2]\n").await.unwrap();
    here.shutdown().await.unwrap();
    let mut answer = String::new();
    here.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "3\n");
}

/// Each of the modules that the table of doors names is there.
#[test]
fn the_table_of_doors_names_tests_that_are_there() {
    let names = DOORS.lines().filter(|line| line.starts_with("| ")).skip(1);
    let named = names.filter_map(|line| line.trim_end_matches(" |").rsplit_once("| "));
    for cell in named.map(|(_, cell)| cell).flat_map(|cell| cell.split([',', ';'])) {
        let name = cell.trim().trim_matches('`');
        let path = match name.strip_prefix("http` ") {
            Some(module) => format!("http/tests/http/{module}.rs"),
            None if name.starts_with("tests/") => name.to_owned(),
            None => format!("tests/endpoint/{name}.rs"),
        };
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../").to_owned() + &path;
        assert!(name.is_empty() || std::fs::exists(&path).unwrap(), "{name:?}: {path}");
    }
}
