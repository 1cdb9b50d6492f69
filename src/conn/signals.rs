//! What is told to handlers that ask for it: that nobody waits for them, that it is time to end.
//!
//! Most never ask, so there is nothing of this on most connections.

use foldhash::HashMap;
use tokio_util::sync::CancellationToken;

use crate::session::CallId;

#[derive(Default)]
pub(super) struct Signals {
    // Of calls that somebody waits for.
    calls: HashMap<CallId, CancellationToken>,
    draining: Option<CancellationToken>,
    // To be cancelled when the lock is let go: that wakes.
    due: Vec<CancellationToken>,
}

impl Signals {
    /// The signal of a call that somebody waits for.
    pub(super) fn of_call(&mut self, id: CallId, new: CancellationToken) -> CancellationToken {
        self.calls.entry(id).or_insert(new).clone()
    }

    /// The signal of the connection.
    pub(super) fn of_drain(&mut self, new: CancellationToken) -> CancellationToken {
        self.draining.get_or_insert(new).clone()
    }

    pub(super) fn end_call(&mut self, id: CallId) {
        self.due.extend(self.calls.remove(&id));
    }

    /// Ends those that nobody waits for any more.
    pub(super) fn end_calls(&mut self, is_over: impl Fn(CallId) -> bool) {
        self.due.extend(self.calls.extract_if(|id, _| is_over(*id)).map(|(_, signal)| signal));
    }

    pub(super) fn drain(&mut self) {
        self.due.extend(self.draining.take());
    }

    /// Nobody waits for any call any more, and none will come.
    pub(super) fn end(&mut self) {
        self.due.extend(self.calls.drain().map(|(_, signal)| signal));
        self.drain();
    }

    pub(super) fn take_due(&mut self) -> Vec<CancellationToken> {
        std::mem::take(&mut self.due)
    }
}
