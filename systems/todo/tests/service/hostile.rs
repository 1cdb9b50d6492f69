//! A hundred clients that are slow, and that close half of their connection: it goes on serving.

use std::io::{self, Read};
use std::net::Shutdown;

use crate::support::{Folder, Http, Server};

const CLIENTS: usize = 100;

/// What a client sends, whether it closes its half then, and the status that it gets in the end;
/// without one, it is only said that the connection ends.
const KINDS: &[(&str, bool, Option<u16>)] = &[
    // Half a body, and then nothing more.
    (
        "POST /api/todos HTTP/1.1\r\nhost: localhost\r\ncontent-length: 30\r\n\r\n{\"title\"",
        false,
        Some(408),
    ),
    // Half a head, and then nothing more.
    ("POST /api/todos HTTP/1.1\r\nhost:", false, None),
    // A whole request, and nothing will follow: hyper takes that for a peer that is gone.
    (
        "POST /api/todos HTTP/1.1\r\nhost: localhost\r\ncontent-length: 13\r\n\r\n\
         {\"title\":\"x\"}",
        true,
        None,
    ),
    // Half a body, and nothing will follow.
    (
        "POST /api/todos HTTP/1.1\r\nhost: localhost\r\ncontent-length: 30\r\n\r\n{\"title\"",
        true,
        None,
    ),
    // A body in pieces that never ends.
    (
        "POST /api/todos HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n\
         5\r\n{\"tit",
        false,
        Some(408),
    ),
];

#[test]
fn slow_and_half_closed_clients_leave_it_serving() {
    let folder = Folder::new("hostile");
    let server = Server::start(&folder.database());
    let mut clients: Vec<_> = KINDS.iter().cycle().take(CLIENTS).collect();
    let mut clients: Vec<_> = clients
        .drain(..)
        .map(|kind @ (sent, is_half_closed, _)| {
            let mut http = server.connect();
            http.send(sent).unwrap();
            if *is_half_closed {
                http.stream.get_ref().shutdown(Shutdown::Write).unwrap();
            }
            (kind, http)
        })
        .collect();
    // While all of them are there.
    check_serves(&server);
    for ((sent, _, status), http) in &mut clients {
        let response = http.response("POST").map(|response| response.status);
        if let Some(status) = status {
            assert_eq!(response.as_ref().ok(), Some(status), "{sent:?}");
        }
        assert!(is_over(http), "{sent:?} is still connected");
    }
    check_serves(&server);
}

fn check_serves(server: &Server) {
    let mut http = server.connect();
    for _ in 0..20 {
        assert_eq!(http.ask("POST /api/todos", r#"{"title":"milk"}"#).unwrap().status, 201);
        assert_eq!(http.ask("GET /api/todos/1", "").unwrap().status, 200);
    }
}

fn is_over(http: &mut Http) -> bool {
    match http.stream.read(&mut [0; 16]) {
        Ok(bytes) => bytes == 0,
        Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
    }
}
