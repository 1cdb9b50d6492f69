//! A command is a constant.
//!
//! [`Command`] ties a name to a request type, a reply type and a format. The answering side, the
//! asking side and a gateway are given the same constant, so nothing is typed twice and a mismatch
//! is a compile error. It holds no code: what runs is registered with an
//! [`Endpoint`](crate::Endpoint).
//!
//! Beside its name a command may carry [`Facts`]. Two of them stand in the place of limits, for its
//! own calls alone; which limits follow from them is told in one place, [`Facts::limits`].

mod signature;
mod streamed;

pub use self::signature::Signature;
pub use self::streamed::Streamed;

use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::time::Duration;

use crate::error::{Code, Error, Result};
#[cfg(feature = "bincode")]
use crate::format::Bincode;
use crate::format::Format;
use crate::limits::{Limits, PayloadMax, TimeMax};
use crate::wire::Name;

/// A name tied to the types of its request and its reply, and to the format they travel in.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use switchboard::{Command, format::Json};
///
/// #[derive(Serialize, Deserialize)]
/// struct Greet {
///     name: String,
/// }
///
/// const GREET: Command<Greet, String> = Command::new("GREET"); // in bincode, the default
/// const SHOUT: Command<String, String, Json> = Command::new("SHOUT");
/// ```
///
/// A command may carry [`Facts`], which both sides keep:
///
/// ```
/// # #[cfg(feature = "json")] {
/// use std::time::Duration;
/// use switchboard::{Command, format::Json};
///
/// const IMPORT: Command<Vec<String>, u64, Json> = Command::new("IMPORT")
///     .about("Takes in rows, and says how many were new.")
///     .idempotent()
///     .timeout(Duration::from_secs(600))
///     .payload_bytes_max(64 * 1024 * 1024);
///
/// assert!(IMPORT.facts().is_idempotent());
/// assert_eq!(IMPORT.facts().timeout(), Some(Duration::from_secs(600)));
/// # }
/// ```
#[cfg(feature = "bincode")]
pub struct Command<Req, Rep, F = Bincode> {
    name: Name,
    facts: Facts,
    types: PhantomData<fn(Req, F) -> Rep>,
}

/// A name tied to the types of its request and its reply, and to the format they travel in.
#[cfg(not(feature = "bincode"))]
pub struct Command<Req, Rep, F> {
    name: Name,
    facts: Facts,
    types: PhantomData<fn(Req, F) -> Rep>,
}

impl<Req, Rep, F> Command<Req, Rep, F> {
    /// The command of this name: 1 to 64 printable ASCII bytes without space, not beginning with
    /// `<`, `>`, `{`, `[`, `?` or a digit.
    ///
    /// # Panics
    ///
    /// If the name breaks these rules; in a `const` that is a compile error.
    #[must_use]
    pub const fn new(name: &str) -> Self {
        Self::named(Name::new(name), Facts::none())
    }

    /// This command with `prefix` in front of its name, as it is called where its endpoint is
    /// [nested](crate::Endpoint::nest). Types, format and facts stay.
    ///
    /// ```
    /// # use switchboard::{Command, format::Line};
    /// const ADD: Command<String, String, Line> = Command::new("ADD").about("Puts a job in line.");
    /// const JOBS_ADD: Command<String, String, Line> = ADD.under("jobs.");
    ///
    /// assert_eq!(JOBS_ADD.name().as_str(), "jobs.ADD");
    /// assert_eq!(JOBS_ADD.facts(), ADD.facts());
    /// ```
    ///
    /// # Panics
    ///
    /// If what comes of it breaks the rules for names, as for [`new`](Self::new); in a `const` that
    /// is a compile error.
    #[must_use]
    pub const fn under(self, prefix: &str) -> Self {
        Self::named(Name::valid(self.name.behind(prefix)), self.facts)
    }

    const fn named(name: Name, facts: Facts) -> Self {
        assert!(!name.is_reserved(), "command names that begin with `?` belong to the endpoint");
        Self { name, facts, types: PhantomData }
    }

    /// Says in a sentence what the command does, for people. Nothing else is done with it.
    ///
    /// ```
    /// # use switchboard::{Command, format::Line};
    /// const PING: Command<String, String, Line> = Command::new("PING").about("Answers the same.");
    /// assert_eq!(PING.facts().about(), Some("Answers the same."));
    /// ```
    #[must_use]
    pub const fn about(mut self, text: &'static str) -> Self {
        self.facts.about = Some(text);
        self
    }

    /// Says that running the command twice does no more than running it once. Nothing is repeated
    /// because of that: it is for whoever decides whether to call again.
    ///
    /// ```
    /// # use switchboard::{Command, format::Line};
    /// const DELETE: Command<String, String, Line> = Command::new("DELETE").idempotent();
    /// assert!(DELETE.facts().is_idempotent());
    /// ```
    #[must_use]
    pub const fn idempotent(mut self) -> Self {
        self.facts.is_idempotent = true;
        self
    }

    /// The time that a call of this command may take, at least 1 ms: more or less than
    /// [`Limits::call_time_max`], in whose place it stands for this command.
    ///
    /// - The side that answers stops the handler after it, with `deadline_exceeded`. The deadline
    ///   of the caller (`t=` on the wire) still makes it less, and never more.
    /// - The side that asks gives up after it, counted from the first poll, and tells the peer so
    ///   (`t=`). [`Call::timeout`](crate::Call::timeout) says otherwise for one call, longer or
    ///   shorter. A one-way call tells its peer no time.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use switchboard::{Command, format::Line};
    /// const PING: Command<String, String, Line> =
    ///     Command::new("PING").timeout(Duration::from_millis(250));
    /// assert_eq!(PING.facts().timeout(), Some(Duration::from_millis(250)));
    /// ```
    ///
    /// # Panics
    ///
    /// If it is below 1 ms; in a `const` that is a compile error.
    #[must_use]
    pub const fn timeout(mut self, time: Duration) -> Self {
        assert!(
            time.as_nanos() >= TIMEOUT_NANOS_LEAST,
            "the timeout of a command is at least 1 ms"
        );
        self.facts.timeout = Some(time);
        self
    }

    /// The bytes that a request of this command may have, and a reply: more or fewer than
    /// [`Limits::payload_bytes_max`], in whose place it stands for this command, on both sides.
    /// What other limits follow from it is told at [`Facts::payload_bytes_max`].
    ///
    /// A payload over it is refused with `too_large`; the caller's before a byte of it is sent.
    ///
    /// ```
    /// # use switchboard::{Command, format::Line};
    /// const PING: Command<String, String, Line> = Command::new("PING").payload_bytes_max(64);
    /// assert_eq!(PING.facts().payload_bytes_max(), Some(64));
    /// ```
    ///
    /// # Panics
    ///
    /// If it is 0, or more than `isize::MAX`, which is more than memory and the wire have room for;
    /// in a `const` that is a compile error.
    #[must_use]
    pub const fn payload_bytes_max(mut self, bytes: usize) -> Self {
        assert!(bytes > 0, "the payload_bytes_max of a command is at least 1");
        assert!(
            bytes <= isize::MAX.unsigned_abs(),
            "the payload_bytes_max of a command is at most isize::MAX"
        );
        self.facts.payload_bytes_max = NonZeroUsize::new(bytes);
        self
    }

    /// Says that the items of its reply have positions in their source, and that a caller may go on
    /// at one of them: its handler looks at [`Context::resume_at`](crate::Context::resume_at), and
    /// says by [`Sender::open_at`](crate::Sender::open_at) where its items begin. A call of another
    /// command that wants to go on is refused with `invalid`.
    ///
    /// ```
    /// # #[cfg(feature = "bincode")] {
    /// # use switchboard::{Command, Streamed};
    /// const FOLLOW: Command<String, Streamed<String>> = Command::new("FOLLOW").resumable();
    /// assert!(FOLLOW.facts().is_resumable());
    /// # }
    /// ```
    #[must_use]
    pub const fn resumable(mut self) -> Self {
        self.facts.is_resumable = true;
        self
    }

    /// Says that a call of it has no end of its own: a subscription, a log that is followed. When
    /// its endpoint drains, it ends at once with `cancelled`; other calls have `drain_time_max` to
    /// come to their end.
    ///
    /// ```
    /// # #[cfg(feature = "bincode")] {
    /// # use switchboard::{Command, Streamed};
    /// const NEWS: Command<(), Streamed<String>> = Command::new("NEWS").endless();
    /// assert!(NEWS.facts().is_endless());
    /// # }
    /// ```
    #[must_use]
    pub const fn endless(mut self) -> Self {
        self.facts.is_endless = true;
        self
    }

    /// What is said of the command beside its name and its types.
    #[must_use]
    pub const fn facts(&self) -> Facts {
        self.facts
    }

    /// The name on the wire.
    #[must_use]
    pub const fn name(&self) -> Name {
        self.name
    }
}

impl<Req, Rep, F: Format<Req> + Format<Rep>> Command<Req, Rep, F> {
    /// What another program must agree on to call it; see
    /// [`Client::check_all`](crate::Client::check_all). It takes some milliseconds.
    #[must_use]
    pub fn signature(&self) -> Signature {
        Signature::of::<Req, Rep, F>(self.name)
    }

    /// Whether values of its types can travel in its format, from one Rust program to another: what
    /// an endpoint asks when a handler is registered, for programs that only call. It takes some
    /// milliseconds for the first command with a type, and belongs into a test: see [`check_all`].
    ///
    /// # Errors
    ///
    /// `failed`, with the name of the command, the type, where in it, the reason and a way out. A
    /// type that cannot be traced passes.
    ///
    /// ```
    /// # #[cfg(feature = "bincode")] {
    /// use std::collections::HashMap;
    ///
    /// use serde::{Deserialize, Serialize};
    /// use switchboard::Command;
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct Report {
    ///     rows: u64,
    ///     #[serde(flatten)]
    ///     rest: HashMap<String, String>,
    /// }
    ///
    /// const REPORT: Command<u64, Vec<Report>> = Command::new("REPORT");
    ///
    /// let error = REPORT.check().unwrap_err();
    /// assert!(error.text().starts_with("REPORT, the reply: "), "{error}");
    /// assert!(error.text().contains("#[serde(flatten)]"), "{error}");
    /// assert!(error.text().ends_with("use `Json` for this command"), "{error}");
    /// # }
    /// ```
    pub fn check(&self) -> Result<()> {
        let request = <F as Format<Req>>::check().and_then(|()| <F as Format<Req>>::check_read());
        let reply = <F as Format<Rep>>::check().and_then(|()| <F as Format<Rep>>::check_read());
        for (part, result) in [("request", request), ("reply", reply)] {
            if let Err(error) = result {
                let text = format!("{}, the {part}: {}", self.name, error.text());
                return Err(Error::local(Code::Failed, text).with_source(error));
            }
        }
        Ok(())
    }
}

/// All of these checks in one: for a test, in which the commands of a crate stand in a list.
///
/// # Errors
///
/// `failed`, with what is wrong with each, in a line of its own.
///
/// ```
/// # #[cfg(feature = "bincode")] {
/// use switchboard::{Command, check_all};
///
/// const GREET: Command<String, String> = Command::new("GREET");
/// const COUNT: Command<Vec<String>, u64> = Command::new("COUNT");
///
/// // #[test]
/// fn all_commands_can_be_sent() {
///     check_all([GREET.check(), COUNT.check()]).unwrap();
/// }
/// # all_commands_can_be_sent();
/// # }
/// ```
pub fn check_all(checks: impl IntoIterator<Item = Result<()>>) -> Result<()> {
    let errors = checks.into_iter().filter_map(Result::err);
    let texts: Vec<_> = errors.map(|error| error.text().to_owned()).collect();
    if texts.is_empty() { Ok(()) } else { Err(Error::local(Code::Failed, texts.join("\n"))) }
}

impl<Req, Rep, F> Clone for Command<Req, Rep, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Req, Rep, F> Copy for Command<Req, Rep, F> {}

impl<Req, Rep, F> fmt::Debug for Command<Req, Rep, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Command({})", self.name)
    }
}

/// What is said of a command beside its name and its types, by the methods of [`Command`].
///
/// They are not sent: each side has them from the constant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Facts {
    about: Option<&'static str>,
    is_idempotent: bool,
    timeout: Option<Duration>,
    payload_bytes_max: Option<NonZeroUsize>,
    has_request_items: bool,
    has_reply_items: bool,
    is_resumable: bool,
    is_endless: bool,
}

impl Facts {
    const fn none() -> Self {
        Self {
            about: None,
            is_idempotent: false,
            timeout: None,
            payload_bytes_max: None,
            has_request_items: false,
            has_reply_items: false,
            is_resumable: false,
            is_endless: false,
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

    /// Whether the items of a reply can begin where a caller says; see [`Command::resumable`].
    #[must_use]
    pub const fn is_resumable(&self) -> bool {
        self.is_resumable
    }

    /// Whether a call of it has no end of its own; see [`Command::endless`].
    #[must_use]
    pub const fn is_endless(&self) -> bool {
        self.is_endless
    }

    /// What the command does, for people; see [`Command::about`].
    #[must_use]
    pub const fn about(&self) -> Option<&'static str> {
        self.about
    }

    /// Whether running it twice does no more than running it once; see [`Command::idempotent`].
    #[must_use]
    pub const fn is_idempotent(&self) -> bool {
        self.is_idempotent
    }

    /// The time that a call may take in place of [`Limits::call_time_max`]; `None` if that holds.
    /// See [`Command::timeout`].
    #[must_use]
    pub const fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// The bytes that a payload may have in place of [`Limits::payload_bytes_max`]; `None` if that
    /// holds. See [`Command::payload_bytes_max`].
    ///
    /// Where it is larger, what a payload may take grows as many times for the calls of this
    /// command: [`Limits::body_time_max`], [`Limits::decode_bytes_max`] and
    /// [`Limits::spare_elements_max`]. Where it is smaller these stay as they are. All other limits
    /// are as for other commands: levels of nesting, for a larger payload needs no deeper ones;
    /// [`Limits::write_time_max`], which is of the connection; and [`Limits::held_bytes_max`],
    /// which counts these payloads too. The time of a call runs while its request comes, so a large
    /// command often needs a [timeout](Command::timeout) as well.
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

/// The unit in which times are told to a peer: 1 ms.
const TIMEOUT_NANOS_LEAST: u128 = 1_000_000;

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
        let facts = Command::<(), (), ()>::new("X").payload_bytes_max(bytes).facts();
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
        let facts = Command::<(), (), ()>::new("X").payload_bytes_max(3).facts();
        let own = facts.limits(&limits);
        assert_eq!(own.body_time_max, limits.body_time_max * 3);
    }

    #[test]
    fn a_timeout_stands_in_the_place_of_the_time_of_a_call_alone() {
        let facts = Command::<(), (), ()>::new("X").timeout(Duration::from_secs(600)).facts();
        let limits = Limits::default();
        let expected = limits.clone().with(|own| own.call_time_max = Duration::from_secs(600));
        assert_eq!(facts.limits(&limits), expected);
        assert_eq!(facts.long_body_time(1, limits.body_time_max), None);
    }

    #[test]
    fn facts_that_are_only_told_are_kept_by_no_call() {
        let plain = Command::<(), (), ()>::new("X");
        assert_eq!(plain.facts(), Facts::default());
        assert_eq!(plain.about("x").idempotent().facts().of_call(), None);
        assert!(plain.payload_bytes_max(1).facts().of_call().is_some());
        assert!(plain.timeout(Duration::from_millis(1)).facts().of_call().is_some());
    }
}
