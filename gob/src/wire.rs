//! The numbers that everything on the wire is made of.
//!
//! ```text
//! uint    0 to 127                 one byte
//!         above                    256 - n, then n bytes, big-endian, without leading zeros
//! int     i >= 0                   the uint i * 2
//!         i < 0                    the uint !i * 2 + 1
//! float   its bits, byte by byte   as a uint, from the last to the first: exponents come last then
//!         reversed
//! ```
//!
//! Go reads a uint with leading zeros as well, and so do we. Source: the documentation of Go's
//! package `encoding/gob`, "Encoding Details", and its `decode.go`.

use std::ops::Range;

use crate::error::{Error, ErrorKind, Result};

/// The bytes of one message, read from the front.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'de> {
    bytes: &'de [u8],
    // Where in the stream `bytes` ends.
    end: u64,
}

/// Bytes of the longest uint.
pub(crate) const UINT_BYTES_MAX: usize = 9;

/// Appends an unsigned integer.
#[inline]
pub(crate) fn put_uint(out: &mut Vec<u8>, value: u64) {
    match u8::try_from(value) {
        Ok(byte) if byte < 0x80 => out.push(byte),
        _ => {
            let (bytes, len) = uint_bytes(value);
            let end = out.len().saturating_add(len);
            // To copy them all, and cut, is quicker than to copy as many as there are.
            out.extend_from_slice(&bytes);
            out.truncate(end);
        }
    }
}

/// Puts an unsigned integer in the place of `place`. What is behind it moves if it must.
pub(crate) fn replace_by_uint(out: &mut Vec<u8>, place: Range<usize>, value: u64) {
    let (bytes, len) = uint_bytes(value);
    let bytes = bytes.get(..len).unwrap_or_default();
    match out.get_mut(place.clone()) {
        Some(old) if old.len() == bytes.len() => old.copy_from_slice(bytes),
        _ => drop(out.splice(place, bytes.iter().copied())),
    }
}

/// Puts the length of what is behind the byte at `len_at` in its place.
pub(crate) fn fill_in_len(out: &mut Vec<u8>, len_at: usize) {
    let body_at = len_at.saturating_add(1);
    let len = u64::try_from(out.len().saturating_sub(body_at)).unwrap_or(u64::MAX);
    replace_by_uint(out, len_at..body_at, len);
}

/// Appends a signed integer.
pub(crate) fn put_int(out: &mut Vec<u8>, value: i64) {
    put_uint(out, zigzag(value));
}

/// Appends a floating-point number.
pub(crate) fn put_float(out: &mut Vec<u8>, value: f64) {
    put_uint(out, value.to_bits().swap_bytes());
}

/// Appends the length of what follows, in bytes or elements.
pub(crate) fn put_len(out: &mut Vec<u8>, len: usize) {
    put_uint(out, u64::try_from(len).unwrap_or(u64::MAX));
}

/// Appends a text and, before it, its length.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_len(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// The uint at the front of `bytes` and how many bytes it takes; `None` if they end before it does.
///
/// # Errors
///
/// The text for a first byte that announces more than 8 bytes.
pub(crate) fn split_uint(bytes: &[u8]) -> Result<Option<(u64, usize)>, &'static str> {
    let Some((&first, rest)) = bytes.split_first() else {
        return Ok(None);
    };
    if first < 0x80 {
        return Ok(Some((u64::from(first), 1)));
    }
    let len = usize::from(first.wrapping_neg());
    if len >= UINT_BYTES_MAX {
        return Err("a number of more than 8 bytes");
    }
    let Some(digits) = rest.get(..len) else {
        return Ok(None);
    };
    let value = digits.iter().fold(0, |value: u64, &digit| value << 8 | u64::from(digit));
    Ok(Some((value, len.saturating_add(1))))
}

impl<'de> Reader<'de> {
    /// Reads `bytes`, which begin at `offset` in the stream.
    pub(crate) fn new(bytes: &'de [u8], offset: u64) -> Self {
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Self { bytes, end: offset.saturating_add(len) }
    }

    /// Bytes that are left.
    pub(crate) fn left(&self) -> usize {
        self.bytes.len()
    }

    /// What is left.
    pub(crate) fn rest(&self) -> &'de [u8] {
        self.bytes
    }

    /// Where in the stream the next byte is.
    pub(crate) fn offset(&self) -> u64 {
        self.end.saturating_sub(u64::try_from(self.bytes.len()).unwrap_or(u64::MAX))
    }

    /// An error about what comes next.
    #[cold]
    pub(crate) fn malformed(&self, text: impl Into<String>) -> Error {
        Error::malformed(self.offset(), text)
    }

    #[inline]
    pub(crate) fn uint(&mut self) -> Result<u64> {
        match self.bytes.split_first() {
            Some((&byte, rest)) if byte < 0x80 => {
                self.bytes = rest;
                Ok(u64::from(byte))
            }
            _ => self.long_uint(),
        }
    }

    fn long_uint(&mut self) -> Result<u64> {
        let (value, len) = split_uint(self.bytes)
            .map_err(|text| self.malformed(text))?
            .ok_or_else(|| self.malformed("the message ends in a number"))?;
        self.bytes = self.bytes.get(len..).unwrap_or_default();
        Ok(value)
    }

    #[inline]
    pub(crate) fn int(&mut self) -> Result<i64> {
        self.uint().map(unzigzag)
    }

    #[inline]
    pub(crate) fn float(&mut self) -> Result<f64> {
        self.uint().map(|bits| f64::from_bits(bits.swap_bytes()))
    }

    /// A bool: 0 or anything else, as in Go.
    #[inline]
    pub(crate) fn bool(&mut self) -> Result<bool> {
        self.uint().map(|value| value != 0)
    }

    /// The number of elements that follow in these bytes, each of which takes a byte at least.
    #[inline]
    pub(crate) fn count(&mut self) -> Result<usize> {
        let before = *self;
        let count = self.uint()?;
        match usize::try_from(count) {
            Ok(count) if count <= self.bytes.len() => Ok(count),
            _ => {
                let left = self.bytes.len();
                Err(before.malformed(format!("a count of {count} where {left} bytes are left")))
            }
        }
    }

    /// A byte string with its length before it.
    #[inline]
    pub(crate) fn bytes(&mut self) -> Result<&'de [u8]> {
        let len = self.count()?;
        let (bytes, rest) = self.bytes.split_at_checked(len).unwrap_or_default();
        self.bytes = rest;
        Ok(bytes)
    }

    /// A text with its length before it.
    pub(crate) fn text(&mut self) -> Result<&'de str> {
        let before = *self;
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|_| before.malformed("a text that is not UTF-8"))
    }
}

/// The bytes have come to an end before a value did.
#[cold]
pub(crate) fn cut_short() -> Error {
    Error::new(ErrorKind::UnexpectedEnd, "the bytes end in the middle of a value")
}

fn zigzag(value: i64) -> u64 {
    value.wrapping_shl(1).cast_unsigned() ^ (value >> 63).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ (value & 1).wrapping_neg().cast_signed()
}

/// An unsigned integer, at the front, and how many bytes it takes.
#[inline]
fn uint_bytes(value: u64) -> ([u8; UINT_BYTES_MAX], usize) {
    if value < 0x80 {
        let [.., byte] = value.to_be_bytes();
        return ([byte, 0, 0, 0, 0, 0, 0, 0, 0], 1);
    }
    // `value` is not 0, so at most 7 bytes are.
    let zeros = u8::try_from(value.leading_zeros() / 8).unwrap_or_default();
    let [a, b, c, d, e, f, g, h] = value.wrapping_shl(u32::from(zeros) * 8).to_be_bytes();
    // 8 - zeros, negated.
    let announcement = zeros.wrapping_sub(8);
    let len = UINT_BYTES_MAX.saturating_sub(usize::from(zeros));
    ([announcement, a, b, c, d, e, f, g, h], len)
}

#[cfg(test)]
mod tests;
