//! What every transport offers: a stream of bytes, and a source of such streams.
//!
//! The traits are small on purpose. [`Io`] is only a name for the bounds that a stream must meet,
//! and every type that meets them has it. [`Listener`] is the one thing to implement for a
//! transport of one's own.
//!
//! Accepting and making a stream of what was accepted are apart: one listener accepts for all who
//! come, so it waits for none of them. What waits for a peer is a [`Handshake`], which whoever
//! serves runs for this peer alone, for as long as it likes to.

use std::fmt;
use std::io;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::transport::peer::Peer;

/// A stream of bytes in both directions: any tokio stream.
///
/// Do not implement it by hand: every type with the four traits that it stands for has it. Shutting
/// down the writing half must leave the reading half open, since a connection ends in that way.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a stream of bytes that can be served",
    label = "this must be `AsyncRead + AsyncWrite + Send + Unpin + 'static` of tokio",
    note = "a stream of `std::net` becomes one of tokio with `tokio::net::TcpStream::from_std`"
)]
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

/// A stream of any type. One allocation for each connection.
pub type BoxedIo = Box<dyn Io>;

/// A thing that a listener accepts: a stream, or a [`Handshake`] that makes one. No other type has
/// this trait.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a stream of bytes that can be served nor a `Handshake`",
    label = "this must be `AsyncRead + AsyncWrite + Send + Unpin + 'static` of tokio, or a \
             `Handshake`"
)]
pub trait Accepted: Send + 'static {
    #[doc(hidden)]
    fn begin(self) -> Begun;
}

impl<T: Io> Accepted for T {
    fn begin(self) -> Begun {
        Begun::Stream(Box::new(self))
    }
}

impl Accepted for Handshake {
    fn begin(self) -> Begun {
        Begun::Handshake(self)
    }
}

/// What was accepted, whatever its type.
#[doc(hidden)]
#[expect(missing_debug_implementations, reason = "nobody but the accept loop sees it")]
pub enum Begun {
    Stream(BoxedIo),
    Handshake(Handshake),
}

/// The work that makes a stream of an accepted connection, such as TLS.
///
/// It runs in the task of its connection, while the listener accepts others, and has
/// `handshake_time_max` from the accept on. Before and after it the connection counts for the peer
/// that the listener told. When the endpoint stops, the handshake is dropped, and its peer is told
/// nothing.
///
/// ```
/// use std::io;
/// use switchboard::transport::{Handshake, Io, Listener, Peer};
/// use tokio::io::AsyncReadExt;
///
/// /// Serves who knows the word.
/// struct Guarded<L>(L);
///
/// impl<L: Listener<Io: Io>> Listener for Guarded<L> {
///     type Io = Handshake;
///
///     async fn accept(&mut self) -> io::Result<(Handshake, Peer)> {
///         let (mut io, peer) = self.0.accept().await?;
///         let same = peer.clone();
///         let handshake = Handshake::new(async move {
///             let mut word = [0; 6];
///             io.read_exact(&mut word).await?;
///             if &word != b"sesame" {
///                 return Err(io::ErrorKind::PermissionDenied.into());
///             }
///             Ok((io, same))
///         });
///         Ok((handshake, peer))
///     }
/// }
/// ```
pub struct Handshake {
    future: Pin<Box<Shaking>>,
}

/// The work of a handshake, whatever it is.
type Shaking = dyn Future<Output = io::Result<(BoxedIo, Peer)>> + Send;

impl Handshake {
    /// A handshake by `future`. It gives the stream and its peer: the one that was accepted, or one
    /// that the handshake has learned more of.
    ///
    /// If it fails, the error is logged and the connection closed.
    pub fn new<I: Io>(
        future: impl Future<Output = io::Result<(I, Peer)>> + Send + 'static,
    ) -> Self {
        let future = async move {
            let (io, peer) = future.await?;
            Ok((Box::new(io) as BoxedIo, peer))
        };
        Self { future: Box::pin(future) }
    }

    /// Waits for the stream. It may take for ever, so whoever serves sets a time for it.
    pub(crate) async fn run(self) -> io::Result<(BoxedIo, Peer)> {
        self.future.await
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake").finish_non_exhaustive()
    }
}

/// A source of streams: it accepts connections one after the other.
///
/// The listeners of tokio and of this module implement it. Wrap one to add a feature:
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
    /// What it accepts: a stream, or a [`Handshake`] that makes one.
    type Io: Accepted;

    /// Waits for the next connection.
    ///
    /// It must return soon after a peer has connected, or it holds up all later peers. Anything
    /// that must be exchanged before there is a stream belongs in a [`Handshake`].
    ///
    /// # Errors
    ///
    /// If a connection could not be accepted, for example because the process has no file
    /// descriptor left. An error is not the end: the endpoint logs it, waits a little and calls
    /// again. A listener that will give nothing any more waits for ever instead.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future must lose no connection: the next call gets it.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Self::Io, Peer)>> + Send;
}
