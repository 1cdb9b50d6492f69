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
use crate::conn::Handle;
use crate::error::{Code, Error, Result};
use crate::service::BoxFuture;

/// Makes a connection.
pub(super) type Dial = Box<dyn Fn() -> BoxFuture<'static, Result<Client>> + Send + Sync>;

/// The task.
pub(super) struct Keeper {
    slot: Arc<Slot>,
    dial: Dial,
    options: Options,
    // Of the connections so far.
    last_id: u64,
    // In a row.
    failures: u32,
}

impl Keeper {
    pub(super) fn new(slot: &Arc<Slot>, dial: Dial, options: Options) -> Self {
        Self { slot: Arc::clone(slot), dial, options, last_id: 0, failures: 0 }
    }

    /// Runs until nobody calls any more.
    pub(super) async fn run(mut self) {
        let slot = Arc::clone(&self.slot);
        let mut pause = Duration::ZERO;
        let mut last = None;
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
                    let is_closing = self.keep(&handle).await;
                    last = Some(handle);
                    if is_closing {
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
        if let Some(handle) = last {
            handle.shared().close();
            handle.shared().ended().await;
        }
        slot.close();
    }

    async fn connect(&self) -> Result<Arc<Handle>> {
        let time = self.options.connect_time_max;
        let late = |_| {
            let text = format!("no connection was made within connect_time_max ({time:?})");
            Err(Error::local(Code::Disconnected, text))
        };
        let client = timeout(time, (self.dial)()).await.unwrap_or_else(late)?;
        client.connection().cloned().ok_or_else(|| {
            let text = "what was dialled is not a connection of lines: a Reconnect needs one";
            Error::local(Code::Failed, text)
        })
    }

    /// Lets calls have this connection until it takes no more; whether all is to end.
    async fn keep(&mut self, handle: &Arc<Handle>) -> bool {
        self.last_id = self.last_id.saturating_add(1);
        let began = Instant::now();
        self.slot.connect(handle, self.last_id);
        let is_closing = loop {
            tokio::select! {
                () = self.slot.closing().cancelled() => break true,
                () = handle.shared().ended() => break false,
                // It may have been said of the one before.
                () = self.slot.spent() => if handle.is_closed() { break false },
            }
        };
        if is_closing {
            return true;
        }
        self.slot.disconnect();
        // One that is accepted and ended again and again is no better than none.
        let was_good =
            self.slot.has_answered(self.last_id) || began.elapsed() >= self.options.backoff.most();
        self.failures = if was_good { 0 } else { self.failures.saturating_add(1) };
        false
    }
}
