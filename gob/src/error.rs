//! What can go wrong, where, and whose turn it is.
//!
//! One opaque [`Error`] for both directions. The place comes in two forms: for bytes that are no
//! gob at all, how many bytes into the stream; for a value that does not fit, the way to it from
//! the outermost value, such as `C.M["x"]`. The way is put together while the error travels
//! outwards, so that what goes well pays nothing for it.

use std::error::Error as StdError;
use std::fmt;

use serde::de::{Expected, Unexpected};

/// A `Result` whose error is [`Error`] unless said otherwise.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a value was not read or not written.
///
/// ```
/// use switchboard_gob::{ErrorKind, from_slice, to_vec};
///
/// let bytes = to_vec(&vec!["text".to_owned()])?;
/// let error = from_slice::<Vec<i64>>(&bytes).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Mismatch);
/// assert_eq!(error.to_string(), "[]: wanted int, received string");
/// # Ok::<(), switchboard_gob::Error>(())
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    text: String,
    offset: Option<u64>,
    // From the inside to the outside.
    path: Vec<Step>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What sort of thing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes are no gob, or define types that contradict each other.
    Malformed,
    /// The bytes end in the middle of a value.
    UnexpectedEnd,
    /// One of the [`Limits`](crate::Limits) was passed.
    Limit,
    /// The sender's type, or its value, does not fit the receiver's type; a value does not fit its
    /// schema.
    Mismatch,
    /// A Rust type, or one of its values, has no form in gob, or its form cannot be found out.
    Unsupported,
    /// A type's own code refused the value.
    Custom,
    /// Reading failed.
    Io,
}

/// One step from a value to one inside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Field(Box<str>),
    /// Of a type, where no one element is meant.
    Element,
    Index(usize),
    /// As it is printed.
    Key(Box<str>),
}

impl Error {
    /// What sort of thing went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What went wrong, without the place.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// For malformed bytes: how many bytes of the stream came before them.
    #[must_use]
    pub fn offset(&self) -> Option<u64> {
        self.0.offset
    }

    /// The way to the value that is meant, such as `C.M["x"]`; empty if it is the outermost one.
    /// Keys of maps are quoted, and cut after 32 characters, as names are after 64.
    #[must_use]
    pub fn path(&self) -> String {
        let mut path = String::new();
        for step in self.0.path.iter().rev() {
            match step {
                Step::Field(name) if path.is_empty() => path.push_str(&Shown(name).to_string()),
                Step::Field(name) => path.push_str(&format!(".{}", Shown(name))),
                Step::Element => path.push_str("[]"),
                Step::Index(index) => path.push_str(&format!("[{index}]")),
                Step::Key(key) => path.push_str(&format!("[{key}]")),
            }
        }
        path
    }

    #[cold]
    pub(crate) fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        let text = text.into();
        Self(Box::new(Inner { kind, text, offset: None, path: Vec::new(), source: None }))
    }

    #[cold]
    pub(crate) fn malformed(offset: u64, text: impl Into<String>) -> Self {
        let mut error = Self::new(ErrorKind::Malformed, text);
        error.0.offset = Some(offset);
        error
    }

    /// `what` came, and `limit` allows `max`.
    #[cold]
    pub(crate) fn limit(what: impl fmt::Display, limit: &str, max: usize) -> Self {
        Self::new(ErrorKind::Limit, format!("{what}: over {limit} ({max})"))
    }

    #[cold]
    pub(crate) fn mismatch(wanted: impl fmt::Display, received: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Mismatch, format!("wanted {wanted}, received {received}"))
    }

    /// A value is not what its schema says.
    #[cold]
    pub(crate) fn schema_mismatch(text: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Mismatch, text.to_string())
    }

    #[cold]
    pub(crate) fn unsupported(text: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, text)
    }

    /// The same error once more, without its source.
    #[cold]
    pub(crate) fn copy(&self) -> Self {
        let Inner { kind, text, offset, path, source: _ } = &*self.0;
        let (kind, text, offset, path) = (*kind, text.clone(), *offset, path.clone());
        Self(Box::new(Inner { kind, text, offset, path, source: None }))
    }

    /// The same error, one step further out.
    #[cold]
    pub(crate) fn inside(mut self, step: Step) -> Self {
        self.0.path.push(step);
        self
    }
}

impl Step {
    /// To a field that a peer has named: no more of the name than is shown, and one character to
    /// tell that there is more.
    #[cold]
    pub(crate) fn field(name: &str) -> Self {
        let end = name.char_indices().nth(NAME_CHARS_SHOWN.saturating_add(1));
        let start = end.and_then(|(end, _)| name.get(..end));
        Self::Field(start.unwrap_or(name).into())
    }
}

/// Characters of a name that are shown.
const NAME_CHARS_SHOWN: usize = 64;

/// A name that a peer has made up: no longer than a name should be, and nothing to steer a
/// terminal with.
pub(crate) struct Shown<'a>(pub(crate) &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.chars();
        let start: String = rest.by_ref().take(NAME_CHARS_SHOWN).collect();
        let end = if rest.next().is_some() { "..." } else { "" };
        write!(f, "{}{end}", start.escape_debug())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path();
        if !path.is_empty() {
            write!(f, "{path}: ")?;
        }
        f.write_str(&self.0.text)?;
        match self.0.offset {
            Some(offset) => write!(f, ", at byte {offset}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

impl From<std::io::Error> for Error {
    fn from(source: std::io::Error) -> Self {
        let mut error = Self::new(ErrorKind::Io, "reading failed");
        error.0.source = Some(Box::new(source));
        error
    }
}

/// What came, without the text or the bytes that it was.
struct Received<'a>(Unexpected<'a>);

impl fmt::Display for Received<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Unexpected::Bool(value) => write!(f, "{value}"),
            Unexpected::Unsigned(value) => write!(f, "{value}"),
            Unexpected::Signed(value) => write!(f, "{value}"),
            Unexpected::Float(value) => write!(f, "{value:e}"),
            Unexpected::Str(_) => f.write_str("a string"),
            Unexpected::Bytes(_) => f.write_str("bytes"),
            Unexpected::Unit => f.write_str("nil"),
            other => write!(f, "{other}"),
        }
    }
}

impl serde::ser::Error for Error {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self::new(ErrorKind::Custom, text.to_string())
    }
}

impl serde::de::Error for Error {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self::new(ErrorKind::Custom, text.to_string())
    }

    fn invalid_type(received: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::mismatch(wanted, Received(received))
    }

    fn invalid_value(received: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::mismatch(wanted, Received(received))
    }

    fn invalid_length(len: usize, wanted: &dyn Expected) -> Self {
        Self::mismatch(wanted, format_args!("{len} elements"))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(ErrorKind::Mismatch, format!("the sender's type has no field {field}"))
    }

    fn unknown_variant(received: &str, wanted: &'static [&'static str]) -> Self {
        let (received, wanted) = (Shown(received), wanted.join(", "));
        let text = format!("received the name \"{received}\"; wanted one of {wanted}");
        Self::new(ErrorKind::Mismatch, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_peers_name_no_more_is_kept_than_is_shown() {
        // (name, characters kept, the path)
        let cases = [
            ("a".repeat(64), 64, "a".repeat(64)),
            ("a".repeat(65), 65, format!("{}...", "a".repeat(64))),
            ("é".repeat(1 << 20), 65, format!("{}...", "é".repeat(64))),
        ];
        for (name, chars, path) in cases {
            let step = Step::field(&name);
            let Step::Field(kept) = &step else {
                panic!("{step:?}");
            };
            assert_eq!(kept.chars().count(), chars);
            assert_eq!(Error::unsupported("no value").inside(step).path(), path);
        }
    }
}
