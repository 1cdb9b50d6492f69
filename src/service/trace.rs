//! Which trace a thread works for at the moment, so that calls made there go on in it.
//!
//! ```text
//!  a call with trace= ──► a TraceSpan ──► its handler, what that spawns: polled within it
//!                                           └─ a call is made: says the span as its parent
//! ```
//!
//! A call without a trace has no span, and is not wrapped. It may be polled by a handler that is in
//! one, which it leaves: that costs one look.

use std::cell::Cell;
use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::extensions::Extensions;
use crate::wire::{Options, Traceparent, random};

/// The span of one call in a trace, which its caller has begun or gone on with.
#[derive(Clone, Copy)]
pub(crate) struct TraceSpan {
    trace_id: NonZeroU128,
    parent_id: NonZeroU64,
    id: NonZeroU64,
    flags: u8,
}

thread_local! {
    static CURRENT: Cell<Option<TraceSpan>> = const { Cell::new(None) };
}

impl TraceSpan {
    /// A new span for a call with these options, if they say a trace that can be understood.
    #[inline]
    pub(crate) fn of_call(options: &Options) -> Option<Self> {
        if options.is_known_format() {
            return None;
        }
        let said = options.trace()?;
        let Some(parent) = Traceparent::parse(said) else {
            // The call runs. What a peer made up is not logged.
            tracing::debug!(bytes = said.len(), "ignored a malformed traceparent");
            return None;
        };
        let (trace_id, parent_id, flags) = parent.known();
        Some(Self { trace_id, parent_id, id: random(), flags })
    }

    /// That of the call that carries these to its handler, if there is one.
    pub(crate) fn of_handler(extensions: &Extensions) -> Option<Self> {
        extensions.get::<Self>().copied()
    }

    /// That which is entered on this thread.
    #[inline]
    fn current() -> Option<Self> {
        // Not while the thread ends.
        CURRENT.try_with(Cell::get).ok().flatten()
    }

    /// What a call says that this one causes.
    pub(crate) fn traceparent(self) -> Traceparent {
        Traceparent::of_known(self.trace_id, self.id, self.flags)
    }

    /// For calls made on this thread, until it is dropped.
    pub(crate) fn enter(self) -> Entered {
        let before = CURRENT.try_with(|current| current.replace(Some(self))).ok().flatten();
        Entered { before, _here: std::marker::PhantomData }
    }

    /// As [`enter`](Self::enter), for a call that may have none: it is in no trace then, whoever
    /// polls it.
    #[inline]
    pub(crate) fn enter_that(span: Option<Self>) -> Option<Entered> {
        match span {
            Some(span) => Some(span.enter()),
            None => Self::leave(),
        }
    }

    /// Leaves the one that is entered on this thread, if there is one, until that is dropped.
    #[inline]
    pub(crate) fn leave() -> Option<Entered> {
        let before = Self::current()?;
        let _ = CURRENT.try_with(|current| current.set(None));
        Some(Entered { before: Some(before), _here: std::marker::PhantomData })
    }

    /// Its ids in hexadecimal digits: the trace, the parent, and its own.
    pub(crate) fn ids(self) -> [impl fmt::Display; 3] {
        let (trace, parent) = (self.trace_id.get(), u128::from(self.parent_id.get()));
        let own = u128::from(self.id.get());
        [Hex(trace, 32), Hex(parent, 16), Hex(own, 16)]
    }
}

/// What a call says that is made here and now, if it belongs to a trace.
#[inline]
pub(crate) fn trace_here() -> Option<Traceparent> {
    TraceSpan::current().map(TraceSpan::traceparent)
}

/// A number in so many hexadecimal digits.
struct Hex(u128, usize);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(number, digits) = *self;
        write!(f, "{number:0digits$x}")
    }
}

/// A span is entered while this is there.
pub(crate) struct Entered {
    before: Option<TraceSpan>,
    // It belongs to its thread.
    _here: std::marker::PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let _ = CURRENT.try_with(|current| current.set(self.before));
    }
}

/// A future that is polled, and dropped, within a span.
pub(crate) struct Traced<F: ?Sized> {
    span: TraceSpan,
    // `None` once it is dropped.
    work: Option<Pin<Box<F>>>,
}

impl<F: ?Sized> Traced<F> {
    pub(crate) fn new(span: TraceSpan, work: Pin<Box<F>>) -> Self {
        Self { span, work: Some(work) }
    }
}

/// A future of any type.
type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A handler that is polled within its span, if it has one.
#[inline]
pub(crate) fn traced<T: 'static>(span: Option<TraceSpan>, work: Work<T>) -> Work<T> {
    match span {
        Some(span) => Box::pin(Traced::new(span, work)),
        None => work,
    }
}

impl<F: Future + ?Sized> Future for Traced<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let _entered = self.span.enter();
        match &mut self.work {
            Some(work) => work.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

impl<F: ?Sized> Drop for Traced<F> {
    fn drop(&mut self) {
        let _entered = self.span.enter();
        drop(self.work.take());
    }
}
