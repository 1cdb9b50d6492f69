//! An error of a callee, as one for whoever has called the handler that asked it.

use std::sync::Arc;

use super::{Code, Error, Reach};

impl Error {
    /// Makes this error of a callee one for the caller, who gets its code, its text and its
    /// [`retry_after`](Self::retry_after).
    ///
    /// Only the callee's own error is passed on whole. For an error that this side found out, the
    /// caller gets `deadline_exceeded`, `overloaded`, `cancelled`, or else `failed`, and a text
    /// that says no more: the callee's address must not reach the caller. So `disconnected` becomes
    /// `failed`. The error itself stays here, as the source, and is logged when the handler ends.
    ///
    /// ```
    /// # use switchboard::{Client, Command, Error, Result};
    /// # const CHECK_STOCK: Command<String, u32> = Command::new("CHECK_STOCK");
    /// # async fn example(warehouse: Client, item: String) -> Result<u32> {
    /// warehouse.call(CHECK_STOCK, &item).await.map_err(Error::pass_on)
    /// # }
    /// ```
    #[must_use]
    pub fn pass_on(mut self) -> Self {
        let cause = (!self.facts.is_from_peer).then(|| Self { facts: self.facts.clone() });
        let facts = &mut *self.facts;
        facts.reach = Reach::Author;
        if let Some(cause) = cause {
            facts.code = match facts.code {
                code @ (Code::DeadlineExceeded | Code::Overloaded | Code::Cancelled) => code,
                _ => Code::Failed,
            };
            facts.text = match facts.has_no_way_back {
                true => "the handler calls its caller back, and there is no way back".into(),
                false => "another service, which was asked for this, gave no answer".into(),
            };
            facts.source = Some(Arc::new(cause));
            facts.stands_for_other = true;
        }
        facts.fault = facts.code.fault();
        // That the callee may have run stays true of it.
        (facts.is_from_peer, facts.command) = (false, None);
        self
    }

    /// Says that nobody can be called back.
    #[cfg(feature = "io")]
    pub(crate) fn without_way_back(mut self) -> Self {
        self.facts.has_no_way_back = true;
        self
    }

    /// Whether a handler that returns this keeps something from its caller.
    #[cfg(feature = "io")]
    pub(crate) fn is_withheld(&self) -> bool {
        self.facts.stands_for_other || self.text_for_peer().is_none()
    }
}
