//! Bytes to lines and bodies and back; pure.
//!
//! Each direction of a connection is a sequence of lines, some of which announce a body of an exact
//! length. [`Decoder`] is the one parser of that grammar and [`Line::encode`] its one printer:
//! printing what was parsed gives the same bytes. `docs/PROTOCOL.md` is the specification.
//!
//! This module does not know what a call is, which tags are in flight, or what a limit should be.
//! It has no socket, no clock and no task: bytes are pushed in, events are pulled out.

mod decoder;
mod line;
mod name;
mod outbox;

pub use self::decoder::{Decoder, Event, Position};
pub use self::line::{Line, Options, Part, Tag};
pub use self::name::{FormatWord, Name};
pub use self::outbox::Outbox;

use std::fmt;

/// Why bytes are not a line of this protocol. After one of these, nothing that follows on the
/// connection can be trusted to be a line, so it is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flaw {
    /// The line does not end within this many bytes.
    LineTooLong {
        /// The limit.
        line_bytes_max: usize,
    },
    /// The line holds this byte, which is neither printable ASCII nor a line's end.
    ControlByte(u8),
    /// The line is empty.
    EmptyLine,
    /// There are two spaces in a row, or one at an end.
    EmptyWord,
    /// The name has more than [`Name::BYTES_MAX`] bytes.
    NameTooLong,
    /// The name begins with a digit.
    NameBegin(u8),
    /// The tag is not a canonical decimal of at most 32 bits.
    Tag,
    /// The length is not a canonical decimal of at most 64 bits.
    Length,
    /// The number of items is not a canonical decimal of at most 32 bits.
    Credit,
    /// The word after the tag is none that this direction has.
    Verb,
    /// The error code is not one of the documented ones.
    Code,
    /// The word for the format has more than [`FormatWord::BYTES_MAX`] bytes.
    FormatWord,
    /// An option is not `KEY=VALUE`, is given twice, or has a value of the wrong form.
    Option,
    /// There are more or fewer words than this kind of line has.
    WordCount,
    /// This is HTTP.
    Http,
    /// This is TLS.
    Tls,
}

impl Flaw {
    /// Whether the bytes are another protocol's, whose sender would not understand an answer.
    #[must_use]
    pub const fn is_foreign(self) -> bool {
        matches!(self, Self::Http | Self::Tls)
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::LineTooLong { line_bytes_max } => {
                return write!(f, "the line is longer than line_bytes_max ({line_bytes_max})");
            }
            Self::ControlByte(byte) => {
                return write!(f, "byte 0x{byte:02x} in a line, which is printable ASCII");
            }
            Self::NameBegin(byte) => {
                return write!(f, "a name cannot begin with {:?}", char::from(*byte));
            }
            Self::NameTooLong => {
                return write!(f, "the name is longer than {} bytes", Name::BYTES_MAX);
            }
            Self::FormatWord => {
                return write!(f, "the format is longer than {} bytes", FormatWord::BYTES_MAX);
            }
            Self::EmptyLine => "an empty line",
            Self::EmptyWord => "words are separated by one space each",
            Self::Tag => "the tag is not a decimal of 32 bits without sign or leading zero",
            Self::Length => "the length is not a decimal of 64 bits without sign or leading zero",
            Self::Credit => "the credit is not a decimal of 32 bits without sign or leading zero",
            Self::Verb => "the word after the tag is unknown",
            Self::Code => "the error code is unknown",
            Self::Option => "an option is KEY=VALUE, given once",
            Self::WordCount => "too many or too few words",
            Self::Http => "this is HTTP, not a command",
            Self::Tls => "this is TLS, not a command",
        };
        f.write_str(text)
    }
}

impl std::error::Error for Flaw {}
