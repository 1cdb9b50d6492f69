//! A connection at the seam: as a channel to call over, and as the caller of what comes in by it.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::bridge::Bridge;
use super::handle::Handle;
use super::outgoing::Outgoing;
use super::shared::Shared;
use crate::error::{Code, Error, Result};
use crate::limits::Limits;
use crate::quota::Quota;
use crate::service::{
    Answer, BoxFuture, Caller, Channel, ChannelStates, Reply, Request, Service, Tasks,
};
use crate::session::CallId;
use crate::transport::Peer;
use crate::wire::Metadata;

/// A connection as a channel. A typed call of its [`Client`](crate::Client) makes the same
/// [`Outgoing`] call itself, and so spares a request and its answer.
#[derive(Clone)]
pub(crate) struct ConnectionChannel(pub(crate) Arc<Handle>);

impl Service for ConnectionChannel {
    fn call(&self, request: Request) -> Answer {
        let (is_one_way, items) = (request.is_one_way(), request.items().cloned());
        let unsent = request.into_unsent();
        if items.is_some() && !unsent.is_streamed() {
            let text = "a streamed call over a connection is made by its command";
            return Answer::ready(Err(Error::local(Code::UnsupportedFormat, text)));
        }
        let mut call = Outgoing::new(Arc::clone(&self.0), unsent);
        if let Some(items) = items {
            return Answer::new(Bridge::new(call, items));
        }
        Answer::new(std::future::poll_fn(move |cx| {
            if is_one_way {
                call.poll_notify(cx).map_ok(|()| Reply::default())
            } else {
                call.poll_call(cx).map_ok(Reply::received)
            }
        }))
    }
}

impl Channel for ConnectionChannel {
    fn limits(&self) -> &Limits {
        self.0.shared().limits()
    }

    fn peer(&self) -> Peer {
        self.0.shared().peer().clone()
    }

    fn states(&self) -> ChannelStates {
        // Not by the handle, which would keep the connection open.
        let shared = Arc::clone(self.0.shared());
        ChannelStates::until(async move { shared.ended().await })
    }

    fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    fn close(&self) {
        self.0.shared().close();
    }

    fn closed(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.0.shared().ended())
    }

    fn flush(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.0.shared().flush())
    }
}

impl Caller for Shared {
    fn peer(&self) -> &Peer {
        Self::peer(self)
    }

    fn quota(&self) -> &Arc<Quota> {
        Self::quota(self)
    }

    fn is_waiting(&self, call: CallId) -> bool {
        self.with(|session| session.is_wanted(call))
    }

    fn cancelled(&self, call: CallId) -> CancellationToken {
        Self::cancelled(self, call)
    }

    fn draining(&self) -> CancellationToken {
        Self::draining(self)
    }

    fn tasks(&self) -> Option<&Arc<Tasks>> {
        Self::tasks(self)
    }

    fn set_reply_metadata(&self, call: CallId, metadata: Metadata) {
        self.with_reserved(|session, reserved| {
            session.set_reply_metadata(call, metadata);
            // What it says it may say: if that cannot be had, the peer is not read until it is.
            let _ = reserved.cover(session.held_bytes());
        });
    }

    fn channel(self: Arc<Self>, call: CallId) -> Option<Arc<dyn Channel>> {
        Some(Arc::new(ConnectionChannel(Handle::guest(self, call))))
    }
}
