//! Writes per second of the service, beside the same service on bare axum and rusqlite.
//!
//! ```text
//!   switchboard   serve_http ─► routes ─► a command in process ─► the store
//!   axum          axum::serve ─► routes ──────────────────────────► the store
//!   axum, plain   axum::serve ─► routes ─► spawn_blocking ─► one connection behind a lock
//! ```
//!
//! The first two have the same store, so they differ by the library alone. The third is the service
//! that is written without thinking of groups. All run in this process, one after the other, in
//! several rounds, each with a file of its own; the median of the ratios is told.
//!
//! `cargo bench -p switchboard-todo`; `TODO_ROUND_SECONDS` and `TODO_ROUNDS` say how long.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a program for one who measures, which may end with a panic"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use rusqlite::{Connection, params};
use serde_json::{Value, json};
use switchboard_todo::{NewTodo, Service, SqliteStore, Store};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

const CLIENTS: usize = 50;

fn main() {
    let seconds = setting("TODO_ROUND_SECONDS", 1);
    let rounds = setting("TODO_ROUNDS", 15);
    let folder = std::env::temp_dir().join(format!("todo-writes-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (mut ratios, mut ratios_plain) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let file = |name: &str| folder.join(format!("{name}-{round}.sqlite"));
        let measure = |name, serve: fn(&Path) -> String| writes(name, &serve(&file(name)), seconds);
        // In turns, so that a disk that becomes slower is slower for all.
        let (ours, bare) = if round % 2 == 0 {
            let ours = measure("switchboard", serve_ours);
            (ours, measure("axum", serve_bare))
        } else {
            let bare = measure("axum", serve_bare);
            (measure("switchboard", serve_ours), bare)
        };
        let plain = measure("axum, plain", serve_plain);
        ratios.push(ours / bare);
        ratios_plain.push(ours / plain);
    }
    let _ = std::fs::remove_dir_all(&folder);
    println!("switchboard / axum:        {:.2} (median of {rounds})", median(&mut ratios));
    println!("switchboard / axum, plain: {:.2}", median(&mut ratios_plain));
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// Creates that are answered in a second, of all clients together.
fn writes(name: &str, address: &str, seconds: u64) -> f64 {
    let (count, is_over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (count, is_over) = (Arc::clone(&count), Arc::clone(&is_over));
            let mut stream = BufReader::new(TcpStream::connect(address).unwrap());
            thread::spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    create(&mut stream);
                    count.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    // Connections, caches and the file are warm then.
    thread::sleep(Duration::from_millis(500));
    let (before, begin) = (count.load(Ordering::Relaxed), Instant::now());
    thread::sleep(Duration::from_secs(seconds));
    let written = count.load(Ordering::Relaxed) - before;
    let rate = written as f64 / begin.elapsed().as_secs_f64();
    is_over.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().unwrap());
    println!("{name:12} {rate:8.0} writes/s");
    rate
}

fn create(stream: &mut BufReader<TcpStream>) {
    let request = "POST /api/todos HTTP/1.1\r\nhost: localhost\r\n\
                   content-type: application/json\r\n\
                   content-length: 16\r\n\r\n{\"title\":\"milk\"}";
    stream.get_mut().write_all(request.as_bytes()).unwrap();
    let (mut line, mut len) = (String::new(), 0);
    stream.read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 201"), "{line}");
    while line != "\r\n" {
        line.clear();
        stream.read_line(&mut line).unwrap();
        if let Some(value) = line.strip_prefix("content-length: ") {
            len = value.trim_end().parse().unwrap();
        }
    }
    let mut body = vec![0; len];
    stream.read_exact(&mut body).unwrap();
}

/// Serves in a runtime of its own, which stays: its threads sleep when nobody asks.
fn serve_ours(file: &Path) -> String {
    let runtime = Runtime::new().unwrap();
    let store = SqliteStore::open(file).unwrap();
    let service = runtime.block_on(Service::open(store, "127.0.0.1:0", None)).unwrap();
    let address = service.http_address().unwrap().to_string();
    runtime.spawn(async { service.serve(std::future::pending()).await });
    std::mem::forget(runtime);
    address
}

fn serve_bare(file: &Path) -> String {
    async fn create(
        State(store): State<Arc<SqliteStore>>,
        Json(new): Json<NewTodo>,
    ) -> Result<(StatusCode, Json<Value>), StatusCode> {
        let title = new.title.trim().to_owned();
        if title.is_empty() {
            return Err(StatusCode::BAD_REQUEST);
        }
        let todo = store.create(title).await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
        Ok((StatusCode::CREATED, Json(json!({ "data": todo, "status": 201 }))))
    }
    let store = Arc::new(SqliteStore::open(file).unwrap());
    serve_axum(Router::new().route("/api/todos", post(create)).with_state(store))
}

fn serve_plain(file: &Path) -> String {
    type Shared = Arc<Mutex<Connection>>;
    async fn create(
        State(connection): State<Shared>,
        Json(new): Json<NewTodo>,
    ) -> (StatusCode, Json<Value>) {
        let insert = move || {
            let connection = connection.lock().unwrap();
            let insert = "INSERT INTO todos (title, completed) VALUES (?1, 0)";
            connection.prepare_cached(insert).unwrap().execute(params![new.title.trim()]).unwrap();
            connection.last_insert_rowid()
        };
        let id = tokio::task::spawn_blocking(insert).await.unwrap().to_string();
        (StatusCode::CREATED, Json(json!({ "data": { "id": id }, "status": 201 })))
    }
    let connection = Connection::open(file).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    connection.pragma_update(None, "synchronous", "FULL").unwrap();
    let table = "CREATE TABLE todos (number INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT, \
                 completed INTEGER)";
    connection.execute(table, []).unwrap();
    let shared: Shared = Arc::new(Mutex::new(connection));
    serve_axum(Router::new().route("/api/todos", post(create)).with_state(shared))
}

fn serve_axum(routes: Router) -> String {
    let runtime = Runtime::new().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    runtime.spawn(async { axum::serve(listener, routes).await });
    std::mem::forget(runtime);
    address
}
