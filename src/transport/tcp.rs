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
use crate::transport::addresses::is_own_end;
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
    check_other_end(&stream, address)?;
    hurry(&stream);
    Ok(stream)
}

/// Refuses a socket that is connected to itself.
fn check_other_end(stream: &TcpStream, dialled: SocketAddr) -> io::Result<()> {
    if !is_own_end(stream.local_addr().ok(), || stream.peer_addr().ok(), dialled) {
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
mod tests;
