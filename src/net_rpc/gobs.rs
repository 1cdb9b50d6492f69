//! The one stream of gobs that a peer of net/rpc sends, cut into values that stand alone.
//!
//! The peer has one encoder for as long as it lives, so each type is defined once and then
//! remembered. Two things follow. What was defined may never be forgotten, so it has a limit, and
//! is charged to the endpoint. And the decoder must not break while the peer does nothing that gob
//! could not bear: so each message is looked at before the decoder is given it, and a value that is
//! too large is passed over.
//!
//! ```text
//!            a definition                        too large, and surely one message
//!          ┌──────────────┐                    ┌───────────► Passing ── its end ──┐
//!          ▼              │                    │                                  │
//!   ┌─► Between ──────────┘ ──a value──► its head ──► in the decoder ──whole──────┤
//!   │                                          │                                  │
//!   │                                          └ else: an error, and nothing more │
//!   └─────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! A value without interfaces in it is one message. One with interfaces may be several, and may
//! have definitions inside. Both are known only to the decoder, so such a value cannot be passed
//! over.

use bytes::{Buf, Bytes, BytesMut};
use switchboard_gob::{Decoder, ErrorKind, Limits as GobLimits};

use crate::error::{Code, Error, Result};
use crate::format::DEFINITION_TIMES;
use crate::limits::{Limits, PayloadMax};
use crate::stream::{Connection, Wait};

/// Cuts the stream of one peer.
pub(super) struct Gobs {
    decoder: Decoder,
    definition_bytes_max: usize,
    // Bytes at the beginning of the input that the decoder has.
    pushed_bytes: usize,
    // The message that the decoder has partly.
    message: Option<Message>,
    // Of the value that is being read, without the definitions before it.
    value_bytes: usize,
    // Still to come of a value that is passed over.
    passing_bytes: u64,
    // Some type may have an interface in it.
    may_have_interfaces: bool,
}

/// Where a message of the input begins and ends, and what it is.
#[derive(Clone, Copy)]
struct Message {
    start: usize,
    end: usize,
    is_definition: bool,
}

/// The beginning of a message.
struct Head {
    // Of the length, and of what that counts.
    length_bytes: usize,
    bytes: u64,
    id: i64,
    id_bytes: usize,
}

impl Gobs {
    /// Of a peer that has said nothing yet.
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            decoder: decoder(limits.depth_max, limits.net_rpc_definition_bytes_max),
            definition_bytes_max: limits.net_rpc_definition_bytes_max,
            pushed_bytes: 0,
            message: None,
            value_bytes: 0,
            passing_bytes: 0,
            may_have_interfaces: false,
        }
    }

    /// Reads the next value as a stream of its own; `None` if the stream ends before it. Cancel
    /// safe.
    ///
    /// # Errors
    ///
    /// Those of the stream, and `too_large`, `bad_payload` or `overloaded` of the value.
    /// [`is_passing`](Self::is_passing) says whether the stream can go on behind it.
    pub(super) async fn read(
        &mut self,
        connection: &mut Connection,
        wait: &mut Wait,
    ) -> Result<Option<Bytes>> {
        loop {
            let max = connection.payload_max();
            let taken = self.take(connection.input(), max);
            connection.charge(self.held_bytes())?;
            if let Some(value) = taken.map_err(|error| connection.wrong(error))? {
                return Ok(Some(value));
            }
            let missing = self.missing(connection.input());
            if !connection.read_more(wait, missing).await? {
                return Ok(None);
            }
        }
    }

    /// Whether a value that was refused is passed over.
    pub(super) fn is_passing(&self) -> bool {
        self.passing_bytes > 0
    }

    /// Reads the rest of a value that is passed over, in the time that is left for it. Cancel safe.
    pub(super) async fn pass(&mut self, connection: &mut Connection, wait: &Wait) -> Result<()> {
        while !self.drop_passing(connection.input()) {
            // Each read that finds nothing waiting would begin to count anew.
            if !connection.read_more(&mut wait.clone(), 0).await? {
                let text = "the stream ended in the middle of a payload";
                return Err(connection.wrong(Error::found(Code::BadPayload, text)));
            }
        }
        Ok(())
    }

    /// Takes the next value from `input` once it is complete, as a stream of its own. Without the
    /// definitions it may have so many bytes.
    ///
    /// # Errors
    ///
    /// `too_large`, or `bad_payload`.
    fn take(&mut self, input: &mut BytesMut, max: PayloadMax) -> Result<Option<Bytes>> {
        loop {
            let Some(message) = self.message(input, max)? else {
                return Ok(None);
            };
            let fresh = input.get(self.pushed_bytes..message.end.min(input.len()));
            let pushed = self.decoder.push(fresh.unwrap_or_default()).map_err(refused)?;
            self.pushed_bytes = self.pushed_bytes.saturating_add(pushed.used_bytes);
            if pushed.is_complete {
                return Ok(Some(self.whole(input)));
            }
            if self.pushed_bytes < message.end {
                return Ok(None);
            }
            self.message = None;
            if message.is_definition {
                let bytes = input.get(message.start..message.end).unwrap_or_default();
                self.may_have_interfaces |= memchr::memchr(INTERFACE, bytes).is_some();
            }
        }
    }

    /// Drops what has come of a value that is passed over; whether that was the rest.
    fn drop_passing(&mut self, input: &mut BytesMut) -> bool {
        let here = usize::try_from(self.passing_bytes).unwrap_or(usize::MAX).min(input.len());
        input.advance(here);
        self.passing_bytes = self.passing_bytes.saturating_sub(here as u64);
        self.passing_bytes == 0
    }

    /// How many bytes are known to be missing.
    fn missing(&self, input: &BytesMut) -> usize {
        self.message.map_or(0, |message| message.end.saturating_sub(input.len()))
    }

    /// Bytes of memory that it holds of what was read.
    fn held_bytes(&self) -> usize {
        let definitions = self.decoder.definition_bytes().saturating_mul(DEFINITION_TIMES);
        definitions.saturating_add(self.decoder.buffered_bytes())
    }

    /// The message of which more can be pushed.
    fn message(&mut self, input: &mut BytesMut, max: PayloadMax) -> Result<Option<Message>> {
        if self.message.is_none() {
            let Some(head) = Head::of(input.get(self.pushed_bytes..).unwrap_or_default())? else {
                return Ok(None);
            };
            self.message = Some(self.admit(&head, input, max)?);
        }
        Ok(self.message)
    }

    /// Lets the decoder have a message, if that is not too large.
    fn admit(&mut self, head: &Head, input: &mut BytesMut, max: PayloadMax) -> Result<Message> {
        let bytes = usize::try_from(head.bytes).unwrap_or(usize::MAX);
        let all_bytes = bytes.saturating_add(head.length_bytes);
        let start = self.pushed_bytes;
        let end = start.saturating_add(all_bytes);
        // What begins a further message of a value may look like a definition.
        if head.id < 0 && self.value_bytes == 0 {
            let bytes = bytes.saturating_sub(head.id_bytes);
            if bytes > self.definition_bytes_max {
                return Err(too_many(bytes, self.definition_bytes_max));
            }
            return Ok(Message { start, end, is_definition: true });
        }
        self.may_have_interfaces |= head.id == INTERFACE_ID;
        let value_bytes = self.value_bytes.saturating_add(all_bytes);
        if value_bytes > max.bytes {
            if !self.may_have_interfaces {
                self.begin_to_pass(head, input);
            }
            return Err(Error::found(Code::TooLarge, max.too_large(value_bytes)));
        }
        self.value_bytes = value_bytes;
        Ok(Message { start, end, is_definition: false })
    }

    /// Leaves out a value that is one message.
    fn begin_to_pass(&mut self, head: &Head, input: &mut BytesMut) {
        // In its place the decoder has a zero, with which the definitions before it are old.
        if self.decoder.push(&ZERO).is_ok() {
            self.decoder.release();
            input.advance(self.pushed_bytes.min(input.len()));
            self.passing_bytes = head.bytes.saturating_add(head.length_bytes as u64);
            self.pushed_bytes = 0;
        }
    }

    /// The value that is complete.
    fn whole(&mut self, input: &mut BytesMut) -> Bytes {
        let mut alone = Vec::new();
        self.decoder.put_definitions(&mut alone);
        self.decoder.release();
        self.message = None;
        let value = input.split_to(self.pushed_bytes.min(input.len())).freeze();
        (self.value_bytes, self.pushed_bytes) = (0, 0);
        if alone.is_empty() {
            return value;
        }
        alone.extend_from_slice(&value);
        alone.into()
    }
}

impl Head {
    /// Of the message that `input` begins with, once it is there.
    fn of(input: &[u8]) -> Result<Option<Self>> {
        let Some((bytes, length_bytes)) = uint(input)? else {
            return Ok(None);
        };
        let Some((id, id_bytes)) = uint(input.get(length_bytes..).unwrap_or_default())? else {
            return Ok(None);
        };
        // The sign is the last bit.
        let half = i64::try_from(id >> 1).unwrap_or(i64::MAX);
        let id = if id & 1 == 0 { half } else { !half };
        Ok(Some(Self { length_bytes, bytes, id, id_bytes }))
    }
}

/// An unsigned integer as gob has it: below 128 itself in one byte, else the count of its bytes,
/// negated, and these from the largest on.
fn uint(input: &[u8]) -> Result<Option<(u64, usize)>> {
    let Some((&first, rest)) = input.split_first() else {
        return Ok(None);
    };
    if first < 0x80 {
        return Ok(Some((u64::from(first), 1)));
    }
    let count = usize::from(first.wrapping_neg());
    if count > 8 {
        let text = "the payload is not valid gob: an integer of more than 8 bytes";
        return Err(Error::found(Code::BadPayload, text));
    }
    let digits = rest.get(..count);
    let number =
        digits.map(|digits| digits.iter().fold(0, |all, &byte| all << 8 | u64::from(byte)));
    Ok(number.map(|number| (number, count.saturating_add(1))))
}

/// Bytes of the definitions that a value has before it which stands alone.
pub(super) fn definition_bytes(alone: &[u8]) -> usize {
    let mut value = alone;
    while let Ok(Some(Head { length_bytes, bytes, id: ..0, .. })) = Head::of(value) {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        value = value.get(length_bytes.saturating_add(bytes)..).unwrap_or_default();
    }
    alone.len().saturating_sub(value.len())
}

/// A decoder for which values may be of any length.
fn decoder(depth_max: usize, definition_bytes_max: usize) -> Decoder {
    let mut limits = GobLimits::default();
    limits.value_bytes_max = usize::MAX;
    limits.elements_max = usize::MAX;
    limits.depth_max = depth_max;
    limits.definition_bytes_max = definition_bytes_max;
    Decoder::with_limits(limits)
}

fn refused(cause: switchboard_gob::Error) -> Error {
    let error = match cause.kind() {
        // By the name that the limit has here.
        ErrorKind::Limit => {
            let text =
                cause.to_string().replace(" definition_bytes_max", " net_rpc_definition_bytes_max");
            Error::found(Code::TooLarge, text)
        }
        _ => Error::found(Code::BadPayload, format!("the payload is not valid gob: {cause}")),
    };
    error.with_source(cause)
}

fn too_many(bytes: usize, max: usize) -> Error {
    let text =
        format!("{bytes} bytes of type definitions: over net_rpc_definition_bytes_max ({max})");
    Error::found(Code::TooLarge, text)
}

/// The id of an interface among Go's basic types, and the last byte of it wherever it is mentioned.
const INTERFACE_ID: i64 = 8;
const INTERFACE: u8 = 16;

/// The gob of an `int` that is 0.
const ZERO: [u8; 4] = [3, 4, 0, 0];
