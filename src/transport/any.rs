//! An [`Address`] turned into a listener or a stream, whatever its kind.
//!
//! Only the choice is made here; how each kind is bound and dialled is told in its own file.

use std::fmt;
use std::io;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::error::{Code, Error, Result};
use crate::transport::address::Address;
use crate::transport::listener::{BoxedIo, Listener};
use crate::transport::peer::Peer;
use crate::transport::tcp;
#[cfg(unix)]
use crate::transport::unix::{self, UnixListener};

/// Listens at `address`.
///
/// A host that is a name is listened at under the first of its addresses that this machine has, not
/// under all of them. One that another process has is an error, and no other is taken in its place.
/// A Unix socket is opened as [`UnixListener::bind`](crate::transport::UnixListener::bind) says:
/// for its owner alone, and a file left behind by a dead process is replaced.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> switchboard::Result<()> {
/// use switchboard::transport;
///
/// let listener = transport::bind(&"127.0.0.1:0".parse()?).await?;
/// println!("listening at {}", listener.local_address()?);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// `failed` if the address cannot be had, with a text that names it and says whether another
/// process has it; `disconnected` if the host cannot be resolved.
///
/// # Panics
///
/// Outside of a tokio runtime that has I/O and time enabled.
///
/// # Cancel safety
///
/// Dropping the future leaves nothing open and no file behind.
pub async fn bind(address: &Address) -> Result<AnyListener> {
    let kind = match address {
        Address::Tcp { host, port } => Kind::Tcp(tcp::bind(host, *port).await?),
        #[cfg(unix)]
        Address::Unix(path) => Kind::Unix(UnixListener::bind(path).await?),
        #[cfg(not(unix))]
        Address::Unix(_) => return Err(address.bind_error(io::ErrorKind::Unsupported.into())),
    };
    Ok(AnyListener { kind })
}

/// Connects to `address` within `call_time_max`. By itself the system would wait for minutes for a
/// host that is silent, and for ever for a Unix socket whose queue is full.
///
/// # Cancel safety
///
/// Dropping the future closes whatever was opened.
pub(crate) async fn dial(address: &Address, call_time_max: Duration) -> Result<(BoxedIo, Peer)> {
    let dialled = timeout(call_time_max, dial_patiently(address)).await;
    dialled.unwrap_or_else(|_| {
        let text = format!("{address} did not answer within call_time_max ({call_time_max:?})");
        Err(Error::local(Code::Disconnected, text))
    })
}

async fn dial_patiently(address: &Address) -> Result<(BoxedIo, Peer)> {
    match address {
        Address::Tcp { host, port } => {
            let (stream, peer) = tcp::dial(host, *port).await?;
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
}

enum Kind {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
}

impl AnyListener {
    /// Where it listens, to be dialled: the port that the system chose, or the whole path, however
    /// long it is. Its text parses back, unless the path is not UTF-8.
    ///
    /// # Errors
    ///
    /// When the system does not tell, which no healthy one does.
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
mod tests {
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
        let error = dial_patiently(&address).await.err().unwrap();
        assert_eq!(error.text(), "no address is known for the host \"no\\0host\"");
        assert!(error.source().is_some());
    }

    async fn check_connected(address: &str) {
        let mut listener = bind(&address.parse().unwrap()).await.unwrap();
        let address = listener.local_address().unwrap();
        let (dialled, accepted) = tokio::join!(dial_patiently(&address), listener.accept());
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
        let error = dial_patiently(&address.parse().unwrap()).await.err().unwrap();
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
}
