//! What every transport offers: a stream of bytes, and a source of such streams.
//!
//! Both traits are small on purpose. [`Io`] is only a name for the bounds that a stream must meet,
//! and every type that meets them has it. [`Listener`] is the one thing to implement for a
//! transport of one's own.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::transport::peer::Peer;

/// A stream of bytes in both directions: any tokio stream.
///
/// Nobody implements it by hand: whatever has the four traits it stands for has it too. Shutting
/// down the writing half must leave the reading half open, for that is how a connection ends.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a stream of bytes that can be served",
    label = "this must be `AsyncRead + AsyncWrite + Send + Unpin + 'static` of tokio",
    note = "a stream of `std::net` becomes one of tokio with `tokio::net::TcpStream::from_std`"
)]
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

/// A stream of which only that is known. One allocation for each connection.
pub type BoxedIo = Box<dyn Io>;

/// A source of streams: those who connect, one after the other.
///
/// Implemented for the listeners of tokio and of this module. Wrap one to add what it lacks:
///
/// ```
/// use std::io;
/// use switchboard::transport::{Listener, Peer};
///
/// /// Tells who comes.
/// struct Told<L>(L);
///
/// impl<L: Listener> Listener for Told<L> {
///     type Io = L::Io;
///
///     async fn accept(&mut self) -> io::Result<(L::Io, Peer)> {
///         let (io, peer) = self.0.accept().await?;
///         println!("{peer} is here");
///         Ok((io, peer))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not accept connections",
    label = "this is not a `Listener`",
    note = "a listener of `std::net` becomes one of tokio with `tokio::net::TcpListener::from_std`",
    note = "an address is turned into a listener by `switchboard::transport::bind`"
)]
pub trait Listener: Send + 'static {
    /// What a connection is made of.
    type Io: Io;

    /// Waits for the next one who connects.
    ///
    /// It must return soon after they have: a handshake done in here holds up everybody who comes
    /// later.
    ///
    /// # Errors
    ///
    /// When a connection could not be accepted, for example because the process has no file
    /// descriptor left. An error is not the end: whoever serves the listener logs it, waits a
    /// little and calls again. A listener that will give nothing any more waits for ever instead.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future must lose no connection: the next call gets it.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Self::Io, Peer)>> + Send;
}
