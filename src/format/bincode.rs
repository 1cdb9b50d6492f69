//! bincode 2 in its standard configuration, and the only file that knows the crate.
//!
//! The layout is frozen: little-endian varints, zigzag for signed integers, `u32` varint variants,
//! no field names, no type tags. `docs/PROTOCOL.md` specifies it, `tests/data/golden/bincode.txt`
//! has bytes for each shape, and `tests/apart/layout.rs` has a second implementation read them, so
//! that the crate, which is no longer maintained, can be replaced without breaking a peer.
//!
//! A bare bincode decode is unsafe on what a peer sends: it reserves whatever length is claimed,
//! follows any nesting and takes trailing bytes. Its own `with_limit` helps against the first alone
//! and costs more than the guard does, so it is not used.

use std::marker::PhantomData;
use std::ops::Deref;

use ::bytes::{Bytes, BytesMut};
use bincode::config;
use bincode::enc::write::Writer;
use bincode::error::EncodeError;
use serde::de::{Deserialize, DeserializeOwned, DeserializeSeed, Deserializer};
use serde::ser::Serialize;
use switchboard_shape::{Encoding, Layout};

use super::budget::Budget;
use super::carry::{self, Carrier, Verdicts};
use super::encoding::{self, Positional, Refusal, Written};
use super::guard::{self, Account};
use super::stack::with_whole_room;
use super::{Codec, Format, Framing, Outline, Tongues};
use crate::error::Result;
use crate::limits::Limits;

/// The format of everything that is `Serialize + DeserializeOwned`, in the standard configuration
/// of bincode 2: small and fast, but both sides must know the type.
///
/// It has no names and no types in it: what stands in the place of a value is read as that value.
/// Types that need to see what comes (`#[serde(untagged)]`, `tag`, `flatten`), and those that write
/// other fields or variants than they read (`skip_serializing`, `skip_deserializing`), have no form
/// in it: no command with them can be registered, and none of their values is sent that would be
/// read as another one. A field that `skip_serializing_if` leaves out is refused when it is left
/// out. What cannot be traced is allowed, and each value of it is read again before it is sent.
///
/// ```
/// use bytes::BytesMut;
/// use switchboard::Limits;
/// use switchboard::format::{Bincode, Budget, Format};
///
/// let mut out = BytesMut::new();
/// Bincode::encode(&("Ada".to_owned(), -1i64), &Limits::default(), &mut out)?;
/// assert_eq!(out, b"\x03Ada\x01"[..]);
///
/// let budget = Budget::new(&Limits::default(), out.len());
/// let value: (String, i64) = Bincode::decode(out.freeze(), &budget)?;
/// assert_eq!(value, ("Ada".to_owned(), -1));
/// # Ok::<(), switchboard::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "it is a name and has no values")]
pub enum Bincode {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Format<T> for Bincode {
    const NAME: &'static str = NAME;
    const FRAMING: Framing = Framing::Counted;

    #[inline]
    fn encode(value: &T, limits: &Limits, out: &mut BytesMut) -> Result<()> {
        carry::encode::<Self, T>(value, limits, out)
    }

    #[inline]
    fn decode(payload: Bytes, budget: &Budget) -> Result<T> {
        with_whole_room(budget, || {
            let seed = Guarded { budget, value: PhantomData };
            let config = config::standard();
            let decoded = bincode::serde::seed_decode_from_slice(seed, &payload, config);
            let (value, used_bytes) = decoded.map_err(|cause| budget.error(NAME, cause))?;
            budget.check_all_used(NAME, payload.len().saturating_sub(used_bytes))?;
            Ok(value)
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

impl<T: Serialize + DeserializeOwned> Carrier<T> for Bincode {
    const ENCODING: Encoding = Encoding::Binary;
    const LAYOUT: Layout = Layout::Positional;

    fn verdicts() -> &'static Verdicts {
        &VERDICTS
    }

    #[inline]
    fn write(value: &T, limits: &Limits, out: &mut BytesMut) -> Result<Written<()>, Refusal> {
        encoding::encode::<Positional, _, _, _>(NAME, limits, value, |value| {
            bincode::serde::encode_into_writer(value, Appender(out), config::standard())
        })
    }
}

/// A `T` decoded within a budget, as a seed: bincode tells only seeds how much they have used.
struct Guarded<'b, T> {
    budget: &'b Budget,
    value: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Guarded<'_, T> {
    type Value = T;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        guard::deserialize(deserializer, TextAsBytes(self.budget))
    }
}

/// A budget for this format, which has text and byte strings in one form and lends both.
#[derive(Clone, Copy)]
struct TextAsBytes<'b>(&'b Budget);

impl Account for TextAsBytes<'_> {
    const IS_TEXT_READ_AS_BYTES: bool = true;
}

impl Deref for TextAsBytes<'_> {
    type Target = Budget;

    #[inline]
    fn deref(&self) -> &Budget {
        self.0
    }
}

struct Appender<'o>(&'o mut BytesMut);

impl Writer for Appender<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

static VERDICTS: Verdicts = Verdicts::new();

const NAME: &str = "bincode";
