//! Who made an error, and what of it can be told.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::code::{Code, CodeWord};

/// What a peer is told of an error.
pub(crate) struct Told<'e> {
    pub(crate) word: CodeWord,
    pub(crate) text: &'e str,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) details: &'e [u8],
}

/// A value that goes with an error.
#[derive(Clone)]
pub(super) enum Details {
    /// As its author has it.
    Value(
        #[cfg_attr(not(any(feature = "io", feature = "blocking")), expect(dead_code))]
        Arc<EncodeDetails>,
    ),
    /// As bytes, in the format of the call. A peer that sends some does not say which that is.
    Encoded { format: &'static str, bytes: Bytes },
}

/// Gives a value in the format of this name, if it has a form there of at most so many bytes.
pub(crate) type EncodeDetails = dyn Fn(&str, usize) -> Option<Bytes> + Send + Sync;

/// Who made an error, and so how far its code and text may travel.
///
/// What a handler returns may have been made anywhere: by its author, or by the library while the
/// handler called somebody else, spoke on a connection of its own or encoded a value. Its caller
/// learns what was made for a caller, and nothing of the rest (`Error::of_handler`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Whoever wrote the program, for the caller, by `Error::new`.
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

impl Told<'_> {
    /// Bytes of the peer's answer that are made of it.
    pub(crate) const fn bytes(&self) -> usize {
        self.text.len().saturating_add(self.details.len())
    }

    /// What is told of an error that is no business of the peer's.
    pub(super) fn nothing() -> Self {
        let (word, text) = (Code::Failed.into(), "the handler failed");
        Self { word, text, retry_after: None, details: &[] }
    }
}

/// As much of a text as a peer is told.
pub(super) fn text_to_tell(text: &str) -> &str {
    text.get(..text.floor_char_boundary(TEXT_BYTES_MAX)).unwrap_or_default()
}

/// Bytes of an error's text that cross the wire.
pub(crate) const TEXT_BYTES_MAX: usize = 4096;

impl Details {
    /// These in the format of a call, of at most so many bytes; not those that are in another.
    #[cfg(any(feature = "io", feature = "blocking"))]
    pub(super) fn in_format(self, call: &'static str, bytes_max: usize) -> Option<Self> {
        let bytes = match self {
            Self::Value(encode) => encode(call, bytes_max)?,
            Self::Encoded { format, bytes } if format.is_empty() || format == call => bytes,
            Self::Encoded { .. } => return None,
        };
        Some(Self::Encoded { format: call, bytes })
    }

    /// Their format and bytes, once they have one.
    pub(super) fn encoded(&self) -> Option<(&'static str, &Bytes)> {
        match self {
            Self::Encoded { format, bytes } => Some((format, bytes)),
            Self::Value(_) => None,
        }
    }
}
