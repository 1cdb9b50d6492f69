//! One to-do through all the doors: made by HTTP, and read by a client, by the gateway, and by hand
//! as with netcat.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use serde_json::json;
use switchboard::{Client, Code};

use crate::support::{Folder, Response, Server};

#[tokio::test]
async fn all_doors_lead_to_the_same_to_do() {
    let server = Server::start(":memory:");
    let made = server.connect().ask("POST /api/todos", r#"{"title":"milk"}"#).unwrap();
    let todo = made.json()["data"].clone();

    let text = by_hand(&server.commands, "GET_TODO\n{\"id\":\"1\"}\n");
    assert_eq!(text, format!("{}\n", in_order(&todo)));

    let asked = by_gateway(&server, "/call/GET_TODO", r#"{"id":"1"}"#);
    assert_eq!((asked.status, asked.json()), (200, todo.clone()));
    let query = r#"{"query":"GET_TODO","params":{"id":"1"}}"#;
    let asked = by_gateway(&server, "/query", query);
    assert_eq!((asked.status, &asked.json()["answer"]), (200, &todo));
    let asked = by_gateway(&server, "/call/GET_TODO", r#"{"id":"2"}"#);
    assert_eq!((asked.status, &asked.json()["error"]["code"]), (404, &json!("not_found")));
    let id = asked.header("x-request-id");
    assert_eq!(asked.json()["error"]["request_id"].as_str(), id);

    let client = Client::connect(server.commands.as_str()).await.unwrap();
    let id = json!({"id": "1"});
    assert_eq!(client.call_json("GET_TODO", &id).await.unwrap(), todo);
    let change = json!({"id": "1", "completed": true});
    let changed = client.call_json("UPDATE_TODO", &change).await.unwrap();
    assert_eq!(server.connect().ask("GET /api/todos/1", "").unwrap().json()["data"], changed);
    let page = json!({"todos": [changed]});
    assert_eq!(client.call_json("LIST_TODOS", &json!({})).await.unwrap(), page);
    assert_eq!(client.call_json("DELETE_TODO", &id).await.unwrap(), changed);

    let error = client.call_json("GET_TODO", &id).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
    let error = client.call_json("CREATE_TODO", &json!({"title": " "})).await.unwrap_err();
    assert_eq!(error.code(), Code::Invalid);
    let error = client.call_json("CREATE_TODO", &json!({})).await.unwrap_err();
    assert_eq!(error.code(), Code::BadPayload);
}

fn by_gateway(server: &Server, path: &str, body: &str) -> Response {
    let mut http = server.connect();
    let head = format!("POST {path} HTTP/1.1\r\nhost: {}\r\n", server.http);
    let about = format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
    http.send(format!("{head}{about}\r\n{body}")).unwrap();
    http.response("POST").unwrap()
}

fn by_hand(address: &str, sent: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(sent.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// The to-do as it is written: a `Value` has its fields in another order.
fn in_order(todo: &serde_json::Value) -> String {
    format!(
        r#"{{"id":{},"title":{},"completed":{},"createdAt":{}}}"#,
        todo["id"], todo["title"], todo["completed"], todo["createdAt"]
    )
}

#[test]
fn a_page_of_elsewhere_reaches_no_door() {
    let folder = Folder::new("elsewhere");
    let server = Server::start(&folder.database());
    let check = |headers: &str, expected: u16| {
        let mut http = server.connect();
        let head = format!("GET /api/todos HTTP/1.1\r\n{headers}\r\n\r\n");
        http.send(&head).unwrap();
        assert_eq!(http.response("GET").unwrap().status, expected, "{headers}");
    };
    check(&format!("host: {}", server.http), 200);
    check("host: localhost", 200);
    check("host: todo.example:3000", 200);
    check("host: other.example", 200);
    check("host: evil.example", 403);
    check("host: localhost\r\norigin: https://evil.example", 403);
    check("host: localhost\r\nsec-fetch-site: cross-site", 403);
}
