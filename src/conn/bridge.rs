//! A streamed call that came through a channel and goes on over a connection: its items are handed
//! from one to the other, each way.
//!
//! An item is taken when there is room for it at the other side, so whoever sends is held up by
//! whoever takes, however many bridges lie between them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::items::SessionItems;
use super::outgoing::Outgoing;
use crate::error::Result;
use crate::service::{Items, Reply};
use crate::session::Item;

/// The answer to such a call.
pub(super) struct Bridge {
    call: Outgoing,
    // At the side of whoever calls.
    near: Arc<dyn Items>,
    // At the side of the connection, once the call is sent.
    far: Option<SessionItems>,
    up: Lane,
    down: Lane,
}

/// One way over the bridge.
#[derive(Default)]
struct Lane {
    item: Option<Item>,
    is_opened: bool,
    is_closed: bool,
}

impl Bridge {
    pub(super) fn new(call: Outgoing, near: Arc<dyn Items>) -> Self {
        let shared = call.handle().shared();
        near.charge_to(shared.quota(), shared.limits());
        Self { call, near, far: None, up: Lane::default(), down: Lane::default() }
    }
}

impl Lane {
    /// Moves items as long as they go; whether no more will.
    fn poll(&mut self, cx: &mut Context<'_>, from: &dyn Items, to: &dyn Items) -> Poll<()> {
        self.open(cx, from, to);
        while !self.is_closed {
            if self.item.is_none() {
                // Where it comes from an item that waits is counted, and in here it is not.
                if ready!(to.poll_send(cx, &mut None)).is_err() {
                    // Nobody takes them there any more; what that means the reply says.
                    self.is_closed = true;
                    break;
                }
                self.item = match ready!(from.poll_next(cx)) {
                    Ok(item) => item,
                    Err(_) => {
                        to.abort();
                        self.is_closed = true;
                        break;
                    }
                };
            }
            // What it says of its beginning has come before it, perhaps just now.
            self.open(cx, from, to);
            if self.item.is_none() {
                to.end();
                self.is_closed = true;
            } else if ready!(to.poll_send(cx, &mut self.item)).is_err() {
                self.is_closed = true;
            }
        }
        Poll::Ready(())
    }
}

impl Lane {
    /// Hands on where the items begin, once that is known.
    fn open(&mut self, cx: &mut Context<'_>, from: &dyn Items, to: &dyn Items) {
        if !self.is_opened
            && let Poll::Ready(position) = from.poll_opened(cx)
        {
            self.is_opened = true;
            position.into_iter().for_each(|position| to.open(position));
        }
    }
}

impl Future for Bridge {
    type Output = Result<Reply>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { call, near, far, up, down } = &mut *self;
        if far.is_none() {
            *far = Some(ready!(call.poll_open(cx))?);
        }
        if let Some(far) = far {
            let _ = up.poll(cx, &**near, far);
            ready!(down.poll(cx, far, &**near));
            // What nobody takes there any more: the reply comes behind it.
            while let Ok(Some(_)) = ready!(far.poll_next(cx)) {}
        }
        call.poll_call(cx).map_ok(Reply::received)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use bytes::Bytes;

    use super::*;
    use crate::service::pipe;

    #[test]
    fn an_item_for_which_there_is_no_room_stays_where_it_is_counted() {
        let ((near, from), (to, _far)) = (pipe(), pipe());
        let cx = &mut Context::from_waker(Waker::noop());
        let mut lane = Lane::default();
        for _ in 0..3 {
            let mut item = Some(Item::new(Bytes::from(vec![b'x'; 40_000])));
            assert!(near.poll_send(cx, &mut item).is_ready());
            assert!(lane.poll(cx, &from, &to).is_pending());
        }
        assert!(to.poll_send(cx, &mut None).is_pending());
        assert!(lane.item.is_none());
    }
}
