//! One line of text.
//!
//! For people and scripts: the payload is the text itself and ends with its line, so it can't have
//! a line end in it. It is not for structs; that is a compile error.

use ::bytes::{Bytes, BytesMut};

use super::budget::Budget;
use super::{Codec, Format, Framing, Tongues};
use crate::error::{Code, Error, Result};
use crate::limits::Limits;

/// The format of a `String` in one line of UTF-8, without line feed, carriage return and NUL.
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use switchboard::Limits;
/// use switchboard::format::{Budget, Format, Line};
///
/// let mut out = BytesMut::new();
/// assert!(Line::encode(&"two\nlines".into(), &Limits::default(), &mut out).is_err());
/// assert!(out.is_empty());
///
/// let payload = Bytes::from_static(b"one line");
/// let budget = Budget::new(&Limits::default(), payload.len());
/// assert_eq!(Line::decode(payload, &budget)?, "one line");
/// # Ok::<(), switchboard::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "it is a name and has no values")]
pub enum Line {}

impl Format<String> for Line {
    const NAME: &'static str = "line";
    const FRAMING: Framing = Framing::Line;

    fn encode(value: &String, _: &Limits, out: &mut BytesMut) -> Result<()> {
        check_is_one_line(value.as_bytes())?;
        out.extend_from_slice(value.as_bytes());
        Ok(())
    }

    fn decode(payload: Bytes, budget: &Budget) -> Result<String> {
        check_is_one_line(&payload)?;
        budget.note_payload();
        // Takes the buffer over without a copy if nobody else holds it.
        String::from_utf8(payload.into()).map_err(|cause| {
            let valid_bytes = cause.utf8_error().valid_up_to();
            budget.error_with_detail("line", format_args!("no UTF-8 at byte {valid_bytes}"), cause)
        })
    }

    fn alternatives() -> Vec<Codec<String>> {
        String::tongues()
    }
}

/// Refuses what would end a line early here or in whatever stands behind the peer.
fn check_is_one_line(text: &[u8]) -> Result<()> {
    match memchr::memchr3(b'\n', b'\r', 0, text) {
        None => Ok(()),
        Some(index) => Err(not_one_line(index, text)),
    }
}

#[cold]
fn not_one_line(index: usize, text: &[u8]) -> Error {
    let name = match text.get(index) {
        Some(b'\n') => "line feed",
        Some(b'\r') => "carriage return",
        _ => "NUL",
    };
    Error::found(Code::BadPayload, format!("the text is not one line: {name} at byte {index}"))
}
