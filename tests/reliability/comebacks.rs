//! G6 and R16: a server is killed while calls are under way, and comes back.
//!
//! G6: each call that was under way ends, and knows whether it was sent; each caller is back by
//! itself when the server is. R16: 500 clients lose their server at once. They do not dial it more
//! often than their pauses say, and all of them come back.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use switchboard::{Client, Code, Command, Endpoint, Error, Reconnect, Result};
use switchboard_testing::random::rounds;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::{block_on, figure, percentile};

const HOLD: Command<u64, ()> = Command::new("HOLD");
const PING: Command<(), ()> = Command::new("PING").idempotent();
/// How many calls of `HOLD` are under way.
const HELD: Command<(), u64> = Command::new("HELD").idempotent();

pub(crate) fn run() {
    let folder = Folder::new();
    for is_tcp in [false, true] {
        block_on(kill_all(&folder.0, is_tcp));
    }
}

pub(crate) fn run_storm() {
    let folder = Folder::new();
    block_on(storm(&folder.0));
}

/// G6.
async fn kill_all(folder: &Path, is_tcp: bool) {
    let address = if is_tcp { free_port() } else { unix(folder) };
    let client = Client::reconnect(&address).unwrap().client();
    let kills = rounds(KILLS);
    let (mut ends, mut returns) = (Vec::new(), Vec::new());
    for _ in 0..kills {
        let begun = Instant::now();
        let child = Killed(start(&address));
        client.call(PING, &()).await.unwrap();
        returns.push(begun.elapsed());
        let mut calls = JoinSet::new();
        for number in 0..CALLS {
            let client = client.clone();
            calls.spawn(async move {
                let error = client.call(HOLD, &number).await.unwrap_err();
                (error, Instant::now())
            });
        }
        while client.call(HELD, &()).await.unwrap() < CALLS {}
        let killed = Instant::now();
        drop(child);
        while let Some(call) = calls.join_next().await {
            let (error, ended) = call.unwrap();
            assert_eq!((error.code(), error.was_sent()), (Code::Disconnected, true), "{error}");
            ends.push(ended.saturating_duration_since(killed));
        }
    }
    let text = format!(
        "{kills} kills over {} under {CALLS} calls: each told that it was sent (goal: all); \
         told after {:?}, 99 % {:?} (goal 50 ms); back {:?} after the start, 99 % {:?} (goal 1 s)",
        if is_tcp { "TCP" } else { "a Unix socket" },
        percentile(&mut ends, 50),
        percentile(&mut ends, 99),
        percentile(&mut returns, 50),
        percentile(&mut returns, 99),
    );
    figure("G6", &text);
}

/// R16.
async fn storm(folder: &Path) {
    let address = unix(folder);
    let dials = Arc::new(AtomicU64::new(0));
    let child = Killed(start(&address));
    let clients: Vec<_> = (0..CLIENTS).map(|_| counted(&address, &dials)).collect();
    for client in &clients {
        client.call(PING, &()).await.unwrap();
    }
    drop(child);
    dials.store(0, Ordering::Relaxed);
    let down = Duration::from_secs(rounds(2).min(10));
    sleep(down).await;
    let dialled = dials.load(Ordering::Relaxed);
    let begun = Instant::now();
    let child = Killed(start(&address));
    let mut calls = JoinSet::new();
    for client in clients {
        calls.spawn(async move { client.call(PING, &()).await.map(|()| client) });
    }
    let back: Vec<_> = calls.join_all().await.into_iter().map(Result::unwrap).collect();
    let text = format!(
        "{} clients, {down:?} without a server: {dialled} dials (goal at most {}), all back after \
         {:.1} s (goal 6 s)",
        back.len(),
        CLIENTS * DIALS_MAX,
        begun.elapsed().as_secs_f64(),
    );
    figure("R16", &text);
    assert!(dialled <= CLIENTS * DIALS_MAX);
    drop(child);
}

/// A client that counts how often it dials.
fn counted(address: &str, dials: &Arc<AtomicU64>) -> Client {
    let (address, dials) = (address.to_owned(), Arc::clone(dials));
    Reconnect::by(move || {
        dials.fetch_add(1, Ordering::Relaxed);
        let address = address.clone();
        async move { Client::connect(&address).await }
    })
    .client()
}

/// A folder that is removed when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let name = format!("switchboard-comebacks-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn unix(folder: &Path) -> String {
    format!("unix:{}", folder.join("socket").display())
}

/// An address that a server can have, again and again.
fn free_port() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// A child that is killed when it is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn start(address: &str) -> Child {
    std::process::Command::new(std::env::current_exe().unwrap())
        .env(ADDRESS, address)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap()
}

pub(crate) fn is_child() -> bool {
    std::env::var_os(ADDRESS).is_some()
}

/// The child itself.
pub(crate) fn main() {
    let address = std::env::var(ADDRESS).unwrap();
    std::thread::spawn(move || block_on(serve(&address)).unwrap());
    // It does not outlive its parent.
    let _ = std::io::Read::read(&mut std::io::stdin(), &mut [0]);
}

async fn serve(address: &str) -> Result<()> {
    static HELD_NOW: AtomicU64 = AtomicU64::new(0);
    Endpoint::new()
        .on(HOLD, async |_: u64| {
            HELD_NOW.fetch_add(1, Ordering::Relaxed);
            std::future::pending::<Result<()>>().await
        })
        .on(HELD, async |()| Ok::<_, Error>(HELD_NOW.load(Ordering::Relaxed)))
        .on(PING, async |()| Ok::<_, Error>(()))
        .listen(address)
        .await
}

/// For each transport in an everyday run; 1,000 with `SWITCHBOARD_SCALE=25`.
const KILLS: u64 = 40;

/// Under way when the server is killed.
const CALLS: u64 = 64;

const CLIENTS: u64 = 500;

/// Of one client, while its server is away.
const DIALS_MAX: u64 = 12;

/// Tells the child where it is to listen, and that it is one.
const ADDRESS: &str = "SWITCHBOARD_COMEBACK";
