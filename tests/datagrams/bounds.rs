//! More than there may be: bytes, datagrams, calls, senders.

use switchboard::Datagrams;
use switchboard_testing::SECOND;
use switchboard_testing::waiting::settle;
use tokio::net::UdpSocket;
use tokio::time::advance;

use crate::caller::{Caller, Server, endpoint, unbounded_rates};

const ECHO: &str = "ECHO 1 2 f=line\nhi";

/// Sends so many, and counts the answers.
async fn answers(caller: &Caller, datagram: &str, count: usize) -> usize {
    for _ in 0..count {
        caller.say(datagram).await;
    }
    let mut heard = 0;
    for _ in 0..10 {
        settle().await;
        while caller.socket.try_recv(&mut [0; 99]).is_ok() {
            heard += 1;
        }
    }
    heard
}

#[tokio::test]
async fn a_datagram_has_its_size() {
    let (endpoint, _) = endpoint();
    // (what is set, bytes that pass)
    for (set, bytes_max) in [(None, 1200), (Some(60), 60), (Some(Datagrams::BYTES_MOST), 60_000)] {
        let server = Server::new(
            &endpoint,
            |_| (),
            |datagrams| match set {
                Some(bytes) => datagrams.datagram_bytes_max(bytes),
                None => datagrams,
            },
        )
        .await;
        let caller = Caller::new(&server).await;
        // Its line has as many digits as that of the longest.
        let call = |bytes: usize| {
            let digits = bytes_max.to_string().len();
            let text = "x".repeat(bytes - "ECHO 1  f=line\n".len() - digits);
            format!("ECHO 1 {} f=line\n{text}", text.len())
        };
        let fits = call(bytes_max);
        assert_eq!(fits.len(), bytes_max);
        assert!(caller.ask(&fits).await.ends_with(&"x".repeat(bytes_max - 20)));
        if bytes_max < 60_000 {
            caller.say(call(bytes_max + 1)).await;
            caller.hears_nothing(bytes_max).await;
            assert_eq!(server.report().await.datagrams_dropped, 1);
        }
    }
}

#[tokio::test]
#[should_panic(expected = "datagram_bytes_max (65508) can't work")]
async fn a_datagram_cannot_be_larger_than_there_are() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let _ = Datagrams::new(socket).datagram_bytes_max(65_508);
}

#[tokio::test]
async fn a_line_has_line_bytes_max() {
    let (endpoint, _) = endpoint();
    let server =
        Server::new(&endpoint, |_| (), |datagrams| datagrams.datagram_bytes_max(20_000)).await;
    let caller = Caller::new(&server).await;
    let call = |line_bytes: usize| {
        let pad = "x".repeat(line_bytes - "ECHO 1 2 f=line pad=\n".len());
        format!("ECHO 1 2 f=line pad={pad}\nhi")
    };
    assert_eq!(caller.ask(call(8192)).await, "<1 ok 2\nhi");
    caller.say(call(8193)).await;
    caller.hears_nothing("a long line").await;
}

#[tokio::test(start_paused = true)]
async fn an_address_has_its_rate_and_others_theirs() {
    let (endpoint, _) = endpoint();
    let bound = |datagrams: Datagrams| datagrams.address_datagrams_per_second(10, 20);
    let server = Server::new(&endpoint, |_| (), bound).await;
    let (one, same) = (Caller::new(&server).await, Caller::new(&server).await);
    assert_eq!(answers(&one, ECHO, 30).await, 20);
    // Ports are anybody's for the asking.
    assert_eq!(answers(&same, ECHO, 30).await, 0);
    if cfg!(target_os = "linux") {
        let other = Caller::at("127.0.15.1", &server).await;
        assert_eq!(answers(&other, ECHO, 30).await, 20);
    }
    advance(SECOND).await;
    assert_eq!(answers(&same, ECHO, 30).await, 10);
    assert_eq!(answers(&one, "garbage", 30).await, 0);
}

#[tokio::test(start_paused = true)]
async fn all_addresses_together_have_their_rate() {
    let (endpoint, _) = endpoint();
    let bound = |datagrams| unbounded_rates(datagrams).datagrams_per_second(10, 20);
    let server = Server::new(&endpoint, |_| (), bound).await;
    let caller = Caller::new(&server).await;
    assert_eq!(answers(&caller, ECHO, 30).await, 20);
    advance(SECOND).await;
    assert_eq!(answers(&caller, ECHO, 30).await, 10);
    assert_eq!(server.report().await.datagrams_dropped, 30);
}

#[tokio::test(start_paused = true)]
async fn addresses_that_find_no_place_in_the_table_share_one() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let (endpoint, _) = endpoint();
    let bound =
        |datagrams: Datagrams| datagrams.address_datagrams_per_second(1, 2).addresses_max(1);
    let server = Server::new(&endpoint, |_| (), bound).await;
    // (address, how many of three are answered)
    for (ip, expected) in [("127.0.15.1", 2), ("127.0.15.2", 2), ("127.0.15.3", 0)] {
        let caller = Caller::at(ip, &server).await;
        assert_eq!(answers(&caller, ECHO, 3).await, expected, "{ip}");
    }
}

#[tokio::test]
async fn calls_under_way_are_bounded_by_address_and_in_all() {
    let (endpoint, seen) = endpoint();
    let hold = "HOLD 1 4 f=json pad=............................................\nnull";
    let bound = |datagrams: Datagrams| datagrams.address_calls_in_flight(3);
    let server = Server::new(&endpoint, |_| (), bound).await;
    let caller = Caller::new(&server).await;
    // Also those of which nobody waits for an answer.
    caller.say(hold.replace(" 1 ", " 0 ")).await;
    seen.begun.reach(1).await;
    settle().await;
    assert_eq!(answers(&caller, hold, 9).await, 0);
    assert_eq!(seen.begun.now(), 3);
    drop(server);

    let server =
        Server::new(&endpoint, |limits| limits.calls_per_connection_max = 5, |all| all).await;
    let caller = Caller::new(&server).await;
    for _ in 0..5 {
        caller.say(hold).await;
    }
    seen.begun.reach(8).await;
    let told = "<1 err 40 overloaded\ncalls_per_connection_max (5) are running";
    assert_eq!(caller.ask(hold).await, told);
    drop(server);

    let server = Server::new(&endpoint, |limits| limits.calls_max = 2, |all| all).await;
    let caller = Caller::new(&server).await;
    caller.say(hold).await;
    caller.say(hold).await;
    seen.begun.reach(10).await;
    assert!(caller.ask(hold).await.contains("overloaded"));
}

#[tokio::test]
async fn memory_is_held_while_a_call_runs() {
    let (endpoint, seen) = endpoint();
    let limit = |limits: &mut switchboard::Limits| limits.held_bytes_max = 8000;
    let server = Server::new(&endpoint, limit, unbounded_rates).await;
    let caller = Caller::new(&server).await;
    // What is refused is said where it fits.
    let refused = answers(&caller, "HOLD 1 4 f=json\nnull", 9).await;
    assert!((1..3).contains(&seen.begun.now()), "{}", seen.begun.now());
    assert!(refused + seen.begun.now() <= 9, "{refused}");
}

#[tokio::test]
async fn what_nobody_reads_does_not_end_the_server() {
    let (endpoint, _) = endpoint();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let first = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let caller_address = first.local_addr().unwrap();
    // A socket that is connected is told when nobody reads what it sends.
    socket.connect(caller_address).await.unwrap();
    tokio::spawn(async move { endpoint.serve_datagrams(socket).await });
    first.connect(address).await.unwrap();
    for _ in 0..5 {
        first.send(ECHO.as_bytes()).await.unwrap();
    }
    drop(first);
    settle().await;
    let socket = UdpSocket::bind(caller_address).await.unwrap();
    socket.connect(address).await.unwrap();
    let caller = Caller { socket };
    loop {
        // Answers to the first may still come.
        let answer = caller.ask("ECHO 2 2 f=line\nho").await;
        if answer == "<2 ok 2\nho" {
            break;
        }
    }
}
