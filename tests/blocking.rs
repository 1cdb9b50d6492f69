//! The client for threads, over real sockets: against an endpoint, and against peers that break
//! off, say garbage or do not read.
//!
//! Nothing here waits for a clock: a thread waits for bytes, or for the end of another thread.

#![cfg(all(unix, feature = "blocking", feature = "io", feature = "json"))]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a panic is how a test fails"
)]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use switchboard::blocking::{Client, Connector};
use switchboard::format::Json;
use switchboard::transport::{self, Address};
use switchboard::{Code, Context, Endpoint, Error, Limits, Result, Sender, Streamed};
use switchboard_testing::random::Random;

type Command<Req, Rep> = switchboard::Command<Req, Rep, Json>;

const DOUBLE: Command<u64, u64> = Command::new("DOUBLE");
const ECHO: Command<String, String> = Command::new("ECHO");
const FAIL: Command<(), ()> = Command::new("FAIL");
const WAIT: Command<(), ()> = Command::new("WAIT");
const LOG: Command<u64, ()> = Command::new("LOG");
const COUNT: Command<u32, Streamed<u32, u32>> = Command::new("COUNT");
const SUM: Command<Streamed<u32>, u32> = Command::new("SUM");

/// What the handlers have seen.
struct Seen(mpsc::Receiver<&'static str>);

/// A real endpoint at this address, on a thread of its own.
fn serve(address: &str) -> (Address, Seen) {
    let (told, address) = (mpsc::channel(), address.to_owned());
    let (see, seen) = mpsc::channel();
    thread::spawn(move || run(&address, &told.0, &see));
    (told.1.recv().unwrap(), Seen(seen))
}

#[tokio::main(flavor = "current_thread")]
async fn run(address: &str, told: &mpsc::Sender<Address>, see: &mpsc::Sender<&'static str>) {
    let listener = transport::bind(address).await.unwrap();
    told.send(listener.local_address().unwrap()).unwrap();
    let (waits, logs) = (see.clone(), see.clone());
    let endpoint = Endpoint::new()
        .on(DOUBLE, async |number: u64| Ok::<_, Error>(2 * number))
        .on(ECHO, async |text: String| Ok::<_, Error>(text))
        .on(FAIL, async |()| {
            Err::<(), _>(Error::new(Code::NotFound, "nothing").with_details(7_u32))
        })
        .on(WAIT, move |(): (), context: Context| {
            let see = waits.clone();
            async move {
                let cancelled = context.cancelled();
                tokio::spawn(async move {
                    cancelled.await;
                    see.send("cancelled").ok();
                });
                std::future::pending::<Result<()>>().await
            }
        })
        .on(LOG, move |_: u64| {
            logs.send("logged").ok();
            async { Ok::<_, Error>(()) }
        })
        .on(COUNT, count)
        .on(SUM, sum);
    endpoint.serve(listener).await.unwrap();
}

async fn count(end: u32, out: Sender<u32>) -> Result<u32> {
    for number in 0..end {
        out.send(&number).await?;
    }
    Ok(end)
}

async fn sum(_: (), mut numbers: switchboard::Receiver<u32>) -> Result<u32> {
    let mut sum = 0;
    while let Some(number) = numbers.next().await? {
        sum += number;
    }
    Ok(sum)
}

/// A client whose peer is played by hand.
fn pair(limits: impl FnOnce(&mut Limits)) -> (Client, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    let connector = Connector::new().with_limits(Limits::default().with(limits));
    (connector.connect_over(near).unwrap(), far)
}

#[test]
fn calls_go_over_tcp_and_over_a_unix_socket() {
    let directory = std::env::temp_dir().join(format!("switchboard-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    for address in ["127.0.0.1:0".to_owned(), format!("unix:{}/a", directory.display())] {
        let (address, seen) = serve(&address);
        let client = Client::connect(&address).unwrap();
        assert_eq!(client.call(DOUBLE, &21).wait().unwrap(), 42);
        let long = "x".repeat(900_000);
        assert_eq!(client.call(ECHO, &long).wait().unwrap(), long);
        let error = client.call(FAIL, &()).wait().unwrap_err();
        assert_eq!((error.code(), error.is_from_peer()), (Code::NotFound, true));
        assert_eq!(error.details::<u32>().unwrap().unwrap(), 7);
        client.notify(LOG, &1).send().unwrap();
        client.flush().unwrap();
        assert_eq!(seen.0.recv().unwrap(), "logged");
        let late = client.call(WAIT, &()).timeout(Duration::from_millis(5)).wait().unwrap_err();
        assert_eq!((late.code(), late.was_sent()), (Code::DeadlineExceeded, true));
        assert_eq!(seen.0.recv().unwrap(), "cancelled");
        client.close();
    }
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn many_threads_share_a_client() {
    let (address, _seen) = serve("127.0.0.1:0");
    let client = Client::connect(address).unwrap();
    thread::scope(|scope| {
        for thread in 0..32 {
            let client = client.clone();
            scope.spawn(move || {
                for number in 0..100 {
                    let number = thread * 1000 + number;
                    assert_eq!(client.call(DOUBLE, &number).wait().unwrap(), 2 * number);
                }
            });
        }
    });
}

#[test]
fn items_come_and_go() {
    let (address, _seen) = serve("127.0.0.1:0");
    let client = Client::connect(address).unwrap();
    for end in [0, 1, 10_000] {
        let mut items = client.call(COUNT, &end);
        let taken: Result<Vec<_>> = (&mut items).collect();
        assert_eq!(taken.unwrap(), (0..end).collect::<Vec<_>>());
        assert_eq!(items.finish().unwrap(), end);

        let mut sum = client.call(SUM, &());
        (0..end).for_each(|number| sum.send(&number).unwrap());
        assert_eq!(sum.finish().unwrap(), (0..end).sum::<u32>());
    }
    let mut given_up = client.call(COUNT, &1_000_000);
    assert_eq!(given_up.next().unwrap().unwrap(), 0);
    drop(given_up);
    assert_eq!(client.call(DOUBLE, &4).wait().unwrap(), 8);
}

#[test]
fn a_peer_that_goes_away_is_told_to_all_who_wait() {
    let (client, mut far) = pair(|_| {});
    let waiting: Vec<_> = (0..8)
        .map(|_| {
            let client = client.clone();
            thread::spawn(move || client.call(WAIT, &()).wait().unwrap_err())
        })
        .collect();
    let mut heard = Vec::new();
    while heard.windows(4).filter(|bytes| bytes == b"WAIT").count() < 8 {
        let mut bytes = [0; 512];
        let count = far.read(&mut bytes).unwrap();
        heard.extend_from_slice(&bytes[..count]);
    }
    drop(far);
    for waiting in waiting {
        let error = waiting.join().unwrap();
        assert_eq!((error.code(), error.is_safe_to_retry()), (Code::Disconnected, false));
    }
    client.closed();
    let error = client.call(WAIT, &()).wait().unwrap_err();
    assert!(error.is_safe_to_retry(), "{error}");
}

#[test]
fn a_peer_that_does_not_read_is_cut_off() {
    let (client, far) = pair(|limits| limits.write_time_max = Duration::from_millis(100));
    let long = "x".repeat(500_000);
    let waiting: Vec<_> = (0..8)
        .map(|_| {
            let (client, long) = (client.clone(), long.clone());
            thread::spawn(move || client.call(ECHO, &long).wait().unwrap_err())
        })
        .collect();
    for waiting in waiting {
        waiting.join().unwrap();
    }
    client.closed();
    drop(far);
}

#[test]
fn garbage_ends_the_connection_and_every_call() {
    let texts = ["\n", "<1 ok\n", "HTTP/1.1 200 OK\r\n\r\n", "<9 ok 0\n", "\0\0\0"];
    for text in texts {
        let (client, mut far) = pair(|limits| limits.linger_time_max = Duration::ZERO);
        let call = thread::spawn({
            let client = client.clone();
            move || client.call(WAIT, &()).wait().unwrap_err()
        });
        let mut heard = [0; 64];
        assert!(far.read(&mut heard).unwrap() > 0);
        // The peer ends nothing itself.
        far.write_all(text.as_bytes()).unwrap();
        let error = call.join().unwrap();
        assert_eq!((error.code(), error.is_safe_to_retry()), (Code::Protocol, false), "{text:?}");
        client.closed();
        let error = client.call(WAIT, &()).wait().unwrap_err();
        assert_eq!((error.code(), error.was_sent()), (Code::Disconnected, false), "{text:?}");
    }
}

#[test]
fn the_end_of_a_call_tells_whether_it_may_have_run() {
    // (what the peer says, and then ends; the code; whether it is safe to make the call again)
    let cases = [
        ("<1 err 0 overloaded\n", Code::Overloaded, true),
        ("<1 err 0 overloaded ran=1\n", Code::Overloaded, false),
        ("<1 err 0 failed\n", Code::Failed, false),
        ("<0 err 0 shutting_down\n<0 ok 0\n", Code::ShuttingDown, true),
        ("<0 err 0 overloaded\n", Code::Disconnected, false),
        ("", Code::Disconnected, false),
        ("<1 ok 5\nnu", Code::Disconnected, false),
    ];
    for (said, code, is_safe) in cases {
        let (client, mut far) = pair(|limits| limits.linger_time_max = Duration::ZERO);
        let call = thread::spawn(move || client.call(WAIT, &()).wait());
        let mut heard = [0; 64];
        assert!(far.read(&mut heard).unwrap() > 0);
        far.write_all(said.as_bytes()).unwrap();
        drop(far);
        let error = call.join().unwrap().unwrap_err();
        let found = (error.code(), error.is_safe_to_retry(), error.was_sent());
        assert_eq!(found, (code, is_safe, true), "{said:?}: {error}");
    }
}

#[test]
fn a_peer_is_answered() {
    // (what the peer says, what it gets)
    let cases = [
        ("?PING 5 0\n", "<5 ok 0\n"),
        ("ECHO 6 2 f=json\n\"\"", "<6 err "),
        ("ECHO 0 2 f=json\n\"\"?PING 7 0\n", "<7 ok 0\n"),
    ];
    for (said, expected) in cases {
        let (client, mut far) = pair(|_| {});
        far.write_all(said.as_bytes()).unwrap();
        let mut heard = vec![0; expected.len()];
        far.read_exact(&mut heard).unwrap();
        assert_eq!(String::from_utf8_lossy(&heard), expected, "{said:?}");
        drop(client);
    }
}

#[test]
fn a_quiet_peer_is_asked_and_given_up() {
    let (near, mut far) = UnixStream::pair().unwrap();
    let keepalive = Duration::from_millis(50);
    let client = Connector::new().with_keepalive(keepalive).connect_over(near).unwrap();
    let mut heard = [0; 9];
    far.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"?PING 1 0");
    client.closed();
    let error = client.call(WAIT, &()).wait().unwrap_err();
    assert!(!error.was_sent(), "{error}");
}

#[test]
fn a_reply_may_come_in_any_pieces() {
    let mut random = Random::new(1);
    for _ in 0..50 {
        let (client, mut far) = pair(|_| {});
        let call = thread::spawn(move || client.call(DOUBLE, &4).wait());
        let mut heard = [0; 64];
        assert!(far.read(&mut heard).unwrap() > 0);
        let mut reply: &[u8] = b"PING 5 0 f=json\n<1 ok 1\n8";
        while !reply.is_empty() {
            let (piece, rest) = reply.split_at(1 + random.below(reply.len()));
            far.write_all(piece).unwrap();
            reply = rest;
        }
        assert_eq!(call.join().unwrap().unwrap(), 8);
    }
}

#[test]
fn limits_hold() {
    let (client, _far) = pair(|limits| limits.payload_bytes_max = 10);
    let error = client.call(ECHO, &"x".repeat(100)).wait().unwrap_err();
    assert_eq!((error.code(), error.was_sent()), (Code::TooLarge, false));
    let (client, _far) = pair(|limits| limits.call_time_max = Duration::from_millis(5));
    let error = client.call(ECHO, &String::new()).wait().unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded);
}

#[test]
fn the_last_drop_closes_the_connection() {
    let (client, mut far) = pair(|_| {});
    drop(client.clone());
    drop(client);
    let mut heard = String::new();
    far.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "<0 err 24 shutting_down\nno more calls are taken\n<0 ok 0\n");
}
