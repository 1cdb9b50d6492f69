//! kill -9 in the middle of 50 writers, and again: what was answered is there, and no id twice.

use std::collections::HashMap;
use std::sync::mpsc;
use std::thread;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Folder, Http, Server};

const WRITERS: usize = 50;

/// How often it is killed; `TODO_CRASHES` says another number.
const CRASHES: usize = 20;

#[test]
fn what_was_answered_survives_a_kill() {
    let crashes = std::env::var("TODO_CRASHES").map_or(CRASHES, |text| text.parse().unwrap());
    let folder = Folder::new("crash");
    let mut answered = HashMap::new();
    for crash in 0..crashes {
        let server = Server::start(&folder.database());
        // In other places of a commit each time.
        write_until_killed(server, crash, 100 + 7 * crash, &mut answered);
        let server = Server::start(&folder.database());
        check_kept(&mut server.connect(), &answered);
    }
    println!("{crashes} kills, {} answered creates, none lost, no id twice", answered.len());
}

/// 50 writers, killed after so many answers.
fn write_until_killed(
    server: Server,
    crash: usize,
    answers: usize,
    answered: &mut HashMap<String, String>,
) {
    let (tell, told) = mpsc::channel();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (tell, mut http) = (tell.clone(), server.connect());
            thread::spawn(move || {
                for count in 0.. {
                    let title = format!("crash {crash}, writer {writer}, to-do {count}");
                    let Some(id) = create(&mut http, &title) else { return };
                    tell.send((id, title)).unwrap();
                }
            })
        })
        .collect();
    drop(tell);
    for (count, (id, title)) in told.into_iter().enumerate() {
        if count == answers {
            server.signal(Signal::KILL);
        }
        let before = answered.insert(id.clone(), title);
        assert_eq!(before, None, "the id {id} was given twice");
    }
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    let (code, log) = server.end();
    assert_eq!((code, log.contains("ERROR")), (None, false), "{log}");
}

/// The id of a to-do, if its making was answered.
fn create(http: &mut Http, title: &str) -> Option<String> {
    let response = http.ask("POST /api/todos", format!(r#"{{"title":"{title}"}}"#)).ok()?;
    assert_eq!(response.status, 201);
    Some(response.json()["data"]["id"].as_str().unwrap().to_owned())
}

fn check_kept(http: &mut Http, answered: &HashMap<String, String>) {
    let list = http.ask("GET /api/todos", "").unwrap().json();
    let mut kept = HashMap::new();
    for todo in list["data"].as_array().unwrap() {
        let text = |field: &Value| field.as_str().unwrap().to_owned();
        let before = kept.insert(text(&todo["id"]), text(&todo["title"]));
        assert_eq!(before, None, "{todo} is there twice");
    }
    for (id, title) in answered {
        assert_eq!(kept.get(id), Some(title), "an answered create, {id}, is lost");
    }
}
