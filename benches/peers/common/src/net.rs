//! Addresses, and streams over them.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Result;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_util::either::Either;

/// Where a peer listens: `127.0.0.1:PORT`, or `unix:` and a path.
#[derive(Clone, Debug)]
pub enum Address {
    /// A host and a port.
    Tcp(String),
    /// A path.
    Unix(PathBuf),
}

/// A stream over TCP, without delay, or over a Unix socket.
pub type Stream = Either<TcpStream, UnixStream>;

/// What accepts streams.
#[derive(Debug)]
pub enum Listener {
    /// Over TCP.
    Tcp(TcpListener),
    /// Over a Unix socket.
    Unix(UnixListener),
}

impl Address {
    /// Connects.
    ///
    /// # Errors
    ///
    /// If nobody listens there.
    pub async fn connect(&self) -> Result<Stream> {
        Ok(match self {
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Either::Left(stream)
            }
            Self::Unix(path) => Either::Right(UnixStream::connect(path).await?),
        })
    }

    /// Listens, and prints the address as the first line of the output.
    ///
    /// # Errors
    ///
    /// If the address is taken.
    pub async fn listen(&self) -> Result<Listener> {
        Ok(match self {
            Self::Tcp(address) => {
                let listener = TcpListener::bind(address).await?;
                println!("{}", listener.local_addr()?);
                Listener::Tcp(listener)
            }
            Self::Unix(path) => {
                let listener = UnixListener::bind(path)?;
                println!("{self}");
                Listener::Unix(listener)
            }
        })
    }
}

impl Listener {
    /// The next stream.
    ///
    /// # Errors
    ///
    /// If the process has no file descriptors left.
    pub async fn accept(&self) -> Result<Stream> {
        Ok(match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Either::Left(stream)
            }
            Self::Unix(listener) => Either::Right(listener.accept().await?.0),
        })
    }
}

impl FromStr for Address {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text.strip_prefix("unix:") {
            Some(path) => Self::Unix(path.into()),
            None => Self::Tcp(text.to_owned()),
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
