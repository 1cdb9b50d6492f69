//! The task that dials, and waits for the end of what it has dialled.
//!
//! ```text
//!          ┌──────────────────────────────────────────────────────────┐
//!          ▼                failed: one failure more                  │
//!   pause, unless it is the first ──► dial ──► connected ──► ended, or spent: one failure more,
//!                                                            or none if it was any good
//! ```

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::options::Options;
use super::slot::Slot;
use crate::client::Client;
use crate::conn::{Handle, Shared};
use crate::error::{Code, Error, Result};
use crate::service::{BoxFuture, caught, caught_to_end};

/// Makes a connection.
pub(crate) type Dial = Box<dyn Fn() -> BoxFuture<'static, Result<Client>> + Send + Sync>;

/// The task.
pub(crate) struct Keeper {
    slot: Arc<Slot>,
    dial: Dial,
    options: Options,
    // Of the last connection.
    last_id: u64,
    // In a row.
    failures: u32,
    // Those that have not ended, as far as is known. One that takes no more calls may have some
    // under way.
    connections: Vec<Arc<Shared>>,
}

impl Keeper {
    /// Its connections have the numbers behind this one.
    pub(crate) fn new(slot: &Arc<Slot>, dial: Dial, options: Options, last_id: u64) -> Self {
        let (failures, connections) = (0, Vec::new());
        Self { slot: Arc::clone(slot), dial, options, last_id, failures, connections }
    }

    /// Runs until nobody calls any more.
    pub(crate) async fn run(mut self) {
        let slot = Arc::clone(&self.slot);
        let mut pause = Duration::ZERO;
        let closing = slot.closing();
        loop {
            tokio::select! {
                biased;
                () = closing.cancelled() => break,
                () = sleep(pause) => {}
            }
            let dialled = tokio::select! {
                biased;
                () = closing.cancelled() => break,
                dialled = self.connect() => dialled,
            };
            match dialled {
                Ok(handle) => {
                    self.connections.retain(|connection| !connection.is_ended());
                    self.connections.push(Arc::clone(handle.shared()));
                    if self.keep(&handle).await {
                        break;
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, failures = self.failures, "a dial failed");
                    self.failures = self.failures.saturating_add(1);
                    slot.fail(error);
                }
            }
            pause = self.options.backoff.pause(self.failures);
        }
        self.connections.iter().for_each(|connection| connection.close());
        for connection in &self.connections {
            connection.ended().await;
        }
    }

    async fn connect(&self) -> Result<Arc<Handle>> {
        let time = self.options.connect_time_max;
        let late = |_| {
            let text = format!("no connection was made within connect_time_max ({time:?})");
            Err(Error::local(Code::Disconnected, text))
        };
        let client = timeout(time, self.dial()).await.unwrap_or_else(late)?;
        client.connection().cloned().ok_or_else(|| {
            let text = "what was dialled is not a connection of lines: a Reconnect needs one";
            Error::local(Code::Failed, text)
        })
    }

    /// Dials by code of the user's: a panic of it is an error as any other.
    async fn dial(&self) -> Result<Client> {
        let panicked = |_| Error::local(Code::Panicked, "the dial panicked");
        let dialling = caught(|| (self.dial)()).map_err(panicked)?;
        caught_to_end(dialling).await.map_err(panicked)?
    }

    /// Lets calls have this connection until it takes no more; whether all is to end.
    async fn keep(&mut self, handle: &Arc<Handle>) -> bool {
        self.last_id = self.last_id.saturating_add(1);
        let began = Instant::now();
        self.slot.connect(handle, self.last_id);
        tokio::select! {
            () = self.slot.closing().cancelled() => return true,
            () = handle.shared().spent() => {}
        }
        self.slot.disconnect();
        // One that is accepted and ended again and again is no better than none.
        let was_good =
            self.slot.has_answered(self.last_id) || began.elapsed() >= self.options.backoff.most();
        self.failures = if was_good { 0 } else { self.failures.saturating_add(1) };
        false
    }
}

impl Drop for Keeper {
    /// Also if its runtime is gone, or it has panicked: nobody would dial any more.
    fn drop(&mut self) {
        self.slot.close();
    }
}
