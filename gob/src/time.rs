//! Go's `time.Time`.
//!
//! Go has it make its bytes itself, with `MarshalBinary`. All numbers are big-endian:
//!
//! ```text
//! byte  0       version: 1, or 2 if the offset is not of whole minutes
//!       1 to 8  seconds since 1 January of year 1, UTC; signed
//!       9 to 12 nanoseconds
//!      13, 14   offset in minutes, signed; -1 for UTC
//!      15       only in version 2: the offset's other seconds, signed
//! ```
//!
//! Go writes -59 to 59 into byte 15 and reads 0 to 255 out of it, up to Go 1.24 at least, so it
//! does not read what it has written of offsets to the west. We write 0 to 59, which it does read,
//! and read both.
//!
//! This is a point in time and an offset, and nothing more: no calendar but for its text in other
//! formats (`rfc3339`), no names of zones.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::de::value::SeqAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, SeqAccess, Unexpected, Visitor};
use serde::ser::{Error as _, Serialize, Serializer};

use crate::error::{Error, ErrorKind, Result};
use crate::rfc3339;
use crate::special::serialize_opaque;

/// Go's `time.Time`: a point in time, to the nanosecond, and the offset of the zone it is told in.
///
/// Two are equal if their offsets are as well, like with Go's `==`. A [`SystemTime`] becomes one
/// in UTC.
///
/// In formats for human readers it is text as in RFC 3339, such as `2001-09-09T03:46:40+02:00`. A
/// time that this cannot tell exactly is an error there: one in a year before 0 or after 9999, or
/// with an offset that is a day or more or of other than whole minutes. In other formats it is
/// bytes, the same as in gob.
///
/// ```
/// use std::time::{Duration, SystemTime};
///
/// use switchboard_gob::{Time, from_slice, to_vec};
///
/// // Go: time.Unix(1_000_000_000, 5).In(time.FixedZone("", 7200))
/// let time = Time::new(1_000_000_000, 5, Some(7_200))?;
/// assert_eq!(from_slice::<Time>(&to_vec(&time)?)?, time);
///
/// let since_epoch = SystemTime::try_from(time)?.duration_since(SystemTime::UNIX_EPOCH)?;
/// assert_eq!(since_epoch, Duration::new(1_000_000_000, 5));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Time {
    seconds: i64,
    nanoseconds: u32,
    offset_seconds: Option<i32>,
}

const NAME: &str = "$gob:gob:Time";

/// From year 1, where Go begins to count, to 1970.
const EPOCH_SECONDS: i64 = 62_135_596_800;

const SECONDS_MAX: i64 = i64::MAX - EPOCH_SECONDS;

/// Says that the time is in UTC; no other offset is written like this.
const UTC_MINUTES: i16 = -1;

impl Time {
    /// Go's `time.Time{}`: the beginning of year 1, UTC. It is what a field becomes that Go has
    /// left out.
    pub const ZERO: Self = Self { seconds: -EPOCH_SECONDS, nanoseconds: 0, offset_seconds: None };

    /// The time `seconds` and then `nanoseconds` after the Unix epoch, told in a zone that is
    /// `offset_seconds` east of UTC, or in UTC itself.
    ///
    /// # Errors
    ///
    /// `Unsupported` for what has no form in gob: a time over 292 billion years after the epoch, a
    /// billion nanoseconds or more, an offset of over 32,767 minutes (22 days), and one of 60
    /// seconds to the west, which would be taken for UTC.
    pub fn new(seconds: i64, nanoseconds: u32, offset_seconds: Option<i32>) -> Result<Self> {
        let refuse = |what: String| Err(Error::unsupported(format!("a time with {what}")));
        if seconds > SECONDS_MAX {
            return refuse(format!("{seconds} seconds, over {SECONDS_MAX}"));
        }
        if nanoseconds >= 1_000_000_000 {
            return refuse(format!("{nanoseconds} nanoseconds, a second or more"));
        }
        match offset_seconds {
            Some(offset) if split(offset).is_none() => {
                refuse(format!("an offset of {offset} seconds, which has no form in gob"))
            }
            _ => Ok(Self { seconds, nanoseconds, offset_seconds }),
        }
    }

    /// Whole seconds since the Unix epoch; before it they are negative.
    #[must_use]
    pub fn unix_seconds(&self) -> i64 {
        self.seconds
    }

    /// Nanoseconds after the [seconds](Self::unix_seconds), less than a billion.
    #[must_use]
    pub fn nanoseconds(&self) -> u32 {
        self.nanoseconds
    }

    /// Seconds by which the zone is east of UTC; `None` for UTC itself.
    #[must_use]
    pub fn offset_seconds(&self) -> Option<i32> {
        self.offset_seconds
    }

    /// The bytes that Go's `MarshalBinary` makes of it, and `UnmarshalBinary` reads: 15, or 16 if
    /// the offset is not of whole minutes.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        let offset = self.offset_seconds.and_then(split);
        let (minutes, seconds) = offset.unwrap_or((UTC_MINUTES, 0));
        let mut bytes = vec![if seconds == 0 { 1 } else { 2 }];
        bytes.extend(self.seconds.saturating_add(EPOCH_SECONDS).to_be_bytes());
        bytes.extend(self.nanoseconds.to_be_bytes());
        bytes.extend(minutes.to_be_bytes());
        if seconds != 0 {
            bytes.push(seconds);
        }
        bytes
    }

    /// The time that Go's `MarshalBinary` made these bytes of. In a [`Value`](crate::Value), which
    /// does not know what a type is, a time is such bytes.
    ///
    /// # Errors
    ///
    /// `Malformed` if the bytes are no time, `Unsupported` if it is one that [`new`](Self::new)
    /// refuses.
    ///
    /// ```
    /// use switchboard_gob::{Decoder, Time, Value, to_vec};
    ///
    /// let time = Time::new(1_000_000_000, 5, Some(7_200))?;
    /// let mut decoder = Decoder::new();
    /// decoder.push(&to_vec(&time)?)?;
    /// let Value::Opaque(bytes) = decoder.decode()? else { panic!("a time is opaque") };
    /// assert_eq!(bytes, time.to_bytes());
    /// assert_eq!(Time::from_bytes(&bytes)?, time);
    /// # Ok::<(), switchboard_gob::Error>(())
    /// ```
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let malformed = || Error::new(ErrorKind::Malformed, "bytes that are no time");
        let (last, bytes) = match bytes.split_first() {
            Some((1, bytes)) => (0, bytes),
            Some((2, [bytes @ .., last])) => (i8::from_be_bytes([*last]), bytes),
            _ => return Err(malformed()),
        };
        let (seconds, bytes) = bytes.split_first_chunk().ok_or_else(malformed)?;
        let (nanoseconds, bytes) = bytes.split_first_chunk().ok_or_else(malformed)?;
        let minutes = i16::from_be_bytes(bytes.try_into().map_err(|_| malformed())?);
        let seconds = i64::from_be_bytes(*seconds).checked_sub(EPOCH_SECONDS);
        let offset = i32::from(minutes).saturating_mul(60).saturating_add(last.into());
        let offset = if minutes == UTC_MINUTES && last == 0 { None } else { Some(offset) };
        Self::new(seconds.ok_or_else(malformed)?, u32::from_be_bytes(*nanoseconds), offset)
    }
}

/// An offset in minutes and 0 to 59 seconds, unless it has no form in gob.
fn split(offset_seconds: i32) -> Option<(i16, u8)> {
    let minutes = i16::try_from(offset_seconds.div_euclid(60)).ok()?;
    let seconds = u8::try_from(offset_seconds.rem_euclid(60)).ok()?;
    Some((minutes, seconds)).filter(|parts| *parts != (UTC_MINUTES, 0))
}

impl Default for Time {
    fn default() -> Self {
        Self::ZERO
    }
}

/// In UTC; a time over 292 billion years after the epoch becomes the last one there is.
impl From<SystemTime> for Time {
    fn from(time: SystemTime) -> Self {
        let signed = |seconds| i64::try_from(seconds).unwrap_or(i64::MAX);
        let (seconds, nanoseconds) = match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => (signed(after.as_secs()), after.subsec_nanos()),
            Err(error) => {
                let before = error.duration();
                let seconds = signed(before.as_secs()).saturating_neg();
                match before.subsec_nanos() {
                    0 => (seconds, 0),
                    nanoseconds => {
                        (seconds.saturating_sub(1), 1_000_000_000_u32.saturating_sub(nanoseconds))
                    }
                }
            }
        };
        Self { seconds: seconds.min(SECONDS_MAX), nanoseconds, offset_seconds: None }
    }
}

/// # Errors
///
/// `Mismatch` if this system cannot tell the time, which is too far away.
impl TryFrom<Time> for SystemTime {
    type Error = Error;

    fn try_from(time: Time) -> Result<Self> {
        let seconds = Duration::from_secs(time.seconds.unsigned_abs());
        let whole = match time.seconds {
            0.. => Self::UNIX_EPOCH.checked_add(seconds),
            _ => Self::UNIX_EPOCH.checked_sub(seconds),
        };
        let nanoseconds = Duration::from_nanos(time.nanoseconds.into());
        whole.and_then(|whole| whole.checked_add(nanoseconds)).ok_or_else(|| {
            let text = format!("{} seconds from the epoch are too many here", time.seconds);
            Error::new(ErrorKind::Mismatch, text)
        })
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return serialize_opaque(NAME, &self.to_bytes(), serializer);
        }
        let text = rfc3339::print(self.seconds, self.nanoseconds, self.offset_seconds);
        let refused = || S::Error::custom("a time that has no exact text in RFC 3339");
        serializer.serialize_str(&text.ok_or_else(refused)?)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(NAME, TimeVisitor { is_zero_empty: true })
    }
}

/// Go has no time of no bytes, and leaves out a field that is zero. The decoder then hands out no
/// bytes in place of the newtype, and nothing else does.
struct TimeVisitor {
    is_zero_empty: bool,
}

impl<'de> Visitor<'de> for TimeVisitor {
    type Value = Time;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time as in RFC 3339, or its bytes")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, content: D) -> Result<Time, D::Error> {
        // Content that serde keeps for a flattened field says that it is for human readers, and is
        // not: so bytes may come where text is asked for.
        match content.is_human_readable() {
            true => content.deserialize_str(self),
            false => content.deserialize_byte_buf(Self { is_zero_empty: false }),
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Time, E> {
        let refused = || E::invalid_value(Unexpected::Str(text), &self);
        let (seconds, nanoseconds, offset) = rfc3339::parse(text).ok_or_else(refused)?;
        Time::new(seconds, nanoseconds, offset).map_err(|error| E::custom(error.text()))
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Time, E> {
        if self.is_zero_empty && bytes.is_empty() {
            return Ok(Time::ZERO);
        }
        Time::from_bytes(bytes).map_err(|error| E::custom(error.text()))
    }

    // Formats without bytes of their own.
    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<Time, A::Error> {
        let bytes: Vec<u8> = Deserialize::deserialize(SeqAccessDeserializer::new(elements))?;
        self.visit_bytes(&bytes)
    }
}

#[cfg(test)]
mod tests;
