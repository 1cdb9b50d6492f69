//! The two ways of a call: over a connection of lines, which is the fast one, or over any channel.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::time::Sleep;

use crate::clock::{after, poll_due};
use crate::command::Facts;
use crate::conn::{Handle, Outgoing, Unsent, polled_too_late};
use crate::error::{Code, Error, Result};
use crate::limits::{Limits, PayloadMax};
use crate::service::{Answer, Channel, Items, Reply, Request, pipe};
use crate::session::Received;

/// How calls are made.
#[derive(Clone)]
pub(super) enum Way {
    Connection(Arc<Handle>),
    Channel(Arc<dyn Channel>),
}

/// A call by a [`Way`] and its reply, from before it is sent.
#[expect(clippy::large_enum_variant, reason = "the fast way is not to be boxed")]
pub(super) enum Exchange {
    Connection(Outgoing),
    Channel(Box<OverChannel>),
}

/// A call over a channel. It is handed over when it is polled.
pub(super) struct OverChannel {
    channel: Arc<dyn Channel>,
    unsent: Unsent,
    answer: Option<Answer>,
    // When it ends, whatever the channel does; from the first poll on.
    due: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Way {
    pub(super) fn limits(&self) -> &Limits {
        match self {
            Self::Connection(handle) => handle.shared().limits(),
            Self::Channel(channel) => channel.limits(),
        }
    }

    #[inline]
    pub(super) fn exchange(&self, unsent: Unsent) -> Exchange {
        match self {
            Self::Connection(handle) => {
                Exchange::Connection(Outgoing::new(Arc::clone(handle), unsent))
            }
            Self::Channel(channel) => {
                let (channel, answer) = (Arc::clone(channel), None);
                let (due, timer) = (None, None);
                Exchange::Channel(Box::new(OverChannel { channel, unsent, answer, due, timer }))
            }
        }
    }
}

impl Exchange {
    pub(super) fn poll_call(&mut self, cx: &mut Context<'_>) -> Poll<Result<Received>> {
        match self {
            Self::Connection(call) => call.poll_call(cx),
            Self::Channel(call) => {
                let reply = ready!(call.poll(cx, false)).map(Reply::into_received);
                Poll::Ready(reply.and_then(|reply| call.check_size(reply)))
            }
        }
    }

    /// Sends a streamed call; answers where its items are.
    pub(super) fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Result<Arc<dyn Items>>> {
        match self {
            Self::Connection(call) => {
                let opened = ready!(call.poll_open(cx));
                Poll::Ready(opened.map(|items| Arc::new(items) as Arc<dyn Items>))
            }
            Self::Channel(call) => Poll::Ready(call.open()),
        }
    }

    pub(super) fn poll_notify(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        match self {
            Self::Connection(call) => call.poll_notify(cx),
            Self::Channel(call) => call.poll(cx, true).map_ok(|_| ()),
        }
    }

    /// Whether nobody but its caller moves it.
    pub(super) const fn is_over_channel(&self) -> bool {
        matches!(self, Self::Channel(_))
    }

    pub(super) fn limits(&self) -> &Limits {
        match self {
            Self::Connection(call) => call.handle().shared().limits(),
            Self::Channel(call) => call.channel.limits(),
        }
    }

    /// What its command has in place of limits.
    pub(super) fn facts(&self) -> Option<&Facts> {
        self.unsent().facts.as_deref()
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
            self.due = Some(self.due(is_one_way));
            self.answer = Some(self.channel.call(request?));
        }
        let Some(answer) = &mut self.answer else {
            return Poll::Ready(Err(polled_too_late()));
        };
        let result = match Pin::new(answer).poll(cx) {
            Poll::Ready(result) => result.map_err(Error::of_channel),
            Poll::Pending => Err(ready!(self.poll_time(cx))),
        };
        self.answer = None;
        Poll::Ready(result)
    }

    /// Begins a streamed call.
    fn open(&mut self) -> Result<Arc<dyn Items>> {
        let (near, far) = pipe();
        let payload = self.unsent.payload.take().ok_or_else(polled_too_late)?;
        let mut request = self.request(payload?.freeze(), false)?;
        request.set_items(Arc::new(far));
        self.due = Some(self.due(false));
        self.answer = Some(self.channel.call(request));
        Ok(Arc::new(near))
    }

    fn due(&self, is_one_way: bool) -> Instant {
        self.unsent.deadline.unwrap_or_else(|| {
            let time = match self.unsent.timeout(!is_one_way) {
                Some(time) => time,
                None if self.unsent.is_streamed() => Duration::MAX,
                None => self.channel.limits().call_time_max,
            };
            after(time).into_std()
        })
    }

    /// The error of a call that its channel has not ended in time. Outside of a runtime there is
    /// no timer, and it is left to the channel.
    fn poll_time(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        let Some(due) = self.due else {
            return Poll::Pending;
        };
        ready!(poll_due(&mut self.timer, due, cx));
        Poll::Ready(self.unsent.late(self.channel.limits()))
    }

    fn request(&self, payload: Bytes, is_one_way: bool) -> Result<Request> {
        let mut request = Request::of_command(self.unsent.name, self.unsent.format, payload);
        if let Some(deadline) = self.unsent.deadline {
            request = request.with_deadline(deadline);
        } else if let Some(time) = self.unsent.timeout(!is_one_way) {
            request = request.with_timeout(time);
        }
        request.set_facts(self.unsent.facts.clone());
        if let Some(beside) = &self.unsent.beside {
            if let Some(position) = beside.resume_at {
                request = request.resume_at(position);
            }
            if let Some(trace) = &beside.trace {
                request = request.with_trace(trace);
            }
            if !beside.metadata.is_empty() {
                request = request.with_metadata(&beside.metadata);
            }
        }
        Ok(if is_one_way { request.one_way() } else { request })
    }

    /// The reply, if it is as large as one of its command may be. That of another is not bounded
    /// here: what the channel takes in is its own matter.
    fn check_size(&self, reply: Received) -> Result<Received> {
        let bytes = self.unsent.facts.as_ref().and_then(|facts| facts.payload_bytes_max());
        let Some(max) = bytes.map(|bytes| PayloadMax { bytes, is_of_command: true }) else {
            return Ok(reply);
        };
        let bytes = reply.payload.len();
        if bytes > max.bytes {
            let error = Error::local(Code::TooLarge, max.too_large(bytes));
            return Err(error.of_reply());
        }
        Ok(reply)
    }
}
