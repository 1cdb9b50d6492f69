//! Deadlines of calls, kept where the calls are polled.
//!
//! The driver keeps the time of its session. But it may be in another runtime than a caller: in one
//! that nobody drives, or whose only thread is busy, and then a call would not end in time. So each
//! runtime in which calls are polled has a watcher for the connection, one task for all of them,
//! which does nothing but end those that are late:
//!
//! ```text
//!              a call is sent, or waits for room            its deadline, or an earlier one
//!   (nobody) ─────────────────────────────────► asleep ────────────────────────────────► looks
//!      ▲                                          ▲                                        │ │
//!      │ no call is under way,                    └──────── some are: until the next ──────┘ │
//!      └── or the connection has ended ◄─────────────────────────────────────────────────────┘
//! ```
//!
//! None is needed in the driver's own runtime if that has one thread: where a call is polled, the
//! driver is. A caller in no runtime at all relies on the driver, too.

use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::{Poll, Waker};
use std::time::Instant;

use tokio::runtime::{Handle, Id, RuntimeFlavor};

/// The watchers of one connection, kept under its lock.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    watchers: Vec<Watcher>,
}

#[derive(Debug)]
struct Watcher {
    runtime: Id,
    // When it looks next. It will not have looked before it is woken, either.
    alarm: Instant,
    // `None` while it is about to look.
    waker: Option<Waker>,
}

/// What has to be done for a deadline, when the lock is released.
#[derive(Debug)]
pub(super) enum Watch {
    /// Nothing: a watcher looks by then.
    Is,
    /// A watcher sleeps for longer.
    Wake(Waker),
    /// There is no watcher.
    Begin(Id),
}

impl Watchers {
    /// Sees to it that somebody looks at `deadline` in `runtime`.
    pub(super) fn watch(&mut self, runtime: Id, deadline: Instant) -> Watch {
        let mut watchers = self.watchers.iter_mut();
        let Some(watcher) = watchers.find(|watcher| watcher.runtime == runtime) else {
            self.watchers.push(Watcher { runtime, alarm: deadline, waker: None });
            return Watch::Begin(runtime);
        };
        if watcher.alarm <= deadline {
            return Watch::Is;
        }
        watcher.alarm = deadline;
        watcher.waker.take().map_or(Watch::Is, Watch::Wake)
    }

    /// A watcher goes to sleep until `alarm`; answers the waker that it had before.
    pub(super) fn sleep(&mut self, runtime: Id, alarm: Instant, waker: Waker) -> Option<Waker> {
        let mut watchers = self.watchers.iter_mut();
        match watchers.find(|watcher| watcher.runtime == runtime) {
            Some(watcher) => {
                watcher.alarm = alarm;
                watcher.waker.replace(waker)
            }
            None => Some(waker),
        }
    }

    /// The watcher of this runtime is gone; answers its waker.
    pub(super) fn remove(&mut self, runtime: Id) -> Option<Waker> {
        let at = self.watchers.iter().position(|watcher| watcher.runtime == runtime)?;
        self.watchers.swap_remove(at).waker
    }

    /// Those to be woken when the connection has ended.
    pub(super) fn take_wakers(&mut self) -> Vec<Waker> {
        self.watchers.iter_mut().filter_map(|watcher| watcher.waker.take()).collect()
    }
}

/// Whose calls are watched.
pub(super) trait Watched: Send + Sync + 'static {
    /// Ends the calls that are late; answers when to look again, if at all, and registers `waker`
    /// to be woken before that for a deadline that is nearer.
    fn end_late_calls(&self, runtime: Id, waker: Waker) -> Option<Instant>;

    /// The watcher of this runtime is gone before its time.
    fn strike_off(&self, runtime: Id);
}

/// Does what a deadline asks for. No lock is held.
pub(super) fn begin<W: Watched>(watch: Watch, watched: &Arc<W>) {
    match watch {
        Watch::Is => {}
        Watch::Wake(waker) => waker.wake(),
        Watch::Begin(runtime) => {
            let duty = Duty { watched: Arc::downgrade(watched), runtime, is_done: false };
            drop(tokio::spawn(watch_over(duty)));
        }
    }
}

/// The runtime of a driver, if it has one thread, on which its callers are as well.
pub(super) fn single_runtime() -> Option<Id> {
    let runtime = Handle::try_current().ok()?;
    matches!(runtime.runtime_flavor(), RuntimeFlavor::CurrentThread).then(|| runtime.id())
}

/// What a watcher does, and where. If its runtime stops before it is done, it is struck off.
struct Duty<W: Watched> {
    watched: Weak<W>,
    runtime: Id,
    is_done: bool,
}

impl<W: Watched> Drop for Duty<W> {
    fn drop(&mut self) {
        if let Some(watched) = self.watched.upgrade().filter(|_| !self.is_done) {
            watched.strike_off(self.runtime);
        }
    }
}

/// Ends calls of a connection in time, for as long as there are any.
async fn watch_over(mut duty: Duty<impl Watched>) {
    let mut timer = pin!(tokio::time::sleep_until(tokio::time::Instant::now()));
    std::future::poll_fn(|cx| {
        loop {
            let next = duty.watched.upgrade().and_then(|watched| {
                let waker = cx.waker().clone();
                watched.end_late_calls(duty.runtime, waker)
            });
            let Some(next) = next else {
                duty.is_done = true;
                return Poll::Ready(());
            };
            timer.as_mut().reset(next.into());
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    })
    .await;
}
