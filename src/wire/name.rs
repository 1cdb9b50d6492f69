//! Words with rules: command names and format names.
//!
//! Both are stored inline, so that reading one from the wire allocates nothing. A [`Name`] that
//! exists is valid: it is checked where it is made, at compile time for a `const`.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};

use super::Flaw;

/// The name of a command: 1 to 64 printable ASCII bytes without space, not beginning with `<`, `>`
/// or a digit. Names that begin with `?` belong to the endpoint itself.
#[derive(Clone, Copy)]
pub struct Name(Word<{ Self::BYTES_MAX }>);

impl Name {
    /// The longest a name can be, in bytes.
    pub const BYTES_MAX: usize = 64;

    /// This name, for a `const`.
    ///
    /// # Panics
    ///
    /// If `name` breaks the rules; in a `const` that is a compile error.
    #[must_use]
    pub const fn new(name: &str) -> Self {
        match Self::parse(name.as_bytes()) {
            Ok(name) => name,
            Err(_) => panic!(
                "a command name is 1 to 64 printable ASCII bytes without space, \
                 not beginning with `<`, `>` or a digit"
            ),
        }
    }

    /// The name that `bytes` are.
    ///
    /// # Errors
    ///
    /// The rule that they break.
    pub const fn parse(bytes: &[u8]) -> Result<Self, Flaw> {
        if let Some(first @ (b'<' | b'>' | b'0'..=b'9')) = bytes.first() {
            return Err(Flaw::NameBegin(*first));
        }
        match Word::parse(bytes, Flaw::NameTooLong) {
            Ok(word) => Ok(Self(word)),
            Err(flaw) => Err(flaw),
        }
    }

    /// The bytes of the name.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
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
        matches!(self.0.bytes.first(), Some(b'?'))
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
    pub const BYTES_MAX: usize = 16;

    /// The word that `bytes` are.
    ///
    /// # Errors
    ///
    /// The rule that they break.
    pub const fn parse(bytes: &[u8]) -> Result<Self, Flaw> {
        if let Some(b'0'..=b'9') = bytes.first() {
            return Err(Flaw::FormatWord);
        }
        match Word::parse(bytes, Flaw::FormatWord) {
            Ok(word) => Ok(Self(word)),
            Err(flaw) => Err(flaw),
        }
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

impl fmt::Debug for FormatWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FormatWord({})", self.as_str())
    }
}

/// 1 to `BYTES_MAX` printable ASCII bytes without space.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Word<const BYTES_MAX: usize> {
    // Only the first `len` bytes count; the rest are zero. 1 <= len <= BYTES_MAX < 256.
    bytes: [u8; BYTES_MAX],
    len: u8,
}

impl<const BYTES_MAX: usize> Word<BYTES_MAX> {
    #[allow(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        reason = "a const fn has no iterators; every index is below a length checked above it"
    )]
    const fn parse(bytes: &[u8], too_long: Flaw) -> Result<Self, Flaw> {
        if bytes.is_empty() {
            return Err(Flaw::EmptyWord);
        }
        if bytes.len() > BYTES_MAX {
            return Err(too_long);
        }
        let mut copy = [0; BYTES_MAX];
        let mut index = 0;
        while index < bytes.len() {
            if !bytes[index].is_ascii_graphic() {
                return Err(Flaw::ControlByte(bytes[index]));
            }
            copy[index] = bytes[index];
            index += 1;
        }
        Ok(Self { bytes: copy, len: bytes.len() as u8 })
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}
