//! Promises of the documentation that nothing else in here keeps: who is counted with whom, what
//! panics where, and what outlives what.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Waker};
use std::thread;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use switchboard::format::Line;
use switchboard::service::{Request, Service};
use switchboard::transport::{self, Handshake, Listener, MemoryListener, MemoryStream};
use switchboard::{
    Code, Command, Connection, Context, Endpoint, Error, Receiver, Result, Sender, Streamed,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use super::items::clients_of;
use super::support::*;

/// Who calls.
const WHO: Command<String, String, Line> = Command::new("WHO");
/// Leaves work behind that takes a while.
const LEAVE: Command<(), ()> = Command::new("LEAVE");
/// Ends when it is told of a drain.
const WATCH: Command<(), String> = Command::new("WATCH");
/// Hands out all that its handler is given.
const SHARE: Command<Streamed<u32>, Streamed<u32>> = Command::new("SHARE");
/// What is noted.
const NUMBER: Command<u32, ()> = Command::new("NUMBER");

async fn who(_: String, context: Context) -> Result<String> {
    Ok(context.peer().to_string())
}

/// Accepts streams in memory as if they came from these addresses, one after the other.
struct Placed {
    inner: MemoryListener,
    peers: VecDeque<transport::Peer>,
}

impl Listener for Placed {
    type Io = MemoryStream;

    async fn accept(&mut self) -> io::Result<(MemoryStream, transport::Peer)> {
        let (stream, _) = self.inner.accept().await?;
        Ok((stream, self.peers.pop_front().unwrap()))
    }
}

#[tokio::test(start_paused = true)]
async fn connections_of_an_ipv4_address_or_an_ipv6_network_count_together() {
    let places = [
        ("[2001:db8:1:2::1]:5", true),
        ("[2001:db8:1:2:ffff::9]:6", false),
        ("[2001:db8:1:3::1]:5", true),
        ("1.2.3.4:5", true),
        ("[::ffff:1.2.3.4]:6", false),
        ("1.2.3.5:5", true),
    ];
    let (inner, dialer) = transport::memory_listener();
    let peers = places.map(|(place, _)| transport::Peer::tcp(place.parse().unwrap()));
    let listener = Placed { inner, peers: peers.into() };
    let endpoint = limited(|limits| limits.connections_per_peer_max = 1).on(WHO, who);
    tokio::spawn(async move { endpoint.serve(listener).await });
    let mut open = Vec::new();
    for (place, is_served) in places {
        let mut peer = Peer::new(dialer.dial().await.unwrap());
        if is_served {
            peer.send("WHO 1 0 f=line\n").await;
            peer.expect(&format!("<1 ok {}\n{place}", place.len())).await;
            open.push(peer);
        } else {
            let text = peer.expect_error(0, Code::Overloaded).await;
            assert_eq!(text, "connections_per_peer_max (1) of yours are open", "{place}");
            peer.expect_farewell().await;
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn connections_of_a_user_count_together() {
    let file = format!("switchboard-{}-user.sock", std::process::id());
    let path = std::env::temp_dir().join(file);
    let listener = transport::bind(format!("unix:{}", path.display())).await.unwrap();
    let endpoint = limited(|limits| limits.connections_per_peer_max = 1);
    tokio::spawn(async move { endpoint.serve(listener).await });
    let dial = async || Peer::new(tokio::net::UnixStream::connect(&path).await.unwrap());
    let mut first = dial().await;
    first.send("ECHO 1 1 f=line\na").await;
    first.expect("<1 ok 1\na").await;
    let mut second = dial().await;
    second.send("ECHO 1 1 f=line\na").await;
    second.expect_error(0, Code::Overloaded).await;
    second.expect_farewell().await;
    std::fs::remove_file(path).unwrap();
}

/// All who are accepted are one peer, and each has another name behind its handshake.
struct Renaming {
    inner: MemoryListener,
    count: u16,
}

impl Listener for Renaming {
    type Io = Handshake;

    async fn accept(&mut self) -> io::Result<(Handshake, transport::Peer)> {
        let (stream, _) = self.inner.accept().await?;
        self.count += 1;
        let known = transport::Peer::tcp(([10, 0, 1, 1], self.count).into());
        let handshake = Handshake::new(async move { Ok((stream, known)) });
        Ok((handshake, transport::Peer::tcp(([10, 0, 0, 1], 7).into())))
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_counts_for_the_peer_that_its_listener_told() {
    let (inner, dialer) = transport::memory_listener();
    let endpoint = limited(|limits| limits.connections_per_peer_max = 1).on(WHO, who);
    tokio::spawn(async move { endpoint.serve(Renaming { inner, count: 0 }).await });
    for name in ["10.0.1.1:1", "10.0.1.1:3"] {
        let mut peer = Peer::new(dialer.dial().await.unwrap());
        peer.send("WHO 1 0 f=line\n").await;
        peer.expect(&format!("<1 ok 10\n{name}")).await;
        Peer::new(dialer.dial().await.unwrap()).expect_end().await;
        peer.finish().await;
        peer.expect_end().await;
        settle().await;
    }
}

/// The system takes them in, though nobody accepts them.
#[tokio::test]
async fn more_wait_to_be_accepted_than_at_a_listener_of_tokio() {
    let listener = transport::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_address().unwrap().to_string();
    let mut waiting = Vec::new();
    for _ in 0..300 {
        waiting.push(within(tokio::net::TcpStream::connect(&address)).await.unwrap());
    }
}

/// A zero byte is refused by every resolver, without asking a network.
#[tokio::test]
async fn who_would_listen_at_an_unknown_host_is_told() {
    let address = transport::Address::Tcp { host: "no\0host".to_owned(), port: 0 };
    assert_eq!(transport::bind(address).await.unwrap_err().code(), Code::Disconnected);
}

#[tokio::test(start_paused = true)]
async fn whoever_serves_raw_streams_goes_on_until_it_is_dropped_and_then_drains() {
    async fn shout(caller: &mut Connection) -> Result<()> {
        while let Some(line) = caller.read_line().await? {
            caller.write_line(&line.to_uppercase()).await?;
        }
        Ok(())
    }
    let (listener, dialer) = transport::memory_listener();
    let serving = tokio::spawn(async move { endpoint().serve_raw(listener, shout).await });
    for _ in 0..3 {
        let stream = dialer.dial().await.unwrap();
        assert_eq!(exchange_over(stream, "?\n<1 ok 0\nx\n").await, "?\n<1 OK 0\nX\n");
    }
    let mut peer = Peer::new(dialer.dial().await.unwrap());
    peer.send("a\n").await;
    peer.expect_bytes("A\n").await;
    assert!(!serving.is_finished());
    serving.abort();
    settle().await;
    assert!(dialer.dial().await.is_err());
    peer.send("b\n").await;
    peer.expect_bytes("B\n").await;
    // When the time of the drain has passed.
    peer.expect_end().await;
}

/// An endpoint with `LEAVE` and `WATCH`, what was left running and is done, and what can be
/// waited for of a drain.
fn leaving() -> (Endpoint, Count, mpsc::UnboundedReceiver<Context>) {
    let (done, (contexts, given)) = (Count::default(), mpsc::unbounded_channel());
    let dones = done.clone();
    let endpoint = endpoint()
        .on(LEAVE, move |(): (), context: Context| {
            let dones = dones.clone();
            context.spawn(async move {
                sleep(3 * SECOND).await;
                dones.add();
            });
            contexts.send(context).unwrap();
            async { Ok::<_, Error>(()) }
        })
        .on(WATCH, async |(): (), context: Context| {
            context.draining().await;
            Ok::<_, Error>("told".to_owned())
        });
    (endpoint, done, given)
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_was_dialled_drains_by_itself_and_waits_for_no_spawned_work() {
    let (endpoint, done, _given) = leaving();
    let (client, mut peer) = client_and_peer_of(&endpoint);
    peer.send("LEAVE 1 4 f=json\nnull").await;
    peer.expect("<1 ok 4\nnull").await;
    peer.send("WATCH 2 4 f=json\nnull").await;
    settle().await;
    let closing = tokio::spawn(client.close());
    peer.expect("<0 err 24 shutting_down\nno more calls are taken\n").await;
    peer.expect("<2 ok 6\n\"told\"").await;
    peer.expect_farewell().await;
    peer.finish().await;
    within(closing).await.unwrap();
    assert_eq!(done.now(), 0);
    // It is done all the same.
    done.reach(1).await;
}

#[tokio::test(start_paused = true)]
async fn no_drain_concerns_a_call_that_came_through_no_door() {
    let (endpoint, done, mut given) = leaving();
    let request = Request::new("LEAVE", "null").unwrap().with_format("json").unwrap();
    Service::call(&endpoint, request).await.unwrap();
    let context = given.recv().await.unwrap();
    let door = endpoint.door();
    door.close();
    door.closed().await;
    let (listener, _dialer) = transport::memory_listener();
    let report = endpoint.serve_until(listener, async {}).await.unwrap();
    assert_eq!((report.tasks_cut_off, done.now()), (0, 0));
    assert_eq!(context.draining().now_or_never(), None);
    done.reach(1).await;
}

#[tokio::test(start_paused = true)]
async fn a_streamed_call_without_a_time_has_a_year_or_more() {
    const LEFT: Command<(), Streamed<u64>> = Command::new("LEFT");
    let endpoint = endpoint().on(LEFT, async |(): (), out: Sender<u64>, context: Context| {
        out.send(&context.time_left().as_secs()).await?;
        std::future::pending::<Result<()>>().await
    });
    for client in clients_of(&endpoint) {
        let left = client.call(LEFT, &()).next().await.unwrap().unwrap();
        assert!(left >= 365 * 24 * 60 * 60, "{left}");
    }
    // Where nobody is asked whether they are there, that much time is passed quickly.
    let mut left = endpoint.client().call(LEFT, &());
    left.next().await.unwrap().unwrap();
    let error = left.next().await.unwrap().unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded);
}

#[tokio::test(start_paused = true)]
async fn a_clone_keeps_what_it_was_made_with() {
    let earlier = endpoint();
    let changed = earlier
        .clone()
        .with_limits(switchboard::Limits::default().with(|limits| limits.payload_bytes_max = 4));
    let changed = changed.without_notices().with_keepalive(SECOND);
    let later = changed.clone();
    changed.add(CANARY, async |text: String| Ok::<_, Error>(text)).unwrap();
    let over = "a payload of 5 bytes is over payload_bytes_max (4)";
    let unknown = "there is no command NOPE; ? lists them";
    for (endpoint, reply, notice) in [
        (&earlier, "<1 ok 5\nhello".to_owned(), err(0, Code::UnknownCommand, unknown)),
        (&later, err(1, Code::TooLarge, over), String::new()),
    ] {
        check(endpoint, "ECHO 1 5 f=line\nhello", &reply).await;
        check(endpoint, "NOPE\n", &notice).await;
        // Handlers are shared.
        check(endpoint, "CANARY 1 1 f=line\na", "<1 ok 1\na").await;
    }
    let (_client, mut peer) = client_and_peer_of(&later);
    peer.expect("?PING 1 0\n").await;
    let (client, mut peer) = client_and_peer_of(&earlier);
    sleep(1000 * SECOND).await;
    client.notify(ECHO, &"a".to_owned()).await.unwrap();
    peer.expect("ECHO 0 1 f=line\na").await;
}

#[tokio::test(start_paused = true)]
async fn calls_within_one_process_begin_in_their_order() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    let endpoint = Endpoint::new();
    let client = endpoint.client();
    // Added when there is a client.
    let number = move |number: u32| {
        kept.lock().unwrap().push(number);
        sleep(MS * (100 - number)).map(Ok::<_, Error>)
    };
    endpoint.add(NUMBER, number).unwrap();
    let mut calls = Vec::new();
    for number in 0..100 {
        if number % 3 == 0 {
            client.notify(NUMBER, &number).await.unwrap();
        } else {
            let mut call = Box::pin(client.call(NUMBER, &number));
            assert!(call.as_mut().now_or_never().is_none());
            calls.push(call);
        }
    }
    for call in calls {
        within(call).await.unwrap();
    }
    assert_eq!(*seen.lock().unwrap(), Vec::from_iter(0..100));
}

#[tokio::test(start_paused = true)]
async fn a_door_for_many_has_no_bound_of_a_connection() {
    let held = Held::new();
    let endpoint = held.on(limited(|limits| limits.calls_per_connection_max = 1));
    for (door, runs) in [(endpoint.door(), 1), (endpoint.door_for_many(), 3)] {
        let before = held.begun.now();
        let calls = [(); 3].map(|()| {
            let request = Request::new("HOLD", "x").unwrap().with_format("line").unwrap();
            tokio::spawn(door.call(request))
        });
        settle().await;
        assert_eq!(held.begun.now(), before + runs);
        held.release(runs);
        let mut answered = 0;
        for call in calls {
            match within(call).await.unwrap() {
                Ok(_) => answered += 1,
                Err(error) => assert_eq!(error.code(), Code::Overloaded),
            }
        }
        assert_eq!(answered, runs);
    }
}

#[tokio::test(start_paused = true)]
async fn calls_over_a_limit_of_their_connection_are_not_reported() {
    const ITEMS: Command<(), Streamed<u32>> = Command::new("ITEMS");
    let held = Held::new();
    let endpoint = limited(|limits| {
        limits.calls_per_connection_max = 1;
        limits.streams_per_connection_max = 1;
        limits.call_time_max = SECOND;
    });
    let endpoint = held
        .on(endpoint)
        .on(ITEMS, async |(): (), _: Sender<u32>| std::future::pending::<Result<()>>().await);
    let (listener, dialer) = transport::memory_listener();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(async move { endpoint.serve_until(listener, stopped).await });
    let mut peer = Peer::new(dialer.dial().await.unwrap());
    peer.send("ITEMS 1 0 credit=1\nITEMS 2 0 credit=1\n").await;
    peer.expect_error(2, Code::Overloaded).await;
    peer.send("HOLD 3 1 f=line\naECHO 4 1 f=line\na").await;
    peer.expect_error(4, Code::Overloaded).await;
    peer.expect_ran(3, Code::DeadlineExceeded).await;
    // It runs to its deadline.
    peer.send("HOLD 0 1 f=line\na").await;
    held.ended.reach(2).await;
    peer.send(">1 cancel\n").await;
    peer.expect_ran(1, Code::Cancelled).await;
    peer.finish().await;
    peer.expect_end().await;
    drop(stop);
    let report = within(serving).await.unwrap().unwrap();
    let one_way = (report.one_way_calls, report.one_way_calls_refused);
    assert_eq!((report.calls_answered, report.calls_cut_off, one_way), (2, 0, (1, 0)));
}

/// Behind the line end of its text, if there is a text.
#[tokio::test(start_paused = true)]
async fn the_error_of_a_plain_call_has_its_details_too() {
    const DENY: Command<String, ()> = Command::new("DENY");
    let endpoint = endpoint().on(DENY, async |text: String| {
        let error = Error::new(Code::Denied, text).with_details(7_u32);
        Err::<(), _>(error.with_retry_after(SECOND))
    });
    let told = "<0 err 5 denied d=1 retry=1000 ran=1\nwhy\n7";
    check(&endpoint, "DENY json\n\"why\"\n", told).await;
    let told = "<0 err 1 denied d=1 retry=1000 ran=1\n7";
    check(&endpoint, "DENY json\n\"\"\n", told).await;
}

#[test]
fn four_codes_and_a_time_to_call_again_are_transient() {
    let transient =
        [Code::Disconnected, Code::Overloaded, Code::ShuttingDown, Code::DeadlineExceeded];
    for code in Code::ALL.iter().copied() {
        let error = Error::new(code, "x");
        assert_eq!(error.is_transient(), transient.contains(&code), "{code}");
        assert!(error.with_retry_after(Duration::ZERO).is_transient(), "{code}");
    }
}

/// What its panic says.
#[track_caller]
fn panic_of<T>(work: impl FnOnce() -> T) -> String {
    let panic = catch_unwind(AssertUnwindSafe(|| drop(work()))).expect_err("it does not panic");
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => (*panic.downcast::<&str>().unwrap()).to_owned(),
    }
}

#[test]
fn facts_that_no_command_can_have_panic() {
    let time = || NUMBER.timeout(Duration::from_micros(999));
    assert_eq!(panic_of(time), "the timeout of a command is at least 1 ms");
    let none = || NUMBER.payload_bytes_max(0);
    assert_eq!(panic_of(none), "the payload_bytes_max of a command is at least 1");
    let most = || NUMBER.payload_bytes_max(isize::MAX.unsigned_abs() + 1);
    assert_eq!(panic_of(most), "the payload_bytes_max of a command is at most isize::MAX");
    let raw = async |_: &mut Connection| Ok::<_, Error>(());
    for name in ["", "two words", "7UP", "<", "?PING"] {
        let (on, add) =
            (panic_of(|| endpoint().on_raw(name, raw)), || endpoint().add_raw(name, raw));
        assert_eq!(on, panic_of(add), "{name:?}");
    }
}

/// A test of the harness runs in no runtime.
#[test]
fn what_starts_a_task_or_a_listener_panics_in_no_runtime() {
    let (here, _there) = transport::memory();
    let mut texts = vec![
        panic_of(|| endpoint().client()),
        panic_of(|| endpoint().connect_over(here)),
        panic_of(|| poll_bind("127.0.0.1:0")),
    ];
    if cfg!(unix) {
        let file = format!("switchboard-{}-nowhere.sock", std::process::id());
        let path = std::env::temp_dir().join(file);
        texts.push(panic_of(|| poll_bind(&format!("unix:{}", path.display()))));
        assert!(!path.exists());
    }
    for text in texts {
        assert!(text.contains("Tokio 1.x"), "{text}");
    }
}

fn poll_bind(address: &str) -> bool {
    let mut binding = pin!(transport::bind(address));
    binding.as_mut().poll(&mut TaskContext::from_waker(Waker::noop())).is_ready()
}

/// What is given to the handler of a call of `SHARE`, which is under way meanwhile.
async fn shared() -> (tokio::task::JoinHandle<()>, Receiver<u32>, Sender<u32>, Context) {
    let (gives, mut given) = mpsc::unbounded_channel();
    let endpoint = endpoint().on(
        SHARE,
        move |(): (), up: Receiver<u32>, out: Sender<u32>, context: Context| {
            gives.send((up, out, context)).unwrap();
            std::future::pending::<Result<()>>()
        },
    );
    let client = client(&endpoint);
    let calling = tokio::spawn(async move {
        let mut call = client.call(SHARE, &());
        call.send(&1).await.unwrap();
        while call.next().await.is_some() {}
    });
    let (up, out, context) = given.recv().await.unwrap();
    (calling, up, out, context)
}

#[tokio::test(start_paused = true)]
async fn functions_that_block_panic_in_an_async_function_and_in_no_runtime() {
    let (_calling, mut up, out, context) = shared().await;
    for text in [panic_of(|| out.blocking_send(&1)), panic_of(|| up.blocking_next())] {
        assert!(text.contains("from within a runtime"), "{text}");
    }
    // In an async function of the same thread they go on.
    out.send(&1).await.unwrap();
    assert_eq!(up.next().await.unwrap(), Some(1));
    let texts = thread::spawn(move || {
        [
            panic_of(|| out.blocking_send(&1)),
            panic_of(|| up.blocking_next()),
            panic_of(|| context.spawn(async {})),
        ]
    });
    for text in texts.join().unwrap() {
        assert!(text.contains("no reactor running"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_receiver_ends_as_a_stream_after_the_error_of_its_call() {
    let (calling, up, _out, _) = shared().await;
    calling.abort();
    let items: Vec<_> = within(up.map(|item| item.map_err(|error| error.code())).collect()).await;
    assert_eq!(items, [Ok(1), Err(Code::Cancelled)]);
}
