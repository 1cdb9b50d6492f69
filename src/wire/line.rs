//! One line: what it can say, how it is read and how it is written.
//!
//! ```text
//! NAME [FORMAT]                                Plain     blanks may be round NAME alone
//! NAME TAG LEN                                 Call      LEN bytes follow
//! >TAG item LEN | end | cancel | credit N      Request   LEN bytes follow an item
//! <TAG ok LEN | err LEN CODE | item LEN        Reply     LEN bytes follow
//!      | open | credit N                                 none follow
//! ```
//!
//! All but the first may go on in [`Options`]. Reading does not scan for the end:
//! [`Decoder`](super::Decoder) does, once, and hands over the bytes in between, already known to be
//! printable ASCII.

use bytes::BytesMut;

use super::options::Of;
use super::words::{Words, decimal, decimal_u32};
use super::{Flaw, FormatWord, Name, Options};
use crate::error::CodeWord;

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
    Request(Tag, Part, Options),
    /// Something about a call, from its callee.
    Reply(Tag, Part, Options),
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
    /// Items of so many bytes more may be sent; not 0.
    Credit(u32),
    /// Callees only: the final value, of so many bytes.
    Ok(u64),
    /// Callees only: the final error, a text and perhaps a value, of so many bytes.
    Err(u64, CodeWord),
    /// Callees only: the streamed call is accepted.
    Open,
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
            Some(b'>') => {
                let (tag, part, options) = parse_part(text, request_part)?;
                return Ok(Self::Request(tag, part, options));
            }
            Some(b'<') => {
                let (tag, part, options) = parse_part(text, reply_part)?;
                return Ok(Self::Reply(tag, part, options));
            }
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
        let options = Options::parse(words.rest, Of::Call)?;
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
                encode_options(options, out);
            }
            Self::Request(tag, part, options) => {
                part.encode(b'>', *tag, out);
                encode_options(options, out);
            }
            Self::Reply(tag, part, options) => {
                part.encode(b'<', *tag, out);
                encode_options(options, out);
            }
        }
        out.extend_from_slice(b"\n");
    }

    /// Bytes of the body that follows this line; `None` if none does.
    #[must_use]
    pub const fn body_len(&self) -> Option<u64> {
        match self {
            Self::Plain { .. } => None,
            Self::Call { len, .. } => Some(*len),
            Self::Request(_, part, _) | Self::Reply(_, part, _) => part.body_len(),
        }
    }
}

impl Part {
    const fn options_of(self) -> Of {
        match self {
            Self::Item(_) => Of::Item,
            Self::Open => Of::Open,
            Self::Cancel => Of::Cancel,
            Self::Err(len, _) => Of::Err(len),
            Self::Ok(_) | Self::End | Self::Credit(_) => Of::Other,
        }
    }

    const fn body_len(self) -> Option<u64> {
        match self {
            Self::Item(len) | Self::Ok(len) | Self::Err(len, _) => Some(len),
            Self::Open | Self::End | Self::Cancel | Self::Credit(_) => None,
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
            Self::Open => (b" open", None),
        };
        out.extend_from_slice(word);
        if let Some(number) = number {
            encode_number(number, out);
        }
        if let Self::Err(_, word) = self {
            out.extend_from_slice(b" ");
            out.extend_from_slice(word.as_str().as_bytes());
        }
    }
}

type ParsePart = fn(&[u8], &mut Words<'_>) -> Result<Part, Flaw>;

fn parse_part(text: &[u8], parse: ParsePart) -> Result<(Tag, Part, Options), Flaw> {
    let mut words = Words { rest: text };
    let tag = words.next()?.get(1..).and_then(decimal_u32).ok_or(Flaw::Tag)?;
    let verb = words.next()?;
    let part = parse(verb, &mut words)?;
    let options = Options::parse(words.rest, part.options_of())?;
    Ok((tag, part, options))
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
            let word = CodeWord::parse(words.next()?).ok_or(Flaw::Code)?;
            Ok(Part::Err(len, word))
        }
        b"item" => length(words).map(Part::Item),
        b"open" => Ok(Part::Open),
        b"credit" => credit(words),
        _ => Err(Flaw::Verb),
    }
}

fn length(words: &mut Words<'_>) -> Result<u64, Flaw> {
    decimal(words.next()?).ok_or(Flaw::Length)
}

fn credit(words: &mut Words<'_>) -> Result<Part, Flaw> {
    let credit = decimal_u32(words.next()?).filter(|credit| *credit > 0);
    credit.map(Part::Credit).ok_or(Flaw::Credit)
}

fn encode_options(options: &Options, out: &mut BytesMut) {
    if !options.as_bytes().is_empty() {
        out.extend_from_slice(b" ");
        out.extend_from_slice(options.as_bytes());
    }
}

fn encode_number(number: u64, out: &mut BytesMut) {
    out.extend_from_slice(b" ");
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// The first line of an HTTP request is three words, the last of which is its version. No line of
/// ours can be: a second word with others behind it is a decimal, as is a third, and those after it
/// have an equals sign.
fn is_http(text: &[u8]) -> bool {
    // What an HTTP server answers to us.
    if text.starts_with(b"HTTP/1.") {
        return true;
    }
    let mut words = text.rsplit(|byte| *byte == b' ');
    let version = words.next().unwrap_or_default();
    version.starts_with(b"HTTP/") && !version.contains(&b'=') && words.nth(1).is_some()
}
