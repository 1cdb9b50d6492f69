//! The two halves of a streamed call: items that go out, and items that come in.
//!
//! A side that sends may begin an item while its balance is above 0, and each item costs its bytes
//! and [`ITEM_COST_BYTES`]. So a half holds at most its window and one item, each item that is
//! allowed passes whatever the window, and empty items are not free.
//!
//! ```text
//!   our handler or caller                                  their caller or handler
//!        │ push: while there is room                            ▲ poll_next
//!        ▼                                                      │
//!    ┌─────────┐  pop: while the balance is above 0        ┌─────────┐
//!    │ Sending │ ─────────────── item ───────────────────► │Receiving│
//!    └─────────┘ ◄────────────── credit N ──────────────── └─────────┘
//!         balance                                      granted when half a window was taken
//! ```
//!
//! | a half | may be left by                                                               |
//! |--------|------------------------------------------------------------------------------|
//! | open   | `end`, or the final reply, which ends both halves of its call                |
//! | ended  | the last item having gone, or having been taken                              |
//!
//! What the peer sends after its `end` breaks the protocol, as does an item without a balance for
//! it. Wakers belong to whoever waits: none is cloned or dropped in here.

use std::collections::VecDeque;
use std::fmt;
use std::task::{Poll, Waker};

use bytes::Bytes;

use super::tables::shrink_empty;

/// Items of this side, which wait for credit and for their turn.
#[derive(Debug)]
pub(super) struct Sending {
    balance: i64,
    items: VecDeque<Item>,
    // What the items in `items` cost.
    waiting_cost: u64,
    is_ended: bool,
    // Of whoever waits for room.
    waker: Option<Waker>,
}

/// Items of the peer, which wait to be taken.
#[derive(Debug)]
pub(super) struct Receiving {
    // What the peer may still send, as it has been told.
    balance: i64,
    window: u32,
    // The window of a stream that has proved to be long.
    window_later: u32,
    items: VecDeque<Item>,
    waiting_cost: u64,
    is_ended: bool,
    // By this side.
    is_cut_off: bool,
    // Of whoever waits for the next item.
    waker: Option<Waker>,
}

/// One item, as its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Item {
    /// Its value, in the format of the call.
    pub payload: Bytes,
    /// Its place in the source, if it is not that behind the item before.
    pub position: Option<u64>,
}

/// How a peer uses a half as it may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misuse {
    /// More credit than a balance can have.
    Overflow,
    /// An item that was not granted.
    Ungranted,
    /// Something behind the end.
    Ended,
    /// An item or credit for a half that the call does not have.
    NoHalf,
    /// `open` twice.
    OpenTwice,
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Overflow => "more credit than 4294967295",
            Self::Ungranted => "an item without credit for it",
            Self::Ended => "an item or a second end behind the end",
            Self::NoHalf => "an item, an end or credit that this call cannot have",
            Self::OpenTwice => "open for the second time",
        })
    }
}

impl Item {
    /// An item behind the one before it.
    #[must_use]
    pub const fn new(payload: Bytes) -> Self {
        Self { payload, position: None }
    }

    /// What one of so many bytes takes while it is kept.
    pub(crate) fn held_bytes(bytes: usize) -> usize {
        let cost = cost(u64::try_from(bytes).unwrap_or(u64::MAX));
        usize::try_from(cost).unwrap_or(usize::MAX)
    }

    fn cost(&self) -> u64 {
        cost(u64::try_from(self.payload.len()).unwrap_or(u64::MAX))
    }
}

impl Sending {
    /// A half that begins with so much credit.
    pub(super) fn new(credit: u32) -> Self {
        let (balance, items) = (i64::from(credit), VecDeque::new());
        Self { balance, items, waiting_cost: 0, is_ended: false, waker: None }
    }

    /// The peer grants more.
    pub(super) fn handle_credit(&mut self, credit: u32) -> Result<(), Misuse> {
        let balance = self.balance.saturating_add(i64::from(credit));
        if balance > BALANCE_MAX {
            return Err(Misuse::Overflow);
        }
        self.balance = balance;
        Ok(())
    }

    /// Whether another item may wait, which is said to `waker` if it may not yet.
    pub(super) fn poll_room(
        &mut self,
        waker: &mut Option<Waker>,
        spent: &mut Vec<Waker>,
    ) -> Poll<()> {
        if self.waiting_cost < WAITING_COST_MAX {
            return Poll::Ready(());
        }
        spent.extend(std::mem::replace(&mut self.waker, waker.take()));
        Poll::Pending
    }

    /// Adds an item, for which there is room.
    pub(super) fn push(&mut self, item: Item) {
        self.waiting_cost = self.waiting_cost.saturating_add(item.cost());
        self.items.push_back(item);
    }

    /// Nothing comes behind what waits.
    pub(super) fn end(&mut self) {
        self.is_ended = true;
    }

    /// Whether an item may go now.
    pub(super) fn is_ready(&self) -> bool {
        self.balance > 0 && !self.items.is_empty()
    }

    /// Whether items wait that only credit can let go.
    pub(super) fn is_stalled(&self) -> bool {
        self.balance <= 0 && !self.items.is_empty()
    }

    /// The next item that may go; whoever waits for room is added to `due`.
    pub(super) fn pop(&mut self, due: &mut Vec<Waker>) -> Option<Item> {
        let item = if self.balance > 0 { self.items.pop_front() } else { None }?;
        let cost = item.cost();
        self.balance = self.balance.saturating_sub(i64::try_from(cost).unwrap_or(i64::MAX));
        self.waiting_cost = self.waiting_cost.saturating_sub(cost);
        if self.waiting_cost < WAITING_COST_MAX {
            due.extend(self.waker.take());
        }
        shrink_empty(&mut self.items);
        Some(item)
    }

    /// Whether nothing can be added.
    pub(super) const fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Whether it has ended, and all items have gone.
    pub(super) fn is_done(&self) -> bool {
        self.is_ended && self.items.is_empty()
    }

    /// Bytes of what waits, and what they cost to keep.
    pub(super) const fn held_bytes(&self) -> u64 {
        self.waiting_cost
    }

    /// The waker of whoever waits, as nothing goes any more.
    pub(super) fn cut_off(&mut self) -> Option<Waker> {
        (self.items, self.waiting_cost, self.is_ended) = (VecDeque::new(), 0, true);
        self.waker.take()
    }
}

impl Receiving {
    /// A half whose peer begins with this window as its credit. From the first credit on that it is
    /// granted, it has `window_later` if that is more.
    pub(super) fn new(window: u32, window_later: u32) -> Self {
        let (balance, items) = (i64::from(window), VecDeque::new());
        Self {
            balance,
            window,
            window_later,
            items,
            waiting_cost: 0,
            is_ended: false,
            is_cut_off: false,
            waker: None,
        }
    }

    /// The line of an item came: whether somebody wants it.
    pub(super) fn handle_line(&mut self, len: u64) -> Result<bool, Misuse> {
        if self.is_cut_off {
            return Ok(false);
        }
        if self.is_ended {
            return Err(Misuse::Ended);
        }
        if self.balance <= 0 {
            return Err(Misuse::Ungranted);
        }
        let cost = i64::try_from(cost(len)).unwrap_or(i64::MAX);
        self.balance = self.balance.saturating_sub(cost);
        Ok(true)
    }

    /// Takes in an item whose line may come; answers who waits for it.
    pub(super) fn handle_item(&mut self, item: Item) -> Option<Waker> {
        self.waiting_cost = self.waiting_cost.saturating_add(item.cost());
        self.items.push_back(item);
        self.waker.take()
    }

    /// The peer has sent its last item; answers who waits for one.
    pub(super) fn handle_end(&mut self) -> Result<Option<Waker>, Misuse> {
        if self.is_ended && !self.is_cut_off {
            return Err(Misuse::Ended);
        }
        self.is_ended = true;
        Ok(self.waker.take())
    }

    /// The next item; `None` behind the last.
    pub(super) fn poll_next(
        &mut self,
        waker: &mut Option<Waker>,
        spent: &mut Vec<Waker>,
    ) -> Poll<Option<Item>> {
        if let Some(item) = self.items.pop_front() {
            self.waiting_cost = self.waiting_cost.saturating_sub(item.cost());
            shrink_empty(&mut self.items);
            return Poll::Ready(Some(item));
        }
        if self.is_ended {
            return Poll::Ready(None);
        }
        if waker.is_some() {
            spent.extend(std::mem::replace(&mut self.waker, waker.take()));
        }
        Poll::Pending
    }

    /// What is to be granted now, if it is worth a line. Where memory is scarce a half that holds
    /// something gets no more.
    pub(super) fn take_credit(&mut self, is_scarce: bool) -> Option<u32> {
        if self.is_ended || is_scarce && !self.items.is_empty() {
            return None;
        }
        let held = i64::try_from(self.waiting_cost).unwrap_or(i64::MAX);
        let mut credit = i64::from(self.window).saturating_sub(self.balance).saturating_sub(held);
        if credit < i64::from(self.window / 2).max(1) {
            return None;
        }
        if !is_scarce && self.window < self.window_later {
            credit = credit.saturating_add(i64::from(self.window_later.abs_diff(self.window)));
            self.window = self.window_later;
        }
        let credit = u32::try_from(credit).unwrap_or(u32::MAX);
        self.balance = self.balance.saturating_add(i64::from(credit));
        Some(credit)
    }

    /// Bytes of what waits, and what they cost to keep.
    pub(super) const fn held_bytes(&self) -> u64 {
        self.waiting_cost
    }

    /// Drops what waits, as nobody takes it any more.
    pub(super) fn cut_off(&mut self) -> Option<Waker> {
        (self.items, self.waiting_cost) = (VecDeque::new(), 0);
        (self.is_ended, self.is_cut_off) = (true, true);
        self.waker.take()
    }
}

/// What an item of so many bytes costs.
const fn cost(len: u64) -> u64 {
    len.saturating_add(ITEM_COST_BYTES)
}

/// What an item costs beside its bytes: about what it takes to keep one.
const ITEM_COST_BYTES: u64 = 64;

/// The most that a half may be granted.
const BALANCE_MAX: i64 = 4_294_967_295;

/// The window of a request that goes on, as replies have it from the beginning.
pub(super) const WINDOW: u32 = 64 * 1024;

/// Items of this side wait up to here, so that whoever makes them need not be woken for each.
const WAITING_COST_MAX: u64 = 64 * 1024;

#[cfg(test)]
mod tests;
