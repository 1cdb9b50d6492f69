//! A call ends in time wherever it is polled, also while nobody drives its connection.

use std::pin::pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use switchboard::format::Line;
use switchboard::transport::{self, MemoryStream};
use switchboard::{Client, Code, Command, Endpoint, Error, Limits, Result};
use tokio::runtime::{Builder, Runtime};

use super::support::*;

/// Time that passes when nothing else can be done.
fn paused() -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

/// A client in a runtime of its own that is not driven, and the peer, who never answers.
fn left_alone() -> (Runtime, Client, MemoryStream) {
    let runtime = paused();
    let (here, peer) = transport::memory();
    let limits = Limits::default().with(|limits| limits.unwritten_bytes_max = 1000);
    let client = runtime.block_on(async { Endpoint::new().with_limits(limits).connect_over(here) });
    (runtime, client, peer)
}

#[track_caller]
fn check_late<T: std::fmt::Debug>(reply: Result<T>, text: &str) {
    let error = reply.unwrap_err();
    assert_eq!((error.code(), error.text()), (Code::DeadlineExceeded, text));
}

#[test]
fn a_call_ends_though_nobody_drives_its_connection() {
    let (_runtime, client, _peer) = left_alone();
    let ours = paused();
    let call = || client.call(ECHO, &"a".to_owned());
    check_late(ours.block_on(within(call().timeout(500 * MS))), "no reply came in time");
    let text = "no reply came within call_time_max (30s)";
    check_late(ours.block_on(within(call())), text);
    // The first call is over, and a nearer deadline than that of the second comes in.
    ours.block_on(async {
        let long = tokio::spawn(call().timeout(1000 * MS));
        settle().await;
        let begun = tokio::time::Instant::now();
        check_late(within(call().timeout(10 * MS)).await, "no reply came in time");
        assert!(begun.elapsed() < 100 * MS);
        check_late(within(long).await.unwrap(), "no reply came in time");
        assert!(begun.elapsed() >= 1000 * MS);
    });
}

#[test]
fn a_call_that_waits_for_room_ends_though_nobody_drives_its_connection() {
    let (_runtime, client, _peer) = left_alone();
    paused().block_on(async {
        let large = "x".repeat(100_000);
        client.notify(ECHO, &large).await.unwrap();
        let text = "the deadline passed before there was room to send";
        let call = client.call(ECHO, &"a".to_owned());
        check_late(within(call.timeout(500 * MS)).await, text);
        check_late(within(client.call(ECHO, &"a".to_owned())).await, text);
        check_late(within(client.notify(ECHO, &"a".to_owned())).await, text);
    });
}

#[test]
fn a_call_ends_while_the_only_thread_of_its_connection_is_busy() {
    let (free, busy) = mpsc::channel::<()>();
    let (sender, receiver) = mpsc::channel();
    let (here, _peer) = transport::memory();
    let elsewhere = thread::spawn(move || {
        paused().block_on(async move {
            sender.send(Endpoint::new().connect_over(here)).unwrap();
            // Nothing else runs there until it is told to.
            _ = busy.recv();
        });
    });
    let client = receiver.recv().unwrap();
    paused().block_on(async {
        let call = client.call(ECHO, &"a".to_owned());
        check_late(within(call.timeout(200 * MS)).await, "no reply came in time");
    });
    drop(free);
    elsewhere.join().unwrap();
}

#[test]
fn a_call_ends_while_a_handler_holds_its_connection_up() {
    const BLOCK: Command<String, String, Line> = Command::new("BLOCK");
    let (free, busy) = mpsc::channel::<()>();
    let busy = Arc::new(std::sync::Mutex::new(busy));
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let held = Held::new();
        let blocking = held.clone();
        let callee = Endpoint::new().on(BLOCK, move |text: String| {
            blocking.begun.add();
            // In the task of the connection, as it should not.
            _ = busy.lock().unwrap().recv();
            async move { Ok::<_, Error>(text) }
        });
        let (here, there) = transport::memory();
        let client = callee.connect_over(here);
        let back = Endpoint::new().connect_over(there);
        let blocked = tokio::spawn(back.call(BLOCK, &"a".to_owned()));
        held.begun.reach(1).await;
        let call = client.call(ECHO, &"b".to_owned()).timeout(20 * MS);
        check_late(tokio::spawn(call).await.unwrap(), "no reply came in time");
        drop(free);
        blocked.await.unwrap().unwrap();
    });
}

#[test]
fn a_call_outside_of_any_runtime_ends_if_its_connection_is_driven() {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (here, _peer) = transport::memory();
    let client = {
        let _entered = runtime.enter();
        Endpoint::new().connect_over(here)
    };
    let call = client.call(ECHO, &"a".to_owned()).timeout(20 * MS);
    check_late(block_on(call), "no reply came in time");
}

struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls a future on a thread that is in no runtime.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(result) => return result,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn one_task_watches_over_all_calls_and_ends_with_them() {
    let (runtime, client, peer) = left_alone();
    let mut peer = Peer::new(peer);
    let ours = paused();
    ours.block_on(async {
        let mut calls: Vec<_> =
            (0..64).map(|_| Box::pin(client.call(ECHO, &String::new()))).collect();
        for call in &mut calls {
            let poll = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(poll.is_pending());
        }
        let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
        settle().await;
        assert_eq!(tasks(), 1);
        drop(calls);
        tokio::time::advance(Duration::from_secs(31)).await;
        settle().await;
        assert_eq!(tasks(), 0, "no call is under way");
        let call = Box::pin(client.call(ECHO, &"b".to_owned()));
        let mut call = call;
        let poll = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(poll.is_pending());
        settle().await;
        assert_eq!(tasks(), 1);
    });
    // In the connection's own runtime, which has one thread, nobody needs to watch.
    runtime.block_on(async {
        let call = tokio::spawn(client.call(ECHO, &"c".to_owned()).timeout(10 * MS));
        check_late(call.await.unwrap(), "no reply came in time");
        assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 1);
        peer.next().await.unwrap();
        peer.finish().await;
        client.closed().await;
    });
    ours.block_on(async {
        settle().await;
        let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        assert_eq!(tasks, 0, "the connection has ended");
    });
}

#[test]
fn a_runtime_that_goes_takes_its_watcher_along() {
    let (_runtime, client, _peer) = left_alone();
    let mut calls = Vec::new();
    for _ in 0..3 {
        let gone = paused();
        gone.block_on(async {
            let mut call = Box::pin(client.call(ECHO, &String::new()));
            let poll = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(poll.is_pending());
            calls.push(call);
            settle().await;
        });
    }
    // Another runtime has one of its own, and ends those of all.
    let text = "no reply came in time";
    paused().block_on(async {
        check_late(within(client.call(ECHO, &String::new()).timeout(60_000 * MS)).await, text);
    });
    paused().block_on(async {
        for call in calls {
            within(call).await.unwrap_err();
        }
    });
}

#[test]
fn a_call_that_goes_on_in_another_runtime_ends_there_in_time() {
    let (_runtime, client, _peer) = left_alone();
    let mut call = Box::pin(client.call(ECHO, &String::new()).timeout(300 * MS));
    let first = paused();
    first.block_on(async {
        let poll = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(poll.is_pending());
    });
    drop(first);
    check_late(paused().block_on(within(call)), "no reply came in time");
}
