//! Who is connected: counted at the doors, and gathered to be told when all is over.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::conn::Shared;
use crate::error::{Code, Error, Result};
use crate::limits::Limits;
#[cfg(feature = "gob")]
use crate::service::Door;
use crate::session::Tally;
use crate::transport::{Peer, PeerKey};

/// Counts the connections of an endpoint, in all and for each peer.
#[derive(Debug)]
pub(super) struct Doors {
    counts: Mutex<Counts>,
    connections_max: usize,
    connections_per_peer_max: usize,
}

#[derive(Debug, Default)]
struct Counts {
    connections: usize,
    // Without zeros, so it never has more entries than there are connections.
    of_peer: HashMap<PeerKey, usize>,
}

/// A place for one connection, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    doors: Arc<Doors>,
    key: Option<PeerKey>,
}

impl Doors {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        let &Limits { connections_max, connections_per_peer_max, .. } = limits;
        let counts = Mutex::default();
        Arc::new(Self { counts, connections_max, connections_per_peer_max })
    }

    /// Takes a place for whoever comes.
    ///
    /// # Errors
    ///
    /// `overloaded` if there is none left.
    pub(super) fn admit(self: &Arc<Self>, peer: &Peer) -> Result<Place> {
        let mut counts = self.counts();
        let (max, peer_max) = (self.connections_max, self.connections_per_peer_max);
        if counts.connections >= max {
            let text = format!("connections_max ({max}) are open");
            return Err(Error::found(Code::Overloaded, text));
        }
        let key = peer.peer_key();
        if let Some(key) = key {
            let of_peer = counts.of_peer.get(&key).copied().unwrap_or_default();
            if of_peer >= peer_max {
                let text = format!("connections_per_peer_max ({peer_max}) of yours are open");
                return Err(Error::found(Code::Overloaded, text));
            }
            counts.of_peer.insert(key, of_peer.saturating_add(1));
        }
        counts.connections = counts.connections.saturating_add(1);
        Ok(Place { doors: Arc::clone(self), key })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.doors.counts();
        counts.connections = counts.connections.saturating_sub(1);
        if let Some(key) = self.key {
            let of_peer = counts.of_peer.get(&key).copied().unwrap_or_default().saturating_sub(1);
            if of_peer == 0 {
                counts.of_peer.remove(&key);
            } else {
                counts.of_peer.insert(key, of_peer);
            }
        }
    }
}

/// A connection that is open, as far as it can be told to end.
#[derive(Clone)]
pub(super) enum Guest {
    /// Of lines and calls.
    Stream(Arc<Shared>),
    /// Of something else, in front of a door.
    #[cfg(feature = "gob")]
    Door(Door),
}

impl Guest {
    /// Tells it why there is no place for it, if it can be told.
    pub(super) fn turn_away(&self, error: &Error) {
        match self {
            Self::Stream(shared) => shared.with(|session| session.turn_away(error)),
            #[cfg(feature = "gob")]
            Self::Door(door) => door.close(),
        }
    }

    fn close(&self) {
        match self {
            Self::Stream(shared) => shared.close(),
            #[cfg(feature = "gob")]
            Self::Door(door) => door.close(),
        }
    }

    fn tally(&self) -> Tally {
        match self {
            Self::Stream(shared) => shared.tally(),
            #[cfg(feature = "gob")]
            Self::Door(door) => door.tally(),
        }
    }
}

/// The connections of one listener that are open.
#[derive(Default)]
pub(super) struct Crowd {
    members: Mutex<Members>,
    left: Notify,
}

#[derive(Default)]
struct Members {
    connections: HashMap<u64, Guest>,
    last_id: u64,
    is_closing: bool,
    tally: Tally,
}

/// One of a crowd, until dropped.
pub(super) struct Member {
    crowd: Arc<Crowd>,
    id: u64,
}

impl Crowd {
    /// Takes in a connection; it is told to close if all are.
    pub(super) fn join(self: &Arc<Self>, guest: &Guest) -> Member {
        let mut members = self.members();
        members.last_id = members.last_id.wrapping_add(1);
        let id = members.last_id;
        members.connections.insert(id, guest.clone());
        let is_closing = members.is_closing;
        drop(members);
        if is_closing {
            guest.close();
        }
        Member { crowd: Arc::clone(self), id }
    }

    /// Tells every connection to take no more calls.
    pub(super) fn close(&self) {
        let connections: Vec<_> = {
            let mut members = self.members();
            members.is_closing = true;
            members.connections.values().cloned().collect()
        };
        for guest in connections {
            guest.close();
        }
    }

    /// Waits until everybody has left.
    pub(super) async fn empty(&self) {
        loop {
            let mut left = std::pin::pin!(self.left.notified());
            // Registered before looking, so that nobody leaves unseen in between.
            left.as_mut().enable();
            if self.members().connections.is_empty() {
                return;
            }
            left.await;
        }
    }

    /// What became of the calls of those who have left.
    pub(super) fn tally(&self) -> Tally {
        self.members().tally
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut members = self.crowd.members();
        // Dropped when the lock is not held, with the stream and the wakers that it owns.
        let guest = members.connections.remove(&self.id);
        if let Some(guest) = &guest {
            members.tally.add(guest.tally());
        }
        let is_last = members.connections.is_empty();
        drop(members);
        drop(guest);
        if is_last {
            self.crowd.left.notify_waiters();
        }
    }
}
