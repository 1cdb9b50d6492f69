//! No address gets more bytes than were sent in its name.

use std::collections::HashMap;
use std::net::SocketAddr;

use switchboard_testing::random::{Random, rounds};
use switchboard_testing::waiting::settle;
use tokio::net::UdpSocket;

use crate::caller::{Caller, Server, endpoint, server, unbounded_rates};

#[tokio::test]
async fn an_answer_is_at_most_as_long_as_its_call() {
    let (server, _) = server().await;
    let caller = Caller::new(&server).await;
    let whole = |letters| Some(format!("<7 ok {}\n\"{}\"", letters + 2, "x".repeat(letters)));
    let short = || Some("<7 err 0 too_large ran=1\n".to_owned());
    let told = "the answer has 212 bytes, and 90 may be sent: pad the call";
    let told = format!("<7 err {} too_large ran=1\n{told}", told.len());
    // (letters that are asked for, bytes of the call, what is answered)
    let cases = [
        (1, 20, whole(1)),
        (50, 61, whole(50)),
        (50, 60, short()),
        (200, 22, None),
        (200, 25, short()),
        (200, 80, short()),
        (200, 90, Some(told)),
        (200, 211, None),
        (200, 212, whole(200)),
    ];
    for (letters, bytes, expected) in cases {
        let call = letters_call(letters, bytes);
        assert_eq!(call.len(), bytes);
        caller.say(&call).await;
        match expected {
            Some(expected) => assert_eq!(caller.hear_text().await, expected, "{call}"),
            None if bytes > 100 => assert!(caller.hear_text().await.contains("too_large")),
            None => caller.hears_nothing(&call).await,
        }
    }
}

/// A call for so many letters, of so many bytes.
fn letters_call(letters: usize, bytes: usize) -> String {
    let payload = letters.to_string();
    let line = format!("LETTERS 7 {} f=json", payload.len());
    match bytes - line.len() - 1 - payload.len() {
        0 => format!("{line}\n{payload}"),
        more => format!("{line} p={}\n{payload}", "x".repeat(more - 3)),
    }
}

#[tokio::test]
async fn answers_may_be_longer_where_the_program_says_so() {
    let (endpoint, _) = endpoint();
    let server = Server::new(&endpoint, |_| (), |datagrams| datagrams.answer_bytes_more(999)).await;
    let answer = Caller::new(&server).await.ask("?\n").await;
    assert!(answer.starts_with("<0 ok ") && answer.ends_with("STRING raw\n"), "{answer}");
}

/// What is sent in the name of an address, and what it gets.
#[derive(Default)]
struct Sum {
    sent: usize,
    heard: usize,
}

/// G15: a hundred thousand datagrams, of calls and of garbage, of hundreds of addresses.
#[tokio::test]
async fn no_address_gets_more_bytes_than_were_sent_in_its_name() {
    let (endpoint, _) = endpoint();
    let server = Server::new(&endpoint, |_| (), unbounded_rates).await;
    let mut sockets = Vec::new();
    for index in 0..64 {
        let ip = if cfg!(target_os = "linux") {
            format!("127.0.15.{index}")
        } else {
            "127.0.0.1".into()
        };
        sockets.push(UdpSocket::bind((ip, 0)).await.unwrap());
    }
    let (mut sums, mut random) = (HashMap::<SocketAddr, Sum>::new(), Random::new(15));
    let mut buffer = vec![0; 65_536];
    let count = rounds(100_000);
    // No more at once than the system keeps for a socket.
    for _ in 0..count / 50 {
        for _ in 0..50 {
            let socket = &sockets[random.below(sockets.len())];
            let datagram = datagram(&mut random);
            let sent = socket.send_to(&datagram, server.address).await.unwrap();
            sums.entry(socket.local_addr().unwrap()).or_default().sent += sent;
        }
        settle().await;
        for socket in &sockets {
            while let Ok(len) = socket.try_recv(&mut buffer) {
                let sum = sums.get_mut(&socket.local_addr().unwrap()).unwrap();
                sum.heard += len;
                assert!(sum.heard <= sum.sent, "{} of {} bytes", sum.heard, sum.sent);
                assert_eq!(buffer[0], b'<');
            }
        }
    }
    let heard: usize = sums.values().map(|sum| sum.heard).sum();
    let sent: usize = sums.values().map(|sum| sum.sent).sum();
    // Else nothing was tried.
    assert!(heard > sent / 20, "{heard} of {sent}");
    assert_eq!(sums.len(), sockets.len());
    // Nearly all: a few are refused before the door, and the system may lose some.
    let report = server.report().await;
    let seen = report.calls_answered + report.datagrams_dropped;
    assert!(seen > count * 97 / 100, "{report:?}");
}

fn datagram(random: &mut Random) -> Vec<u8> {
    let pad = "x".repeat(random.below(600));
    let mut datagram = match random.below(12) {
        0 => "?\n".to_owned(),
        1 => format!("?\n{}", " ".repeat(pad.len())),
        2 => "? 1 0\n".to_owned(),
        3 => format!("? 1 0 pad={pad}\n"),
        4 => "?STATS 1 0 f=json\n".to_owned(),
        5 => format!("LETTERS 1 3 f=json pad={pad}\n{}", 100 + random.below(900)),
        6 => "LETTERS json\n3000\n".to_owned(),
        7 => "BREW\n".to_owned(),
        8 => format!("CHECK_STOCK 3 7 f=json {}=\n\"item3\"", "a-b"),
        9 => format!("ECHO\n{pad}\n"),
        10 => "<1 ok 2\nhi".to_owned(),
        _ => format!("ECHO 4294967295 {} f=line\n{pad}", pad.len()),
    }
    .into_bytes();
    if random.below(8) == 0 && !datagram.is_empty() {
        let index = random.below(datagram.len());
        datagram[index] = random.draw().to_le_bytes()[2];
    }
    datagram
}
