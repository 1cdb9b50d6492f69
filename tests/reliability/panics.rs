//! G12: whatever panics, one call ends with it and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use switchboard::{Client, Code, Command, Endpoint, Error, blocking, with_state};
use switchboard_testing::random::rounds;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::{block_on, figure};

pub(crate) fn run() {
    // Panics that are meant are counted, and said nothing of.
    let panics = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&panics);
    let usual = Arc::new(std::panic::take_hook());
    let other = Arc::clone(&usual);
    std::panic::set_hook(Box::new(move |info| match info.payload().downcast_ref() {
        Some(&BOOM) => drop(count.fetch_add(1, Ordering::Relaxed)),
        _ => other(info),
    }));
    let result = std::panic::catch_unwind(|| block_on(panic_all()));
    std::panic::set_hook(Box::new(move |info| usual(info)));
    let (calls, begun) = match result {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    };
    let panics = panics.load(Ordering::Relaxed);
    let text = format!(
        "{panics} panics in {calls} calls on {CONNECTIONS} connections, in handlers before and \
         after their first await, blocking ones, in decoding, encoding and dropping: each answered \
         `panicked`, 0 connections lost (goal 0), the registry and all state in use; {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    figure("G12", &text);
    assert!(panics >= calls / 2, "not every panic happened");
}

async fn panic_all() -> (u64, Instant) {
    let begun = Instant::now();
    let registered = Arc::new(AtomicU64::new(0));
    let endpoint = endpoint(&registered);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let served = endpoint.clone();
    tokio::spawn(async move { served.serve(listener).await });

    let mut callers = JoinSet::new();
    let rounds = rounds(5_000) / CONNECTIONS / CALLERS;
    for _ in 0..CONNECTIONS {
        let client = Client::connect(&address).await.unwrap();
        for caller in 0..CALLERS {
            let client = client.clone();
            callers.spawn(async move {
                for round in 0..rounds {
                    panic_once(&client, caller + round).await;
                }
                // The connection is the one that was opened.
                assert_eq!(client.call(DOUBLE, &21).await.unwrap(), 42);
            });
        }
    }
    let all = tokio::time::timeout(Duration::from_secs(300), callers.join_all());
    all.await.expect("every call ends");
    let calls = CONNECTIONS * CALLERS * rounds * (PANICS + GOOD);
    assert!(registered.load(Ordering::Relaxed) > 0, "handlers register handlers");
    (calls, begun)
}

const BOOM: &str = "boom";

/// A value that panics when it is decoded, encoded or dropped, as it says itself.
#[derive(Clone, Copy)]
struct Bomb(u8);

const SAFE: Bomb = Bomb(0);
const ON_DECODE: Bomb = Bomb(1);
const ON_ENCODE: Bomb = Bomb(2);

/// Panics when it is dropped, if nothing panics yet.
struct OnDrop;

impl Drop for OnDrop {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            boom();
        }
    }
}

impl Serialize for Bomb {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 == 200 + ON_ENCODE.0 {
            boom();
        }
        serializer.serialize_u8(self.0)
    }
}

impl<'de> Deserialize<'de> for Bomb {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bomb = Self(u8::deserialize(deserializer)?);
        if bomb.0 == ON_DECODE.0 {
            boom();
        }
        Ok(bomb)
    }
}

fn boom() {
    std::panic::panic_any(BOOM);
}

const DOUBLE: Command<u32, u32> = Command::new("DOUBLE");
const BOMB: Command<Bomb, Bomb> = Command::new("BOMB");
const AT_ONCE: Command<(), ()> = Command::new("AT_ONCE");
const LATER: Command<(), ()> = Command::new("LATER");
const BLOCKING: Command<(), ()> = Command::new("BLOCKING");
const BEFORE_FUTURE: Command<(), ()> = Command::new("BEFORE_FUTURE");
const DROP_READY: Command<(), ()> = Command::new("DROP_READY");
const DROP_LATER: Command<(), ()> = Command::new("DROP_LATER");
const REGISTER: Command<(), u32> = Command::new("REGISTER");

fn endpoint(registered: &Arc<AtomicU64>) -> Endpoint {
    let endpoint = Endpoint::new()
        .on(DOUBLE, async |number: u32| Ok::<_, Error>(number * 2))
        .on(BOMB, async |bomb: Bomb| Ok::<_, Error>(Bomb(200 + bomb.0)))
        .on(AT_ONCE, async |()| {
            boom();
            Ok::<_, Error>(())
        })
        .on(LATER, async |()| {
            tokio::task::yield_now().await;
            boom();
            Ok::<_, Error>(())
        })
        .on(
            BLOCKING,
            blocking(|()| {
                boom();
                Ok::<_, Error>(())
            }),
        )
        .on(BEFORE_FUTURE, |()| {
            boom();
            std::future::ready(Ok::<_, Error>(()))
        })
        .on(DROP_READY, async |()| {
            let _bomb = OnDrop;
            Ok::<_, Error>(())
        })
        .on(DROP_LATER, async |()| {
            let _bomb = OnDrop;
            tokio::task::yield_now().await;
            Ok::<_, Error>(())
        });
    let inner = endpoint.clone();
    let state = Arc::clone(registered);
    endpoint.on(
        REGISTER,
        with_state(&state, move |count: Arc<AtomicU64>, ()| {
            let inner = inner.clone();
            async move {
                // A handler of another name each time, gone again before the answer.
                let number = count.fetch_add(1, Ordering::Relaxed);
                let name = format!("HANDLER{number}");
                inner.add(Command::<u32, u32>::new(&name), async |number: u32| {
                    Ok::<_, Error>(number)
                })?;
                assert!(inner.remove(&name));
                Ok::<_, Error>(1)
            }
        }),
    )
}

/// One call of each kind, and good ones between them.
async fn panic_once(client: &Client, number: u64) {
    for command in [AT_ONCE, LATER, BEFORE_FUTURE, DROP_READY, DROP_LATER] {
        panicked(command.name().as_str(), client.call(command, &()).await);
        let number = number as u32;
        assert_eq!(client.call(DOUBLE, &number).await.unwrap(), number * 2);
    }
    panicked("on decode", client.call(BOMB, &ON_DECODE).await.map(drop));
    assert_eq!(client.call(BOMB, &SAFE).await.unwrap().0, 200);
    panicked("on encode", client.call(BOMB, &ON_ENCODE).await.map(drop));
    assert_eq!(client.call(REGISTER, &()).await.unwrap(), 1);
    panicked("blocking", client.call(BLOCKING, &()).await);
}

fn panicked(what: &str, reply: Result<(), Error>) {
    let error = reply.expect_err(what);
    assert!(error.code() == Code::Panicked && error.is_from_peer(), "{what}: {error:?}");
}

const CONNECTIONS: u64 = 8;
const CALLERS: u64 = 8;

/// In one round of [`panic_once`].
const PANICS: u64 = 8;
const GOOD: u64 = 7;
