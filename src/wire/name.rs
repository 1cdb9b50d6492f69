//! Words with rules: command names and format names.
//!
//! Both are stored inline, so that reading one from the wire allocates nothing. A [`Name`] that
//! exists is valid: it is checked where it is made, at compile time for a `const`.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use super::flaw::{FORMAT_WORD_BYTES_MAX, Flaw, NAME_BYTES_MAX};
use crate::error::{CodeWord, Word};

/// The name of a command: 1 to 64 printable ASCII bytes without space, not beginning with `<`, `>`,
/// `{`, `[` or a digit. Names that begin with `?` belong to the endpoint itself.
///
/// ```
/// use switchboard::wire::Name;
///
/// let name: Name = "jobs.ADD".parse()?;
/// assert_eq!(name.as_str(), "jobs.ADD");
/// let error = "<ADD".parse::<Name>().unwrap_err();
/// assert_eq!(error.to_string(), "a name cannot begin with '<'");
/// # Ok::<(), switchboard::wire::Flaw>(())
/// ```
#[derive(Clone, Copy)]
pub struct Name(Word<{ Self::BYTES_MAX }>);

impl Name {
    /// The longest a name can be, in bytes.
    pub const BYTES_MAX: usize = NAME_BYTES_MAX;

    /// This name, for a `const`.
    ///
    /// # Panics
    ///
    /// If `name` breaks the rules; in a `const` that is a compile error.
    #[must_use]
    pub const fn new(name: &str) -> Self {
        Self::valid(Self::parse(name.as_bytes()))
    }

    /// The name that `bytes` are.
    ///
    /// # Errors
    ///
    /// The rule that they break.
    #[inline]
    pub const fn parse(bytes: &[u8]) -> Result<Self, Flaw> {
        match Self::check(bytes) {
            Ok(()) => Ok(Self::copy(bytes)),
            Err(flaw) => Err(flaw),
        }
    }

    /// This name with `prefix` in front of it.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub(crate) const fn behind(&self, prefix: &str) -> Result<Self, Flaw> {
        let mut room = [0; Self::BYTES_MAX];
        let Some(rest) = put(&mut room, prefix.as_bytes()) else { return Err(Flaw::NameTooLong) };
        let Some(rest) = put(rest, self.as_bytes()) else { return Err(Flaw::NameTooLong) };
        let len = Self::BYTES_MAX.saturating_sub(rest.len());
        match room.split_at_checked(len) {
            Some((bytes, _)) => Self::parse(bytes),
            None => Err(Flaw::NameTooLong),
        }
    }

    /// The name, where one that breaks the rules is a mistake in the program.
    pub(crate) const fn valid(name: Result<Self, Flaw>) -> Self {
        match name {
            Ok(name) => name,
            Err(_) => panic!(
                "a command name is 1 to 64 printable ASCII bytes without space, \
                 not beginning with `<`, `>`, `{{`, `[` or a digit"
            ),
        }
    }

    /// Whether `bytes` are a name.
    pub(super) const fn check(bytes: &[u8]) -> Result<(), Flaw> {
        if let Some(first @ (b'<' | b'>' | b'{' | b'[' | b'0'..=b'9')) = bytes.first() {
            return Err(Flaw::NameBegin(*first));
        }
        check_word(bytes, Self::BYTES_MAX, Flaw::NameTooLong)
    }

    /// The name that `bytes` are known to be. It is larger than what is made of the other words of
    /// a line, so it is made last, and where it stays.
    #[inline]
    pub(super) const fn copy(bytes: &[u8]) -> Self {
        Self(Word::copy(bytes))
    }

    /// The bytes of the name.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether the name belongs to the endpoint itself.
    #[must_use]
    pub const fn is_reserved(&self) -> bool {
        matches!(self.0.first(), Some(b'?'))
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Name {}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        self.as_bytes()
    }
}

/// As [`Name::parse`].
impl FromStr for Name {
    type Err = Flaw;

    fn from_str(text: &str) -> Result<Self, Flaw> {
        Self::parse(text.as_bytes())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

/// The word by which a caller asks for a format: 1 to 16 printable ASCII bytes without space, not
/// beginning with a digit. Whether there is such a format is not decided here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FormatWord(Word<{ Self::BYTES_MAX }>);

impl FormatWord {
    /// The longest such a word can be, in bytes.
    pub const BYTES_MAX: usize = FORMAT_WORD_BYTES_MAX;

    /// The format of a tagged call that names none.
    pub const DEFAULT: Self = Self::new("bincode");

    /// The word that `bytes` are.
    ///
    /// # Errors
    ///
    /// The rule that they break.
    pub const fn parse(bytes: &[u8]) -> Result<Self, Flaw> {
        if let Some(b'0'..=b'9') = bytes.first() {
            return Err(Flaw::FormatWord);
        }
        match check_word(bytes, Self::BYTES_MAX, Flaw::FormatWord) {
            Ok(()) => Ok(Self(Word::copy(bytes))),
            Err(flaw) => Err(flaw),
        }
    }

    /// This word, for a `const`.
    ///
    /// # Panics
    ///
    /// If `word` breaks the rules; in a `const` that is a compile error.
    #[must_use]
    pub const fn new(word: &str) -> Self {
        match Self::parse(word.as_bytes()) {
            Ok(word) => word,
            Err(_) => panic!(
                "the word for a format is 1 to 16 printable ASCII bytes without space, \
                 not beginning with a digit"
            ),
        }
    }

    /// Whether it is the format of a tagged call that names none, so that it need not be said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.as_bytes() == Self::DEFAULT.as_bytes()
    }

    /// The bytes of the word.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The word as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// As [`FormatWord::parse`].
impl FromStr for FormatWord {
    type Err = Flaw;

    fn from_str(text: &str) -> Result<Self, Flaw> {
        Self::parse(text.as_bytes())
    }
}

impl fmt::Display for FormatWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for FormatWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FormatWord({})", self.as_str())
    }
}

/// As [`CodeWord::parse`], and [`Flaw::Code`] for what is not such a word. Here, since errors know
/// no lines.
impl FromStr for CodeWord {
    type Err = Flaw;

    fn from_str(text: &str) -> Result<Self, Flaw> {
        Self::parse(text.as_bytes()).ok_or(Flaw::Code)
    }
}

/// Puts `bytes` at the beginning of `room`, and gives the rest of it; `None` if they do not fit.
const fn put<'a>(room: &'a mut [u8], bytes: &[u8]) -> Option<&'a mut [u8]> {
    match room.split_at_mut_checked(bytes.len()) {
        Some((taken, rest)) => {
            taken.copy_from_slice(bytes);
            Some(rest)
        }
        None => None,
    }
}

/// Whether `bytes` are 1 to `bytes_max` printable ASCII bytes without space.
const fn check_word(bytes: &[u8], bytes_max: usize, too_long: Flaw) -> Result<(), Flaw> {
    if bytes.is_empty() {
        return Err(Flaw::EmptyWord);
    }
    if bytes.len() > bytes_max {
        return Err(too_long);
    }
    let mut rest = bytes;
    while let [first, others @ ..] = rest {
        if !first.is_ascii_graphic() {
            return Err(Flaw::ControlByte(*first));
        }
        rest = others;
    }
    Ok(())
}
