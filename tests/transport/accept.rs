//! Accepting over TCP and in memory, and what may move between threads.

use std::time::Duration;

use switchboard::transport::{self, Listener, Peer};
use switchboard::{Code, Error};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

#[tokio::test]
async fn an_accepted_stream_does_not_wait_for_more() {
    let mut listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (dialled, accepted) =
        tokio::join!(TcpStream::connect(address), Listener::accept(&mut listener));
    let (accepted, peer) = accepted.unwrap();
    assert!(accepted.as_ref().nodelay().unwrap());
    assert_eq!(peer, Peer::tcp(dialled.unwrap().local_addr().unwrap()));
    assert_eq!(peer.credentials(), None);
}

#[tokio::test]
async fn the_port_that_the_system_chose_is_told() {
    let mut listener = transport::bind("127.0.0.1:0").await.unwrap();
    let text = listener.local_address().unwrap().to_string();
    let (dialled, accepted) = tokio::join!(TcpStream::connect(&text), listener.accept());
    let dialled = dialled.unwrap();
    assert_eq!(accepted.unwrap().1, Peer::tcp(dialled.local_addr().unwrap()));
}

/// As `Endpoint::serve_until` promises. A connection that its dialler has closed waits as well.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn thousands_may_wait_to_be_accepted() {
    let allowed = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
    let count = 4096.min(allowed.trim().parse().unwrap());
    let mut listener = transport::bind("127.0.0.1:0").await.unwrap();
    let text = listener.local_address().unwrap().to_string();
    for _ in 0..count {
        // Where there is no room, it is tried again after a second.
        let dialled = timeout(Duration::from_millis(900), TcpStream::connect(&text)).await;
        drop(dialled.expect("there is room").unwrap());
    }
    for _ in 0..count {
        listener.accept().await.unwrap();
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let text = listener.local_addr().unwrap().to_string();
    let error = transport::bind(&text).await.unwrap_err();
    check_error(&error, Code::Failed, &format!("another process is listening at {text}"));
}

#[tokio::test]
async fn a_dropped_accept_loses_nobody() {
    let (listener, dialer) = transport::memory_listener();
    check_cancelled_accept(listener, async || dialer.dial().await.unwrap()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    check_cancelled_accept(listener, async || TcpStream::connect(address).await.unwrap()).await;
}

#[test]
fn everything_may_move_between_threads() {
    fn check<T: Send + 'static>(_: fn() -> T) {}
    check(|| transport::bind("unix:x"));
    check::<transport::BoxedIo>(|| unreachable!());
    check::<transport::AnyListener>(|| unreachable!());
    check::<transport::MemoryStream>(|| unreachable!());
    check(|| async { transport::memory_listener().0.accept().await.map(|_| ()) });
}

pub(crate) fn check_error(error: &Error, code: Code, text: &str) {
    assert_eq!((error.code(), error.text()), (code, text));
}

async fn check_cancelled_accept<L: Listener, S>(mut listener: L, dial: impl AsyncFn() -> S) {
    let abandoned = timeout(Duration::ZERO, listener.accept()).await;
    assert!(abandoned.is_err(), "nobody had dialled yet");
    let dialled = dial().await;
    assert!(listener.accept().await.is_ok());
    drop(dialled);
}
