//! A call over any channel: as a request, whose answer is waited for.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use tokio::time::Sleep;

use crate::asking::{Unsent, polled_too_late};
use crate::clock::{now, poll_due};
use crate::error::{Code, Error, Result};
use crate::limits::PayloadMax;
use crate::service::{Answer, Channel, Items, Reply, Request, pipe};
use crate::session::Received;

/// A call over a channel. It is handed over when it is polled.
pub(super) struct OverChannel {
    pub(super) channel: Arc<dyn Channel>,
    pub(super) unsent: Unsent,
    answer: Option<Answer>,
    // When it ends, whatever the channel does; from the first poll on.
    due: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl OverChannel {
    pub(super) fn new(channel: &Arc<dyn Channel>, unsent: Unsent) -> Box<Self> {
        let (channel, answer) = (Arc::clone(channel), None);
        Box::new(Self { channel, unsent, answer, due: None, timer: None })
    }

    pub(super) fn poll_call(&mut self, cx: &mut Context<'_>) -> Poll<Result<Received>> {
        let reply = ready!(self.poll(cx, false)).map(Reply::into_received);
        Poll::Ready(reply.and_then(|reply| self.check_size(reply)))
    }

    pub(super) fn poll_notify(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.poll(cx, true).map_ok(|_| ())
    }

    fn poll(&mut self, cx: &mut Context<'_>, is_one_way: bool) -> Poll<Result<Reply>> {
        if let Some(payload) = self.unsent.payload.take() {
            let request = payload.and_then(|payload| self.request(payload.freeze(), is_one_way));
            self.due = self.unsent.due(now(), !is_one_way, self.channel.limits());
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
    pub(super) fn open(&mut self) -> Result<Arc<dyn Items>> {
        let (near, far) = pipe();
        let payload = self.unsent.payload.take().ok_or_else(polled_too_late)?;
        let mut request = self.request(payload?.freeze(), false)?;
        request.set_items(Arc::new(far));
        self.due = self.unsent.due(now(), true, self.channel.limits());
        self.answer = Some(self.channel.call(request));
        Ok(Arc::new(near))
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
        if self.unsent.is_idempotent {
            request = request.idempotent();
        }
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
