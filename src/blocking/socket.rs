//! A socket of the standard library, which several threads use at once.
//!
//! One reads, and waits for as long as nothing comes. Whoever has something to write tries without
//! waiting ([`Socket::send_now`]); only the keeper waits, and not for long
//! ([`Socket::send`]). Nothing raises SIGPIPE: see `transport::socket`.

use std::io::{self, IoSlice, Read};
use std::net::{Shutdown, TcpStream};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::time::Duration;

#[cfg(unix)]
use socket2::SockRef;

use crate::transport::Peer;

/// A socket that is connected already, for
/// [`Connector::connect_over`](crate::blocking::Connector::connect_over): a `TcpStream` or, on
/// Unix, a `UnixStream` of the standard library.
#[derive(Debug)]
pub struct Socket {
    stream: Stream,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Self {
        Self { stream: Stream::Tcp(stream) }
    }
}

#[cfg(unix)]
impl From<UnixStream> for Socket {
    fn from(stream: UnixStream) -> Self {
        Self { stream: Stream::Unix(stream) }
    }
}

impl Socket {
    /// Sets it up for the threads of a connection.
    pub(super) fn prepare(&self) -> io::Result<()> {
        #[cfg(target_vendor = "apple")]
        self.by_ref().set_nosigpipe(true)?;
        match &self.stream {
            Stream::Tcp(stream) => {
                stream.set_nonblocking(false)?;
                stream.set_read_timeout(None)?;
                stream.set_write_timeout(Some(SEND_TIME))?;
                // Fails only if the peer is gone already, which the first read tells.
                let _ = stream.set_nodelay(true);
                Ok(())
            }
            #[cfg(unix)]
            Stream::Unix(stream) => {
                stream.set_nonblocking(false)?;
                stream.set_read_timeout(None)?;
                stream.set_write_timeout(Some(SEND_TIME))
            }
        }
    }

    pub(super) fn peer(&self) -> Peer {
        match &self.stream {
            Stream::Tcp(stream) => stream.peer_addr().map_or_else(|_| Peer::unknown(), Peer::tcp),
            #[cfg(unix)]
            Stream::Unix(_) => Peer::unix(),
        }
    }

    /// Waits until something comes; 0 at the end.
    pub(super) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.stream {
            Stream::Tcp(stream) => (&mut &*stream).read(buffer),
            #[cfg(unix)]
            Stream::Unix(stream) => (&mut &*stream).read(buffer),
        }
    }

    /// Writes what the system takes at once; `WouldBlock` if that is nothing.
    #[cfg(unix)]
    pub(super) fn send_now(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.by_ref().send_vectored_with_flags(slices, NO_SIGNAL | libc::MSG_DONTWAIT)
    }

    /// Writes nothing: a single send that does not wait is not to be had here.
    #[cfg(not(unix))]
    pub(super) fn send_now(&self, _: &[IoSlice<'_>]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// Writes something, and waits for [`SEND_TIME`] at most until that can be done.
    #[cfg(unix)]
    pub(super) fn send(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.by_ref().send_vectored_with_flags(slices, NO_SIGNAL)
    }

    /// Writes something, and waits for [`SEND_TIME`] at most until that can be done.
    #[cfg(not(unix))]
    pub(super) fn send(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let Stream::Tcp(stream) = &self.stream;
        io::Write::write_vectored(&mut &*stream, slices)
    }

    /// Ends one direction or both, also for those who wait for it. What has failed is over anyway.
    pub(super) fn shut_down(&self, how: Shutdown) {
        let _ = match &self.stream {
            Stream::Tcp(stream) => stream.shutdown(how),
            #[cfg(unix)]
            Stream::Unix(stream) => stream.shutdown(how),
        };
    }

    #[cfg(unix)]
    fn by_ref(&self) -> SockRef<'_> {
        match &self.stream {
            Stream::Tcp(stream) => stream.into(),
            Stream::Unix(stream) => stream.into(),
        }
    }
}

/// The one who waits for a peer that takes nothing looks at the time so often.
const SEND_TIME: Duration = Duration::from_millis(50);

#[cfg(all(unix, not(target_vendor = "apple")))]
const NO_SIGNAL: i32 = libc::MSG_NOSIGNAL;
/// The socket as a whole raises none.
#[cfg(target_vendor = "apple")]
const NO_SIGNAL: i32 = 0;
