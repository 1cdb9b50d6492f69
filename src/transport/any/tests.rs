//! Any kind of address: dialled, accepted, and named in errors.

use std::error::Error as _;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

#[tokio::test]
async fn what_is_dialled_and_what_is_accepted_are_connected() {
    check_connected("127.0.0.1:0").await;
    #[cfg(unix)]
    check_connected(&format!("unix:{}", free_path("connected"))).await;
}

#[tokio::test]
async fn an_error_names_what_was_dialled() {
    // Bound and not listening: surely refused, and nobody else can get the port.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let port = socket.local_addr().unwrap().port();
    check_refused(&format!("127.0.0.1:{port}"), "nobody answers at").await;
    check_refused(&format!("localhost:{port}"), "nobody answers at").await;
    #[cfg(unix)]
    check_refused(&format!("unix:{}", free_path("nobody")), "nobody answers at").await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_socket_whose_owner_died_does_not_answer() {
    let path = free_path("died");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    check_refused(&format!("unix:{path}"), "nobody answers at").await;
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn an_unknown_host_is_said_to_be_unknown() {
    // A zero byte is refused by every resolver, without asking a network.
    let address = Address::Tcp { host: "no\0host".to_owned(), port: 1 };
    let error = dial_patiently(&address, None).await.err().unwrap();
    assert_eq!(error.text(), "no address is known for the host \"no\\0host\"");
    assert!(error.source().is_some());
}

async fn check_connected(address: &str) {
    let mut listener = bind(address).await.unwrap();
    let address = listener.local_address().unwrap();
    let (dialled, accepted) = tokio::join!(dial_patiently(&address, None), listener.accept());
    let (mut dialled, _) = dialled.unwrap();
    let (mut accepted, _) = accepted.unwrap();
    dialled.write_all(b"ping").await.unwrap();
    dialled.shutdown().await.unwrap();
    accepted.write_all(b"pong").await.unwrap();
    drop(listener);

    let mut heard = Vec::new();
    accepted.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"ping", "{address}");
    drop(accepted);
    heard.clear();
    dialled.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"pong", "{address}");
}

async fn check_refused(address: &str, text: &str) {
    let error = dial_patiently(&address.parse().unwrap(), None).await.err().unwrap();
    assert_eq!(error.code(), Code::Disconnected, "{address}");
    assert_eq!(error.text(), format!("{text} {address}"));
    assert!(error.source().unwrap().is::<io::Error>(), "{address}");
    assert!(error.is_safe_to_retry(), "{address}");
}

#[cfg(unix)]
fn free_path(name: &str) -> String {
    let file = format!("switchboard-{}-{name}", std::process::id());
    std::env::temp_dir().join(file).to_str().unwrap().to_owned()
}
