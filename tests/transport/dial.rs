//! Dialling those who do not answer at once, as users do it.

use std::net::{SocketAddr, TcpStream};

use switchboard::{Client, Code, Connection, Error};
use tokio::net::{TcpListener, TcpSocket};

/// By itself the system would try for minutes.
#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn who_is_silent_is_not_waited_for_without_end() {
    let (_listener, _first, address) = silent();
    let address = address.to_string();
    check_silent(&address, &Client::connect(&address).await.unwrap_err());
    check_silent(&address, &Connection::connect(&address).await.unwrap_err());
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
