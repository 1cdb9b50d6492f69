//! The one parser: a resumable, bounded walk over what has arrived.
//!
//! # Theory of operation
//!
//! The caller keeps the unread bytes in a `BytesMut` and calls [`Decoder::decode`] until it answers
//! `None`, which means "more bytes, please" and is not an error. The decoder consumes whole units
//! from the front and remembers how far it has looked into an unfinished line, so no byte is looked
//! at twice and any split of the input costs the same.
//!
//! ```text
//!            line without body            body whole
//!           ┌──────┐        ┌───────────────────────────┐
//!           │      ▼        ▼                           │
//!           └──── Line ──line with body──► Body ─────────┤
//!                  ▲                        │ skip_body() or over payload_bytes_max
//!                  └── nothing left ── Skip ◄┘
//! ```
//!
//! - A line is scanned for its first byte that is not printable ASCII. That is either its end or a
//!   flaw, found at once: a TLS hello has no newline to wait for.
//! - A body owns its memory: whoever keeps one of a few bytes does not keep a buffer of many. A
//!   large one takes the buffer that it came in with it, and what is behind it moves; it is not
//!   copied. Nothing is reserved for an announced length: the buffer grows as bytes arrive.
//! - A body over the limit is skipped without being kept; the line that announced it has been
//!   handed out and can be answered, or its body be taken all the same.
//! - After [`Line::Plain`] the following bytes belong to the command. Whoever gets that line must
//!   take them from the buffer before it calls `decode` again.

use bytes::{Buf, Bytes, BytesMut};

use super::{Flaw, Line};

/// Cuts a stream of bytes into lines and bodies.
///
/// ```
/// use bytes::BytesMut;
/// use switchboard::wire::{Decoder, Event};
///
/// let mut decoder = Decoder::new(1024, 1 << 20);
/// let mut input = BytesMut::from("GREET 1 3\nAda?\n");
/// assert!(matches!(decoder.decode(&mut input), Ok(Some(Event::Line(_)))));
/// assert!(matches!(decoder.decode(&mut input), Ok(Some(Event::Body(body))) if body == "Ada"));
/// assert!(matches!(decoder.decode(&mut input), Ok(Some(Event::Line(_)))));
/// assert!(matches!(decoder.decode(&mut input), Ok(None)));
/// ```
#[derive(Debug)]
pub struct Decoder {
    line_bytes_max: usize,
    payload_bytes_max: usize,
    state: State,
    // Lines and bodies finished so far.
    units: u64,
}

/// What [`Decoder::decode`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A line.
    Line(Line),
    /// The body that the line before announced, whole.
    Body(Bytes),
}

/// Where in its grammar a decoder waits for bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Position {
    /// Between two units: the peer owes nothing.
    Boundary,
    /// In the middle of a line.
    Line,
    /// In the middle of a body.
    Body,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// The first `scanned` bytes of the input are known to be printable.
    Line { scanned: usize },
    /// Waiting for a body of `len` bytes; len <= payload_bytes_max, unless it is wanted so.
    Body { len: usize },
    /// `left` bytes of a body nobody wants are still to come.
    Skip { left: u64 },
}

impl Decoder {
    /// A decoder at the beginning of a stream, for lines and bodies up to these many bytes.
    #[must_use]
    pub fn new(line_bytes_max: usize, payload_bytes_max: usize) -> Self {
        let state = State::Line { scanned: 0 };
        Self { line_bytes_max, payload_bytes_max, state, units: 0 }
    }

    /// Takes the next line or body from the front of `input`; `None` if more bytes are needed.
    ///
    /// # Errors
    ///
    /// The flaw of the line at the front. The stream is beyond repair then.
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Event>, Flaw> {
        if let State::Skip { left } = self.state
            && !self.skip(left, input)
        {
            return Ok(None);
        }
        match self.state {
            State::Body { len } => Ok(self.body(len, input)),
            State::Line { scanned } => self.line(scanned, input),
            State::Skip { .. } => Ok(None),
        }
    }

    /// Declares that the body of the line handed out last is not wanted: its bytes are dropped as
    /// they come, and no event is made of them.
    pub fn skip_body(&mut self) {
        if let State::Body { len } = self.state {
            self.state = State::Skip { left: u64::try_from(len).unwrap_or(u64::MAX) };
        }
    }

    /// Declares that the body of the line handed out last is wanted, although it is over the limit.
    /// To be said before anything of it is dropped: before the next [`decode`](Self::decode).
    pub fn take_body(&mut self) {
        if let State::Skip { left } = self.state
            && let Ok(len) = usize::try_from(left)
        {
            self.state = State::Body { len };
        }
    }

    /// Whether the body of the line handed out last is being dropped, at the caller's wish or
    /// because it is over the limit.
    #[must_use]
    pub const fn is_skipping(&self) -> bool {
        matches!(self.state, State::Skip { .. })
    }

    /// Where the decoder is, given what is left of its input.
    #[must_use]
    pub fn position(&self, input: &[u8]) -> Position {
        match self.state {
            State::Line { .. } if input.is_empty() => Position::Boundary,
            State::Line { .. } => Position::Line,
            State::Body { .. } | State::Skip { .. } => Position::Body,
        }
    }

    /// Bytes that are still missing from the body being read; 0 elsewhere. A hint for how much to
    /// read at once, not a promise of the peer's.
    #[must_use]
    pub fn missing_body_bytes(&self, input: &[u8]) -> usize {
        match self.state {
            State::Body { len } => len.saturating_sub(input.len()),
            State::Line { .. } | State::Skip { .. } => 0,
        }
    }

    /// Bodies of more bytes than this are skipped, unless they are asked for.
    #[must_use]
    pub const fn payload_bytes_max(&self) -> usize {
        self.payload_bytes_max
    }

    /// Lines and bodies finished so far. It stands still while one is under way.
    #[must_use]
    pub const fn units(&self) -> u64 {
        self.units
    }

    fn line(&mut self, scanned: usize, input: &mut BytesMut) -> Result<Option<Event>, Flaw> {
        // What lies behind the limit is not looked at, so that the verdict on a line is the same
        // however its bytes arrive.
        let in_limit = input.get(..self.line_bytes_max).unwrap_or(input);
        let fresh = in_limit.get(scanned..).unwrap_or_default();
        let too_long = Flaw::LineTooLong { line_bytes_max: self.line_bytes_max };
        let Some(end) = find_unprintable(fresh) else {
            if in_limit.len() >= self.line_bytes_max {
                return Err(too_long);
            }
            self.state = State::Line { scanned: in_limit.len() };
            return Ok(None);
        };
        let end = scanned.saturating_add(end);
        let end_bytes = match in_limit.get(end..).unwrap_or_default() {
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            [b'\r'] if in_limit.len() >= self.line_bytes_max => return Err(too_long),
            [b'\r'] => {
                self.state = State::Line { scanned: end };
                return Ok(None);
            }
            [0x16, ..] if end == 0 => return Err(Flaw::Tls),
            [byte, ..] => return Err(Flaw::ControlByte(*byte)),
            [] => return Ok(None),
        };
        let line = Line::parse(input.get(..end).unwrap_or_default())?;
        input.advance(end.saturating_add(end_bytes));
        self.units = self.units.wrapping_add(1);
        self.state = self.state_after(&line);
        Ok(Some(Event::Line(line)))
    }

    fn state_after(&self, line: &Line) -> State {
        let Some(len) = line.body_len() else {
            return State::Line { scanned: 0 };
        };
        match usize::try_from(len) {
            Ok(len) if len <= self.payload_bytes_max => State::Body { len },
            _ => State::Skip { left: len },
        }
    }

    fn body(&mut self, len: usize, input: &mut BytesMut) -> Option<Event> {
        if input.len() < len {
            return None;
        }
        self.finish_body();
        Some(Event::Body(take_body(len, input)))
    }

    /// Drops what has come of an unwanted body; whether that was the last of it.
    fn skip(&mut self, left: u64, input: &mut BytesMut) -> bool {
        let here = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
        input.advance(here);
        let left = left.saturating_sub(u64::try_from(here).unwrap_or(u64::MAX));
        self.state = State::Skip { left };
        if left == 0 {
            self.finish_body();
        }
        left == 0
    }

    fn finish_body(&mut self) {
        self.units = self.units.wrapping_add(1);
        self.state = State::Line { scanned: 0 };
    }
}

/// Takes the first `len` bytes of `input`, which are there, out of it; the smaller part is copied.
fn take_body(len: usize, input: &mut BytesMut) -> Bytes {
    let rest = input.get(len..).unwrap_or_default();
    if len <= COPIED_BYTES_MAX || rest.len() > len {
        let body = Bytes::copy_from_slice(input.get(..len).unwrap_or_default());
        input.advance(len);
        return body;
    }
    let rest = BytesMut::from(rest);
    let mut body = std::mem::replace(input, rest);
    body.truncate(len);
    body.freeze()
}

/// Bodies up to this are copied out of the buffer, which goes on being used.
const COPIED_BYTES_MAX: usize = 8 * 1024;

/// Where the first byte is that is not printable ASCII.
fn find_unprintable(text: &[u8]) -> Option<usize> {
    let (words, rest) = text.as_chunks::<8>();
    let mut index = 0_usize;
    for word in words {
        let marks = mark_unprintable(u64::from_le_bytes(*word));
        if marks != 0 {
            return Some(index.saturating_add(usize::try_from(marks.trailing_zeros()).ok()? / 8));
        }
        index = index.saturating_add(word.len());
    }
    Some(index.saturating_add(rest.iter().position(|byte| !is_printable(*byte))?))
}

/// The high bit of each of eight bytes that is not printable ASCII. No sum leaves its byte.
const fn mark_unprintable(bytes: u64) -> u64 {
    let low_bits = bytes & each(0x7f);
    let is_over_tilde = low_bits.wrapping_add(each(0x80 - 0x7f));
    let is_from_space = low_bits.wrapping_add(each(0x80 - b' '));
    (bytes | is_over_tilde | !is_from_space) & each(0x80)
}

const fn each(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

const fn is_printable(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_told_apart_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            for len in 1..=20 {
                for index in 0..len {
                    // With another one behind it, which is not the first.
                    let mut text: Vec<_> = b"~ ".iter().copied().cycle().take(len).collect();
                    text.push(0x7f);
                    text.splice(index..=index, [byte]);
                    let expected = if is_printable(byte) { len } else { index };
                    assert_eq!(find_unprintable(&text), Some(expected), "{byte:#x} {index} {len}");
                }
            }
        }
        assert_eq!(find_unprintable(b""), None);
        assert_eq!(find_unprintable(b" seventeen bytes~"), None);
    }
}
