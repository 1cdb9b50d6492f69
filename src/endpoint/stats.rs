//! What an endpoint has counted, told to the program.

use super::Endpoint;
use crate::ledger::Stats;

impl Endpoint {
    /// What this endpoint and its clones have done so far. It takes a few microseconds, and longer
    /// with many commands; calls do not wait for it.
    ///
    /// Calls of all doors count: those of a session, plain or with a tag, of `net/rpc`, of HTTP, of
    /// a [`door`](Self::door) and within the process. `?STATS` tells the same to a peer.
    ///
    /// ```
    /// use switchboard::{Code, Endpoint, service::{Request, Service}};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> switchboard::Result<()> {
    /// let endpoint = Endpoint::new();
    /// let refused = endpoint.door().call(Request::new("NOBODY", "")?).await;
    /// assert!(refused.is_err());
    /// assert_eq!(endpoint.stats().calls_refused.get(&Code::UnknownCommand), Some(&1));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.router.stats()
    }
}
