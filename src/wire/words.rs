//! What lines are put together from: words divided by one space, canonical decimals, and pairs.

use bytes::{BufMut, BytesMut};

use super::Flaw;

/// The words of a line, one after the other, divided by exactly one space.
pub(super) struct Words<'a> {
    // What has not been read, with the space in front of it unless it is the first word.
    pub(super) rest: &'a [u8],
}

impl<'a> Words<'a> {
    /// The next word; there must be one.
    #[inline]
    pub(super) fn next(&mut self) -> Result<&'a [u8], Flaw> {
        self.maybe()?.ok_or(Flaw::WordCount)
    }

    /// The next word, or `None` at the end of the line.
    #[inline]
    pub(super) fn maybe(&mut self) -> Result<Option<&'a [u8]>, Flaw> {
        let text = match self.rest {
            [] => return Ok(None),
            [b' ', text @ ..] => text,
            text => text,
        };
        let len = text.iter().position(|byte| *byte == b' ').unwrap_or(text.len());
        let (word, rest) = text.split_at_checked(len).unwrap_or_default();
        self.rest = rest;
        if word.is_empty() { Err(Flaw::EmptyWord) } else { Ok(Some(word)) }
    }

    /// Nothing but the end may follow.
    pub(super) fn end(&mut self) -> Result<(), Flaw> {
        if self.maybe()?.is_none() { Ok(()) } else { Err(Flaw::WordCount) }
    }
}

/// A canonical decimal: digits without sign, and no zero in front of others.
#[inline]
pub(super) fn decimal(word: &[u8]) -> Option<u64> {
    if word.is_empty() || (word.len() > 1 && word.first() == Some(&b'0')) {
        return None;
    }
    word.iter().try_fold(0_u64, |value, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

#[inline]
pub(super) fn decimal_u32(word: &[u8]) -> Option<u32> {
    decimal(word).and_then(|value| u32::try_from(value).ok())
}

/// The two sides of `KEY=VALUE`.
pub(super) fn pair(word: &[u8]) -> Option<(&[u8], &[u8])> {
    let (key, value) = word.split_at_checked(word.iter().position(|byte| *byte == b'=')?)?;
    Some((key, value.get(1..)?))
}

pub(super) fn push(text: &mut BytesMut, key: &[u8], value: &[u8]) {
    if !text.is_empty() {
        text.put_u8(b' ');
    }
    text.extend_from_slice(key);
    text.put_u8(b'=');
    text.extend_from_slice(value);
}
