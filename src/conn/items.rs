//! The items of a streamed call over a connection: its session keeps them.

use std::sync::Arc;
use std::task::{Context, Poll};

use super::shared::Shared;
use super::state::{unlock_and_wake, unlock_and_wake_callers};
use crate::clock::now;
use crate::error::Result;
use crate::service::Items;
use crate::session::{Item, Session, StreamId};

/// This side of one streamed call.
pub(crate) struct SessionItems {
    shared: Arc<Shared>,
    id: StreamId,
    // Of a call of ours. Its tag is another's when it is over, and this may be left.
    serial: Option<u64>,
}

impl SessionItems {
    pub(crate) fn new(shared: &Arc<Shared>, id: StreamId) -> Self {
        let serial = match id {
            StreamId::Made(_) => serial(&shared.lock().session, id),
            StreamId::Taken(_) => None,
        };
        Self { shared: Arc::clone(shared), id, serial }
    }

    /// What the session knows the call by, as long as it is this one.
    fn id(&self, session: &Session) -> StreamId {
        if serial(session, self.id) == self.serial { self.id } else { NOBODY }
    }
}

impl Items for SessionItems {
    fn poll_send(&self, cx: &mut Context<'_>, item: &mut Option<Item>) -> Poll<Result<()>> {
        let mut waker = Some(cx.waker().clone());
        let mut state = self.shared.lock();
        let id = self.id(&state.session);
        let mut room = state.session.poll_item_room(id, &mut waker);
        if matches!(room, Poll::Ready(Ok(())))
            && let Some(next) = item.take()
        {
            match state.cover(Item::held_bytes(next.payload.len())) {
                Ok(()) => state.session.send_item(now(), id, next),
                Err(error) => room = Poll::Ready(Err(error)),
            }
        }
        unlock_and_wake(state);
        room
    }

    fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        let mut waker = Some(cx.waker().clone());
        let mut state = self.shared.lock();
        let (id, is_scarce) = (self.id(&state.session), !state.held.is_roomy());
        let item = state.session.poll_item(id, is_scarce, &mut waker);
        if item.is_ready() {
            state.cover_no_more();
        }
        // What was granted is to be written.
        if state.session.has_transmit() {
            unlock_and_wake(state);
        } else {
            unlock_and_wake_callers(state);
        }
        item
    }

    fn end(&self) {
        self.shared.with(|session| session.end_items(self.id(session)));
    }
}

fn serial(session: &Session, id: StreamId) -> Option<u64> {
    if let StreamId::Made(tag) = id { session.serial_of_made(tag) } else { None }
}

/// No streamed call has tag 0: this one is over.
const NOBODY: StreamId = StreamId::Made(0);
