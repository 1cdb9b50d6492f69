//! The kinds of errors: the words that both sides of the wire have for them, and whose fault each
//! is.
//!
//! A new code is a new word of the protocol (`docs/PROTOCOL.md`).

use std::fmt;

/// The kind of an [`Error`](crate::Error), the same on both sides of the wire.
///
/// The set is closed: `docs/PROTOCOL.md` lists the words, and a peer that sends another one breaks
/// the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// No handler is registered under this name.
    UnknownCommand,
    /// The payload does not decode as the type that the command expects.
    BadPayload,
    /// A limit on size, depth or count was passed; the text names it.
    TooLarge,
    /// The command does not speak the format that was asked for, or not in this kind of call.
    UnsupportedFormat,
    /// The deadline of the call passed before its answer was there.
    DeadlineExceeded,
    /// The caller lost interest, or the call was ended with its connection.
    Cancelled,
    /// The callee has no room for this call now; the call did not run.
    Overloaded,
    /// The caller may not do this.
    Denied,
    /// The handler returned an error.
    Failed,
    /// The handler panicked.
    Panicked,
    /// The callee takes no more calls; this call did not run.
    ShuttingDown,
    /// What arrived is not this protocol.
    Protocol,
    /// The connection could not be made or was lost. This side found it out; it is never sent.
    Disconnected,
}

/// Who has to change something for a [`Code`] to go away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The side that asked.
    Caller,
    /// The side that answered.
    Callee,
    /// What lies between the two.
    Connection,
}

impl Code {
    /// All codes, in the order of `docs/PROTOCOL.md`.
    pub const ALL: [Self; 13] = [
        Self::UnknownCommand,
        Self::BadPayload,
        Self::TooLarge,
        Self::UnsupportedFormat,
        Self::DeadlineExceeded,
        Self::Cancelled,
        Self::Overloaded,
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
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::Cancelled => "cancelled",
            Self::Overloaded => "overloaded",
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
        Self::ALL.into_iter().find(|code| code.is_on_wire() && code.as_str().as_bytes() == word)
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
            | Self::Cancelled
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
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
