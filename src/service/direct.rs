//! A single request that came through no connection, or that has one to itself.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::answer::{Answer, Life, Waiting};
use super::seam::{Caller, Channel};
use super::tasks::Tasks;
use crate::limits::PayloadMax;
use crate::quota::{Held, Quota};
use crate::session::CallId;
use crate::transport::Peer;
use crate::wire::Metadata;

/// The caller of one call: it waits until the answer is there or dropped, and cannot be called.
pub(crate) struct Direct {
    peer: Peer,
    quota: Arc<Quota>,
    life: Arc<Life>,
}

impl Direct {
    pub(crate) fn new(peer: Peer, quota: Arc<Quota>) -> Arc<Self> {
        Arc::new(Self { peer, quota, life: Arc::default() })
    }

    /// Lets the answer account for itself: what it holds, and that somebody waits.
    pub(crate) fn wait_for(&self, answer: Answer, held: Held, payload_max: PayloadMax) -> Answer {
        answer.direct(Waiting::new(&self.life), held, payload_max)
    }
}

/// The caller of a plain call: its connection, for as long as the call lasts.
pub(crate) struct Plainly {
    caller: Arc<dyn Caller>,
    life: Arc<Life>,
}

impl Plainly {
    pub(crate) fn new(caller: Arc<dyn Caller>) -> Arc<Self> {
        Arc::new(Self { caller, life: Arc::default() })
    }

    /// Somebody waits for the answer until this is dropped.
    pub(crate) fn waiting(&self) -> impl Drop + use<> {
        Waiting::new(&self.life)
    }
}

impl Caller for Plainly {
    fn peer(&self) -> &Peer {
        self.caller.peer()
    }

    fn quota(&self) -> &Arc<Quota> {
        self.caller.quota()
    }

    fn is_waiting(&self, _: CallId) -> bool {
        !self.life.is_over()
    }

    fn cancelled(&self, _: CallId) -> CancellationToken {
        self.life.signal()
    }

    fn draining(&self) -> CancellationToken {
        self.caller.draining()
    }

    fn tasks(&self) -> Option<&Arc<Tasks>> {
        self.caller.tasks()
    }

    fn set_reply_metadata(&self, call: CallId, metadata: Metadata) {
        self.caller.set_reply_metadata(call, metadata);
    }

    fn channel(self: Arc<Self>, call: CallId) -> Option<Arc<dyn Channel>> {
        Arc::clone(&self.caller).channel(call)
    }
}

impl Caller for Direct {
    fn peer(&self) -> &Peer {
        &self.peer
    }

    fn quota(&self) -> &Arc<Quota> {
        &self.quota
    }

    fn is_waiting(&self, _: CallId) -> bool {
        !self.life.is_over()
    }

    fn cancelled(&self, _: CallId) -> CancellationToken {
        self.life.signal()
    }

    /// One that came through a door has been told by that.
    fn draining(&self) -> CancellationToken {
        CancellationToken::new()
    }

    fn tasks(&self) -> Option<&Arc<Tasks>> {
        None
    }

    fn set_reply_metadata(&self, _: CallId, metadata: Metadata) {
        self.life.set_metadata(metadata);
    }

    fn channel(self: Arc<Self>, _: CallId) -> Option<Arc<dyn Channel>> {
        None
    }
}
