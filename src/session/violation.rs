//! How a peer can break the protocol, and what it is told then.
//!
//! None of these concerns one call: after each of them the connection cannot go on. What concerns
//! one call is an error in its final reply.

use std::fmt;
use std::time::Duration;

use super::half::Misuse;
use crate::error::Code;
use crate::wire::{Flaw, Tag};

/// How the peer broke the protocol. The connection cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// Bytes that are no line.
    Flaw(Flaw),
    /// A call with the tag of a call that is not answered yet.
    DuplicateTag(Tag),
    /// A reply to a call that was never made, or was answered before.
    UnknownTag(Tag),
    /// A part of a stream in a call that is not a stream.
    NotAStream(Tag),
    /// A part of a stream that may not come in it, or not then.
    Stream(Tag, Misuse),
    /// A plain call while a streamed one is open.
    PlainBehindStream,
    /// The stream ended in the middle of a line or a body.
    CutShort,
    /// More errors in a row than `consecutive_errors_max`.
    TooManyErrors(u32),
    /// The peer was too slow.
    Slow(Slowness, Duration),
}

/// In what a peer was too slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Slowness {
    /// Finishing a line, within `line_time_max`.
    Line,
    /// Finishing a body, within `body_time_max`.
    Body,
    /// Finishing a body, within the longer time that those of its command have; see
    /// [`Facts::payload_bytes_max`](crate::Facts::payload_bytes_max).
    LongBody,
    /// Doing anything, within `idle_time_max`.
    Idle,
    /// Reading what we write, within `write_time_max`.
    Write,
    /// Sending anything after a `?PING`, within the time of
    /// [`Session::keep_alive`](crate::session::Session::keep_alive).
    Ping,
}

impl Violation {
    /// The code under which the peer is told.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            // No call is under way then, so one that crosses this on the wire did not run.
            Self::Slow(Slowness::Idle, _) => Code::ShuttingDown,
            Self::Slow(..) => Code::DeadlineExceeded,
            _ => Code::Protocol,
        }
    }

    /// Whether there is somebody who would read and understand it.
    #[must_use]
    pub const fn is_worth_telling(&self) -> bool {
        match self {
            Self::Flaw(flaw) => !flaw.is_foreign(),
            Self::Slow(Slowness::Write | Slowness::Ping, _) => false,
            _ => true,
        }
    }
}

impl From<Flaw> for Violation {
    fn from(flaw: Flaw) -> Self {
        Self::Flaw(flaw)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flaw(flaw) => flaw.fmt(f),
            Self::DuplicateTag(tag) => write!(f, "tag {tag} is of a call that is not answered yet"),
            Self::UnknownTag(tag) => write!(f, "a reply to tag {tag}, which is of no call"),
            Self::NotAStream(tag) => write!(f, "an item or credit for tag {tag}, not a stream"),
            Self::Stream(tag, misuse) => write!(f, "tag {tag}: {misuse}"),
            Self::PlainBehindStream => f.write_str("a plain call behind a stream that is open"),
            Self::CutShort => f.write_str("the stream ended in the middle of a line or a body"),
            Self::TooManyErrors(max) => {
                write!(f, "more errors in a row than consecutive_errors_max ({max})")
            }
            Self::Slow(slowness, time) => write!(f, "{slowness} ({time:?})"),
        }
    }
}

impl std::error::Error for Violation {}

impl fmt::Display for Slowness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Line => "a line took longer than line_time_max",
            Self::Body => "a body took longer than body_time_max",
            Self::LongBody => "a body took longer than body_time_max of its command",
            Self::Idle => "nothing was sent for idle_time_max",
            Self::Write => "nothing was read for write_time_max",
            Self::Ping => "no answer to ?PING came within the keepalive time",
        })
    }
}
