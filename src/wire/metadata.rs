//! What an application says beside a call or a reply: keys with a `-` in them.
//!
//! Its bounds are of the protocol and not settings, so that no peer's metadata is too much for
//! another peer: with them and everything else at its longest a line fits into the least
//! `line_bytes_max` that can be set.

use std::borrow::Cow;
use std::fmt;

use bytes::{Bytes, BytesMut};

use super::bad_option::Takes;
use super::words::{pair, push};
use super::{BadOption, Flaw};
use crate::error::{Code, Error, Result, is_word};

/// Keys and values that an application sends beside a call or its reply: a tenant, an id of the
/// request, who has answered.
///
/// A key is 1 to 32 bytes of `a` to `z`, `_` and `-`, with at least one `-`, and stands there once.
/// A value is any text. There are at most 16 keys, and at most 4,096 bytes of keys and values as
/// they stand on the wire, where a byte of a value that is not printable ASCII, a blank or a `%`
/// takes three (`%20`).
///
/// ```
/// use switchboard::Metadata;
///
/// let metadata = Metadata::default().with("tenant-id", "42")?.with("request-note", "50 % off")?;
/// assert_eq!(metadata.get("tenant-id").as_deref(), Some("42"));
/// assert_eq!(metadata.to_string(), "tenant-id=42 request-note=50%20%25%20off");
/// # Ok::<(), switchboard::Error>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    // As it stands on the wire: pairs divided by one space.
    text: Bytes,
}

impl Metadata {
    /// The most keys.
    pub const KEYS_MAX: usize = 16;

    /// The most bytes of all keys and values as they stand on the wire.
    pub const BYTES_MAX: usize = 4096;

    /// This metadata with one key more.
    ///
    /// # Errors
    ///
    /// `invalid` if it is not a key, there already, or too much; the text says which.
    pub fn with(self, key: &str, value: &str) -> Result<Self> {
        let value = encoded(value);
        if let Err(text) = self.check(key, &value) {
            return Err(Error::found(Code::Invalid, text));
        }
        let mut text = BytesMut::from(&*self.text);
        push(&mut text, key.as_bytes(), &value);
        Ok(Self { text: text.freeze() })
    }

    /// Says why this cannot be added.
    fn check(&self, key: &str, value: &[u8]) -> Result<(), String> {
        if !is_word(key.as_bytes()) || !key.contains('-') {
            let rule = "1 to 32 of a to z, _ and -, with a -";
            return Err(format!("{key:?} is not a key of metadata: {rule}"));
        }
        if self.pairs().any(|(there, _)| there == key.as_bytes()) {
            return Err(format!("metadata has {key} already"));
        }
        let count = self.pairs().count().saturating_add(1);
        if count > Self::KEYS_MAX {
            return Err(format!("metadata would have {count} keys, over {}", Self::KEYS_MAX));
        }
        let added = std::iter::once((key.as_bytes(), value));
        let bytes =
            self.pairs().chain(added).map(|(key, value)| key.len().saturating_add(value.len()));
        let bytes: usize = bytes.sum();
        if bytes > Self::BYTES_MAX {
            let max = Self::BYTES_MAX;
            return Err(format!(
                "metadata would have {bytes} bytes of keys and values, over {max}"
            ));
        }
        Ok(())
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Cow<'_, str>> {
        self.pairs().find(|(found, _)| *found == key.as_bytes()).map(|(_, value)| decoded(value))
    }

    /// Keys and values, as they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
        self.pairs().map(move |(key, value)| (text(key), decoded(value)))
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// That of a line, among its other options. All of it has been checked.
    pub(super) fn of_line(options: &Bytes) -> Self {
        let mut text = BytesMut::new();
        for (key, value) in options.split(|byte| *byte == b' ').filter_map(pair) {
            if key.contains(&b'-') {
                push(&mut text, key, value);
            }
        }
        Self { text: text.freeze() }
    }

    /// Appends it to other options.
    pub(super) fn put(&self, options: &mut BytesMut) {
        self.pairs().for_each(|(key, value)| push(options, key, value));
    }

    /// Bytes in which it is kept.
    pub(crate) const fn bytes(&self) -> usize {
        self.text.len()
    }

    pub(crate) fn text(&self) -> Bytes {
        self.text.clone()
    }

    fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.text.split(|byte| *byte == b' ').filter_map(pair)
    }
}

impl Error {
    /// What the peer said beside the error; see
    /// [`Context::set_reply_metadata`](crate::Context::set_reply_metadata).
    #[must_use]
    pub fn metadata(&self) -> Metadata {
        Metadata { text: self.raw_metadata().clone() }
    }
}

impl fmt::Display for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.text).unwrap_or_default())
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// The keys of one line, so that it keeps its bounds.
#[derive(Default)]
pub(super) struct Tally<'l> {
    keys: [&'l [u8]; Metadata::KEYS_MAX],
    count: usize,
    bytes: usize,
}

impl<'l> Tally<'l> {
    /// Counts a key, which is a word with a `-`, and `word` is it with its value.
    pub(super) fn add(&mut self, word: &[u8], key: &'l [u8], value: &[u8]) -> Result<(), Flaw> {
        let bytes = self.bytes.saturating_add(key.len()).saturating_add(value.len());
        if self.keys.contains(&key) {
            return Err(Flaw::Option(BadOption::twice(key)));
        }
        if !is_encoded(value) {
            return Err(Flaw::Option(BadOption::value(Takes::Metadata, word)));
        }
        let place = self.keys.get_mut(self.count).ok_or(Flaw::Metadata)?;
        if bytes > Metadata::BYTES_MAX {
            return Err(Flaw::Metadata);
        }
        *place = key;
        (self.count, self.bytes) = (self.count.saturating_add(1), bytes);
        Ok(())
    }
}

/// A value as it stands on the wire.
fn encoded(value: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' {
            out.push(byte);
        } else {
            let digit = |half: u8| HEX.get(usize::from(half)).copied().unwrap_or_default();
            out.extend([b'%', digit(byte >> 4), digit(byte & 0xf)]);
        }
    }
    out
}

/// The text that a value on the wire stands for.
fn decoded(value: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(value) {
        Ok(text) if !text.contains('%') => text.into(),
        _ => String::from_utf8(unescaped(value).unwrap_or_default()).unwrap_or_default().into(),
    }
}

/// Whether a value, which is printable ASCII without blanks, stands for a text.
fn is_encoded(value: &[u8]) -> bool {
    !value.contains(&b'%')
        || unescaped(value).is_some_and(|bytes| std::str::from_utf8(&bytes).is_ok())
}

fn unescaped(value: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((first, more)) = rest.split_first() {
        rest = more;
        if *first != b'%' {
            out.push(*first);
            continue;
        }
        let ([high, low], more) = rest.split_first_chunk::<2>()?;
        let digit = |digit: &u8| HEX.iter().position(|hex| hex == digit);
        let byte = digit(high)?.checked_mul(16)?.checked_add(digit(low)?)?;
        out.push(u8::try_from(byte).ok()?);
        rest = more;
    }
    Some(out)
}

/// Upper case, so that a value has one spelling.
const HEX: &[u8; 16] = b"0123456789ABCDEF";
