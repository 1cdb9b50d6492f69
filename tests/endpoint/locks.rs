//! Nothing of a user's is run or dropped while the library holds a lock: wakers, streams, errors
//! and values that come back to the connection whose lock it would be.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use switchboard::transport::{self, MemoryStream};
use switchboard::{Call, Client, Code, Command, Endpoint, Error, Limits, Result};
use switchboard_testing::hooked::{Hooked, Hooks};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::*;

/// Asks a client that is put into it later something for which the lock of its connection is taken.
#[derive(Clone, Default)]
struct Asking {
    client: Arc<Mutex<Option<Client>>>,
    asked: Count,
}

impl Asking {
    fn ask(&self) {
        let client = self.client.lock().unwrap().clone();
        if let Some(client) = client {
            _ = client.is_closed();
            self.asked.add();
        }
    }

    fn about(client: &Client) -> Self {
        let asking = Self::default();
        asking.set(client);
        asking
    }

    fn set(&self, client: &Client) {
        *self.client.lock().unwrap() = Some(client.clone());
    }

    /// A waker that asks when it is woken, and when the last of its clones is dropped.
    fn waker(&self) -> Waker {
        Waker::from(Arc::new(AskingWaker(self.clone())))
    }

    /// Has asked something, since the last time.
    #[track_caller]
    fn check(&mut self) {
        assert!(std::mem::take(&mut self.asked).now() > 0, "its code did not run");
    }
}

struct AskingWaker(Asking);

impl Wake for AskingWaker {
    fn wake(self: Arc<Self>) {
        self.0.ask();
    }
}

impl Drop for AskingWaker {
    fn drop(&mut self) {
        self.0.ask();
    }
}

/// Runs `test` on a thread of its own: one that meets its own lock never comes back.
fn check_ends(test: impl AsyncFnOnce() + Send + 'static) {
    let (sender, receiver) = mpsc::channel();
    let tested = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(test());
        sender.send(()).unwrap();
    });
    match receiver.recv_timeout(Duration::from_secs(60)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("something waits for a lock of its own"),
        _ => tested.join().unwrap(),
    }
}

/// Polls a call once with this waker.
fn poll_once<T>(call: &mut Pin<Box<Call<T>>>, waker: &Waker) -> Poll<Result<T>> {
    call.as_mut().poll(&mut Context::from_waker(waker))
}

/// What is done to a call that waits for its reply, or for room, with such a waker.
type Way = for<'a> fn(&'a Client, Peer<MemoryStream>, Pin<Box<Call<String>>>) -> Done<'a>;
type Done<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

#[test]
fn wakers_run_and_are_dropped_without_a_lock() {
    let ways: [(&str, Way); 7] = [
        ("its reply comes", |_, mut peer, call| {
            Box::pin(async move {
                peer.send("<1 ok 1\na").await;
                settle().await;
                drop((call, peer));
            })
        }),
        ("it is dropped", |_, _peer, call| Box::pin(async move { drop(call) })),
        ("it is polled with another waker", |_, peer, mut call| {
            Box::pin(async move {
                assert!(poll_once(&mut call, Waker::noop()).is_pending());
                drop(peer);
            })
        }),
        ("its deadline passes", |_, peer, mut call| {
            Box::pin(async move {
                tokio::time::advance(Duration::from_secs(60)).await;
                settle().await;
                assert!(poll_once(&mut call, Waker::noop()).is_ready());
                drop(peer);
            })
        }),
        ("the peer goes away", |_, peer, call| {
            Box::pin(async move {
                drop(peer);
                settle().await;
                drop(call);
            })
        }),
        ("the client is closed", |client, peer, call| {
            Box::pin(async move {
                let mut closing = Box::pin(client.clone().close());
                assert!(poll_fn(|cx| Poll::Ready(closing.as_mut().poll(cx))).await.is_pending());
                tokio::time::advance(Duration::from_secs(60)).await;
                settle().await;
                drop((call, peer));
            })
        }),
        ("there is room", |_, mut peer, call| {
            Box::pin(async move {
                let mut read = Vec::new();
                let reading = peer.stream.read_to_end(&mut read);
                assert!(tokio::time::timeout(Duration::from_secs(1), reading).await.is_err());
                drop((call, peer));
            })
        }),
    ];
    for (what, way) in ways {
        for has_room in [true, false] {
            println!("{what}, has_room: {has_room}");
            check_ends(async move || check_way(way, has_room).await);
        }
    }
}

/// A call that waits for its reply, or for room, ends in this way without meeting its own lock.
async fn check_way(way: Way, has_room: bool) {
    let (here, there) = transport::memory();
    let limits = Limits::default().with(|limits| limits.unwritten_bytes_max = 100_000);
    let client = Endpoint::new().with_limits(limits).connect_over(here);
    let peer = Peer::new(there);
    settle().await;
    let mut asking = Asking::about(&client);
    let large = "x".repeat(if has_room { 1 } else { 200_000 });
    let first = tokio::spawn(client.call(ECHO, &large));
    settle().await;
    let mut call = Box::pin(client.call(ECHO, &"a".to_owned()));
    assert!(poll_once(&mut call, &asking.waker()).is_pending());
    assert_eq!(asking.asked.now(), 0);
    first.abort();
    way(&client, peer, call).await;
    settle().await;
    asking.check();
}

#[test]
fn the_waker_of_a_driver_runs_and_is_dropped_without_a_lock() {
    check_ends(async || {
        let back = Asking::default();
        let endpoint = with_back(endpoint(), &back);
        let (here, there) = transport::memory();
        let mut peer = Peer::new(here);
        let mut served = Box::pin(async move { endpoint.serve_stream(there).await });
        peer.send("HOLD 1 1 f=line\na").await;
        for _ in 0..3 {
            // Each time another waker, which is the only one of its kind.
            let waker = back.waker();
            let polled = served.as_mut().poll(&mut Context::from_waker(&waker));
            assert!(polled.is_pending());
            drop(waker);
            peer.send("HOLD 1 1 f=line\na").await;
        }
        peer.expect("<1 ok 1\na").await;
        peer.finish().await;
        served.await;
        assert!(back.asked.now() >= 3);
    });
}

/// Adds `HOLD`, which puts a client that calls back into `asking`.
fn with_back(endpoint: Endpoint, asking: &Asking) -> Endpoint {
    let asking = asking.clone();
    endpoint.on(HOLD, move |text: String, context: switchboard::Context| {
        asking.set(&context.client());
        std::future::ready(Ok::<_, Error>(text))
    })
}

/// Makes a stream ask when it is dropped, and fail at its end with an error that asks as well.
struct AskingStream(Asking);

impl Drop for AskingStream {
    fn drop(&mut self) {
        self.0.ask();
    }
}

impl Hooks for AskingStream {
    fn after_read(&mut self, count: usize) -> io::Result<()> {
        match count {
            0 => Err(io::Error::other(DropError(Some(self.0.clone())))),
            _ => Ok(()),
        }
    }
}

#[test]
fn a_stream_and_its_error_are_dropped_without_a_lock() {
    check_ends(async || {
        let (here, mut there) = transport::memory();
        let mut asking = Asking::default();
        let stream = Hooked { stream: here, hooks: AskingStream(asking.clone()) };
        let client = Endpoint::new().connect_over(stream);
        asking.set(&client);
        let mut call = Box::pin(client.call(ECHO, &"a".to_owned()));
        assert!(poll_once(&mut call, Waker::noop()).is_pending());
        settle().await;
        there.shutdown().await.unwrap();
        within(client.closed()).await;
        settle().await;
        asking.check();
        let error = call.await.unwrap_err();
        assert_eq!((error.code(), error.text()), (Code::Disconnected, LOST));
    });
}

const LOST: &str = "the connection was lost: a secret";

/// An error that asks when it is shown, and asks or panics when it is dropped.
struct DropError(Option<Asking>);

impl Drop for DropError {
    fn drop(&mut self) {
        match &self.0 {
            Some(asking) => asking.ask(),
            None => panic!("dropped"),
        }
    }
}

impl fmt::Debug for DropError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DropError")
    }
}

impl fmt::Display for DropError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().for_each(Asking::ask);
        f.write_str("a secret")
    }
}

impl std::error::Error for DropError {}

impl From<DropError> for Error {
    fn from(error: DropError) -> Self {
        Self::internal(error)
    }
}

#[test]
fn errors_are_dropped_without_a_lock_and_may_panic() {
    const SOON: Command<(), ()> = Command::new("SOON");
    const LATE: Command<(), ()> = Command::new("LATE");
    for panics in [false, true] {
        check_ends(async move || {
            let asking = Asking::default();
            let source = {
                let asking = asking.clone();
                move || DropError((!panics).then(|| asking.clone()))
            };
            let (soon, late, raw) = (source.clone(), source.clone(), source);
            let endpoint = with_back(endpoint(), &asking)
                .on(SOON, move |()| std::future::ready(Err::<(), _>(soon())))
                .on(LATE, move |()| {
                    let error = late();
                    async move {
                        tokio::task::yield_now().await;
                        Err::<(), _>(error)
                    }
                })
                .on_raw("RAW", move |_: &mut switchboard::Connection| {
                    std::future::ready(Err::<(), _>(raw()))
                });
            let failed = |tag| ran(tag, Code::Failed, "the handler failed");
            let mut peer = peer(&endpoint);
            peer.send("HOLD 1 1 f=line\na").await;
            peer.expect("<1 ok 1\na").await;
            for line in ["SOON 1 0\n", "LATE 1 0\n"] {
                peer.send(line).await;
                peer.expect(&failed(1)).await;
            }
            for name in ["SOON", "LATE"] {
                peer.send(format!("{name} json\nnull\n")).await;
                peer.expect(&failed(0)).await;
            }
            peer.send("RAW\n").await;
            peer.expect(&failed(0)).await;
            peer.expect_end().await;
            assert!(panics || asking.asked.now() >= 5, "{}", asking.asked.now());
            check_serves(&endpoint).await;
        });
    }
}
