//! What each peer has used of its bounds, in a table that is bounded itself.
//!
//! ```text
//!   whose? ─► its entry: calls in flight, calls and bytes a second ─► counted, until it is dropped
//!                │ one of them is used up: `overloaded`, with the time to wait
//!                └── no entry is free: the one that all others share
//! ```
//!
//! Peers choose their addresses, so the table is bounded. An entry of which everything is free
//! again says nothing, and makes way. While none does, all new peers share one entry: those that
//! are in the table keep their own, and invented addresses share what one peer may do.
//!
//! The algorithm is in `gcra.rs`: it takes two words for a rate, and the time of tokio's clock, so
//! tests can pause it. The crate `governor` has the same algorithm with a table that grows with
//! each key, and a clock of its own.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use foldhash::HashMap;

use super::gcra::{Rate, Usage};
use crate::clock::now;
use crate::error::{Code, Error, Result};

/// What peers have used.
pub(crate) struct PeerTable {
    bounds: PeerBounds,
    peers_max: usize,
    hashers: Hashers,
    used: Mutex<Used>,
}

/// What each of them may do; all that is not said is not bounded.
#[derive(Clone, Copy, Default)]
pub(crate) struct PeerBounds {
    calls: Option<Rate>,
    bytes: Option<Rate>,
    in_flight_max: Option<usize>,
}

/// 128 bits of a hash with secret keys: of one size, whatever a peer calls itself.
pub(crate) type Key = (u64, u64);

pub(crate) type Hashers = (RandomState, RandomState);

/// A call that is under way.
pub(crate) struct Counted {
    table: Arc<PeerTable>,
    // `None` if it counts among the others.
    key: Option<Key>,
}

#[derive(Default)]
struct Used {
    by_peer: HashMap<Key, Entry>,
    // By all that have found no place.
    by_others: Entry,
    swept_at: Option<Instant>,
}

#[derive(Clone, Copy, Default)]
struct Entry {
    calls: Usage,
    bytes: Usage,
    in_flight: usize,
}

impl PeerBounds {
    pub(crate) fn calls_per_second(mut self, calls: u32, burst: u32) -> Self {
        self.calls = Some(Rate::new(calls.into(), burst.into()));
        self
    }

    #[cfg(feature = "tower")]
    pub(crate) fn bytes_per_second(mut self, bytes: u64) -> Self {
        self.bytes = Some(Rate::new(bytes, bytes));
        self
    }

    pub(crate) fn calls_in_flight(mut self, calls: usize) -> Self {
        self.in_flight_max = Some(calls);
        self
    }
}

impl PeerTable {
    /// Tells so many peers apart; the others share the bounds of one.
    pub(crate) fn new(bounds: PeerBounds, peers_max: usize) -> Arc<Self> {
        let hashers = (RandomState::new(), RandomState::new());
        Arc::new(Self { bounds, peers_max, hashers, used: Mutex::default() })
    }

    pub(crate) fn hashers(&self) -> &Hashers {
        &self.hashers
    }

    /// Begins a call with so many bytes.
    ///
    /// # Errors
    ///
    /// `overloaded`.
    pub(crate) fn begin(self: &Arc<Self>, key: Key, bytes: usize) -> Result<Counted> {
        let now = now();
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let key = used.place(key, self.peers_max, now);
        used.entry(key).begin(&self.bounds, now, bytes)?;
        drop(used);
        Ok(Counted { table: Arc::clone(self), key })
    }
}

impl Counted {
    /// Uses so many bytes, which cannot be refused any more.
    #[cfg(feature = "tower")]
    pub(crate) fn charge(&self, bytes: usize) {
        let Some(rate) = self.table.bounds.bytes else {
            return;
        };
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.with_entry(|entry| entry.bytes.charge(now(), rate, bytes));
    }

    fn with_entry(&self, change: impl FnOnce(&mut Entry)) {
        let mut used = self.table.used.lock().unwrap_or_else(PoisonError::into_inner);
        // An entry with a call under way is not swept out.
        change(used.entry(self.key));
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.with_entry(|entry| entry.in_flight = entry.in_flight.saturating_sub(1));
    }
}

impl Used {
    /// Where to count this peer; `None` is among the others.
    fn place(&mut self, key: Key, peers_max: usize, now: Instant) -> Option<Key> {
        if self.by_peer.contains_key(&key) {
            return Some(key);
        }
        if self.by_peer.len() >= peers_max {
            self.sweep(now);
        }
        (self.by_peer.len() < peers_max).then_some(key)
    }

    fn entry(&mut self, key: Option<Key>) -> &mut Entry {
        match key {
            Some(key) => self.by_peer.entry(key).or_default(),
            None => &mut self.by_others,
        }
    }

    /// Forgets peers of whom everything is free again. That looks at all of them, so it is not done
    /// for each new peer.
    fn sweep(&mut self, now: Instant) {
        let is_soon = |at| now.saturating_duration_since(at) < SWEEP_PAUSE;
        if self.swept_at.is_some_and(is_soon) {
            return;
        }
        self.swept_at = Some(now);
        self.by_peer.retain(|_, entry| !entry.is_free(now));
    }
}

impl Entry {
    fn begin(&mut self, bounds: &PeerBounds, now: Instant, bytes: usize) -> Result<()> {
        if bounds.in_flight_max.is_some_and(|max| self.in_flight >= max) {
            let max = bounds.in_flight_max.unwrap_or_default();
            let text = format!("{max} calls of this peer are under way");
            return Err(overloaded(text, RETRY_AFTER));
        }
        let mut then = *self;
        if let Some(rate) = bounds.calls {
            then.calls.take(now, rate, 1).map_err(|time| too_much("calls", rate, time))?;
        }
        if let Some(rate) = bounds.bytes {
            let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
            then.bytes.take(now, rate, bytes).map_err(|time| too_much("bytes", rate, time))?;
        }
        then.in_flight = then.in_flight.saturating_add(1);
        *self = then;
        Ok(())
    }

    fn is_free(&self, now: Instant) -> bool {
        self.in_flight == 0 && self.calls.is_none(now) && self.bytes.is_none(now)
    }
}

pub(crate) fn key_of(hashers: &Hashers, whose: &impl Hash) -> Key {
    (hashers.0.hash_one(whose), hashers.1.hash_one(whose))
}

fn too_much(what: &str, rate: Rate, time: Duration) -> Error {
    let text = format!("more than {rate} {what} a second of this peer");
    overloaded(text, time)
}

fn overloaded(text: String, time: Duration) -> Error {
    Error::found(Code::Overloaded, text).for_caller().with_retry_after(time)
}

/// No sweep follows another before that.
const SWEEP_PAUSE: Duration = Duration::from_millis(100);

/// When it is worth trying again while calls are under way.
const RETRY_AFTER: Duration = Duration::from_millis(100);
