//! What a peer of net/rpc says first, and what one says that is no such peer.
//!
//! Read as gob, the first letters of another protocol announce a message that never comes. So the
//! first two bytes are looked at. The stream begins with the definition of Go's `rpc.Request`: a
//! length, and then the negated id of a type. Those of programs are 64 (in Go 1.27; 65 in Go 1.19)
//! and up, so the second byte is no letter: 7f, or the first of more bytes than one.
//!
//! ```text
//!   gob ────────────────────────────────────────────────────────► gobs
//!   CONNECT /_goRPC_ HTTP/1.0, headers, an empty line ──answer──► gobs, as of `rpc.DialHTTP`
//!   another request of HTTP ──answer──► end
//!   TLS, JSON, anything else ─────────► end
//! ```

use bytes::{Buf, BytesMut};

use crate::error::{Code, Error, Result};
use crate::stream::{Connection, Wait};

/// What stands at the beginning of a stream.
#[derive(Debug, PartialEq, Eq)]
enum Start {
    /// Not enough to tell.
    Unclear,
    Gobs,
    /// The greeting of `rpc.DialHTTP`, which has so many bytes.
    Connect(usize),
    /// What is answered, if anything is, and what it is.
    Other(&'static str, &'static str),
}

/// Reads what stands before the gobs of a peer; `false` if its stream ends before anything. Cancel
/// safe until it answers.
///
/// # Errors
///
/// `bad_payload` if what comes are no gobs, `too_large` if it does not end.
pub(super) async fn greet(connection: &mut Connection, wait: &mut Wait) -> Result<bool> {
    loop {
        let line_bytes_max = connection.limits().line_bytes_max;
        match start(connection.input()) {
            Start::Gobs => return Ok(true),
            Start::Connect(bytes) => {
                connection.input().advance(bytes);
                connection.write_bytes(CONNECTED.as_bytes()).await?;
                return Ok(true);
            }
            Start::Other(answer, text) => {
                // Heard or not: it is no peer of ours.
                let _ = connection.write_bytes(answer.as_bytes()).await;
                return Err(connection.wrong(Error::found(Code::BadPayload, text)));
            }
            Start::Unclear if connection.input().len() > line_bytes_max => {
                let text =
                    format!("what comes before gobs is over line_bytes_max ({line_bytes_max})");
                return Err(connection.wrong(Error::found(Code::TooLarge, text)));
            }
            Start::Unclear => {
                if !connection.read_more(wait, 0).await? {
                    return Ok(false);
                }
            }
        }
    }
}

fn start(input: &BytesMut) -> Start {
    let (first, second) = match **input {
        [] | [..=0x7f] => return Start::Unclear,
        [0x80..=0xff, ..] | [_, 0x7f..=0xff, ..] => return Start::Gobs,
        [first, second, ..] => (first, second),
    };
    match (first, second) {
        (0x16, 3) => Start::Other("", "the peer speaks TLS, not net/rpc"),
        (b'{' | b'[', _) => Start::Other("", "the peer speaks JSON, not net/rpc in gob"),
        (b'A'..=b'Z', b'A'..=b'Z') => start_of_text(input),
        _ => Start::Other("", NO_NET_RPC),
    }
}

/// As [`start`], of what begins with a word.
fn start_of_text(input: &[u8]) -> Start {
    let is_text = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n');
    let Some(line) = input.split_inclusive(|byte| *byte == b'\n').next() else {
        return Start::Unclear;
    };
    if !line.iter().all(is_text) {
        return Start::Other("", NO_NET_RPC);
    }
    if line.last() != Some(&b'\n') {
        return Start::Unclear;
    }
    let line = line.trim_ascii_end();
    let mut words = line.split(|byte| *byte == b' ');
    match (words.next(), words.next(), words.next()) {
        (Some(b"CONNECT"), Some(PATH), Some([b'H', b'T', b'T', b'P', b'/', ..])) => {
            end_of_head(input).map_or(Start::Unclear, Start::Connect)
        }
        (Some(b"CONNECT"), Some(_), Some([b'H', b'T', b'T', b'P', b'/', ..])) => {
            Start::Other(NOT_FOUND, "the peer asks HTTP for another path than /_goRPC_")
        }
        (_, Some(_), Some([b'H', b'T', b'T', b'P', b'/', ..])) => {
            Start::Other(MUST_CONNECT, "the peer speaks HTTP, not net/rpc")
        }
        _ => Start::Other("", NO_NET_RPC),
    }
}

/// How many bytes there are up to an empty line, with that.
fn end_of_head(input: &[u8]) -> Option<usize> {
    let mut bytes = 0_usize;
    input.split_inclusive(|byte| *byte == b'\n').find_map(|line| {
        bytes = bytes.saturating_add(line.len());
        matches!(line, b"\n" | b"\r\n").then_some(bytes)
    })
}

const NO_NET_RPC: &str = "what came is no net/rpc: it does not begin with a type";

/// Where Go's `rpc.HandleHTTP` listens, and `rpc.DialHTTP` asks.
const PATH: &[u8] = b"/_goRPC_";

/// What Go's server says, byte for byte.
const CONNECTED: &str = "HTTP/1.0 200 Connected to Go RPC\n\n";

const MUST_CONNECT: &str = "HTTP/1.0 405 Method Not Allowed\r\nAllow: CONNECT\r\n\
     Content-Type: text/plain; charset=utf-8\r\nContent-Length: 17\r\n\r\n405 must CONNECT\n";

const NOT_FOUND: &str = "HTTP/1.0 404 Not Found\r\n\
     Content-Type: text/plain; charset=utf-8\r\nContent-Length: 19\r\n\r\n404 page not found\n";
