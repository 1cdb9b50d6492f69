//! Every bound that keeps a peer from using this process up.
//!
//! One struct, no `None`, no "unlimited". The default of each field is finite and meant for an
//! untrusted network. Its documentation says how much the worst peer can cost with it.
//! `tests/endpoint/limits.rs` has a test for each field, and one that fails when a field has none.
//!
//! A bound that lets nothing through ends or hangs every call, and nobody sees why. So each field
//! has a least value, and setting a value that can't work fails with the field's name. Zero is
//! refused only where it has no meaning: it may mean "none", as for `blocking_calls_max`, or "don't
//! wait", as for `linger_time_max`.

mod serialized;

use std::fmt::Debug;
use std::time::Duration;

use crate::error::{Code, Error, Result};

/// The bounds of an [`Endpoint`](crate::Endpoint) or a [`Client`](crate::Client).
///
/// Setting limits with a value that can't work fails: see [`check`](Self::check).
///
/// ```
/// use switchboard::Limits;
///
/// let limits = Limits::default().with(|limits| limits.payload_bytes_max = 4096);
/// assert_eq!(limits.payload_bytes_max, 4096);
/// ```
///
/// # In a file
///
/// A configuration may hold limits, in a format of serde such as JSON or TOML. It names those that
/// differ from the default. Times are seconds, with or without a fraction; below 97 days they are
/// read back to the nanosecond. A name that is not a limit is refused, and so is a value that can't
/// work.
///
/// ```
/// # #[cfg(feature = "json")] {
/// use std::time::Duration;
/// use switchboard::Limits;
///
/// let text = r#"{ "payload_bytes_max": 4096, "idle_time_max": 0.25, "call_time_max": 5 }"#;
/// let limits: Limits = serde_json::from_str(text).unwrap();
/// let expected = Limits::default().with(|limits| {
///     limits.payload_bytes_max = 4096;
///     limits.idle_time_max = Duration::from_millis(250);
///     limits.call_time_max = Duration::from_secs(5);
/// });
/// assert_eq!(limits, expected);
///
/// let error = serde_json::from_str::<Limits>(r#"{ "calls_max": 0 }"#).unwrap_err();
/// let text = "calls_max (0) can't work: it is below 1";
/// assert!(error.to_string().starts_with(text), "{error}");
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of one protocol line, its end included. Default 8,192, and no less: every peer takes
    /// lines of 8,192 bytes, which is enough for every call and reply.
    ///
    /// Worst case: this many bytes for each connection. A longer line ends the connection.
    pub line_bytes_max: usize,
    /// Bytes of one payload, in either direction. Default 1 MiB.
    ///
    /// Worst case: one payload being read for each connection, as long as
    /// [`held_bytes_max`](Self::held_bytes_max) allows. A longer payload is skipped and refused
    /// with `too_large`; a longer value of our own is refused before a byte of it is sent. A
    /// command may have its own limit, by
    /// [`Command::payload_bytes_max`](crate::Command::payload_bytes_max).
    pub payload_bytes_max: usize,
    /// Levels of nesting of one value, in either direction. Default 128, at most
    /// [`DEPTH_MOST`](Self::DEPTH_MOST). A deeper value of our own is refused before it is sent.
    ///
    /// Counted at each option, newtype, sequence, tuple, map, struct and enum, so a level of
    /// `Option<Box<Self>>` costs two. The stack grows with the levels and with the sizes of their
    /// types, so small stacks are enough: see [`Budget`](crate::format::Budget).
    pub depth_max: usize,
    /// Elements that one decode may produce beyond one for each byte of its payload. Default 1,024.
    ///
    /// The elements of sequences and the keys of maps count. Worst case: the time to make that many
    /// empty elements.
    pub spare_elements_max: usize,
    /// Bytes of type definitions that the gobs of one connection may leave with it. Default 16 KiB.
    /// For Go's `net/rpc` the limit is
    /// [`net_rpc_definition_bytes_max`](Self::net_rpc_definition_bytes_max).
    ///
    /// Worst case: this many bytes for each connection, copied and looked through for each gob that
    /// needs them; while a gob is read, twice as many. They count twelve times against
    /// [`held_bytes_max`](Self::held_bytes_max), as much as they take in memory. If a gob leaves
    /// more than this, all are forgotten. A gob with over twice as many, or one that needs a
    /// forgotten definition, is refused and the connection closed.
    pub definition_bytes_max: usize,
    /// Bytes of type definitions on one connection of Go's `net/rpc`. Default 256 KiB: some 15,000
    /// fields.
    ///
    /// Such a connection defines each type once, so no definition may be forgotten before it ends.
    /// Worst case: this many bytes for each connection, which count twelve times against
    /// [`held_bytes_max`](Self::held_bytes_max), as much as they take in memory. They are copied
    /// and looked through for each gob that needs them. A call that brings more is refused with
    /// `too_large`, those under way are answered, and the connection is closed.
    pub net_rpc_definition_bytes_max: usize,
    /// Bytes of memory that one decode may fill. Default 16 MiB, at least 1 KiB, since even a short
    /// text needs some.
    ///
    /// A decode is charged for the memory that it asks the allocator for, and for what the
    /// allocator adds. Vectors, hash tables, trees and boxes of the standard library and
    /// `serde_json::Value` are charged as much as they take, other containers as the worst of
    /// these. Text and byte strings are charged only beyond the length of the payload; up to that
    /// length they come on top. For types that serde fills from a buffer (`untagged`, `tag`,
    /// `flatten`) the buffer is charged, as another container. A megabyte of JSON is about 10 MB as
    /// a `Value`, but 50 MB if it is all objects of one or two fields. New stack for deep values
    /// counts too while it is in use, all but its first piece.
    ///
    /// Worst case: this many bytes for each payload, all of which count against
    /// [`held_bytes_max`](Self::held_bytes_max) while it is decoded, and as long as a call holds
    /// its value; and 16 KiB for each thread that decodes. `tests/charges.rs` has a table of 50
    /// types, with the charge and the memory of each.
    pub decode_bytes_max: usize,

    /// Calls of one connection that may be unanswered at a time, in each direction. Default 1,024,
    /// at least 1.
    ///
    /// One more is refused with `overloaded`; a one-way call waits instead, since nobody would hear
    /// the refusal. A cancelled call counts until its handler has ended.
    pub calls_per_connection_max: usize,
    /// Bytes of one-way calls of one connection that wait for other calls to end, once
    /// [`calls_per_connection_max`](Self::calls_per_connection_max) run. Default 4 MiB; each call
    /// counts 256 bytes beside its payload, and the bytes of its options beyond 64.
    ///
    /// Worst case: this many bytes and one payload for each connection, as long as
    /// [`held_bytes_max`](Self::held_bytes_max) allows. When more wait, the connection is not read
    /// until some have begun. Handlers that wait for replies of this peer get none meanwhile.
    pub one_way_bytes_max: usize,
    /// Mistakes of the caller in a row before its connection is closed: unknown commands, bad or
    /// too large payloads, and unsupported formats, found before a handler ran. Default 100. A call
    /// that goes well starts a new count; an error that a handler returns, whatever its code, does
    /// not count. Not counted where Go's `net/rpc` or lines of JSON are served.
    pub consecutive_errors_max: u32,
    /// Bytes waiting to be written to one connection before it is no longer read. Default 1 MiB,
    /// at least 1.
    ///
    /// Worst case: this many bytes and one payload for each connection, and as much again while we
    /// wait for replies of the peer ourselves.
    pub unwritten_bytes_max: usize,

    /// Streamed calls of one connection that may be open at a time, in each direction. Default 100,
    /// at least 1. One more is refused with `overloaded`. Streamed calls count against
    /// `streams_max`, and not against the limits of other calls.
    ///
    /// Worst case: the credit that was granted to each half, and one item.
    pub streams_per_connection_max: usize,
    /// Bytes of one item of a stream, in either direction. Default 64 KiB. A larger one ends its
    /// stream with `too_large`; one of our own is refused before a byte of it is sent.
    pub item_bytes_max: usize,
    /// Calls that may run at a time in the whole endpoint. Default 16,384, at least 1.
    ///
    /// One more is refused with `overloaded`.
    pub calls_max: usize,
    /// Streamed calls that may be open at a time in the whole endpoint. Default 16,384, at least 1.
    /// One more is refused with `overloaded`.
    pub streams_max: usize,
    /// Blocking handlers that may run at a time in the whole endpoint, each on a thread of its own,
    /// or wait for a thread of the runtime. Default 64. One more is refused with `overloaded`.
    pub blocking_calls_max: usize,
    /// Bytes held by the whole endpoint: read and not yet used, decoded and not yet answered,
    /// answered and not yet written. Default 256 MiB. The first 4 KiB that a connection has read,
    /// and the first 4 KiB of all else that it holds, do not count.
    ///
    /// A call under way counts 2 KiB, which includes the first 1 KiB that it keeps; memory that its
    /// handler allocates does not count. A call that does not fit is refused with `overloaded`.
    /// Worst case: peers that send only half of their large payloads leave others no room for large
    /// ones until `body_time_max` has passed; each connection is still served one small call at a
    /// time. The real memory is at most a quarter more, and 24 KiB for each connection;
    /// `tests/memory.rs` measures it.
    pub held_bytes_max: usize,
    /// Connections open at a time. Default 10,240, at least 1. One more is told `overloaded` and
    /// closed.
    pub connections_max: usize,
    /// Connections open at a time from one peer: an IPv4 address, an IPv6 network of 64 bits, or a
    /// user of this machine on a Unix socket. Default 1,024, at least 1. One more is told
    /// `overloaded` and closed.
    pub connections_per_peer_max: usize,

    /// Time from the accept of a connection to the end of its
    /// [`Handshake`](crate::transport::Handshake), if its listener has one. Default 10 s; then the
    /// connection is closed. It counts against [`connections_max`](Self::connections_max) all the
    /// while. Every time is at least 1 ms, but for those of draining and lingering.
    pub handshake_time_max: Duration,
    /// Time from the first byte of a line to its end. Default 10 s; then the connection is closed.
    pub line_time_max: Duration,
    /// Time from a line to the end of its payload. Default 30 s; then the connection is closed.
    pub body_time_max: Duration,
    /// Time without a byte in either direction and without a call under way. Default 5 min; then
    /// the accepting side closes the connection.
    pub idle_time_max: Duration,
    /// Time in which the peer must take everything that waits to be written when this time begins.
    /// Default 10 s; then the connection is closed.
    pub write_time_max: Duration,
    /// Time for one call, whatever its caller asks for. Default 30 s; then the call is answered
    /// with `deadline_exceeded` and its handler stopped. It is also the time of our own calls that
    /// have no other. A command may have its own, by [`Command::timeout`](crate::Command::timeout).
    /// A raw handler may take as long as it likes: only the times of its reads and writes bind it.
    pub call_time_max: Duration,
    /// Time in which the peer has to grant credit for items that wait. Default 60 s; then the
    /// streamed call ends with `deadline_exceeded`.
    pub stall_time_max: Duration,
    /// Time that calls under way get to finish when the endpoint stops. Default 10 s; then they end
    /// with `shutting_down`, as calls that may have run.
    ///
    /// Stopping may take longer: a connection has `write_time_max` more if its peer does not read
    /// its last replies, and `linger_time_max` more until its peer ends as well. So whoever kills a
    /// program that does not stop, such as `TimeoutStopSec` of systemd, must wait for longer than
    /// the sum of the three.
    pub drain_time_max: Duration,
    /// Time to read the bytes that the peer still sends after our last byte. Default 2 s.
    ///
    /// Closing with unread input makes TCP throw away what was written before.
    pub linger_time_max: Duration,
    /// Bytes to read of those that the peer still sends after our last byte. Default 16 MiB; none
    /// is kept.
    pub linger_bytes_max: usize,
}

impl Limits {
    /// The most that [`depth_max`](Self::depth_max) can be: 1,024.
    ///
    /// A value that has been decoded is dropped, cloned, compared and printed by code that knows no
    /// limit and grows no stack. Without optimisation each level takes up to 0.7 KiB of stack when
    /// it is dropped, and up to 1.3 KiB when it is cloned or printed (a map in a map), so 1,024
    /// levels are safe on a stack of 2 MiB, and the default of 128 on one of 256 KiB. A clone of
    /// nodes that are kilobytes large themselves takes more.
    pub const DEPTH_MOST: usize = 1024;

    /// These limits with some of them changed.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Checks that calls can be made and answered within these limits.
    ///
    /// [`Endpoint::with_limits`](crate::Endpoint::with_limits) and
    /// [`Connection::with_limits`](crate::Connection::with_limits) panic with the text of this
    /// error, since such a limit is a mistake in the program. Call this for limits that come from
    /// elsewhere.
    ///
    /// ```
    /// use switchboard::Limits;
    ///
    /// let limits = Limits::default().with(|limits| limits.unwritten_bytes_max = 0);
    /// let text = "unwritten_bytes_max (0) can't work: it is below 1";
    /// assert_eq!(limits.check().unwrap_err().text(), text);
    /// ```
    ///
    /// # Errors
    ///
    /// `failed` with the name of the first limit that can't work, its value, and the least or
    /// greatest value that works.
    pub fn check(&self) -> Result<()> {
        // Named one by one, so that a new field is not forgotten here. Where nothing is checked,
        // zero means that there is none of it, or no waiting, and all else works.
        let Self {
            line_bytes_max,
            payload_bytes_max: _,
            depth_max,
            spare_elements_max: _,
            definition_bytes_max: _,
            net_rpc_definition_bytes_max: _,
            decode_bytes_max,
            calls_per_connection_max,
            one_way_bytes_max: _,
            consecutive_errors_max: _,
            unwritten_bytes_max,
            streams_per_connection_max,
            item_bytes_max: _,
            calls_max,
            streams_max,
            blocking_calls_max: _,
            held_bytes_max: _,
            connections_max,
            connections_per_peer_max,
            handshake_time_max,
            line_time_max,
            body_time_max,
            idle_time_max,
            write_time_max,
            call_time_max,
            stall_time_max,
            drain_time_max: _,
            linger_time_max: _,
            linger_bytes_max: _,
        } = self;
        at_least("line_bytes_max", line_bytes_max, &LINE_BYTES_LEAST)?;
        at_least("decode_bytes_max", decode_bytes_max, &DECODE_BYTES_LEAST)?;
        at_most("depth_max", depth_max, &Self::DEPTH_MOST)?;
        at_least("calls_per_connection_max", calls_per_connection_max, &1)?;
        at_least("unwritten_bytes_max", unwritten_bytes_max, &1)?;
        at_least("streams_per_connection_max", streams_per_connection_max, &1)?;
        at_least("calls_max", calls_max, &1)?;
        at_least("streams_max", streams_max, &1)?;
        at_least("connections_max", connections_max, &1)?;
        at_least("connections_per_peer_max", connections_per_peer_max, &1)?;
        at_least("handshake_time_max", handshake_time_max, &TIME_LEAST)?;
        at_least("line_time_max", line_time_max, &TIME_LEAST)?;
        at_least("body_time_max", body_time_max, &TIME_LEAST)?;
        at_least("idle_time_max", idle_time_max, &TIME_LEAST)?;
        at_least("write_time_max", write_time_max, &TIME_LEAST)?;
        at_least("call_time_max", call_time_max, &TIME_LEAST)?;
        at_least("stall_time_max", stall_time_max, &TIME_LEAST)
    }
}

pub(crate) fn at_least<T: PartialOrd + Debug>(name: &str, value: &T, least: &T) -> Result<()> {
    if value >= least {
        return Ok(());
    }
    Err(cannot_work(format!("{name} ({value:?}) can't work: it is below {least:?}")))
}

pub(crate) fn at_most<T: PartialOrd + Debug>(name: &str, value: &T, most: &T) -> Result<()> {
    if value <= most {
        return Ok(());
    }
    Err(cannot_work(format!("{name} ({value:?}) can't work: it is above {most:?}")))
}

#[cold]
fn cannot_work(text: String) -> Error {
    Error::local(Code::Failed, text)
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line_bytes_max: 8192,
            payload_bytes_max: MIB,
            depth_max: 128,
            spare_elements_max: 1024,
            definition_bytes_max: 16 * 1024,
            net_rpc_definition_bytes_max: 256 * 1024,
            decode_bytes_max: 16 * MIB,
            calls_per_connection_max: 1024,
            one_way_bytes_max: 4 * MIB,
            consecutive_errors_max: 100,
            unwritten_bytes_max: MIB,
            streams_per_connection_max: 100,
            item_bytes_max: 64 * 1024,
            calls_max: 16_384,
            streams_max: 16_384,
            blocking_calls_max: 64,
            held_bytes_max: 256 * MIB,
            connections_max: 10_240,
            connections_per_peer_max: 1024,
            handshake_time_max: Duration::from_secs(10),
            line_time_max: Duration::from_secs(10),
            body_time_max: Duration::from_secs(30),
            idle_time_max: Duration::from_secs(300),
            write_time_max: Duration::from_secs(10),
            call_time_max: Duration::from_secs(30),
            stall_time_max: Duration::from_secs(60),
            drain_time_max: Duration::from_secs(10),
            linger_time_max: Duration::from_secs(2),
            linger_bytes_max: 16 * MIB,
        }
    }
}

/// How many bytes a payload may have, and who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PayloadMax {
    pub(crate) bytes: usize,
    /// It is a fact of the command, and not the endpoint's limit.
    pub(crate) is_of_command: bool,
}

impl PayloadMax {
    /// As many as the limits say.
    pub(crate) const fn of_limits(payload_bytes_max: usize) -> Self {
        Self { bytes: payload_bytes_max, is_of_command: false }
    }

    /// Whether it is less than so many.
    pub(crate) fn is_below(self, bytes: u64) -> bool {
        u64::try_from(self.bytes).is_ok_and(|max| max < bytes)
    }

    /// The limit with its value, as it is told.
    pub(crate) fn name(self) -> String {
        let of_command = if self.is_of_command { " of its command" } else { "" };
        format!("payload_bytes_max{of_command} ({})", self.bytes)
    }

    /// What is said of a payload that is over it.
    pub(crate) fn too_large(self, bytes: impl std::fmt::Display) -> String {
        format!("a payload of {bytes} bytes is over {}", self.name())
    }
}

/// How much time a call may take, and who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeMax {
    pub(crate) time: Duration,
    /// It is a fact of the command, and not the endpoint's limit.
    pub(crate) is_of_command: bool,
}

impl TimeMax {
    /// The limit with its value, as it is told.
    pub(crate) fn name(self) -> String {
        let name = if self.is_of_command { "the timeout of its command" } else { "call_time_max" };
        format!("{name} ({:?})", self.time)
    }

    /// What is said of a handler that takes longer.
    pub(crate) fn over_time(self) -> String {
        format!("the handler did not answer within {}", self.name())
    }
}

/// Enough for every line that can be written, with all options and the most metadata.
const LINE_BYTES_LEAST: usize = 8192;

/// More than a short text takes, with what the allocator adds.
const DECODE_BYTES_LEAST: usize = 1024;

/// The unit in which times are told to a peer, and in which timers run.
pub(crate) const TIME_LEAST: Duration = Duration::from_millis(1);

/// What is said of bytes that the endpoint has no room for.
pub(crate) fn over_held(bytes: usize, held: usize, held_bytes_max: usize) -> String {
    format!("{bytes} bytes on top of {held} are over held_bytes_max ({held_bytes_max})")
}

const MIB: usize = 1024 * 1024;
