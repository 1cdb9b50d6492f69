//! Values to payload bytes and back.
//!
//! A format is a name and four facts: how a value becomes bytes, how bytes become a value, where a
//! payload ends in a plain stream, and which other formats the same values can be spoken in. It
//! knows nothing of lines, calls or sockets. Formats are empty enums: they are names, not values.
//!
//! Whatever decodes with serde does so through [`Budget::deserialize`], the one guard against
//! payloads that are small on the wire and huge in memory, deep or endless. That holds for both
//! sides: a client decodes what a server sent.

mod budget;
#[cfg(any(feature = "bincode", feature = "gob", feature = "json", feature = "postcard"))]
mod carry;
mod details;
#[cfg(any(feature = "bincode", feature = "gob", feature = "json", feature = "postcard"))]
mod encoding;
#[cfg(feature = "gob")]
mod gob;
mod growth;
mod guard;
mod stack;

#[cfg(feature = "bincode")]
mod bincode;
mod bytes;
#[cfg(feature = "json")]
mod json;
mod line;
mod outline;
#[cfg(feature = "postcard")]
mod postcard;
mod tongues;

#[cfg(feature = "bincode")]
pub use self::bincode::Bincode;
pub use self::budget::Budget;
#[cfg(any(feature = "io", feature = "blocking"))]
pub(crate) use self::budget::Grant;
pub use self::bytes::Bytes;
#[cfg(all(feature = "gob", feature = "io"))]
pub(crate) use self::gob::DEFINITION_TIMES;
#[cfg(feature = "gob")]
pub use self::gob::Gob;
#[cfg(feature = "json")]
pub use self::json::Json;
pub use self::line::Line;
pub use self::outline::Outline;
#[cfg(feature = "postcard")]
pub use self::postcard::Postcard;

use ::bytes::BytesMut;

use crate::error::Result;
use crate::limits::Limits;

/// How values of type `T` travel as bytes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot carry a `{T}`",
    label = "this format does not carry `{T}`",
    note = "`Line` carries `String`, `Bytes` carries `Bytes`; `Bincode`, `Json` and `Postcard` \
            carry any type that is `Serialize + DeserializeOwned`",
    note = "what is `Streamed` is carried item by item: its handler takes a `Sender<Item>` for the \
            reply, a `Receiver<Item>` for the request, or both"
)]
pub trait Format<T>: Send + Sync + 'static {
    /// The word that names this format on the wire: 1 to 16 lower-case ASCII letters or digits, not
    /// beginning with a digit. Registering a command with another one does not compile:
    ///
    /// ```compile_fail,E0080
    /// # use bytes::{Bytes, BytesMut};
    /// # use switchboard::format::{Budget, Codec, Format, Framing};
    /// # use switchboard::{Limits, Result};
    /// enum Mine {}
    ///
    /// impl Format<String> for Mine {
    ///     const NAME: &'static str = "My Format";
    /// #   const FRAMING: Framing = Framing::Counted;
    /// #   fn encode(_: &String, _: &Limits, _: &mut BytesMut) -> Result<()> { Ok(()) }
    /// #   fn decode(_: Bytes, _: &Budget) -> Result<String> { Ok(String::new()) }
    ///     // ..
    /// }
    ///
    /// let codec = Codec::<String>::of::<Mine>();
    /// ```
    const NAME: &'static str;

    /// Where a payload ends in a plain stream, which announces no length.
    const FRAMING: Framing;

    /// Appends the payload that stands for `value` to `out`.
    ///
    /// `limits` are those of whoever sends it, with what the [facts](crate::Facts) of the command
    /// change of them. Whoever calls this refuses a payload over `payload_bytes_max` afterwards; a
    /// format may do so earlier.
    ///
    /// # Errors
    ///
    /// When the format has no payload for this value, or `too_large` if the value is over a limit.
    /// What was appended until then is cut off by the caller.
    fn encode(value: &T, limits: &Limits, out: &mut BytesMut) -> Result<()>;

    /// The payload that stands for `value`, by itself: as items are made. It is what
    /// [`encode`](Self::encode) appends to nothing, and a format whose values are their payloads
    /// shares them instead.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode).
    fn payload(value: &T, limits: &Limits) -> Result<::bytes::Bytes> {
        let mut out = BytesMut::with_capacity(PAYLOAD_BYTES_USUAL);
        Self::encode(value, limits, &mut out)?;
        Ok(without_surplus(out).freeze())
    }

    /// The value that the whole of `payload` stands for.
    ///
    /// # Errors
    ///
    /// `bad_payload` if it stands for none, has bytes left over, or `too_large` if `budget` is used
    /// up. The text may reach the peer: it says what is wrong and quotes nothing of the payload.
    fn decode(payload: ::bytes::Bytes, budget: &Budget) -> Result<T>;

    /// Whether values of this type have payloads at all. Asked of the reply's type when a command
    /// is registered, and of the request's by [`Command::check`](crate::Command::check), so that a
    /// mistake is found before the first call.
    ///
    /// # Errors
    ///
    /// What is wrong with the type, where in it, and what can be done.
    fn check() -> Result<()> {
        Ok(())
    }

    /// Whether payloads can become values of this type at all. Asked of the request's type when a
    /// command is registered, and of the reply's by [`Command::check`](crate::Command::check).
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    fn check_read() -> Result<()> {
        Ok(())
    }

    /// What values of this type look like, to compare it with another program's; `None` if that is
    /// not known. It may take some milliseconds.
    #[must_use]
    fn outline() -> Option<Outline> {
        None
    }

    /// The same values in other formats, for callers who ask for one by its name.
    #[must_use]
    fn alternatives() -> Vec<Codec<T>> {
        Vec::new()
    }
}

/// What the values of a type can be spoken in, whatever format they are given. For every type of
/// serde `tongues` says it, which knows the formats that are meant, as they do not know each other.
trait Tongues: Sized {
    fn tongues() -> Vec<Codec<Self>>;
}

/// Room that a payload is given before it is made: growing up to it byte by byte would cost more
/// than making it.
pub(crate) const PAYLOAD_BYTES_USUAL: usize = 256;

/// Where a payload ends in a plain stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Framing {
    /// At the end of the line, which is not part of the payload.
    Line,
    /// After as many bytes as a line before the payload says, in canonical decimal.
    Counted,
    /// Where the value of a gob ends: its messages begin with their lengths. In a plain stream the
    /// type definitions may come once for all values, or with each value anew.
    #[cfg(feature = "gob")]
    Gob,
}

#[cfg(feature = "io")]
impl Framing {
    /// Whether what is no such payload is hardly ever taken for one.
    pub(crate) const fn vouches_for_its_end(self) -> bool {
        match self {
            Self::Line | Self::Counted => false,
            #[cfg(feature = "gob")]
            Self::Gob => true,
        }
    }
}

/// A format as a value: the functions of a [`Format`] for one type.
#[non_exhaustive]
pub struct Codec<T> {
    /// [`Format::NAME`].
    pub name: &'static str,
    /// [`Format::FRAMING`].
    pub framing: Framing,
    /// [`Format::encode`].
    pub encode: fn(&T, &Limits, &mut BytesMut) -> Result<()>,
    /// [`Format::payload`].
    pub payload: fn(&T, &Limits) -> Result<::bytes::Bytes>,
    /// [`Format::decode`].
    pub decode: fn(::bytes::Bytes, &Budget) -> Result<T>,
    /// [`Format::outline`].
    pub outline: fn() -> Option<Outline>,
}

impl<T> Codec<T> {
    /// The functions of format `F`.
    #[must_use]
    pub const fn of<F: Format<T>>() -> Self {
        const {
            assert!(
                is_name(F::NAME.as_bytes()),
                "the name of a format is 1 to 16 lower-case ASCII letters or digits, \
                 not beginning with a digit"
            );
        }
        Self {
            name: F::NAME,
            framing: F::FRAMING,
            encode: F::encode,
            payload: F::payload,
            decode: F::decode,
            outline: F::outline,
        }
    }
}

/// A payload in a buffer that is not much larger, as it is charged with its own length.
pub(crate) fn without_surplus(payload: BytesMut) -> BytesMut {
    if !has_surplus(&payload) {
        return payload;
    }
    let mut exact = Vec::from(payload);
    exact.shrink_to_fit();
    BytesMut::from(::bytes::Bytes::from(exact))
}

/// Whether a buffer is much larger than what is in it.
pub(crate) fn has_surplus(payload: &BytesMut) -> bool {
    let surplus_bytes = payload.capacity().saturating_sub(payload.len());
    surplus_bytes > payload.len() / 4 && surplus_bytes > SURPLUS_BYTES_MAX
}

/// What is not worth a call of the allocator.
const SURPLUS_BYTES_MAX: usize = 4096;

const fn is_name(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let [first, others @ ..] = rest {
        if !first.is_ascii_lowercase() && !first.is_ascii_digit() {
            return false;
        }
        rest = others;
    }
    matches!(bytes, [b'a'..=b'z', ..]) && bytes.len() <= NAME_BYTES_MAX
}

/// As long as the word for a format can be on the wire.
const NAME_BYTES_MAX: usize = 16;

impl<T> std::fmt::Debug for Codec<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Codec").field("name", &self.name).field("framing", &self.framing).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_format_can_stand_on_the_wire() {
        for good in ["json", "x", "bincode2", "abcdefghijklmnop"] {
            assert!(is_name(good.as_bytes()), "{good}");
        }
        for bad in ["", "7z", "Json", "my format", "a-b", "abcdefghijklmnopq", "é"] {
            assert!(!is_name(bad.as_bytes()), "{bad}");
        }
        assert_eq!(NAME_BYTES_MAX, crate::wire::FormatWord::BYTES_MAX);
    }
}
