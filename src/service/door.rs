//! A way in that is not a stream, and its end.
//!
//! ```text
//!   open ──close──► draining ──no call is under way──► closed
//!    │ calls run       │ calls are refused: `shutting_down`
//!    │                 └── after drain_time_max those under way end: the same
//! ```

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use tokio::sync::{Notify, watch};
use tokio::task::unconstrained;
use tokio::time::Instant;

use super::answer::{Answer, BoxFuture};
use super::commands::Commands;
use super::reply::Reply;
use super::seam::{Channel, Request, Service};
use super::state::ChannelStates;
use super::tasks::Tasks;
use crate::clock::{after, timer};
#[cfg(feature = "gob")]
use crate::command::Facts;
use crate::error::{Code, Error, Result};
use crate::limits::Limits;
use crate::quota::{Held, Quota};
#[cfg(any(feature = "gob", feature = "json", feature = "udp"))]
use crate::session::Tally;
use crate::session::endless;
use crate::transport::Peer;
use crate::wire::Name;

/// A handle by which a datagram socket, a message bus or a gateway calls an
/// [`Endpoint`](crate::Endpoint). Made by [`Endpoint::door`](crate::Endpoint::door).
///
/// It stands for one connection. At most `calls_per_connection_max` calls are under way at once,
/// and when it is closed they have `drain_time_max` to end. Clones are the same door.
/// One [for many](crate::Endpoint::door_for_many) connections has no such bound.
///
/// The error of a call that is refused or fails has its code and text for the caller.
#[derive(Clone)]
pub struct Door {
    inner: Arc<Inner>,
}

/// What the clones of a door share.
struct Inner {
    service: Arc<dyn Commands>,
    limits: Arc<Limits>,
    quota: Arc<Quota>,
    peer: Peer,
    calls: AtomicUsize,
    // Without it, whoever calls keeps that bound.
    calls_max: Option<usize>,
    answered: AtomicU64,
    cut_off: AtomicU64,
    ended: Notify,
    tasks: Arc<Tasks>,
    // When it was closed, until when calls may go on.
    closed: watch::Sender<Option<Instant>>,
}

/// A call that counts among those of its door until this is dropped.
struct Admission {
    door: Arc<Inner>,
    is_answered: bool,
}

impl Door {
    pub(crate) fn new(
        service: Arc<dyn Commands>,
        limits: Arc<Limits>,
        quota: Arc<Quota>,
        peer: Peer,
        tasks: Arc<Tasks>,
    ) -> Self {
        let calls_max = Some(limits.calls_per_connection_max);
        let inner = Inner {
            service,
            limits,
            quota,
            peer,
            calls_max,
            calls: AtomicUsize::new(0),
            answered: AtomicU64::new(0),
            cut_off: AtomicU64::new(0),
            ended: Notify::new(),
            tasks,
            closed: watch::Sender::new(None),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The same for many callers at once, of whom each has a bound of its own.
    pub(crate) fn for_many(mut self) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.calls_max = None;
        }
        self
    }

    /// Refuses all further calls with `shutting_down`. Calls under way may go on for
    /// `drain_time_max`, and then end with `shutting_down`, as calls that may have run.
    pub fn close(&self) {
        let until = after(self.inner.limits.drain_time_max);
        self.inner.closed.send_if_modified(|closed| match closed {
            Some(_) => false,
            None => {
                *closed = Some(until);
                true
            }
        });
        self.inner.tasks.drain();
    }

    /// Whether it was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.closed.borrow().is_some()
    }

    /// Waits until the door was closed, no call is under way, and all tasks that handlers have
    /// [spawned](crate::Context::spawn) are done or dropped.
    ///
    /// # Cancel safety
    ///
    /// Only waits; nothing is lost.
    pub async fn closed(&self) {
        let drained = self.inner.closing().await;
        loop {
            let mut ended = pin!(self.inner.ended.notified());
            // Registered before looking, so that nothing in between is missed.
            ended.as_mut().enable();
            if self.inner.calls.load(Ordering::Acquire) == 0 {
                break;
            }
            ended.await;
        }
        let _ = self.inner.tasks.end(drained).await;
    }

    /// What became of its calls.
    #[cfg(any(feature = "gob", feature = "json", feature = "udp"))]
    pub(crate) fn tally(&self) -> Tally {
        Tally {
            answered: self.inner.answered.load(Ordering::Acquire),
            cut_off: self.inner.cut_off.load(Ordering::Acquire),
            ..Tally::default()
        }
    }

    /// What the command of this name has in place of limits.
    #[cfg(feature = "gob")]
    pub(crate) fn facts_of(&self, name: &Name) -> Option<Facts> {
        self.inner.service.facts_of(name)
    }

    /// Memory of the endpoint, for what waits at this door: nothing of it so far. A request and its
    /// reply are counted by themselves, from the call on and until they are dropped.
    #[must_use]
    pub fn held(&self) -> Held {
        Held::new(&self.inner.quota)
    }
}

impl Inner {
    /// Admits a call.
    ///
    /// # Errors
    ///
    /// `overloaded` or `shutting_down`.
    fn enter(self: &Arc<Self>) -> Result<Admission> {
        let max = self.calls_max.unwrap_or(usize::MAX);
        let one_more = |calls: usize| calls.checked_add(1).filter(|calls| *calls <= max);
        if self.calls.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).is_err() {
            let text = format!("calls_per_connection_max ({max}) are running");
            return Err(Error::found(Code::Overloaded, text));
        }
        // Looked at behind the count, by which whoever closes waits for it.
        if self.closed.borrow().is_some() {
            self.leave();
            return Err(Error::found(Code::ShuttingDown, "no more calls are taken"));
        }
        Ok(Admission { door: Arc::clone(self), is_answered: false })
    }

    fn leave(&self) {
        if self.calls.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.ended.notify_waiters();
        }
    }

    /// When it is closed: until when calls may go on.
    async fn closing(&self) -> Instant {
        let mut closed = self.closed.subscribe();
        loop {
            if let Some(until) = *closed.borrow_and_update() {
                return until;
            }
            // Its sender is in here.
            let _ = closed.changed().await;
        }
    }

    /// The same, or when the listener of a call drains.
    async fn closing_with(&self, listener: Option<Arc<Tasks>>) -> Instant {
        let Some(listener) = listener else { return self.closing().await };
        let draining = listener.draining();
        tokio::select! {
            until = self.closing() => until,
            () = draining.cancelled() => after(self.limits.drain_time_max),
        }
    }

    /// Whether calls of this command have no end of their own.
    fn is_endless(&self, name: &Name) -> bool {
        self.service.facts_of(name).is_some_and(|facts| facts.is_endless())
    }

    /// The error of a call that is still under way when it may not be any longer.
    fn cut_off(&self) -> Error {
        let time = self.limits.drain_time_max;
        let text = format!("the call did not end within drain_time_max ({time:?})");
        Error::found(Code::ShuttingDown, text).after_running().heard()
    }
}

/// The answer to a call that was admitted by a door.
struct Attended {
    name: Name,
    // Dropped before its admission is given back.
    answer: Answer,
    // The listener that it came in at, if that is to end it as well.
    listener: Option<Arc<Tasks>>,
    // Until the drain is over; made when the answer has been pending once.
    drained: Option<BoxFuture<'static, ()>>,
    admission: Admission,
}

impl Attended {
    fn new(name: Name, answer: Answer, admission: Admission, listener: Option<Arc<Tasks>>) -> Self {
        Self { name, answer, listener, drained: None, admission }
    }
}

impl Future for Attended {
    type Output = Result<Reply>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { name, answer, listener, drained, admission } = &mut *self;
        if let Poll::Ready(reply) = Pin::new(answer).poll(cx) {
            admission.is_answered = true;
            return Poll::Ready(reply);
        }
        let drained = drained.get_or_insert_with(|| {
            let door = Arc::clone(&admission.door);
            let (is_endless, listener) = (door.is_endless(name), listener.take());
            // It is over in time, however much the handler does.
            Box::pin(unconstrained(async move {
                match timer(door.closing_with(listener).await.into_std()) {
                    Some(timer) if !is_endless => timer.await,
                    None if !is_endless => std::future::pending().await,
                    _ => {}
                }
            }))
        });
        ready!(drained.as_mut().poll(cx));
        let is_endless = admission.door.is_endless(name);
        let error =
            if is_endless { endless().after_running().heard() } else { admission.door.cut_off() };
        admission.is_answered |= is_endless;
        Poll::Ready(Err(error))
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let count = if self.is_answered { &self.door.answered } else { &self.door.cut_off };
        count.fetch_add(1, Ordering::AcqRel);
        self.door.leave();
    }
}

impl Service for Door {
    fn call(&self, request: Request) -> Answer {
        let is_one_way = request.is_one_way();
        let answer = self.begin(request);
        if is_one_way { answer.when_taken() } else { answer }
    }
}

impl Door {
    /// As [`call`](Self::call), but the answer to a call that wants none is there when it has
    /// ended, too.
    pub(crate) fn begin(&self, request: Request) -> Answer {
        match self.inner.enter() {
            Ok(admission) => {
                let name = request.name();
                let mut request = request.or_peer(&self.inner.peer);
                let listener = request.in_tasks(&self.inner.tasks);
                let answer = self.inner.service.call(request);
                Answer::new(Attended::new(name, answer, admission, listener))
            }
            Err(error) => {
                self.inner.service.turn_away();
                Answer::refused_directly(error)
            }
        }
    }
}

impl Channel for Door {
    fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    fn peer(&self) -> Peer {
        self.inner.peer.clone()
    }

    fn states(&self) -> ChannelStates {
        let door = self.clone();
        ChannelStates::until(async move { door.closed().await })
    }

    fn is_closed(&self) -> bool {
        Self::is_closed(self)
    }

    fn close(&self) {
        Self::close(self);
    }

    fn closed(&self) -> BoxFuture<'_, ()> {
        Box::pin(Self::closed(self))
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("peer", &self.inner.peer).finish_non_exhaustive()
    }
}
