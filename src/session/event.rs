//! What a session is told and tells, in words: what has to be done, how it ended, whose body comes.
//!
//! Nothing is decided here. How a peer breaks the protocol is in `violation`.

use std::time::Instant;

use bytes::Bytes;

use super::Violation;
use crate::command::Facts;
#[cfg(feature = "io")]
use crate::error::Code;
use crate::error::{CodeWord, Error};
use crate::wire::{FormatWord, Name, Options, Tag};

/// Which side opened the connection. Only an accepted one is closed for being idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Side {
    /// The peer connected to us.
    Accepted,
    /// We connected to the peer.
    Dialled,
}

/// What has to be done, given out by [`Session::poll_event`](crate::session::Session::poll_event).
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// Run this call, and report its end by
    /// [`handle_reply`](crate::session::Session::handle_reply). Boxed where its line is read: it
    /// passes many hands on its way to the handler.
    Call(Box<Call>),
    /// Stop running this call. Its final reply is written; its end must still be reported.
    Stop(CallId),
    /// Everything before it is answered: hand the stream to this command, then go on.
    Plain(Box<Plain>),
    /// The peer broke the protocol; close the connection.
    Close(Violation),
}

/// A call that has arrived whole: with a tag, or made by [`plain`](Self::plain).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Call {
    /// What to call it in [`Session::handle_reply`](crate::session::Session::handle_reply).
    pub id: CallId,
    /// The command.
    pub name: Name,
    /// Its format, trace and other options.
    pub options: Options,
    /// Its payload.
    pub payload: Bytes,
    /// When its answer is due: the caller's deadline or `call_time_max`, whichever is sooner.
    pub deadline: Instant,
}

/// The reply to a call of ours, as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
    /// Its payload.
    pub payload: Bytes,
    /// What its line says beside: the metadata.
    pub options: Options,
}

/// A plain call; its payload is still in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plain {
    /// The command.
    pub name: Name,
    /// The format asked for; the command's own if absent.
    pub format: Option<FormatWord>,
}

/// Names one call of the peer for as long as its handler runs. Unlike its tag it is never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallId {
    pub(super) tag: Tag,
    pub(super) is_streamed: bool,
    pub(super) serial: u64,
}

/// One streamed call, as whoever sends or takes its items names it. It is never reused, as its tag
/// is: whoever still has the id of a call that is over reaches no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamId {
    whose: Whose,
    tag: Tag,
    serial: u64,
}

impl Call {
    /// A call that has no tag, not even 0, and is no session's: a plain one.
    #[must_use]
    pub fn plain(name: Name, options: Options, deadline: Instant) -> Box<Self> {
        let id = CallId { tag: 0, is_streamed: false, serial: 0 };
        Box::new(Self { id, name, options, payload: Bytes::new(), deadline })
    }

    /// Whether it is a plain one.
    #[must_use]
    pub const fn is_plain(&self) -> bool {
        self.id.is_plain()
    }

    /// Bytes of the peer's in it beside its payload: options that mean nothing are kept as well.
    pub(crate) fn options_bytes(&self) -> usize {
        self.options.as_bytes().len()
    }
}

impl Received {
    /// Bytes of it that somebody keeps.
    pub(super) fn bytes(&self) -> usize {
        self.payload.len().saturating_add(self.options.as_bytes().len())
    }
}

impl CallId {
    /// The peer's number for the call; 0 if it wants no reply.
    #[must_use]
    pub const fn tag(self) -> Tag {
        self.tag
    }

    /// Whether its request or its reply comes in items.
    #[must_use]
    pub const fn is_streamed(self) -> bool {
        self.is_streamed
    }

    /// Whether it is that of a plain call, and of no session's.
    #[must_use]
    pub const fn is_plain(self) -> bool {
        self.serial == 0
    }
}

impl StreamId {
    pub(super) const fn new(whose: Whose, tag: Tag, serial: u64) -> Self {
        Self { whose, tag, serial }
    }

    pub(super) const fn whose(self) -> Whose {
        self.whose
    }

    pub(super) const fn tag(self) -> Tag {
        self.tag
    }

    /// What tells it from others with its tag.
    pub(super) const fn serial(self) -> u64 {
        self.serial
    }
}

/// A call of the peer.
impl From<CallId> for StreamId {
    fn from(id: CallId) -> Self {
        Self { whose: Whose::Theirs, tag: id.tag, serial: id.serial }
    }
}

/// What became of the calls of a peer, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Calls with a tag that were given an answer, or an error.
    pub answered: u64,
    /// Calls, with or without a tag, that were ended with the connection or its draining.
    pub cut_off: u64,
    /// One-way calls that ran to their end or to their deadline.
    pub one_way: u64,
    /// One-way calls that did not run, of which their caller cannot be told.
    pub one_way_refused: u64,
    /// Plain calls that were given out, however they ended.
    pub plain: u64,
    /// Calls, with or without a tag, that the session itself refused: it has not given them out.
    pub turned_away: u64,
}

impl Tally {
    /// Adds what became of the calls of another peer.
    pub fn add(&mut self, other: Self) {
        self.answered = self.answered.saturating_add(other.answered);
        self.cut_off = self.cut_off.saturating_add(other.cut_off);
        self.one_way = self.one_way.saturating_add(other.one_way);
        self.one_way_refused = self.one_way_refused.saturating_add(other.one_way_refused);
        self.plain = self.plain.saturating_add(other.plain);
        self.turned_away = self.turned_away.saturating_add(other.turned_away);
    }

    /// A call has ended by its handler, its deadline or its caller.
    pub(super) fn note_ended(&mut self, tag: Tag) {
        let Self { answered, one_way, .. } = self;
        let count = if tag == 0 { one_way } else { answered };
        *count = count.saturating_add(1);
    }

    /// A call does not run. If it has a tag its caller has been told.
    pub(super) fn note_refused(&mut self, tag: Tag) {
        self.turned_away = self.turned_away.saturating_add(1);
        if tag == 0 {
            self.one_way_refused = self.one_way_refused.saturating_add(1);
        }
    }

    /// A call was given out, and then refused there: that is not the session's doing.
    pub(super) fn note_handed_back(&mut self) {
        self.turned_away = self.turned_away.saturating_sub(1);
    }

    pub(super) fn note_cut_off(&mut self, calls: usize) {
        let calls = u64::try_from(calls).unwrap_or(u64::MAX);
        self.cut_off = self.cut_off.saturating_add(calls);
    }
}

/// How a plain call ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum PlainEnd {
    /// Well; the next command follows.
    Done,
    /// Well, and nothing follows: that the stream ends is how the caller knows.
    Last,
    /// Badly, but its payload was read whole and the next command follows.
    Failed(Error),
    /// It was refused, but its payload was read whole and the next command follows. That counts as
    /// a mistake, if it is one of the caller's.
    Refused(Error),
    /// Badly, and nobody knows where the next command begins.
    OutOfStep(Error),
}

#[cfg(feature = "io")]
impl PlainEnd {
    /// The code of its error, if it ended badly.
    pub(crate) fn code(&self) -> Option<Code> {
        match self {
            Self::Done | Self::Last => None,
            Self::Failed(error) | Self::Refused(error) | Self::OutOfStep(error) => {
                Some(error.code())
            }
        }
    }
}

/// Whose call it is. Each side numbers its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Whose {
    Ours,
    Theirs,
}

/// What the command of a call has in place of limits. Beside the call, and not in it: most have
/// nothing.
pub(super) type OwnFacts = Option<Box<Facts>>;

/// Whose body comes next.
#[derive(Debug)]
pub(super) enum BodyOf {
    // Its payload is still empty, and its deadline the time at which its line came.
    Call(Box<Call>, OwnFacts),
    // `None` where the line says no more than that it went well, as nearly always.
    Reply(Tag, Option<Box<Head>>),
    Item(Whose, Tag, Option<u64>),
    Notice(Box<(CodeWord, Options)>),
}

/// What the line of a reply says beside its length.
#[derive(Debug)]
pub(super) struct Head {
    /// That of an error.
    pub(super) word: Option<CodeWord>,
    pub(super) options: Options,
}
