//! The items of a streamed call over a connection: its session keeps them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::shared::Shared;
use super::state::{unlock_and_wake, unlock_and_wake_callers};
use crate::clock::now;
use crate::error::Result;
use crate::quota::Held;
use crate::service::Items;
use crate::session::{Item, StreamId};

/// This side of one streamed call.
pub(crate) struct SessionItems {
    shared: Arc<Shared>,
    id: StreamId,
}

impl SessionItems {
    pub(crate) fn new(shared: &Arc<Shared>, id: StreamId) -> Self {
        Self { shared: Arc::clone(shared), id }
    }

    fn poll_item(
        &self,
        cx: &Context<'_>,
        more: Option<&mut VecDeque<Item>>,
    ) -> Poll<Result<Option<Item>>> {
        let mut waker = Some(cx.waker().clone());
        let mut state = self.shared.lock();
        let is_scarce = state.reserved.is_scarce();
        let item = state.session.poll_item(self.id, is_scarce, &mut waker);
        if let Some(more) = more
            && !is_scarce
            && matches!(item, Poll::Ready(Ok(Some(_))))
        {
            state.session.lend_items(self.id, more);
        }
        state.cover_no_more();
        // What was granted is to be written.
        if state.session.has_transmit() {
            unlock_and_wake(state);
        } else {
            unlock_and_wake_callers(state);
        }
        item
    }
}

impl Items for SessionItems {
    fn poll_send(&self, cx: &mut Context<'_>, item: &mut Option<Item>) -> Poll<Result<()>> {
        let mut waker = Some(cx.waker().clone());
        let mut state = self.shared.lock();
        let is_scarce = state.reserved.is_scarce();
        let mut room = state.session.poll_item_room(self.id, is_scarce, &mut waker);
        if matches!(room, Poll::Ready(Ok(())))
            && let Some(next) = item.take()
        {
            match state.cover(Item::held_bytes(next.payload.len())) {
                Ok(()) => state.session.send_item(now(), self.id, next),
                Err(error) => room = Poll::Ready(Err(error)),
            }
        }
        if state.is_much_unwritten() && !state.is_driver_late() {
            unlock_and_wake_callers(state);
            self.shared.write_now();
        } else {
            unlock_and_wake(state);
        }
        room
    }

    fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Result<Option<Item>>> {
        self.poll_item(cx, None)
    }

    fn poll_some(
        &self,
        cx: &mut Context<'_>,
        more: &mut VecDeque<Item>,
    ) -> Poll<Result<Option<Item>>> {
        self.poll_item(cx, Some(more))
    }

    fn poll_opened(&self, cx: &mut Context<'_>) -> Poll<Result<Option<u64>>> {
        let mut waker = Some(cx.waker().clone());
        let mut state = self.shared.lock();
        let opened = state.session.poll_opened(self.id, &mut waker);
        unlock_and_wake_callers(state);
        opened
    }

    fn open(&self, position: Option<u64>) {
        self.shared.with(|session| session.open(self.id, position));
    }

    fn end(&self) {
        self.shared.with(|session| session.end_items(self.id));
    }

    fn hold(&self, bytes: usize) -> Result<Option<Held>> {
        Held::new(self.shared.quota()).of(Item::held_bytes(bytes)).map(Some)
    }

    fn abort(&self) {
        self.shared.give_up(|session| session.abort_items(self.id));
    }
}
