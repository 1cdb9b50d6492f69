//! A stream of a socket that never raises SIGPIPE.
//!
//! Whoever writes to a peer that is gone gets an error, and the signal SIGPIPE beside it, which
//! ends the process. The runtime of Rust ignores that signal. But a program in another language
//! that has us as a library, or one that resets the signal to be a good filter in a shell, would
//! end whenever a peer closes at the wrong moment. The standard library asks for no signal when it
//! writes one slice to a socket. For several it calls `writev`, which takes no flags; and several
//! are what a connection writes. So here they are sent with `sendmsg`, which takes one.
//!
//! Nothing else is changed: readiness, buffers and ends are those of tokio.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A `TcpStream` or a `UnixStream` of tokio that never raises SIGPIPE, even if the process has
/// reset that signal, which would end the process when a peer has closed.
///
/// The listeners accept such streams, and endpoints dial them. Make one from a stream of your own
/// by `from`, before you serve or attach it:
///
/// ```
/// # use switchboard::{Client, Endpoint, Result};
/// use switchboard::transport::Socket;
/// use tokio::net::TcpStream;
///
/// # async fn example() -> Result<Client> {
/// let stream = TcpStream::connect("localhost:61000").await?;
/// let client = Endpoint::new().connect_over(Socket::from(stream));
/// # Ok(client)
/// # }
/// ```
#[derive(Debug)]
pub struct Socket<S> {
    stream: S,
}

impl<S: Stream> From<S> for Socket<S> {
    fn from(stream: S) -> Self {
        quieten(&stream);
        Self { stream }
    }
}

impl<S> Socket<S> {
    /// The stream itself. Writing to it may raise the signal.
    #[must_use]
    pub fn into_inner(self) -> S {
        self.stream
    }
}

impl<S> AsRef<S> for Socket<S> {
    fn as_ref(&self) -> &S {
        &self.stream
    }
}

impl<S: Stream> AsyncRead for Socket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: Stream> AsyncWrite for Socket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        poll_send(&mut self.stream, cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The streams of tokio that are sockets. Not to be implemented elsewhere.
#[cfg(unix)]
pub trait Stream: AsyncRead + AsyncWrite + std::os::fd::AsFd + Unpin {
    /// As the method of this name of the streams.
    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// As `try_io` of the streams, for writing.
    fn try_write(&self, write: impl FnOnce() -> io::Result<usize>) -> io::Result<usize>;
}

/// The streams of tokio that are sockets. Not to be implemented elsewhere.
#[cfg(not(unix))]
pub trait Stream: AsyncRead + AsyncWrite + Unpin {}

#[cfg(unix)]
impl Stream for tokio::net::TcpStream {
    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_write_ready(cx)
    }

    fn try_write(&self, write: impl FnOnce() -> io::Result<usize>) -> io::Result<usize> {
        self.try_io(tokio::io::Interest::WRITABLE, write)
    }
}

#[cfg(unix)]
impl Stream for tokio::net::UnixStream {
    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_write_ready(cx)
    }

    fn try_write(&self, write: impl FnOnce() -> io::Result<usize>) -> io::Result<usize> {
        self.try_io(tokio::io::Interest::WRITABLE, write)
    }
}

#[cfg(not(unix))]
impl Stream for tokio::net::TcpStream {}

/// Where a socket as a whole can be told to raise no signal, and a single send cannot.
#[cfg(target_vendor = "apple")]
fn quieten(stream: &impl Stream) {
    // Fails only if the peer is gone already, and then so does everything else.
    let _ = socket2::SockRef::from(stream).set_nosigpipe(true);
}

#[cfg(not(target_vendor = "apple"))]
fn quieten(_: &impl Stream) {}

#[cfg(all(unix, not(target_vendor = "apple")))]
fn poll_send(
    stream: &mut impl Stream,
    cx: &mut Context<'_>,
    slices: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    // `writev` takes some of too many, `sendmsg` none.
    let slices = slices.get(..SLICES_MAX).unwrap_or(slices);
    loop {
        std::task::ready!(stream.poll_write_ready(cx))?;
        let sent = stream.try_write(|| {
            socket2::SockRef::from(&*stream).send_vectored_with_flags(slices, libc::MSG_NOSIGNAL)
        });
        match sent {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            sent => return Poll::Ready(sent),
        }
    }
}

#[cfg(not(all(unix, not(target_vendor = "apple"))))]
fn poll_send(
    stream: &mut impl Stream,
    cx: &mut Context<'_>,
    slices: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    Pin::new(stream).poll_write_vectored(cx, slices)
}

/// As many as every system takes at once: `_XOPEN_IOV_MAX`.
#[cfg(all(unix, not(target_vendor = "apple")))]
const SLICES_MAX: usize = 16;
