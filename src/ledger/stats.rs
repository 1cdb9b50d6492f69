//! What has been counted, as plain data.

use std::collections::BTreeMap;

use serde::Serialize;

use super::latency::Latency;
use crate::error::Code;

/// What an [`Endpoint`](crate::Endpoint) has done since it was made, by
/// [`Endpoint::stats`](crate::Endpoint::stats).
///
/// Each number is exact. They are read one after the other while calls go on, without a lock, so
/// together they are a picture of nearly one moment: what has ended is read before what has begun.
/// When nothing is under way, `begun` is `answered` and all `errors`.
///
/// Its `Display` is the reply to `?STATS`, and `Serialize` makes the JSON of it.
///
/// ```
/// # #[cfg(feature = "bincode")] {
/// use switchboard::{Command, Endpoint, Error};
///
/// const DOUBLE: Command<u32, u32> = Command::new("DOUBLE");
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> switchboard::Result<()> {
/// let endpoint = Endpoint::new().on(DOUBLE, async |number| Ok::<_, Error>(2 * number));
/// endpoint.client().call(DOUBLE, &21).await?;
///
/// let stats = endpoint.stats();
/// let double = stats.command("DOUBLE").unwrap();
/// assert_eq!((double.begun, double.answered, double.in_flight), (1, 1, 0));
/// # Ok(())
/// # } }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// The calls of each command that is registered now, by name. A name that is removed and added
    /// again goes on where it was.
    pub commands: BTreeMap<String, CallStats>,
    /// The calls of all commands together, of those that were removed since, and `own`.
    pub calls: CallStats,
    /// Calls of the endpoint's own commands, whose names begin with `?`, all together. A `?PING`
    /// with a tag is none: its connection answers it.
    pub own: CallStats,
    /// Calls that belong to no command and were refused, by the code that they got: mostly
    /// `unknown_command`.
    pub calls_refused: BTreeMap<Code, u64>,
    /// Calls that their connection or their door refused by its own limits, before anybody looked
    /// for a command: too many at once, too large, too late, or while it drained.
    pub calls_turned_away: u64,
    /// Its connections.
    pub connections: ConnectionStats,
    /// Bytes that are held for peers now, of [`held_bytes_max`](crate::Limits::held_bytes_max).
    /// Clones with other limits have a count of their own.
    pub held_bytes: u64,
    /// Threads that run a [`blocking`](crate::blocking()) function now, or are to run one, of
    /// [`blocking_calls_max`](crate::Limits::blocking_calls_max). Counted as `held_bytes` is.
    pub blocking_threads: u64,
}

/// What became of calls.
///
/// A call counts when its command is found: with an error if it is refused then. A call that its
/// caller gives up, or that ends with its connection, counts as `cancelled`, and one whose time is
/// over as `deadline_exceeded`, whoever keeps its time. Whether a reply came to its caller is not
/// known here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CallStats {
    /// Calls that came.
    pub begun: u64,
    /// Calls that ended with a reply, or a raw command without an error.
    pub answered: u64,
    /// Calls under way.
    pub in_flight: u64,
    /// Calls that ended with an error, by code. Codes without a call are not in it.
    pub errors: BTreeMap<Code, u64>,
    /// Those of `begun` that wanted no reply.
    pub one_way: u64,
    /// Those of `begun` that were streamed.
    pub streams: u64,
    /// Items of requests that were taken.
    pub items_in: u64,
    /// Items of replies that were given.
    pub items_out: u64,
    /// Bytes of the payloads of requests and of their items. Those that a raw command reads are in
    /// no count.
    pub payload_bytes_in: u64,
    /// Bytes of the payloads of replies and of their items, but not of errors.
    pub payload_bytes_out: u64,
    /// How long calls took, from when they had been read until their handler's reply was encoded.
    /// Calls that were refused are not in it.
    pub latency: Latency,
}

/// The connections that came in at the listeners of an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ConnectionStats {
    /// Those that are open now.
    pub open: u64,
    /// Those for which there was a place.
    pub accepted: u64,
    /// Those that were turned away since [`connections_max`](crate::Limits::connections_max) were
    /// open.
    pub refused_in_all: u64,
    /// Those that were turned away since
    /// [`connections_per_peer_max`](crate::Limits::connections_per_peer_max) of their peer were
    /// open.
    pub refused_of_peer: u64,
    /// Accepted ones whose handshake failed or took too long.
    pub handshakes_failed: u64,
    /// Those that were ended since their peer did not read within `write_time_max`. This and the
    /// next three count connections of the library's own protocol, whichever side opened them.
    pub cut_not_reading: u64,
    /// Those that were ended since their peer did not finish a line or a body in time.
    pub cut_slow: u64,
    /// Those that were ended since nothing came any more: `idle_time_max` or the keepalive.
    pub cut_silent: u64,
    /// Those that were ended since their peer broke the protocol.
    pub cut_protocol: u64,
}

impl Stats {
    /// The calls of this command, if it is registered now.
    #[must_use]
    pub fn command(&self, name: &str) -> Option<&CallStats> {
        self.commands.get(name)
    }
}

impl CallStats {
    /// Calls that ended with an error, whatever its code.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.errors.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (count, more) in [
            (&mut self.begun, other.begun),
            (&mut self.answered, other.answered),
            (&mut self.in_flight, other.in_flight),
            (&mut self.one_way, other.one_way),
            (&mut self.streams, other.streams),
            (&mut self.items_in, other.items_in),
            (&mut self.items_out, other.items_out),
            (&mut self.payload_bytes_in, other.payload_bytes_in),
            (&mut self.payload_bytes_out, other.payload_bytes_out),
        ] {
            *count = count.saturating_add(more);
        }
        for (code, more) in &other.errors {
            let count = self.errors.entry(*code).or_default();
            *count = count.saturating_add(*more);
        }
        self.latency.add(&other.latency);
    }
}
