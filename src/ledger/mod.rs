//! What an endpoint has done, counted once for all doors.
//!
//! ```text
//!   Ledger ── of the endpoint: its connections, and calls that belong to no command
//!     └─ Figures ── of one name; the registry keeps them beside the handler
//!          └─ Tab ── of one call under way: it begins and ends the call in them, once
//! ```
//!
//! Only the program makes names, so a peer can make no series: calls of a name that is not
//! registered count here, all together.
//!
//! On the way of a call nothing is locked: its figures come with the look-up of its handler, and
//! are numbers that are added to. The lock in here is taken when a command is added or removed, and
//! when somebody reads.
//!
//! A name keeps its figures when its handler is removed, and goes on with them when it is added
//! again: what counts for ever must not begin anew. Of [`FORMER_MAX`] such names, that is; what is
//! beyond is added to the sum and forgotten.

mod counter;
mod figures;
mod latency;
#[cfg(feature = "metrics")]
mod publish;
mod shown;
mod stats;
mod tab;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::HashMap;

use self::counter::{Counter, PerCode, as_u64};
pub(crate) use self::figures::{Figures, Opening};
pub use self::latency::Latency;
pub use self::stats::{CallStats, ConnectionStats, Stats};
pub(crate) use self::tab::Tab;
use crate::error::Code;
use crate::wire::Name;

/// What an endpoint and its clones have done.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    // Of the commands that begin with `?`, all together.
    own: Arc<Figures>,
    // Refused calls that belong to no command.
    nameless: PerCode,
    // Those that did not come so far: their connection or door had no place for them.
    turned_away: Counter,
    connections: Connections,
    former: Mutex<Former>,
}

#[derive(Debug, Default)]
struct Connections {
    accepted: Counter,
    closed: Counter,
    refused_in_all: Counter,
    refused_of_peer: Counter,
    handshakes_failed: Counter,
    cut: [Counter; 4],
}

/// Why a connection found no place.
#[derive(Clone, Copy, Debug)]
pub(crate) enum NoPlace {
    /// `connections_max` are open.
    InAll,
    /// `connections_per_peer_max` are open.
    OfPeer,
}

/// Why this side ended a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    /// The peer did not read what was written to it.
    NotReading,
    /// The peer did not finish a line or a body.
    Slow,
    /// Nothing came any more.
    Silent,
    /// The peer broke the protocol.
    Protocol,
}

/// Whose figures there are, at one moment.
pub(crate) struct Listed {
    // Of the names that have a handler.
    commands: Vec<(Name, Arc<Figures>)>,
    former: Vec<(Name, Arc<Figures>)>,
    forgotten: CallStats,
}

/// The figures of names without a handler.
#[derive(Debug, Default)]
struct Former {
    by_name: HashMap<Name, Arc<Figures>>,
    // Of those that were too many.
    forgotten: Figures,
}

impl Ledger {
    /// The figures of a name that is registered now: those that it had before, if it had any.
    pub(crate) fn open(&self, name: &Name) -> Arc<Figures> {
        self.former().by_name.remove(name).unwrap_or_default()
    }

    /// The handler of this name was removed. Calls that are running go on to count.
    pub(crate) fn close(&self, name: Name, figures: Arc<Figures>) {
        self.former().put(name, figures);
    }

    /// The figures of the endpoint's own commands.
    pub(crate) fn own(&self) -> &Arc<Figures> {
        &self.own
    }

    /// A call was refused that belongs to no command.
    pub(crate) fn refuse(&self, code: Code) {
        self.nameless.add(code);
    }

    /// So many calls found no place at their connection or their door.
    pub(crate) fn turn_away(&self, calls: u64) {
        self.turned_away.add(calls);
    }

    pub(crate) fn accept_connection(&self) {
        self.connections.accepted.add(1);
    }

    pub(crate) fn close_connection(&self) {
        self.connections.closed.add(1);
    }

    pub(crate) fn refuse_connection(&self, reason: NoPlace) {
        let Connections { refused_in_all, refused_of_peer, .. } = &self.connections;
        match reason {
            NoPlace::InAll => refused_in_all.add(1),
            NoPlace::OfPeer => refused_of_peer.add(1),
        }
    }

    pub(crate) fn fail_handshake(&self) {
        self.connections.handshakes_failed.add(1);
    }

    pub(crate) fn cut_connection(&self, cut: Cut) {
        let [not_reading, slow, silent, protocol] = &self.connections.cut;
        match cut {
            Cut::NotReading => not_reading.add(1),
            Cut::Slow => slow.add(1),
            Cut::Silent => silent.add(1),
            Cut::Protocol => protocol.add(1),
        }
    }

    /// All figures beside those of the commands that are registered. To be asked while none is
    /// added or removed: in between, its figures are in neither place.
    pub(crate) fn list(&self, commands: Vec<(Name, Arc<Figures>)>) -> Listed {
        let former = self.former();
        let by_name = former.by_name.iter().map(|(name, figures)| (*name, Arc::clone(figures)));
        Listed { commands, former: by_name.collect(), forgotten: former.forgotten.stats() }
    }

    /// What has been counted; `held_bytes` and `blocking_threads` are counted elsewhere.
    pub(crate) fn stats(
        &self,
        listed: Listed,
        (held_bytes, blocking_threads): (usize, usize),
    ) -> Stats {
        let own = self.own.stats();
        let mut calls = own.clone();
        calls.add(&listed.forgotten);
        listed.former.iter().for_each(|(_, figures)| calls.add(&figures.stats()));
        let commands = listed.commands.into_iter().map(|(name, figures)| {
            let stats = figures.stats();
            calls.add(&stats);
            (name.to_string(), stats)
        });
        Stats {
            commands: commands.collect(),
            calls,
            own,
            calls_refused: self.nameless.read(),
            calls_turned_away: self.turned_away.read(),
            connections: self.connections.stats(),
            held_bytes: as_u64(held_bytes),
            blocking_threads: as_u64(blocking_threads),
        }
    }

    /// Tells the recorder of this thread or process what has been counted.
    #[cfg(feature = "metrics")]
    pub(crate) fn publish(
        &self,
        endpoint: Option<&str>,
        listed: Listed,
        held_and_blocking: (usize, usize),
    ) {
        let publisher = publish::Publisher { endpoint };
        let commands = listed.commands.iter().map(|(name, figures)| (name.as_str(), figures));
        for (name, figures) in commands.chain([("?", &self.own)]) {
            publisher.publish_latency(name, &figures.unpublished());
        }
        // What was told of a name stays as it is until more is told: also of one that was removed.
        for (name, figures) in listed.former.iter().filter(|(_, figures)| figures.is_published()) {
            publisher.publish_latency(name.as_str(), &figures.unpublished());
            publisher.publish_calls(name.as_str(), &figures.stats());
        }
        publisher.publish(&self.stats(listed, held_and_blocking));
    }

    fn former(&self) -> MutexGuard<'_, Former> {
        self.former.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connections {
    fn stats(&self) -> ConnectionStats {
        // What has ended first, so that nothing has ended that has not begun.
        let (closed, accepted) = (self.closed.read(), self.accepted.read());
        let [not_reading, slow, silent, protocol] = &self.cut;
        ConnectionStats {
            open: accepted.saturating_sub(closed),
            accepted,
            refused_in_all: self.refused_in_all.read(),
            refused_of_peer: self.refused_of_peer.read(),
            handshakes_failed: self.handshakes_failed.read(),
            cut_not_reading: not_reading.read(),
            cut_slow: slow.read(),
            cut_silent: silent.read(),
            cut_protocol: protocol.read(),
        }
    }
}

impl Former {
    fn put(&mut self, name: Name, figures: Arc<Figures>) {
        if let Some(before) = self.by_name.insert(name, figures) {
            self.forgotten.absorb(&before);
        }
        while self.by_name.len() > FORMER_MAX {
            // One to which no call adds any more, and which nobody reads.
            let is_quiet = |figures: &Arc<Figures>| Arc::strong_count(figures) == 1;
            let mut quiet = self.by_name.iter().filter(|(_, figures)| is_quiet(figures));
            let quiet = quiet.next().map(|(name, _)| *name);
            let Some(figures) = quiet.and_then(|name| self.by_name.remove(&name)) else { break };
            self.forgotten.absorb(&figures);
        }
    }
}

/// Names without a handler whose figures are kept: about half a KiB each.
const FORMER_MAX: usize = 1024;

#[cfg(test)]
mod tests;
