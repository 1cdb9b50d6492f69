//! The items of one streamed call, as one of its two sides sends and takes them.
//!
//! Items are pulled: one is sent when there is room for it, which the other side makes by taking.
//! What lies between the two, a session's credit or a queue in memory (`pipe`), is behind
//! [`Items`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::error::Result;
use crate::limits::Limits;
use crate::quota::{Held, Quota};
use crate::session::Item;

/// One side of a streamed call.
pub(crate) trait Items: Send + Sync {
    /// Sends the item, which is taken, when there is room for it. Without one it tells whether
    /// there is room.
    ///
    /// # Errors
    ///
    /// The call takes no more items.
    fn poll_send(&self, cx: &mut Context<'_>, item: &mut Option<Item>) -> Poll<Result<()>>;

    /// The next item of the other side; `None` behind its last.
    ///
    /// # Errors
    ///
    /// The call is over, and there was no last one.
    fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Result<Option<Item>>>;

    /// As [`poll_next`](Self::poll_next); what waits behind that item may be put into `more`, which
    /// is to be used up before this is asked again.
    ///
    /// # Errors
    ///
    /// As [`poll_next`](Self::poll_next).
    fn poll_some(
        &self,
        cx: &mut Context<'_>,
        _more: &mut VecDeque<Item>,
    ) -> Poll<Result<Option<Item>>> {
        self.poll_next(cx)
    }

    /// Where the items of the other side begin: known when it has taken the call.
    ///
    /// # Errors
    ///
    /// The call is over.
    fn poll_opened(&self, cx: &mut Context<'_>) -> Poll<Result<Option<u64>>>;

    /// Says that this side has taken the call, and where its items begin. Behind an item it says
    /// nothing.
    fn open(&self, position: Option<u64>);

    /// Says that this side sends no more.
    fn end(&self);

    /// Says that this side will not send what was still to come: for whoever has made the call,
    /// that gives it up.
    fn abort(&self);

    /// Says that the items of this side, a handler's, are parts of a whole: without
    /// [`end`](Self::end) from now on they are broken off, whatever the handler returns.
    fn owe_end(&self) {}

    /// Whether the items of this side, a handler's, have begun a whole and not ended it.
    fn owes_end(&self) -> bool {
        false
    }

    /// Holds an item of so many bytes, which waits in front of these for room.
    ///
    /// # Errors
    ///
    /// `overloaded` if the endpoint does not have so much left.
    fn hold(&self, bytes: usize) -> Result<Option<Held>>;

    /// The handler has ended: nobody sends or takes more for it, whoever still could. A session
    /// knows.
    fn close(&self) {}

    /// What waits is from now on held by an endpoint, within these limits. A connection has its own
    /// account.
    fn charge_to(&self, _quota: &Arc<Quota>, _limits: &Arc<Limits>) {}
}

/// The next item: the first of `lent`, or else of those that have come, which may lend others.
pub(crate) fn poll_lent(
    items: &dyn Items,
    cx: &mut Context<'_>,
    lent: &mut VecDeque<Item>,
) -> Poll<Result<Option<Item>>> {
    if let Some(item) = lent.pop_front() {
        return Poll::Ready(Ok(Some(item)));
    }
    let next = items.poll_some(cx, lent);
    if next.is_pending() {
        // A stream on which nothing comes keeps no room.
        *lent = VecDeque::new();
    }
    next
}
