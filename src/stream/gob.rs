//! The gobs of one connection, which may remember what was said before.
//!
//! A Go program has one of two habits: an encoder for each value, which then says its types each
//! time, or one encoder for the whole connection, which says them once. A decoder at the other end
//! must have the same habit. What is read here can be either; it is handed on as if it had come
//! alone. What is written follows what was read:
//!
//! | the peer                                   | is answered with                        |
//! |--------------------------------------------|-----------------------------------------|
//! | has not shown a habit yet                  | types said each time, under new ids,    |
//! |                                            | which either sort of decoder takes      |
//! | has used a type that it defined earlier    | types said once                         |
//! | has defined a type a second time           | types said each time, from the first id |

use bytes::{Buf, Bytes, BytesMut};
use switchboard_gob::{Decoder, Encoder, ErrorKind, Limits as GobLimits};

use super::memory::Memory;
use crate::error::{Code, Error, Result};
use crate::format::DEFINITION_TIMES;
use crate::limits::{Limits, PayloadMax};

/// What a connection remembers of its gobs.
struct Gobs {
    reading: Decoder,
    payload_max: PayloadMax,
    // Bytes at the beginning of the input that were pushed already.
    pushed_bytes: usize,
    writing: Encoder,
    depth_max: usize,
    habit: Habit,
}

/// How the peer goes about its encoders.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Habit {
    Unknown,
    OneStream,
    NewStreams,
}

/// Nothing so far.
pub(super) fn memory(limits: &Limits, payload_max: PayloadMax) -> Box<dyn Memory> {
    Box::new(Gobs::new(limits, payload_max))
}

impl Gobs {
    fn new(limits: &Limits, payload_max: PayloadMax) -> Self {
        let mut bounds = GobLimits::default();
        bounds.value_bytes_max = payload_max.bytes;
        bounds.definition_bytes_max = limits.definition_bytes_max;
        bounds.depth_max = limits.depth_max;
        bounds.elements_max = usize::MAX;
        let reading = Decoder::with_limits(bounds).allow_new_streams();
        let (depth_max, habit) = (limits.depth_max, Habit::Unknown);
        let writing = encoder(depth_max);
        Self { reading, payload_max, pushed_bytes: 0, writing, depth_max, habit }
    }
}

impl Memory for Gobs {
    fn bound(&mut self, payload_max: PayloadMax) {
        self.payload_max = payload_max;
        self.reading.set_value_bytes_max(payload_max.bytes);
    }

    /// Takes the next value from `input` once it is complete, as a stream of its own.
    ///
    /// # Errors
    ///
    /// `bad_payload`, or `too_large`; the end of the value is not known then.
    fn take(&mut self, input: &mut BytesMut) -> Result<Option<Bytes>> {
        let fresh = input.get(self.pushed_bytes..).unwrap_or_default();
        let progress =
            self.reading.push(fresh).map_err(|cause| refused(cause, self.payload_max))?;
        self.pushed_bytes = self.pushed_bytes.saturating_add(progress.used_bytes);
        if !progress.is_complete {
            return Ok(None);
        }
        let mut definitions = Vec::new();
        self.reading.put_definitions(&mut definitions);
        if !definitions.is_empty() {
            self.habit = Habit::OneStream;
        } else if self.reading.has_begun_anew() {
            self.habit = Habit::NewStreams;
        }
        self.reading.release();
        let value_bytes = std::mem::take(&mut self.pushed_bytes).min(input.len());
        if definitions.is_empty() {
            return Ok(Some(input.split_to(value_bytes).freeze()));
        }
        definitions.extend_from_slice(input.get(..value_bytes).unwrap_or_default());
        input.advance(value_bytes);
        Ok(Some(definitions.into()))
    }

    /// What `payload`, a stream of its own, is on this connection.
    ///
    /// # Errors
    ///
    /// `bad_payload` if it is no such stream.
    fn join(&mut self, payload: &[u8]) -> Result<Vec<u8>> {
        match self.habit {
            Habit::Unknown => self.writing.forget_definitions(),
            Habit::NewStreams => self.writing = encoder(self.depth_max),
            Habit::OneStream => {}
        }
        let mut out = Vec::with_capacity(payload.len());
        self.writing.append(payload, &mut out).map_err(|cause| refused(cause, self.payload_max))?;
        Ok(out)
    }

    /// Bytes of memory that it holds of what was read.
    fn held_bytes(&self) -> usize {
        let definitions = self.reading.definition_bytes().saturating_mul(DEFINITION_TIMES);
        definitions.saturating_add(self.reading.buffered_bytes())
    }
}

/// For a stream from its beginning.
fn encoder(depth_max: usize) -> Encoder {
    let mut bounds = GobLimits::default();
    bounds.depth_max = depth_max;
    Encoder::with_limits(bounds)
}

fn refused(cause: switchboard_gob::Error, payload_max: PayloadMax) -> Error {
    let error = match cause.kind() {
        // By the name that the limit has here.
        ErrorKind::Limit => {
            let name = format!("value_bytes_max ({})", payload_max.bytes);
            let text = cause.to_string().replace(&name, &payload_max.name());
            Error::found(Code::TooLarge, text)
        }
        _ => Error::found(Code::BadPayload, format!("the payload is not valid gob: {cause}")),
    };
    error.with_source(cause)
}
