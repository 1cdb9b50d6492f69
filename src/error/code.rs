//! The kinds of errors, and the words that stand for them on the wire.
//!
//! The set of [`Code`]s can grow: a word that this side does not know is `failed` to a program and
//! keeps its spelling for people. So a word is read apart from the code that it means.

use std::fmt;
use std::str::FromStr;

use super::word::Word;

/// The kind of an [`Error`](super::Error), the same on both sides of the wire.
///
/// `docs/PROTOCOL.md` lists the words. The set may grow: a word of a peer that this side does not
/// know is [`Failed`](Self::Failed), and [`Error::code_word`](super::Error::code_word) keeps the
/// word.
///
/// ```
/// use switchboard::Code;
///
/// let code: Code = "not_found".parse()?;
/// assert_eq!(code, Code::NotFound);
/// # Ok::<(), switchboard::UnknownCode>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Code {
    /// No handler is registered under this name.
    UnknownCommand,
    /// The payload does not decode as the type that the command expects.
    BadPayload,
    /// A limit on size, depth or count was passed; the text names it.
    TooLarge,
    /// The command does not speak the requested format, or not in this kind of call.
    UnsupportedFormat,
    /// The request is well formed, and its values are wrong.
    Invalid,
    /// The request names something that does not exist.
    NotFound,
    /// The request does not fit the state of the callee.
    Conflict,
    /// The deadline of the call passed before its answer was there.
    DeadlineExceeded,
    /// The caller lost interest, or the call was ended with its connection.
    Cancelled,
    /// The callee has no room for this call now.
    Overloaded,
    /// The callee does not know who is calling, and needs to know.
    Unauthenticated,
    /// The caller may not do this.
    Denied,
    /// The handler returned an error.
    Failed,
    /// The handler panicked.
    Panicked,
    /// The callee takes no more calls. One that was under way may have been cut off by that, and
    /// then it [may have run](super::Error::is_safe_to_retry).
    ShuttingDown,
    /// What arrived is not this protocol.
    Protocol,
    /// The connection could not be made or was lost. It is never sent.
    Disconnected,
}

/// The side that has to change something so that the error goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The side that asked.
    Caller,
    /// The side that answered.
    Callee,
    /// The connection between the two.
    Connection,
}

/// The word for a code as it stands on the wire, known or not: 1 to 32 bytes of `a` to `z`, `_` and
/// `-`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CodeWord(Word<WORD_BYTES_MAX>);

/// A word that stands for no [`Code`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownCode;

impl Code {
    /// All codes, in the order of `docs/PROTOCOL.md`.
    pub const ALL: &'static [Self] = &[
        Self::UnknownCommand,
        Self::BadPayload,
        Self::TooLarge,
        Self::UnsupportedFormat,
        Self::Invalid,
        Self::NotFound,
        Self::Conflict,
        Self::DeadlineExceeded,
        Self::Cancelled,
        Self::Overloaded,
        Self::Unauthenticated,
        Self::Denied,
        Self::Failed,
        Self::Panicked,
        Self::ShuttingDown,
        Self::Protocol,
        Self::Disconnected,
    ];

    /// The word that stands for this code on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownCommand => "unknown_command",
            Self::BadPayload => "bad_payload",
            Self::TooLarge => "too_large",
            Self::UnsupportedFormat => "unsupported_format",
            Self::Invalid => "invalid",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::Cancelled => "cancelled",
            Self::Overloaded => "overloaded",
            Self::Unauthenticated => "unauthenticated",
            Self::Denied => "denied",
            Self::Failed => "failed",
            Self::Panicked => "panicked",
            Self::ShuttingDown => "shutting_down",
            Self::Protocol => "protocol",
            Self::Disconnected => "disconnected",
        }
    }

    /// The code that a word on the wire stands for; `None` for any other word, and for
    /// `disconnected`, which is never sent.
    #[must_use]
    pub fn from_wire(word: &[u8]) -> Option<Self> {
        Self::of_word(word).filter(|code| code.is_on_wire())
    }

    /// Whether this code can be sent to a peer.
    #[must_use]
    pub const fn is_on_wire(self) -> bool {
        !matches!(self, Self::Disconnected)
    }

    /// Whose fault an error of this kind is.
    #[must_use]
    pub const fn fault(self) -> Fault {
        match self {
            Self::UnknownCommand
            | Self::BadPayload
            | Self::TooLarge
            | Self::UnsupportedFormat
            | Self::Invalid
            | Self::NotFound
            | Self::Conflict
            | Self::Cancelled
            | Self::Unauthenticated
            | Self::Denied
            | Self::Protocol => Fault::Caller,
            Self::DeadlineExceeded
            | Self::Overloaded
            | Self::Failed
            | Self::Panicked
            | Self::ShuttingDown => Fault::Callee,
            Self::Disconnected => Fault::Connection,
        }
    }

    fn of_word(word: &[u8]) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str().as_bytes() == word)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// By its word, `disconnected` too.
impl FromStr for Code {
    type Err = UnknownCode;

    fn from_str(word: &str) -> Result<Self, UnknownCode> {
        Self::of_word(word.as_bytes()).ok_or(UnknownCode)
    }
}

impl CodeWord {
    /// The longest such a word can be, in bytes.
    pub const BYTES_MAX: usize = WORD_BYTES_MAX;

    /// The word that `bytes` are; `None` if they are not a word.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        is_word(bytes).then(|| Self(Word::copy(bytes)))
    }

    /// The word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The code that it stands for: [`Code::Failed`] if this side does not know it.
    #[must_use]
    pub fn code(&self) -> Code {
        Code::from_wire(self.0.as_bytes()).unwrap_or(Code::Failed)
    }
}

impl From<Code> for CodeWord {
    fn from(code: Code) -> Self {
        // The words of all codes are such words.
        Self(Word::copy(code.as_str().as_bytes()))
    }
}

impl fmt::Display for CodeWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for CodeWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// As its word.
impl serde::Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl fmt::Display for UnknownCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this word stands for no code")
    }
}

impl std::error::Error for UnknownCode {}

/// Whether this can stand on the wire as a code or as a key.
pub(crate) fn is_word(bytes: &[u8]) -> bool {
    let is_letter = |byte: &u8| matches!(byte, b'a'..=b'z' | b'_' | b'-');
    (1..=WORD_BYTES_MAX).contains(&bytes.len()) && bytes.iter().all(is_letter)
}

/// The most bytes of a code and of a key on the wire.
pub(crate) const WORD_BYTES_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_found_by_its_word() {
        for code in Code::ALL.iter().copied() {
            let expected = code.is_on_wire().then_some(code);
            assert_eq!(Code::from_wire(code.as_str().as_bytes()), expected, "{code}");
            assert_eq!(code.as_str().parse(), Ok(code));
            assert_eq!(CodeWord::from(code).as_str(), code.as_str());
            let heard = if code.is_on_wire() { code } else { Code::Failed };
            assert_eq!(CodeWord::from(code).code(), heard);
        }
        assert_eq!("nonsense".parse::<Code>(), Err(UnknownCode));
        assert_eq!(CodeWord::parse(b"nonsense").map(|word| word.code()), Some(Code::Failed));
    }

    #[test]
    fn a_word_is_bounded() {
        for good in ["a", "not_found", "x-y", &"z".repeat(WORD_BYTES_MAX)] {
            assert_eq!(CodeWord::parse(good.as_bytes()).unwrap().as_str(), good);
        }
        for bad in ["", "Failed", "e2", "a b", "a=", "é", &"z".repeat(WORD_BYTES_MAX + 1)] {
            assert_eq!(CodeWord::parse(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
