//! Bytes to and from sockets.
//!
//! A transport is two things: a stream of bytes ([`Io`]) and who is at its other end ([`Peer`]).
//! A [`Listener`] makes such pairs out of those who connect, dialling makes one by connecting.
//! Nothing here knows what the bytes mean, how many connections are too many, or when to give up:
//! lines are the wire's, limits and retries belong to whoever accepts or dials.
//!
//! | kind | address | who may connect | who is at the other end |
//! |---|---|---|---|
//! | TCP | `127.0.0.1:61000` | whoever reaches the port | an IP address and a port |
//! | Unix socket | `unix:/run/stock.sock` | the owner of the file and root | uid, gid and pid |
//! | memory | none | whoever holds the [`MemoryDialer`] | this process |
//!
//! Anything else, a TLS stream for one, is served by implementing [`Listener`] for a type of your
//! own. It passes on the [`Peer`] that the listener beneath it gave. Where something must be said
//! before the stream can be used, it gives a [`Handshake`].
//!
//! # SIGPIPE
//!
//! A peer that closes can end a process: whoever writes to it gets the signal SIGPIPE. Rust ignores
//! that signal, unless the process has reset it or was not started by Rust. What the listeners here
//! accept, those of tokio included, and what is dialled, never raises it. A stream of your own is
//! used as it is: make it a [`Socket`], or look after the signal.

mod address;
mod any;
mod attempts;
#[cfg(unix)]
mod directory;
mod keepalive;
mod listener;
mod memory;
mod peer;
mod shared;
mod socket;
mod tcp;
#[cfg(unix)]
mod unix;

pub use self::address::{Address, DEFAULT_PORT};
pub(crate) use self::any::dial;
pub use self::any::{AnyListener, bind};
pub(crate) use self::keepalive::TcpKeepalive;
pub(crate) use self::listener::Begun;
pub use self::listener::{Accepted, BoxedIo, Handshake, Io, Listener};
pub use self::memory::{MemoryDialer, MemoryListener, MemoryStream, memory, memory_listener};
pub(crate) use self::peer::PeerKey;
pub use self::peer::{Credentials, Peer, PeerAddress};
pub(crate) use self::shared::SharedIo;
pub use self::socket::Socket;
#[cfg(unix)]
pub use self::unix::UnixListener;
