//! What can go wrong, and whose fault it was.
//!
//! This is the ground floor: it imports nothing, so that every other module may report through it.
//! It is not a list of all inner causes: modules below the public surface keep small enums of their
//! own and turn them into an [`Error`] where a user meets them.
//!
//! An [`Error`] has a [`Code`], which is the same on both sides of the wire, and a text. They cross
//! the wire only if they were made for that: [`Error::new`] is such a statement of a handler's
//! author, and `Error::found` one of the library about what it was sent. The texts of foreign
//! errors (`io::Error`, `anyhow::Error`, ..) stay in the log of the side where they happened, and
//! so does what the library told a handler about anything but the handler's own caller.

mod code;
mod display;
mod io;
mod passed;
mod reach;
mod retry;
mod word;

pub(crate) use self::code::is_word;
pub use self::code::{Code, CodeWord, Fault, UnknownCode};
#[cfg(feature = "io")]
pub(crate) use self::display::reasons;
use self::reach::{Details, EncodeDetails, Reach, text_to_tell};
pub(crate) use self::reach::{TEXT_BYTES_MAX, Told};
pub(crate) use self::retry::millis_up;
pub(crate) use self::word::Word;

use std::borrow::Cow;
use std::convert::Infallible;
use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

/// A `Result` whose error is [`Error`] unless said otherwise.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error: opaque, one word wide, the same type on every side.
///
/// ```
/// use switchboard::{Code, Error};
///
/// let error = Error::new(Code::Denied, "only the owner may do this");
/// assert_eq!(error.code(), Code::Denied);
/// assert_eq!(error.to_string(), "denied: only the owner may do this");
/// ```
pub struct Error {
    // Boxed, so that a `Result` in a hot path stays small.
    facts: Box<Facts>,
}

#[derive(Clone)]
struct Facts {
    code: Code,
    // Of a peer that says it with a word which this side does not know.
    unknown_word: Option<CodeWord>,
    text: Cow<'static, str>,
    retry_after: Option<Duration>,
    details: Option<Details>,
    // What a peer said beside it, as it stood on the wire.
    metadata: Bytes,
    command: Option<Box<str>>,
    fault: Fault,
    reach: Reach,
    is_from_peer: bool,
    was_sent: bool,
    // The handler of the call had begun.
    has_run: bool,
    // Of a call whose items have positions.
    #[cfg(any(feature = "io", feature = "blocking"))]
    has_positions: bool,
    // Made from one that is not for the caller, which is its source.
    stands_for_other: bool,
    // The call had nobody to go to: its handler wanted to call back a caller that has no way.
    has_no_way_back: bool,
    // The library refused the call that is being answered, so that it did not run.
    #[cfg(feature = "io")]
    is_refusal: bool,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error whose text is meant for the peer: if a handler returns it, the caller gets `code`
    /// and `text`. At most 4 KiB of the text are sent.
    ///
    /// No code says that the handler did nothing. It had begun, so the caller hears that its call
    /// may have had an effect, and [`is_safe_to_retry`](Self::is_safe_to_retry) is false there.
    /// `disconnected` cannot be sent: the caller gets `failed`, without the text.
    ///
    /// An error that the library gave to the handler is not made for the caller, who gets `failed`:
    /// an error from another peer, one that a limit or a format of this side caused, or one made
    /// from an `io::Error`. To tell it to the caller, see [`pass_on`](Self::pass_on). For a type of
    /// your own, write `impl From<JobError> for Error` once.
    #[must_use]
    pub fn new(code: Code, text: impl Into<Cow<'static, str>>) -> Self {
        Self::build(code, text.into(), Reach::Author)
    }

    /// An error whose cause stays on this side: the caller gets `failed` and no text, and the log
    /// of this side has the cause, which is also the [`source`](StdError::source). Use it in a
    /// handler for an error of another crate:
    ///
    /// ```
    /// use switchboard::{Error, Result};
    ///
    /// async fn port(text: String) -> Result<u16> {
    ///     text.parse().map_err(Error::internal)
    /// }
    /// ```
    #[must_use]
    pub fn internal(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::local(Code::Failed, "the handler failed").with_source(cause)
    }

    /// An error that the library makes where it deals with what a peer sent: it may tell that peer,
    /// and a handler that is given it, as the caller of somebody else, does not hand it on.
    pub(crate) fn found(code: Code, text: impl Into<Cow<'static, str>>) -> Self {
        Self::build(code, text.into(), Reach::Library)
    }

    /// An error whose text stays on this side; a peer would be told `failed` and nothing else.
    pub(crate) fn local(code: Code, text: impl Into<Cow<'static, str>>) -> Self {
        Self::build(code, text.into(), Reach::Local)
    }

    /// An error that a peer reported. A line end behind its text is dropped, and control characters
    /// in it are escaped, so that it can be printed to a terminal or a log as it is.
    pub(crate) fn from_peer(word: CodeWord, text: &[u8]) -> Self {
        // A peer of good will sends no more.
        let text = text.get(..TEXT_BYTES_MAX).unwrap_or(text);
        let text = String::from_utf8_lossy(text.strip_suffix(b"\n").unwrap_or(text));
        let is_printable = !text.chars().any(char::is_control);
        let text = if is_printable { text.into_owned() } else { text.escape_debug().to_string() };
        let code = word.code();
        let mut error = Self::build(code, text.into(), Reach::Local);
        error.facts.unknown_word = Some(word).filter(|word| word.as_str() != code.as_str());
        error.facts.is_from_peer = true;
        error.facts.was_sent = true;
        error
    }

    fn build(code: Code, text: Cow<'static, str>, reach: Reach) -> Self {
        let facts = Facts {
            code,
            unknown_word: None,
            text,
            retry_after: None,
            details: None,
            metadata: Bytes::new(),
            command: None,
            fault: code.fault(),
            reach,
            is_from_peer: false,
            was_sent: false,
            has_run: false,
            #[cfg(any(feature = "io", feature = "blocking"))]
            has_positions: false,
            stands_for_other: false,
            has_no_way_back: false,
            #[cfg(feature = "io")]
            is_refusal: false,
            source: None,
        };
        Self { facts: Box::new(facts) }
    }

    /// Adds the cause, which stays on this side. It is printed with this error, and
    /// [`std::error::Error::source`] gives it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.facts.source = Some(Arc::from(source.into()));
        self
    }

    /// Tells the caller after how much time it is worth calling again, in whole milliseconds: a
    /// part of one is a whole one, so that nobody comes too early.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use switchboard::{Code, Error};
    /// let busy = Error::new(Code::Overloaded, "the queue is full");
    /// let busy = busy.with_retry_after(Duration::from_secs(2));
    /// assert_eq!(busy.retry_after(), Some(Duration::from_secs(2)));
    /// let busy = busy.with_retry_after(Duration::from_micros(1001));
    /// assert_eq!(busy.retry_after(), Some(Duration::from_millis(2)));
    /// ```
    #[must_use]
    pub fn with_retry_after(mut self, time: Duration) -> Self {
        self.facts.retry_after = Some(Duration::from_millis(millis_up(time)));
        self
    }

    /// Names the command that failed, for the message.
    #[cfg(any(feature = "io", feature = "blocking"))]
    pub(crate) fn in_command(mut self, command: &str) -> Self {
        self.facts.command = Some(command.into());
        self
    }

    /// Says that the request had left when this went wrong, so its handler may have run:
    /// [`was_sent`](Self::was_sent). It is for a [`Channel`](crate::service::Channel) of your own.
    ///
    /// ```
    /// # use switchboard::{Code, Error};
    /// let error = Error::new(Code::Failed, "the bus is gone").after_sending();
    /// assert!(!error.is_safe_to_retry());
    /// ```
    #[must_use]
    pub fn after_sending(mut self) -> Self {
        self.facts.was_sent = true;
        self
    }

    /// Says that it was the reply to a request that was wrong, which is the callee's fault.
    pub(crate) fn of_reply(mut self) -> Self {
        self.facts.fault = Fault::Callee;
        self.facts.reach = Reach::Local;
        self.after_sending()
    }

    /// What kind of error this is.
    #[must_use]
    pub fn code(&self) -> Code {
        self.facts.code
    }

    /// The word for this error on the wire. It differs from that of its [`code`](Self::code) only
    /// if a peer said a word that this side does not know.
    ///
    /// ```
    /// # use switchboard::{Code, Error};
    /// assert_eq!(Error::new(Code::NotFound, "no item 7").code_word(), "not_found");
    /// ```
    #[must_use]
    pub fn code_word(&self) -> &str {
        self.facts.unknown_word.as_ref().map_or(self.facts.code.as_str(), CodeWord::as_str)
    }

    /// After how much time it is worth calling again, if the peer said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.facts.retry_after
    }

    /// The side at fault: that of its code, but the callee if the reply was wrong, or if this side
    /// found that the callee broke the protocol.
    #[must_use]
    pub fn fault(&self) -> Fault {
        self.facts.fault
    }

    /// The text alone, without code and command.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.facts.text
    }

    /// Whether the peer reported this. If not, this side found it.
    #[must_use]
    pub fn is_from_peer(&self) -> bool {
        self.facts.is_from_peer
    }

    /// Whether the request had left for the peer when the call failed. `false` means that the peer
    /// never saw it. On a connection, a request counts as sent unless it was refused before a byte
    /// of it was written.
    #[must_use]
    pub fn was_sent(&self) -> bool {
        self.facts.was_sent
    }

    /// This error as one of the library's own: what a format says, whoever wrote it, is said of a
    /// payload and not to the caller of a handler that used it.
    #[cfg(any(feature = "io", feature = "blocking"))]
    pub(crate) fn by_library(mut self) -> Self {
        if self.facts.reach == Reach::Author {
            self.facts.reach = Reach::Library;
        }
        self
    }

    /// Says that it is about the call that is being answered, or the stream that was lent to it, so
    /// that the caller may know it even if a handler hands it on.
    #[cfg(feature = "io")]
    pub(crate) fn for_caller(mut self) -> Self {
        if self.facts.reach == Reach::Library {
            self.facts.reach = Reach::Caller;
        }
        self
    }

    /// This error as one that a handler has returned: whatever was not made for the caller is kept
    /// here. An `overloaded` that the library gave to the handler would say that nothing was done.
    #[cfg(feature = "io")]
    pub(crate) fn of_handler(mut self) -> Self {
        if self.facts.reach == Reach::Library {
            self.facts.reach = Reach::Local;
        }
        self.facts.is_refusal &= self.facts.reach == Reach::Caller;
        self.facts.has_run = !self.facts.is_refusal;
        self
    }

    /// This error as one of a layer in front of a handler, or one that has passed it: what the
    /// library gave to the layer is kept here, as [`of_handler`](Self::of_handler) does.
    #[cfg(feature = "tower")]
    pub(crate) fn of_layer(mut self, has_run: bool) -> Self {
        if self.facts.reach == Reach::Library {
            self.facts.reach = Reach::Local;
        }
        (self.facts.is_refusal, self.facts.has_run) = (!has_run, has_run);
        self
    }

    /// Says that the call that is being answered did not run because of this.
    #[cfg(feature = "io")]
    pub(crate) fn refusing(mut self) -> Self {
        self.facts.is_refusal = true;
        self
    }

    /// Whether the library refused the call that is being answered, so that it did not run.
    #[cfg(feature = "io")]
    pub(crate) fn is_refusal(&self) -> bool {
        self.facts.is_refusal
    }

    /// This error as a caller in the same process hears of it: no more than over a connection.
    #[cfg(feature = "io")]
    pub(crate) fn heard(&self) -> Self {
        let Told { word, text, retry_after, details } = self.told();
        let mut heard = Self::from_peer(word, text.as_bytes());
        heard.facts.retry_after = retry_after;
        if !details.is_empty() {
            heard.facts.details.clone_from(&self.facts.details);
        }
        heard.facts.has_positions = self.facts.has_positions;
        heard.facts.is_refusal = self.facts.is_refusal;
        heard.facts.has_run = self.facts.has_run || !self.facts.is_refusal;
        heard
    }

    /// What a peer is told. Whatever was not made for it is `failed` and nothing more.
    pub(crate) fn told(&self) -> Told<'_> {
        match self.text_for_peer() {
            Some(text) if self.code().is_on_wire() => {
                let text = text_to_tell(text);
                let details = self.encoded_details().map_or(&[][..], |(_, bytes)| bytes);
                // A peer may have said `disconnected`, which stands for no code and is never sent.
                let is_sent = |word: &CodeWord| word.as_str() != Code::Disconnected.as_str();
                let word = self.facts.unknown_word.filter(is_sent);
                let word = word.unwrap_or_else(|| self.facts.code.into());
                Told { word, text, retry_after: self.facts.retry_after, details }
            }
            _ => Told::nothing(),
        }
    }

    /// Says that the handler of the call had begun.
    pub(crate) fn after_running(mut self) -> Self {
        self.facts.has_run = true;
        self
    }

    pub(crate) fn with_encoder(mut self, encode: Arc<EncodeDetails>) -> Self {
        self.facts.details = Some(Details::Value(encode));
        self
    }

    /// Adds details that a peer has sent, in the format of the call.
    pub(crate) fn with_encoded_details(mut self, bytes: Bytes) -> Self {
        self.facts.details = Some(Details::Encoded { format: "", bytes });
        self
    }

    /// Says in which format the call speaks. Details of a handler become bytes, of at most so many,
    /// or are dropped.
    #[cfg(any(feature = "io", feature = "blocking"))]
    pub(crate) fn in_format(mut self, call: &'static str, bytes_max: usize) -> Self {
        let details = self.facts.details.take();
        self.facts.details = details.and_then(|details| details.in_format(call, bytes_max));
        self
    }

    /// Says whether the call asked for a position, or was told one: only then may the details be
    /// the positions that are there.
    #[cfg(any(feature = "io", feature = "blocking"))]
    pub(crate) fn of_positions(mut self, has_positions: bool) -> Self {
        self.facts.has_positions |= has_positions;
        self
    }

    /// Whether the items of the call have positions.
    #[cfg(any(feature = "io", feature = "blocking"))]
    pub(crate) fn has_positions(&self) -> bool {
        self.facts.has_positions
    }

    pub(crate) fn encoded_details(&self) -> Option<(&'static str, &Bytes)> {
        self.facts.details.as_ref()?.encoded()
    }

    /// Adds what the peer said beside it.
    pub(crate) fn with_metadata(mut self, metadata: Bytes) -> Self {
        self.facts.metadata = metadata;
        self
    }

    /// What the peer said beside it.
    pub(crate) fn raw_metadata(&self) -> &Bytes {
        &self.facts.metadata
    }

    /// Whether the handler of the call had begun.
    pub(crate) fn has_run(&self) -> bool {
        self.facts.has_run
    }

    /// As [`of_handler`](Self::of_handler) for a raw handler, which has begun when its stream finds
    /// no room.
    #[cfg(feature = "io")]
    pub(crate) fn of_raw_handler(mut self) -> Self {
        let is_refusal = matches!(self.code(), Code::Overloaded | Code::ShuttingDown);
        if self.facts.reach == Reach::Caller && is_refusal {
            self.facts.code = Code::Failed;
            self.facts.fault = Code::Failed.fault();
        }
        self.of_handler()
    }

    /// This error as one that a channel has given to its caller, who does not hand it on.
    #[cfg(feature = "io")]
    pub(crate) fn of_channel(mut self) -> Self {
        self.facts.reach = Reach::Local;
        self.facts.is_refusal = false;
        self
    }

    /// Takes back that the request had been handed to the connection.
    pub(crate) fn before_sending(mut self) -> Self {
        self.facts.was_sent = false;
        self
    }

    /// This error as far as a peer is concerned: without its source, and without what is too long
    /// to be told. It may wait for a long time to be written.
    #[cfg(feature = "io")]
    pub(crate) fn for_peer(&self) -> Self {
        let text = match &self.facts.text {
            Cow::Borrowed(text) => Cow::Borrowed(*text),
            Cow::Owned(text) => Cow::Owned(text_to_tell(text).to_owned()),
        };
        let mut told = Self::build(self.facts.code, text, self.facts.reach);
        told.facts.unknown_word = self.facts.unknown_word;
        told.facts.retry_after = self.facts.retry_after;
        told.facts.details.clone_from(&self.facts.details);
        told.facts.has_run = self.facts.has_run;
        told.facts.has_positions = self.facts.has_positions;
        told.facts.is_refusal = self.facts.is_refusal;
        told
    }

    /// The text for a peer, or `None` if it is nobody's business but ours.
    pub(crate) fn text_for_peer(&self) -> Option<&str> {
        (self.facts.reach != Reach::Local).then_some(&*self.facts.text)
    }
}

/// There is no such error: for what takes a value or whatever may become one.
impl From<Infallible> for Error {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_word_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
        assert_eq!(size_of::<Result<()>>(), size_of::<usize>());
    }

    #[test]
    fn control_characters_from_a_peer_are_escaped() {
        let error = Error::from_peer(Code::Failed.into(), b"\x1b[31mred");
        assert_eq!(error.to_string(), "the peer answered failed: \\u{1b}[31mred");
        let error = Error::from_peer(Code::Failed.into(), b"two\nlines\n");
        assert_eq!(error.text(), "two\\nlines");
    }

    #[test]
    fn the_time_to_call_again_is_in_whole_milliseconds_and_never_too_short() {
        for (nanos, millis) in [(0, 0), (1, 1), (999_999, 1), (1_000_000, 1), (1_000_001, 2)] {
            let error = Error::new(Code::Overloaded, "full");
            let error = error.with_retry_after(Duration::from_nanos(nanos));
            assert_eq!(error.retry_after(), Some(Duration::from_millis(millis)), "{nanos}");
        }
        let error = Error::new(Code::Overloaded, "full").with_retry_after(Duration::MAX);
        assert_eq!(error.retry_after(), Some(Duration::from_millis(u64::MAX)));
    }

    #[test]
    fn a_word_of_a_peer_is_passed_on_if_it_may_be_sent() {
        for (said, told) in [("of_its_own", "of_its_own"), ("disconnected", "failed")] {
            let error = Error::from_peer(CodeWord::parse(said.as_bytes()).unwrap(), b"gone");
            assert_eq!((error.code(), error.code_word()), (Code::Failed, said));
            assert_eq!(error.pass_on().told().word.as_str(), told);
        }
    }
}
