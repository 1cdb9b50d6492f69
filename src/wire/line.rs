//! One line: what it can say, how it is read and how it is written.
//!
//! ```text
//! NAME [FORMAT]                         Plain           blanks may be round NAME alone
//! NAME TAG LEN [KEY=VALUE ..]           Call            LEN bytes follow
//! >TAG item LEN | end | cancel | credit N   Request     LEN bytes follow an item
//! <TAG ok LEN | err LEN CODE | item LEN | credit N   Reply   LEN bytes follow all but credit
//! ```
//!
//! Reading does not scan for the end: [`Decoder`](super::Decoder) does, once, and hands over the
//! bytes in between, already known to be printable ASCII.

use bytes::{Bytes, BytesMut};

use super::{Flaw, FormatWord, Name};
use crate::error::Code;

/// The number a caller gives to a call, unique among its calls in flight. 0 means "no reply
/// wanted" in a call and "about the whole connection" in a reply.
pub type Tag = u32;

/// One line of the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Line {
    /// A plain call. Its payload follows in the command's own format and is not ours to read.
    Plain {
        /// The command.
        name: Name,
        /// The format asked for; the command's own if absent.
        format: Option<FormatWord>,
    },
    /// A tagged call with its payload.
    Call {
        /// The command.
        name: Name,
        /// The caller's number for it.
        tag: Tag,
        /// Bytes of the payload that follows.
        len: u64,
        /// What else the caller says.
        options: Options,
    },
    /// Something more about a call, from its caller.
    Request(Tag, Part),
    /// Something about a call, from its callee.
    Reply(Tag, Part),
}

/// What a line that begins with `>` or `<` says about its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// An item of a stream, of so many bytes.
    Item(u64),
    /// Callers only: the stream of items is over.
    End,
    /// Callers only: the caller has lost interest.
    Cancel,
    /// So many more items may be sent.
    Credit(u32),
    /// Callees only: the final value, of so many bytes.
    Ok(u64),
    /// Callees only: the final error, a text of so many bytes.
    Err(u64, Code),
}

/// The options of a tagged call.
///
/// Unknown ones are kept as they came and mean nothing: that is how the protocol grows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    // Everything after the length and its space; empty if there are no options. What it says was
    // checked when it was read, and is looked up when asked for: a line is moved more often.
    text: Bytes,
}

impl Line {
    /// Reads a line. `text` is printable ASCII without the line's end.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    #[inline]
    pub fn parse(text: &[u8]) -> Result<Self, Flaw> {
        match text.first() {
            None => return Err(Flaw::EmptyLine),
            Some(b' ') => return Self::parse_padded(text),
            Some(b'>') => return parse_part(text, request_part).map(|(t, p)| Self::Request(t, p)),
            Some(b'<') => return parse_part(text, reply_part).map(|(t, p)| Self::Reply(t, p)),
            Some(_) => {}
        }
        match Self::parse_call(text) {
            Err(_) if is_http(text) => Err(Flaw::Http),
            Err(Flaw::EmptyWord) => Self::parse_padded(text),
            line => line,
        }
    }

    /// A name with blanks round it, which some programs send, since others trim what they read.
    #[cold]
    fn parse_padded(text: &[u8]) -> Result<Self, Flaw> {
        let name = text.trim_ascii();
        if name.is_empty() || name.contains(&b' ') {
            return Err(Flaw::EmptyWord);
        }
        Name::check(name)?;
        Ok(Self::Plain { name: Name::copy(name), format: None })
    }

    #[inline]
    fn parse_call(text: &[u8]) -> Result<Self, Flaw> {
        let mut words = Words { rest: text };
        let name = words.next()?;
        Name::check(name)?;
        let Some(second) = words.maybe()? else {
            return Ok(Self::Plain { name: Name::copy(name), format: None });
        };
        if !second.first().is_some_and(u8::is_ascii_digit) {
            words.end()?;
            let format = Some(FormatWord::parse(second)?);
            return Ok(Self::Plain { name: Name::copy(name), format });
        }
        let tag = decimal_u32(second).ok_or(Flaw::Tag)?;
        let len = decimal(words.next()?).ok_or(Flaw::Length)?;
        let options = Options::parse(words.rest)?;
        Ok(Self::Call { name: Name::copy(name), tag, len, options })
    }

    /// Writes the line with its end.
    pub fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Plain { name, format } => {
                out.extend_from_slice(name.as_bytes());
                if let Some(format) = format {
                    out.extend_from_slice(b" ");
                    out.extend_from_slice(format.as_bytes());
                }
            }
            Self::Call { name, tag, len, options } => {
                out.extend_from_slice(name.as_bytes());
                encode_number(u64::from(*tag), out);
                encode_number(*len, out);
                if !options.text.is_empty() {
                    out.extend_from_slice(b" ");
                    out.extend_from_slice(&options.text);
                }
            }
            Self::Request(tag, part) => part.encode(b'>', *tag, out),
            Self::Reply(tag, part) => part.encode(b'<', *tag, out),
        }
        out.extend_from_slice(b"\n");
    }

    /// Bytes of the body that follows this line; `None` if none does.
    #[must_use]
    pub const fn body_len(&self) -> Option<u64> {
        match self {
            Self::Plain { .. } => None,
            Self::Call { len, .. } => Some(*len),
            Self::Request(_, part) | Self::Reply(_, part) => part.body_len(),
        }
    }
}

impl Part {
    const fn body_len(self) -> Option<u64> {
        match self {
            Self::Item(len) | Self::Ok(len) | Self::Err(len, _) => Some(len),
            Self::End | Self::Cancel | Self::Credit(_) => None,
        }
    }

    fn encode(self, sigil: u8, tag: Tag, out: &mut BytesMut) {
        out.extend_from_slice(&[sigil]);
        out.extend_from_slice(itoa::Buffer::new().format(tag).as_bytes());
        let (word, number): (&[u8], Option<u64>) = match self {
            Self::Item(len) => (b" item", Some(len)),
            Self::End => (b" end", None),
            Self::Cancel => (b" cancel", None),
            Self::Credit(count) => (b" credit", Some(u64::from(count))),
            Self::Ok(len) => (b" ok", Some(len)),
            Self::Err(len, _) => (b" err", Some(len)),
        };
        out.extend_from_slice(word);
        if let Some(number) = number {
            encode_number(number, out);
        }
        if let Self::Err(_, code) = self {
            out.extend_from_slice(b" ");
            out.extend_from_slice(code.as_str().as_bytes());
        }
    }
}

impl Options {
    /// The longest trace that is sent, in bytes. A traceparent has 55.
    pub const TRACE_BYTES_MAX: usize = 128;

    /// No options but a format and a time, if given.
    ///
    /// ```
    /// use switchboard::wire::{FormatWord, Options};
    ///
    /// let options = Options::new(FormatWord::parse(b"json").ok(), Some(250));
    /// assert_eq!(options.as_bytes(), b"f=json t=250");
    /// ```
    #[must_use]
    pub fn new(format: Option<FormatWord>, time_ms: Option<u64>) -> Self {
        if format.is_none() && time_ms.is_none() {
            return Self::default();
        }
        let alone = format.filter(|_| time_ms.is_none());
        if let Some(known) = alone.and_then(|format| Self::of_known(format.as_bytes())) {
            return known;
        }
        let mut text = BytesMut::new();
        if let Some(format) = format {
            text.extend_from_slice(b"f=");
            text.extend_from_slice(format.as_bytes());
        }
        if let Some(time_ms) = time_ms {
            text.extend_from_slice(if text.is_empty() { b"t=" } else { b" t=" });
            text.extend_from_slice(itoa::Buffer::new().format(time_ms).as_bytes());
        }
        Self { text: text.freeze() }
    }

    /// These options and `trace=`: a W3C traceparent, or any other word of at most
    /// [`TRACE_BYTES_MAX`](Self::TRACE_BYTES_MAX) bytes.
    ///
    /// # Errors
    ///
    /// If it is no word, or there is a trace already.
    pub fn with_trace(self, trace: &str) -> Result<Self, Flaw> {
        let is_word = !trace.is_empty() && trace.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_word || trace.len() > Self::TRACE_BYTES_MAX || self.trace().is_some() {
            return Err(Flaw::Option);
        }
        let mut text = BytesMut::from(self.as_bytes());
        text.extend_from_slice(if text.is_empty() { b"trace=" } else { b" trace=" });
        text.extend_from_slice(trace.as_bytes());
        Ok(Self { text: text.freeze() })
    }

    /// `f=`: the format of this call and of its reply.
    #[must_use]
    pub fn format(&self) -> Option<FormatWord> {
        self.value(b"f").and_then(|word| FormatWord::parse(word).ok())
    }

    /// `t=`: milliseconds left to the caller's deadline.
    #[must_use]
    pub fn time_ms(&self) -> Option<u64> {
        self.value(b"t").and_then(decimal)
    }

    /// `stream=1`: the request goes on in items.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        self.value(b"stream").is_some()
    }

    /// `trace=`: a W3C traceparent, not looked into.
    #[must_use]
    pub fn trace(&self) -> Option<&[u8]> {
        self.value(b"trace")
    }

    /// The options as they stand on the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    #[inline]
    fn parse(text: &[u8]) -> Result<Self, Flaw> {
        if text.is_empty() { Ok(Self::default()) } else { Self::parse_some(text) }
    }

    fn parse_some(text: &[u8]) -> Result<Self, Flaw> {
        let (mut has_format, mut has_time) = (false, false);
        let (mut has_stream, mut has_trace) = (false, false);
        let mut words = Words { rest: text };
        while let Some(word) = words.maybe()? {
            let (key, value) = pair(word).ok_or(Flaw::Option)?;
            let (is_right, has_key) = match key {
                b"" => return Err(Flaw::Option),
                b"f" => (FormatWord::parse(value).is_ok(), &mut has_format),
                b"t" => (decimal(value).is_some(), &mut has_time),
                b"stream" => (value == b"1", &mut has_stream),
                b"trace" => (true, &mut has_trace),
                _ => continue,
            };
            if !is_right || std::mem::replace(has_key, true) {
                return Err(Flaw::Option);
            }
        }
        // Without the space that divides them from the length.
        let text = text.get(1..).unwrap_or_default();
        let known = text.strip_prefix(b"f=").and_then(Self::of_known);
        Ok(known.unwrap_or_else(|| Self { text: Bytes::copy_from_slice(text) }))
    }

    /// A format of ours, by its name, and nothing else: most calls say no more, so that needs no
    /// memory.
    fn of_known(format: &[u8]) -> Option<Self> {
        let text: &[u8] = match format {
            b"json" => b"f=json",
            b"bytes" => b"f=bytes",
            b"line" => b"f=line",
            b"gob" => b"f=gob",
            b"postcard" => b"f=postcard",
            _ => return None,
        };
        Some(Self { text: Bytes::from_static(text) })
    }

    fn value(&self, wanted: &[u8]) -> Option<&[u8]> {
        let mut words = self.text.split(|byte| *byte == b' ');
        words.find_map(|word| pair(word).filter(|(key, _)| *key == wanted)).map(|(_, value)| value)
    }
}

/// The two sides of `KEY=VALUE`.
fn pair(word: &[u8]) -> Option<(&[u8], &[u8])> {
    let (key, value) = word.split_at_checked(word.iter().position(|byte| *byte == b'=')?)?;
    Some((key, value.get(1..)?))
}

/// The words of a line, one after the other, divided by exactly one space.
struct Words<'a> {
    // What has not been read, with the space in front of it unless it is the first word.
    rest: &'a [u8],
}

impl<'a> Words<'a> {
    /// The next word; there must be one.
    #[inline]
    fn next(&mut self) -> Result<&'a [u8], Flaw> {
        self.maybe()?.ok_or(Flaw::WordCount)
    }

    /// The next word, or `None` at the end of the line.
    #[inline]
    fn maybe(&mut self) -> Result<Option<&'a [u8]>, Flaw> {
        let text = match self.rest {
            [] => return Ok(None),
            [b' ', text @ ..] => text,
            text => text,
        };
        let len = text.iter().position(|byte| *byte == b' ').unwrap_or(text.len());
        let (word, rest) = text.split_at_checked(len).unwrap_or_default();
        self.rest = rest;
        if word.is_empty() { Err(Flaw::EmptyWord) } else { Ok(Some(word)) }
    }

    /// Nothing but the end may follow.
    fn end(&mut self) -> Result<(), Flaw> {
        if self.maybe()?.is_none() { Ok(()) } else { Err(Flaw::WordCount) }
    }
}

type ParsePart = fn(&[u8], &mut Words<'_>) -> Result<Part, Flaw>;

fn parse_part(text: &[u8], parse: ParsePart) -> Result<(Tag, Part), Flaw> {
    let mut words = Words { rest: text };
    let tag = words.next()?.get(1..).and_then(decimal_u32).ok_or(Flaw::Tag)?;
    let verb = words.next()?;
    let part = parse(verb, &mut words)?;
    words.end()?;
    Ok((tag, part))
}

fn request_part(verb: &[u8], words: &mut Words<'_>) -> Result<Part, Flaw> {
    match verb {
        b"item" => length(words).map(Part::Item),
        b"end" => Ok(Part::End),
        b"cancel" => Ok(Part::Cancel),
        b"credit" => credit(words),
        _ => Err(Flaw::Verb),
    }
}

fn reply_part(verb: &[u8], words: &mut Words<'_>) -> Result<Part, Flaw> {
    match verb {
        b"ok" => length(words).map(Part::Ok),
        b"err" => {
            let len = length(words)?;
            let code = Code::from_wire(words.next()?).ok_or(Flaw::Code)?;
            Ok(Part::Err(len, code))
        }
        b"item" => length(words).map(Part::Item),
        b"credit" => credit(words),
        _ => Err(Flaw::Verb),
    }
}

fn length(words: &mut Words<'_>) -> Result<u64, Flaw> {
    decimal(words.next()?).ok_or(Flaw::Length)
}

fn credit(words: &mut Words<'_>) -> Result<Part, Flaw> {
    decimal_u32(words.next()?).map(Part::Credit).ok_or(Flaw::Credit)
}

/// A canonical decimal: digits without sign, and no zero in front of others.
#[inline]
fn decimal(word: &[u8]) -> Option<u64> {
    if word.is_empty() || (word.len() > 1 && word.first() == Some(&b'0')) {
        return None;
    }
    word.iter().try_fold(0_u64, |value, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

#[inline]
fn decimal_u32(word: &[u8]) -> Option<u32> {
    decimal(word).and_then(|value| u32::try_from(value).ok())
}

fn encode_number(number: u64, out: &mut BytesMut) {
    out.extend_from_slice(b" ");
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// The first line of an HTTP request is three words, the last of which is its version. No line of
/// ours can be: a second word with others behind it is a decimal, as is a third, and those after it
/// have an equals sign.
fn is_http(text: &[u8]) -> bool {
    let mut words = text.rsplit(|byte| *byte == b' ');
    let version = words.next().unwrap_or_default();
    version.starts_with(b"HTTP/") && !version.contains(&b'=') && words.nth(1).is_some()
}
