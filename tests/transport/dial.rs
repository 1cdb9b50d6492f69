//! Dialling those who do not answer at once, as users do it. On Linux: other systems refuse where
//! it lets one wait.

use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;
use std::time::Duration;

use switchboard::{Client, Code, Connection, Endpoint, Error, Limits};
use tokio::net::{TcpListener, TcpSocket, UnixListener, UnixSocket};
use tokio::time::{sleep, timeout};

use super::unix::Directory;

/// By itself the system would try for minutes.
#[tokio::test(start_paused = true)]
async fn who_is_silent_is_not_waited_for_without_end() {
    let (_listener, _first, address) = silent();
    let address = address.to_string();
    check_silent(&address, &Client::connect(&address).await.unwrap_err());
    check_silent(&address, &Connection::connect(&address).await.unwrap_err());
}

/// On Linux a connection that finds the queue full is refused in a way of its own: try again.
#[tokio::test(start_paused = true)]
async fn a_full_queue_is_waited_for() {
    let directory = Directory::new();
    let address = format!("unix:{}", directory.shown());
    let (listener, waiting) = full(&directory.file());
    for time in [Duration::from_millis(100), Duration::from_secs(3)] {
        let limits = Limits::default().with(|limits| limits.call_time_max = time);
        let error = Endpoint::new().with_limits(limits).connect(&address).await.unwrap_err();
        let text = format!("{address} did not answer within call_time_max ({time:?})");
        assert_eq!((error.code(), error.text()), (Code::Disconnected, text.as_str()));
    }

    let dialling = tokio::spawn({
        let address = address.clone();
        async move { (Client::connect(&address).await, Connection::connect(&address).await) }
    });
    // They have tried, and wait.
    sleep(Duration::from_secs(1)).await;
    assert!(!dialling.is_finished());
    for _ in 0..=waiting.len() {
        listener.accept().await.unwrap();
    }
    let (client, connection) = dialling.await.unwrap();
    assert!(client.is_ok() && connection.is_ok());
}

/// Nobody is there any more who could accept: that is told at once.
#[tokio::test(start_paused = true)]
async fn a_queue_that_goes_is_not_waited_for() {
    let directory = Directory::new();
    let address = format!("unix:{}", directory.shown());
    let (listener, _waiting) = full(&directory.file());
    let dialling = tokio::spawn({
        let address = address.clone();
        async move { Connection::connect(&address).await }
    });
    sleep(Duration::from_secs(1)).await;
    drop(listener);
    let error = dialling.await.unwrap().unwrap_err();
    assert_eq!(error.text(), format!("nobody answers at {address}"));
}

/// Whoever has given up does not come when there is room again.
#[tokio::test(start_paused = true)]
async fn a_dial_that_is_given_up_ends() {
    let directory = Directory::new();
    let address = format!("unix:{}", directory.shown());
    let (listener, waiting) = full(&directory.file());
    let dials = [0, 1].map(|index| {
        let address = address.clone();
        tokio::spawn(async move {
            match index {
                0 => drop(Client::connect(&address).await),
                _ => drop(Endpoint::new().connect(&address).await),
            }
        })
    });
    sleep(Duration::from_secs(1)).await;
    for dial in dials {
        assert!(!dial.is_finished());
        dial.abort();
    }
    for _ in waiting {
        listener.accept().await.unwrap();
    }
    timeout(Duration::from_secs(10), listener.accept()).await.unwrap_err();
}

/// A listener whose queue is full, and those who wait in it.
fn full(path: &Path) -> (UnixListener, Vec<StdUnixStream>) {
    let socket = UnixSocket::new_stream().unwrap();
    socket.bind(path).unwrap();
    let listener = socket.listen(1).unwrap();
    let mut waiting = Vec::new();
    for _ in 0..2 {
        waiting.push(StdUnixStream::connect(path).unwrap());
    }
    (listener, waiting)
}

fn check_silent(address: &str, error: &Error) {
    let text = format!("{address} did not answer within call_time_max (30s)");
    assert_eq!((error.code(), error.text()), (Code::Disconnected, text.as_str()));
    assert!(error.is_safe_to_retry());
}

/// An address that does not answer: on Linux who comes when the queue is full is not even refused.
fn silent() -> (TcpListener, TcpStream, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, TcpStream::connect(address).unwrap(), address)
}
