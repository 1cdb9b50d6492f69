//! Where payloads begin and end in a plain stream: all that is to be done for a [`Framing`].
//!
//! It looks at bytes and waits for nothing: the connection reads and writes, and keeps the time.
//!
//! | framing   | before a payload       | behind it                | stands alone            |
//! |-----------|------------------------|--------------------------|-------------------------|
//! | `Line`    |                        | LF, of a peer also CR LF | yes                     |
//! | `Counted` | its length, and LF     |                          | yes                     |
//! | `Gob`     |                        |                          | by a [`Memory`] of what |
//! |           |                        |                          | was said before it      |

use std::borrow::Cow;

use bytes::{Buf, Bytes, BytesMut};

use super::memory::{Memory, NewMemory};
use crate::error::{Code, Error, Result};
use crate::format::Framing;
use crate::limits::{Limits, PayloadMax};

/// The payloads of one connection.
#[derive(Default)]
pub(super) struct Payloads {
    // Made for the first payload that needs it.
    memory: Option<Box<dyn Memory>>,
}

/// How far the reading of one payload has come.
pub(super) struct Reading {
    ends: Ends,
    // Once it is known.
    len: Option<usize>,
    // Bytes at the beginning of the input that have no line end in them.
    scanned: usize,
}

/// What was found at the beginning of the input.
pub(super) enum Found {
    /// The payload.
    Payload(Bytes),
    /// How long it is; that has been taken.
    Length,
    /// Not enough yet: so many bytes are known to be missing.
    Missing(usize),
}

/// A payload as it is written.
pub(super) struct Framed<'a> {
    ends: Ends,
    pub(super) payload: Cow<'a, [u8]>,
}

/// How one sees where a payload ends: by the line end behind it, unless anything else is said.
#[derive(Clone, Copy)]
struct Ends {
    is_counted: bool,
    by_memory: Option<NewMemory>,
}

impl Ends {
    fn of(framing: Framing) -> Self {
        match framing {
            Framing::Line => Self { is_counted: false, by_memory: None },
            Framing::Counted => Self { is_counted: true, by_memory: None },
            #[cfg(feature = "gob")]
            Framing::Gob => Self { is_counted: false, by_memory: Some(super::gob::memory) },
        }
    }
}

impl Reading {
    pub(super) fn of(framing: Framing) -> Self {
        Self { ends: Ends::of(framing), len: None, scanned: 0 }
    }

    /// Of a payload that is `len` bytes long.
    ///
    /// # Errors
    ///
    /// `too_large`.
    pub(super) fn of_len(len: usize, max: PayloadMax) -> Result<Self> {
        if len > max.bytes {
            return Err(Error::found(Code::TooLarge, max.too_large(len)));
        }
        Ok(Self { len: Some(len), ..Self::of(Framing::Counted) })
    }

    /// Whether the end of the stream may come now, when nothing has been read that was not taken.
    pub(super) const fn may_end(&self) -> bool {
        self.len.is_none()
    }
}

impl Payloads {
    /// Takes the payload that is being read from `input` once it is complete.
    ///
    /// # Errors
    ///
    /// `too_large`, or `bad_payload`; the end of the payload is not known then.
    pub(super) fn take(
        &mut self,
        reading: &mut Reading,
        input: &mut BytesMut,
        limits: &Limits,
        max: PayloadMax,
    ) -> Result<Found> {
        if let Some(new) = reading.ends.by_memory {
            let payload = self.memory(new, limits, max).take(input)?;
            return Ok(payload.map_or(Found::Missing(0), Found::Payload));
        }
        if let Some(len) = reading.len {
            return Ok(match len.saturating_sub(input.len()) {
                0 => Found::Payload(input.split_to(len).freeze()),
                missing => Found::Missing(missing),
            });
        }
        let Some(line) = take_line(&mut reading.scanned, input, max)? else {
            return Ok(Found::Missing(0));
        };
        if reading.ends.is_counted {
            *reading = Reading::of_len(len_of(&line)?, max)?;
            return Ok(Found::Length);
        }
        Ok(Found::Payload(line))
    }

    /// A payload as it is to be written.
    ///
    /// # Errors
    ///
    /// `bad_payload` if it cannot be framed.
    pub(super) fn frame<'a>(
        &mut self,
        framing: Framing,
        payload: &'a [u8],
        limits: &Limits,
        max: PayloadMax,
    ) -> Result<Framed<'a>> {
        let ends = Ends::of(framing);
        let framed = Framed { ends, payload: Cow::Borrowed(payload) };
        if let Some(new) = ends.by_memory {
            let payload = self.memory(new, limits, max).join(payload)?;
            return Ok(Framed { payload: Cow::Owned(payload), ..framed });
        }
        if !ends.is_counted && memchr::memchr2(b'\n', b'\r', payload).is_some() {
            return Err(line_end());
        }
        Ok(framed)
    }

    /// Bytes of memory that it holds of what was read.
    pub(super) fn held_bytes(&self) -> usize {
        self.memory.as_ref().map_or(0, |memory| memory.held_bytes())
    }

    /// Lets the payloads that come from now on have so many bytes.
    pub(super) fn bound(&mut self, max: PayloadMax) {
        if let Some(memory) = &mut self.memory {
            memory.bound(max);
        }
    }

    fn memory(&mut self, new: NewMemory, limits: &Limits, max: PayloadMax) -> &mut Box<dyn Memory> {
        self.memory.get_or_insert_with(|| new(limits, max))
    }
}

impl Framed<'_> {
    /// Whether the payload is written as it is.
    pub(super) const fn is_bare(&self) -> bool {
        self.ends.by_memory.is_some()
    }

    /// What is written, as one piece.
    pub(super) fn whole(&self) -> Vec<u8> {
        let bytes = self.payload.len().saturating_add(ENDS_BYTES_MAX);
        let mut out = Vec::with_capacity(bytes);
        self.put_head(&mut out);
        out.extend_from_slice(&self.payload);
        out.extend_from_slice(self.tail());
        out
    }

    /// Appends what goes before the payload.
    pub(super) fn put_head(&self, out: &mut Vec<u8>) {
        if self.ends.is_counted {
            out.extend_from_slice(itoa::Buffer::new().format(self.payload.len()).as_bytes());
            out.push(b'\n');
        }
    }

    /// What goes behind the payload.
    pub(super) const fn tail(&self) -> &'static [u8] {
        if self.ends.is_counted || self.is_bare() { b"" } else { b"\n" }
    }
}

/// Takes a line without its end from `input` once it is complete.
fn take_line(scanned: &mut usize, input: &mut BytesMut, max: PayloadMax) -> Result<Option<Bytes>> {
    let fresh = input.get(*scanned..).unwrap_or_default();
    let end = memchr::memchr(b'\n', fresh).map(|end| scanned.saturating_add(end));
    *scanned = end.unwrap_or(input.len());
    if *scanned > max.bytes {
        let text = format!("a line of {scanned} bytes or more is over {}", max.name());
        return Err(Error::found(Code::TooLarge, text));
    }
    let Some(end) = end else {
        return Ok(None);
    };
    let mut line = input.split_to(end);
    input.advance(1);
    if line.last() == Some(&b'\r') {
        line.truncate(line.len().saturating_sub(1));
    }
    Ok(Some(line.freeze()))
}

/// The length that a line says.
fn len_of(line: &[u8]) -> Result<usize> {
    let text = std::str::from_utf8(line).unwrap_or_default();
    let is_canonical = text == "0" || !text.starts_with(['0', '+']);
    text.parse()
        .ok()
        .filter(|_| is_canonical)
        .ok_or_else(|| Error::found(Code::BadPayload, BAD_LENGTH))
}

/// The error of a line that has a line end in it.
pub(super) fn line_end() -> Error {
    Error::found(Code::BadPayload, "a line cannot have a line end in it")
}

/// Bytes of the longest head and tail.
const ENDS_BYTES_MAX: usize = 24;

/// What is said to somebody who has forgotten the length, or the word for another format.
const BAD_LENGTH: &str = "a payload of this format begins with its length, a decimal; a word \
                          behind the command's name asks for another format";
