//! A single request that came through no connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::answer::{Answer, Waiting};
use super::seam::{Caller, Channel};
use crate::limits::PayloadMax;
use crate::quota::{Held, Quota};
use crate::session::CallId;
use crate::transport::Peer;

/// The caller of one call: it waits until the answer is there or dropped, and cannot be called.
pub(crate) struct Direct {
    peer: Peer,
    quota: Arc<Quota>,
    is_over: Arc<AtomicBool>,
}

impl Direct {
    pub(crate) fn new(peer: Peer, quota: Arc<Quota>) -> Arc<Self> {
        Arc::new(Self { peer, quota, is_over: Arc::default() })
    }

    /// Lets the answer account for itself: what it holds, and that somebody waits.
    pub(crate) fn wait_for(&self, answer: Answer, held: Held, payload_max: PayloadMax) -> Answer {
        answer.direct(Waiting::new(&self.is_over), held, payload_max)
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
        !self.is_over.load(Ordering::Acquire)
    }

    fn channel(self: Arc<Self>, _: CallId) -> Option<Arc<dyn Channel>> {
        None
    }
}
