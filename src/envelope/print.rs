//! Replies and errors to answers. A line end goes behind an answer, and is not put here.

use serde::de::IgnoredAny;

use super::{Dialect, Flaw};
use crate::error::{Code, CodeWord, Error};

/// Appends the answer to a call that went well, whose reply is `payload`: JSON in one line.
///
/// ```
/// use switchboard::envelope::{Dialect, put_reply};
///
/// let mut out = Vec::new();
/// put_reply(&mut out, Dialect::V2, Some("7"), b"100");
/// assert_eq!(out, br#"{"jsonrpc":"2.0","result":100,"id":7}"#);
/// ```
pub fn put_reply(out: &mut Vec<u8>, dialect: Dialect, id: Option<&str>, payload: &[u8]) {
    put_reply_begin(out, dialect, id);
    out.extend_from_slice(payload);
    put_reply_end(out, dialect, id);
}

/// Appends what goes before the payload of such an answer.
pub fn put_reply_begin(out: &mut Vec<u8>, dialect: Dialect, id: Option<&str>) {
    match dialect {
        Dialect::Bare => put(out, &[br#"{"Result":"#]),
        Dialect::V1 => {
            put(out, &[br#"{"id":"#, id.unwrap_or(NULL).as_bytes(), br#","result":"#]);
        }
        Dialect::V2 => put(out, &[br#"{"jsonrpc":"2.0","result":"#]),
    }
}

/// Appends what goes behind it.
pub fn put_reply_end(out: &mut Vec<u8>, dialect: Dialect, id: Option<&str>) {
    match dialect {
        Dialect::Bare => put(out, &[br#","Error":""}"#]),
        Dialect::V1 => put(out, &[br#","error":null}"#]),
        Dialect::V2 => put(out, &[br#","id":"#, id.unwrap_or(NULL).as_bytes(), b"}"]),
    }
}

/// Appends the answer to a call that failed.
///
/// The codes of JSON-RPC 2.0 stand for those of the library, whose word is in `data`. With it are
/// the details of the error, and after how many milliseconds to try again, if there are any, and
/// `"ran":true` beside a `shutting_down` of a call that may have run:
///
/// | code                     | number | code                | number |
/// |--------------------------|--------|---------------------|--------|
/// | `unknown_command`        | -32601 | `deadline_exceeded` | -32005 |
/// | `bad_payload`, `invalid` | -32602 | `cancelled`         | -32006 |
/// | `panicked`               | -32603 | `overloaded`        | -32007 |
/// | `failed`                 | -32000 | `unauthenticated`   | -32008 |
/// | `too_large`              | -32001 | `denied`            | -32009 |
/// | `unsupported_format`     | -32002 | `shutting_down`     | -32010 |
/// | `not_found`              | -32003 | `protocol`          | -32011 |
/// | `conflict`               | -32004 |                     |        |
///
/// ```
/// use switchboard::envelope::{Dialect, put_error};
/// use switchboard::{Code, Error};
///
/// let mut out = Vec::new();
/// put_error(&mut out, Dialect::V2, Some("7"), &Error::new(Code::NotFound, "no such job"));
/// let expected = r#"{"jsonrpc":"2.0","error":{"code":-32003,"message":"no such job","#.to_owned()
///     + r#""data":{"code":"not_found"}},"id":7}"#;
/// assert_eq!(String::from_utf8(out).unwrap(), expected);
/// ```
pub fn put_error(out: &mut Vec<u8>, dialect: Dialect, id: Option<&str>, error: &Error) {
    let said = Said::of(error);
    match dialect {
        Dialect::Bare | Dialect::V1 => put_text(out, dialect, id, said.text()),
        Dialect::V2 => {
            put_head(out, said.number, said.text());
            put(out, &[br#","data":{"code":"#]);
            put_quoted(out, said.word.as_str());
            if is_json_line(said.details) {
                put(out, &[br#","details":"#, said.details]);
            }
            if error.code() == Code::ShuttingDown && error.has_run() {
                put(out, &[br#","ran":true"#]);
            }
            if let Some(time) = said.retry_after {
                let time = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
                let mut digits = itoa::Buffer::new();
                put(out, &[br#","retry_ms":"#, digits.format(time).as_bytes()]);
            }
            put(out, &[br#"}},"id":"#, id.unwrap_or(NULL).as_bytes(), b"}"]);
        }
    }
}

/// Appends the answer to what is no request.
pub fn put_flaw(out: &mut Vec<u8>, dialect: Dialect, id: Option<&str>, flaw: Flaw) {
    let text = flaw.to_string();
    match dialect {
        Dialect::Bare | Dialect::V1 => put_text(out, dialect, id, &text),
        Dialect::V2 => {
            put_head(out, flaw.number(), &text);
            put(out, &[br#"},"id":"#, id.unwrap_or(NULL).as_bytes(), b"}"]);
        }
    }
}

/// The beginning of an error in JSON-RPC 2.0.
fn put_head(out: &mut Vec<u8>, number: i32, text: &str) {
    let mut digits = itoa::Buffer::new();
    let number = digits.format(number).as_bytes();
    put(out, &[br#"{"jsonrpc":"2.0","error":{"code":"#, number, br#","message":"#]);
    put_quoted(out, text);
}

/// An error in a dialect in which it is a text.
fn put_text(out: &mut Vec<u8>, dialect: Dialect, id: Option<&str>, text: &str) {
    match dialect {
        Dialect::Bare => put(out, &[br#"{"Result":null,"Error":"#]),
        Dialect::V1 | Dialect::V2 => {
            let id = id.unwrap_or(NULL).as_bytes();
            put(out, &[br#"{"id":"#, id, br#","result":null,"error":"#]);
        }
    }
    put_quoted(out, text);
    out.push(b'}');
}

fn put(out: &mut Vec<u8>, pieces: &[&[u8]]) {
    out.reserve(pieces.iter().map(|piece| piece.len()).sum());
    for piece in pieces {
        out.extend_from_slice(piece);
    }
}

fn put_quoted(out: &mut Vec<u8>, text: &str) {
    // Text has a form in JSON, and memory takes all that is written.
    let _ = serde_json::to_writer(out, text);
}

/// What a caller hears of an error.
struct Said<'e> {
    number: i32,
    word: CodeWord,
    text: &'e str,
    retry_after: Option<std::time::Duration>,
    details: &'e [u8],
}

impl<'e> Said<'e> {
    fn of(error: &'e Error) -> Self {
        if error.is_from_peer() {
            // It was told to this side by another part of it.
            let word = CodeWord::parse(error.code_word().as_bytes());
            let details = error.encoded_details();
            return Self {
                number: number(error.code()),
                word: word.unwrap_or_else(|| error.code().into()),
                text: error.text(),
                retry_after: error.retry_after(),
                details: details.map_or(&[], |(_, bytes)| bytes),
            };
        }
        let told = error.told();
        Self {
            number: number(told.word.code()),
            word: told.word,
            text: told.text,
            retry_after: told.retry_after,
            details: told.details,
        }
    }

    /// Never nothing, which would be success to some.
    fn text(&self) -> &str {
        if self.text.is_empty() { self.word.as_str() } else { self.text }
    }
}

/// The number that stands for a code in JSON-RPC 2.0.
fn number(code: Code) -> i32 {
    match code {
        Code::UnknownCommand => -32_601,
        Code::BadPayload | Code::Invalid => -32_602,
        Code::Panicked => -32_603,
        Code::TooLarge => -32_001,
        Code::UnsupportedFormat => -32_002,
        Code::NotFound => -32_003,
        Code::Conflict => -32_004,
        Code::DeadlineExceeded => -32_005,
        Code::Cancelled => -32_006,
        Code::Overloaded => -32_007,
        Code::Unauthenticated => -32_008,
        Code::Denied => -32_009,
        Code::ShuttingDown => -32_010,
        Code::Protocol => -32_011,
        Code::Failed | Code::Disconnected => -32_000,
    }
}

/// Whether these bytes can stand in an answer as they are. Details may come from elsewhere: a
/// handler can pass on the error of another program.
fn is_json_line(bytes: &[u8]) -> bool {
    let is_line = memchr::memchr2(b'\n', b'\r', bytes).is_none();
    is_line
        && std::str::from_utf8(bytes)
            .is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

const NULL: &str = "null";
