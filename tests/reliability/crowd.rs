//! G5: ten thousand connections, and then none.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::child::{Child, Settings, Status, Watch, raise_files};
use crate::{block_on, figure, percentile};
use switchboard_testing::random::rounds;

pub(crate) fn run() {
    let files = raise_files();
    // Some files of our own are open, here and in the child.
    let count = CONNECTIONS.min(files.saturating_sub(200));
    if count < CONNECTIONS {
        let text = format!("scaled down to {count}: only {files} files may be open here");
        figure("G5", &text);
    }
    let child = Child::start(&Settings::default());
    block_on(async {
        let watch = child.watch().await;
        let before = watch.status().await;
        for round in 1..=rounds(3) {
            let mut streams = Vec::new();
            let begun = Instant::now();
            connect(child.address, count, &mut streams).await;
            let opened = begun.elapsed();
            let tasks = before.tasks + count;
            let idle = watch.until("all served", |now| now.tasks == tasks).await;
            let (streams, mut times) = ping(streams).await;
            let pinged = watch.status().await;
            let aborted = abort(streams, &watch, &before).await;
            let each = |status: &Status| status.rss_bytes.saturating_sub(before.rss_bytes) / count;
            let text = format!(
                "round {round}: {count} connections open in {:.2} s (goal 2 s); {} bytes each \
                 idle, {} after a call (goal 4,096); p99 of a ping {:.1} ms (goal 50 ms); all \
                 aborted: files and tasks as before after {:.2} s",
                opened.as_secs_f64(),
                each(&idle),
                each(&pinged),
                percentile(&mut times, 99).as_secs_f64() * 1e3,
                aborted.as_secs_f64(),
            );
            figure("G5", &text);
            assert!(each(&idle) <= 4096, "too much memory for an idle connection");
            assert!(each(&pinged) <= 4096, "too much memory for a connection that was used");
        }
    });
}

/// Opens `count` connections, some at a time.
///
/// The kernel completes connections before they are accepted, and drops what is over the length of
/// the listener's queue. So now and then it is waited until those before have been accepted.
pub(crate) async fn connect(address: SocketAddr, count: u64, streams: &mut Vec<TcpStream>) {
    let mut left = count;
    while left > 0 {
        let batch = left.min(QUEUED_MAX);
        left -= batch;
        let mut dialling = JoinSet::new();
        for _ in 0..batch {
            dialling.spawn(TcpStream::connect(address));
        }
        let mut opened = dialling.join_all().await;
        let mut last = opened.pop().unwrap().unwrap();
        call(&mut last).await;
        streams.push(last);
        streams.extend(opened.into_iter().map(Result::unwrap));
    }
}

async fn call(stream: &mut TcpStream) {
    stream.write_all(b"PING 1 0\n").await.unwrap();
    let mut reply = [0; 8];
    stream.read_exact(&mut reply).await.unwrap();
    assert_eq!(&reply, b"<1 ok 0\n");
}

/// Calls once over each connection, over some at a time; gives back how long each took.
async fn ping(streams: Vec<TcpStream>) -> (Vec<TcpStream>, Vec<Duration>) {
    let streams = Arc::new(std::sync::Mutex::new(streams));
    let mut callers = JoinSet::new();
    for _ in 0..64 {
        let streams = Arc::clone(&streams);
        callers.spawn(async move {
            let mut done = Vec::new();
            loop {
                let Some(mut stream) = streams.lock().unwrap().pop() else { return done };
                let begun = Instant::now();
                call(&mut stream).await;
                done.push((stream, begun.elapsed()));
            }
        });
    }
    callers.join_all().await.into_iter().flatten().unzip()
}

/// Breaks every connection off, and waits until nothing is left of them.
async fn abort(streams: Vec<TcpStream>, watch: &Watch, before: &Status) -> Duration {
    let begun = Instant::now();
    for stream in streams {
        // The peer gets a reset.
        stream.set_zero_linger().unwrap();
        drop(stream);
    }
    let is_as_before = |now: &Status| now.files == before.files && now.tasks == before.tasks;
    watch.until("files and tasks as before", is_as_before).await;
    begun.elapsed()
}

const CONNECTIONS: u64 = 10_000;
const QUEUED_MAX: u64 = 256;
