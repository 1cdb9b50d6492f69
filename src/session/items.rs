//! What whoever makes items, and whoever takes them, says to a [`Session`].

use std::collections::VecDeque;
use std::task::{Poll, Waker};
use std::time::Instant;

use super::event::{StreamId, Whose};
use super::told::push_part;
use super::{CallId, Item, Session};
use crate::error::Error;
use crate::wire::{Options, Part, Tag};

impl Session {
    /// Calls of ours under way, those with items too.
    #[must_use]
    pub fn calls_under_way(&self) -> usize {
        let outbound = &self.calls.outbound;
        outbound.asked().saturating_add(outbound.streams.len())
    }

    /// The next item that the peer has sent for this call; `None` behind the last. If there is none
    /// yet, `waker` is taken, and woken then.
    ///
    /// What is taken is granted to the peer again, unless memory `is_scarce` and items wait.
    ///
    /// # Errors
    ///
    /// The call is over: its reply says why, where it is one of ours.
    pub fn poll_item(
        &mut self,
        id: StreamId,
        is_scarce: bool,
        waker: &mut Option<Waker>,
    ) -> Poll<Result<Option<Item>, Error>> {
        let (streams, wakers, outbox) = self.calls.streams_of(id.whose());
        streams.poll_item(id, is_scarce, waker, &mut wakers.spent, outbox)
    }

    /// Lends those that wait behind the item that was taken last, as far as they are little of the
    /// window. They are to be used before the next is asked for, and count as waiting until then:
    /// the session holds no more than without it.
    pub fn lend_items(&mut self, id: StreamId, lent: &mut VecDeque<Item>) {
        self.calls.streams_of(id.whose()).0.lend_items(id, lent);
    }

    /// Where the peer's items begin, if it says so: known when it has said that it took the call,
    /// or anything that comes behind that. Until then `waker` is taken, and woken then.
    ///
    /// # Errors
    ///
    /// The call is over.
    pub fn poll_opened(
        &mut self,
        id: StreamId,
        waker: &mut Option<Waker>,
    ) -> Poll<Result<Option<u64>, Error>> {
        let (streams, wakers, _) = self.calls.streams_of(id.whose());
        streams.poll_opened(id, waker, &mut wakers.spent)
    }

    /// Whether an item may be added for this call. If not yet, `waker` is taken, and woken when it
    /// is worth asking again. Where memory `is_scarce` none is added to what waits.
    ///
    /// # Errors
    ///
    /// The call takes no more items.
    pub fn poll_item_room(
        &mut self,
        id: StreamId,
        is_scarce: bool,
        waker: &mut Option<Waker>,
    ) -> Poll<Result<(), Error>> {
        let (streams, wakers, _) = self.calls.streams_of(id.whose());
        streams.poll_room(id, is_scarce, waker, &mut wakers.spent)
    }

    /// Sends an item, for which there is room. It goes when the peer has granted credit.
    pub fn send_item(&mut self, now: Instant, id: StreamId, item: Item) {
        self.calls.streams_of(id.whose()).0.push_item(now, id, item);
    }

    /// Says that this half of the call has no more items. The final reply of a call of the peer
    /// says it as well.
    pub fn end_items(&mut self, id: StreamId) {
        let (streams, _, outbox) = self.calls.streams_of(id.whose());
        streams.end_items(id, outbox);
    }

    /// The handler of a call of the peer has ended, and sends no more items. Whether some are still
    /// to go: its reply needs no room then, since it is kept until they have gone.
    pub fn end_reply_items(&mut self, id: CallId) -> bool {
        self.calls.inbound.end_items(id, &mut self.calls.backlog.outbox)
    }

    /// Final replies that are kept until the items before them have gone, or their calls have ended
    /// before.
    #[must_use]
    pub fn kept_replies(&self) -> usize {
        self.calls.inbound.in_flight.kept()
    }

    /// Says that this streamed call of the peer is taken, and where its items begin if they have
    /// positions. Behind an item it says nothing.
    pub fn open(&mut self, id: StreamId, position: Option<u64>) {
        let (streams, _, outbox) = self.calls.streams_of(id.whose());
        if id.whose() == Whose::Theirs && streams.open(id, position) {
            push_part((id.whose(), id.tag()), Part::Open, Options::of_item(position), outbox);
        }
    }

    /// This call of ours, which has just been sent, if it is streamed.
    #[must_use]
    pub fn stream_of(&self, tag: Tag) -> Option<StreamId> {
        self.calls.outbound.streams.id_of(tag)
    }

    /// Gives up a streamed call of ours, if its request has not ended: nobody will end it.
    pub fn abort_items(&mut self, id: StreamId) {
        let (streams, ..) = self.calls.streams_of(id.whose());
        if id.whose() == Whose::Ours && streams.is_sending(id) {
            self.cancel(id.tag());
        }
    }
}
