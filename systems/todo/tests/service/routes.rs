//! Every row of the service's description, over a real connection, with either store.

use jiff::Timestamp;
use serde_json::Value;

use crate::support::{Folder, Http, Response, Server};

/// A request, its body, and the response: its status, and of each to-do its id, whether it is
/// completed, and its title. After `error` any text may follow.
const ROWS: &[(&str, &str, &str)] = &[
    ("GET /api/todos", "", "200 []"),
    // Made, with ids from 1 on, and titles trimmed.
    ("POST /api/todos", r#"{"title":"milk"}"#, "201 1 open milk"),
    ("POST /api/todos", r#"{"title":"  tea \n","id":"9"}"#, "201 2 open tea"),
    ("POST /api/todos", "{\"title\":\"\u{e9}\\u00e9\\\"\"}", "201 3 open \u{e9}\u{e9}\""),
    // Not made.
    ("POST /api/todos", "", "400 error"),
    ("POST /api/todos", "{", "400 error"),
    ("POST /api/todos", "[]", "400 error"),
    ("POST /api/todos", "null", "400 error"),
    ("POST /api/todos", "{}", "400 error"),
    ("POST /api/todos", r#"{"title":null}"#, "400 error"),
    ("POST /api/todos", r#"{"title":7}"#, "400 error"),
    ("POST /api/todos", r#"{"title":""}"#, "400 error: the title is blank"),
    ("POST /api/todos", r#"{"title":" \t\n"}"#, "400 error: the title is blank"),
    ("POST /api/todos", "{\"title\":\"\u{0}\"}", "400 error"),
    // Found, or not.
    ("GET /api/todos/2", "", "200 2 open tea"),
    ("HEAD /api/todos/2", "", "200"),
    ("GET /api/todos/4", "", "404 error: there is no such to-do"),
    ("GET /api/todos/0", "", "404 error"),
    ("GET /api/todos/01", "", "404 error"),
    ("GET /api/todos/a", "", "404 error"),
    ("GET /api/todos/%ff", "", "404 error"),
    ("GET /api/todos/9223372036854775808", "", "404 error"),
    // Changed: the fields that are given.
    ("PUT /api/todos/2", r#"{"completed":true}"#, "200 2 done tea"),
    ("PUT /api/todos/2", r#"{"title":" green tea "}"#, "200 2 done green tea"),
    ("PUT /api/todos/2", "{}", "200 2 done green tea"),
    ("PUT /api/todos/2", r#"{"title":"tea","completed":false}"#, "200 2 open tea"),
    ("PUT /api/todos/2", r#"{"title":" "}"#, "400 error: the title is blank"),
    ("PUT /api/todos/2", r#"{"title":null}"#, "400 error"),
    ("PUT /api/todos/2", r#"{"completed":"yes"}"#, "400 error"),
    ("PUT /api/todos/2", "{", "400 error"),
    ("PUT /api/todos/7", r#"{"title":"x"}"#, "404 error: there is no such to-do"),
    // Deleted, and its id not given again.
    ("DELETE /api/todos/3", "", "204"),
    ("DELETE /api/todos/3", "", "404 error: there is no such to-do"),
    ("GET /api/todos/3", "", "404 error"),
    ("POST /api/todos", r#"{"title":"last"}"#, "201 4 open last"),
    ("GET /api/todos", "", "200 [1 open milk, 2 open tea, 4 open last]"),
    // Other methods and other places.
    ("PUT /api/todos", "{}", "405 error: this method is not allowed here"),
    ("DELETE /api/todos", "", "405 error"),
    ("PATCH /api/todos/1", "{}", "405 error"),
    ("POST /api/todos/1", "{}", "405 error"),
    ("OPTIONS /api/todos", "", "405 error"),
    ("GET /", "", "404 error: there is nothing here"),
    ("GET /api/todos/", "", "404 error"),
    ("GET /api/todos/1/2", "", "404 error"),
    ("GET /api", "", "404 error"),
];

#[test]
fn every_row_holds_with_a_file() {
    let folder = Folder::new("rows");
    check_rows(&folder.database());
}

#[test]
fn every_row_holds_in_memory() {
    check_rows(":memory:");
}

fn check_rows(database: &str) {
    let server = Server::start(database);
    // One connection for all of them: no row ends it.
    let mut http = server.connect();
    let mut ids = std::collections::HashSet::new();
    for (what, body, expected) in ROWS {
        let response = http.ask(what, body).unwrap_or_else(|error| panic!("{what}: {error}"));
        check(what, body, &response, expected);
        let id = response.header("x-request-id").unwrap_or_else(|| panic!("{what}: no request id"));
        assert!(ids.insert(id.to_owned()), "{what}: {id}, again");
    }
    check_large_bodies(&server);
}

#[track_caller]
fn check(what: &str, body: &str, response: &Response, expected: &str) {
    let shown = show(response);
    match expected.ends_with(" error") {
        true => assert!(shown.starts_with(&format!("{expected}: ")), "{what} {body}: {shown}"),
        false => assert_eq!(shown, expected, "{what} {body}"),
    }
}

/// The response as it stands in a row.
fn show(Response { status, body, .. }: &Response) -> String {
    if body.is_empty() {
        return status.to_string();
    }
    let Value::Object(envelope) = serde_json::from_slice(body).unwrap() else { panic!("{body:?}") };
    assert_eq!((envelope.len(), &envelope["status"]), (2, &(*status).into()), "{envelope:?}");
    match (envelope.get("data"), envelope.get("error")) {
        (Some(Value::Array(todos)), _) => {
            let todos: Vec<_> = todos.iter().map(show_todo).collect();
            format!("{status} [{}]", todos.join(", "))
        }
        (Some(todo), _) => format!("{status} {}", show_todo(todo)),
        (None, Some(Value::String(error))) => format!("{status} error: {error}"),
        _ => panic!("{envelope:?}"),
    }
}

fn show_todo(todo: &Value) -> String {
    let text = |field: &str| todo[field].as_str().unwrap_or_else(|| panic!("{todo}: {field}"));
    assert_eq!(todo.as_object().unwrap().len(), 4, "{todo}");
    let time = text("createdAt");
    assert!(time.parse::<Timestamp>().is_ok() && time.ends_with('Z'), "{time}");
    let state = if todo["completed"].as_bool().unwrap() { "done" } else { "open" };
    format!("{} {state} {}", text("id"), text("title"))
}

fn check_large_bodies(server: &Server) {
    let max = 1024 * 1024;
    let body = |bytes: usize| format!(r#"{{"title":"{}"}}"#, "x".repeat(bytes - 12));
    check_body(server, &body(max), 201);
    check_body(server, &body(max + 1), 413);
    // In a list these are more than a page, and in a page each may be longer in JSON.
    let escaped = format!(r#"{{"title":"x{}"}}"#, r"\u0001".repeat(170_000));
    check_body(server, &escaped, 201);
    let list = server.connect().ask("GET /api/todos", "").unwrap();
    assert_eq!((list.status, list.json()["data"].as_array().unwrap().len()), (200, 5));
    // One that does not say how long it is.
    let mut http = server.connect();
    let chunk = format!("{:x}\r\n{}\r\n", max + 1, body(max + 1));
    let head = "POST /api/todos HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n";
    http.send(format!("{head}{chunk}0\r\n\r\n")).unwrap();
    check_too_large(&http.response("POST").unwrap());
}

fn check_body(server: &Server, body: &str, status: u16) {
    let response = server.connect().ask("POST /api/todos", body).unwrap();
    assert_eq!(response.status, status, "{} bytes", body.len());
    if status == 413 {
        check_too_large(&response);
    }
}

#[track_caller]
fn check_too_large(response: &Response) {
    assert_eq!(response.status, 413);
    assert_eq!(response.json()["error"], "the body has over 1 MiB");
    assert!(response.header("x-request-id").is_some());
}

#[test]
fn a_request_id_of_the_caller_is_kept_if_it_is_short() {
    let server = Server::start(":memory:");
    check_id(&mut server.connect(), "abc-1", true);
    check_id(&mut server.connect(), &"x".repeat(128), true);
    check_id(&mut server.connect(), &"x".repeat(129), false);
    check_id(&mut server.connect(), "\u{e9}", false);
}

fn check_id(http: &mut Http, id: &str, is_kept: bool) {
    let head = format!("GET /api/todos HTTP/1.1\r\nhost: localhost\r\nx-request-id: {id}\r\n\r\n");
    http.send(head).unwrap();
    let response = http.response("GET").unwrap();
    assert_eq!(response.header("x-request-id") == Some(id), is_kept, "{id}");
}
