//! A command is a constant.
//!
//! [`Command`] ties a name to a request type, a reply type and a format. The answering side, the
//! asking side and a gateway use the same constant, so nothing is typed twice and a mismatch is a
//! compile error. It holds no code: an [`Endpoint`](crate::Endpoint) has the handlers.
//!
//! Beside its name a command may carry [`Facts`]. Two of them replace limits, for its own calls
//! alone; [`Facts::limits`] says which limits follow from them.

mod facts;
mod signature;
mod streamed;

pub use self::facts::Facts;
use self::facts::TIMEOUT_NANOS_LEAST;
pub(crate) use self::signature::Types;
pub use self::signature::{Described, Signature};
pub use self::streamed::Streamed;
#[cfg(any(feature = "io", feature = "blocking"))]
pub(crate) use self::streamed::{ItemsBothWays, ItemsDown, ItemsUp, OneEachWay};

use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::time::Duration;

use crate::error::{Code, Error, Result};
#[cfg(feature = "bincode")]
use crate::format::Bincode;
#[cfg(doc)]
use crate::limits::Limits;
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
/// The types are owned ones, `String` and not `&str`: a handler of a `Command<&str, _>` does not
/// compile, since its request would outlive the payload that it borrows from.
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
    /// If the new name breaks the rules, as for [`new`](Self::new); in a `const` that is a compile
    /// error.
    #[must_use]
    pub const fn under(self, prefix: &str) -> Self {
        Self::named(Name::valid(self.name.behind(prefix)), self.facts)
    }

    const fn named(name: Name, facts: Facts) -> Self {
        assert!(!name.is_reserved(), "command names that begin with `?` belong to the endpoint");
        Self { name, facts, types: PhantomData }
    }

    /// Describes the command in a sentence, for people. It has no other effect.
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

    /// Says that running the command twice does no more than running it once. The library repeats
    /// nothing because of that: it is for a program that decides whether to call again.
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

    /// Sets the time that a call of this command may take, at least 1 ms. It replaces
    /// [`Limits::call_time_max`] for this command, and may be more or less.
    ///
    /// - The side that answers stops the handler after it, with `deadline_exceeded`. The deadline
    ///   of the caller (`t=` on the wire) can only shorten it.
    /// - The side that asks gives up after it, counted from the first poll, and tells the peer so
    ///   (`t=`). [`Call::timeout`](crate::Call::timeout) sets another time for one call, longer or
    ///   shorter. A one-way call tells its peer no time.
    /// - For a streamed call it is the time for all items. The side that answers keeps it only if
    ///   the side that asks has sent it.
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

    /// Sets the bytes that a request or a reply of this command may have. It replaces
    /// [`Limits::payload_bytes_max`] for this command, on both sides, and may be more or fewer.
    /// [`Facts::payload_bytes_max`] says which other limits follow from it.
    ///
    /// A payload over it is refused with `too_large`; that of the caller before a byte of it is
    /// sent. For a streamed command it bounds the value that a request begins with, or a reply ends
    /// with: items have [`Limits::item_bytes_max`].
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

    /// Says that running it changes nothing, so a door may offer it to callers that only read, such
    /// as a browser's `GET`. It is [idempotent](Self::idempotent), too.
    ///
    /// ```
    /// # use switchboard::{Command, format::Line};
    /// const TIME: Command<(), String, Line> = Command::new("TIME").read_only();
    /// assert!(TIME.facts().is_read_only() && TIME.facts().is_idempotent());
    /// ```
    #[must_use]
    pub const fn read_only(mut self) -> Self {
        (self.facts.is_read_only, self.facts.is_idempotent) = (true, true);
        self
    }

    /// Says that the items of its reply have positions in their source, and that a caller may [go
    /// on](crate::StreamedCall::resume_at) at one of them. The handler looks at
    /// [`Context::resume_at`](crate::Context::resume_at), and says by
    /// [`Sender::open_at`](crate::Sender::open_at) where its items begin. Other commands refuse a
    /// call that wants to go on, with `invalid`.
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

    /// As [`resumable`](Self::resumable), with positions that mean the same at every back end of a
    /// service: a [balanced](crate::Client::balance) client then goes on at another one, and else
    /// at the same one alone.
    ///
    /// ```
    /// # #[cfg(feature = "bincode")] {
    /// # use switchboard::{Command, Streamed};
    /// const NEWS: Command<(), Streamed<String>> = Command::new("NEWS").resumable_anywhere();
    /// assert!(NEWS.facts().is_resumable() && NEWS.facts().is_resumable_anywhere());
    /// # }
    /// ```
    #[must_use]
    pub const fn resumable_anywhere(mut self) -> Self {
        (self.facts.is_resumable, self.facts.is_resumable_anywhere) = (true, true);
        self
    }

    /// Says that a call of it has no end of its own, such as a subscription, or following a log.
    /// When the endpoint drains, such a call ends at once with `shutting_down`; others have
    /// `drain_time_max` to end.
    ///
    /// It says nothing of time: a call without items ends after `call_time_max` all the same,
    /// unless the command has a [`timeout`](Self::timeout).
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

    /// The facts of the command beside its name and its types.
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

impl<Req, Rep, F> Command<Req, Rep, F> {
    /// The parts on which two programs must agree; see
    /// [`Client::check_all`](crate::Client::check_all). It takes some milliseconds.
    #[must_use]
    pub fn signature<Kind>(&self) -> Signature
    where
        Types<Req, Rep, F>: Described<Kind>,
    {
        Signature::of::<Types<Req, Rep, F>, Kind>(self.name)
    }

    /// Checks that values of its types can travel in its format, from one Rust program to another.
    /// An endpoint does so when a handler is registered; this is for programs that only call. It
    /// takes some milliseconds for the first command with a type, and belongs in a test: see
    /// [`check_all`].
    ///
    /// # Errors
    ///
    /// `failed`, with the name of the command, the type, the place in it, the reason and a way out.
    /// A type that cannot be traced passes.
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
    pub fn check<Kind>(&self) -> Result<()>
    where
        Types<Req, Rep, F>: Described<Kind>,
    {
        signature::check::<Types<Req, Rep, F>, Kind>(self.name)
    }
}

/// All of these checks in one, for a test with a list of the commands of a crate.
///
/// # Errors
///
/// `failed`, with a line for each command that fails.
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
