//! A failure inside is 500, says nothing to the caller, and is logged with method and path.

use rusqlite::Connection;
use rustix::process::Signal;

use crate::support::{Folder, Server};

#[test]
fn a_failure_inside_is_500_and_in_the_log() {
    let folder = Folder::new("failures");
    let server = Server::start(&folder.database());
    let mut http = server.connect();
    assert_eq!(http.ask("POST /api/todos", r#"{"title":"milk"}"#).unwrap().status, 201);

    Connection::open(folder.database()).unwrap().execute_batch("DROP TABLE todos").unwrap();
    for (what, body) in [
        ("GET /api/todos", ""),
        ("POST /api/todos", r#"{"title":"tea"}"#),
        ("GET /api/todos/1", ""),
        ("PUT /api/todos/1", "{}"),
        ("DELETE /api/todos/1", ""),
    ] {
        let response = http.ask(what, body).unwrap();
        let text = String::from_utf8(response.body).unwrap();
        let expected = r#"{"error":"the service failed","status":500}"#;
        assert_eq!((response.status, text.as_str()), (500, expected), "{what}");
    }

    server.signal(Signal::TERM);
    let (code, log) = server.end();
    assert_eq!(code, Some(0), "{log}");
    for line in [
        r#"method=GET path="/api/todos""#,
        r#"method=POST path="/api/todos""#,
        r#"method=GET path="/api/todos/1""#,
        r#"method=PUT path="/api/todos/1""#,
        r#"method=DELETE path="/api/todos/1""#,
        "no such table: todos",
    ] {
        assert!(without_colours(&log).contains(line), "{line} is not in {log}");
    }
}

/// The log without the escapes of a terminal.
fn without_colours(log: &str) -> String {
    let mut pieces = log.split('\u{1b}');
    let first = pieces.next().unwrap().to_owned();
    let rest = pieces.map(|piece| piece.split_once('m').map_or("", |(_, rest)| rest));
    rest.fold(first, |text, piece| text + piece)
}
