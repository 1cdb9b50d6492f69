//! Which addresses of a host are listened at, and which are dialled.

#[cfg(target_os = "linux")]
use std::net::Ipv6Addr;

use super::*;

#[tokio::test]
async fn a_dialled_stream_does_not_wait_for_more() {
    let listener = bind("127.0.0.1", 0).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stream, peer) = dial("127.0.0.1", address.port()).await.unwrap();
    assert!(stream.as_ref().nodelay().unwrap());
    assert_eq!(peer, Peer::tcp(address));
}

/// Elsewhere 127.0.0.1 may be the only address of its network.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn only_an_address_that_is_not_there_is_passed_over() {
    let taken = bind("127.0.0.2", 0).await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let addresses = |ips: &[&str]| -> Vec<SocketAddr> {
        ips.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), port)).collect()
    };
    // What it listens at, or the error. 240.0.0.0 is kept for the future: nobody has it.
    let check = |ips: &[&str], expected: Result<&str, io::ErrorKind>| {
        let listener = listen_at_first(&addresses(ips));
        let ip = listener.map(|listener| listener.local_addr().unwrap().ip().to_string());
        assert_eq!(ip.as_deref().map_err(io::Error::kind), expected, "{ips:?}");
    };
    check(&["127.0.0.3", "127.0.0.2"], Ok("127.0.0.3"));
    check(&["240.0.0.1", "127.0.0.3"], Ok("127.0.0.3"));
    check(&["127.0.0.2", "127.0.0.3"], Err(io::ErrorKind::AddrInUse));
    check(&["240.0.0.1", "127.0.0.2", "127.0.0.3"], Err(io::ErrorKind::AddrInUse));
    check(&["240.0.0.1", "240.0.0.2"], Err(io::ErrorKind::AddrNotAvailable));
    check(&[], Err(io::ErrorKind::AddrNotAvailable));
    // As `localhost` is with many.
    match listen((Ipv6Addr::LOCALHOST, port).into()) {
        Ok(_taken) => check(&["::1", "127.0.0.3"], Err(io::ErrorKind::AddrInUse)),
        Err(error) => {
            eprintln!("no IPv6 here: {error}");
            check(&["::1", "127.0.0.3"], Ok("127.0.0.3"));
        }
    }
}

#[tokio::test]
async fn a_name_whose_address_is_taken_is_not_bound_elsewhere() {
    let first = bind("localhost", 0).await.unwrap();
    let port = first.local_addr().unwrap().port();
    let error = bind("localhost", port).await.unwrap_err();
    let text = format!("another process is listening at localhost:{port}");
    assert_eq!((error.code(), error.text()), (Code::Failed, text.as_str()));
}

#[test]
fn a_missing_family_is_told_from_other_errors() {
    for code in FAMILY_NOT_THERE {
        assert!(is_not_there(&io::Error::from_raw_os_error(code)));
    }
    for kind in [io::ErrorKind::AddrInUse, io::ErrorKind::PermissionDenied] {
        assert!(!is_not_there(&kind.into()));
    }
    // The process may have no file left.
    #[cfg(unix)]
    assert!(!is_not_there(&io::Error::from_raw_os_error(libc::EMFILE)));
}

#[tokio::test]
async fn a_socket_that_is_connected_to_itself_is_refused() {
    for host in ["127.0.0.1:0", "[::1]:0"] {
        let address: SocketAddr = host.parse().unwrap();
        let socket = new_socket(address).unwrap();
        if socket.bind(address).is_err() {
            eprintln!("SKIPPED: this machine has no {host}");
            continue;
        }
        let address = socket.local_addr().unwrap();
        let error = connect_from(socket, address).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        // It has left nothing behind that keeps others from listening there.
        new_socket(address).unwrap().bind(address).unwrap();
    }
}

/// The system goes through its range in steps of chance, so it comes by the port as a rule.
#[tokio::test]
async fn a_port_that_nobody_listens_at_is_refused_each_time() {
    // One that the system gave to a connection; others it gives to listeners first.
    let listener = bind("127.0.0.1", 0).await.unwrap();
    let (stream, _) = dial("127.0.0.1", listener.local_addr().unwrap().port()).await.unwrap();
    let port = stream.as_ref().local_addr().unwrap().port();
    SockRef::from(stream.as_ref()).set_linger(Some(Duration::ZERO)).unwrap();
    drop((stream, listener));
    for tries in 0..20_000 {
        // Another test may listen there by now.
        let Ok((stream, _)) = dial("127.0.0.1", port).await else { continue };
        let stream = stream.as_ref();
        assert_ne!(stream.local_addr().unwrap(), stream.peer_addr().unwrap(), "{tries}");
    }
}

#[tokio::test]
async fn every_address_of_a_host_is_tried() {
    // Wherever `localhost` points first, only one of its addresses is listened at.
    for host in ["127.0.0.1", "::1"] {
        let Ok(listener) = bind(host, 0).await else { continue };
        let address = listener.local_addr().unwrap();
        let known = resolve("localhost", address.port()).await.unwrap();
        if known.contains(&address) {
            let (_, peer) = dial("localhost", address.port()).await.unwrap();
            assert_eq!(peer, Peer::tcp(address));
        }
    }
}

/// On Linux who comes when the queue is full is not even refused.
#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn an_address_that_is_silent_does_not_take_the_time_of_others() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let full = socket.listen(0).unwrap();
    let silent = full.local_addr().unwrap();
    let _first = std::net::TcpStream::connect(silent).unwrap();
    let listener = bind("127.0.0.1", 0).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_stream, reached) = first_of(&[silent, silent, address], connect).await.unwrap();
    assert_eq!(reached, address);
}
