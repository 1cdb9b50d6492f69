//! The place of the connection of now, where the keeper puts it and calls find it.
//!
//! ```text
//!   Connecting ──a dial went well──► Connected ──it ended, or takes no more calls──► Connecting
//!        └───────────────── closed ──────┴───────────────────────────────────────► Closed
//! ```

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::runtime;
use tokio::sync::watch;
use tokio::task::unconstrained;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::budget::Budget;
use super::one_way::OneWay;
use super::options::Options;
use super::waiting::Waiting;
use crate::client::{Given, Supplied, Until};
use crate::clock::{after, timer};
use crate::conn::Handle;
use crate::error::{Code, Error, Result};
use crate::limits::Limits;
use crate::service::{ChannelState, ChannelStates};
use crate::transport::Peer;

/// What calls and the keeper share.
pub(crate) struct Slot {
    limits: Arc<Limits>,
    options: Options,
    connection: RwLock<Option<Connected>>,
    state: watch::Sender<ChannelState>,
    // That of the keeper.
    runtime: runtime::Handle,
    closing: CancellationToken,
    waiting: Arc<Waiting>,
    budget: Budget,
    // The last connection over which something was answered.
    answered: AtomicU64,
    one_way: OneWay,
    story: Mutex<Story>,
    // Told of each change, for whoever looks at several.
    changes: Option<Changes>,
}

/// Counts changes, so that whoever waits for one misses none.
pub(crate) type Changes = watch::Sender<u64>;

/// A connection, and which one it is.
struct Connected {
    handle: Arc<Handle>,
    given: Given,
}

/// What there was before.
#[derive(Default)]
struct Story {
    // Why there is no connection.
    why_none: Option<Error>,
    // The peer of the last one.
    peer: Option<Peer>,
}

impl Slot {
    pub(crate) fn new(
        limits: Arc<Limits>,
        options: Options,
        changes: Option<Changes>,
    ) -> Arc<Self> {
        let waiting = Waiting::new(options.waiting_calls_max, options.waiting_bytes_max);
        Arc::new(Self {
            limits,
            options,
            connection: RwLock::default(),
            state: watch::Sender::new(ChannelState::Connecting),
            runtime: runtime::Handle::current(),
            closing: CancellationToken::new(),
            waiting,
            budget: Budget::new(options.repeats_max),
            answered: AtomicU64::new(0),
            one_way: OneWay::default(),
            story: Mutex::default(),
            changes,
        })
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Cancelled when no more calls are taken.
    pub(crate) fn closing(&self) -> &CancellationToken {
        &self.closing
    }

    /// The peer of the connection, or of the one before.
    pub(crate) fn peer(&self) -> Peer {
        self.story().peer.clone().unwrap_or_else(|| Peer::nobody().clone())
    }

    pub(crate) fn states(&self) -> ChannelStates {
        ChannelStates::watched(self.state.subscribe())
    }

    pub(crate) fn why_none(&self) -> Option<Error> {
        self.story().why_none.as_ref().map(Error::again)
    }

    /// The connection that is there. Whether it takes calls, a call finds out.
    pub(crate) fn current(&self) -> Option<Supplied> {
        let connection = self.connection.read().unwrap_or_else(PoisonError::into_inner);
        connection.as_ref().map(|Connected { handle, given }| Supplied {
            handle: Arc::clone(handle),
            given: *given,
        })
    }

    /// Waits for a connection that takes calls, in a place among those who wait.
    pub(crate) async fn wait(self: Arc<Self>, bytes: usize, pause: Duration) -> Result<Supplied> {
        let _place = self.waiting.enter(bytes)?;
        if !pause.is_zero() {
            tokio::select! {
                () = self.until(after(pause).into_std()) => {}
                () = self.closing.cancelled() => {}
            }
        }
        let mut state = self.state.subscribe();
        loop {
            // Seen before looking, so that no change in between is missed.
            let is_closed = *state.borrow_and_update() == ChannelState::Closed;
            if is_closed || self.closing.is_cancelled() {
                return Err(Error::local(Code::Disconnected, "the client is closed"));
            }
            // One that takes no more calls the keeper replaces.
            if let Some(supplied) = self.current().filter(|it| !it.handle.is_closed()) {
                return Ok(supplied);
            }
            tokio::select! {
                _ = state.changed() => {}
                () = self.closing.cancelled() => {}
            }
        }
    }

    /// Over at this time, wherever it is polled.
    pub(crate) fn until(&self, due: Instant) -> Until {
        until(&self.runtime, due)
    }

    /// How long to wait before a call is made again.
    pub(crate) fn pause(&self, repeats: u32) -> Duration {
        self.options.backoff.pause(repeats)
    }

    /// Something was answered over this connection.
    #[inline]
    pub(crate) fn answered(&self, id: u64) {
        if self.answered.load(Ordering::Relaxed) < id {
            self.answered.fetch_max(id, Ordering::Relaxed);
        }
        self.budget.give();
    }

    pub(crate) fn has_answered(&self, id: u64) -> bool {
        self.answered.load(Ordering::Relaxed) >= id
    }

    /// The one-way calls.
    pub(crate) fn one_way(&self) -> &OneWay {
        &self.one_way
    }

    /// Waits until what was sent is written. What has become of calls that want a reply, they are
    /// told themselves.
    pub(crate) async fn flush(&self) -> Result<()> {
        if let Some(supplied) = self.current() {
            let _ = supplied.handle.shared().flush().await;
        }
        self.one_way.flush().await
    }

    /// Waits until the keeper has ended.
    pub(crate) async fn closed(&self) {
        let mut state = self.state.subscribe();
        // The sender is in here.
        let _ = state.wait_for(|state| *state == ChannelState::Closed).await;
    }

    /// There is this connection from now on.
    pub(crate) fn connect(&self, handle: &Arc<Handle>, id: u64) {
        let mut story = self.story();
        story.why_none = None;
        story.peer = Some(handle.shared().peer().clone());
        drop(story);
        let given = Given { id, at: None };
        self.put(Some(Connected { handle: Arc::clone(handle), given }));
        self.set(ChannelState::Connected);
    }

    /// There is no connection from now on.
    pub(crate) fn disconnect(&self) {
        self.put(None);
        self.set(ChannelState::Connecting);
    }

    /// A dial has failed.
    pub(crate) fn fail(&self, error: Error) {
        self.story().why_none = Some(error);
    }

    /// There is none, and none will come.
    pub(crate) fn close(&self) {
        self.closing.cancel();
        self.put(None);
        self.set(ChannelState::Closed);
    }

    fn set(&self, state: ChannelState) {
        self.state.send_replace(state);
        if let Some(changes) = &self.changes {
            changes.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    fn put(&self, connected: Option<Connected>) {
        let mut connection = self.connection.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *connection, connected);
        drop(connection);
        // It may close the connection, which is no matter of this lock.
        drop(before);
    }

    fn story(&self) -> MutexGuard<'_, Story> {
        self.story.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Over at this time. Outside of any runtime this one, which dials, tells.
pub(crate) fn until(runtime: &runtime::Handle, due: Instant) -> Until {
    if let Some(timer) = timer(due) {
        return Box::pin(unconstrained(timer));
    }
    let told = AbortOnDropHandle::new(runtime.spawn(async move { sleep_until(due.into()).await }));
    Box::pin(async move {
        if told.await.is_err() {
            // With that runtime the client is closed, which its callers are told.
            std::future::pending().await
        }
    })
}
