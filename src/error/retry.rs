//! Whether to call again: whether it does harm, and whether it may go well.

use std::time::Duration;

use super::{Code, Error};

/// A time in whole milliseconds, rounded up: who comes too early comes in vain.
pub(crate) fn millis_up(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

impl Error {
    /// This error once more, with all that is known of it; both have the same source.
    #[cfg(any(feature = "io", feature = "blocking"))]
    pub(crate) fn again(&self) -> Self {
        Self { facts: self.facts.clone() }
    }

    /// This error once more, for somebody else on this side: with its details and what else there
    /// is to know for whoever calls again. Its source stays where it is.
    pub(crate) fn restated(&self) -> Self {
        let mut restated = Self::local(self.code(), self.facts.text.clone());
        restated.facts.unknown_word = self.facts.unknown_word;
        restated.facts.retry_after = self.facts.retry_after;
        restated.facts.details.clone_from(&self.facts.details);
        restated.facts.metadata.clone_from(&self.facts.metadata);
        restated
    }

    /// Whether the handler surely did not run, so calling again does nothing twice: the request was
    /// not sent, or the peer refused it with `overloaded` or `shutting_down` before its handler
    /// began. The same code from a handler does not count, since that had begun, nor does the one
    /// of a call that a drain has cut off. Nor does a code that a
    /// [`Connection`](crate::Connection) found in place of a line: it may be the reply of a handler
    /// that has run.
    ///
    /// It does not say that calling again can succeed: a request that is `too_large` stays too
    /// large, and a closed client stays closed. So a loop that tries again
    ///
    /// 1. stops at an error that is not safe to retry, unless the command is idempotent,
    /// 2. stops at one that is not [transient](Self::is_transient),
    /// 3. connects anew if the connection is closed,
    /// 4. waits in between, longer each time, and at least for [`retry_after`](Self::retry_after),
    /// 5. gives up after some attempts, or when its own deadline has passed.
    ///
    /// A client made by [`Client::reconnect`](crate::Client::reconnect) does all of that.
    ///
    /// ```
    /// # use switchboard::{Code, Error};
    /// assert!(Error::new(Code::Failed, "never left this process").is_safe_to_retry());
    /// ```
    #[must_use]
    pub fn is_safe_to_retry(&self) -> bool {
        let is_refused = matches!(self.code(), Code::Overloaded | Code::ShuttingDown);
        !self.was_sent() || self.is_from_peer() && is_refused && !self.facts.has_run
    }

    /// Whether the same call may succeed later: the code is `disconnected`, `overloaded`,
    /// `shutting_down` or `deadline_exceeded`, or the peer said when to [try
    /// again](Self::retry_after). A wrong call stays wrong, and so does a wrong address.
    ///
    /// It does not say that calling again is harmless. That is so if the call [did not
    /// run](Self::is_safe_to_retry), or its command is [idempotent](crate::Command::idempotent).
    ///
    /// ```
    /// # use switchboard::transport::Address;
    /// let error = "localhost:port".parse::<Address>().unwrap_err();
    /// assert!(!error.is_transient());
    /// ```
    #[must_use]
    pub fn is_transient(&self) -> bool {
        let passes = matches!(
            self.code(),
            Code::Disconnected | Code::Overloaded | Code::ShuttingDown | Code::DeadlineExceeded
        );
        passes || self.retry_after().is_some()
    }
}
