//! postcard, for those who do not want an unmaintained crate under their binary format.
//!
//! Like bincode it has no field names and both sides must know the type; its varints are LEB128. It
//! throws the messages of custom errors away, which is why a budget remembers what was passed.

use std::fmt;

use ::bytes::{Bytes, BytesMut};
use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;
use switchboard_shape::{Encoding, Layout};

use super::budget::Budget;
use super::carry::{self, Carrier, Verdicts};
use super::encoding::{self, Positional, Refusal, Written};
use super::stack::with_whole_room;
use super::{Codec, Format, Framing, Outline, Tongues};
use crate::error::Result;
use crate::limits::Limits;

/// The format of everything that is `Serialize + DeserializeOwned`, in the wire format of postcard
/// 1.
///
/// It has no names and no types in it, as `Bincode`, and what is told there of types without a form
/// holds here.
///
/// ```
/// use bytes::BytesMut;
/// use switchboard::Limits;
/// use switchboard::format::{Budget, Format, Postcard};
///
/// let mut out = BytesMut::new();
/// Postcard::encode(&("Ada".to_owned(), 300u64), &Limits::default(), &mut out)?;
/// assert_eq!(out, b"\x03Ada\xac\x02"[..]);
///
/// let budget = Budget::new(&Limits::default(), out.len());
/// let value: (String, u64) = Postcard::decode(out.freeze(), &budget)?;
/// assert_eq!(value, ("Ada".to_owned(), 300));
/// # Ok::<(), switchboard::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "it is a name and has no values")]
pub enum Postcard {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Format<T> for Postcard {
    const NAME: &'static str = NAME;
    const FRAMING: Framing = Framing::Counted;

    fn encode(value: &T, limits: &Limits, out: &mut BytesMut) -> Result<()> {
        carry::encode::<Self, T>(value, limits, out)
    }

    fn decode(payload: Bytes, budget: &Budget) -> Result<T> {
        with_whole_room(budget, || {
            let mut decoder = postcard::Deserializer::from_bytes(&payload);
            let value = budget.deserialize(&mut decoder);
            let left = decoder.finalize().map_err(|cause| budget.error(NAME, cause))?;
            match value {
                Ok(value) => {
                    budget.check_all_used(NAME, left.len())?;
                    Ok(value)
                }
                Err(cause) => {
                    let byte = payload.len().saturating_sub(left.len());
                    Err(budget.error(NAME, Unread { cause, byte }))
                }
            }
        })
    }

    fn check() -> Result<()> {
        carry::check::<Self, T>()
    }

    fn check_read() -> Result<()> {
        carry::check::<Self, T>()
    }

    fn outline() -> Option<Outline> {
        carry::outline::<Self, T>()
    }

    fn alternatives() -> Vec<Codec<T>> {
        T::tongues()
    }
}

impl<T: Serialize + DeserializeOwned> Carrier<T> for Postcard {
    const ENCODING: Encoding = Encoding::Binary;
    const LAYOUT: Layout = Layout::Positional;

    fn verdicts() -> &'static Verdicts {
        &VERDICTS
    }

    #[inline]
    fn write(value: &T, limits: &Limits, out: &mut BytesMut) -> Result<Written<()>, Refusal> {
        encoding::encode::<Positional, _, _, _>(NAME, limits, value, |value| {
            postcard::serialize_with_flavor(value, Appender(out))
        })
    }
}

/// Why a payload was not read, and how far it had been.
#[derive(Debug)]
struct Unread {
    cause: postcard::Error,
    byte: usize,
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.cause, self.byte)
    }
}

impl std::error::Error for Unread {}

struct Appender<'o>(&'o mut BytesMut);

impl Flavor for Appender<'_> {
    type Output = ();

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

static VERDICTS: Verdicts = Verdicts::new();

const NAME: &str = "postcard";
