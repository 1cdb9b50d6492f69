//! Keepalive of TCP, as users set it: what Linux then keeps for a socket, as it says itself.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use switchboard::format::Line;
use switchboard::transport::{self, Listener};
use switchboard::{Client, Command, Connection, Endpoint};
use tokio::net::{TcpListener, TcpStream};

/// So long that none of it passes while a test runs.
const TIME: Duration = Duration::from_secs(20_000);

const LOOPBACK: &str = "127.0.0.1:0";

/// A command that is not there.
const NOBODY: Command<String, String, Line> = Command::new("NOBODY");

#[tokio::test]
async fn what_is_dialled_is_probed_if_that_is_set() {
    let listener = TcpListener::bind(LOOPBACK).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let on = Endpoint::new().with_tcp_keepalive(TIME);

    let client = on.connect(&address).await.unwrap();
    assert!(is_probed(&listener).await);
    let client_of_clone = on.clone().connect(&address).await.unwrap();
    assert!(is_probed(&listener).await);
    #[cfg(feature = "gob")]
    let _net_rpc = {
        let client = on.connect_net_rpc(&address).await.unwrap();
        assert!(is_probed(&listener).await);
        client
    };

    let off = Endpoint::new().connect(&address).await.unwrap();
    assert!(!is_probed(&listener).await);
    let asked = Endpoint::new().with_keepalive(TIME).connect(&address).await.unwrap();
    assert!(!is_probed(&listener).await);
    let connection = Connection::connect(&address).await.unwrap();
    assert!(!is_probed(&listener).await);
    drop((client, client_of_clone, off, asked, connection));
}

#[tokio::test]
async fn what_is_accepted_is_probed_if_that_is_set() {
    let off = transport::bind(LOOPBACK).await.unwrap();
    check_accepted(off, false).await;
    let on = transport::bind(LOOPBACK).await.unwrap();
    check_accepted(on.with_tcp_keepalive(TIME), true).await;
}

async fn check_accepted(mut listener: transport::AnyListener, expected: bool) {
    let address = listener.local_address().unwrap().to_string();
    let dialled = TcpStream::connect(&address).await.unwrap();
    let accepted = listener.accept().await.unwrap();
    let here = address.parse().unwrap();
    assert_eq!(is_probed_between(here, dialled.local_addr().unwrap()), expected);
    drop(accepted);
}

#[tokio::test]
async fn what_is_listened_at_is_probed_if_that_is_set() {
    // Nobody else has this address of the loopback, so its listener is found.
    for (ip, is_set) in [([127, 61, 0, 1], false), ([127, 61, 0, 2], true)] {
        let ip = Ipv4Addr::from(ip);
        let endpoint = Endpoint::new();
        let endpoint = if is_set { endpoint.with_tcp_keepalive(TIME) } else { endpoint };
        let serving = tokio::spawn(async move { endpoint.listen(format!("{ip}:0")).await });
        let here = loop {
            tokio::task::yield_now().await;
            if let Some(socket) = sockets().find(|socket| socket.here.ip() == &ip) {
                break socket.here;
            }
        };
        let dialled = Client::connect(here.to_string()).await.unwrap();
        // It is accepted, since it answers.
        dialled.call(NOBODY, &String::new()).await.unwrap_err();
        let accepted = sockets().find(|socket| socket.here == here && socket.there.port() != 0);
        assert_eq!(accepted.unwrap().is_probed, is_set);
        serving.abort();
    }
}

#[tokio::test]
async fn a_unix_socket_has_none_of_it() {
    let directory = super::unix::Directory::new();
    let address = format!("unix:{}", directory.shown());
    let listener = transport::bind(&address).await.unwrap();
    let mut listener = listener.with_tcp_keepalive(TIME);
    let client = Endpoint::new().with_tcp_keepalive(TIME).connect(&address).await.unwrap();
    listener.accept().await.unwrap();
    drop(client);
}

#[tokio::test]
async fn a_time_that_no_system_takes_is_refused() {
    let listener = || async { transport::bind(LOOPBACK).await.unwrap() };
    for (time, why) in [
        (Duration::ZERO, "0ns) can't work: it is below 1s"),
        (Duration::from_millis(999), "999ms) can't work: it is below 1s"),
        (Duration::from_secs(32_768), "32768s) can't work: it is above 32767s"),
    ] {
        let text = format!("the time of TCP's keepalive ({why}");
        check_panics(&text, || drop(Endpoint::new().with_tcp_keepalive(time)));
        let listener = listener().await;
        check_panics(&text, || drop(listener.with_tcp_keepalive(time)));
    }
    for time in [Duration::from_secs(1), Duration::from_secs(32_767)] {
        drop(Endpoint::new().with_tcp_keepalive(time));
    }
}

#[track_caller]
fn check_panics(text: &str, set: impl FnOnce()) {
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(set)).unwrap_err();
    assert_eq!(panicked.downcast_ref::<String>().unwrap(), text);
}

/// Whether the socket that has dialled here is probed.
async fn is_probed(listener: &TcpListener) -> bool {
    let (_accepted, dialled) = listener.accept().await.unwrap();
    is_probed_between(dialled, listener.local_addr().unwrap())
}

/// Others may have the one address or the other.
fn is_probed_between(here: SocketAddr, there: SocketAddr) -> bool {
    let is_meant = |socket: &Socket| {
        SocketAddr::V4(socket.here) == here && SocketAddr::V4(socket.there) == there
    };
    loop {
        // The table goes on changing while it is read, so one may be missed.
        if let Some(socket) = sockets().find(is_meant) {
            return socket.is_probed;
        }
    }
}

/// A socket of this machine.
struct Socket {
    here: SocketAddrV4,
    there: SocketAddrV4,
    is_probed: bool,
}

/// All of them, from the table of the system (Linux's `Documentation/networking/proc_net_tcp.rst`).
fn sockets() -> impl Iterator<Item = Socket> {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let lines: Vec<_> = table.lines().skip(1).map(str::to_owned).collect();
    lines.into_iter().map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        // The timer that runs, 2 being that of keepalive, and its ticks of 10 ms.
        let (timer, ticks) = words[5].split_once(':').unwrap();
        let left = Duration::from_millis(10 * u64::from_str_radix(ticks, 16).unwrap());
        let is_probed = timer == "02" && (TIME / 2..=TIME).contains(&left);
        Socket { here: address(words[1]), there: address(words[2]), is_probed }
    })
}

/// An address as it stands in that table: a number in the order of the machine, and a port.
fn address(text: &str) -> SocketAddrV4 {
    let (ip, port) = text.split_once(':').unwrap();
    let ip = u32::from_str_radix(ip, 16).unwrap().to_ne_bytes();
    SocketAddrV4::new(ip.into(), u16::from_str_radix(port, 16).unwrap())
}
