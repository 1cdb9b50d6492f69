//! What is said of a command beside its name and its types.
//!
//! Some facts replace limits, for the calls of the command alone; [`Facts::limits`] says which
//! limits follow from them.

use std::num::NonZeroUsize;
use std::time::Duration;

#[cfg(any(feature = "io", feature = "blocking"))]
use crate::format;
use crate::limits::{Limits, PayloadMax, TimeMax};

/// The facts of a command beside its name and its types, set by the methods of
/// [`Command`](crate::Command).
///
/// They are not sent with calls: each side has them from the constant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Facts {
    pub(super) about: Option<&'static str>,
    pub(super) is_idempotent: bool,
    pub(super) timeout: Option<Duration>,
    pub(super) payload_bytes_max: Option<NonZeroUsize>,
    pub(super) has_request_items: bool,
    pub(super) has_reply_items: bool,
    pub(super) is_resumable: bool,
    pub(super) is_resumable_anywhere: bool,
    pub(super) is_endless: bool,
    pub(super) is_read_only: bool,
    // Its items are bytes as they are, of which there may be many.
    pub(super) has_byte_items: bool,
}

impl Facts {
    pub(super) const fn none() -> Self {
        Self {
            about: None,
            is_idempotent: false,
            timeout: None,
            payload_bytes_max: None,
            has_request_items: false,
            has_reply_items: false,
            is_resumable: false,
            is_resumable_anywhere: false,
            is_endless: false,
            is_read_only: false,
            has_byte_items: false,
        }
    }

    /// These of a command whose request goes on in items, or whose reply comes in items.
    #[must_use]
    pub const fn streamed(mut self, has_request_items: bool, has_reply_items: bool) -> Self {
        (self.has_request_items, self.has_reply_items) = (has_request_items, has_reply_items);
        self
    }

    /// Whether the request or the reply comes in items.
    #[must_use]
    pub const fn is_streamed(&self) -> bool {
        self.has_request_items || self.has_reply_items
    }

    /// Whether the request goes on in items.
    #[must_use]
    pub const fn has_request_items(&self) -> bool {
        self.has_request_items
    }

    /// Whether the reply comes in items.
    #[must_use]
    pub const fn has_reply_items(&self) -> bool {
        self.has_reply_items
    }

    /// Whether the items of a reply can begin where a caller says; see
    /// [`Command::resumable`](crate::Command::resumable).
    #[must_use]
    pub const fn is_resumable(&self) -> bool {
        self.is_resumable
    }

    /// Whether the positions of its items mean the same at every back end; see
    /// [`Command::resumable_anywhere`](crate::Command::resumable_anywhere).
    #[must_use]
    pub const fn is_resumable_anywhere(&self) -> bool {
        self.is_resumable_anywhere
    }

    /// Whether a call of it has no end of its own; see
    /// [`Command::endless`](crate::Command::endless).
    #[must_use]
    pub const fn is_endless(&self) -> bool {
        self.is_endless
    }

    /// What the command does, for people; see [`Command::about`](crate::Command::about).
    #[must_use]
    pub const fn about(&self) -> Option<&'static str> {
        self.about
    }

    /// Whether running it twice does no more than running it once; see
    /// [`Command::idempotent`](crate::Command::idempotent).
    #[must_use]
    pub const fn is_idempotent(&self) -> bool {
        self.is_idempotent
    }

    /// Whether running it changes nothing; see
    /// [`Command::read_only`](crate::Command::read_only).
    #[must_use]
    pub const fn is_read_only(&self) -> bool {
        self.is_read_only
    }

    /// The time that a call may take in place of [`Limits::call_time_max`]; `None` if that limit
    /// holds. See [`Command::timeout`](crate::Command::timeout).
    #[must_use]
    pub const fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// The bytes that a payload may have in place of [`Limits::payload_bytes_max`]; `None` if that
    /// limit holds. See [`Command::payload_bytes_max`](crate::Command::payload_bytes_max).
    ///
    /// If it is larger than that limit, [`Limits::body_time_max`], [`Limits::decode_bytes_max`] and
    /// [`Limits::spare_elements_max`] grow by the same factor for the calls of this command. If it
    /// is smaller, they stay as they are. All other limits are as for other commands:
    /// [`Limits::depth_max`], since a larger payload needs no deeper nesting;
    /// [`Limits::write_time_max`], which is of the connection; and [`Limits::held_bytes_max`],
    /// which counts these payloads too. The time of a call runs while its request comes in, so a
    /// large command often needs a [timeout](crate::Command::timeout) as well.
    #[must_use]
    pub const fn payload_bytes_max(&self) -> Option<usize> {
        match self.payload_bytes_max {
            Some(bytes) => Some(bytes.get()),
            None => None,
        }
    }

    /// Whether any of them stands in the place of a limit.
    pub(crate) const fn is_bound(&self) -> bool {
        let is_limited = self.timeout.is_some() || self.payload_bytes_max.is_some();
        is_limited || self.is_streamed() || self.is_endless
    }

    /// These, boxed, if any of them stands in the place of a limit: what a call keeps of them, and
    /// most keep nothing.
    pub(crate) fn of_call(self) -> Option<Box<Self>> {
        self.is_bound().then(|| Box::new(self))
    }

    /// These of a command in this format.
    #[cfg(any(feature = "io", feature = "blocking"))]
    pub(crate) fn in_format(mut self, format: &str) -> Self {
        self.has_byte_items = self.is_streamed() && format == BYTES;
        self
    }

    /// The items of each half that the side which takes them lets the other send ahead, in bytes
    /// and what they cost.
    pub(crate) const fn window(&self) -> u32 {
        if self.has_byte_items { WINDOW_OF_BYTES } else { WINDOW }
    }

    /// The limits that hold for this command where others have `limits`.
    ///
    /// ```
    /// use switchboard::{Command, Limits, format::Line};
    ///
    /// const LOAD: Command<String, String, Line> = Command::new("LOAD").payload_bytes_max(4 << 20);
    ///
    /// let (limits, own) = (Limits::default(), LOAD.facts().limits(&Limits::default()));
    /// assert_eq!(own.payload_bytes_max, 4 * limits.payload_bytes_max);
    /// assert_eq!(own.body_time_max, 4 * limits.body_time_max);
    /// assert_eq!(own.call_time_max, limits.call_time_max);
    /// ```
    #[must_use]
    pub fn limits(&self, limits: &Limits) -> Limits {
        let mut own = limits.clone();
        if let Some(time) = self.timeout {
            own.call_time_max = time;
        }
        if let Some(bytes) = self.payload_bytes_max() {
            own.payload_bytes_max = bytes;
            let scale = Scale { bytes, of_bytes: limits.payload_bytes_max };
            own.body_time_max = scale.time(limits.body_time_max);
            own.decode_bytes_max = scale.count(limits.decode_bytes_max);
            own.spare_elements_max = scale.count(limits.spare_elements_max);
        }
        own
    }

    /// The time for a body of this command, if that is more than the one for others.
    pub(crate) fn long_body_time(
        &self,
        payload_bytes_max: usize,
        body_time_max: Duration,
    ) -> Option<Duration> {
        let scale = Scale { bytes: self.payload_bytes_max()?, of_bytes: payload_bytes_max };
        scale.is_up().then(|| scale.time(body_time_max))
    }

    /// The bytes that a payload may have where others may have so many.
    pub(crate) fn payload_max(&self, payload_bytes_max: usize) -> PayloadMax {
        match self.payload_bytes_max() {
            Some(bytes) => PayloadMax { bytes, is_of_command: true },
            None => PayloadMax::of_limits(payload_bytes_max),
        }
    }

    /// The time that a call may take where others may take so much.
    pub(crate) fn time_max(&self, call_time_max: Duration) -> TimeMax {
        match self.timeout {
            Some(time) => TimeMax { time, is_of_command: true },
            None => TimeMax { time: call_time_max, is_of_command: false },
        }
    }
}

/// How many times larger the payloads of a command may be than others.
#[derive(Clone, Copy)]
struct Scale {
    bytes: usize,
    of_bytes: usize,
}

impl Scale {
    const fn is_up(self) -> bool {
        self.bytes > self.of_bytes
    }

    fn count(self, count: usize) -> usize {
        if !self.is_up() {
            return count;
        }
        let scaled = self.scaled(u128::try_from(count).unwrap_or(u128::MAX));
        usize::try_from(scaled).unwrap_or(usize::MAX)
    }

    fn time(self, time: Duration) -> Duration {
        if !self.is_up() {
            return time;
        }
        let nanos = self.scaled(time.as_nanos());
        u64::try_from(nanos).map_or(Duration::MAX, Duration::from_nanos)
    }

    /// Where others may have no bytes at all, as if they might have one.
    fn scaled(self, amount: u128) -> u128 {
        let [bytes, of_bytes] =
            [self.bytes, self.of_bytes.max(1)].map(|count| u128::try_from(count).unwrap_or(1));
        amount.saturating_mul(bytes).checked_div(of_bytes).unwrap_or(amount)
    }
}

/// The format whose items are bytes as they are.
#[cfg(any(feature = "io", feature = "blocking"))]
const BYTES: &str = <format::Bytes as format::Format<bytes::Bytes>>::NAME;

/// On one machine 64 KiB keep a reader busy while more comes.
const WINDOW: u32 = 64 * 1024;

/// Bytes come in items of 64 KiB. With a window of one item each would wait until the one before it
/// has been taken.
const WINDOW_OF_BYTES: u32 = 256 * 1024;

/// The unit in which times are told to a peer: 1 ms.
pub(super) const TIMEOUT_NANOS_LEAST: u128 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// Limits of a command with so many bytes, where others have 1000.
    fn scaled(bytes: usize) -> (Duration, usize, usize, usize) {
        let limits = Limits::default().with(|limits| {
            limits.payload_bytes_max = 1000;
            limits.body_time_max = Duration::from_secs(10);
            limits.decode_bytes_max = 3000;
            limits.spare_elements_max = 7;
        });
        let facts = crate::Command::<(), (), ()>::new("X").payload_bytes_max(bytes).facts();
        let own = facts.limits(&limits);
        let all_else = Limits {
            payload_bytes_max: 1000,
            body_time_max: limits.body_time_max,
            decode_bytes_max: limits.decode_bytes_max,
            spare_elements_max: limits.spare_elements_max,
            ..own.clone()
        };
        assert_eq!(all_else, limits, "nothing else changes");
        assert_eq!(own.payload_bytes_max, bytes);
        let long = facts.long_body_time(limits.payload_bytes_max, limits.body_time_max);
        assert_eq!(long.unwrap_or(limits.body_time_max), own.body_time_max);
        (own.body_time_max, own.decode_bytes_max, own.spare_elements_max, own.depth_max)
    }

    #[test]
    fn what_a_payload_may_take_grows_with_it_and_never_shrinks() {
        let check = |bytes, seconds, decode_bytes, elements| {
            let expected = (Duration::from_secs(seconds), decode_bytes, elements, 128);
            assert_eq!(scaled(bytes), expected, "{bytes}");
        };
        check(1, 10, 3000, 7);
        check(999, 10, 3000, 7);
        check(1000, 10, 3000, 7);
        check(1500, 15, 4500, 10);
        check(64_000, 640, 192_000, 448);
        let (time, ..) = scaled(isize::MAX.unsigned_abs());
        assert_eq!(time, Duration::MAX, "further away than the clock goes");
    }

    #[test]
    fn where_no_payload_may_have_bytes_one_counts_as_the_whole() {
        let limits = Limits::default().with(|limits| limits.payload_bytes_max = 0);
        let facts = crate::Command::<(), (), ()>::new("X").payload_bytes_max(3).facts();
        let own = facts.limits(&limits);
        assert_eq!(own.body_time_max, limits.body_time_max * 3);
    }

    #[test]
    fn a_timeout_stands_in_the_place_of_the_time_of_a_call_alone() {
        let facts =
            crate::Command::<(), (), ()>::new("X").timeout(Duration::from_secs(600)).facts();
        let limits = Limits::default();
        let expected = limits.clone().with(|own| own.call_time_max = Duration::from_secs(600));
        assert_eq!(facts.limits(&limits), expected);
        assert_eq!(facts.long_body_time(1, limits.body_time_max), None);
    }

    #[test]
    fn facts_that_are_only_told_are_kept_by_no_call() {
        let bare = crate::Command::<(), (), ()>::new("X");
        assert_eq!(bare.facts(), Facts::default());
        assert_eq!(bare.about("x").idempotent().facts().of_call(), None);
        assert!(bare.payload_bytes_max(1).facts().of_call().is_some());
        assert!(bare.timeout(Duration::from_millis(1)).facts().of_call().is_some());
    }
}
