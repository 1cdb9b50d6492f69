//! Tagged calls: begun, polled once, spawned if they wait.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::BytesMut;
use tokio::task::AbortHandle;

use crate::conn::{Ended, InFlight, SessionItems, Shared};
use crate::error::Result;
use crate::handler::Router;
use crate::service::{Answer, Reply, Request};
use crate::session::{Call, CallId};

/// The calls of one connection: those that are to begin, and those that go on in tasks.
pub(super) struct Calls {
    // Came together, and begin together. Boxed by the session, whose boxes go on to the handlers.
    #[expect(clippy::vec_box, reason = "they are not made here")]
    batch: Vec<Box<Call>>,
    // Were ready at once.
    ended: Vec<Ended>,
    // Those that have ended are swept out when there are so many.
    tasks: HashMap<CallId, AbortHandle>,
    swept_at: usize,
}

impl Calls {
    pub(super) fn new() -> Self {
        let (batch, ended, tasks) = (Vec::new(), Vec::new(), HashMap::new());
        Self { batch, ended, tasks, swept_at: SWEPT_MIN }
    }

    /// A call that is to begin with the others.
    pub(super) fn push(&mut self, call: Box<Call>) {
        self.batch.push(call);
    }

    /// Calls that are to begin.
    pub(super) fn waiting(&self) -> usize {
        self.batch.len()
    }

    /// Begins the calls that wait and came then, in turn, and ends those whose handlers are ready
    /// at once.
    pub(super) fn begin(
        &mut self,
        cx: &mut Context<'_>,
        router: &Router,
        shared: &Arc<Shared>,
        came: Instant,
    ) {
        let mut batch = std::mem::take(&mut self.batch);
        for call in batch.drain(..) {
            self.begin_one(cx, router, shared, (call, came));
        }
        self.batch = batch;
        self.report(shared);
    }

    /// Reports the ends of calls that were ready at once.
    fn report(&mut self, shared: &Arc<Shared>) {
        if self.ended.is_empty() {
            return;
        }
        for ended in shared.end_calls(&mut self.ended) {
            let id = ended.stake.id;
            let (in_flight, reply) = InFlight::of_ended(shared, ended);
            self.spawn(id, finish(in_flight, reply));
        }
    }

    fn begin_one(
        &mut self,
        cx: &mut Context<'_>,
        router: &Router,
        shared: &Arc<Shared>,
        (call, came): (Box<Call>, Instant),
    ) {
        let id = call.id;
        let mut in_flight = InFlight::new(shared, &call);
        let mut request = Request::of_session(call, Arc::<Shared>::clone(shared));
        if id.is_streamed() {
            request.set_items(Arc::new(SessionItems::new(shared, id.into())));
        }
        let mut answer = router.begin(request, came, &mut |bytes| in_flight.cover(bytes));
        match Pin::new(&mut answer).poll(cx) {
            Poll::Ready(reply) => {
                in_flight.keep_permit(&mut answer);
                let ended = in_flight.end(reply.map(Reply::into_made));
                let is_small = ended.is_small(SMALL_BYTES_MAX);
                self.ended.push(ended);
                if !is_small {
                    // What it holds may be wanted by the next one.
                    self.report(shared);
                }
            }
            Poll::Pending => self.spawn(id, run(in_flight, answer)),
        }
    }

    /// Stops the handler of a call that nobody waits for.
    pub(super) fn stop(&mut self, id: CallId) {
        if let Some(task) = self.tasks.remove(&id) {
            task.abort();
        }
    }

    /// Whether it keeps more than what a single call needs that is ready at once.
    pub(super) fn has_memory(&self) -> bool {
        self.tasks.capacity() > 0 || self.ended.capacity() > KEPT_MAX
    }

    /// Gives memory back when no call runs. Each handle of a task keeps the memory of its task.
    pub(super) fn forget(&mut self) {
        *self = Self::new();
    }

    fn spawn(&mut self, id: CallId, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.insert(id, tokio::spawn(task).abort_handle());
        if self.tasks.len() >= self.swept_at {
            self.tasks.retain(|_, task| !task.is_finished());
            self.swept_at = self.tasks.len().saturating_mul(2).max(SWEPT_MIN);
        }
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        for task in self.tasks.values() {
            task.abort();
        }
    }
}

/// The rest of a call that was not ready at once. Its answer is kept until its end is reported,
/// with the permit that the call has.
///
/// One future, and not some within each other: each would keep what it was given beside where it
/// moved it, and a peer has as many of these as it may have calls.
async fn run(mut in_flight: InFlight, mut answer: Answer) {
    let reply = (&mut answer).await;
    in_flight.keep_permit(&mut answer);
    let mut reply = Some(in_flight.hold_reply(reply.map(Reply::into_made)));
    poll_fn(|cx| in_flight.poll_finish(cx, &mut reply)).await;
    drop(answer);
}

/// Reports the end of a call when the peer has read enough of what waits for it.
async fn finish(mut in_flight: InFlight, reply: Result<BytesMut>) {
    let mut reply = Some(reply);
    poll_fn(|cx| in_flight.poll_finish(cx, &mut reply)).await;
}

/// Calls that are begun, and whose replies are reported, under one lock. More at once would spread
/// over more memory than the allocator has at hand.
pub(super) const BATCH_MAX: usize = 4;

/// What a payload and its call may have and hold, for others to wait beside it. What is large is
/// dealt with alone, so that memory and room are given back before the next one asks for them.
pub(super) const SMALL_BYTES_MAX: usize = 4096;

/// What the replies of a batch may have together: there must be so much room for them.
pub(super) const BATCH_REPLY_BYTES_MAX: usize = BATCH_MAX * SMALL_BYTES_MAX;

/// Calls for whose ends an idle connection keeps room: as many as the first one makes.
const KEPT_MAX: usize = 4;

/// Handles of tasks that are kept before any is looked at again.
const SWEPT_MIN: usize = 32;
