//! Cuts a stream into messages, messages into definitions and values.
//!
//! No input and no output: bytes are pushed in as they come, in pieces of any size, and none behind
//! the end of a value is taken. Every byte is looked at once.
//!
//! ```text
//!  message   length (uint), then so many bytes: a definition or a value
//!
//!            negative id: definition         the value is over
//!              ┌──────┐                  ┌───────────────────────┐
//!              ▼      │                  ▼                       │
//!         ┌─ Between ─┘ ──────────────► (walk) ──────────────────┘
//!         │              other id         │  ▲
//!         │                               ▼  │ the type's id, and more of the value
//!         │                     InType: the message ends where the type of an
//!         ▼                     interface value is to come; definitions come before it
//!      Broken: whatever went wrong; nothing more is taken
//! ```
//!
//! Go cuts a value in the middle when an interface holds a type that was not yet defined: the
//! message with the definition has all of the value so far in front of it. Inside two interfaces
//! the definition stands in the bytes of the outer value instead, with its own length behind the
//! next one's. What is kept of a value here is without all that, so whoever reads it need not know.

use super::types::Types;
use super::walk::{Stop, Walk};
use crate::error::{Error, ErrorKind, Result};
use crate::kinds::Kind;
use crate::limits::Limits;
use crate::wire::{Reader, UINT_BYTES_MAX, split_uint};

/// Follows a stream.
#[derive(Debug)]
pub(crate) struct Scanner {
    pub(crate) limits: Limits,
    pub(crate) types: Types,
    walk: Walk,
    state: State,
    // Of the message that has come partly: its length, or the bytes of that, and what is here.
    header: Vec<u8>,
    message_bytes: Option<usize>,
    message: Vec<u8>,
    // Of all messages since the last value.
    bytes: usize,
    // What the stream had before the message that is looked at.
    offset: u64,
    // The type of the value that is followed, and of the one that is complete.
    root: Kind,
    kind: Option<Kind>,
    value: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Between,
    InType,
    Broken,
}

/// What came of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "what was not used is to be pushed again"]
#[non_exhaustive]
pub struct Progress {
    /// How many of the bytes were taken. The rest is behind the value.
    pub used_bytes: usize,
    /// Whether a value is complete now.
    pub is_complete: bool,
}

/// A value that has come whole: its type and its bytes, without what cut it into pieces.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whole<'a> {
    pub(crate) kind: Kind,
    pub(crate) bytes: &'a [u8],
    /// Elements in it, which count against `elements_max`.
    pub(crate) elements: usize,
}

/// The room that is kept from one value to the next.
const VALUE_BYTES_KEPT: usize = 64 * 1024;

impl Scanner {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            types: Types::default(),
            walk: Walk::default(),
            state: State::Between,
            header: Vec::new(),
            message_bytes: None,
            message: Vec::new(),
            bytes: 0,
            offset: 0,
            root: Kind::Interface,
            kind: None,
            value: Vec::new(),
        }
    }

    /// Takes bytes, up to the end of a value.
    ///
    /// # Errors
    ///
    /// `Malformed` or `Limit`; from then on always.
    pub(crate) fn push(&mut self, input: &[u8]) -> Result<Progress> {
        if self.state == State::Broken {
            return Err(Error::new(ErrorKind::Malformed, "the stream was broken before"));
        }
        let pushed = self.push_messages(input);
        if pushed.is_err() {
            self.state = State::Broken;
            (self.kind, self.message) = (None, Vec::new());
        }
        pushed
    }

    /// The value that is complete, until more is pushed.
    pub(crate) fn whole(&self) -> Option<Whole<'_>> {
        let (kind, elements) = (self.kind?, self.walk.elements());
        Some(Whole { kind, bytes: &self.value, elements })
    }

    pub(crate) fn buffered_bytes(&self) -> usize {
        self.message.len().saturating_add(self.value.len())
    }

    /// Forgets the value that is complete.
    pub(crate) fn release(&mut self) {
        if self.kind.take().is_some() {
            self.types.begin_value(&self.limits);
            self.value = Vec::new();
        }
    }

    /// Whether nothing has come since the last value.
    pub(crate) fn is_between_values(&self) -> bool {
        self.bytes == 0 && self.header.is_empty() && self.state == State::Between
    }

    fn push_messages(&mut self, input: &[u8]) -> Result<Progress> {
        if self.kind.take().is_some() {
            self.types.begin_value(&self.limits);
        }
        let mut rest = input;
        let used = |rest: &[u8]| input.len().saturating_sub(rest.len());
        loop {
            let Some(len) = self.take_length(&mut rest)? else {
                return Ok(Progress { used_bytes: used(rest), is_complete: false });
            };
            let missing = len.saturating_sub(self.message.len());
            let Some((body, behind)) = rest.split_at_checked(missing) else {
                // It grows with what is here, not with what was announced.
                self.message.extend_from_slice(rest);
                return Ok(Progress { used_bytes: input.len(), is_complete: false });
            };
            rest = behind;
            self.message_bytes = None;
            if self.message.is_empty() {
                self.take_message(body)?;
            } else {
                let mut message = std::mem::take(&mut self.message);
                message.extend_from_slice(body);
                self.take_message(&message)?;
            }
            if self.kind.is_some() {
                self.bytes = 0;
                return Ok(Progress { used_bytes: used(rest), is_complete: true });
            }
        }
    }

    /// The length of the message, once it is there.
    fn take_length(&mut self, rest: &mut &[u8]) -> Result<Option<usize>> {
        if let Some(len) = self.message_bytes {
            return Ok(Some(len));
        }
        let before = self.header.len();
        let missing = UINT_BYTES_MAX.saturating_sub(before).min(rest.len());
        let (fresh, _) = rest.split_at_checked(missing).unwrap_or_default();
        self.header.extend_from_slice(fresh);
        let Some((len, len_bytes)) =
            split_uint(&self.header).map_err(|text| Error::malformed(self.offset, text))?
        else {
            *rest = &[];
            return Ok(None);
        };
        *rest = rest.get(len_bytes.saturating_sub(before)..).unwrap_or_default();
        self.header.clear();
        let max = self.limits.value_bytes_max;
        let bytes = usize::try_from(len).unwrap_or(usize::MAX);
        self.bytes = self.bytes.saturating_add(bytes).saturating_add(len_bytes);
        if self.bytes > max {
            let what = format!("a value of {} bytes or more", self.bytes);
            return Err(Error::limit(what, "value_bytes_max", max));
        }
        if len == 0 {
            return Err(Error::malformed(self.offset, "a message without a byte"));
        }
        self.offset = self.offset.saturating_add(len_bytes as u64);
        self.message_bytes = Some(bytes);
        Ok(Some(bytes))
    }

    fn take_message(&mut self, body: &[u8]) -> Result<()> {
        let mut reader = Reader::new(body, self.offset);
        self.offset = self.offset.saturating_add(body.len() as u64);
        if self.state == State::InType {
            self.state = State::Between;
            return self.follow(Some(Stop::Type), &mut reader);
        }
        let before = reader;
        let id = reader.int()?;
        if id < 0 {
            self.types.define(id.saturating_neg(), &mut reader, &self.limits)?;
            return match reader.left() {
                0 => Ok(()),
                left => Err(reader.malformed(format!("{left} bytes behind a definition"))),
            };
        }
        let kind = self.types.root(id, &before)?;
        self.value.clear();
        self.value.shrink_to(VALUE_BYTES_KEPT);
        self.walk.reset();
        let start = reader;
        let stop = self.walk.begin(kind, &mut reader, &self.types, &self.limits)?;
        self.keep(start, &reader);
        self.root = kind;
        self.follow(stop, &mut reader)
    }

    /// Follows a value to its end, or to the end of its message.
    fn follow(&mut self, mut stop: Option<Stop>, reader: &mut Reader<'_>) -> Result<()> {
        loop {
            stop = match stop {
                None | Some(Stop::InterfaceEnd) => {
                    let start = *reader;
                    let stop = self.walk.run(reader, &self.types, &self.limits)?;
                    self.keep(start, reader);
                    Some(stop)
                }
                Some(Stop::Type) => match self.take_type(reader)? {
                    None => return Ok(()),
                    Some(stop) => stop,
                },
                Some(Stop::Done) => {
                    self.kind = Some(self.root);
                    return match reader.left() {
                        0 => Ok(()),
                        left => {
                            Err(reader.malformed(format!("{left} bytes left behind the value")))
                        }
                    };
                }
            };
        }
    }

    /// Takes the type of the value in an interface, and the definitions before it; `None` if it
    /// comes with the next message.
    fn take_type(&mut self, reader: &mut Reader<'_>) -> Result<Option<Option<Stop>>> {
        loop {
            if reader.left() == 0 {
                self.state = State::InType;
                return Ok(None);
            }
            let start = *reader;
            let id = reader.int()?;
            if id >= 0 {
                let kind = self.types.root(id, &start)?;
                let stop = self.walk.enter_interface(kind, reader, &self.types, &self.limits)?;
                self.keep(start, reader);
                return Ok(Some(stop));
            }
            self.types.define(id.saturating_neg(), reader, &self.limits)?;
            self.walk.interrupt();
            if reader.left() > 0 {
                // The length of what comes behind the definition.
                reader.uint()?;
            }
        }
    }

    fn keep(&mut self, start: Reader<'_>, now: &Reader<'_>) {
        let passed = start.left().saturating_sub(now.left());
        self.value.extend_from_slice(start.rest().get(..passed).unwrap_or_default());
    }
}
