//! A connection that was busy and is at rest keeps next to nothing, however its last call left it:
//! live bytes, counted by the allocator.
//!
//! Both ends are in one thread, where every allocation is counted. Others go each way before the
//! one that is looked at: what the runtime keeps for the next time is not the connection's.

#![cfg(all(feature = "io", feature = "bincode", feature = "json"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    clippy::needless_pass_by_value,
    reason = "a test that goes wrong may panic"
)]

use std::fmt::Write;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use allocation_counter::measure;
use switchboard::format::Line;
use switchboard::transport::{self, MemoryStream};
use switchboard::{Client, Command, Endpoint, Error, Limits};
use switchboard_testing::waiting::settle;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

const ECHO: Command<String, String, Line> = Command::new("ECHO");
const HOLD: Command<String, String, Line> = Command::new("HOLD");
const BOTH: Command<String, String, Line> = Command::new("BOTH");
const YIELD: Command<String, String, Line> = Command::new("YIELD");
const PANIC: Command<String, String, Line> = Command::new("PANIC");

/// Bytes that a connection may keep more than when it was new.
const KEPT_BYTES_MAX: i64 = 4096;

/// Calls of a peer that may run at once.
const CALLS_MAX: usize = 1000;

/// So many calls at once that every table is too large to be kept, and so few that none may be.
const COUNTS: [usize; 3] = [1000, 60, 20];

/// An endpoint that serves the other end of `peer`, and the gate at which `HOLD` waits.
struct Served {
    peer: MemoryStream,
    gate: Arc<Semaphore>,
}

impl Served {
    fn new() -> Self {
        let gate = Arc::new(Semaphore::new(0));
        let held = gate.clone();
        let limits = Limits::default().with(|limits| limits.calls_per_connection_max = CALLS_MAX);
        let endpoint = Endpoint::new()
            .with_limits(limits)
            .on(ECHO, async |text: String| Ok::<_, Error>(text))
            .on(YIELD, async |text: String| {
                tokio::task::yield_now().await;
                Ok::<_, Error>(text)
            })
            .on(PANIC, async |_: String| -> Result<String, Error> { panic!("on purpose") })
            .on(BOTH, async |text: String, context: switchboard::Context| {
                context.client().notify(ECHO, &text).await?;
                Ok::<_, Error>(text)
            })
            .on(HOLD, move |text: String| {
                let gate = held.clone();
                async move {
                    gate.acquire().await.unwrap().forget();
                    Ok::<_, Error>(text)
                }
            });
        let (peer, there) = transport::memory();
        tokio::spawn(async move { endpoint.serve_stream(there).await });
        Self { peer, gate }
    }

    /// Sends so many of these lines, each with its number as its tag.
    async fn send(&mut self, count: usize, line: impl Fn(usize) -> String) {
        for number in 1..=count {
            self.peer.write_all(line(number).as_bytes()).await.unwrap();
        }
        settle().await;
    }

    /// Reads whatever comes until nothing more does.
    async fn read(&mut self) {
        let mut bytes = [0; 4096];
        let read = async { while self.peer.read(&mut bytes).await.unwrap() > 0 {} };
        assert!(tokio::time::timeout(Duration::from_millis(1), read).await.is_err(), "it ended");
    }
}

/// How the calls of a peer come and go.
type ServedWay = for<'a> fn(&'a mut Served, usize) -> Done<'a>;
fn hold(tag: usize) -> String {
    format!("HOLD {tag} 1 f=line\na")
}

type Done<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

#[test]
fn answered_calls_of_a_peer_leave_nothing() {
    check_served(&[
        ("answered at once", |served, count| {
            Box::pin(
                async move { served.send(count, |tag| format!("ECHO {tag} 1 f=line\na")).await },
            )
        }),
        ("answered soon", |served, count| {
            Box::pin(
                async move { served.send(count, |tag| format!("YIELD {tag} 1 f=line\na")).await },
            )
        }),
        ("answered later", |served, count| {
            Box::pin(async move {
                served.send(count, hold).await;
                served.gate.add_permits(count);
            })
        }),
        ("without reply", |served, count| {
            Box::pin(async move {
                served.send(count, |_| "HOLD 0 1 f=line\na".to_owned()).await;
                served.gate.add_permits(count);
            })
        }),
        ("without reply, behind as many as may run", |served, count| {
            Box::pin(async move {
                let count = CALLS_MAX + count;
                served.send(count, |_| "HOLD 0 1 f=line\na".to_owned()).await;
                served.gate.add_permits(count);
            })
        }),
        ("unread for long", |served, count| {
            Box::pin(async move {
                let body = "x".repeat(3000);
                served.send(count, |tag| format!("HOLD {tag} 3000 f=line\n{body}")).await;
                served.gate.add_permits(count);
                settle().await;
            })
        }),
        ("unread for long, with calls of ours in between", |served, count| {
            Box::pin(async move {
                let body = "x".repeat(3000);
                served.send(count, |tag| format!("BOTH {tag} 3000 f=line\n{body}")).await;
                settle().await;
            })
        }),
        ("plain", |served, count| {
            Box::pin(async move {
                served.send(count.min(50), |_| "HOLD\na\n".to_owned()).await;
                served.gate.add_permits(count);
            })
        }),
    ]);
}

#[test]
fn other_calls_of_a_peer_leave_nothing() {
    // Not one message for each panic.
    std::panic::set_hook(Box::new(|_| {}));
    check_served(&[
        ("cancelled", |served, count| {
            Box::pin(async move {
                served.send(count, hold).await;
                served.send(count, |tag| format!(">{tag} cancel\n")).await;
            })
        }),
        ("late", |served, count| {
            Box::pin(async move {
                served.send(count, |tag| format!("HOLD {tag} 1 f=line t=1000\na")).await;
                tokio::time::advance(Duration::from_secs(2)).await;
            })
        }),
        ("refused", |served, count| {
            Box::pin(async move {
                served.send(count, hold).await;
                served.send(count, |tag| format!("HOLD {} 1 f=line\na", count + tag)).await;
                served.gate.add_permits(2 * count);
            })
        }),
        ("panicked", |served, count| {
            Box::pin(
                async move { served.send(count, |tag| format!("PANIC {tag} 1 f=line\na")).await },
            )
        }),
    ]);
    _ = std::panic::take_hook();
}

fn check_served(ways: &[(&str, ServedWay)]) {
    let new = async || {
        let mut served = Served::new();
        served.send(1, |_| "ECHO 1 1 f=line\na".to_owned()).await;
        served.read().await;
        served
    };
    check_kept(ways, new, async |served, way, count| {
        way(served, count).await;
        settle().await;
        served.read().await;
    });
}

/// A client, and its peer, played by hand.
struct Calling {
    client: Client,
    peer: MemoryStream,
}

impl Calling {
    fn new() -> Self {
        let (here, peer) = transport::memory();
        let limits = Limits::default().with(|limits| limits.unwritten_bytes_max = 20_000);
        Self { client: Endpoint::new().with_limits(limits).connect_over(here), peer }
    }

    /// Reads whatever was sent until nothing more comes.
    async fn read(&mut self) {
        let mut bytes = [0; 4096];
        let read = async { while self.peer.read(&mut bytes).await.unwrap() > 0 {} };
        assert!(tokio::time::timeout(Duration::from_millis(1), read).await.is_err(), "it ended");
    }

    async fn answer(&mut self, tags: std::ops::Range<usize>, line: &str) {
        for tag in tags {
            self.peer.write_all(format!("<{tag} {line}").as_bytes()).await.unwrap();
        }
        settle().await;
    }
}

type CallingWay = for<'a> fn(&'a mut Calling, usize) -> Done<'a>;

#[test]
fn our_own_calls_leave_nothing() {
    let ways: [(&str, CallingWay); 6] = [
        ("answered", |calling, count| {
            Box::pin(async move {
                let calls = begin(&calling.client, count);
                calling.read().await;
                calling.answer(2..count + 2, "ok 1\na").await;
                for call in calls {
                    call.await.unwrap();
                }
            })
        }),
        ("dropped, and answered after all", |calling, count| {
            Box::pin(async move {
                drop(begin(&calling.client, count));
                calling.read().await;
                calling.answer(2..count + 2, "ok 1\na").await;
            })
        }),
        ("answered, and dropped", |calling, count| {
            Box::pin(async move {
                let calls = begin(&calling.client, count);
                calling.read().await;
                calling.answer(2..count + 2, "ok 1\na").await;
                drop(calls);
            })
        }),
        ("late, and answered after all", |calling, count| {
            Box::pin(async move {
                let calls = begin(&calling.client, count);
                calling.read().await;
                tokio::time::advance(Duration::from_secs(60)).await;
                for call in calls {
                    call.await.unwrap_err();
                }
                calling.read().await;
                calling.answer(2..count + 2, "err 1 cancelled ran=1\na").await;
            })
        }),
        ("without reply", |calling, count| {
            Box::pin(async move {
                for _ in 0..count {
                    calling.client.notify(ECHO, &"a".to_owned()).await.unwrap();
                }
                calling.read().await;
            })
        }),
        ("dropped while they wait for room", |calling, count| {
            Box::pin(async move {
                let large = "x".repeat(100_000);
                let mut first = Box::pin(calling.client.call(ECHO, &large));
                assert!(first.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
                drop(begin(&calling.client, count));
                drop(first);
                calling.read().await;
                calling.answer(2..3, "ok 1\na").await;
            })
        }),
    ];
    let new = async || {
        let mut calling = Calling::new();
        let call = tokio::spawn(calling.client.call(ECHO, &"a".to_owned()));
        calling.read().await;
        calling.answer(1..2, "ok 1\na").await;
        call.await.unwrap().unwrap();
        calling
    };
    check_kept(&ways, new, async |calling, way, count| {
        way(calling, count).await;
        settle().await;
    });
}

/// Nor do the questions of keepalive, asked once or many times.
#[test]
fn questions_leave_nothing() {
    const TIME: Duration = Duration::from_secs(30);
    /// Has it ask so often.
    async fn keep(client: &Client, count: usize) {
        for _ in 0..count {
            tokio::time::advance(TIME).await;
            settle().await;
        }
        assert!(!client.is_closed());
    }
    let new = async || {
        let (here, there) = transport::memory();
        let endpoint = Endpoint::new().with_keepalive(TIME);
        tokio::spawn(async move { Endpoint::new().serve_stream(there).await });
        let client = endpoint.connect_over(here);
        keep(&client, 1).await;
        client
    };
    check_kept(&[("kept alive", ())], new, async |client, (), count| {
        keep(client, count).await;
    });
}

/// So many calls that are under way.
fn begin(client: &Client, count: usize) -> Vec<Pin<Box<switchboard::Call<String>>>> {
    let begin = |_| {
        let mut call = Box::pin(client.call(ECHO, &"a".to_owned()));
        assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        call
    };
    (0..count).map(begin).collect()
}

/// A connection keeps little after it went any of these ways.
fn check_kept<C, W: Copy>(
    ways: &[(&str, W)],
    new: impl AsyncFn() -> C,
    go: impl AsyncFn(&mut C, W, usize),
) {
    let mut problems = String::new();
    for (what, way) in ways {
        for count in COUNTS {
            let kept =
                kept_bytes(&new, &async |connection: &mut C| go(connection, *way, count).await);
            if kept > KEPT_BYTES_MAX {
                writeln!(problems, "{what}: {count} calls leave {kept} bytes").unwrap();
            }
        }
    }
    assert!(problems.is_empty(), "\n{problems}");
}

fn kept_bytes<C>(new: &impl AsyncFn() -> C, go: &impl AsyncFn(&mut C)) -> i64 {
    let runtime: Runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    for _ in 0..4 {
        runtime.block_on(async { go(&mut new().await).await });
    }
    let mut connection = runtime.block_on(new());
    let kept = measure(|| runtime.block_on(go(&mut connection))).bytes_current;
    runtime.block_on(async { drop(connection) });
    kept
}
