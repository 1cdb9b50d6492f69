//! Bytes to and from sockets.
//!
//! A transport is two things: a stream of bytes ([`Io`]) and its other end ([`Peer`]). A
//! [`Listener`] makes such a pair of each connection that it accepts, and dialling makes one. This
//! module does not know the meaning of the bytes, how many connections are too many, or when to
//! give up: the side that accepts or dials has the limits.
//!
//! | kind | address | who may connect | who is at the other end |
//! |---|---|---|---|
//! | TCP | `127.0.0.1:61000` | whoever reaches the port | an IP address and a port |
//! | Unix socket | `unix:/run/stock.sock` | the owner of the file and root | uid, gid and pid |
//! | memory | none | whoever holds the [`MemoryDialer`] | this process |
//!
//! To serve anything else, such as a TLS stream, implement [`Listener`] for a type of your own. It
//! passes on the [`Peer`] that the listener beneath it gave. If something must be exchanged before
//! the stream can be used, it gives a [`Handshake`].
//!
//! # SIGPIPE
//!
//! A peer that closes can end a process: a write to it raises the signal SIGPIPE. Rust ignores that
//! signal, unless the process has reset it or was not started by Rust. Streams that the listeners
//! here accept, those of tokio included, and streams that are dialled, never raise it. A stream of
//! your own is used as it is: make it a [`Socket`], or handle the signal.

mod address;
mod addresses;
#[cfg(feature = "io")]
mod any;
#[cfg(feature = "io")]
mod attempts;
#[cfg(all(unix, feature = "io"))]
mod directory;
#[cfg(feature = "io")]
mod keepalive;
#[cfg(feature = "io")]
mod listener;
#[cfg(feature = "io")]
mod memory;
mod peer;
#[cfg(feature = "io")]
mod shared;
#[cfg(feature = "io")]
mod socket;
#[cfg(feature = "io")]
mod tcp;
#[cfg(all(unix, feature = "io"))]
mod unix;

pub use self::address::{Address, DEFAULT_PORT};
#[cfg(feature = "blocking")]
pub(crate) use self::addresses::{alternated, is_own_end};
#[cfg(feature = "io")]
pub(crate) use self::any::dial;
#[cfg(feature = "io")]
pub use self::any::{AnyListener, bind};
#[cfg(feature = "io")]
pub(crate) use self::keepalive::TcpKeepalive;
#[cfg(feature = "io")]
pub(crate) use self::listener::Begun;
#[cfg(feature = "io")]
pub use self::listener::{Accepted, BoxedIo, Handshake, Io, Listener};
#[cfg(feature = "io")]
pub use self::memory::{MemoryDialer, MemoryListener, MemoryStream, memory, memory_listener};
#[cfg(feature = "io")]
pub(crate) use self::peer::PeerKey;
pub use self::peer::{Credentials, Peer, PeerAddress};
#[cfg(feature = "io")]
pub(crate) use self::shared::SharedIo;
#[cfg(feature = "io")]
pub use self::socket::Socket;
#[cfg(all(unix, feature = "io"))]
pub use self::unix::UnixListener;
