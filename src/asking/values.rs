//! Values to payloads and back, for whoever calls and whoever sends or takes items.
//!
//! All clients encode a request and decode a reply here, so both are bound by the same limits and
//! fail with the same errors.

use bytes::{Bytes, BytesMut};

use crate::command::Facts;
use crate::error::{Code, Error, Result};
use crate::format::{Budget, Format, PAYLOAD_BYTES_USUAL};
use crate::limits::Limits;

/// [`Format::payload`].
pub(crate) type EncodeItem<I> = fn(&I, &Limits) -> Result<Bytes>;

/// [`Format::decode`].
pub(crate) type DecodeItem<I> = fn(Bytes, &Budget) -> Result<I>;

/// The payload for `value`, which is refused here rather than by the peer if it is too large.
pub(crate) fn encode<F: Format<T>, T>(
    value: &T,
    facts: Facts,
    limits: &Limits,
) -> Result<BytesMut> {
    let mut payload = BytesMut::with_capacity(PAYLOAD_BYTES_USUAL);
    let encoded = match facts.payload_bytes_max() {
        None => F::encode(value, limits, &mut payload),
        Some(_) => F::encode(value, &facts.limits(limits), &mut payload),
    };
    encoded.map_err(Error::by_library)?;
    let (len, max) = (payload.len(), facts.payload_max(limits.payload_bytes_max));
    if len > max.bytes {
        return Err(Error::local(Code::TooLarge, max.too_large(len)));
    }
    Ok(payload)
}

/// The value of a reply to a call whose command has these facts.
#[inline]
pub(crate) fn decode_reply<T>(
    decode: DecodeItem<T>,
    payload: Bytes,
    facts: Option<&Facts>,
    limits: &Limits,
) -> Result<T> {
    let budget = match facts {
        None => Budget::new(limits, payload.len()),
        Some(facts) => Budget::new(&facts.limits(limits), payload.len()),
    };
    decode(payload, &budget).map_err(Error::of_reply)
}

/// The error of a call in this format of this command, as its caller is told it.
#[cold]
pub(crate) fn explain(error: Error, format: &'static str, command: &str, limits: &Limits) -> Error {
    error.in_format(format, limits.payload_bytes_max).in_command(command)
}

/// An item as its bytes.
pub(crate) fn encode_item<I>(encode: EncodeItem<I>, item: &I, limits: &Limits) -> Result<Bytes> {
    let payload = encode(item, limits).map_err(Error::by_library)?;
    check_item_bytes(payload.len(), limits)?;
    Ok(payload)
}

/// Whether an item may be so large.
pub(crate) fn check_item_bytes(bytes: usize, limits: &Limits) -> Result<()> {
    let max = limits.item_bytes_max;
    if bytes > max {
        let text = format!("an item of {bytes} bytes is over item_bytes_max ({max})");
        return Err(Error::local(Code::TooLarge, text));
    }
    Ok(())
}

/// An item of its bytes.
pub(crate) fn decode_item<I>(decode: DecodeItem<I>, payload: Bytes, limits: &Limits) -> Result<I> {
    let budget = Budget::new(limits, payload.len());
    decode(payload, &budget)
}
