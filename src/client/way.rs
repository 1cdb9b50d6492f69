//! The two ways of a call: over a plain connection, which is the fast one, or over any channel.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use crate::conn::{Handle, Outgoing, Unsent, polled_too_late};
use crate::error::Result;
use crate::limits::Limits;
use crate::service::{Answer, Channel, Reply, Request};

/// How calls are made.
#[derive(Clone)]
pub(super) enum Way {
    Connection(Arc<Handle>),
    Channel(Arc<dyn Channel>),
}

/// One call by a [`Way`].
#[expect(clippy::large_enum_variant, reason = "the fast way is not to be boxed")]
pub(super) enum Sent {
    Connection(Outgoing),
    Channel(Box<OverChannel>),
}

/// A call over a channel. It is handed over when it is polled.
pub(super) struct OverChannel {
    channel: Arc<dyn Channel>,
    unsent: Unsent,
    answer: Option<Answer>,
}

impl Way {
    pub(super) fn limits(&self) -> &Limits {
        match self {
            Self::Connection(handle) => handle.shared().limits(),
            Self::Channel(channel) => channel.limits(),
        }
    }

    pub(super) fn send(&self, unsent: Unsent) -> Sent {
        match self {
            Self::Connection(handle) => Sent::Connection(Outgoing::new(Arc::clone(handle), unsent)),
            Self::Channel(channel) => {
                let (channel, answer) = (Arc::clone(channel), None);
                Sent::Channel(Box::new(OverChannel { channel, unsent, answer }))
            }
        }
    }
}

impl Sent {
    pub(super) fn poll_call(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes>> {
        match self {
            Self::Connection(call) => call.poll_call(cx),
            Self::Channel(call) => call.poll(cx, false).map_ok(Reply::into_payload),
        }
    }

    pub(super) fn poll_notify(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        match self {
            Self::Connection(call) => call.poll_notify(cx),
            Self::Channel(call) => call.poll(cx, true).map_ok(|_| ()),
        }
    }

    pub(super) fn limits(&self) -> &Limits {
        match self {
            Self::Connection(call) => call.handle().shared().limits(),
            Self::Channel(call) => call.channel.limits(),
        }
    }

    pub(super) fn command(&self) -> &str {
        self.unsent().name.as_str()
    }

    pub(super) fn unsent_mut(&mut self) -> &mut Unsent {
        match self {
            Self::Connection(call) => call.unsent_mut(),
            Self::Channel(call) => &mut call.unsent,
        }
    }

    fn unsent(&self) -> &Unsent {
        match self {
            Self::Connection(call) => call.unsent(),
            Self::Channel(call) => &call.unsent,
        }
    }
}

impl OverChannel {
    fn poll(&mut self, cx: &mut Context<'_>, is_one_way: bool) -> Poll<Result<Reply>> {
        if let Some(payload) = self.unsent.payload.take() {
            let request = payload.and_then(|payload| self.request(payload.freeze(), is_one_way));
            self.answer = Some(self.channel.call(request?));
        }
        let Some(answer) = &mut self.answer else {
            return Poll::Ready(Err(polled_too_late()));
        };
        let result = ready!(std::pin::Pin::new(answer).poll(cx));
        self.answer = None;
        Poll::Ready(result)
    }

    fn request(&self, payload: Bytes, is_one_way: bool) -> Result<Request> {
        let mut request = Request::of_command(self.unsent.name, payload);
        if let Some(deadline) = self.unsent.deadline {
            request = request.with_deadline(deadline);
        }
        if let Some(trace) = &self.unsent.trace {
            request = request.with_trace(trace)?;
        }
        Ok(if is_one_way { request.one_way() } else { request })
    }
}
