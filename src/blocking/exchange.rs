//! A call over a connection, without its types: sent and waited for by its own thread.
//!
//! ```text
//!   Unsent ──begin: room in the connection──► Sent ──reply, deadline or loss──► Done
//!                                               │ drop: `>TAG cancel` is sent
//! ```

use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use bytes::BytesMut;

use super::bell::Bell;
use super::clock::now;
use super::connection::Handle;
use crate::asking::{Unsent, polled_too_late};
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::session::{Place, Received, Session};
use crate::wire::{Name, Options, Tag};

pub(super) struct Exchange {
    pub(super) handle: Arc<Handle>,
    pub(super) unsent: Unsent,
    // When it ends; from the time on at which it is sent.
    pub(super) due: Option<Instant>,
    state: State,
}

enum State {
    Unsent,
    Sent(Tag),
    Done,
}

/// What is given to the session of a connection.
struct Sending {
    name: Name,
    options: Options,
    payload: BytesMut,
    deadline: Instant,
    waker: Option<Waker>,
}

impl Exchange {
    pub(super) fn new(handle: Arc<Handle>, unsent: Unsent) -> Self {
        Self { handle, unsent, due: None, state: State::Unsent }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.handle.connection.limits
    }

    pub(super) fn command(&self) -> &str {
        self.unsent.name.as_str()
    }

    /// Sends the call, and waits for its reply.
    pub(super) fn call(&mut self) -> Result<Received> {
        let tag = self.begin()?;
        self.handle.connection.wait_for(&Bell::of_thread(), self.due);
        let reply = self
            .handle
            .connection
            .wait(self.due, |state, waker| state.session.poll_reply(tag, &mut Some(waker.clone())));
        self.ended(reply)
    }

    /// Its reply came, or will not come.
    pub(super) fn ended(&mut self, reply: Result<Received>) -> Result<Received> {
        self.state = State::Done;
        reply.map_err(|error| self.unsent.explain(error, self.limits()))
    }

    /// Sends the call, if that has not been done.
    pub(super) fn begin(&mut self) -> Result<Tag> {
        match self.state {
            State::Sent(tag) => return Ok(tag),
            State::Done => return Err(polled_too_late()),
            State::Unsent => self.state = State::Done,
        }
        let facts = self.unsent.facts.as_deref().copied();
        let tag = self.send(true, |session, sending| {
            let Sending { name, options, payload, deadline, mut waker } = sending;
            let tag = session.call(None, name, options, payload, deadline, &mut waker)?;
            facts.into_iter().for_each(|facts| session.bound_reply(tag, facts));
            Ok(tag)
        })?;
        self.state = State::Sent(tag);
        Ok(tag)
    }

    /// Sends the call, which wants no reply.
    pub(super) fn notify(&mut self) -> Result<()> {
        self.send(false, |session, Sending { name, options, payload, .. }| {
            session.notify(None, name, options, payload)
        })
    }

    /// Waits for room, then hands the request to the session by `send`.
    fn send<R>(
        &mut self,
        wants_reply: bool,
        send: impl FnOnce(&mut Session, Sending) -> Result<R>,
    ) -> Result<R> {
        let Self { handle, unsent, due, .. } = self;
        let payload = unsent.payload.take().unwrap_or_else(|| Err(polled_too_late()))?;
        let (connection, bell) = (&handle.connection, Bell::of_thread());
        let mut place: Option<Place> = None;
        loop {
            let waits = (wants_reply, place.is_some());
            let options = unsent.options(now(), due, waits, &connection.limits);
            let (options, deadline) = options.inspect_err(|_| {
                // Lets those behind come forward.
                place.take().into_iter().for_each(|place| connection.leave_room(place));
            })?;
            let mut waker = Some(bell.waker());
            let mut state = connection.lock();
            if state.session.poll_room(None, &mut place, deadline, &mut waker).is_pending() {
                connection.unlock_and_write(state);
                connection.wait_for(&bell, Some(deadline));
                continue;
            }
            // What will be refused is not charged first: it is to say why.
            let is_open = state.session.is_open(None);
            let covered = if is_open { state.cover(payload.len()) } else { Ok(()) };
            let sending = Sending { name: unsent.name, options, payload, deadline, waker };
            let sent = covered.and_then(|()| send(&mut state.session, sending));
            state.session.offer_room(now);
            connection.unlock_and_write(state);
            return sent;
        }
    }

    /// The error of this call, as its caller is told it.
    pub(super) fn explain(&self, error: Error, format: &'static str) -> Error {
        crate::asking::explain(error, format, self.command(), self.limits())
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let State::Sent(tag) = self.state {
            self.handle.connection.with_and_write(|state| state.session.cancel(tag));
        }
    }
}
