//! A call over a connection, without its types.
//!
//! ```text
//!   Unsent ──poll: room in the connection──► Sent ──reply, deadline or loss──► Done
//!     │ drop: nothing was sent                │ drop: `>TAG cancel` is sent
//! ```
//!
//! The session keeps the deadline of a call, whether it waits for room or for its reply. In which
//! runtime that comes to pass is told in `watch`.

use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::handed_over::Sending;
use super::handle::Handle;
use super::items::SessionItems;
use crate::asking::{Unsent, polled_too_late};
use crate::clock::now;
use crate::error::Result;
use crate::session::{Place, Received, Session};
use crate::wire::{Name, Options, Tag};

/// A call on its way, and its reply on the way back.
pub(crate) struct Outgoing {
    handle: Arc<Handle>,
    unsent: Unsent,
    // When the call ends; from the first poll on.
    due: Option<Instant>,
    // Only while there is no room.
    place: Option<Place>,
    state: State,
    // The payload stays with the call when it is sent.
    keeps_payload: bool,
}

enum State {
    Unsent,
    Sent(Tag),
    Done,
}

impl Outgoing {
    #[inline]
    pub(crate) fn new(handle: Arc<Handle>, unsent: Unsent) -> Self {
        Self { handle, unsent, due: None, place: None, state: State::Unsent, keeps_payload: false }
    }

    /// A call that may have to be made again.
    #[inline]
    pub(crate) fn keeping(handle: Arc<Handle>, unsent: Unsent) -> Self {
        let mut call = Self::new(handle, unsent);
        call.keeps_payload = true;
        call
    }

    pub(crate) fn handle(&self) -> &Arc<Handle> {
        &self.handle
    }

    /// When it ends; known once it has been polled.
    pub(crate) const fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(crate) fn unsent(&self) -> &Unsent {
        &self.unsent
    }

    pub(crate) fn unsent_mut(&mut self) -> &mut Unsent {
        &mut self.unsent
    }

    /// Sends the call, then waits for its reply.
    pub(crate) fn poll_call(&mut self, cx: &mut Context<'_>) -> Poll<Result<Received>> {
        let result = ready!(self.poll_reply(cx));
        self.state = State::Done;
        Poll::Ready(result)
    }

    /// Sends the call, which wants no reply.
    pub(crate) fn poll_notify(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let within = self.handle.within();
        self.poll_send(cx, false, |session, _, name, options, payload, _| {
            session.notify(within, name, options, payload)
        })
    }

    /// Sends a streamed call; answers where its items are.
    pub(crate) fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Result<SessionItems>> {
        if let State::Unsent = self.state {
            let tag = ready!(self.poll_first(cx))?;
            self.state = State::Sent(tag);
        }
        Poll::Ready(match self.state {
            State::Sent(tag) => {
                let shared = self.handle.shared();
                let id = shared.with(|session| session.stream_of(tag));
                id.map(|id| SessionItems::new(shared, id)).ok_or_else(polled_too_late)
            }
            State::Unsent | State::Done => Err(polled_too_late()),
        })
    }

    fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<Result<Tag>> {
        let within = self.handle.within();
        let facts = self.unsent.facts.as_deref().copied();
        self.poll_send(cx, true, |session, waker, name, options, payload, due| {
            let tag = session.call(within, name, options, payload, due, waker)?;
            facts.into_iter().for_each(|facts| session.bound_reply(tag, facts));
            Ok(tag)
        })
    }

    fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<Result<Received>> {
        if let State::Unsent = self.state {
            return match ready!(self.poll_first(cx)) {
                Ok(tag) => {
                    self.state = State::Sent(tag);
                    Poll::Pending
                }
                Err(error) => Poll::Ready(Err(error)),
            };
        }
        let State::Sent(tag) = self.state else {
            return Poll::Ready(Err(polled_too_late()));
        };
        let reply = ready!(self.handle.shared().poll_reply(tag, cx, self.due));
        self.state = State::Done;
        Poll::Ready(
            reply.map_err(|error| self.unsent.explain(error, self.handle.shared().limits())),
        )
    }

    /// Waits for room, then hands the request to the session by `send`.
    fn poll_send<R>(
        &mut self,
        cx: &mut Context<'_>,
        wants_reply: bool,
        send: impl FnOnce(
            &mut Session,
            &mut Option<Waker>,
            Name,
            Options,
            Body<'_>,
            Instant,
        ) -> Result<R>,
    ) -> Poll<Result<R>> {
        let payload = match self.unsent.payload.take() {
            Some(Ok(payload)) => payload,
            Some(Err(error)) => return Poll::Ready(Err(error)),
            None => return Poll::Ready(Err(polled_too_late())),
        };
        let limits = self.handle.shared().limits();
        let is_waiting = self.place.is_some();
        let waits = (wants_reply, is_waiting);
        let (options, deadline) = match self.unsent.options(now(), &mut self.due, waits, limits) {
            Ok(options) => options,
            Err(error) => {
                self.leave_room();
                return Poll::Ready(Err(error));
            }
        };
        let (name, bytes) = (self.unsent.name, payload.len());
        let (mut payload, keeps) = (Some(payload), self.keeps_payload);
        let (shared, within) = (self.handle.shared(), self.handle.within());
        let place = &mut self.place;
        let sending = Sending { within, place, bytes, deadline, wants_reply };
        let sent = shared.poll_send(cx, sending, |session, waker| {
            let body = match &payload {
                Some(kept) if keeps => Body::Kept(kept),
                _ => Body::Given(payload.take().unwrap_or_default()),
            };
            send(session, waker, name, options, body, deadline)
        });
        if keeps || sent.is_pending() {
            self.unsent.payload = payload.map(Ok);
        }
        sent
    }

    /// Lets those behind come forward.
    fn leave_room(&mut self) {
        if let Some(place) = self.place.take() {
            self.handle.shared().leave_room(place);
        }
    }
}

/// The payload, as the session is given it.
enum Body<'a> {
    Given(BytesMut),
    /// Copied, as a small one is in any case.
    Kept(&'a [u8]),
}

impl AsRef<[u8]> for Body<'_> {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Given(payload) => payload,
            Self::Kept(payload) => payload,
        }
    }
}

impl From<Body<'_>> for Bytes {
    fn from(body: Body<'_>) -> Self {
        match body {
            Body::Given(payload) => payload.freeze(),
            Body::Kept(payload) => Self::copy_from_slice(payload),
        }
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.leave_room();
        if let State::Sent(tag) = self.state {
            self.handle.shared().give_up(|session| session.cancel(tag));
        }
    }
}
