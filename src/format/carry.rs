//! Whether a format of serde carries a value: what is read is what was written, or nothing is sent.
//!
//! A derived `Serialize` and `Deserialize` are two pieces of code, and an attribute may change one
//! of them alone: a field that is skipped on one side, a variant with another number, another name.
//! In a format without names the next value is then read in the place of the missing one, and a
//! handler runs with it. So a type is *tried*, once in a process: the samples that its shape is
//! made of are written, read again, and compared by what serde sees of them (`likeness`). What
//! comes of it is its [`Verdict`]:
//!
//! - *carried*: whatever is written of it is sent as it is.
//! - *refused*: no command with it can be registered. Some values may be good all the same, as
//!   those of an enum before the variant that is skipped, so each is read again before it is sent.
//! - *unseen*: there are parts that cannot be traced. What cannot be traced is allowed; in a
//!   positional format each value is read again, and refused if it is another one then. If it
//!   cannot be read at all, the peer will say so, or its type is not this one's.
//!
//! It is a guess from samples: a type that goes well with each variant, and with something and
//! nothing in each option, sequence and map, is taken to go well with all their combinations.
//! What depends on the value alone is heard while it is written (`encoding`): doubtful values are
//! read again too.

mod likeness;
mod reasons;
mod verdicts;

use std::any::type_name;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ::bytes::{Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;
use switchboard_shape::{Encoding, Layout, Shape};

use self::likeness::Likeness;
pub(super) use self::verdicts::Verdicts;
use self::verdicts::{Found, Verdict};
use super::budget::Budget;
use super::encoding::{Careful, Refusal, Written, encode as guarded, no_form};
use super::stack::with_type_room;
use super::{Format, Outline};
use crate::error::{Code, Error, Result};
use crate::limits::Limits;

/// A format that writes a `T` by serde.
pub(super) trait Carrier<T>: Format<T> {
    /// Whether types are asked for their form for people.
    const ENCODING: Encoding;

    /// How parts are told apart.
    const LAYOUT: Layout;

    /// What was found of all types in this format.
    fn verdicts() -> &'static Verdicts;

    /// Reads a value, without a look at what is known of its type.
    fn read(payload: Bytes, budget: &Budget) -> Result<T> {
        Self::decode(payload, budget)
    }

    /// Writes a value, in the same way.
    fn write(value: &T, limits: &Limits, out: &mut BytesMut) -> Result<Written<()>, Refusal>;
}

/// Writes a value that will be read as it was.
#[inline]
pub(super) fn encode<F: Carrier<T>, T: Serialize + DeserializeOwned>(
    value: &T,
    limits: &Limits,
    out: &mut BytesMut,
) -> Result<()> {
    let before_bytes = out.len();
    let Written { is_doubtful, .. } = F::write(value, limits, out)?;
    if !is_doubtful && F::verdicts().is_carried(find::<F, T>) {
        return Ok(());
    }
    check_value::<F, T>(value, limits, out.get(before_bytes..).unwrap_or_default(), is_doubtful)
}

/// Whether the type is carried.
pub(super) fn check<F: Carrier<T>, T: Serialize + DeserializeOwned>() -> Result<()> {
    match &F::verdicts().of(find::<F, T>).verdict {
        Verdict::Refused(why) => {
            let text = format!("`{}` has no form in {}: {why}", type_name::<T>(), F::NAME);
            Err(Error::local(Code::Failed, text))
        }
        Verdict::Carried | Verdict::Unseen => Ok(()),
    }
}

/// Refuses a value that is not read as it was.
#[cold]
#[inline(never)]
fn check_value<F: Carrier<T>, T: Serialize + DeserializeOwned>(
    value: &T,
    limits: &Limits,
    payload: &[u8],
    is_doubtful: bool,
) -> Result<()> {
    let verdict = &F::verdicts().of(find::<F, T>).verdict;
    let is_trusted = match verdict {
        Verdict::Carried => true,
        Verdict::Refused(_) => false,
        Verdict::Unseen => F::LAYOUT != Layout::Positional,
    };
    if is_trusted && !is_doubtful {
        return Ok(());
    }
    let payload = Bytes::copy_from_slice(payload);
    // A type that panics when it is read panics where it is received.
    let compared = caught::<T, _>(|| compare::<F, T>(value, limits, payload));
    match (compared.unwrap_or(Compared::Unreadable), verdict) {
        (Compared::Alike, _) | (Compared::Unreadable, Verdict::Unseen) => Ok(()),
        (_, Verdict::Refused(why)) => Err(no_form(F::NAME, why)),
        _ if is_doubtful => Err(no_form(F::NAME, DOUBTFUL)),
        _ => Err(no_form(F::NAME, OTHER)),
    }
}

/// What comes of a value that was written.
enum Compared {
    Alike,
    Other,
    Unreadable,
}

fn compare<F: Carrier<T>, T: Serialize + DeserializeOwned>(
    value: &T,
    limits: &Limits,
    payload: Bytes,
) -> Compared {
    let budget = Budget::new(limits, payload.len());
    match F::read(payload, &budget) {
        Ok(back) if is_alike::<F, T>(value, &back) => Compared::Alike,
        Ok(_) => Compared::Other,
        // It goes over a limit of ours: others may have others.
        Err(error) if error.code() == Code::TooLarge => Compared::Alike,
        Err(_) => Compared::Unreadable,
    }
}

fn is_alike<F: Carrier<T>, T: Serialize>(one: &T, other: &T) -> bool {
    let likeness = Likeness { is_human_readable: F::ENCODING == Encoding::Text };
    let limits = Limits::default().with(|limits| limits.depth_max = Limits::DEPTH_MOST);
    let number = |value| {
        let made = guarded::<Careful, _, _, _>(F::NAME, &limits, value, |value: &_| {
            Serialize::serialize(value, likeness)
        });
        made.map(|written| written.made).ok()
    };
    let of_one = number(one);
    // What is not written alike twice says nothing.
    of_one == number(other) || of_one != number(one)
}

/// The shape of a type, if errors tell the place and it can be traced.
#[cfg(feature = "json")]
pub(super) fn shape<F: Carrier<T>, T: Serialize + DeserializeOwned>() -> Option<&'static Shape> {
    F::verdicts().of(find::<F, T>).shape.as_ref()
}

/// What a type looks like. Its shape is kept where errors tell the place, or else found again.
pub(super) fn outline<F: Carrier<T>, T: Serialize + DeserializeOwned>() -> Option<Outline> {
    match &F::verdicts().of(find::<F, T>).shape {
        Some(shape) => Some(Outline { shape: shape.clone(), layout: F::LAYOUT }),
        None => Outline::of::<T>(F::ENCODING, F::LAYOUT),
    }
}

/// Tries a type. Its own code runs, which is not trusted where others are served.
fn find<F: Carrier<T>, T: Serialize + DeserializeOwned>() -> Found {
    caught::<T, _>(try_samples::<F, T>).unwrap_or(Found::UNSEEN)
}

/// Runs code of a `T`; `None` if it panics. What it panicked with may panic once more when it is
/// dropped, and is forgotten then.
fn caught<T, R>(work: impl FnOnce() -> R) -> Option<R> {
    let result = catch_unwind(AssertUnwindSafe(|| with_type_room::<T, _>(work)));
    result
        .map_err(|payload| {
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
                std::mem::forget(payload);
            }
        })
        .ok()
}

fn try_samples<F: Carrier<T>, T: Serialize + DeserializeOwned>() -> Found {
    let limits = Limits::default();
    let (mut flaw, mut has_samples) = (None, false);
    let shape = Shape::of_samples::<T>(F::ENCODING, |sample| {
        has_samples = true;
        if flaw.is_none() {
            flaw = flaw_of::<F, T>(sample, &limits);
        }
    });
    let why = reasons::missing(&shape, F::LAYOUT).or_else(|| match flaw? {
        Flaw::Told(why) => Some(why),
        Flaw::Found(why) => {
            reasons::difference::<T>(F::ENCODING, F::LAYOUT).or_else(|| Some(why.to_owned()))
        }
    });
    let verdict = match why {
        Some(why) => Verdict::Refused(why.into()),
        None if !has_samples || reasons::has_unknown(&shape) => Verdict::Unseen,
        None => Verdict::Carried,
    };
    Found { verdict, shape: (F::LAYOUT == Layout::Named).then_some(shape) }
}

/// What is wrong with a type, by one of its samples.
enum Flaw {
    /// The reason is known.
    Told(String),
    /// All that is known.
    Found(&'static str),
}

/// What is wrong with the type of a sample. A value that is refused when it is written is no flaw:
/// nothing is sent of it.
fn flaw_of<F: Carrier<T>, T: Serialize + DeserializeOwned>(
    sample: &T,
    limits: &Limits,
) -> Option<Flaw> {
    let mut out = BytesMut::new();
    match F::write(sample, limits, &mut out) {
        Ok(Written { is_doubtful: false, .. }) => {
            match compare::<F, T>(sample, limits, out.freeze()) {
                Compared::Alike => None,
                Compared::Other => Some(Flaw::Found(OTHER)),
                Compared::Unreadable => Some(Flaw::Found(UNREADABLE)),
            }
        }
        Ok(_) => None,
        Err(Refusal { flaw, .. }) => {
            flaw.filter(|flaw| flaw.is_of_type()).map(|flaw| Flaw::Told(flaw.to_string()))
        }
    }
}

const OTHER: &str = "what is written is read as something else";

const UNREADABLE: &str = "what is written cannot be read";

const DOUBTFUL: &str = "an option around nothing (`Some(None)`, `Some(())`) or an integer of 128 \
                        bits in it would be read as something else";
