//! Room on the stack for what is decoded and encoded, whatever types a program has.
//!
//! A value is made on the stack before it goes where it belongs, and serde's derived code moves it
//! several times on its way. So a level of nesting takes a few times the size of its type, and a
//! peer says how many levels there are. This file asks for room before each step, and gives the
//! step a new stack where there is too little. It is not the limit on depth: that is `budget`'s.
//!
//! How much a step needs is `UNSEEN_BYTES` and [`COPIES`] times the size of what it makes. The size
//! is known wherever the guard is called with a visitor or a seed. Measured per level, with derived
//! types of 1 to 128 KiB in all formats: up to 28 copies in an unoptimised build (JSON, a struct
//! with a field behind it), up to 7 in an optimised one.
//!
//! What is not seen is covered by `UNSEEN_BYTES`: the frames of formats, and values that lie behind
//! a pointer. A `Box<T>`, a `Vec<T>` or a map has frames with a `T` on them *before* it asks for
//! one, and shows nothing of `T` but a pointer. Measured in copies of a `T`, unoptimised: 3 (box),
//! 4 (vector), 12 (map); optimised: 0, 1, 4. A `T` of 64 KiB is within that room.
//!
//! Only steps that make something of [`LARGE_BYTES`] are looked at one by one, since looking costs
//! a nanosecond. Small ones are looked at where a type can come back to itself (some, sequence,
//! map, enum), for between two of these there is no more than the type itself has: small structs by
//! value within a small struct. Every eighth of those is looked at too. The step of a large value
//! is a function of its own, never inlined: a frame is taken when its function is entered, and so
//! must not be that of the code which looks.
//!
//! **Buffers.** `#[serde(untagged)]`, `tag` and `flatten` read a value into a buffer of serde's and
//! decode their type from that, without the guard and on the stack that they have. So when a buffer
//! is full, there must be room for as many levels as it has. If not, it is refused, and the formats
//! in which this can happen decode the payload once more, on a stack that is large enough. Measured
//! for each level: 22 copies, optimised 5. The largest type that was seen counts, for those within
//! the buffer are not seen.
//!
//! New pieces of stack are charged to the budget while they are in use, all but the first, which
//! stands for the stack that the thread lacks. All this holds for derived code and the types of
//! `std`. Code by hand may have any frames of its own.

mod account;

pub(super) use self::account::Account;

use std::any::type_name;

use serde::de;

use super::budget::{Budget, Passed, refuse};
#[cfg(any(feature = "bincode", feature = "gob", feature = "json", feature = "postcard"))]
use crate::error::{Code, Error, Result};

/// Runs `decode`, which is all that a format does to decode a `T`, where there is room for it: the
/// stack that it is called on has to hold little more than what it gives.
#[cfg(any(feature = "bincode", feature = "gob", feature = "json", feature = "postcard"))]
#[inline]
pub(super) fn with_whole_room<T>(budget: &Budget, decode: impl FnOnce() -> Result<T>) -> Result<T> {
    if size_of::<T>() < LARGE_BYTES { decode() } else { with_large_whole_room(budget, decode) }
}

#[cfg(any(feature = "bincode", feature = "gob", feature = "json", feature = "postcard"))]
#[inline(never)]
fn with_large_whole_room<T>(budget: &Budget, decode: impl FnOnce() -> Result<T>) -> Result<T> {
    // Once for the frames of the format, and once for what they will ask for.
    let bytes = size_of::<T>().saturating_mul(COPIES).saturating_mul(2);
    let bytes = bytes.saturating_add(UNSEEN_BYTES);
    if has_room(bytes) {
        return apart(decode);
    }
    budget.stack().is_on_new_stack.set(true);
    let decoded = grow(bytes.max(PIECE_BYTES_MIN), decode);
    budget.stack().is_on_new_stack.set(false);
    decoded.unwrap_or_else(|| Err(Error::local(Code::Failed, UNUSED)))
}

/// Runs `step`, which makes a whole value, where there is room for it.
#[inline]
pub(super) fn with_first_room<T, R, E: de::Error>(
    budget: &Budget,
    step: impl FnOnce() -> Result<R, E>,
) -> Result<R, E> {
    budget.stack().note_size(size_of::<T>());
    if size_of::<T>() >= LARGE_BYTES {
        return with_large_room::<T, _, _>(budget, step);
    }
    if has_room(UNSEEN_BYTES) { step() } else { on_new_stack(budget, UNSEEN_BYTES, step) }
}

/// Runs `step`, which makes a `T`, where there is room for it, if a `T` is large.
#[inline]
pub(super) fn with_room<T, R, E: de::Error>(
    budget: &Budget,
    step: impl FnOnce() -> Result<R, E>,
) -> Result<R, E> {
    if size_of::<T>() < LARGE_BYTES { step() } else { with_large_room::<T, _, _>(budget, step) }
}

/// Runs `step`, which looks inside a `T`, where there is room for what cannot be seen from there.
/// What is fixed lies within its struct or tuple. If a `T` is large, [`with_room`] was there.
#[inline]
pub(super) fn with_inner_room<T, const IS_FIXED: bool, R, E: de::Error>(
    budget: &Budget,
    step: impl FnOnce() -> Result<R, E>,
) -> Result<R, E> {
    let is_looked_at = !IS_FIXED || budget.depth_left().is_multiple_of(LEVELS_UNSEEN);
    if size_of::<T>() >= LARGE_BYTES || !is_looked_at || has_room(UNSEEN_BYTES) {
        return step();
    }
    on_new_stack(budget, UNSEEN_BYTES, step)
}

/// Whether a `T` is, or ends with, a buffer of serde's. They have no other mark than their name.
#[inline]
pub(super) fn is_buffer<T>() -> bool {
    let name = type_name::<T>();
    let name = name.strip_suffix(')').unwrap_or(name);
    // Older compilers leave lifetimes out.
    name.strip_suffix("<'_>").unwrap_or(name).ends_with("::Content")
}

/// Runs `step`, which fills a buffer for a `Target`, and refuses what there is no room to decode
/// from it.
pub(super) fn with_buffer<Target, R, E: de::Error>(
    budget: &Budget,
    step: impl FnOnce() -> Result<R, E>,
) -> Result<R, E> {
    let account = budget.stack();
    if account.buffered_depth_left.get().is_some() {
        return step();
    }
    let depth_left = budget.depth_left();
    account.buffered_depth_left.set(Some(depth_left));
    let made = step();
    let least = account.buffered_depth_left.take().unwrap_or(depth_left);
    let levels = depth_left.saturating_sub(least);
    let size = account.size.get().max(size_of::<Target>());
    let level_bytes = size.saturating_mul(BUFFERED_COPIES).saturating_add(BUFFERED_LEVEL_BYTES);
    let bytes = level_bytes.saturating_mul(levels).saturating_add(UNSEEN_BYTES);
    if made.is_err() || has_room(bytes) {
        return made;
    }
    // With as much again above this place as one level takes.
    let above_bytes = size.saturating_mul(COPIES).saturating_add(UNSEEN_BYTES);
    account.bytes_wanted.set(Some(bytes.saturating_add(above_bytes)));
    let bytes_max = budget.decode_bytes_max();
    Err(refuse(budget.pass(Passed::Stack { levels, bytes_max })))
}

/// Runs `attempt`, which decodes a whole payload, and once more on a stack of the size that it
/// needs if a buffer could not be decoded on this one.
#[cfg(any(feature = "gob", feature = "json"))]
#[inline]
pub(super) fn with_room_for_buffers<T>(
    budget: &Budget,
    attempt: impl Fn() -> Result<T>,
) -> Result<T> {
    let left = budget.left();
    let decoded = with_whole_room(budget, &attempt);
    match budget.stack().bytes_wanted.take() {
        Some(bytes) if decoded.is_err() && bytes <= budget.decode_bytes_max() => {
            budget.restore(left);
            budget.stack().is_on_new_stack.set(true);
            grow(bytes, attempt).unwrap_or_else(|| Err(Error::local(Code::Failed, UNUSED)))
        }
        _ => decoded,
    }
}

#[inline(never)]
fn with_large_room<T, R, E: de::Error>(
    budget: &Budget,
    step: impl FnOnce() -> Result<R, E>,
) -> Result<R, E> {
    budget.stack().note_size(size_of::<T>());
    let bytes = size_of::<T>().saturating_mul(COPIES).saturating_add(UNSEEN_BYTES);
    if has_room(bytes) { apart(step) } else { on_new_stack(budget, bytes, step) }
}

/// Runs `step` on a frame that is taken only now.
#[inline(never)]
fn apart<R>(step: impl FnOnce() -> R) -> R {
    step()
}

#[inline]
fn has_room(bytes: usize) -> bool {
    stacker::remaining_stack().is_some_and(|left_bytes| left_bytes >= bytes)
}

/// Runs `step` on a new piece of stack, with twice the room that it needs: it will go further in.
#[cold]
#[inline(never)]
fn on_new_stack<R, E: de::Error>(
    budget: &Budget,
    bytes: usize,
    step: impl FnOnce() -> Result<R, E>,
) -> Result<R, E> {
    let bytes = bytes.saturating_mul(2).max(PIECE_BYTES_MIN);
    let was_on_new_stack = budget.stack().is_on_new_stack.replace(true);
    let charged_bytes = if was_on_new_stack { bytes } else { 0 };
    budget.charge_memory(charged_bytes).map_err(refuse)?;
    let made = grow(bytes, step).unwrap_or_else(|| Err(E::custom(UNUSED)));
    budget.stack().is_on_new_stack.set(was_on_new_stack);
    budget.refund_memory(charged_bytes);
    made
}

/// Runs `step`, which asks a `T` for its form without a value, where there is room for that: what a
/// type asks for once, in each of its parts.
pub(super) fn with_type_room<T, R>(step: impl FnOnce() -> R) -> R {
    let bytes = size_of::<T>().saturating_mul(COPIES).saturating_mul(4);
    let bytes = bytes.saturating_add(UNSEEN_BYTES);
    if has_room(bytes) { step() } else { stacker::grow(bytes.max(PIECE_BYTES_MIN), step) }
}

/// Whether there is room for a few levels of encoding.
#[cfg(any(feature = "bincode", feature = "gob", feature = "json", feature = "postcard"))]
#[inline]
pub(super) fn has_room_to_encode() -> bool {
    has_room(ENCODE_BYTES)
}

/// Runs `step`, which encodes a value, on a new piece of stack.
#[cfg(any(feature = "bincode", feature = "gob", feature = "json", feature = "postcard"))]
#[cold]
#[inline(never)]
pub(super) fn grow_to_encode<R>(step: impl FnOnce() -> R) -> Option<R> {
    grow(PIECE_BYTES_MIN, step)
}

/// Runs `step` on a new piece of stack. The slot for what it makes is all that the old one needs.
fn grow<R>(bytes: usize, step: impl FnOnce() -> R) -> Option<R> {
    let mut made = None;
    stacker::grow(bytes, || made = Some(step()));
    made
}

/// What an error says that never happens: a new stack runs what it is given.
pub(super) const UNUSED: &str = "the new stack was not used";

/// Whether this build copies more: without optimisation, every move is a copy in a frame.
const IS_UNOPTIMISED: bool = cfg!(debug_assertions);

/// Room for frames that hold nothing of the type that is made, or something that is not seen yet.
const UNSEEN_BYTES: usize = if IS_UNOPTIMISED { 1024 * 1024 } else { 320 * 1024 };

/// Room for what is encoded between two looks: its frames hold no values.
#[cfg(any(feature = "bincode", feature = "gob", feature = "json", feature = "postcard"))]
const ENCODE_BYTES: usize = if IS_UNOPTIMISED { 256 * 1024 } else { 128 * 1024 };

/// Of a value that is made, in all frames between two looks.
const COPIES: usize = if IS_UNOPTIMISED { 40 } else { 12 };

/// Of the largest type, in the frames of one level that is decoded from a buffer.
const BUFFERED_COPIES: usize = if IS_UNOPTIMISED { 24 } else { 6 };

/// Other frames of one level that is decoded from a buffer, and types less than [`LARGE_BYTES`].
const BUFFERED_LEVEL_BYTES: usize = if IS_UNOPTIMISED { 14 * 1024 } else { 4 * 1024 };

/// The least size of what is looked at one by one.
const LARGE_BYTES: usize = 512;

/// One in so many levels of small structs and tuples is looked at.
const LEVELS_UNSEEN: usize = 8;

/// The least that a new stack has.
const PIECE_BYTES_MIN: usize = if IS_UNOPTIMISED { 4096 * 1024 } else { 2048 * 1024 };
