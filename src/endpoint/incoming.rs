//! A connection that was accepted, on its way to whoever serves it.

use std::fmt;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::service::Tasks;
use crate::transport::{BoxedIo, Peer};

/// A connection for a protocol that is not the library's, from a listener that
/// [`Endpoint::accept_until`](crate::Endpoint::accept_until) watches.
#[non_exhaustive]
pub struct Incoming {
    /// The stream. Closing it is left to whoever serves it.
    pub io: BoxedIo,
    /// The other end of it.
    pub peer: Peer,
    /// Why there is no place for it, if there is none: its code is `overloaded`. It may be told so,
    /// within a second, and is not to be served.
    pub refused: Option<Error>,
    pub(super) tasks: Arc<Tasks>,
}

impl Incoming {
    /// Tells when it is time to end.
    #[must_use]
    pub fn draining(&self) -> Draining {
        Draining { told: self.tasks.draining() }
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

/// Whether a listener is to stop. Whoever serves a connection of it without an end looks at this,
/// and ends then.
#[derive(Clone, Debug)]
pub struct Draining {
    told: CancellationToken,
}

impl Draining {
    /// Whether no connection and no request is to be taken any more.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.told.is_cancelled()
    }

    /// Waits until it is so.
    ///
    /// # Cancel safety
    ///
    /// Only waits.
    pub async fn wait(&self) {
        self.told.cancelled().await;
    }
}
