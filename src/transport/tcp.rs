//! TCP: listening, accepting and dialling.
//!
//! Nagle's algorithm is off at both ends. What belongs together leaves in one write already, and
//! what doesn't must not wait for the acknowledgement of what went before.
//!
//! # A port that answers itself
//!
//! A connection gets a port on our side too, out of the range from which the system picks. If the
//! dialled port is on this machine and in that range, and nobody listens there, the two are the
//! same at some time, and TCP lets a socket connect to itself: two SYN that cross. The caller would
//! talk to its own echo, and nobody else could listen there. So it is taken for what it is: nobody
//! answers.
//!
//! There is no time limit in here: whoever dials knows how long they can wait and drops the future.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};

use crate::error::{Code, Error, Result};
use crate::transport::address::Address;
use crate::transport::attempts::first_of;
use crate::transport::listener::Listener;
use crate::transport::peer::Peer;
use crate::transport::socket::Socket;

/// Each stream has `TCP_NODELAY` set.
///
/// # Cancel safety
///
/// Cancel safe, as `TcpListener::accept` of tokio is.
impl Listener for TcpListener {
    type Io = Socket<TcpStream>;

    async fn accept(&mut self) -> io::Result<(Socket<TcpStream>, Peer)> {
        // By path: `self.accept()` would call this function, the inherent one takes `&self`.
        let (stream, address) = Self::accept(self).await?;
        hurry(&stream);
        Ok((stream.into(), Peer::tcp(address)))
    }
}

/// Listens at the first address of the host that this machine has.
pub(super) async fn bind(host: &str, port: u16) -> Result<TcpListener> {
    let addresses = resolve(host, port).await?;
    listen_at_first(&addresses).map_err(|error| address_of(host, port).bind_error(error))
}

/// Goes on to the next address only where one is not there. If it is taken, whoever has it would
/// get those of our callers who try it first, and nobody would be told.
fn listen_at_first(addresses: &[SocketAddr]) -> io::Result<TcpListener> {
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match listen(*address) {
            Err(error) if is_not_there(&error) => failure = error,
            listener_or_error => return listener_or_error,
        }
    }
    Err(failure)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = new_socket(address)?;
    // On Windows it would let us take an address over that somebody else listens at; elsewhere it
    // means "in spite of connections that are just ending".
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Connects to the first address of the host that answers.
pub(super) async fn dial(host: &str, port: u16) -> Result<(Socket<TcpStream>, Peer)> {
    let addresses = resolve(host, port).await?;
    match first_of(&addresses, connect).await {
        Ok((stream, address)) => Ok((stream.into(), Peer::tcp(address))),
        Err(error) => Err(address_of(host, port).dial_error(error)),
    }
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    connect_from(new_socket(address)?, address).await
}

async fn connect_from(socket: TcpSocket, address: SocketAddr) -> io::Result<TcpStream> {
    let stream = socket.connect(address).await?;
    check_other_end(&stream)?;
    hurry(&stream);
    Ok(stream)
}

/// Refuses a socket that is connected to itself.
fn check_other_end(stream: &TcpStream) -> io::Result<()> {
    // A peer that is gone already has no address. That was another one, and the first read tells.
    let (Ok(here), Ok(there)) = (stream.local_addr(), stream.peer_addr()) else { return Ok(()) };
    if (here.ip(), here.port()) != (there.ip(), there.port()) {
        return Ok(());
    }
    // Closed in good order it would occupy the port for a minute more. If that fails it does.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
    Err(io::Error::new(io::ErrorKind::ConnectionRefused, "the socket connected to itself"))
}

fn new_socket(address: SocketAddr) -> io::Result<TcpSocket> {
    if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }
}

/// Whether this machine lacks the address, or all of its kind.
fn is_not_there(error: &io::Error) -> bool {
    let is_of_no_kind = error.raw_os_error().is_some_and(|code| FAMILY_NOT_THERE.contains(&code));
    is_of_no_kind || error.kind() == io::ErrorKind::AddrNotAvailable
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>> {
    match lookup_host((host, port)).await {
        Ok(addresses) => Ok(addresses.collect()),
        Err(error) => {
            let text = format!("no address is known for the host {host:?}");
            Err(Error::local(Code::Disconnected, text).with_source(error))
        }
    }
}

/// Fails only if the peer is gone already, on some systems. The first read tells that too, and with
/// it the connection ends as every other; an error here would make the accept loop pause.
fn hurry(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
}

fn address_of(host: &str, port: u16) -> Address {
    Address::Tcp { host: host.to_owned(), port }
}

/// Connections that wait to be accepted; the system may allow fewer. With the usual 128 a crowd
/// that came at once lost some: the kernel had told them that they were connected, and forgot them.
const BACKLOG: u32 = 4096;
/// How the system says that it has no IPv6, or no IPv4.
#[cfg(unix)]
const FAMILY_NOT_THERE: [i32; 2] = [libc::EAFNOSUPPORT, libc::EPROTONOSUPPORT];
/// `WSAEAFNOSUPPORT` and `WSAEPROTONOSUPPORT`, from Microsoft's "Windows Sockets Error Codes".
#[cfg(not(unix))]
const FAMILY_NOT_THERE: [i32; 2] = [10_047, 10_043];

#[cfg(test)]
mod tests {
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
}
