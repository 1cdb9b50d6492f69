//! The payload as it is.
//!
//! What comes is not copied: the value is a slice of the buffer that was read from the connection.
//! Nor is an item that goes. It has no form in JSON.

use bytes::BytesMut;

use super::budget::Budget;
use super::{Format, Framing};
use crate::error::Result;
use crate::limits::Limits;

/// The format of [`bytes::Bytes`]: whatever the bytes are, they are the payload.
///
/// ```
/// use switchboard::Limits;
/// use switchboard::format::{Budget, Bytes, Format};
///
/// let payload = bytes::Bytes::from_static(b"\x00\xff");
/// let budget = Budget::new(&Limits::default(), payload.len());
/// assert_eq!(Bytes::decode(payload, &budget)?, b"\x00\xff"[..]);
/// # Ok::<(), switchboard::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "it is a name and has no values")]
pub enum Bytes {}

impl Format<bytes::Bytes> for Bytes {
    const NAME: &'static str = "bytes";
    const FRAMING: Framing = Framing::Counted;

    fn encode(value: &bytes::Bytes, _: &Limits, out: &mut BytesMut) -> Result<()> {
        out.extend_from_slice(value);
        Ok(())
    }

    fn payload(value: &bytes::Bytes, _: &Limits) -> Result<bytes::Bytes> {
        Ok(value.clone())
    }

    fn decode(payload: bytes::Bytes, budget: &Budget) -> Result<bytes::Bytes> {
        budget.note_payload();
        Ok(payload)
    }
}
