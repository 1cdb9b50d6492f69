//! The answer to a call under way: a future that keeps what every call needs.
//!
//! ```text
//!   Working ──the handler ends: its future is dropped, its error told──► ended
//!      │  a panic in it, or in dropping it: `panicked`
//!      │  pending: the timer is armed, unless the door keeps the time ──► due: dropped, ended
//!      └─ dropped: so is the handler, and a panic in that is caught
//! ```
//!
//! The permit of the call is given back when the answer is dropped, so a door that must write the
//! reply first keeps the answer until then, or takes the permit.

use std::borrow::Cow;
use std::fmt;
use std::mem;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;

use bytes::BytesMut;
use tokio::runtime::Handle;
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;
use tracing::Span;

use super::items::Items;
use super::log::{in_time, log_end, log_lateness, log_stop};
use super::panics::caught;
use super::reply::Reply;
use super::told::{told, without_source};
use super::trace::TraceSpan;
use crate::clock::{now, poll_due};
use crate::error::{Code, Error, Result};
use crate::ledger::Tab;
use crate::limits::{PayloadMax, TimeMax};
use crate::quota::{Held, Permit, call_bytes, unheld};
use crate::wire::{Metadata, Name};

/// The answer to a [`Request`](super::Request): a future of a [`Reply`].
///
/// The tokio runtime that polls it keeps its deadline, and must have time enabled. Outside of any
/// runtime nobody keeps the deadline.
///
/// # Errors
///
/// The error for the caller. An error that is not meant for the caller is `failed` and nothing
/// else.
///
/// # Cancel safety
///
/// Dropping the answer stops the handler.
#[must_use = "a call goes on only while its answer is polled"]
pub struct Answer {
    kind: Kind,
}

#[allow(clippy::large_enum_variant, reason = "nearly all are a handler; not so on every system")]
enum Kind {
    /// `None` once it has been given out.
    Known(Option<Result<Reply>>),
    Other(Alone<BoxFuture<'static, Result<Reply>>>),
    Handler(Working),
}

/// A boxed future of any type.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A handler at work.
pub(crate) type Work = BoxFuture<'static, Result<BytesMut>>;

/// A handler at work, with what its call has taken.
struct Working {
    name: Name,
    // `None` once it has ended.
    work: Alone<Option<Work>>,
    time: Time,
    timer: Option<Pin<Box<Sleep>>>,
    is_begun: bool,
    span: Span,
    // `None` if the door has it.
    permit: Option<Permit>,
    tab: Tab,
    // Of a call that no connection accounts for.
    direct: Option<Accounts>,
    items: Option<EndOfItems>,
}

/// Breaks the items off when it is dropped, unless they have ended.
struct EndOfItems(Arc<dyn Items>);

impl Drop for EndOfItems {
    fn drop(&mut self) {
        self.0.close();
    }
}

struct Accounts {
    waiting: Waiting,
    held: Held,
    payload_max: PayloadMax,
}

/// Who ends a call that takes too long, and when.
#[derive(Clone, Copy)]
pub(crate) enum Time {
    /// Its door.
    Door { due: Instant },
    /// This side; of its own accord if `limit` is nearer than the caller's deadline.
    Here { due: Instant, limit: Option<TimeMax> },
}

/// The life of a call that came through no connection, as its handler has a part in it.
#[derive(Default)]
pub(super) struct Life {
    is_over: AtomicBool,
    // Once somebody asks.
    signal: OnceLock<CancellationToken>,
    metadata: Mutex<Option<Metadata>>,
}

/// Somebody waits for an answer: until it is there, or dropped.
pub(super) struct Waiting(Arc<Life>);

impl Life {
    /// Whether nobody waits for the answer any more.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// Cancelled when nobody waits for the answer any more.
    pub(super) fn signal(&self) -> CancellationToken {
        let signal = self.signal.get_or_init(CancellationToken::new).clone();
        // Looked at behind the signal, which whoever ends it looks for behind this.
        if self.is_over() {
            signal.cancel();
        }
        signal
    }

    /// What the handler says beside its reply.
    pub(super) fn set_metadata(&self, metadata: Metadata) {
        *self.metadata.lock().unwrap_or_else(PoisonError::into_inner) = Some(metadata);
    }

    fn take_metadata(&self) -> Metadata {
        let mut metadata = self.metadata.lock().unwrap_or_else(PoisonError::into_inner);
        metadata.take().unwrap_or_default()
    }
}

impl Waiting {
    pub(super) fn new(life: &Arc<Life>) -> Self {
        Self(Arc::clone(life))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::SeqCst);
        if let Some(signal) = self.0.signal.get() {
            signal.cancel();
        }
    }
}

impl Answer {
    /// An answer from a future.
    pub fn new(future: impl Future<Output = Result<Reply>> + Send + 'static) -> Self {
        Self { kind: Kind::Other(Alone::new(Box::pin(future))) }
    }

    /// An answer that is known already.
    pub fn ready(result: Result<Reply>) -> Self {
        Self { kind: Kind::Known(Some(result)) }
    }

    /// The answer to a call that wants no reply: it is ready when the call has begun, and tells
    /// only what kept it from that. The handler goes on in a task of its own.
    pub(crate) fn when_taken(mut self) -> Self {
        let begun = Pin::new(&mut self).poll(&mut Context::from_waker(Waker::noop()));
        match (begun, Handle::try_current()) {
            (Poll::Ready(Err(error)), _) if error.is_refusal() => Self::ready(Err(error)),
            (Poll::Ready(_), _) => Self::ready(Ok(Reply::default())),
            (Poll::Pending, Ok(runtime)) => {
                drop(runtime.spawn(self));
                Self::ready(Ok(Reply::default()))
            }
            // Nobody else would go on with it.
            (Poll::Pending, Err(_)) => self,
        }
    }

    /// The answer to a call that does not run.
    pub(crate) fn refused(error: Error) -> Self {
        Self::ready(Err(without_source(error).refusing()))
    }

    /// The same, to a caller in this process.
    pub(crate) fn refused_directly(error: Error) -> Self {
        Self::ready(Err(without_source(error).refusing().heard()))
    }

    /// The answer of a handler, which runs under this permit.
    pub(crate) fn of_handler(
        name: Name,
        work: Work,
        time: Time,
        span: Span,
        (permit, tab): (Permit, Tab),
    ) -> Self {
        let (timer, is_begun, direct) = (None, false, None);
        let work = Alone::new(Some(work));
        let (permit, items) = (Some(permit), None);
        let kind = Kind::Handler(Working {
            name,
            work,
            time,
            timer,
            is_begun,
            span,
            permit,
            tab,
            direct,
            items,
        });
        Self { kind }
    }

    /// This answer to a streamed call: when its handler has ended, nobody sends or takes items for
    /// it any more.
    pub(crate) fn with_items(mut self, items: Option<Arc<dyn Items>>) -> Self {
        if let Kind::Handler(working) = &mut self.kind {
            working.items = items.map(EndOfItems);
        }
        self
    }

    /// The permit of the call, which goes on to count until that is dropped.
    pub(crate) fn take_permit(&mut self) -> Option<Permit> {
        match &mut self.kind {
            Kind::Handler(working) => working.permit.take(),
            Kind::Known(_) | Kind::Other(_) => None,
        }
    }

    /// This answer for a call that no connection accounts for.
    pub(super) fn direct(mut self, waiting: Waiting, held: Held, payload_max: PayloadMax) -> Self {
        if let Kind::Handler(working) = &mut self.kind {
            working.direct = Some(Accounts { waiting, held, payload_max });
        }
        self
    }
}

impl Future for Answer {
    type Output = Result<Reply>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let kind = &mut self.get_mut().kind;
        let result = match kind {
            Kind::Known(result) => result.take().unwrap_or_else(given_out),
            Kind::Other(future) => ready!(future.alone().as_mut().poll(cx)),
            Kind::Handler(working) => return working.poll(cx),
        };
        *kind = Kind::Known(None);
        Poll::Ready(result)
    }
}

impl Working {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reply>> {
        let Self { name, work, time, timer, is_begun, span, direct, .. } = self;
        let Some(work) = work.alone() else {
            return Poll::Ready(given_out());
        };
        // Its work enters that of its own call.
        let _outside = TraceSpan::leave();
        let entered = span.enter();
        // Handlers that call one another by doors lie on one stack, which grows with them. Those of
        // a connection are in tasks of their own.
        let poll = || match direct {
            Some(_) => stacker::maybe_grow(STACK_LEAST, STACK_MORE, || work.as_mut().poll(cx)),
            None => work.as_mut().poll(cx),
        };
        let polled = if mem::replace(is_begun, true) {
            caught(poll)
        } else {
            in_time(*name, || caught(poll))
        };
        let polled = polled.unwrap_or_else(|error| Poll::Ready(Err(error)));
        drop(entered);
        let reply = match polled {
            Poll::Ready(reply) => reply,
            Poll::Pending => {
                let error = ready!(time.poll(timer, cx));
                span.in_scope(|| log_lateness(*name));
                Err(error)
            }
        };
        let result = self.end(reply);
        let payload_bytes = result.as_ref().map(|reply| reply.payload().len());
        self.tab.end(payload_bytes.map_err(Error::code));
        Poll::Ready(result)
    }

    /// Drops a handler that has ended: what it holds is let go before anybody learns of its end. A
    /// panic in that is its error instead.
    fn end(&mut self, reply: Result<BytesMut>) -> Result<Reply> {
        let _entered = self.span.clone().entered();
        let work = self.work.alone().take();
        let ended = caught(|| drop(work));
        let owes_end = self.items.take().is_some_and(|items| items.0.owes_end());
        let reply = match ended {
            Ok(()) if owes_end => reply.and_then(|_| Err(broken_off())),
            Ok(()) => reply,
            Err(panicked) => {
                let _ = caught(|| drop(reply));
                Err(panicked)
            }
        };
        let code = reply.as_ref().map_or_else(|error| error.code().as_str(), |_| "ok");
        log_end(self.name, self.tab.came(), code);
        let reply = reply.map_err(|error| {
            let error = if error.is_refusal() { error } else { error.after_running() };
            let told = told(self.name, error);
            // Whoever has called is in this process, and hears no more than over a connection.
            match &self.direct {
                Some(direct) => told.heard().with_metadata(direct.waiting.0.take_metadata().text()),
                None => told,
            }
        })?;
        let Some(Accounts { waiting, mut held, payload_max }) = self.direct.take() else {
            return Ok(Reply::made(reply));
        };
        let len = reply.len();
        if len > payload_max.bytes {
            return Err(Error::found(Code::TooLarge, payload_max.too_large(len)).heard());
        }
        let metadata = waiting.0.take_metadata();
        let bytes = call_bytes(len.saturating_add(metadata.bytes()));
        held.cover(bytes).map_err(|error| unheld(error).heard())?;
        Ok(Reply::made(reply).with_metadata(metadata).holding(held))
    }
}

impl Time {
    fn due(self) -> Instant {
        let (Self::Door { due } | Self::Here { due, .. }) = self;
        due
    }

    /// The error of a call whose time is over. Its timer is armed here, after the handler has been
    /// pending once: most never are.
    fn poll(self, timer: &mut Option<Pin<Box<Sleep>>>, cx: &mut Context<'_>) -> Poll<Error> {
        let Self::Here { due, limit } = self else {
            return Poll::Pending;
        };
        ready!(poll_due(timer, due, cx));
        let text = match limit {
            Some(limit) => limit.over_time().into(),
            None => Cow::Borrowed("the handler did not answer in time"),
        };
        Poll::Ready(Error::found(Code::DeadlineExceeded, text))
    }
}

/// What is only reached by whoever has it to itself, so that an answer is `Sync` although a future
/// need not be. Nothing is ever locked.
struct Alone<T>(Mutex<T>);

impl<T> Alone<T> {
    fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    fn alone(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        if let Some(work) = self.work.alone().take() {
            let _outside = TraceSpan::leave();
            let _entered = self.span.enter();
            // The call has its end; this is nobody's error any more.
            let _ = caught(|| drop(work));
            let code =
                if self.time.due() <= now() { Code::DeadlineExceeded } else { Code::Cancelled };
            self.tab.end(Err(code));
            log_stop(self.name, self.tab.came(), code);
        }
    }
}

/// Stack that a handler finds when it is polled, and what is made for it otherwise.
const STACK_LEAST: usize = 256 * 1024;
const STACK_MORE: usize = 2 * 1024 * 1024;

/// The error of a handler that returned a value, and its items are not whole.
fn broken_off() -> Error {
    Error::found(Code::Failed, "the handler did not shut its writer down: the end is missing")
}

/// The result of a future that has given out its result.
fn given_out() -> Result<Reply> {
    Err(Error::local(Code::Failed, "an answer was polled after its end"))
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").finish_non_exhaustive()
    }
}
