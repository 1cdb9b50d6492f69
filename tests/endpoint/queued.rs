//! Blocking handlers behind a pool of threads that is full: what has not begun when its call ends
//! never begins.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use switchboard::format::Json;
use switchboard::{Code, Command, Context, Endpoint, Error, blocking};
use tokio::runtime::{Builder, Runtime};
use tokio::task::spawn_blocking;
use tokio::time::advance;

use super::support::*;

const BLOCK: Command<Request, String, Json> = Command::new("BLOCK");
const ASK: Command<String, String, Json> = Command::new("ASK");

/// Counts those that are there.
#[derive(Serialize)]
struct Request(String);

static REQUESTS: AtomicUsize = AtomicUsize::new(0);

impl<'de> Deserialize<'de> for Request {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        REQUESTS.fetch_add(1, Ordering::Relaxed);
        Ok(Self(text))
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        REQUESTS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A runtime whose only thread for what blocks is taken until it is let go. Whoever drives it has
/// its turn after each task, and not only after many.
fn full_pool() -> (Runtime, mpsc::Sender<()>) {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().start_paused(true).max_blocking_threads(1).event_interval(1);
    let runtime = builder.build().unwrap();
    let (release, held) = mpsc::channel::<()>();
    runtime.spawn_blocking(move || held.recv());
    (runtime, release)
}

fn counted(runs: &Count) -> Endpoint {
    let (alone, in_context) = (runs.clone(), runs.clone());
    limited(|limits| {
        limits.blocking_calls_max = 6;
        limits.call_time_max = Duration::from_secs(1);
        limits.drain_time_max = Duration::from_secs(1);
    })
    .on(
        BLOCK,
        blocking(move |request: Request| {
            alone.add();
            Ok::<_, Error>(request.0.clone())
        }),
    )
    .on(
        ASK,
        blocking(move |request: String, context: Context| {
            in_context.add();
            Ok::<_, Error>(format!("{}{}", context.command(), request))
        }),
    )
}

#[test]
fn what_has_not_begun_when_its_call_ends_never_begins() {
    let (runtime, release) = full_pool();
    runtime.block_on(async {
        let runs = Count::default();
        let endpoint = counted(&runs);
        let [mut tagged, mut plain, mut gone, mut drained] = [0; 4].map(|_| peer(&endpoint));
        tagged
            .send("BLOCK 1 3 f=json t=50\n\"a\"ASK 2 3 f=json\n\"b\"BLOCK 0 3 f=json t=50\n\"c\"")
            .await;
        plain.send("BLOCK\n\"d\"\n").await;
        gone.send("ASK 1 3 f=json\n\"e\"").await;
        drained.send("BLOCK 1 3 f=json\n\"f\"").await;
        settle().await;
        assert_eq!(REQUESTS.load(Ordering::Relaxed), 4, "they wait for the thread");
        tagged.send(">2 cancel\n").await;
        tagged.expect_ran(2, Code::Cancelled).await;
        drop(gone);
        settle().await;
        advance(Duration::from_secs(2)).await;
        tagged.expect_ran(1, Code::DeadlineExceeded).await;
        plain.expect_ran(0, Code::DeadlineExceeded).await;
        drained.expect_ran(1, Code::DeadlineExceeded).await;
        settle().await;
        assert_eq!(REQUESTS.load(Ordering::Relaxed), 0, "they are let go at once");
        // The pool keeps their places until it has come to them.
        tagged.send("BLOCK 3 3 f=json\n\"g\"").await;
        tagged.expect_error(3, Code::Overloaded).await;

        release.send(()).unwrap();
        // The pool takes what is queued in turn.
        spawn_blocking(|| ()).await.unwrap();
        assert_eq!(runs.now(), 0, "none has begun");
        for tag in 4..=10 {
            tagged.send(format!("ASK {tag} 3 f=json\n\"h\"")).await;
            tagged.expect(&format!("<{tag} ok 6\n\"ASKh\"")).await;
        }
        assert_eq!(runs.now(), 7, "all places are free again");
        check_serves(&endpoint).await;
    });
}

/// The end of a call is told before its task has heard of it: what comes to a thread in between
/// does not begin either.
#[test]
fn what_is_told_its_end_does_not_begin_before_it_hears_of_it() {
    let (runtime, release) = full_pool();
    runtime.block_on(async {
        let runs = Count::default();
        let mut peer = peer(&counted(&runs));
        peer.send("ASK 1 3 f=json\n\"a\"").await;
        settle().await;
        let (through, is_through) = mpsc::channel();
        spawn_blocking(move || through.send(()));
        peer.send(">1 cancel\n").await;
        peer.expect_ran(1, Code::Cancelled).await;
        // Nothing else is polled on this thread until the pool is through with all.
        release.send(()).unwrap();
        is_through.recv().unwrap();
        assert_eq!(runs.now(), 0);
    });
}
