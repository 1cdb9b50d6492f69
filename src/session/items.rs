//! What whoever makes items, and whoever takes them, says to a [`Session`].

use std::task::{Poll, Waker};
use std::time::Instant;

use super::calls::Calls;
use super::event::{StreamId, Whose};
use super::told::push_part;
use super::{CallId, Item, Session};
use crate::error::Error;
use crate::wire::{Options, Part, Tag};

impl Session {
    /// The next item that the peer has sent for this call; `None` behind the last, or if the call
    /// is over: its reply says which, where it is one of ours. If there is none yet, `waker` is
    /// taken, and woken then.
    ///
    /// What is taken is granted to the peer again, unless memory `is_scarce` and items wait.
    pub fn poll_item(
        &mut self,
        id: StreamId,
        is_scarce: bool,
        waker: &mut Option<Waker>,
    ) -> Poll<Option<Item>> {
        let Calls { outbound, inbound, backlog, wakers, .. } = &mut self.calls;
        let streams = match id.whose() {
            Whose::Ours => &mut outbound.streams,
            Whose::Theirs => &mut inbound.streams,
        };
        streams.poll_item(id, is_scarce, waker, &mut wakers.spent, &mut backlog.outbox)
    }

    /// Whether an item may be added for this call. If not yet, `waker` is taken, and woken then.
    ///
    /// # Errors
    ///
    /// The call takes no more items.
    pub fn poll_item_room(
        &mut self,
        id: StreamId,
        waker: &mut Option<Waker>,
    ) -> Poll<Result<(), Error>> {
        let Calls { outbound, inbound, wakers, .. } = &mut self.calls;
        let streams = match id.whose() {
            Whose::Ours => &mut outbound.streams,
            Whose::Theirs => &mut inbound.streams,
        };
        streams.poll_room(id, waker, &mut wakers.spent)
    }

    /// What tells the streamed call of ours that has this tag from others that had it, or will: its
    /// items may be sent by somebody who does not know that it is over.
    #[must_use]
    pub fn serial_of_made(&self, tag: Tag) -> Option<u64> {
        self.calls.outbound.streams.serial(tag)
    }

    /// Sends an item, for which there is room. It goes when the peer has granted credit.
    pub fn send_item(&mut self, now: Instant, id: StreamId, item: Item) {
        self.calls.streams_of(id.whose()).push_item(now, id, item);
    }

    /// Says that the request of this call of ours has no more items. The items of a reply end with
    /// the final one.
    pub fn end_items(&mut self, id: StreamId) {
        let calls = &mut self.calls;
        if let StreamId::Made(tag) = id
            && calls.outbound.streams.finish(id) == Some(true)
        {
            calls.outbound.end_request(tag, &mut calls.backlog.outbox);
        }
    }

    /// Says that this streamed call of the peer is taken, from this position of its source on if it
    /// has some.
    pub fn open(&mut self, id: CallId, position: Option<u64>) {
        let calls = &mut self.calls;
        if calls.inbound.is_wanted(id) {
            let (key, options) = ((Whose::Theirs, id.tag), Options::of_item(position));
            push_part(key, Part::Open, options, &mut calls.backlog.outbox);
        }
    }
}
