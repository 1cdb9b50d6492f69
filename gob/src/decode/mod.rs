//! From a stream of bytes to values.
//!
//! Three steps, each with a file: [`scan`] follows the stream and finds where a value ends,
//! [`walk`] follows the value for it; [`check`] compares the sender's types with the receiver's;
//! [`calls`] hands the value to serde, or [`rewrite`] to another stream. No step does input or
//! output.

mod access;
mod calls;
mod check;
mod deserializer;
mod dynamic;
mod plan;
mod rewrite;
mod scan;
mod types;
mod walk;

use std::collections::HashSet;
use std::io::BufRead;

use serde::de::DeserializeOwned;

pub use self::deserializer::ValueDeserializer;
use self::plan::Plans;
pub use self::scan::Progress;
use self::scan::Scanner;
use crate::error::{Error, ErrorKind, Result};
use crate::kinds::{Kind, TypeId};
use crate::limits::Limits;
use crate::schema::Schema;
use crate::wire::cut_short;

/// Reads the values of one stream, one after the other.
///
/// It remembers the types that the stream has defined, as a Go `Decoder` does. Bytes are pushed in
/// as they come; none behind the end of a value is taken, so what follows a value on the same
/// connection may be something else.
///
/// ```
/// use switchboard_gob::{Decoder, Encoder};
///
/// let mut stream = Vec::new();
/// let mut encoder = Encoder::new();
/// encoder.encode(&vec![1_i64, 2], &mut stream)?;
/// encoder.encode(&vec![3_i64], &mut stream)?;
///
/// let mut decoder = Decoder::new();
/// let mut values: Vec<Vec<i64>> = Vec::new();
/// for piece in stream.chunks(3) {
///     let mut rest = piece;
///     while !rest.is_empty() {
///         let progress = decoder.push(rest)?;
///         rest = &rest[progress.used_bytes..];
///         if progress.is_complete {
///             values.push(decoder.decode()?);
///         }
///     }
/// }
/// assert_eq!(values, [vec![1, 2], vec![3]]);
/// # Ok::<(), switchboard_gob::Error>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    scanner: Scanner,
    plans: Plans,
    // Pairs of a sender's and a receiver's type that fit; the latter by its schema's address.
    checked: HashSet<(Kind, usize)>,
    // How many changes of types the two above know of.
    changes: u64,
}

/// Reads the one value that `bytes` are.
///
/// # Errors
///
/// As [`Decoder::push`] and [`Decoder::decode`]; `UnexpectedEnd` if the value is not complete,
/// `Malformed` if there are bytes behind it.
///
/// ```
/// // What Go writes for []string{"a", "b"}.
/// let bytes = b"\x0c\xff\x83\x02\x01\x02\xff\x84\0\x01\x0c\0\0\x08\xff\x84\0\x02\x01a\x01b";
/// let texts: Vec<String> = switchboard_gob::from_slice(bytes)?;
/// assert_eq!(texts, ["a", "b"]);
/// # Ok::<(), switchboard_gob::Error>(())
/// ```
pub fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let mut decoder = Decoder::new();
    decoder.push_whole(bytes)?;
    decoder.decode()
}

impl Decoder {
    /// A decoder for a stream from its beginning, with the default limits.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    /// A decoder for a stream from its beginning, with these limits.
    #[must_use]
    pub fn with_limits(limits: Limits) -> Self {
        let (plans, checked) = (Plans::default(), HashSet::new());
        Self { scanner: Scanner::new(limits), plans, checked, changes: 0 }
    }

    /// Takes bytes up to the end of a value, and says how many were taken and whether the value is
    /// complete. A value that was complete before and has not been decoded is forgotten.
    ///
    /// # Errors
    ///
    /// `Malformed` if the bytes are no gob, `Limit` if they pass a limit. The end of the value
    /// cannot be known then, and the decoder takes nothing more.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Progress> {
        self.scanner.push(bytes)
    }

    /// Makes a `T` of the value that is complete. The next value can be read whether or not this
    /// one could be decoded.
    ///
    /// # Errors
    ///
    /// `Mismatch` if the sender's types or the value do not fit `T`, `Custom` if `T` refuses it,
    /// `Unsupported` if no value is complete.
    pub fn decode<T: DeserializeOwned>(&mut self) -> Result<T> {
        self.check::<T>()?;
        let mut value = self.deserializer()?;
        T::deserialize(&mut value)
    }

    /// Compares the types of the value that is complete with those of `T`, whatever the value. If
    /// those of `T` cannot be found out, there is nothing to compare.
    ///
    /// # Errors
    ///
    /// `Mismatch` if they do not fit, `Unsupported` if no value is complete.
    pub fn check<T: DeserializeOwned>(&mut self) -> Result<()> {
        self.forget_what_is_void();
        let Some(whole) = self.scanner.whole() else {
            return Err(no_value());
        };
        if let Ok(schema) = Schema::of::<T>() {
            let key = (whole.kind, schema.address());
            if !self.checked.contains(&key) {
                check::check(&self.scanner.types, whole.kind, &schema)?;
                self.checked.insert(key);
            }
        }
        Ok(())
    }

    /// The value that is complete, for serde: what [`decode`](Self::decode) works with, without the
    /// comparison of the types before it. `&mut` of it is the deserializer.
    ///
    /// # Errors
    ///
    /// `Unsupported` if no value is complete.
    pub fn deserializer(&mut self) -> Result<ValueDeserializer<'_>> {
        self.forget_what_is_void();
        let Some(whole) = self.scanner.whole() else {
            return Err(no_value());
        };
        let Scanner { types, limits, .. } = &self.scanner;
        let mut value = ValueDeserializer::new(whole, types, limits, &mut self.plans);
        value.start()?;
        Ok(value)
    }

    /// The type of the value that is complete, and those inside it, as the sender defined them.
    #[must_use]
    pub fn schema(&self) -> Option<Schema> {
        let kind = self.scanner.whole()?.kind;
        let types = &self.scanner.types;
        Some(Schema::with_interfaces(types.needed_definitions(), kind, types.roots()))
    }

    /// Sets how many bytes a value may have whose messages begin from now on, in place of
    /// [`Limits::value_bytes_max`]: for a reader that learns from one value how large the next one
    /// may be.
    ///
    /// ```
    /// use switchboard_gob::{Decoder, to_vec};
    ///
    /// let text = to_vec(&"a long text".to_owned())?;
    /// let mut decoder = Decoder::new();
    /// decoder.set_value_bytes_max(10);
    /// let error = decoder.push(&text).unwrap_err();
    /// assert!(error.to_string().contains("value_bytes_max (10)"), "{error}");
    ///
    /// let mut decoder = Decoder::new();
    /// decoder.set_value_bytes_max(10);
    /// decoder.set_value_bytes_max(20);
    /// assert!(decoder.push(&text)?.is_complete);
    /// # Ok::<(), switchboard_gob::Error>(())
    /// ```
    pub fn set_value_bytes_max(&mut self, bytes: usize) {
        self.scanner.limits.value_bytes_max = bytes;
    }

    /// From now on lets the stream begin anew with any value: a type may be defined again, for the
    /// values from there on. So one decoder reads what one encoder wrote and what many encoders did
    /// one after the other, as when a Go program makes a new one for every value.
    ///
    /// Definitions then may be up to twice as many as the limits say while a value is read. When
    /// those left by it are over the limits, all are forgotten, and a value that needs one of them
    /// without defining it again is an error.
    #[must_use]
    pub fn allow_new_streams(mut self) -> Self {
        self.scanner.types.allow_new_streams();
        self
    }

    /// Appends the definitions that the complete value needs and that came with earlier ones. With
    /// the bytes of the value behind them, they are a stream of their own.
    ///
    /// ```
    /// use switchboard_gob::{Decoder, Encoder, from_slice};
    ///
    /// let (mut encoder, mut first, mut second) = (Encoder::new(), Vec::new(), Vec::new());
    /// encoder.encode(&vec![1_i64], &mut first)?;
    /// encoder.encode(&vec![2_i64], &mut second)?;
    ///
    /// let mut decoder = Decoder::new();
    /// assert!(decoder.push(&first)?.is_complete);
    /// assert!(decoder.push(&second)?.is_complete);
    /// let mut alone = Vec::new();
    /// decoder.put_definitions(&mut alone);
    /// alone.extend(second);
    /// assert_eq!(from_slice::<Vec<i64>>(&alone)?, [2]);
    /// # Ok::<(), switchboard_gob::Error>(())
    /// ```
    pub fn put_definitions(&self, out: &mut Vec<u8>) {
        if self.scanner.whole().is_some() {
            self.scanner.types.put_needed_from_before(out);
        }
    }

    /// Whether the stream [began anew](Self::allow_new_streams) with the complete value: a type
    /// that it needs was defined before, and came again.
    #[must_use]
    pub fn has_begun_anew(&self) -> bool {
        self.scanner.whole().is_some() && self.scanner.types.has_begun_anew
    }

    /// Bytes of memory that wait in the decoder: what has come of a value.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.scanner.buffered_bytes()
    }

    /// Bytes of the definitions that are remembered, those within values too: never more than twice
    /// the limit on them.
    ///
    /// ```
    /// use switchboard_gob::{Decoder, to_vec};
    ///
    /// let mut decoder = Decoder::new();
    /// assert!(decoder.push(&to_vec(&1_i64)?)?.is_complete);
    /// assert_eq!(decoder.definition_bytes(), 0);
    /// assert!(decoder.push(&to_vec(&vec![1_i64])?)?.is_complete);
    /// assert_eq!(decoder.definition_bytes(), 10);
    /// # Ok::<(), switchboard_gob::Error>(())
    /// ```
    #[must_use]
    pub fn definition_bytes(&self) -> usize {
        self.scanner.types.bytes()
    }

    /// Forgets the value that is complete, and gives back its memory.
    pub fn release(&mut self) {
        self.scanner.release();
    }

    /// Whether nothing has come since the last value was complete: the stream may end here.
    #[must_use]
    pub fn is_between_values(&self) -> bool {
        self.scanner.is_between_values()
    }

    /// Reads the next value from `reader`, and nothing behind it; `None` if the stream is over.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push) and [`decode`](Self::decode); `Io` if reading fails, `UnexpectedEnd`
    /// if the stream ends in a value.
    ///
    /// ```
    /// use switchboard_gob::{Decoder, Encoder};
    ///
    /// let (mut encoder, mut stream) = (Encoder::new(), Vec::new());
    /// encoder.encode(&"one".to_owned(), &mut stream)?;
    /// encoder.encode(&"two".to_owned(), &mut stream)?;
    ///
    /// // Any BufRead, such as a BufReader of a file.
    /// let mut reader = &*stream;
    /// let (mut decoder, mut texts) = (Decoder::new(), Vec::new());
    /// while let Some(text) = decoder.read::<String>(&mut reader)? {
    ///     texts.push(text);
    /// }
    /// assert_eq!(texts, ["one", "two"]);
    /// # Ok::<(), switchboard_gob::Error>(())
    /// ```
    pub fn read<T: DeserializeOwned>(&mut self, reader: &mut impl BufRead) -> Result<Option<T>> {
        loop {
            let bytes = match reader.fill_buf() {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                bytes => bytes?,
            };
            if bytes.is_empty() {
                return if self.is_between_values() { Ok(None) } else { Err(cut_short()) };
            }
            let progress = self.push(bytes)?;
            reader.consume(progress.used_bytes);
            if progress.is_complete {
                return self.decode().map(Some);
            }
        }
    }

    /// Takes bytes that are one value and nothing else, which is complete then.
    pub(crate) fn push_whole(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            let text = "there is no value: the bytes are empty";
            return Err(Error::new(ErrorKind::UnexpectedEnd, text));
        }
        let Progress { used_bytes, is_complete } = self.push(bytes)?;
        if !is_complete {
            return Err(cut_short());
        }
        match bytes.len().saturating_sub(used_bytes) {
            0 => Ok(()),
            left => {
                let text = format!(
                    "{left} bytes left behind the value; a stream of several values is for a \
                     Decoder"
                );
                Err(Error::malformed(used_bytes as u64, text))
            }
        }
    }

    /// Appends the value that is complete, as it is in a message behind the id of its type, with
    /// the ids that `id_of` gives to the types in it.
    ///
    /// # Errors
    ///
    /// `Unsupported` if no value is complete.
    pub(crate) fn rewrite(&self, id_of: impl Fn(Kind) -> TypeId, out: &mut Vec<u8>) -> Result<()> {
        let Scanner { types, limits, .. } = &self.scanner;
        let whole = self.scanner.whole().ok_or_else(no_value)?;
        rewrite::rewrite(whole, types, limits, id_of, out)
    }

    fn forget_what_is_void(&mut self) {
        let changes = self.scanner.types.changes();
        if self.changes != changes {
            self.changes = changes;
            self.plans = Plans::default();
            self.checked.clear();
        }
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

#[cold]
fn no_value() -> Error {
    Error::new(ErrorKind::Unsupported, "no value is complete")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::Encoder;

    #[test]
    fn a_type_that_fits_does_not_vouch_for_another_one() {
        // An int, whose type has no definition, as those it is compared with have none.
        let mut decoder = Decoder::new();
        assert!(decoder.push(&[3, 4, 0, 10]).unwrap().is_complete);
        for _ in 0..2 {
            decoder.check::<i64>().unwrap();
            let error = decoder.check::<String>().unwrap_err();
            assert_eq!(error.to_string(), "wanted string, received int");
        }
    }

    #[test]
    fn definitions_that_come_again_and_again_do_not_fill_the_limits() {
        let (mut encoder, mut bytes) = (Encoder::new(), Vec::new());
        let mut put = |is_anew: bool| {
            if is_anew {
                encoder.forget_definitions();
            }
            bytes.clear();
            encoder.encode(&vec![1_u64], &mut bytes).unwrap();
            bytes.clone()
        };
        let limited = |max| Limits { definition_bytes_max: max, ..Limits::default() };
        let mut strict = Decoder::with_limits(limited(50));
        let error = (0..100).find_map(|_| strict.push(&put(true)).err()).unwrap();
        assert_eq!(error.kind(), ErrorKind::Limit);
        let mut decoder = Decoder::with_limits(limited(50)).allow_new_streams();
        for _ in 0..1000 {
            assert!(decoder.push(&put(true)).unwrap().is_complete);
            assert_eq!(decoder.decode::<Vec<u64>>().unwrap(), [1]);
            decoder.release();
            assert!(decoder.scanner.types.definitions().len() < 10);
        }
        let mut decoder = Decoder::with_limits(limited(8)).allow_new_streams();
        assert!(decoder.push(&put(true)).unwrap().is_complete);
        let error = decoder.push(&put(false)).unwrap_err().to_string();
        assert!(error.contains("is not defined any more: there were too many"), "{error}");
    }
}
