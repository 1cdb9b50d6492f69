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

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::io;

pub use self::code::{Code, Fault};

/// A `Result` whose error is [`Error`] unless said otherwise.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong: opaque, one word wide, the same type on every side.
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

struct Facts {
    code: Code,
    text: Cow<'static, str>,
    command: Option<Box<str>>,
    fault: Fault,
    reach: Reach,
    is_from_peer: bool,
    was_sent: bool,
    // It came where a reply may read the same, so that it promises nothing.
    may_be_reply: bool,
    // The library refused the call that is being answered, so that it did not run.
    #[cfg(feature = "io")]
    is_refusal: bool,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// Who made an error, and so how far its code and text may travel.
///
/// What a handler returns may have been made anywhere: by its author, or by the library while the
/// handler called somebody else, spoke on a connection of its own or encoded a value. Its caller
/// learns what was made for a caller, and nothing of the rest ([`Error::of_handler`]).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Whoever wrote the program, for the caller, by [`Error::new`].
    Author,
    /// The library, about this very call or the stream that was lent to it.
    #[cfg(feature = "io")]
    Caller,
    /// The library, about a call, a payload or a stream, whoever's they are. It tells its peer
    /// where it is the one to answer; a handler that hands it on does not.
    Library,
    /// Nobody's business but ours.
    Local,
}

impl Error {
    /// An error whose text is meant for the peer: returned from a handler, `code` and `text` are
    /// what the caller gets. At most 4 KiB of the text are sent.
    ///
    /// Some codes are promises. A handler that returns `overloaded` or `shutting_down` says that it
    /// did nothing, and its caller may call again ([`is_safe_to_retry`](Self::is_safe_to_retry)).
    /// `disconnected` cannot be sent: the caller gets `failed`, without the text.
    ///
    /// An error that the library gave to the handler is not made for the caller, who gets `failed`:
    /// one that was received from another peer, that a limit or a format of this side caused, or
    /// that was made from an `io::Error`. To pass on the codes that you mean, make new ones:
    ///
    /// ```
    /// # use switchboard::{Code, Error, Result};
    /// # fn example(asked: Result<u32>) -> Result<u32> {
    /// asked.map_err(|error| match error.code() {
    ///     Code::Denied => Error::new(Code::Denied, error.text().to_owned()),
    ///     _ => error,
    /// })
    /// # }
    /// ```
    #[must_use]
    pub fn new(code: Code, text: impl Into<Cow<'static, str>>) -> Self {
        Self::build(code, text.into(), Reach::Author)
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

    /// An error that a peer reported. Control characters in its text are escaped, so that it can be
    /// printed to a terminal or a log as it is.
    pub(crate) fn from_peer(code: Code, text: &[u8]) -> Self {
        // A peer of good will sends no more.
        let text = String::from_utf8_lossy(text.get(..TEXT_BYTES_MAX).unwrap_or(text));
        let is_plain = !text.chars().any(char::is_control);
        let text = if is_plain { text.into_owned() } else { text.escape_debug().to_string() };
        let mut error = Self::build(code, text.into(), Reach::Local);
        error.facts.is_from_peer = true;
        error.facts.was_sent = true;
        error
    }

    fn build(code: Code, text: Cow<'static, str>, reach: Reach) -> Self {
        let facts = Facts {
            code,
            text,
            command: None,
            fault: code.fault(),
            reach,
            is_from_peer: false,
            was_sent: false,
            may_be_reply: false,
            #[cfg(feature = "io")]
            is_refusal: false,
            source: None,
        };
        Self { facts: Box::new(facts) }
    }

    /// Adds the cause, which stays on this side and is found by [`std::error::Error::source`].
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.facts.source = Some(source.into());
        self
    }

    /// Names the command that failed, for the message.
    #[cfg(feature = "io")]
    pub(crate) fn in_command(mut self, command: &str) -> Self {
        self.facts.command = Some(command.into());
        self
    }

    /// Says that the request had left when this went wrong, so that its handler may have run:
    /// [`was_sent`](Self::was_sent). For a [`Channel`](crate::service::Channel) of one's own.
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

    /// Says that a handler's reply may read the same as this error of a peer, so that the handler
    /// may have run whatever its code is.
    #[cfg(feature = "io")]
    pub(crate) fn or_reply(mut self) -> Self {
        self.facts.may_be_reply = true;
        self
    }

    /// This error as one of the library's own: what a format says, whoever wrote it, is said of a
    /// payload and not to the caller of a handler that used it.
    #[cfg(feature = "io")]
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
        let (code, text) = self.told();
        let mut heard = Self::from_peer(code, text.as_bytes());
        heard.facts.is_refusal = self.facts.is_refusal;
        heard
    }

    /// Code and text for a peer. Whatever was not made for it is `failed` and nothing more.
    pub(crate) fn told(&self) -> (Code, &str) {
        match self.text_for_peer() {
            Some(text) if self.code().is_on_wire() => {
                let end = text.floor_char_boundary(TEXT_BYTES_MAX);
                (self.code(), text.get(..end).unwrap_or_default())
            }
            _ => (Code::Failed, "the handler failed"),
        }
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

    /// What kind of error this is.
    #[must_use]
    pub fn code(&self) -> Code {
        self.facts.code
    }

    /// Whose fault it was: that of its code, but the callee's if it was the reply that was wrong,
    /// or if this side found out that the callee broke the protocol.
    #[must_use]
    pub fn fault(&self) -> Fault {
        self.facts.fault
    }

    /// The text alone, without code and command.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.facts.text
    }

    /// Whether the peer reported this. If not, this side found it out.
    #[must_use]
    pub fn is_from_peer(&self) -> bool {
        self.facts.is_from_peer
    }

    /// Whether the request had left for the peer when the call failed. `false` means that the peer
    /// never saw it. On a plain connection everything counts as sent but what was refused before a
    /// byte of it was written.
    #[must_use]
    pub fn was_sent(&self) -> bool {
        self.facts.was_sent
    }

    /// Whether the handler surely did not run, so that calling again can do nothing twice: the
    /// request was not sent, or the peer refused it without looking at it. An error that a
    /// [`Connection`](crate::Connection) found in place of a line never says so: the line may be
    /// the reply of a handler that has run.
    ///
    /// It does not say that calling again can succeed: a request that is `too_large` stays so, and
    /// a client whose connection is closed stays closed. So a loop that tries again
    ///
    /// 1. stops at an error that is not safe to retry,
    /// 2. stops at a code that does not pass with time: `disconnected`, `shutting_down` and
    ///    `overloaded` do,
    /// 3. connects anew if the connection is closed, since no client does so by itself,
    /// 4. waits in between, each time longer,
    /// 5. gives up after so many attempts, or when its own deadline has passed.
    ///
    /// `examples/reconnect.rs` is such a loop.
    ///
    /// ```
    /// # use switchboard::{Code, Error};
    /// assert!(Error::new(Code::Failed, "never left this process").is_safe_to_retry());
    /// ```
    #[must_use]
    pub fn is_safe_to_retry(&self) -> bool {
        let is_refused = matches!(self.code(), Code::Overloaded | Code::ShuttingDown);
        !self.was_sent() || self.is_from_peer() && is_refused && !self.facts.may_be_reply
    }

    /// This error as far as a peer is concerned: without its source.
    #[cfg(feature = "io")]
    pub(crate) fn for_peer(&self) -> Self {
        let mut told = Self::build(self.facts.code, self.facts.text.clone(), self.facts.reach);
        told.facts.is_refusal = self.facts.is_refusal;
        told
    }

    /// The text for a peer, or `None` if it is nobody's business but ours.
    pub(crate) fn text_for_peer(&self) -> Option<&str> {
        (self.facts.reach != Reach::Local).then_some(&*self.facts.text)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(command) = &self.facts.command {
            write!(f, "{command}: ")?;
        }
        if self.facts.is_from_peer {
            f.write_str("the peer answered ")?;
        }
        write!(f, "{}", self.facts.code)?;
        if self.facts.text.is_empty() { Ok(()) } else { write!(f, ": {}", self.facts.text) }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Error");
        debug.field("code", &self.facts.code).field("text", &self.facts.text);
        if let Some(command) = &self.facts.command {
            debug.field("command", command);
        }
        if let Some(source) = &self.facts.source {
            debug.field("source", source);
        }
        let (is_from_peer, was_sent) = (self.facts.is_from_peer, self.facts.was_sent);
        debug.field("is_from_peer", &is_from_peer).field("was_sent", &was_sent).finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.facts.source.as_deref().map(|source| source as _)
    }
}

/// A socket that fails is a lost connection; the cause is kept as the source.
impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::local(Code::Disconnected, error.to_string()).with_source(error)
    }
}

/// Bytes of an error's text that cross the wire.
pub(crate) const TEXT_BYTES_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_word_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
        assert_eq!(size_of::<Result<()>>(), size_of::<usize>());
    }

    #[test]
    fn every_code_on_the_wire_is_found_by_its_word() {
        for code in Code::ALL {
            let expected = code.is_on_wire().then_some(code);
            assert_eq!(Code::from_wire(code.as_str().as_bytes()), expected, "{code}");
        }
        assert_eq!(Code::from_wire(b"nonsense"), None);
    }

    #[test]
    fn control_characters_from_a_peer_are_escaped() {
        let error = Error::from_peer(Code::Failed, b"\x1b[31mred");
        assert_eq!(error.to_string(), "the peer answered failed: \\u{1b}[31mred");
    }
}
