//! How a client of threads comes to its connection: dialled within a time, or handed over.
//!
//! The standard library connects to one address at a time. So the addresses of a name are tried one
//! after the other, the two families in turn, each for its share of the time that is left: one that
//! is silent does not take all of it.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
#[cfg(unix)]
use std::path::Path;
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::client::Client;
use super::clock::now;
use super::connection::Handle;
use super::socket::Socket;
use super::threads;
use crate::asking::later;
use crate::error::{Code, Error, Result};
use crate::limits::{Limits, TIME_LEAST};
use crate::transport::{Address, alternated, is_own_end};

/// How to connect a [`Client`]: within which limits, and whether the connection is kept alive.
///
/// ```
/// # #[cfg(feature = "json")] {
/// use std::time::Duration;
/// use switchboard::blocking::{Client, Connector};
/// use switchboard::{Limits, Result};
///
/// fn connect() -> Result<Client> {
///     let limits = Limits::default().with(|limits| limits.payload_bytes_max = 4096);
///     let connector = Connector::new().with_limits(limits);
///     connector.with_keepalive(Duration::from_secs(15)).connect("localhost:61000")
/// }
/// # let _ = connect;
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "it connects nothing by itself"]
pub struct Connector {
    limits: Limits,
    keepalive_time: Option<Duration>,
}

impl Connector {
    /// With the default limits, and without keepalive.
    pub fn new() -> Self {
        Self::default()
    }

    /// Binds the clients by these limits. Those that bound an endpoint as a whole, such as
    /// [`held_bytes_max`](Limits::held_bytes_max), bound each client.
    ///
    /// # Panics
    ///
    /// If a limit can't work: see [`Limits::check`].
    #[track_caller]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        if let Err(error) = limits.check() {
            panic!("{}", error.text());
        }
        self.limits = limits;
        self
    }

    /// Asks the peer whether it is there when nothing has come from it for `time`, and takes it for
    /// gone when nothing comes for as long after that; as `Endpoint::with_keepalive` does. Off
    /// unless it is set, but for connections with an open streamed call.
    ///
    /// # Panics
    ///
    /// If `time` is below 1 ms.
    #[track_caller]
    pub fn with_keepalive(mut self, time: Duration) -> Self {
        assert!(
            time >= TIME_LEAST,
            "the time of keepalive ({time:?}) can't work: it is below 1 ms"
        );
        self.keepalive_time = Some(time);
        self
    }

    /// Connects to `address` within `call_time_max`. How long it takes to look up a name is the
    /// system's matter.
    ///
    /// # Errors
    ///
    /// `invalid` if it is not an address, or not one of this system. `disconnected` if nobody
    /// answers there. `failed` if the system gives no thread.
    pub fn connect(&self, address: impl TryInto<Address, Error: Into<Error>>) -> Result<Client> {
        let address = Address::of(address)?;
        let due = later(now(), self.limits.call_time_max);
        let dialled = match &address {
            Address::Tcp { port: 0, .. } => {
                let text = format!("{address} leads nowhere: port 0 is for listening");
                return Err(Error::local(Code::Invalid, text));
            }
            Address::Tcp { host, port } => dial_tcp(&resolve(host, *port)?, due).map(Socket::from),
            #[cfg(unix)]
            Address::Unix(path) => dial_unix(path, self.limits.call_time_max),
            #[cfg(not(unix))]
            Address::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        };
        self.connect_over(dialled.map_err(|error| address.dial_error(error))?)
    }

    /// Makes a client over a socket that is connected already.
    ///
    /// ```
    /// # #[cfg(feature = "json")] {
    /// use std::net::TcpStream;
    /// use switchboard::blocking::{Client, Connector};
    /// use switchboard::Result;
    ///
    /// fn connect() -> Result<Client> {
    ///     Connector::new().connect_over(TcpStream::connect("localhost:61000")?)
    /// }
    /// # let _ = connect;
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// `disconnected` if the socket is of no use, and `failed` if the system gives no thread.
    pub fn connect_over(&self, socket: impl Into<Socket>) -> Result<Client> {
        let connection = threads::open(socket.into(), &self.limits, self.keepalive_time)?;
        Ok(Client::over(Handle::owner(connection)))
    }
}

impl Client {
    /// Connects to `address`, `host:port` or `unix:` and a path, or an [`Address`], with the
    /// default limits; for others use a [`Connector`].
    ///
    /// # Errors
    ///
    /// As [`Connector::connect`], with a `call_time_max` of 30 seconds.
    pub fn connect(address: impl TryInto<Address, Error: Into<Error>>) -> Result<Self> {
        Connector::new().connect(address)
    }
}

fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>> {
    match (host, port).to_socket_addrs() {
        Ok(addresses) => Ok(alternated(&addresses.collect::<Vec<_>>())),
        Err(error) => {
            let text = format!("no address is known for the host {host:?}");
            Err(Error::local(Code::Disconnected, text).with_source(error))
        }
    }
}

fn dial_tcp(addresses: &[SocketAddr], due: Instant) -> io::Result<TcpStream> {
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    let shares = (1..=u32::try_from(addresses.len()).unwrap_or(u32::MAX)).rev();
    for (address, share) in addresses.iter().zip(shares) {
        let left = due.saturating_duration_since(now());
        // At least one attempt is made, however little is left.
        let time = left.checked_div(share).unwrap_or(left).max(TIME_LEAST);
        match connect(*address, time) {
            Ok(stream) => return Ok(stream),
            // That somebody refused tells more than that nobody can be reached.
            Err(_) if failure.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn connect(address: SocketAddr, time: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, time)?;
    if is_own_end(stream.local_addr().ok(), || stream.peer_addr().ok(), address) {
        // Closed in good order it would occupy the port for a minute more. If that fails it does.
        let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        let text = "the socket connected to itself";
        return Err(io::Error::new(io::ErrorKind::ConnectionRefused, text));
    }
    Ok(stream)
}

/// Connects to the socket at `path`; waits for `time` at most while its queue is full.
#[cfg(unix)]
fn dial_unix(path: &Path, time: Duration) -> io::Result<Socket> {
    use std::os::unix::net::UnixStream;

    use socket2::{Domain, SockAddr, Type};

    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Also how long it waits in line.
    socket.set_write_timeout(Some(time))?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(UnixStream::from(socket).into())
}
