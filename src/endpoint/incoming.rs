//! A connection that was accepted, on its way to whoever serves it.

use std::fmt;
use std::sync::Arc;

use crate::error::Error;
use crate::service::{Draining, Tasks};
use crate::transport::{BoxedIo, Peer};

/// A connection for a protocol that is not the library's, from a listener that
/// [`Endpoint::accept_until`](crate::Endpoint::accept_until) watches.
#[non_exhaustive]
pub struct Incoming {
    /// The stream. The program that serves it also closes it.
    pub io: BoxedIo,
    /// The other end of it.
    pub peer: Peer,
    /// Why there is no place for the connection (`overloaded`); `None` if there is one. Do not
    /// serve a refused connection: you may tell it so, within a second.
    pub refused: Option<Error>,
    pub(super) tasks: Arc<Tasks>,
}

impl Incoming {
    /// Tells when it is time to end.
    #[must_use]
    pub fn draining(&self) -> Draining {
        self.tasks.end_to_come()
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { io: _, peer, refused, tasks: _ } = self;
        f.debug_struct("Incoming")
            .field("peer", peer)
            .field("refused", refused)
            .finish_non_exhaustive()
    }
}
