//! A streamed call without its types.
//!
//! ```text
//!   unsent ──first poll──► sent ──items, until they end──► the final reply, kept until it is taken
//! ```

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::way::Exchange;
use crate::asking::{explain, has_reply, not_resumed, over};
use crate::error::{Error, Result};
use crate::service::{Items, poll_lent, start_send};
use crate::session::{Item, Received};

/// A call without its types.
pub(super) struct Untyped {
    pub(super) exchange: Exchange,
    pub(super) format: &'static str,
    // Once it is sent.
    items: Option<Arc<dyn Items>>,
    // Lent, or taken by a `send` that learned of the end, to be given out before it.
    early: VecDeque<Item>,
    last: Last,
    // What it has failed with, once that has been given out.
    failed: Option<Error>,
    // Where it is to go on, until the other side has said that it does.
    resume_at: Option<u64>,
    // Where the item stands that was taken last.
    pub(super) position: Option<u64>,
    // The other side has said that it took the call.
    is_opened: bool,
    // Where to go on later.
    pub(super) next_position: Option<u64>,
}

enum Last {
    ToCome,
    Here(Result<Received>),
    Given,
}

impl Untyped {
    pub(super) fn new(exchange: Exchange, format: &'static str) -> Self {
        let (items, early, last) = (None, VecDeque::new(), Last::ToCome);
        let (failed, resume_at, position, next_position) = (None, None, None, None);
        let is_opened = false;
        Self {
            exchange,
            format,
            items,
            early,
            last,
            failed,
            resume_at,
            position,
            is_opened,
            next_position,
        }
    }

    /// Asks for the items from this position on.
    pub(super) fn resume_at(&mut self, position: Option<u64>) {
        (self.resume_at, self.next_position) = (position, position);
        self.exchange.unsent_mut().beside().resume_at = position;
    }

    /// The other side has taken the call, and its items begin here. If that is not where it was
    /// asked to go on, there is nothing to take.
    fn set_opened(&mut self, first: Option<u64>) {
        if !std::mem::replace(&mut self.is_opened, true) && self.next_position.is_none() {
            self.next_position = first;
        }
    }

    fn set_position(&mut self, position: Option<u64>) {
        (self.position, self.is_opened) = (position, true);
        self.next_position = position.and_then(|position| position.checked_add(1));
    }

    /// Sends an item for which there was room.
    pub(super) fn start_send(&self, payload: Bytes) -> Result<()> {
        let items = self.items.as_deref().ok_or_else(over)?;
        start_send(items, payload).map_err(|error| self.explain(error))
    }

    pub(super) fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Result<Arc<dyn Items>>> {
        if let Some(items) = &self.items {
            return Poll::Ready(Ok(Arc::clone(items)));
        }
        if !matches!(self.last, Last::ToCome) {
            return Poll::Ready(Err(self.take_error()));
        }
        let opened = ready!(self.exchange.poll_open(cx));
        Poll::Ready(match opened {
            Ok(items) => {
                self.items = Some(Arc::clone(&items));
                Ok(items)
            }
            Err(error) => {
                self.last = Last::Given;
                self.failed = Some(error.again());
                Err(error)
            }
        })
    }

    pub(super) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        item: &mut Option<Item>,
    ) -> Poll<Result<()>> {
        let items = ready!(self.poll_open(cx))?;
        let had_item = item.is_some();
        match items.poll_send(cx, item) {
            Poll::Ready(Ok(())) => return Poll::Ready(Ok(())),
            // It was taken and is lost, and the call goes on.
            Poll::Ready(Err(error)) if had_item && item.is_none() => {
                return Poll::Ready(Err(error));
            }
            // The reply comes behind the items before it.
            Poll::Ready(Err(_)) => self.take_early(cx, &*items),
            Poll::Pending => {}
        }
        // The call may be over, and it may be that its answer must be polled to go on.
        ready!(self.poll_last(cx));
        self.take_early(cx, &*items);
        Poll::Ready(Err(self.take_error()))
    }

    /// Takes what has come of a call that is over, to be given out before its end.
    fn take_early(&mut self, cx: &mut Context<'_>, items: &dyn Items) {
        while let Poll::Ready(Ok(Some(item))) = items.poll_next(cx) {
            self.early.push_back(item);
        }
    }

    pub(super) fn poll_opened(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<u64>>> {
        let items = ready!(self.poll_open(cx))?;
        match self.poll_items(cx, |cx| items.poll_opened(cx)) {
            Poll::Ready(Some(position)) => {
                self.set_opened(position);
                Poll::Ready(Ok(position))
            }
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => {
                ready!(self.poll_last(cx));
                if self.goes_on() {
                    return self.poll_opened(cx);
                }
                match &self.last {
                    Last::Here(Err(_)) | Last::Given => Poll::Ready(Err(self.take_error())),
                    Last::Here(Ok(_)) | Last::ToCome => Poll::Ready(Ok(None)),
                }
            }
        }
    }

    /// Waits until the other side has said that it goes on where it was asked to.
    pub(super) fn poll_resumed(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let Some(position) = self.resume_at else {
            return Poll::Ready(Ok(()));
        };
        let opened = ready!(self.poll_opened(cx))?;
        self.resume_at = None;
        if opened == Some(position) {
            return Poll::Ready(Ok(()));
        }
        if let Poll::Ready(()) = self.poll_last(cx)
            && matches!(self.last, Last::Here(Err(_)))
        {
            return Poll::Ready(Err(self.take_error()));
        }
        self.last = Last::Given;
        let error = not_resumed(position);
        self.failed = Some(error.again());
        Poll::Ready(Err(error))
    }

    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Item>>> {
        if matches!(self.last, Last::Given) && self.early.is_empty() {
            return Poll::Ready(Ok(None));
        }
        let items = ready!(self.poll_open(cx))?;
        let resumed = ready!(self.poll_resumed(cx));
        resumed.inspect_err(|_| self.early.clear())?;
        if let Some(item) = self.early.pop_front() {
            self.set_position(item.position);
            return Poll::Ready(Ok(Some(item)));
        }
        if matches!(self.last, Last::Given) {
            return Poll::Ready(Ok(None));
        }
        // Whoever learns that the call is taken may go on from there, if no item comes.
        if !self.is_opened
            && let Poll::Ready(Ok(first)) = items.poll_opened(cx)
        {
            self.set_opened(first);
        }
        let mut lent = std::mem::take(&mut self.early);
        let next = self.poll_items(cx, |cx| poll_lent(&*items, cx, &mut lent));
        self.early = lent;
        if let Some(Some(item)) = ready!(next) {
            self.set_position(item.position);
            return Poll::Ready(Ok(Some(item)));
        }
        ready!(self.poll_last(cx));
        if self.goes_on() {
            return self.poll_next(cx);
        }
        match &self.last {
            Last::Here(Err(_)) => Poll::Ready(Err(self.take_error())),
            _ => Poll::Ready(Ok(None)),
        }
    }

    /// Whether a call that has failed is made again, from where it came to.
    fn goes_on(&mut self) -> bool {
        let (at, has_begun) = (self.next_position, self.is_opened);
        if let Last::Here(Err(error)) = &mut self.last
            && self.exchange.goes_on(error, has_begun, at)
        {
            (self.items, self.last, self.is_opened) = (None, Last::ToCome, false);
            self.resume_at = at;
            return true;
        }
        false
    }

    /// What the other side sends; `None` if no more can come. While that is pending its answer is
    /// polled, by which it may go on.
    pub(super) fn poll_items<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<Result<T>>,
    ) -> Poll<Option<T>> {
        // Its answer keeps the time, and may have cut it off, however much there is to take.
        if self.exchange.is_over_channel() {
            let _ = self.poll_last(cx);
        }
        loop {
            match poll(cx) {
                Poll::Ready(Ok(next)) => return Poll::Ready(Some(next)),
                Poll::Ready(Err(_)) => return Poll::Ready(None),
                Poll::Pending if matches!(self.last, Last::ToCome) => ready!(self.poll_last(cx)),
                // Whoever still could send answers no more.
                Poll::Pending => return Poll::Ready(None),
            }
        }
    }

    pub(super) fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<Received>> {
        let items = ready!(self.poll_open(cx))?;
        items.end();
        while ready!(self.poll_next(cx))?.is_some() {}
        match std::mem::replace(&mut self.last, Last::Given) {
            Last::Here(received) => Poll::Ready(received),
            Last::ToCome | Last::Given => Poll::Ready(Err(self.error_again())),
        }
    }

    /// Waits for the final reply.
    pub(super) fn poll_last(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Last::ToCome = self.last {
            self.last = Last::Here(ready!(self.exchange.poll_call(cx)));
        }
        Poll::Ready(())
    }

    /// Why the call is over; an error is kept for whoever asks once more.
    fn take_error(&mut self) -> Error {
        match std::mem::replace(&mut self.last, Last::Given) {
            Last::Here(Err(error)) => {
                self.failed = Some(error.again());
                error
            }
            Last::Here(received) => {
                self.last = Last::Here(received);
                has_reply()
            }
            Last::ToCome | Last::Given => self.error_again(),
        }
    }

    /// The error that has been given out before.
    fn error_again(&self) -> Error {
        self.failed.as_ref().map_or_else(over, Error::again)
    }

    pub(super) fn explain(&self, error: Error) -> Error {
        let (command, limits) = (self.exchange.command(), self.exchange.limits());
        explain(error, self.format, command, limits).of_positions(self.next_position.is_some())
    }
}
