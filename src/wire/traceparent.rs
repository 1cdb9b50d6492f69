//! The place of a call in a trace, as the W3C writes it.
//!
//! ```text
//! 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
//! version       the trace                the parent    flags
//! ```
//!
//! It is read strictly: small letters, no id of zeros, version `ff` never. A higher version may say
//! more behind the flags. That is kept and printed as it came, but a [child](Traceparent::child)
//! says only what is known here, in version `00`. (<https://www.w3.org/TR/trace-context/>)

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::num::{NonZeroU64, NonZeroU128};
use std::str::FromStr;

use crate::error::{Code, Error, Result};

/// A W3C traceparent: which trace a call belongs to, and which span in it is its parent.
///
/// A caller begins one by [`begin`](Self::begin) and gives it to
/// [`Call::trace`](crate::Call::trace). All calls that come of it go on in the same trace.
///
/// ```
/// use switchboard::Traceparent;
///
/// # fn main() -> switchboard::Result<()> {
/// let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let parent: Traceparent = text.parse()?;
/// assert_eq!(parent.to_string(), text);
/// assert_eq!(parent.parent_id(), 0xb7ad6b7169203331);
///
/// let child = parent.child();
/// assert_eq!(child.trace_id(), parent.trace_id());
/// assert_ne!(child.parent_id(), parent.parent_id());
/// assert!(child.is_sampled());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Traceparent {
    trace_id: NonZeroU128,
    parent_id: NonZeroU64,
    flags: u8,
    version: u8,
    // What a higher version says behind the flags, with the `-` in front.
    more: Option<Box<str>>,
}

impl Traceparent {
    /// The longest that is taken, in bytes. One of version `00` has 55.
    pub const BYTES_MAX: usize = 128;

    /// A new trace, which is sampled: who records traces is asked to record this one. Its ids are
    /// random.
    #[must_use]
    pub fn begin() -> Self {
        let (high, low) = (u128::from(random().get()) << 64, u128::from(random().get()));
        // Neither half is zero.
        let trace_id = NonZeroU128::new(high | low).unwrap_or(NonZeroU128::MIN);
        Self::of_known(trace_id, random(), SAMPLED)
    }

    /// The same with `is_sampled` in the place of what there was.
    ///
    /// ```
    /// use switchboard::Traceparent;
    ///
    /// assert!(!Traceparent::begin().sampled(false).child().is_sampled());
    /// ```
    #[must_use]
    pub fn sampled(mut self, is_sampled: bool) -> Self {
        self.flags = if is_sampled { self.flags | SAMPLED } else { self.flags & !SAMPLED };
        self
    }

    /// The same trace with a new, random parent: for what a span of this program causes.
    #[must_use]
    pub fn child(&self) -> Self {
        Self::of_known(self.trace_id, random(), self.flags & FLAGS_KNOWN)
    }

    /// One of version `00`.
    pub(crate) const fn of_known(trace_id: NonZeroU128, parent_id: NonZeroU64, flags: u8) -> Self {
        Self { trace_id, parent_id, flags, version: 0, more: None }
    }

    /// What these bytes say, if they are a traceparent.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (known, more) = text.split_at_checked(KNOWN_BYTES)?;
        let mut parts = known.split(|byte| *byte == b'-');
        let mut next = |len: usize| hex(parts.next().filter(|part| part.len() == len)?);
        let version = u8::try_from(next(2)?).ok()?;
        let trace_id = NonZeroU128::new(next(32)?)?;
        let parent_id = NonZeroU64::new(u64::try_from(next(16)?).ok()?)?;
        let flags = u8::try_from(next(2)?).ok()?;
        let is_more = match version {
            0 => more.is_empty(),
            u8::MAX => false,
            _ => more.is_empty() || more.starts_with(b"-"),
        };
        let is_word = more.iter().all(u8::is_ascii_graphic);
        if !is_more || !is_word || text.len() > Self::BYTES_MAX {
            return None;
        }
        let more = std::str::from_utf8(more).ok().filter(|more| !more.is_empty());
        Some(Self { trace_id, parent_id, flags, version, more: more.map(Into::into) })
    }

    /// The trace, as a number. It is written in 32 hexadecimal digits: `{:032x}`.
    #[must_use]
    pub const fn trace_id(&self) -> u128 {
        self.trace_id.get()
    }

    /// The span that caused the call, as a number. It is written in 16 hexadecimal digits:
    /// `{:016x}`.
    #[must_use]
    pub const fn parent_id(&self) -> u64 {
        self.parent_id.get()
    }

    /// Whether the caller may have recorded its part of the trace.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The ids and the flags, which are all that goes on in a child.
    #[cfg(feature = "io")]
    pub(crate) const fn known(&self) -> (NonZeroU128, NonZeroU64, u8) {
        (self.trace_id, self.parent_id, self.flags & FLAGS_KNOWN)
    }
}

/// # Errors
///
/// `invalid` if it is no traceparent.
impl FromStr for Traceparent {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text.as_bytes()).ok_or_else(|| {
            let text = "a traceparent is VERSION-TRACE-PARENT-FLAGS, in 2, 32, 16 and 2 digits of \
                        0 to 9 and a to f, and neither id is zero";
            Error::found(Code::Invalid, text)
        })
    }
}

impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trace_id, parent_id, flags, version, more } = self;
        write!(f, "{version:02x}-{trace_id:032x}-{parent_id:016x}-{flags:02x}")?;
        f.write_str(more.as_deref().unwrap_or_default())
    }
}

impl fmt::Debug for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Traceparent({self})")
    }
}

/// A number that nobody can guess from others. Each state has other keys, made of random ones.
pub(crate) fn random() -> NonZeroU64 {
    loop {
        if let Some(number) = NonZeroU64::new(RandomState::new().build_hasher().finish()) {
            return number;
        }
    }
}

/// A number in hexadecimal digits, of which there are at most 32.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0_u128, |number, byte| {
        let digit = char::from(*byte).to_digit(16).filter(|_| !byte.is_ascii_uppercase())?;
        Some((number << 4) | u128::from(digit))
    })
}

/// Bytes of version `00`, and what every higher version begins with.
const KNOWN_BYTES: usize = 55;

const SAMPLED: u8 = 0b01;

/// `sampled`, and `random` of level 2. All others are not passed on, as they may come to mean
/// something that is not so.
const FLAGS_KNOWN: u8 = 0b11;

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const PARENT: &str = "b7ad6b7169203331";

    #[test]
    fn what_is_good_is_printed_as_it_came() {
        #[track_caller]
        fn check(text: &str, is_sampled: bool) {
            let read = Traceparent::parse(text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(read.to_string(), text);
            assert_eq!(read.is_sampled(), is_sampled, "{text}");
            let child = read.child();
            let child = child.to_string();
            assert_eq!(child.get(..36), Some(format!("00-{}-", &text[3..35]).as_str()), "{text}");
            assert_ne!(child.get(36..52), text.get(36..52), "{text}");
            assert!(child.ends_with(if is_sampled { "1" } else { "0" }), "{text}: {child}");
            assert_eq!(child.len(), KNOWN_BYTES);
        }
        check(&format!("00-{TRACE}-{PARENT}-01"), true);
        check(&format!("00-{TRACE}-{PARENT}-00"), false);
        // Flags that mean nothing yet.
        check(&format!("00-{TRACE}-{PARENT}-f9"), true);
        check(&format!("00-{TRACE}-{PARENT}-fc"), false);
        check(&format!("00-{}1-{}1-01", "0".repeat(31), "0".repeat(15)), true);
        check(&format!("00-{}-{}-01", "f".repeat(32), "f".repeat(16)), true);
        // Higher versions.
        check(&format!("01-{TRACE}-{PARENT}-01"), true);
        check(&format!("fe-{TRACE}-{PARENT}-01-"), true);
        check(&format!("cc-{TRACE}-{PARENT}-01-what=the-future~brings"), true);
        check(&format!("cc-{TRACE}-{PARENT}-00-{}", "x".repeat(72)), false);
    }

    #[test]
    fn what_is_bad_is_none() {
        #[track_caller]
        fn check(text: &str) {
            assert_eq!(Traceparent::parse(text.as_bytes()), None, "{text}");
            assert_eq!(text.parse::<Traceparent>().unwrap_err().code(), Code::Invalid);
        }
        for text in ["", "x", "-", "---", "00", "00-1", "00-ab-cd-01", "\u{e9}"] {
            check(text);
        }
        check(&format!("00-{}-{PARENT}-01", "0".repeat(32)));
        check(&format!("00-{TRACE}-{}-01", "0".repeat(16)));
        check(&format!("ff-{TRACE}-{PARENT}-01"));
        check(&format!("ff-{TRACE}-{PARENT}-01-x"));
        check(&format!("00-{TRACE}-{PARENT}-0"));
        check(&format!("00-{TRACE}-{PARENT}-01-"));
        check(&format!("00-{TRACE}-{PARENT}-01-x"));
        check(&format!("00-{TRACE}-{PARENT}-011"));
        check(&format!("cc-{TRACE}-{PARENT}-01x"));
        check(&format!("cc-{TRACE}-{PARENT}-01.x"));
        check(&format!("cc-{TRACE}-{PARENT}-01-x y"));
        check(&format!("cc-{TRACE}-{PARENT}-01-\u{e9}"));
        check(&format!("cc-{TRACE}-{PARENT}-01-{}", "x".repeat(73)));
        check(&format!("00-{}-{PARENT}-01", TRACE.to_uppercase()));
        check(&format!("00-{TRACE}-{}-01", PARENT.to_uppercase()));
        check(&format!("0A-{TRACE}-{PARENT}-01"));
        check(&format!("00-{TRACE}-{PARENT}-0A"));
        check(&format!("0x-{TRACE}-{PARENT}-01"));
        check(&format!("00-{}-{PARENT}-01", TRACE.replace('a', "g")));
        check(&format!("00-+{}-{PARENT}-01", &TRACE[1..]));
        check(&format!(" 00-{TRACE}-{PARENT}-01"));
        check(&format!("00-{TRACE}-{PARENT}-01 "));
        check(&format!("00_{TRACE}_{PARENT}_01"));
        // As long as a good one, and cut in other places.
        check(&format!("000-{}-{PARENT}-01", &TRACE[1..]));
        check(&format!("00-{TRACE}0-{}-01", &PARENT[1..]));
        check(&format!("00-{TRACE}-{PARENT}0-1"));
        check(&format!("0-0{TRACE}-{PARENT}-01"));
        check(&format!("00-{}--{}-01", &TRACE[1..], PARENT));
    }

    #[test]
    fn ids_are_new_each_time() {
        let mut ids: Vec<_> = (0..1000).map(|_| random()).collect();
        ids.extend((0..10).flat_map(|_| {
            let ids = std::thread::spawn(|| (0..100).map(|_| random()).collect::<Vec<_>>());
            ids.join().unwrap()
        }));
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 2000);
        let (one, other) = (Traceparent::begin(), Traceparent::begin());
        assert_ne!(one.trace_id(), other.trace_id());
        assert!(one.is_sampled());
        assert_eq!(Traceparent::parse(one.to_string().as_bytes()), Some(one));
    }
}
