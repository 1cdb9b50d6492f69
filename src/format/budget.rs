//! What one decode may use up: depth, elements, memory.
//!
//! A payload is small on the wire by `payload_bytes_max`, and that alone means little: nine bytes
//! claim 2^60 units, a megabyte of `None` becomes 264, and a few kilobytes of nesting overflow the
//! stack. A [`Budget`] is made for one payload and is spent while a value is made of it. This file
//! has the accounts; `guard` is the serde code that finds out what is to be charged, and `refusal`
//! has the words.
//!
//! Three rules keep honest payloads in. Only elements of sequences and entries of maps are counted:
//! each takes a byte of the payload at least, unless it is of a type that needs none, and those few
//! are what `spare_elements_max` is for. The fields of a struct or a tuple are not counted, for
//! their number is fixed by the type. And text and byte strings are free as long as all of them
//! together are no longer than the payload. What goes beyond is charged like elements: some formats
//! hand out again what they were sent once, such as gob the name of a field for each element, and
//! others may unpack it. [`Budget::memory_used`] has both in it.
//!
//! Memory is charged as the allocator is asked for it, with what it adds: a container by how it
//! grows, a box by what is in it. `growth` says how much that is, and `tests/charges.rs` has a
//! table of types with their charges and what they take. An endpoint's budget is granted its memory
//! by the endpoint, which counts it against `held_bytes_max`, in steps while the value is made.
//!
//! A budget remembers which limit was passed by itself, since a format may throw the messages of
//! custom errors away (postcard does) or wrap them in words that quote the payload (JSON does).
//!
//! It does not see what a type makes of a value that it was given, as `#[serde(untagged)]`,
//! `flatten` and `tag` do: they keep the value in a buffer of serde's, which is charged as the
//! worst that is known, and fill the type from that, which is not charged again. So a field with a
//! large default within such a type costs more than its charge.

mod refusal;

pub(super) use self::refusal::{Passed, refuse};

use std::cell::Cell;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use serde::de::{self, Deserialize, Deserializer};

use self::refusal::{left_over, not_valid};
use super::stack;
use crate::error::{Error, Result};
use crate::limits::Limits;

/// What the decoding of one payload may use: depth, elements, memory.
///
/// The endpoint and the client make one for each payload and hand it to
/// [`Format::decode`](super::Format::decode). A format of your own passes its deserializer to
/// [`deserialize`](Self::deserialize) and its failures to [`error`](Self::error), as below.
///
/// # Stack
///
/// However deep a payload is, decoding a type whose `Deserialize` is derived, or is that of `std`,
/// does not overflow the stack: where there is too little, a new piece is made, and charged like
/// other memory while it is in use. Values that lie in a `Vec`, a map or behind a pointer may be up
/// to 64 KiB large, others as large as the stack of the thread can hold where they are used: the
/// way from a payload to an async handler has room for a request of a 32nd of the worker's stack
/// without optimisation. What serde reads into a buffer first (`#[serde(untagged)]`, `tag`,
/// `flatten`) is refused if the levels in it are too many for the stack that `decode_bytes_max`
/// allows; the types behind pointers in it may be up to 512 bytes large, or as large as the largest
/// type outside of it. A `Deserialize` by hand may have any frames of its own.
///
/// # A format of your own
///
#[cfg_attr(feature = "json", doc = "```")]
#[cfg_attr(not(feature = "json"), doc = "```ignore")]
/// use bytes::{BufMut, Bytes, BytesMut};
/// use serde::{Serialize, de::DeserializeOwned};
/// use switchboard::format::{Budget, Format, Framing};
/// use switchboard::{Code, Error, Limits, Result};
///
/// enum Pretty {}
///
/// impl<T: Serialize + DeserializeOwned> Format<T> for Pretty {
///     const NAME: &'static str = "pretty";
///     const FRAMING: Framing = Framing::Counted;
///
///     fn encode(value: &T, _: &Limits, out: &mut BytesMut) -> Result<()> {
///         serde_json::to_writer_pretty(out.writer(), value)
///             .map_err(|cause| Error::new(Code::BadPayload, "no JSON for it").with_source(cause))
///     }
///
///     fn decode(payload: Bytes, budget: &Budget) -> Result<T> {
///         let mut decoder = serde_json::Deserializer::from_slice(&payload);
///         let value = budget.deserialize(&mut decoder);
///         let value = value.map_err(|cause| budget.error("pretty", cause))?;
///         decoder.end().map_err(|cause| budget.error("pretty", cause))?;
///         Ok(value)
///     }
/// }
///
/// let payload = Bytes::from_static(b"[1, 2]");
/// let budget = Budget::new(&Limits::default(), payload.len());
/// let numbers: Vec<u64> = Pretty::decode(payload, &budget)?;
/// assert_eq!(numbers, [1, 2]);
///
/// let limits = Limits::default().with(|limits| limits.depth_max = 8);
/// let payload = Bytes::from(vec![b'['; 1000]);
/// let budget = Budget::new(&limits, payload.len());
/// let refused: Result<serde_json::Value> = Pretty::decode(payload, &budget);
/// assert_eq!(refused.unwrap_err().text(), "nesting of 9 levels is over depth_max (8)");
/// # Ok::<(), Error>(())
/// ```
pub struct Budget {
    depth_max: usize,
    spare_elements_max: usize,
    decode_bytes_max: usize,
    payload_bytes: usize,
    depth_left: Cell<usize>,
    elements_left: Cell<usize>,
    memory_left: Cell<usize>,
    // Bytes of memory that may still be asked for, and where; what has been granted.
    ungranted: Cell<usize>,
    grantor: Option<Arc<dyn Grant>>,
    granted: Cell<usize>,
    // Bytes of text and byte strings that are still free.
    content_left: Cell<usize>,
    stack: stack::Account,
    passed: Cell<Option<Passed>>,
}

/// Whoever counts the memory of all decodes together.
pub(crate) trait Grant: Send + Sync {
    /// Takes so many bytes from what all may have.
    ///
    /// # Errors
    ///
    /// How many are taken, and may be, if so many are not left.
    fn grant(&self, bytes: usize) -> Result<(), (usize, usize)>;

    /// Gives back so many bytes that were granted.
    fn give_back(&self, bytes: usize);
}

/// Whoever makes values within a budget: `guard`, which knows what is to be charged for what, and
/// knows the budget. So the budget knows it by this alone.
pub(super) trait Guarded {
    fn guarded<'de, T, D>(&self, deserializer: D) -> Result<T, D::Error>
    where
        T: Deserialize<'de>,
        D: Deserializer<'de>;
}

impl Budget {
    /// The budget for a payload of `payload_bytes` bytes: [`Limits::depth_max`] levels,
    /// [`Limits::spare_elements_max`] elements beside one for each byte of the payload, and
    /// [`Limits::decode_bytes_max`] bytes of memory beside text as long as the payload. More levels
    /// than [`Limits::DEPTH_MOST`] count as so many.
    #[must_use]
    pub const fn new(limits: &Limits, payload_bytes: usize) -> Self {
        let elements = payload_bytes.saturating_add(limits.spare_elements_max);
        let is_deep = limits.depth_max > Limits::DEPTH_MOST;
        let depth_max = if is_deep { Limits::DEPTH_MOST } else { limits.depth_max };
        Self {
            depth_max,
            spare_elements_max: limits.spare_elements_max,
            decode_bytes_max: limits.decode_bytes_max,
            payload_bytes,
            depth_left: Cell::new(depth_max),
            elements_left: Cell::new(elements),
            memory_left: Cell::new(limits.decode_bytes_max),
            ungranted: Cell::new(0),
            grantor: None,
            granted: Cell::new(0),
            content_left: Cell::new(payload_bytes),
            stack: stack::Account::new(),
            passed: Cell::new(None),
        }
    }

    /// This budget with its memory granted by `grantor`, as it is used, all but a little at the
    /// beginning. It is given back with the budget.
    #[cfg(feature = "io")]
    pub(crate) fn granted_by(mut self, grantor: Arc<dyn Grant>) -> Self {
        let first = self.decode_bytes_max.min(UNGRANTED_BYTES);
        self.memory_left.set(first);
        self.ungranted.set(self.decode_bytes_max.saturating_sub(first));
        self.grantor = Some(grantor);
        self
    }

    /// A value from `deserializer`, made within this budget.
    ///
    /// Text and byte strings are asked for in their borrowed form, so that a deserializer over a
    /// slice checks a claimed length before it reserves memory. Do not give it one over a reader.
    ///
    /// # Errors
    ///
    /// What `deserializer` reports, or an error of its kind when the budget is used up, even if the
    /// type made light of that. [`error`](Self::error) tells the two apart.
    #[inline]
    pub fn deserialize<'de, T, D>(&self, deserializer: D) -> Result<T, D::Error>
    where
        T: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        self.guarded(deserializer)
    }

    /// The error for a payload that did not decode: `too_large` with the limit, its value and what
    /// came if this budget was used up, `overloaded` if the endpoint had no memory left for it,
    /// else `bad_payload` with the name of the format. `cause` is kept as the source and does not
    /// reach the peer.
    #[must_use]
    pub fn error(
        &self,
        format_name: &'static str,
        cause: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Error {
        self.build_error(format_name, None, cause.into())
    }

    /// [`error`](Self::error) with words about what is wrong with the payload. They may reach the
    /// peer: say where and what, and quote nothing of the payload nor of a foreign error.
    #[must_use]
    pub fn error_with_detail(
        &self,
        format_name: &'static str,
        detail: impl fmt::Display,
        cause: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Error {
        self.build_error(format_name, Some(&detail), cause.into())
    }

    /// Checks that a decoder has used up its payload.
    ///
    /// # Errors
    ///
    /// `bad_payload` if `left_bytes` is not zero.
    pub fn check_all_used(&self, format_name: &'static str, left_bytes: usize) -> Result<()> {
        if left_bytes == 0 { Ok(()) } else { Err(left_over(format_name, left_bytes)) }
    }

    /// Bytes of memory that were charged so far, and those of text and byte strings, free or not.
    #[must_use]
    pub fn memory_used(&self) -> usize {
        let charged_bytes = self.decode_bytes_max.saturating_sub(self.unused());
        let content_bytes = self.payload_bytes.saturating_sub(self.content_left.get());
        charged_bytes.saturating_add(content_bytes)
    }

    /// Bytes of memory that may be filled, from the beginning.
    pub(super) fn decode_bytes_max(&self) -> usize {
        self.decode_bytes_max
    }

    /// Levels that may be gone into, from the beginning.
    #[cfg(feature = "gob")]
    pub(super) fn depth_max(&self) -> usize {
        self.depth_max
    }

    /// What was decoded, unless a limit was passed that the type made light of.
    #[inline]
    pub(super) fn check_passed<T, E: de::Error>(&self, decoded: Result<T, E>) -> Result<T, E> {
        if let Some(passed) = self.passed.get()
            && decoded.is_ok()
        {
            return Err(refuse(passed));
        }
        decoded
    }

    /// Goes one level further in.
    #[inline]
    pub(super) fn descend(&self) -> Result<(), Passed> {
        match self.depth_left.get().checked_sub(1) {
            Some(left) => {
                self.depth_left.set(left);
                Ok(())
            }
            None => Err(self.pass(Passed::Depth { levels_max: self.depth_max })),
        }
    }

    /// Comes back from a level that [`descend`](Self::descend) went into.
    #[inline]
    pub(super) fn ascend(&self) {
        self.depth_left.set(self.depth_left.get().wrapping_add(1));
    }

    /// Charges so many elements of a sequence or a map, or as many as are left; answers how many.
    pub(super) fn charge_elements(&self, wanted: usize) -> Result<usize, Passed> {
        let left = self.elements_left.get();
        let charged = wanted.min(left);
        if charged == 0 {
            let (payload_bytes, spare_max) = (self.payload_bytes, self.spare_elements_max);
            return Err(self.pass(Passed::Elements { payload_bytes, spare_max }));
        }
        self.elements_left.set(left.saturating_sub(charged));
        Ok(charged)
    }

    /// Gives back elements that were charged and are not made.
    #[inline]
    pub(super) fn refund_elements(&self, elements: usize) {
        self.elements_left.set(self.elements_left.get().saturating_add(elements));
    }

    /// Charges `bytes` of memory that are about to be filled.
    #[inline]
    pub(super) fn charge_memory(&self, bytes: usize) -> Result<(), Passed> {
        match self.memory_left.get().checked_sub(bytes) {
            Some(left) => {
                self.memory_left.set(left);
                Ok(())
            }
            None => self.charge_beyond_grant(bytes),
        }
    }

    /// Gives back what was charged for memory that is free again; not when a limit was passed,
    /// since how much was in use then is to be told.
    #[inline]
    pub(super) fn refund_memory(&self, bytes: usize) {
        if self.passed.get().is_none() {
            self.memory_left.set(self.memory_left.get().saturating_add(bytes));
        }
    }

    /// Asks for the memory of text and byte strings that are free, which live beside the payload.
    #[inline]
    pub(super) fn begin_content(&self) -> Result<(), Passed> {
        if self.payload_bytes > UNGRANTED_BYTES { self.ask(self.payload_bytes) } else { Ok(()) }
    }

    /// Levels that may still be gone into.
    #[inline]
    pub(super) fn depth_left(&self) -> usize {
        self.depth_left.get()
    }

    /// What the stack has to do with this decode.
    #[inline]
    pub(super) fn stack(&self) -> &stack::Account {
        &self.stack
    }

    /// What is left by now, to [`restore`](Self::restore) it: levels, elements, memory, content.
    #[cfg(any(feature = "gob", feature = "json"))]
    pub(super) fn left(&self) -> [usize; 4] {
        let (depth, elements) = (self.depth_left.get(), self.elements_left.get());
        [depth, elements, self.unused(), self.content_left.get()]
    }

    /// Goes back to what was left, as if nothing had been decoded since. What was granted stays.
    #[cfg(any(feature = "gob", feature = "json"))]
    pub(super) fn restore(&self, [depth, elements, unused, content]: [usize; 4]) {
        self.passed.set(None);
        self.depth_left.set(depth);
        self.elements_left.set(elements);
        self.refund_memory(unused.saturating_sub(self.unused()));
        self.content_left.set(content);
    }

    /// Takes note of text or bytes that the value will probably keep, and charges those beyond the
    /// length of the payload.
    #[inline]
    pub(super) fn note_content(&self, bytes: usize) -> Result<(), Passed> {
        match self.content_left.get().checked_sub(bytes) {
            Some(left) => {
                self.content_left.set(left);
                Ok(())
            }
            None => self.charge_content(bytes),
        }
    }

    /// Takes note of memory that the format needs while it decodes, and the value does not keep.
    #[cfg(feature = "json")]
    pub(super) fn note_scratch(&self, bytes: usize) -> Result<()> {
        if bytes <= UNGRANTED_BYTES {
            return Ok(());
        }
        self.ask(bytes).map_err(Passed::error)
    }

    /// Takes note that the value keeps the whole payload, which is free.
    #[inline]
    pub(super) fn note_payload(&self) {
        self.content_left.set(0);
    }

    /// Elements that may still be made.
    #[inline]
    pub(super) fn elements_left(&self) -> usize {
        self.elements_left.get()
    }

    #[cold]
    fn build_error(
        &self,
        format_name: &'static str,
        detail: Option<&dyn fmt::Display>,
        cause: Box<dyn StdError + Send + Sync>,
    ) -> Error {
        let error = match (self.passed.get(), detail) {
            (Some(passed), _) => passed.error(),
            (None, None) => not_valid(format_name, ""),
            (None, Some(detail)) => not_valid(format_name, format_args!(": {detail}")),
        };
        error.with_source(cause)
    }

    /// Bytes of memory that may still be charged.
    fn unused(&self) -> usize {
        self.memory_left.get().saturating_add(self.ungranted.get())
    }

    /// Asks for more, a quarter of what there is at least, and charges `bytes` of it.
    #[cold]
    #[inline(never)]
    fn charge_beyond_grant(&self, bytes: usize) -> Result<(), Passed> {
        let (left, ungranted) = (self.memory_left.get(), self.ungranted.get());
        let missing = bytes.saturating_sub(left);
        if missing > ungranted {
            let bytes_max = self.decode_bytes_max;
            let bytes = bytes_max.saturating_sub(self.unused()).saturating_add(bytes);
            return Err(self.pass(Passed::Memory { bytes, bytes_max }));
        }
        let asked = missing.max(self.granted.get() / 4).max(UNGRANTED_BYTES).min(ungranted);
        self.ask(asked)?;
        self.ungranted.set(ungranted.saturating_sub(asked));
        self.memory_left.set(left.saturating_add(asked).saturating_sub(bytes));
        Ok(())
    }

    fn ask(&self, bytes: usize) -> Result<(), Passed> {
        let Some(grantor) = &self.grantor else {
            return Ok(());
        };
        match grantor.grant(bytes) {
            Ok(()) => {
                self.granted.set(self.granted.get().saturating_add(bytes));
                Ok(())
            }
            Err((held, held_bytes_max)) => {
                Err(self.pass(Passed::HeldBytes { bytes, held, held_bytes_max }))
            }
        }
    }

    #[cold]
    fn charge_content(&self, bytes: usize) -> Result<(), Passed> {
        let free = self.content_left.take();
        self.charge_memory(bytes.saturating_sub(free))
    }

    /// Remembers that a limit was passed. The first one is the one to report.
    #[cold]
    pub(super) fn pass(&self, passed: Passed) -> Passed {
        let first = self.passed.get().unwrap_or(passed);
        self.passed.set(Some(first));
        first
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        if let Some(grantor) = &self.grantor
            && self.granted.get() > 0
        {
            grantor.give_back(self.granted.get());
        }
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("depth_left", &self.depth_left.get())
            .field("elements_left", &self.elements_left.get())
            .field("memory_left", &self.unused())
            .field("memory_used", &self.memory_used())
            .field("passed", &self.passed.get())
            .finish_non_exhaustive()
    }
}

/// What a decode may use before it asks for more.
const UNGRANTED_BYTES: usize = 16 * 1024;

#[cfg(test)]
#[cfg(feature = "io")]
mod tests;
