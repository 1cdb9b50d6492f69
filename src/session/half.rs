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

use super::positions::Positions;
use super::tables::shrink_empty;

/// Items of this side, which wait for credit and for their turn.
#[derive(Debug)]
pub(super) struct Sending {
    balance: i64,
    items: VecDeque<Item>,
    // What the items in `items` cost.
    waiting_cost: u64,
    positions: Positions,
    is_ended: bool,
    // Of those who wait for room: several tasks may send.
    wakers: Vec<Waker>,
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
    // Of those in `items`, and of those that are lent.
    waiting_cost: u64,
    lent_cost: u64,
    // Of the item whose line has come, and whose body has not.
    coming_cost: u64,
    positions: Positions,
    is_ended: bool,
    // By this side.
    is_cut_off: bool,
    // Of whoever waits for the next item, or behind the end for the last one to be taken.
    waker: Option<Waker>,
}

/// One item, as its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Item {
    /// Its value, in the format of the call.
    pub payload: Bytes,
    /// Its place in the source, if that is known.
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
    /// An item of which no place is known but that it is behind the one before it.
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
        let positions = Positions::default();
        Self { balance, items, waiting_cost: 0, positions, is_ended: false, wakers: Vec::new() }
    }

    /// The first item stands here.
    pub(super) const fn begin_at(&mut self, position: Option<u64>) {
        self.positions.begin(position);
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

    /// Whether another item may wait, which is said to `waker` if it may not yet. Where memory is
    /// scarce none waits behind another.
    pub(super) fn poll_room(
        &mut self,
        is_scarce: bool,
        waker: &mut Option<Waker>,
        spent: &mut Vec<Waker>,
    ) -> Poll<()> {
        let has_room = if is_scarce { self.items.is_empty() } else { self.has_room() };
        if has_room {
            return Poll::Ready(());
        }
        if let Some(waker) = waker.take() {
            match self.wakers.iter_mut().find(|kept| kept.will_wake(&waker)) {
                Some(kept) => spent.push(std::mem::replace(kept, waker)),
                None => self.wakers.push(waker),
            }
        }
        Poll::Pending
    }

    /// Adds an item, for which there is room. Of its position it keeps what is to be said.
    pub(super) fn push(&mut self, mut item: Item) {
        item.position = self.positions.tell(item.position);
        self.waiting_cost = self.waiting_cost.saturating_add(item.cost());
        self.items.push_back(item);
    }

    /// Nothing comes behind what waits; answers those who wait for room, in vain.
    pub(super) fn end(&mut self) -> Vec<Waker> {
        self.is_ended = true;
        std::mem::take(&mut self.wakers)
    }

    /// Whether an item may go now.
    pub(super) fn is_ready(&self) -> bool {
        self.balance > 0 && !self.items.is_empty()
    }

    /// Whether items wait that only credit can let go.
    pub(super) fn is_stalled(&self) -> bool {
        self.balance <= 0 && !self.items.is_empty()
    }

    /// The next item that may go; those who wait for room are added to `due`.
    pub(super) fn pop(&mut self, due: &mut Vec<Waker>) -> Option<Item> {
        let item = if self.balance > 0 { self.items.pop_front() } else { None }?;
        let cost = item.cost();
        self.balance = self.balance.saturating_sub(i64::try_from(cost).unwrap_or(i64::MAX));
        self.waiting_cost = self.waiting_cost.saturating_sub(cost);
        if self.has_room() {
            due.append(&mut self.wakers);
        }
        shrink_empty(&mut self.items);
        Some(item)
    }

    const fn has_room(&self) -> bool {
        self.waiting_cost < WAITING_COST_MAX
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

    /// Drops what waits, as nothing goes any more; answers those who wait for room.
    pub(super) fn cut_off(&mut self) -> Vec<Waker> {
        (self.items, self.waiting_cost) = (VecDeque::new(), 0);
        self.end()
    }
}

impl Receiving {
    /// A half whose peer begins with this window as its credit. From the first credit on that it is
    /// granted, it has `window_later` if that is more.
    pub(super) fn new(window: u32, window_later: u32) -> Self {
        Self {
            balance: i64::from(window),
            window,
            window_later,
            items: VecDeque::new(),
            waiting_cost: 0,
            lent_cost: 0,
            coming_cost: 0,
            positions: Positions::default(),
            is_ended: false,
            is_cut_off: false,
            waker: None,
        }
    }

    /// The first item stands here.
    pub(super) const fn begin_at(&mut self, position: Option<u64>) {
        self.positions.begin(position);
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
        self.coming_cost = cost(len);
        let cost = i64::try_from(self.coming_cost).unwrap_or(i64::MAX);
        self.balance = self.balance.saturating_sub(cost);
        Ok(true)
    }

    /// Takes in an item whose line may come; answers who waits for it. One whose half was cut off
    /// behind its line is dropped.
    pub(super) fn handle_item(&mut self, mut item: Item) -> Option<Waker> {
        if self.is_cut_off {
            return None;
        }
        item.position = self.positions.pass(item.position);
        self.coming_cost = 0;
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

    /// The next item; `None` behind the last. Whoever asks has used up what was lent.
    pub(super) fn poll_next(
        &mut self,
        waker: &mut Option<Waker>,
        spent: &mut Vec<Waker>,
    ) -> Poll<Option<Item>> {
        let lent_cost = std::mem::take(&mut self.lent_cost);
        self.waiting_cost = self.waiting_cost.saturating_sub(lent_cost);
        if let Some(item) = self.items.pop_front() {
            self.waiting_cost = self.waiting_cost.saturating_sub(item.cost());
            shrink_empty(&mut self.items);
            return Poll::Ready(Some(item));
        }
        if self.is_ended {
            return Poll::Ready(None);
        }
        self.keep(waker, spent);
        Poll::Pending
    }

    /// Lends those that come next, so that not each of them is asked for by itself. They count as
    /// waiting until another is asked for: so they are little of the window, or the peer would wait
    /// for credit while its items are used up one by one.
    pub(super) fn lend(&mut self, lent: &mut VecDeque<Item>) {
        let lent_cost_max = u64::from(self.window / LENT_PART);
        while let Some(item) = self.items.front() {
            let lent_cost = self.lent_cost.saturating_add(item.cost());
            if lent_cost > lent_cost_max {
                return;
            }
            self.lent_cost = lent_cost;
            lent.extend(self.items.pop_front());
        }
        shrink_empty(&mut self.items);
    }

    /// Whether all that came has been taken; if not, `waker` is kept: no item is waited for then.
    pub(super) fn poll_taken(
        &mut self,
        waker: &mut Option<Waker>,
        spent: &mut Vec<Waker>,
    ) -> Poll<()> {
        if self.items.is_empty() {
            return Poll::Ready(());
        }
        self.keep(waker, spent);
        Poll::Pending
    }

    fn keep(&mut self, waker: &mut Option<Waker>, spent: &mut Vec<Waker>) {
        if waker.is_some() {
            spent.extend(std::mem::replace(&mut self.waker, waker.take()));
        }
    }

    /// The waker of whoever waits for the last item to be taken, once it has been.
    pub(super) fn take_last_waker(&mut self) -> Option<Waker> {
        if self.is_ended && self.items.is_empty() { self.waker.take() } else { None }
    }

    /// What is to be granted now, if it is worth a line. Where memory is scarce a half that holds
    /// something gets no more.
    pub(super) fn take_credit(&mut self, is_scarce: bool) -> Option<u32> {
        if self.is_ended || is_scarce && !self.items.is_empty() {
            return None;
        }
        let held = self.waiting_cost.saturating_add(self.coming_cost);
        let held = i64::try_from(held).unwrap_or(i64::MAX);
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

    /// Whether nothing more can come.
    pub(super) const fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Bytes of what waits, and what they cost to keep.
    pub(super) const fn held_bytes(&self) -> u64 {
        self.waiting_cost
    }

    /// Whether nobody takes anything any more.
    pub(super) const fn is_cut_off(&self) -> bool {
        self.is_cut_off
    }

    /// Drops what waits and what still comes, for which the peer is granted all that it can be.
    pub(super) fn let_go(&mut self, due: &mut Vec<Waker>) -> Option<u32> {
        let is_to_come = !self.is_ended;
        due.extend(self.cut_off());
        let credit = BALANCE_MAX.saturating_sub(self.balance);
        u32::try_from(credit).ok().filter(|credit| is_to_come && *credit > 0)
    }

    /// Drops what waits, as nobody takes it any more.
    pub(super) fn cut_off(&mut self) -> Option<Waker> {
        (self.items, self.waiting_cost, self.lent_cost) = (VecDeque::new(), 0, 0);
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

/// Of a window so much is lent at once.
const LENT_PART: u32 = 8;

/// Items of this side wait up to here, so that whoever makes them need not be woken for each.
const WAITING_COST_MAX: u64 = 64 * 1024;

#[cfg(test)]
mod tests;
