//! An [`Address`] turned into a listener or a stream, whatever its kind.
//!
//! Only the choice is made here; how each kind is bound and dialled is told in its own file.

use std::fmt;
use std::io;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::error::{Code, Error, Result};
use crate::transport::address::{Address, wrong};
use crate::transport::keepalive::TcpKeepalive;
use crate::transport::listener::{BoxedIo, Listener};
use crate::transport::peer::Peer;
use crate::transport::tcp;
#[cfg(unix)]
use crate::transport::unix::{self, UnixListener};

/// Listens at `address`, a text or an [`Address`].
///
/// If the host is a name, the listener takes the first of its addresses that this machine has, not
/// all of them. If another process has that address, it is an error, and no other address is tried.
/// [`UnixListener::bind`](crate::transport::UnixListener::bind) says how a Unix socket is opened:
/// for its owner alone, and in place of a file left behind by a dead process.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> switchboard::Result<()> {
/// use switchboard::transport;
///
/// let listener = transport::bind("127.0.0.1:0").await?;
/// println!("listening at {}", listener.local_address()?);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// `invalid` if the text is not an address, `disconnected` if the host cannot be resolved, and
/// `failed` if the address is not available, with a text that names it and says whether another
/// process has it.
///
/// # Panics
///
/// Outside of a tokio runtime that has I/O and time enabled.
///
/// # Cancel safety
///
/// Dropping the future leaves nothing open and no file behind.
pub async fn bind(address: impl TryInto<Address, Error: Into<Error>>) -> Result<AnyListener> {
    let address = Address::of(address)?;
    let kind = match &address {
        Address::Tcp { host, port } => Kind::Tcp(tcp::bind(host, *port).await?),
        #[cfg(unix)]
        Address::Unix(path) => Kind::Unix(UnixListener::bind(path).await?),
        #[cfg(not(unix))]
        Address::Unix(_) => return Err(address.bind_error(io::ErrorKind::Unsupported.into())),
    };
    Ok(AnyListener { kind, tcp_keepalive: None })
}

/// Connects to `address` within `call_time_max`. By itself the system would wait for minutes for a
/// host that is silent, and for ever for a Unix socket whose queue is full.
///
/// # Cancel safety
///
/// Dropping the future closes whatever was opened.
pub(crate) async fn dial(
    address: &Address,
    call_time_max: Duration,
    tcp_keepalive: Option<TcpKeepalive>,
) -> Result<(BoxedIo, Peer)> {
    let dialled = timeout(call_time_max, dial_patiently(address, tcp_keepalive)).await;
    dialled.unwrap_or_else(|_| {
        let text = format!("{address} did not answer within call_time_max ({call_time_max:?})");
        Err(Error::local(Code::Disconnected, text))
    })
}

async fn dial_patiently(
    address: &Address,
    tcp_keepalive: Option<TcpKeepalive>,
) -> Result<(BoxedIo, Peer)> {
    match address {
        Address::Tcp { port: 0, .. } => {
            Err(wrong(format!("{address} leads nowhere: port 0 is for listening")))
        }
        Address::Tcp { host, port } => {
            let (stream, peer) = tcp::dial(host, *port).await?;
            if let Some(keepalive) = tcp_keepalive {
                keepalive.set(stream.as_ref());
            }
            Ok((Box::new(stream), peer))
        }
        #[cfg(unix)]
        Address::Unix(path) => {
            let (stream, peer) = unix::dial(path).await?;
            Ok((Box::new(stream), peer))
        }
        #[cfg(not(unix))]
        Address::Unix(_) => Err(address.dial_error(io::ErrorKind::Unsupported.into())),
    }
}

/// A listener of the kind that an [`Address`] asked for, made by [`bind`].
pub struct AnyListener {
    kind: Kind,
    tcp_keepalive: Option<TcpKeepalive>,
}

enum Kind {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
}

impl AnyListener {
    /// Lets the system probe the peer of an accepted connection when nothing has come from it for
    /// `time`, in whole seconds, as
    /// [`Endpoint::with_tcp_keepalive`](crate::Endpoint::with_tcp_keepalive) says. It does nothing
    /// for a Unix socket.
    ///
    /// ```
    /// # async fn example() -> switchboard::Result<()> {
    /// use std::time::Duration;
    /// use switchboard::{Endpoint, transport};
    ///
    /// let listener = transport::bind("0.0.0.0:61000").await?;
    /// let listener = listener.with_tcp_keepalive(Duration::from_secs(60));
    /// Endpoint::new().serve(listener).await
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// If `time` is below 1 s or above 32,767 s, the most that Linux takes: that is a mistake in
    /// the program.
    #[must_use]
    #[track_caller]
    pub fn with_tcp_keepalive(self, time: Duration) -> Self {
        self.kept_alive(Some(TcpKeepalive::new(time)))
    }

    pub(crate) fn kept_alive(mut self, tcp_keepalive: Option<TcpKeepalive>) -> Self {
        self.tcp_keepalive = tcp_keepalive;
        self
    }

    /// The address to dial: with the port that the system chose, or the whole path, however long it
    /// is. Its text parses back, unless the path is not UTF-8.
    ///
    /// # Errors
    ///
    /// If the system does not tell the address; a healthy one always does.
    pub fn local_address(&self) -> Result<Address> {
        match &self.kind {
            Kind::Tcp(listener) => Ok(listener.local_addr()?.into()),
            #[cfg(unix)]
            Kind::Unix(listener) => Ok(Address::Unix(listener.path().to_owned())),
        }
    }
}

/// # Cancel safety
///
/// Cancel safe.
impl Listener for AnyListener {
    type Io = BoxedIo;

    async fn accept(&mut self) -> io::Result<(BoxedIo, Peer)> {
        match &mut self.kind {
            Kind::Tcp(listener) => {
                let (stream, peer) = Listener::accept(listener).await?;
                if let Some(keepalive) = self.tcp_keepalive {
                    keepalive.set(stream.as_ref());
                }
                Ok((Box::new(stream), peer))
            }
            #[cfg(unix)]
            Kind::Unix(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((Box::new(stream), peer))
            }
        }
    }
}

impl fmt::Debug for AnyListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.local_address().map(|address| address.to_string());
        f.debug_tuple("AnyListener").field(&address.unwrap_or_default()).finish()
    }
}

#[cfg(test)]
mod tests;
