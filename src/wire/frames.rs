//! One direction of a connection as frames, for whoever stands in between: a proxy, a tap, a log.
//!
//! ```text
//!            line without body       line with body ──► body ──► Frame: the line and its body
//!           ┌──────┐                        │
//!           │      ▼                        └ over payload_bytes_max: Frame: the line alone,
//!           └──── line                        then pieces, until the body is over ──► line
//!                   │ a plain call, or what is no line
//!                   ▼
//!                 unread: pieces, to the end of the stream
//! ```
//!
//! **Nothing is lost and nothing is added.** A frame is written with the bytes that it was read
//! from, also where a line ends with CR LF or has blanks round it; so is what is no line at all.
//! Nothing that comes is an error: whoever stands in between hands it on, and the side that it is
//! for says what is wrong with it.
//!
//! **Behind a plain call nobody but the command knows where its payload ends**, so nobody in
//! between can know which bytes are the next line. From there on all bytes of this direction are
//! pieces. The other direction is read on its own: there the plain reply is no line, or it looks
//! like a plain call, and the rest is pieces as well. A proxy that wants every call to be a frame
//! refuses those that have no tag.
//!
//! It holds one line and one body at most, and bodies over a limit in the pieces in which they
//! come. The decoder of sessions reads, so a line means the same to all. This knows no sockets: the
//! traits of tokio-util are in `codec.rs`.

use bytes::{Bytes, BytesMut};

use super::{Decoder, Event, Flaw, Line};
use crate::error::{Code, Error, Result};
use crate::limits::Limits;

/// Cuts one direction of a connection into [`Frame`]s.
///
/// With the feature `codec` it is a codec of tokio-util, for `Framed<TcpStream, Frames>`.
///
/// ```
/// use bytes::BytesMut;
/// use switchboard::Limits;
/// use switchboard::wire::Frames;
///
/// let mut frames = Frames::new(&Limits::default());
/// let mut input = BytesMut::from("GREET 1 3\r\nAda?\nand what is no line");
/// let frame = frames.decode(&mut input).unwrap();
/// assert_eq!(frame.line().unwrap().body_len(), Some(3));
/// assert_eq!(frame.body(), "Ada");
///
/// // A plain call, and its payload, of which the end is not known.
/// assert!(frames.decode(&mut input).unwrap().line().is_some());
/// let piece = frames.decode(&mut input).unwrap();
/// assert_eq!((piece.line(), &**piece.body()), (None, &b"and what is no line"[..]));
/// ```
///
/// # Limits
///
/// `line_bytes_max` and `payload_bytes_max`; what is longer comes in pieces. So it holds no more
/// than these, beside what its caller has read.
#[derive(Debug)]
pub struct Frames {
    line_bytes_max: usize,
    payload_bytes_max: usize,
    decoder: Decoder,
    state: State,
    // A line whose body has not come whole.
    line: Option<Frame>,
    // The first bytes of the input that are known to be no whole line.
    scanned: usize,
    flaw: Option<Flaw>,
}

/// A line with its body, or a piece of what is not read as lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    line: Option<Line>,
    // As it came, with its end.
    text: Bytes,
    body: Bytes,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Lines,
    /// So many bytes of a body that is too long for one frame are still to come.
    Pieces {
        left: u64,
    },
    Unread,
}

impl Frames {
    /// At the beginning of a stream, within these limits.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        let &Limits { line_bytes_max, payload_bytes_max, .. } = limits;
        Self {
            line_bytes_max,
            payload_bytes_max,
            decoder: Decoder::new(line_bytes_max, payload_bytes_max),
            state: State::Lines,
            line: None,
            scanned: 0,
            flaw: None,
        }
    }

    /// Takes the next frame from the front of `input`; `None` if more bytes are needed.
    pub fn decode(&mut self, input: &mut BytesMut) -> Option<Frame> {
        if self.line.is_some() {
            return self.body(input);
        }
        match self.state {
            State::Lines => self.line(input),
            State::Unread => piece(input.len(), input),
            State::Pieces { left } => {
                let len = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                let left = left.saturating_sub(u64::try_from(len).unwrap_or(u64::MAX));
                self.state = if left == 0 { State::Lines } else { State::Pieces { left } };
                piece(len, input)
            }
        }
    }

    /// As [`decode`](Self::decode) when no more bytes come: what waits for more is given as it is,
    /// a line with a part of its body, or a piece of a line.
    pub fn decode_end(&mut self, input: &mut BytesMut) -> Option<Frame> {
        if let Some(frame) = self.decode(input) {
            return Some(frame);
        }
        self.state = State::Unread;
        match self.line.take() {
            Some(line) => Some(Frame { body: input.split().freeze(), ..line }),
            None => piece(input.len(), input),
        }
    }

    /// Whether lines are read no more: behind a plain call, or what is no line.
    #[must_use]
    pub const fn is_unread(&self) -> bool {
        matches!(self.state, State::Unread)
    }

    /// What was wrong with the line from which on nothing is read, if that is why.
    #[must_use]
    pub const fn flaw(&self) -> Option<Flaw> {
        self.flaw
    }

    fn line(&mut self, input: &mut BytesMut) -> Option<Frame> {
        // What the decoder takes out is also kept as it came.
        let in_limit = input.get(..self.line_bytes_max).unwrap_or(input);
        let fresh = in_limit.get(self.scanned..).unwrap_or_default();
        let end = memchr::memchr(b'\n', fresh);
        let text = end.map_or(&[][..], |end| {
            let whole = self.scanned.saturating_add(end).saturating_add(1);
            in_limit.get(..whole).unwrap_or_default()
        });
        let (text, in_limit_bytes) = (Bytes::copy_from_slice(text), in_limit.len());
        let line = match self.decoder.decode(input) {
            Ok(Some(Event::Line(line))) => line,
            // There is no body without a line.
            Ok(Some(Event::Body(_)) | None) => {
                self.scanned = in_limit_bytes;
                return None;
            }
            Err(flaw) => {
                (self.state, self.flaw) = (State::Unread, Some(flaw));
                return piece(input.len(), input);
            }
        };
        self.scanned = 0;
        let body_len = line.body_len();
        if matches!(line, Line::Plain { .. }) {
            self.state = State::Unread;
        }
        let frame = Frame { line: Some(line), text, body: Bytes::new() };
        let Some(left) = body_len else {
            return Some(frame);
        };
        if self.decoder.is_skipping() {
            // It would drop the body.
            self.decoder = Decoder::new(self.line_bytes_max, self.payload_bytes_max);
            self.state = State::Pieces { left };
            return Some(frame);
        }
        self.line = Some(frame);
        self.body(input)
    }

    fn body(&mut self, input: &mut BytesMut) -> Option<Frame> {
        match self.decoder.decode(input) {
            Ok(Some(Event::Body(body))) => self.line.take().map(|line| Frame { body, ..line }),
            _ => None,
        }
    }
}

impl Frame {
    /// A line with its body, which is empty if the line announces none.
    ///
    /// # Errors
    ///
    /// `invalid` if the body has another length than its line says.
    pub fn new(line: Line, body: impl Into<Bytes>) -> Result<Self> {
        let (body, mut text) = (body.into(), BytesMut::new());
        line.encode(&mut text);
        let frame = Self { line: Some(line), text: text.freeze(), body };
        if frame.is_whole() {
            return Ok(frame);
        }
        let text = format!("the body has {} bytes, and its line says otherwise", frame.body.len());
        Err(Error::found(Code::Invalid, text))
    }

    /// A piece of what is not read as lines.
    #[must_use]
    pub fn piece(bytes: impl Into<Bytes>) -> Self {
        Self { line: None, text: Bytes::new(), body: bytes.into() }
    }

    /// The line; `None` if this is a piece.
    #[must_use]
    pub const fn line(&self) -> Option<&Line> {
        self.line.as_ref()
    }

    /// The body, or the bytes of the piece.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// Whether the body is all that its line announces. It is not if it comes in pieces, or if the
    /// stream has ended in it.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let announced = self.line.as_ref().and_then(Line::body_len);
        self.line.is_none()
            || u64::try_from(self.body.len()).is_ok_and(|len| len == announced.unwrap_or(0))
    }

    /// Bytes of line and body together, as they come over the wire.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.text.len().saturating_add(self.body.len())
    }

    /// Writes the bytes that it was read from.
    pub fn encode(&self, out: &mut BytesMut) {
        out.extend_from_slice(&self.text);
        out.extend_from_slice(&self.body);
    }
}

/// The first so many bytes of the input, which are there.
fn piece(len: usize, input: &mut BytesMut) -> Option<Frame> {
    (len > 0).then(|| Frame::piece(input.split_to(len)))
}
