//! The open connections of a listener, told to close and waited for.
//!
//! How many there may be is not its matter: see `limiter`. A `TaskTracker` of tokio-util waits for
//! tasks too, but cannot tell its members to close, nor ask them what became of their calls.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::incoming::Incoming;
use crate::conn::Shared;
use crate::error::Error;
#[cfg(any(feature = "gob", feature = "json"))]
use crate::service::Door;
use crate::service::Tasks;
use crate::session::Tally;
use crate::transport::{BoxedIo, Peer};

/// A connection that is open, as far as it can be told to end.
#[derive(Clone)]
pub(super) enum OpenConnection {
    /// Of lines and calls.
    Stream(Arc<Shared>),
    /// Of something else, in front of a door.
    #[cfg(any(feature = "gob", feature = "json"))]
    Door(Door),
    /// Of something that the library knows nothing of. It looks at whether all is to end.
    Foreign,
    /// That is to become one of these. It looks at that, too.
    Handshake,
}

impl OpenConnection {
    fn close(&self) {
        match self {
            Self::Stream(shared) => shared.close(),
            #[cfg(any(feature = "gob", feature = "json"))]
            Self::Door(door) => door.close(),
            Self::Foreign | Self::Handshake => {}
        }
    }

    fn tally(&self) -> Tally {
        match self {
            Self::Stream(shared) => shared.tally(),
            #[cfg(any(feature = "gob", feature = "json"))]
            Self::Door(door) => door.tally(),
            Self::Foreign | Self::Handshake => Tally::default(),
        }
    }
}

/// The connections of one listener that are open.
#[derive(Default)]
pub(super) struct Connections {
    open: Mutex<Open>,
    left: Notify,
    tasks: Arc<Tasks>,
}

#[derive(Default)]
struct Open {
    connections: HashMap<u64, OpenConnection>,
    last_id: u64,
    is_closing: bool,
    // Of those that were served and those that did not come to it, and have left.
    served: u64,
    handshakes_failed: u64,
    tally: Tally,
}

/// One of the connections, until dropped.
pub(super) struct Registration {
    connections: Arc<Connections>,
    id: u64,
}

impl Connections {
    /// Takes in a connection; it is told to close if all are.
    pub(super) fn register(self: &Arc<Self>, connection: &OpenConnection) -> Registration {
        Registration { connections: Arc::clone(self), id: self.put(None, connection) }
    }

    /// One that was accepted, for whoever serves or refuses it.
    pub(super) fn incoming(&self, io: BoxedIo, peer: Peer, refused: Option<Error>) -> Incoming {
        Incoming { io, peer, refused, tasks: Arc::clone(&self.tasks) }
    }

    /// What the handlers of their calls leave running.
    pub(super) fn tasks(&self) -> &Arc<Tasks> {
        &self.tasks
    }

    /// Tells every connection to take no more calls.
    pub(super) fn close(&self) {
        self.tasks.drain();
        let connections: Vec<_> = {
            let mut open = self.open();
            open.is_closing = true;
            open.connections.values().cloned().collect()
        };
        for connection in connections {
            connection.close();
        }
    }

    /// Waits until everybody has left.
    pub(super) async fn empty(&self) {
        loop {
            let mut left = std::pin::pin!(self.left.notified());
            // Registered before looking, so that nobody leaves unseen in between.
            left.as_mut().enable();
            if self.open().connections.is_empty() {
                return;
            }
            left.await;
        }
    }

    /// What became of those who have left: how many were served, how many handshakes failed, and
    /// their calls.
    pub(super) fn outcome(&self) -> (u64, u64, Tally) {
        let open = self.open();
        (open.served, open.handshakes_failed, open.tally)
    }

    /// Puts it under this id, or a new one.
    fn put(&self, id: Option<u64>, connection: &OpenConnection) -> u64 {
        let mut open = self.open();
        let id = id.unwrap_or_else(|| open.last_id.wrapping_add(1));
        open.last_id = open.last_id.max(id);
        let before = open.connections.insert(id, connection.clone());
        let is_closing = open.is_closing;
        drop(open);
        drop(before);
        if is_closing {
            connection.close();
        }
        id
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registration {
    /// What it stands for is this connection from now on; it is told to close if all are.
    pub(super) fn become_open(&self, connection: &OpenConnection) {
        self.connections.put(Some(self.id), connection);
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut open = self.connections.open();
        // Dropped when the lock is not held, with the stream and the wakers that it owns.
        let connection = open.connections.remove(&self.id);
        match &connection {
            Some(OpenConnection::Handshake) => {
                open.handshakes_failed = open.handshakes_failed.saturating_add(1);
            }
            Some(connection) => {
                open.served = open.served.saturating_add(1);
                open.tally.add(connection.tally());
            }
            None => {}
        }
        let is_last = open.connections.is_empty();
        drop(open);
        drop(connection);
        if is_last {
            self.connections.left.notify_waiters();
        }
    }
}
