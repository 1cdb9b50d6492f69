//! What Go's `net/rpc` writes round arguments and replies, and what it says of errors.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use switchboard_gob::{Encoder, Limits as GobLimits};

use crate::command::Facts;
use crate::error::{Code, Error, Result};
use crate::format::{Budget, Format, Gob};
use crate::limits::Limits;
use crate::quota::{Held, call_bytes, unheld};
use crate::service::{Door, Reply};
use crate::stream::Connection;
use crate::wire::Name;

/// What comes before an argument: Go's `rpc.Request`.
#[derive(Serialize, Deserialize)]
#[serde(rename = "Request", rename_all = "PascalCase")]
pub(super) struct Header {
    pub(super) service_method: String,
    seq: u64,
}

/// What goes before a reply: Go's `rpc.Response`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Response {
    service_method: String,
    pub(super) seq: u64,
    error: String,
}

/// The reply of a call that failed: Go's `struct{}{}`.
#[derive(Serialize, Deserialize)]
#[serde(rename = "")]
struct Nothing {}

/// A call that has ended, and has no answer yet.
pub(super) struct Ended {
    pub(super) header: Header,
    // What is told of an error is its text.
    pub(super) reply: Result<Reply, String>,
    // Covers the header and that text.
    pub(super) held: Held,
}

/// The stream of requests, and what of it is still to be written.
pub(super) struct Asking {
    encoder: Encoder,
    out: Vec<u8>,
}

/// The stream of answers, and what of it is still to be written.
pub(super) struct Answers {
    encoder: Encoder,
    out: Vec<u8>,
    // Covers the replies in it.
    held: Held,
}

impl Header {
    pub(super) fn decode(payload: Bytes, limits: &Limits) -> Result<Self> {
        let budget = Budget::new(limits, payload.len());
        let mut header: Self = Gob::decode(payload, &budget)?;
        let method = &mut header.service_method;
        if method.len() > limits.line_bytes_max {
            // No command has such a name. It is kept until its call is answered, and charged by
            // nobody.
            method.truncate(method.floor_char_boundary(limits.line_bytes_max));
            method.shrink_to_fit();
        }
        Ok(header)
    }

    /// What the command has in place of limits.
    pub(super) fn facts(&self, door: &Door) -> Option<Facts> {
        door.facts_of(&Name::parse(self.service_method.as_bytes()).ok()?)
    }
}

impl Response {
    pub(super) fn decode(payload: Bytes, limits: &Limits) -> Result<Self> {
        let budget = Budget::new(limits, payload.len());
        Gob::decode(payload, &budget)
    }

    /// What the server says went wrong, if anything did: as much of it as an error keeps.
    pub(super) fn error(&self) -> Option<Error> {
        let is_error = !self.error.is_empty();
        is_error.then(|| Error::from_peer(Code::Failed.into(), self.error.as_bytes()))
    }
}

impl Asking {
    /// No calls so far; those to come have at most `depth_max` levels.
    pub(super) fn new(depth_max: usize) -> Self {
        Self { encoder: encoder(depth_max), out: Vec::new() }
    }

    /// Appends a call; answers how many bytes that were.
    ///
    /// # Errors
    ///
    /// `bad_payload` if the argument is no gob; nothing is appended.
    pub(super) fn put(&mut self, method: &str, seq: u64, argument: &[u8]) -> Result<usize> {
        let (start, service_method) = (self.out.len(), method.to_owned());
        let header = Header { service_method, seq };
        let put = self.encoder.encode(&header, &mut self.out);
        let put = put.and_then(|()| self.encoder.append(argument, &mut self.out));
        put.map_err(|cause| {
            take_back(&mut self.encoder, &mut self.out, start);
            let text = "the argument of a call by net/rpc is no gob";
            Error::local(Code::BadPayload, text).with_source(cause)
        })?;
        Ok(self.out.len().saturating_sub(start))
    }

    /// Takes what is still to be written.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }
}

impl Ended {
    /// A call that has ended with this; `held` covers its header. Of an error no more is kept than
    /// the Go program is told.
    pub(super) fn new(header: Header, reply: Result<Reply>, mut held: Held) -> Self {
        let reply = reply.map_err(|error| {
            let method = &header.service_method;
            let text = text(&error, method);
            match held.cover(call_bytes(method.len().saturating_add(text.len()))) {
                Ok(()) => text,
                Err(error) => self::text(&unheld(error), method),
            }
        });
        Self { header, reply, held }
    }
}

impl Answers {
    /// No answers so far; `held` covers those to come, which have at most `depth_max` levels.
    pub(super) fn new(depth_max: usize, held: Held) -> Self {
        Self { encoder: encoder(depth_max), out: Vec::new(), held }
    }

    /// Appends the answer of a call; an error, if its reply is no gob or its types are too many.
    ///
    /// # Errors
    ///
    /// `failed` if that cannot be written either; the stream is of no use then.
    pub(super) fn put(&mut self, ended: Ended) -> Result<()> {
        self.held.absorb(ended.held);
        match ended.reply {
            Ok(reply) => {
                let (reply, held) = reply.into_parts();
                held.into_iter().for_each(|held| self.held.absorb(held));
                let Header { service_method, seq } = ended.header;
                let start = self.out.len();
                self.put_header(
                    Header { service_method: service_method.clone(), seq },
                    String::new(),
                )?;
                // Else the length before it, which is filled in last, would double the buffer.
                self.out.reserve(reply.len().saturating_add(CHANGED_BYTES_MAX));
                self.encoder.append(&reply, &mut self.out).or_else(|cause| {
                    take_back(&mut self.encoder, &mut self.out, start);
                    self.refuse(Header { service_method, seq }, &failed(cause))
                })
            }
            Err(text) => self.put_error(ended.header, text),
        }
    }

    /// Appends the answer of a call that failed.
    pub(super) fn refuse(&mut self, header: Header, error: &Error) -> Result<()> {
        let text = text(error, &header.service_method);
        self.put_error(header, text)
    }

    fn put_error(&mut self, header: Header, text: String) -> Result<()> {
        self.put_header(header, text)?;
        self.encoder.encode(&Nothing {}, &mut self.out).map_err(failed)
    }

    /// Bytes that are still to be written.
    pub(super) fn len(&self) -> usize {
        self.out.len()
    }

    /// Writes what is still to be written.
    pub(super) async fn write(&mut self, connection: &mut Connection) -> Result<()> {
        let out = std::mem::take(&mut self.out);
        connection.write_bytes(&out).await?;
        // To hold less cannot fail.
        self.held.cover(0)
    }

    fn put_header(&mut self, header: Header, error: String) -> Result<()> {
        let Header { service_method, seq } = header;
        let response = Response { service_method, seq, error };
        self.encoder.encode(&response, &mut self.out).map_err(failed)
    }
}

/// What the Go program is told of an error; never nothing, which would be success.
fn text(error: &Error, service_method: &str) -> String {
    let told = error.told();
    let heard = (error.code_word(), error.text());
    match if error.is_from_peer() { heard } else { (told.word.as_str(), told.text) } {
        (UNKNOWN_COMMAND, _) => format!("rpc: can't find method {service_method}"),
        (word, "") => word.to_owned(),
        (_, text) => text.to_owned(),
    }
}

const UNKNOWN_COMMAND: &str = Code::UnknownCommand.as_str();

/// An encoder of a stream whose values have at most so many levels.
fn encoder(depth_max: usize) -> Encoder {
    let mut limits = GobLimits::default();
    limits.depth_max = depth_max;
    Encoder::with_limits(limits)
}

/// Takes back what was written from `start` on, and with it what was said of types: it is said
/// again, under new ids.
fn take_back(encoder: &mut Encoder, out: &mut Vec<u8>, start: usize) {
    out.truncate(start);
    encoder.forget_definitions();
}

fn failed(error: switchboard_gob::Error) -> Error {
    Error::found(Code::Failed, "an answer of net/rpc cannot be written").with_source(error)
}

/// What a reply may grow by on the one stream: a length and numbers of types, a few bytes each.
const CHANGED_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::quota::Quota;

    #[test]
    fn replies_take_the_room_that_they_are_charged() {
        let mut reply = BytesMut::new();
        let limits = Limits::default();
        Gob::encode(&"x".repeat(1_000_000), &limits, &mut reply).unwrap();
        let quota = Quota::new(&limits);
        let mut answers = Answers::new(limits.depth_max, Held::new(&quota));
        let header = Header { service_method: "Echo.Letters".to_owned(), seq: 0 };
        let ended = Ended { header, reply: Ok(Reply::new(reply)), held: Held::new(&quota) };
        answers.put(ended).unwrap();
        assert!((1_000_000..1_001_000).contains(&answers.len()));
        assert!(answers.out.capacity() < 1_001_000, "{}", answers.out.capacity());
    }
}
