//! The items of a streamed call that comes through no connection: a queue in memory for each way.
//!
//! ```text
//!   open ──end──────────────────────────► ended: what is there is taken, and then `None`
//!    └─ abort, or the end is dropped ───► broken off: what is there is taken, and then an error
//! ```

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::items::Items;
use crate::error::Result;
use crate::quota::{Held, Quota};
use crate::session::{Item, Positions, takes_no_items};

/// One end of such a call.
pub(crate) struct PipeEnd {
    ours: Arc<Half>,
    theirs: Arc<Half>,
}

/// The items of one direction.
#[derive(Default)]
struct Half {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    bytes: usize,
    held: Option<Held>,
    positions: Positions,
    // Where the items begin, once whoever sends them has said so or has sent something.
    opened: Option<Option<u64>>,
    life: Life,
    // Several tasks may send.
    senders: Vec<Waker>,
    receiver: Option<Waker>,
    opener: Option<Waker>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Life {
    #[default]
    Open,
    Ended,
    BrokenOff,
}

/// The two ends of a call: items of each come out at the other.
pub(crate) fn pipe() -> (PipeEnd, PipeEnd) {
    let (up, down) = (Arc::<Half>::default(), Arc::<Half>::default());
    let far = PipeEnd { ours: Arc::clone(&down), theirs: Arc::clone(&up) };
    (PipeEnd { ours: up, theirs: down }, far)
}

impl Half {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing comes behind what is there.
    fn end(&self, life: Life) {
        let mut state = self.lock();
        if state.life != Life::Open {
            return;
        }
        state.life = life;
        let senders = std::mem::take(&mut state.senders);
        let others = [state.receiver.take(), state.opener.take()];
        drop(state);
        senders.into_iter().chain(others.into_iter().flatten()).for_each(Waker::wake);
    }

    fn open(&self, position: Option<u64>) {
        let mut state = self.lock();
        if state.opened.is_none() {
            state.opened = Some(position);
            state.positions.begin(position);
        }
        let opener = state.opener.take();
        drop(state);
        opener.into_iter().for_each(Waker::wake);
    }
}

/// Keeps a waker in the place of the one before, which is dropped when nothing is locked.
fn wait<T>(
    mut state: MutexGuard<'_, State>,
    waker: Waker,
    place: fn(&mut State) -> &mut Option<Waker>,
) -> Poll<T> {
    let spent = place(&mut state).replace(waker);
    drop(state);
    drop(spent);
    Poll::Pending
}

impl Items for PipeEnd {
    fn poll_send(&self, cx: &mut Context<'_>, item: &mut Option<Item>) -> Poll<Result<()>> {
        let waker = cx.waker().clone();
        let mut state = self.ours.lock();
        if state.life != Life::Open {
            return Poll::Ready(Err(takes_no_items()));
        }
        if state.bytes >= BYTES_MAX {
            let kept = state.senders.iter_mut().find(|kept| kept.will_wake(&waker));
            // Not dropped where the lock is held.
            let spent = match kept {
                Some(kept) => Some(std::mem::replace(kept, waker)),
                None => {
                    state.senders.push(waker);
                    None
                }
            };
            drop(state);
            drop(spent);
            return Poll::Pending;
        }
        let Some(mut next) = item.take() else {
            return Poll::Ready(Ok(()));
        };
        let bytes = state.bytes.saturating_add(Item::held_bytes(next.payload.len()));
        if let Some(held) = &mut state.held {
            held.cover(bytes)?;
        }
        state.bytes = bytes;
        next.position = state.positions.pass(next.position);
        state.opened.get_or_insert(None);
        state.items.push_back(next);
        let wakers = [state.receiver.take(), state.opener.take()];
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
        Poll::Ready(Ok(()))
    }

    fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Result<Option<Item>>> {
        let waker = cx.waker().clone();
        let mut state = self.theirs.lock();
        let Some(item) = state.items.pop_front() else {
            return match state.life {
                Life::Open => wait(state, waker, |state| &mut state.receiver),
                Life::Ended => Poll::Ready(Ok(None)),
                Life::BrokenOff => Poll::Ready(Err(takes_no_items())),
            };
        };
        let bytes = state.bytes.saturating_sub(Item::held_bytes(item.payload.len()));
        state.bytes = bytes;
        if let Some(held) = &mut state.held {
            // Less than before.
            let _ = held.cover(bytes);
        }
        let is_roomy = bytes < BYTES_MAX;
        let senders = if is_roomy { std::mem::take(&mut state.senders) } else { Vec::new() };
        drop(state);
        senders.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(Some(item)))
    }

    fn poll_opened(&self, cx: &mut Context<'_>) -> Poll<Result<Option<u64>>> {
        let waker = cx.waker().clone();
        let state = self.theirs.lock();
        match state.opened {
            Some(position) => Poll::Ready(Ok(position)),
            None if state.life != Life::Open => Poll::Ready(Err(takes_no_items())),
            None => wait(state, waker, |state| &mut state.opener),
        }
    }

    fn open(&self, position: Option<u64>) {
        self.ours.open(position);
    }

    fn end(&self) {
        self.ours.end(Life::Ended);
    }

    fn abort(&self) {
        self.ours.end(Life::BrokenOff);
    }

    fn charge_to(&self, quota: &Arc<Quota>) {
        for half in [&self.ours, &self.theirs] {
            let mut state = half.lock();
            let (mut held, bytes) = (Held::new(quota), state.bytes);
            // What waits already is little.
            let _ = held.cover(bytes);
            state.held = Some(held);
        }
    }
}

/// The other end learns that nobody is here any more.
impl Drop for PipeEnd {
    fn drop(&mut self) {
        self.ours.end(Life::BrokenOff);
        self.theirs.end(Life::BrokenOff);
    }
}

/// Bytes of items that wait in one direction, but for one more item.
const BYTES_MAX: usize = 64 * 1024;
