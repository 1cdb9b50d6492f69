//! JSON, by `serde_json`.
//!
//! The tongue for people, scripts and other languages. A payload is one JSON text in one line,
//! white space around it allowed.
//!
//! `serde_json` has a recursion limit of its own, 127 levels, that cannot be set to another number
//! and reports itself as a syntax error. It is switched off, for every level passes the guard; what
//! it skips without the guard (unknown fields, raw values) it skips with a loop, not by recursion.

mod location;
mod reason;

use std::borrow::Cow;
use std::io;

use ::bytes::{Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use switchboard_shape::{Encoding, Layout};

use self::reason::{UNEXPECTED, reason};
use super::budget::Budget;
use super::carry::{self, Carrier, Verdicts};
use super::encoding::{self, Refusal, Textual, Written};
use super::stack::with_room_for_buffers;
use super::{Codec, Format, Framing, Outline, Tongues};
use crate::error::{Error, Result};
use crate::limits::Limits;

/// The format of everything that is `Serialize + DeserializeOwned`, as JSON in one line.
///
/// A value comes back as it was, or is refused before it is sent: what is not finite, and `Some` of
/// what is written as `null` (`Some(None)`, `Some(())`), unless the type tells these apart by
/// itself. Floating-point numbers keep all their bits. Types that write what they don't read, and
/// maps whose keys are no text, have no form in it. What an attribute asks for is done: a field
/// with `skip_serializing` or `skip_deserializing` is lost, and of an untagged enum the first
/// variant is read that takes what came.
///
/// ```
/// use bytes::BytesMut;
/// use switchboard::Limits;
/// use switchboard::format::{Budget, Format, Json};
///
/// let mut out = BytesMut::new();
/// Json::encode(&vec!["two\nlines".to_owned()], &Limits::default(), &mut out)?;
/// assert_eq!(out, br#"["two\nlines"]"#[..]);
///
/// let budget = Budget::new(&Limits::default(), out.len());
/// let value: Vec<String> = Json::decode(out.freeze(), &budget)?;
/// assert_eq!(value, ["two\nlines"]);
/// # Ok::<(), switchboard::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "it is a name and has no values")]
pub enum Json {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Format<T> for Json {
    const NAME: &'static str = NAME;
    const FRAMING: Framing = Framing::Line;

    fn encode(value: &T, limits: &Limits, out: &mut BytesMut) -> Result<()> {
        carry::encode::<Self, T>(value, limits, out)
    }

    fn decode(payload: Bytes, budget: &Budget) -> Result<T> {
        read(&payload, budget, |cause| told::<T>(&payload, cause))
    }

    fn check() -> Result<()> {
        carry::check::<Self, T>()
    }

    fn check_read() -> Result<()> {
        carry::check::<Self, T>()
    }

    fn outline() -> Option<Outline> {
        carry::outline::<Self, T>()
    }

    fn alternatives() -> Vec<Codec<T>> {
        T::tongues()
    }
}

impl<T: Serialize + DeserializeOwned> Carrier<T> for Json {
    const ENCODING: Encoding = Encoding::Text;
    const LAYOUT: Layout = Layout::Named;

    fn verdicts() -> &'static Verdicts {
        &VERDICTS
    }

    fn read(payload: Bytes, budget: &Budget) -> Result<T> {
        read(&payload, budget, |_| UNEXPECTED.into())
    }

    fn write(value: &T, limits: &Limits, out: &mut BytesMut) -> Result<Written<()>, Refusal> {
        let before_bytes = out.len();
        let result = encoding::encode::<Textual, _, _, _>(NAME, limits, value, |value| {
            serde_json::to_writer(Appender(&mut *out), value)
        })?;
        // Line ends in compact JSON can only come from raw JSON inside the value, where they are
        // nothing but white space.
        let mut written = out.get_mut(before_bytes..).unwrap_or_default();
        while let Some(index) = memchr::memchr2(b'\n', b'\r', written) {
            let (line, rest) = written.split_at_mut(index.saturating_add(1));
            if let Some(end) = line.last_mut() {
                *end = b' ';
            }
            written = rest;
        }
        Ok(result)
    }
}

/// Reads a payload; `told` says what is wrong with one that is JSON, and not what the type reads.
fn read<T: DeserializeOwned>(
    payload: &[u8],
    budget: &Budget,
    told: impl Fn(&serde_json::Error) -> Cow<'static, str>,
) -> Result<T> {
    if payload.len() > SCRATCH_BYTES_MIN && memchr::memchr(b'\\', payload).is_some() {
        // Text with escapes is put together in a buffer that grows up to the whole payload, and
        // lives twice while it does.
        budget.note_scratch(payload.len().saturating_mul(3))?;
    }
    with_room_for_buffers(budget, || {
        let mut decoder = serde_json::Deserializer::from_slice(payload);
        decoder.disable_recursion_limit();
        match budget.deserialize(&mut decoder) {
            Ok(value) => match decoder.end() {
                Ok(()) => Ok(value),
                Err(cause) => Err(bad_json(budget, "something else after the value", cause)),
            },
            Err(cause) => Err(bad_json(budget, &told(&cause), cause)),
        }
    })
}

/// Appends whole pieces. The writer of `bytes` may write less than it is given, so its callers have
/// to loop, and with the small pieces of JSON that took more than half of the time.
struct Appender<'o>(&'o mut BytesMut);

impl io::Write for Appender<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is wrong in words of our own: those of `serde_json` may quote the payload.
#[cold]
fn told<T: Serialize + DeserializeOwned>(
    payload: &[u8],
    cause: &serde_json::Error,
) -> Cow<'static, str> {
    match cause.classify() {
        Category::Eof => "it ends too early".into(),
        Category::Syntax | Category::Io => "syntax error".into(),
        Category::Data => match carry::shape::<Json, T>() {
            Some(shape) => reason(shape, payload, read_bytes(payload, cause)).into(),
            None => UNEXPECTED.into(),
        },
    }
}

/// How far the payload had been read.
fn read_bytes(payload: &[u8], cause: &serde_json::Error) -> usize {
    let ends = memchr::memchr_iter(b'\n', payload).map(|index| index.saturating_add(1));
    let lines_before = cause.line().saturating_sub(1);
    let line_begin = std::iter::once(0).chain(ends).nth(lines_before).unwrap_or_default();
    line_begin.saturating_add(cause.column())
}

#[cold]
fn bad_json(budget: &Budget, reason: &str, cause: serde_json::Error) -> Error {
    let (line, column) = (cause.line(), cause.column());
    budget.error_with_detail(NAME, format_args!("{reason} at line {line} column {column}"), cause)
}

/// A payload whose scratch is worth counting.
const SCRATCH_BYTES_MIN: usize = 16 * 1024;

static VERDICTS: Verdicts = Verdicts::new();

const NAME: &str = "json";
