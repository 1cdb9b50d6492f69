//! What a handler may know of the call it answers.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::conn::Shared;
use crate::session::Call;
use crate::stream::now;
use crate::transport::Peer;

/// A handler's optional second argument: who calls, until when, and a way to call back.
///
/// ```
/// use switchboard::{Context, Result};
///
/// async fn whoami(_request: (), context: Context) -> Result<String> {
///     Ok(context.peer().to_string())
/// }
/// ```
#[derive(Clone)]
pub struct Context {
    shared: Arc<Shared>,
    // Without its payload.
    call: Box<Call>,
}

impl Context {
    pub(crate) fn new(shared: Arc<Shared>, call: Box<Call>) -> Self {
        Self { shared, call }
    }

    /// The name under which the handler was called.
    #[must_use]
    pub fn command(&self) -> &str {
        self.call.name.as_str()
    }

    /// Who is calling: the address and, on a Unix socket, the credentials of the process.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        self.shared.peer()
    }

    /// A client that calls back over the same connection, also while either side is closing it:
    /// until this call has its answer. What is left of the draining time is left for both.
    ///
    /// Where the call was made plainly there is no calling back: its caller has the stream until
    /// the reply, so calls fail with `unsupported_format` until then.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::guest(Arc::clone(&self.shared), self.call.id)
    }

    /// When the answer is due; after it the handler is stopped and the caller told.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.call.deadline
    }

    /// Time left until [`deadline`](Self::deadline). To pass on, by
    /// [`Call::timeout`](crate::Call::timeout).
    #[must_use]
    pub fn time_left(&self) -> Duration {
        self.call.deadline.saturating_duration_since(now())
    }

    /// Whether nobody waits for the answer any more. An async handler need not ask: it is stopped
    /// at its next await. A blocking one should, now and then.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        !self.call.is_plain() && !self.shared.with(|session| session.is_wanted(self.call.id))
    }

    /// Whether the caller wants no reply.
    #[must_use]
    pub fn is_one_way(&self) -> bool {
        !self.call.is_plain() && self.call.id.tag() == 0
    }

    /// The W3C traceparent that the caller sent, not looked into.
    #[must_use]
    pub fn trace(&self) -> Option<&str> {
        std::str::from_utf8(self.call.options.trace()?).ok()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("command", &self.call.name)
            .field("peer", self.shared.peer())
            .field("deadline", &self.call.deadline)
            .finish_non_exhaustive()
    }
}
