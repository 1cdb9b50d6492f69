//! How many connections are open, in all and of each peer, and whether one more may be.
//!
//! It counts and knows no connection: those of a listener, to be told when all is over, are in
//! `connections`. Nobody waits for a permit. Who gets none is turned away.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Code, Error, Result};
use crate::ledger::{Ledger, NoPlace};
use crate::limits::Limits;
use crate::transport::{Peer, PeerKey};

/// Counts the connections of an endpoint, in all and for each peer.
#[derive(Debug)]
pub(super) struct ConnectionLimiter {
    counts: Mutex<Counts>,
    ledger: Arc<Ledger>,
    connections_max: usize,
    connections_per_peer_max: usize,
}

#[derive(Debug, Default)]
struct Counts {
    connections: usize,
    // Without zeros, so it never has more entries than there are connections.
    of_peer: HashMap<PeerKey, usize>,
}

/// Leave for one connection to be open, given back when it is dropped.
pub(super) struct ConnectionPermit {
    limiter: Arc<ConnectionLimiter>,
    key: Option<PeerKey>,
}

impl ConnectionLimiter {
    pub(super) fn new(limits: &Limits, ledger: &Arc<Ledger>) -> Arc<Self> {
        let &Limits { connections_max, connections_per_peer_max, .. } = limits;
        let (counts, ledger) = (Mutex::default(), Arc::clone(ledger));
        Arc::new(Self { counts, ledger, connections_max, connections_per_peer_max })
    }

    /// Counts a connection of this peer until the permit is dropped.
    ///
    /// # Errors
    ///
    /// `overloaded` if as many as may be are open.
    pub(super) fn acquire(self: &Arc<Self>, peer: &Peer) -> Result<ConnectionPermit> {
        let mut counts = self.counts();
        let (max, peer_max) = (self.connections_max, self.connections_per_peer_max);
        if counts.connections >= max {
            self.ledger.refuse_connection(NoPlace::InAll);
            let text = format!("connections_max ({max}) are open");
            return Err(Error::found(Code::Overloaded, text));
        }
        let key = peer.peer_key();
        if let Some(key) = key {
            let of_peer = counts.of_peer.get(&key).copied().unwrap_or_default();
            if of_peer >= peer_max {
                self.ledger.refuse_connection(NoPlace::OfPeer);
                let text = format!("connections_per_peer_max ({peer_max}) of yours are open");
                return Err(Error::found(Code::Overloaded, text));
            }
            counts.of_peer.insert(key, of_peer.saturating_add(1));
        }
        counts.connections = counts.connections.saturating_add(1);
        self.ledger.accept_connection();
        Ok(ConnectionPermit { limiter: Arc::clone(self), key })
    }

    /// A connection with a permit did not come to be one.
    pub(super) fn note_handshake_failed(&self) {
        self.ledger.fail_handshake();
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut counts = self.limiter.counts();
        counts.connections = counts.connections.saturating_sub(1);
        self.limiter.ledger.close_connection();
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
