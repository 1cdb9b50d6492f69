//! What is round a payload in a line of JSON: read and written, in three dialects.
//!
//! Bytes go in and requests come out, replies go in and bytes come out. It knows no stream, no
//! call and no limit: `json_lines` has them. Payloads pass as they are and are not looked into.
//!
//! What an object is, its members say:
//!
//! | it has                            | dialect           | who speaks it                        |
//! |-----------------------------------|-------------------|--------------------------------------|
//! | `jsonrpc`                         | [`Dialect::V2`]   | JSON-RPC 2.0                         |
//! | `id`, and no `jsonrpc`            | [`Dialect::V1`]   | JSON-RPC 1.0, Go's `net/rpc/jsonrpc` |
//! | `Method` or `method`, and neither | [`Dialect::Bare`] | a program that reads one line back   |
//!
//! A list is a batch, which only JSON-RPC 2.0 has. Members that no dialect knows are ignored, as
//! its specification and Go's decoder do; one of ours that comes twice is refused, since two
//! readers would not agree on it. What is a request at all and breaks a rule is still answered in
//! its own dialect, with its own `id`.
//!
//! An `id` is kept as the text that it is, so a number of any length comes back digit for digit.
//!
//! `serde_json` reads, and skips what is inside a member with a loop, not by recursion: however
//! deep a line is, it needs no stack. All that is kept of a line points into it, but a method with
//! escapes in it, and there are no more entries than the caller allows.

mod parse;
mod print;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

pub use self::parse::{guess, is_other_protocol, lone, parse};
pub use self::print::{put_error, put_flaw, put_reply, put_reply_begin, put_reply_end};

/// A way to speak of calls in lines of JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    /// `{"Method":..,"Params":..}`, answered by `{"Result":..,"Error":..}`. It has no `id`, so
    /// answers come in the order of their requests.
    #[default]
    Bare,
    /// JSON-RPC 1.0, in which an error is a text.
    V1,
    /// JSON-RPC 2.0.
    V2,
}

/// What one line is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Line<'l> {
    /// One request.
    One(Asked<'l>),
    /// Requests of JSON-RPC 2.0, at least one, which are answered together.
    Batch(Vec<Asked<'l>>),
    /// Nothing that can be called, and what is wrong with it; with the dialect, if it shows one.
    Bad(Option<Dialect>, Flaw),
}

/// A request, or what wants to be one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Asked<'l> {
    /// The dialect it is to be answered in.
    pub dialect: Dialect,
    /// The text of its `id`, as JSON; `None` if the answer has to do without.
    pub id: Option<&'l str>,
    /// Whether it wants an answer. A notification does not.
    pub is_answered: bool,
    /// What is to be called, or which rule is broken.
    pub call: Result<Called<'l>, Flaw>,
}

/// What is to be called.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Called<'l> {
    /// The method: any text, not always the name of a command.
    pub method: Cow<'l, str>,
    /// The text of the parameters, as JSON. A request without parameters has `null`.
    pub params: &'l str,
}

/// Why something is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flaw {
    /// The line is of another protocol, HTTP or TLS, and what comes behind it is not for us: a web
    /// page can have a browser post a body of lines to a local endpoint. Such a peer is not
    /// answered.
    OtherProtocol,
    /// The line is not UTF-8.
    NotUtf8,
    /// The line is the beginning of JSON and no more.
    Unfinished,
    /// The line is not JSON, as is known at this byte of it, counted from 1.
    Syntax(usize),
    /// It is JSON, and not an object.
    NoObject,
    /// A batch has nothing in it.
    EmptyBatch,
    /// A batch has so many entries, and may have so many.
    LongBatch(usize, usize),
    /// This member comes twice.
    Twice(&'static str),
    /// There is no method.
    NoMethod,
    /// The method is not a text.
    BadMethod,
    /// The `id` is not a text, a number or `null`.
    BadId,
    /// `jsonrpc` is not `"2.0"`.
    BadVersion,
}

impl Flaw {
    /// The number that stands for it in JSON-RPC 2.0.
    ///
    /// ```
    /// use switchboard::envelope::Flaw;
    ///
    /// assert_eq!(Flaw::Unfinished.number(), -32_700);
    /// assert_eq!(Flaw::EmptyBatch.number(), -32_600);
    /// ```
    #[must_use]
    pub const fn number(&self) -> i32 {
        match self {
            Self::OtherProtocol | Self::NotUtf8 | Self::Unfinished | Self::Syntax(_) => PARSE_ERROR,
            _ => INVALID_REQUEST,
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherProtocol => f.write_str("the peer speaks another protocol"),
            Self::NotUtf8 => f.write_str("the line is not UTF-8"),
            Self::Unfinished => f.write_str("the line is not JSON: it ends too early"),
            Self::Syntax(byte) => write!(f, "the line is not JSON: syntax error at byte {byte}"),
            Self::NoObject => f.write_str("a request is an object"),
            Self::EmptyBatch => f.write_str("a batch has at least one entry"),
            Self::LongBatch(entries, max) => {
                write!(f, "{entries} entries are over calls_per_connection_max ({max})")
            }
            Self::Twice(member) => write!(f, "the member {member} comes twice"),
            Self::NoMethod => f.write_str("a request has a method"),
            Self::BadMethod => f.write_str("the method is a text"),
            Self::BadId => f.write_str("the id is a text, a number or null"),
            Self::BadVersion => f.write_str("the member jsonrpc is \"2.0\""),
        }
    }
}

impl std::error::Error for Flaw {}

/// A place in a text.
type Place = Range<usize>;

const PARSE_ERROR: i32 = -32_700;
const INVALID_REQUEST: i32 = -32_600;

#[cfg(test)]
mod tests;
