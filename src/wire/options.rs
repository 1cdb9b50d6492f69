//! What a line says beyond its words: `KEY=VALUE`, any number of them.
//!
//! ```text
//! NAME TAG LEN    f  t  stream  trace  credit  from     <TAG ok LEN
//! >TAG item LEN   n                                     <TAG err LEN CODE   d  retry  ran
//! >TAG end                                              <TAG item LEN       n
//! >TAG cancel     code                                  <TAG open           n
//! >TAG credit N                                         <TAG credit N
//! ```
//!
//! A key without a `-` belongs to the protocol: those of a line may stand there once, and another
//! means nothing, which is how the protocol grows. A key with a `-` is [`Metadata`] of an
//! application. What is said was checked when it was read, and is looked up when asked for: a line
//! is moved more often.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::bad_option::Takes;
use super::metadata::{Metadata, Tally};
use super::words::{Words, decimal, decimal_u32, pair, push};
use super::{BadOption, Flaw, FormatWord, Traceparent};
use crate::error::{CodeWord, Error, is_word, millis_up};

/// The options of a line.
///
/// Unknown ones are kept as they came and mean nothing: that is how the protocol grows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    // As they stand on the wire, without the space in front; empty if there are no options.
    text: Bytes,
}

/// The kinds of lines that have keys of their own.
#[derive(Clone, Copy)]
pub(super) enum Of {
    Call,
    Item,
    Open,
    Cancel,
    /// An error with a body of so many bytes.
    Err(u64),
    Other,
}

impl Options {
    /// Those of a call: no options but a format and a time, if given.
    ///
    /// ```
    /// use switchboard::wire::{FormatWord, Options};
    ///
    /// let options = Options::new(FormatWord::parse(b"json").ok(), Some(250));
    /// assert_eq!(options.as_bytes(), b"f=json t=250");
    /// ```
    #[must_use]
    pub fn new(format: Option<FormatWord>, time_ms: Option<u64>) -> Self {
        if format.is_none() && time_ms.is_none() {
            return Self::default();
        }
        let alone = format.filter(|_| time_ms.is_none());
        if let Some(known) = alone.and_then(|format| Self::of_known(format.as_bytes())) {
            return known;
        }
        let mut text = BytesMut::new();
        if let Some(format) = format {
            push(&mut text, b"f", format.as_bytes());
        }
        if let Some(time_ms) = time_ms {
            push_number(&mut text, b"t", time_ms);
        }
        Self { text: text.freeze() }
    }

    /// Those of an error: the bytes of its details, the time after which it is worth calling again,
    /// rounded up to milliseconds, and whether the handler had begun.
    ///
    /// ```
    /// use std::time::Duration;
    /// use switchboard::wire::Options;
    ///
    /// let options = Options::of_error(12, Some(Duration::from_millis(250)), true);
    /// assert_eq!(options.as_bytes(), b"d=12 retry=250 ran=1");
    /// ```
    #[must_use]
    pub fn of_error(details_bytes: u64, retry_after: Option<Duration>, has_run: bool) -> Self {
        match (details_bytes, retry_after, has_run) {
            (0, None, false) => Self::default(),
            // As nearly always.
            (0, None, true) => Self { text: Bytes::from_static(b"ran=1") },
            _ => {
                let mut text = BytesMut::new();
                if details_bytes > 0 {
                    push_number(&mut text, b"d", details_bytes);
                }
                if let Some(time) = retry_after {
                    push_number(&mut text, b"retry", millis_up(time));
                }
                if has_run {
                    push(&mut text, b"ran", b"1");
                }
                Self { text: text.freeze() }
            }
        }
    }

    /// Those of an item: its place in the source, if that is not the one behind the item before.
    #[must_use]
    pub fn of_item(position: Option<u64>) -> Self {
        let mut text = BytesMut::new();
        position.into_iter().for_each(|position| push_number(&mut text, b"n", position));
        Self { text: text.freeze() }
    }

    /// These options of a call, which is streamed: its request goes on in items, or its caller
    /// grants credit for items of its reply.
    #[must_use]
    pub fn streamed(self, has_items: bool, credit: Option<u32>) -> Self {
        let mut text = self.without(|key| key == b"stream" || key == b"credit");
        if has_items {
            push(&mut text, b"stream", b"1");
        }
        if let Some(credit) = credit {
            push_number(&mut text, b"credit", u64::from(credit));
        }
        Self { text: text.freeze() }
    }

    /// These options of a streamed call and `from=`: where its caller wants to go on, in the place
    /// of what there was.
    #[must_use]
    pub fn with_from(self, position: u64) -> Self {
        let mut text = self.without(|key| key == b"from");
        push_number(&mut text, b"from", position);
        Self { text: text.freeze() }
    }

    /// These options and `trace=`, in the place of what there was.
    #[must_use]
    pub fn with_trace(self, trace: &Traceparent) -> Self {
        let mut text = self.without(|key| key == b"trace");
        push(&mut text, b"trace", trace.to_string().as_bytes());
        Self { text: text.freeze() }
    }

    /// These options with this format, in the place of another.
    #[must_use]
    pub fn with_format(self, format: FormatWord) -> Self {
        let mut text = self.without(|key| key == b"f");
        push(&mut text, b"f", format.as_bytes());
        Self { text: text.freeze() }
    }

    /// These options with this metadata, in the place of what there was.
    #[must_use]
    pub fn with_metadata(self, metadata: &Metadata) -> Self {
        if self.text.is_empty() {
            return Self { text: metadata.text() };
        }
        let mut text = self.without(|key| key.contains(&b'-'));
        metadata.put(&mut text);
        Self { text: text.freeze() }
    }

    /// As [`with_metadata`](Self::with_metadata), if there is some.
    pub(crate) fn with_some_metadata(self, metadata: Option<&Metadata>) -> Self {
        match metadata {
            Some(metadata) => self.with_metadata(metadata),
            None => self,
        }
    }

    /// `f=`: the format of this call and of its reply.
    #[must_use]
    pub fn format(&self) -> Option<FormatWord> {
        self.value(b"f").and_then(|word| FormatWord::parse(word).ok())
    }

    /// `t=`: milliseconds left to the caller's deadline.
    #[must_use]
    pub fn time_ms(&self) -> Option<u64> {
        self.value(b"t").and_then(decimal)
    }

    /// `stream=1`: the request goes on in items.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        self.value(b"stream").is_some()
    }

    /// Whether these say no more than a format of ours, or nothing, as most do.
    #[inline]
    pub(crate) fn is_known_format(&self) -> bool {
        matches!(&*self.text, b"" | b"f=json" | b"f=bytes" | b"f=line" | b"f=gob" | b"f=postcard")
    }

    /// `credit=`: bytes of items of the reply that its caller grants at first.
    #[must_use]
    pub fn credit(&self) -> Option<u32> {
        self.value(b"credit").and_then(decimal_u32)
    }

    /// `from=`: where the caller wants to go on.
    #[must_use]
    pub fn from(&self) -> Option<u64> {
        self.value(b"from").and_then(decimal)
    }

    /// `n=`: the place of an item in its source, or of the first one.
    #[must_use]
    pub fn position(&self) -> Option<u64> {
        self.value(b"n").and_then(decimal)
    }

    /// `trace=` as it stands there: a [`Traceparent`], or anything else, which means nothing.
    #[must_use]
    pub fn trace(&self) -> Option<&[u8]> {
        self.value(b"trace")
    }

    /// `d=`: bytes at the end of an error's body that are a value.
    #[must_use]
    pub fn details_bytes(&self) -> u64 {
        self.value(b"d").and_then(decimal).unwrap_or_default()
    }

    /// Of the body of an error, so many bytes are its text.
    pub(crate) fn text_bytes(&self, body_bytes: usize) -> usize {
        let details_bytes = usize::try_from(self.details_bytes()).unwrap_or(usize::MAX);
        body_bytes.saturating_sub(details_bytes)
    }

    /// `retry=`: the time after which it is worth calling again.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.value(b"retry").and_then(decimal).map(Duration::from_millis)
    }

    /// `ran=1`: the handler had begun when the error came.
    #[must_use]
    pub fn has_run(&self) -> bool {
        self.value(b"ran").is_some()
    }

    /// What an application says beside the call or the reply.
    #[must_use]
    pub fn metadata(&self) -> Metadata {
        if self.text.is_empty() { Metadata::default() } else { Metadata::of_line(&self.text) }
    }

    /// The error that a line with these options and this body says.
    pub(crate) fn error(&self, word: CodeWord, mut body: Bytes) -> Error {
        let details = body.split_off(self.text_bytes(body.len()));
        let mut error = Error::from_peer(word, &body);
        if !details.is_empty() {
            error = error.with_encoded_details(details);
        }
        if let Some(time) = self.retry_after() {
            error = error.with_retry_after(time);
        }
        let error = error.with_metadata(self.metadata().text());
        if self.has_run() { error.after_running() } else { error }
    }

    /// The options as they stand on the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    #[inline]
    pub(super) fn parse(text: &[u8], of: Of) -> Result<Self, Flaw> {
        match (text.strip_prefix(b" f=").and_then(Self::of_known), of) {
            _ if text.is_empty() => Ok(Self::default()),
            // Most that say something say no more.
            (Some(known), Of::Call) => Ok(known),
            _ => Self::parse_some(text, of),
        }
    }

    fn parse_some(text: &[u8], of: Of) -> Result<Self, Flaw> {
        let mut words = Words { rest: text };
        let (mut seen, mut tally) = (0_u32, Tally::default());
        while let Some(word) = words.maybe()? {
            let (key, value) = pair(word)
                .filter(|(key, _)| is_word(key))
                .ok_or_else(|| Flaw::Option(BadOption::not_a_pair(word)))?;
            if key.contains(&b'-') {
                tally.add(word, key, value)?;
                continue;
            }
            let mut keys = of.keys().iter().enumerate();
            let Some((index, (_, takes, is_right))) = keys.find(|(_, (known, ..))| *known == key)
            else {
                continue;
            };
            let bit = 1 << index;
            if seen & bit != 0 {
                return Err(Flaw::Option(BadOption::twice(key)));
            }
            if !is_right(value) {
                return Err(Flaw::Option(BadOption::value(*takes, value)));
            }
            seen |= bit;
        }
        // Without the space that divides them from the words before.
        let options = Self { text: Bytes::copy_from_slice(text.get(1..).unwrap_or_default()) };
        match of {
            Of::Err(len) if options.details_bytes() > len => Err(Flaw::Details),
            _ => Ok(options),
        }
    }

    /// A format of ours, by its name, and nothing else: most calls say no more, so that needs no
    /// memory.
    fn of_known(format: &[u8]) -> Option<Self> {
        let text: &[u8] = match format {
            b"json" => b"f=json",
            b"bytes" => b"f=bytes",
            b"line" => b"f=line",
            b"gob" => b"f=gob",
            b"postcard" => b"f=postcard",
            _ => return None,
        };
        Some(Self { text: Bytes::from_static(text) })
    }

    /// All but those with some keys.
    fn without(&self, is_out: impl Fn(&[u8]) -> bool) -> BytesMut {
        let mut text = BytesMut::new();
        let pairs = self.text.split(|byte| *byte == b' ').filter_map(pair);
        pairs.filter(|(key, _)| !is_out(key)).for_each(|(key, value)| push(&mut text, key, value));
        text
    }

    fn value(&self, wanted: &[u8]) -> Option<&[u8]> {
        let mut words = self.text.split(|byte| *byte == b' ');
        words.find_map(|word| pair(word).filter(|(key, _)| *key == wanted)).map(|(_, value)| value)
    }
}

/// A key, what it takes, and whether a value is that.
type Key = (&'static [u8], Takes, fn(&[u8]) -> bool);

impl Of {
    /// The protocol's own keys of this line.
    const fn keys(self) -> &'static [Key] {
        match self {
            Self::Call => &[
                (b"f", Takes::Format, |value| FormatWord::parse(value).is_ok()),
                (b"t", Takes::Time, is_number),
                (b"stream", Takes::Stream, is_one),
                (b"trace", Takes::Trace, |_| true),
                (b"credit", Takes::Credit, is_credit),
                (b"from", Takes::From, is_number),
            ],
            Self::Item | Self::Open => &[(b"n", Takes::Position, is_number)],
            Self::Cancel => &[(b"code", Takes::Code, is_word)],
            Self::Err(_) => &[
                (b"d", Takes::Details, is_number),
                (b"retry", Takes::Retry, is_number),
                (b"ran", Takes::Ran, is_one),
            ],
            Self::Other => &[],
        }
    }
}

fn is_one(value: &[u8]) -> bool {
    value == b"1"
}

fn is_number(value: &[u8]) -> bool {
    decimal(value).is_some()
}

fn is_credit(value: &[u8]) -> bool {
    decimal_u32(value).is_some_and(|credit| credit > 0)
}

fn push_number(text: &mut BytesMut, key: &[u8], value: u64) {
    push(text, key, itoa::Buffer::new().format(value).as_bytes());
}
