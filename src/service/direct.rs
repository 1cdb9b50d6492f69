//! A single request that came through no connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::caller::{Caller, NoWayBack};
use super::channel::Channel;
use crate::quota::Quota;
use crate::session::CallId;
use crate::transport::Peer;

/// The caller of one call: it waits until the answer is there or dropped, and cannot be called.
pub(crate) struct Direct {
    peer: Peer,
    quota: Arc<Quota>,
    is_over: AtomicBool,
}

/// Ends the waiting when it is dropped.
pub(crate) struct Waiting(Arc<Direct>);

impl Direct {
    pub(crate) fn new(peer: Peer, quota: Arc<Quota>) -> Arc<Self> {
        Arc::new(Self { peer, quota, is_over: AtomicBool::new(false) })
    }

    pub(crate) fn wait(self: Arc<Self>) -> Waiting {
        Waiting(self)
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

    fn channel(self: Arc<Self>, _: CallId) -> Arc<dyn Channel> {
        Arc::new(NoWayBack)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Release);
    }
}
