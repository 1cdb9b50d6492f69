//! SIGTERM and SIGINT: whatever was accepted is answered, or the exit code says that it was not.

use std::collections::BTreeSet;
use std::io::Read;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use rustix::process::Signal;

use crate::support::{Folder, Http, Server};

const WRITERS: usize = 50;

#[test]
fn sigterm_under_load_answers_every_accepted_request() {
    check_stop_under_load(Signal::TERM);
}

#[test]
fn sigint_does_the_same() {
    check_stop_under_load(Signal::INT);
}

fn check_stop_under_load(signal: Signal) {
    let folder = Folder::new(&format!("stop-{signal:?}"));
    let server = Server::start(&folder.database());
    let (tell, told) = mpsc::channel();
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let (tell, mut http) = (tell.clone(), server.connect());
            thread::spawn(move || {
                while let Some(id) = create(&mut http) {
                    tell.send(id).unwrap();
                }
            })
        })
        .collect();
    drop(tell);
    let mut answered = BTreeSet::new();
    for id in told {
        assert!(answered.insert(id));
        if answered.len() == 300 {
            server.signal(signal);
        }
    }
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    let (code, log) = server.end();
    assert_eq!((code, log.contains("ERROR")), (Some(0), false), "{log}");

    // A request that was accepted has made a to-do: there is none that nobody was told of.
    let made = ids(&mut Server::start(&folder.database()).connect());
    assert_eq!(made, answered);
    println!("{signal:?}: {} creates made, and as many answered", made.len());
}

fn create(http: &mut Http) -> Option<String> {
    let response = http.ask("POST /api/todos", r#"{"title":"milk"}"#).ok()?;
    assert_eq!(response.status, 201);
    Some(response.json()["data"]["id"].as_str().unwrap().to_owned())
}

fn ids(http: &mut Http) -> BTreeSet<String> {
    let list = http.ask("GET /api/todos", "").unwrap().json();
    let todos = list["data"].as_array().unwrap().iter();
    todos.map(|todo| todo["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_is_not_answered_in_10_seconds_is_cut_off_and_said() {
    let folder = Folder::new("cut-off");
    let server = Server::start(&folder.database());
    // More than the buffers of both sides hold.
    let insert = "INSERT INTO todos (title, completed, created_at) VALUES (?1, 0, 'long ago')";
    let file = Connection::open(folder.database()).unwrap();
    for _ in 0..24 {
        file.execute(insert, ["x".repeat(1_000_000)]).unwrap();
    }
    let mut http = server.connect();
    http.send("GET /api/todos HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    http.stream.read_exact(&mut [0; 1]).unwrap();

    server.signal(Signal::TERM);
    // Slow, and not so slow that it is cut off for that: about 400 KiB in a second.
    let reader = thread::spawn(move || {
        let mut piece = vec![0; 100 * 1024];
        while http.stream.read(&mut piece).is_ok_and(|bytes| bytes > 0) {
            // Real time: a reader in another process is slow by the clock.
            thread::sleep(Duration::from_millis(250));
        }
    });
    let (code, log) = server.end();
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("stopped after 10s with requests unanswered"), "{log}");
    println!("{log}");
    drop(reader);
}
