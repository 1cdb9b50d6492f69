//! The handle that threads share. How it is made is in `connector`, and how it calls in `streamed`.

use std::fmt;
use std::sync::Arc;

use super::connection::Handle;
use crate::error::Result;
use crate::transport::Peer;

/// The asking side of one connection, for threads.
///
/// It lives as long as its connection. When its last clone and its last call are dropped, the
/// connection is closed in good order, and its threads end. All calls after the end fail with an
/// error that [is safe to retry](crate::Error::is_safe_to_retry) on a new client.
///
/// Either side may end a connection. The accepting side closes one on which nothing happened for
/// `idle_time_max`, five minutes by default. A connection that is
/// [kept alive](crate::blocking::Connector::with_keepalive) is never idle, and ends when its peer
/// has frozen.
#[derive(Clone)]
pub struct Client {
    pub(super) handle: Arc<Handle>,
}

impl Client {
    pub(super) fn over(handle: Arc<Handle>) -> Self {
        Self { handle }
    }

    /// Waits until all requests that this client and its clones have handed over so far are
    /// written, those of one-way calls too. The system has them then. It is not known whether the
    /// peer has read them.
    ///
    /// # Errors
    ///
    /// `disconnected`, with the reason, if the connection ended before that: a peer that does not
    /// read is cut off after `write_time_max`. Some of the calls may have run.
    pub fn flush(&self) -> Result<()> {
        self.handle.connection.flush()
    }

    /// Takes no more calls, lets those under way finish, and waits until the connection is closed.
    /// Calls have `drain_time_max` to finish, and after that the peer has `linger_time_max` to end
    /// its side. Streams are calls: drop those first that would go on.
    pub fn close(self) {
        self.handle.connection.close();
        self.closed();
    }

    /// Whether the connection is closed, or takes no more calls because either side is closing it.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        !self.handle.connection.lock().session.is_open(None)
    }

    /// Waits until the connection is closed, by either side.
    pub fn closed(&self) {
        self.handle.connection.closed();
    }

    /// The other side of the connection. That of a Unix socket has no credentials here.
    #[must_use]
    pub fn peer(&self) -> Peer {
        self.handle.connection.peer.clone()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("peer", &self.peer()).finish_non_exhaustive()
    }
}
