//! The items of one streamed call, as one of its two sides sends and takes them.
//!
//! Items are pulled: one is sent when there is room for it, which the other side makes by taking.
//! What lies between the two, a session's credit or a queue in memory, is behind [`Items`].

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};

use crate::error::{Code, Error, Result};
use crate::format::{Budget, PAYLOAD_BYTES_USUAL};
use crate::limits::Limits;
use crate::session::Item;

/// [`Format::encode`](crate::format::Format::encode).
pub(crate) type EncodeItem<I> = fn(&I, &Limits, &mut BytesMut) -> Result<()>;

/// [`Format::decode`](crate::format::Format::decode).
pub(crate) type DecodeItem<I> = fn(Bytes, &Budget) -> Result<I>;

/// One side of a streamed call.
pub(crate) trait Items: Send + Sync {
    /// Sends the item, which is taken, when there is room for it.
    ///
    /// # Errors
    ///
    /// The call takes no more items.
    fn poll_send(&self, cx: &mut Context<'_>, item: &mut Option<Item>) -> Poll<Result<()>>;

    /// The next item of the other side; `None` behind its last.
    fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<Item>>;

    /// Says that this side sends no more.
    fn end(&self);
}

/// One end of a streamed call that comes through no connection.
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
    is_ended: bool,
    // Several tasks may send.
    senders: Vec<Waker>,
    receiver: Option<Waker>,
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
    fn end(&self) {
        let mut state = self.lock();
        state.is_ended = true;
        let (senders, receiver) = (std::mem::take(&mut state.senders), state.receiver.take());
        drop(state);
        senders.into_iter().chain(receiver).for_each(Waker::wake);
    }
}

impl Items for PipeEnd {
    fn poll_send(&self, cx: &mut Context<'_>, item: &mut Option<Item>) -> Poll<Result<()>> {
        let waker = cx.waker().clone();
        let mut state = self.ours.lock();
        if state.is_ended {
            return Poll::Ready(Err(over()));
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
        if let Some(item) = item.take() {
            state.bytes = state.bytes.saturating_add(Item::held_bytes(item.payload.len()));
            state.items.push_back(item);
        }
        let receiver = state.receiver.take();
        drop(state);
        receiver.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(()))
    }

    fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        let waker = cx.waker().clone();
        let mut state = self.theirs.lock();
        let Some(item) = state.items.pop_front() else {
            if state.is_ended {
                return Poll::Ready(None);
            }
            let spent = state.receiver.replace(waker);
            drop(state);
            drop(spent);
            return Poll::Pending;
        };
        state.bytes = state.bytes.saturating_sub(Item::held_bytes(item.payload.len()));
        let is_roomy = state.bytes < BYTES_MAX;
        let senders = if is_roomy { std::mem::take(&mut state.senders) } else { Vec::new() };
        drop(state);
        senders.into_iter().for_each(Waker::wake);
        Poll::Ready(Some(item))
    }

    fn end(&self) {
        self.ours.end();
    }
}

/// The other end learns that nobody is here any more.
impl Drop for PipeEnd {
    fn drop(&mut self) {
        self.ours.end();
        self.theirs.end();
    }
}

/// An item as its bytes.
pub(crate) fn encode_item<I>(encode: EncodeItem<I>, item: &I, limits: &Limits) -> Result<Item> {
    let mut payload = BytesMut::with_capacity(PAYLOAD_BYTES_USUAL);
    encode(item, limits, &mut payload).map_err(Error::by_library)?;
    let (bytes, max) = (payload.len(), limits.item_bytes_max);
    if bytes > max {
        let text = format!("an item of {bytes} bytes is over item_bytes_max ({max})");
        return Err(Error::local(Code::TooLarge, text));
    }
    Ok(Item::new(payload.freeze()))
}

/// An item of its bytes.
pub(crate) fn decode_item<I>(decode: DecodeItem<I>, item: Item, limits: &Limits) -> Result<I> {
    let budget = Budget::new(limits, item.payload.len());
    decode(item.payload, &budget)
}

fn over() -> Error {
    Error::local(Code::Cancelled, "the call is over, and takes no more items")
}

/// Bytes of items that wait in one direction, but for one more item.
const BYTES_MAX: usize = 64 * 1024;
