//! What a handler may know of the call it answers.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::Instrument;

use crate::client::Client;
use crate::clock::now;
use crate::limits::Limits;
use crate::quota::Quota;
use crate::service::{Extensions, ItemsOfCall, Request, TraceSpan, Traced, pipe, way_back};
use crate::transport::Peer;
use crate::wire::{Metadata, Traceparent};

/// A handler's optional last argument: who calls, until when, and a way to call back.
///
/// ```
/// use switchboard::{Context, Result};
///
/// async fn whoami(_request: (), context: Context) -> Result<String> {
///     Ok(context.peer().to_string())
/// }
/// ```
#[derive(Clone)]
pub struct Context {
    // Without its payload, and with somebody who calls.
    request: Request,
    deadline: Instant,
    format: &'static str,
    // Of the command, where its call is streamed.
    limits: Option<Arc<Limits>>,
}

impl Context {
    pub(super) fn new(request: Request, deadline: Instant) -> Self {
        Self { request, deadline, format: "", limits: None }
    }

    /// Says in which format the command is called, once that is found.
    pub(super) fn set_format(&mut self, format: &'static str) {
        self.format = format;
    }

    pub(super) fn set_limits(&mut self, limits: &Arc<Limits>) {
        self.limits = self.request.items().map(|_| Arc::clone(limits));
    }

    /// Where the items of this call are: nowhere, if it is not streamed.
    pub(super) fn items_of_call(&self) -> ItemsOfCall {
        let items = self.request.items().cloned();
        let items = items.unwrap_or_else(|| Arc::new(pipe().0));
        ItemsOfCall { items, limits: self.limits.clone().unwrap_or_default(), is_lent: true }
    }

    /// The name under which the handler was called.
    #[must_use]
    pub fn command(&self) -> &str {
        self.request.command()
    }

    /// The format of the request, and of the reply.
    #[must_use]
    pub fn format(&self) -> &str {
        self.format
    }

    /// Who is calling: the address and, on a Unix socket, the credentials of the process.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        self.request.peer()
    }

    /// A client that calls back over the same connection. It may be kept: it works as long as the
    /// connection is open, also after this call has its answer. While either side closes the
    /// connection, it works until then; both calls share the rest of the draining time.
    ///
    /// If the call was made plainly, its caller has the stream until the reply, so calls back fail
    /// with `unsupported_format` until then. If the call came through no connection, nobody can be
    /// called back, and calls fail with `unknown_command`.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::over_shared(way_back(&self.request))
    }

    /// When the answer is due. After that the handler is stopped and the caller told. For a
    /// streamed call without a time it is a year from now, or more. It is a time of tokio's clock,
    /// which a test may have paused.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Time left until [`deadline`](Self::deadline), to pass on by
    /// [`Call::timeout`](crate::Call::timeout).
    #[must_use]
    pub fn time_left(&self) -> Duration {
        self.deadline.saturating_duration_since(now())
    }

    /// Whether nobody waits for the answer any more. An async handler need not ask: it is stopped
    /// at its next await. A blocking one should, now and then.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.request.is_cancelled()
    }

    /// Is ready when nobody waits for the answer any more: the caller has cancelled, the deadline
    /// has passed, the connection is lost, or the answer is there. It is for tasks and threads
    /// beside the handler: the handler itself is stopped at its next await.
    ///
    /// ```
    /// use switchboard::{Context, Result};
    ///
    /// async fn start(job: String, context: Context) -> Result<()> {
    ///     let cancelled = context.cancelled();
    ///     tokio::spawn(async move {
    ///         tokio::select! {
    ///             () = cancelled => {}
    ///             () = work(job) => {}
    ///         }
    ///     });
    ///     std::future::pending().await
    /// }
    /// # async fn work(_: String) {}
    /// ```
    pub fn cancelled(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.request.cancelled().cancelled_owned()
    }

    /// Is ready when the listener, the door or the connection by which this call came takes no more
    /// calls, because it drains. Calls under way have `drain_time_max` from then on. A handler that
    /// could go on for longer ends here with the result that it has.
    ///
    /// For a call that came to an endpoint as a value, and through no door, it is never ready.
    pub fn draining(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.request.draining().cancelled_owned()
    }

    /// Runs work that may outlive its call. When the listener or the door of the call drains, it
    /// waits for this work, up to `drain_time_max`. Work that is not done then is dropped at its
    /// next await, and counted by [`Report::tasks_cut_off`](crate::Report::tasks_cut_off).
    ///
    /// No drain waits for work of calls on a connection that this side has opened, on one [without
    /// a listener](crate::Endpoint::serve_stream), or through no door. The work counts against no
    /// limit: bound it, or the calls that start it.
    ///
    /// Use this for work that must be done although the caller is gone, `tokio::spawn` for work
    /// that nobody misses, and no task at all for work that only the caller wants.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime; handlers always run in one.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        match self.trace_span() {
            Some(span) => self.spawn_as_it_is(Traced::new(span, Box::pin(work))),
            None => self.spawn_as_it_is(work),
        }
    }

    fn spawn_as_it_is(&self, work: impl Future<Output = ()> + Send + 'static) {
        match self.request.tasks() {
            Some(tasks) => tasks.spawn(work),
            None => drop(tokio::spawn(work.in_current_span())),
        }
    }

    /// Whether the caller wants no reply.
    #[must_use]
    pub fn is_one_way(&self) -> bool {
        self.request.is_one_way()
    }

    /// The position in their source at which the caller wants the items of the reply to begin, if
    /// it goes on after a break. Only calls of [resumable](crate::Command::resumable) commands have
    /// one. The handler confirms it by [`Sender::open_at`](crate::Sender::open_at) with the same
    /// position, or returns [`Error::no_such_position`](crate::Error::no_such_position).
    #[must_use]
    pub fn resume_at(&self) -> Option<u64> {
        self.request.resume_position()
    }

    /// Where the call stands in a trace; `None` if it belongs to none, or its caller has said what
    /// is no traceparent.
    ///
    /// Calls that the handler makes go on in the trace by themselves, as do those of futures that
    /// [`spawn`](Self::spawn) runs, and those of a [`blocking`](crate::blocking()) function on its
    /// own thread. Tasks of `tokio::spawn` and further threads know of no trace: for those, and for
    /// calls that are not made by a [`Client`], take [`trace_onward`](Self::trace_onward).
    #[must_use]
    pub fn trace(&self) -> Option<Traceparent> {
        self.request.trace()
    }

    /// What calls say that the handler makes: the same trace, and the span of this call as their
    /// parent.
    ///
    /// ```
    /// # #[cfg(feature = "bincode")] {
    /// use switchboard::{Client, Command, Context, Result};
    ///
    /// const LOG: Command<String, ()> = Command::new("LOG");
    ///
    /// async fn note(text: String, context: Context, log: Client) -> Result<()> {
    ///     let trace = context.trace_onward();
    ///     tokio::spawn(async move { log.call(LOG, &text).trace(trace).await });
    ///     Ok(())
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn trace_onward(&self) -> Option<Traceparent> {
        self.trace_span().map(TraceSpan::traceparent)
    }

    /// The metadata of the call.
    #[must_use]
    pub fn metadata(&self) -> Metadata {
        self.request.metadata()
    }

    /// Sets the metadata of the reply, in place of any that was set before. The caller reads it by
    /// [`Call::with_reply_metadata`](crate::Call::with_reply_metadata). It also goes with an error
    /// that the handler returns. A plain call, a one-way call and Go's `net/rpc` have no place for
    /// it.
    ///
    /// ```
    /// use switchboard::{Context, Metadata, Result};
    ///
    /// async fn whoami(_request: (), context: Context) -> Result<String> {
    ///     let tenant = context.metadata().get("tenant-id").map(|tenant| tenant.into_owned());
    ///     context.set_reply_metadata(Metadata::default().with("served-by", "node 1")?);
    ///     Ok(tenant.unwrap_or_default())
    /// }
    /// ```
    pub fn set_reply_metadata(&self, metadata: Metadata) {
        self.request.set_reply_metadata(metadata);
    }

    /// Values that the call's door has put beside it.
    #[must_use]
    pub fn extensions(&self) -> &Extensions {
        self.request.extensions()
    }

    /// The span of its call, if that belongs to a trace.
    pub(super) fn trace_span(&self) -> Option<TraceSpan> {
        TraceSpan::of_handler(self.request.extensions())
    }

    /// What its call counts against.
    pub(super) fn quota(&self) -> Option<&Arc<Quota>> {
        self.request.quota()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("command", &self.command())
            .field("peer", self.peer())
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
