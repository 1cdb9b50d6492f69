//! The items of a streamed call that comes through no connection: a queue in memory for each way.
//!
//! ```text
//!   open ──end──────────────────────────► ended: what is there is taken, and then `None`
//!    └─ abort, or the end is dropped ───► broken off: what is there is taken, and then an error
//! ```

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::items::Items;
use super::seam::Request;
use crate::asking::check_item_bytes;
use crate::error::Result;
use crate::limits::Limits;
use crate::quota::{Held, Quota};
use crate::session::{Item, Positions, takes_no_items};

/// The items of a streamed call that is made as a value, at the side of its caller: as payloads, in
/// the format of the call. It is for doors and for clients in the same process; over a connection a
/// streamed call is made by its [`Command`](crate::Command), and a request with a pipe fails with
/// `unsupported_format`.
///
/// ```
/// # #[cfg(feature = "json")] {
/// use switchboard::service::{Pipe, Request, Service};
/// use switchboard::{Command, Endpoint, Result, Sender, Streamed, format::Json};
///
/// const COUNT: Command<u32, Streamed<u32>, Json> = Command::new("COUNT");
///
/// async fn count(end: u32, out: Sender<u32>) -> Result<()> {
///     for number in 1..=end {
///         out.send(&number).await?;
///     }
///     Ok(())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let door = Endpoint::new().on(COUNT, count).door();
/// let mut request = Request::new("COUNT", "2")?.with_format("json")?;
/// let mut pipe = Pipe::of(&mut request);
/// // The answer is polled beside the items: that is what moves the handler.
/// let answer = tokio::spawn(door.call(request));
/// let mut items = Vec::new();
/// while let Ok(Some(item)) = pipe.next().await {
///     items.push(item.payload);
/// }
/// assert_eq!(items, ["1", "2"]);
/// // Whether that was all, and went well, the answer says.
/// let reply = answer.await.unwrap()?;
/// assert_eq!(reply.payload(), b"null");
/// # Ok(())
/// # } }
/// ```
pub struct Pipe {
    end: PipeEnd,
}

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
    limits: Option<Arc<Limits>>,
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

impl Pipe {
    /// Makes this request a streamed one; a command without items refuses it with
    /// `unsupported_format`.
    pub fn of(request: &mut Request) -> Self {
        let (end, far) = pipe();
        request.set_items(Arc::new(far));
        Self { end }
    }

    /// Sends an item of the request, as soon as there is room for it.
    ///
    /// # Errors
    ///
    /// `cancelled` if the call takes no more items, `too_large` if it is over `item_bytes_max`, and
    /// `overloaded` if the endpoint has no memory for it.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, it has sent nothing.
    pub async fn send(&self, payload: impl Into<Bytes>) -> Result<()> {
        let mut item = Some(Item::new(payload.into()));
        poll_fn(|cx| self.end.poll_send(cx, &mut item)).await
    }

    /// Ends the items of the request. Dropping the pipe without it gives the call up.
    pub fn end(&self) {
        self.end.end();
    }

    /// The next item of the reply; `None` after the last item, while the handler goes on.
    ///
    /// # Errors
    ///
    /// `cancelled` if no more come, since the handler has ended. The answer says whether it went
    /// well.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no item is lost.
    pub async fn next(&mut self) -> Result<Option<Item>> {
        poll_fn(|cx| self.end.poll_next(cx)).await
    }

    /// Waits until the handler has taken the call, by saying so or by sending an item. Answers the
    /// position at which its items begin, if it says one.
    ///
    /// # Errors
    ///
    /// `cancelled` if the handler has ended before.
    ///
    /// # Cancel safety
    ///
    /// Only waits.
    pub async fn opened(&mut self) -> Result<Option<u64>> {
        poll_fn(|cx| self.end.poll_opened(cx)).await
    }
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

impl State {
    /// Whether one more item may wait, so that all have so many bytes.
    fn admit(&mut self, item_bytes: usize, bytes: usize) -> Result<()> {
        if let Some(limits) = &self.limits {
            check_item_bytes(item_bytes, limits)?;
        }
        self.held.as_mut().map_or(Ok(()), |held| held.cover(bytes))
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
        let is_scarce = state.held.as_ref().is_some_and(Held::is_scarce);
        if state.bytes >= BYTES_MAX || is_scarce && !state.items.is_empty() {
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
        if let Err(error) = state.admit(next.payload.len(), bytes) {
            drop(state);
            // Its bytes may have an owner, who may do anything.
            drop(next);
            return Poll::Ready(Err(error));
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

    fn hold(&self, bytes: usize) -> Result<Option<Held>> {
        let held = self.ours.lock().held.as_ref().map(Held::beside);
        held.map(|held| held.of(Item::held_bytes(bytes))).transpose()
    }

    fn close(&self) {
        self.ours.end(Life::BrokenOff);
        self.theirs.end(Life::BrokenOff);
    }

    fn charge_to(&self, quota: &Arc<Quota>, limits: &Arc<Limits>) {
        for half in [&self.ours, &self.theirs] {
            let mut state = half.lock();
            let (mut held, bytes) = (Held::new(quota), state.bytes);
            // What waits already is little.
            let _ = held.cover(bytes);
            state.held = Some(held);
            state.limits = Some(Arc::clone(limits));
        }
    }
}

impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipe").finish_non_exhaustive()
    }
}

/// The other end learns that nobody is here any more.
impl Drop for PipeEnd {
    fn drop(&mut self) {
        self.close();
    }
}

/// Bytes of items that wait in one direction, but for one more item.
const BYTES_MAX: usize = 64 * 1024;
