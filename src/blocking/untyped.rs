//! A streamed call without its types.
//!
//! ```text
//!   unsent ──first use──► sent ──items, until they end──► the final reply, kept until it is taken
//! ```
//!
//! It does what `client::untyped` does for tasks, over one connection and by waiting.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Instant;

use bytes::Bytes;

use super::clock::now;
use super::connection::{Connection, State};
use super::exchange::Exchange;
use crate::asking::{has_reply, not_resumed, over};
use crate::error::{Error, Result};
use crate::session::{Item, Received, StreamId};
use crate::wire::Tag;

pub(super) struct Untyped {
    pub(super) exchange: Exchange,
    pub(super) format: &'static str,
    // Once it is sent.
    begun: Option<Begun>,
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

/// A call that was sent.
#[derive(Clone, Copy)]
pub(super) struct Begun {
    tag: Tag,
    pub(super) id: StreamId,
}

/// What the other side has said.
enum Said<T> {
    It(T),
    /// No more of this comes.
    End,
    /// The call is over.
    Last(Result<Received>),
}

impl Untyped {
    pub(super) fn new(exchange: Exchange, format: &'static str) -> Self {
        Self {
            exchange,
            format,
            begun: None,
            early: VecDeque::new(),
            last: Last::ToCome,
            failed: None,
            resume_at: None,
            position: None,
            is_opened: false,
            next_position: None,
        }
    }

    /// Asks for the items from this position on.
    pub(super) fn resume_at(&mut self, position: Option<u64>) {
        (self.resume_at, self.next_position) = (position, position);
        self.exchange.unsent.beside().resume_at = position;
    }

    /// Sends the call, if that has not been done.
    pub(super) fn begin(&mut self) -> Result<Begun> {
        if !matches!(self.last, Last::ToCome) {
            return Err(self.take_error());
        }
        if let Some(begun) = self.begun {
            return Ok(begun);
        }
        let begun = self.exchange.begin().and_then(|tag| {
            let id = self.connection().lock().session.stream_of(tag);
            id.map(|id| Begun { tag, id }).ok_or_else(over)
        });
        let begun = begun.inspect_err(|error| {
            self.last = Last::Given;
            self.failed = Some(error.again());
        })?;
        self.begun = Some(begun);
        Ok(begun)
    }

    /// Sends an item when there is room for it.
    pub(super) fn send(&mut self, payload: Bytes) -> Result<()> {
        let begun = self.begin()?;
        let sent = send_item(self.connection(), begun.id, payload, self.exchange.due, |state| {
            // It may be that the call is over.
            state.session.poll_reply(begun.tag, &mut None).map(Some)
        });
        let last = match sent {
            Sent::Taken => return Ok(()),
            // It is lost, and the call goes on.
            Sent::Lost(error) => return Err(error),
            Sent::Over(last) => last,
        };
        if let Some(reply) = last {
            self.last = Last::Here(self.exchange.ended(reply));
        } else {
            // The reply comes behind the items before it.
            let early = self.connection().with(|state| {
                let mut early = VecDeque::new();
                while let Poll::Ready(Ok(Some(item))) =
                    state.session.poll_item(begun.id, false, &mut None)
                {
                    early.push_back(item);
                }
                early
            });
            self.early.extend(early);
            self.wait_for_last(begun);
        }
        Err(self.take_error())
    }

    /// Ends the items of the request.
    pub(super) fn end(&mut self) -> Result<()> {
        let id = self.begin()?.id;
        self.connection().with_and_write(|state| state.session.end_items(id));
        Ok(())
    }

    /// Waits until the other side has taken the call; answers where its items begin.
    pub(super) fn opened(&mut self) -> Result<Option<u64>> {
        let begun = self.begin()?;
        let opened = self.hear(begun, |state, waker| {
            state.session.poll_opened(begun.id, &mut Some(waker.clone()))
        });
        if let Some(position) = opened {
            self.set_opened(position);
            return Ok(position);
        }
        self.wait_for_last(begun);
        match &self.last {
            Last::Here(Ok(_)) => Ok(None),
            _ => Err(self.take_error()),
        }
    }

    /// The next item; `None` behind the last.
    pub(super) fn next(&mut self) -> Result<Option<Item>> {
        if matches!(self.last, Last::ToCome) && (self.early.is_empty() || self.resume_at.is_some())
        {
            let begun = self.begin()?;
            self.wait_until_resumed(begun)?;
            if self.early.is_empty() {
                self.fill(begun);
            }
        }
        if let Some(item) = self.early.pop_front() {
            (self.position, self.is_opened) = (item.position, true);
            self.next_position = item.position.and_then(|position| position.checked_add(1));
            return Ok(Some(item));
        }
        match &self.last {
            Last::Here(Err(_)) => Err(self.take_error()),
            Last::Here(Ok(_)) | Last::Given | Last::ToCome => Ok(None),
        }
    }

    /// Waits for items, or for the reply behind the last.
    fn fill(&mut self, begun: Begun) {
        let mut lent = VecDeque::new();
        let (is_opened, mut first) = (self.is_opened, None);
        let item = self.hear(begun, |state, waker| {
            let session = &mut state.session;
            // Whoever learns that the call is taken may go on from there, if no item comes.
            if !is_opened && let Poll::Ready(Ok(opened)) = session.poll_opened(begun.id, &mut None)
            {
                first = Some(opened);
            }
            let is_scarce = state.reserved.is_scarce();
            let item = session.poll_item(begun.id, is_scarce, &mut Some(waker.clone()));
            if !is_scarce && matches!(item, Poll::Ready(Ok(Some(_)))) {
                session.lend_items(begun.id, &mut lent);
            }
            item
        });
        first.into_iter().for_each(|first| self.set_opened(first));
        match item {
            Some(Some(item)) => {
                self.early.push_back(item);
                self.early.append(&mut lent);
            }
            Some(None) | None => self.wait_for_last(begun),
        }
    }

    /// Waits for the reply; drops the items that are still to come.
    pub(super) fn finish(&mut self) -> Result<Received> {
        if matches!(self.last, Last::ToCome) {
            self.end()?;
        }
        while self.next()?.is_some() {}
        match std::mem::replace(&mut self.last, Last::Given) {
            Last::Here(received) => received,
            Last::ToCome | Last::Given => Err(self.error_again()),
        }
    }

    fn wait_until_resumed(&mut self, begun: Begun) -> Result<()> {
        let Some(position) = self.resume_at else { return Ok(()) };
        let opened = self.opened()?;
        self.resume_at = None;
        if opened == Some(position) {
            return Ok(());
        }
        // The reply may be here, and say why.
        if let Last::ToCome = self.last {
            let reply =
                self.connection().with(|state| state.session.poll_reply(begun.tag, &mut None));
            if let Poll::Ready(reply) = reply {
                self.last = Last::Here(self.exchange.ended(reply));
            }
        }
        if let Last::Here(Err(_)) = self.last {
            return Err(self.take_error());
        }
        self.last = Last::Given;
        let error = not_resumed(position);
        self.failed = Some(error.again());
        Err(error)
    }

    /// What the other side says; `None` if no more of it can come.
    fn hear<T>(
        &mut self,
        begun: Begun,
        mut poll: impl FnMut(&mut State, &Waker) -> Poll<Result<T>>,
    ) -> Option<T> {
        let is_to_come = matches!(self.last, Last::ToCome);
        let said = self.connection().wait(self.exchange.due, |state, waker| {
            match poll(state, waker) {
                Poll::Ready(Ok(next)) => return Poll::Ready(Said::It(next)),
                Poll::Ready(Err(_)) => return Poll::Ready(Said::End),
                // Whoever still could send answers no more.
                Poll::Pending if !is_to_come => return Poll::Ready(Said::End),
                Poll::Pending => {}
            }
            state.session.poll_reply(begun.tag, &mut Some(waker.clone())).map(Said::Last)
        });
        match said {
            Said::It(next) => Some(next),
            Said::End => None,
            Said::Last(reply) => {
                self.last = Last::Here(self.exchange.ended(reply));
                None
            }
        }
    }

    fn wait_for_last(&mut self, begun: Begun) {
        if let Last::ToCome = self.last {
            let reply = self.connection().wait(self.exchange.due, |state, waker| {
                state.session.poll_reply(begun.tag, &mut Some(waker.clone()))
            });
            self.last = Last::Here(self.exchange.ended(reply));
        }
    }

    /// The other side has taken the call, and its items begin here.
    fn set_opened(&mut self, first: Option<u64>) {
        if !std::mem::replace(&mut self.is_opened, true) && self.next_position.is_none() {
            self.next_position = first;
        }
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
        let error = self.exchange.explain(error, self.format);
        error.of_positions(self.next_position.is_some())
    }

    fn connection(&self) -> &Arc<Connection> {
        &self.exchange.handle.connection
    }
}

/// What became of an item.
pub(super) enum Sent {
    Taken,
    /// There is no memory for it.
    Lost(Error),
    /// The call takes no more; perhaps with its reply.
    Over(Option<Result<Received>>),
}

/// Sends an item when there is room for it, until `due`; `poll_end` is asked whether the call is
/// over while there is none.
pub(super) fn send_item(
    connection: &Connection,
    id: StreamId,
    payload: Bytes,
    due: Option<Instant>,
    mut poll_end: impl FnMut(&mut State) -> Poll<Option<Result<Received>>>,
) -> Sent {
    let mut payload = Some(payload);
    connection.wait(due, |state, waker| {
        let is_scarce = state.reserved.is_scarce();
        match state.session.poll_item_room(id, is_scarce, &mut Some(waker.clone())) {
            Poll::Ready(Ok(())) => {
                let item = Item::new(payload.take().unwrap_or_default());
                Poll::Ready(match state.cover(Item::held_bytes(item.payload.len())) {
                    Ok(()) => {
                        state.session.send_item(now(), id, item);
                        Sent::Taken
                    }
                    Err(error) => Sent::Lost(error),
                })
            }
            Poll::Ready(Err(_)) => Poll::Ready(Sent::Over(None)),
            Poll::Pending => poll_end(state).map(Sent::Over),
        }
    })
}
