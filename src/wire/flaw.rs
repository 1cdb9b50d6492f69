//! Why bytes are not a line.
//!
//! All of it is in one list, whether it is a line's flaw or a word's, since the answer is the same:
//! the peer is told and the connection closed. Whoever finds a flaw is `decoder`, `line` or `name`.

use std::fmt;

use super::BadOption;

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
    /// The line holds this byte, which is neither printable ASCII nor a line's end; of a word that
    /// stands alone, also a space.
    ControlByte(u8),
    /// The line is empty.
    EmptyLine,
    /// There are two spaces in a row, or one at an end of more than a name; of a word that stands
    /// alone, it has no byte.
    EmptyWord,
    /// The name has more than [`Name::BYTES_MAX`](super::Name::BYTES_MAX) bytes.
    NameTooLong,
    /// The name begins with this byte, a digit or one of `<`, `>`, `{` and `[`.
    NameBegin(u8),
    /// The tag is not a canonical decimal of at most 32 bits.
    Tag,
    /// The length is not a canonical decimal of at most 64 bits.
    Length,
    /// The credit is not a canonical decimal of at most 32 bits, or 0.
    Credit,
    /// The word after the tag is none that this direction has.
    Verb,
    /// The error code is not a word of `a` to `z`, `_` and `-` of at most
    /// [`CodeWord::BYTES_MAX`](super::CodeWord::BYTES_MAX) bytes.
    Code,
    /// The word for the format begins with a digit, or has more than
    /// [`FormatWord::BYTES_MAX`](super::FormatWord::BYTES_MAX) bytes.
    FormatWord,
    /// An option is not `KEY=VALUE`, is given twice, or has a value of the wrong form; a key with a
    /// `-` too.
    Option(BadOption),
    /// There are more than [`Metadata::KEYS_MAX`](super::Metadata::KEYS_MAX) keys with a `-`, or
    /// [`Metadata::BYTES_MAX`](super::Metadata::BYTES_MAX) bytes of them and their values.
    Metadata,
    /// The details of an error are longer than its body.
    Details,
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
            Self::ControlByte(b' ') => "a space in a word",
            Self::ControlByte(byte) => {
                return write!(f, "byte 0x{byte:02x} in a line, which is printable ASCII");
            }
            Self::NameBegin(byte) => {
                return write!(f, "a name cannot begin with {:?}", char::from(*byte));
            }
            Self::NameTooLong => {
                return write!(f, "the name is longer than {NAME_BYTES_MAX} bytes");
            }
            Self::FormatWord => {
                return write!(
                    f,
                    "a format is a word of at most {FORMAT_WORD_BYTES_MAX} bytes that does not \
                     begin with a digit"
                );
            }
            Self::EmptyLine => "an empty line: nothing stands between a body and the next line",
            Self::EmptyWord => "a word is empty: words are separated by one space each",
            Self::Tag => "the tag is not a decimal of 32 bits without sign or leading zero",
            Self::Length => "the length is not a decimal of 64 bits without sign or leading zero",
            Self::Credit => "the credit is not a decimal of 32 bits above 0 without leading zero",
            Self::Verb => "the word after the tag is unknown",
            Self::Code => "an error code is 1 to 32 letters a to z, _ and -",
            Self::Option(option) => return option.fmt(f),
            Self::Metadata => "metadata has at most 16 keys, and at most 4096 bytes in all",
            Self::Details => "the details of an error are longer than its body",
            Self::WordCount => "too many or too few words: a plain payload begins on the next line",
            Self::Http => "this is HTTP, not a command",
            Self::Tls => "this is TLS, not a command",
        };
        f.write_str(text)
    }
}

impl std::error::Error for Flaw {}

/// The most bytes of the name of a command.
pub(super) const NAME_BYTES_MAX: usize = 64;

/// The most bytes of the word for a format.
pub(super) const FORMAT_WORD_BYTES_MAX: usize = 16;
