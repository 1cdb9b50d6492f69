//! Tagged calls: begun, polled once, spawned if they wait.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::task::AbortHandle;

use crate::conn::{Ended, InFlight, Shared};
use crate::error::Result;
use crate::handler::Router;
use crate::quota::unheld;
use crate::service::{Answer, Reply, Request};
use crate::session::{Call, CallId};

/// The calls of one connection that go on in tasks of their own.
#[derive(Debug)]
pub(super) struct Calls {
    // Those that have ended are swept out when there are so many.
    tasks: HashMap<CallId, AbortHandle>,
    swept_at: usize,
}

impl Calls {
    pub(super) fn new() -> Self {
        Self { tasks: HashMap::new(), swept_at: SWEPT_MIN }
    }

    /// Begins calls in turn, and ends those whose handlers are ready at once.
    pub(super) fn begin(
        &mut self,
        cx: &mut Context<'_>,
        router: &Router,
        shared: &Arc<Shared>,
        calls: Batch,
    ) {
        let mut ended = [const { None }; BATCH_MAX];
        for (call, ended) in calls.into_iter().flatten().zip(&mut ended) {
            *ended = self.begin_one(cx, router, shared, call);
        }
        if ended.iter().any(Option::is_some) {
            shared.end_calls(&mut ended);
        }
        for ended in ended.into_iter().flatten() {
            let id = ended.id;
            let (in_flight, reply) = InFlight::of_ended(shared, ended);
            self.spawn(id, finish(in_flight, reply));
        }
    }

    fn begin_one(
        &mut self,
        cx: &mut Context<'_>,
        router: &Router,
        shared: &Arc<Shared>,
        call: Box<Call>,
    ) -> Option<Ended> {
        let id = call.id;
        let mut in_flight = InFlight::new(shared, id, call.payload.len());
        let request = Request::of_session(call, Arc::<Shared>::clone(shared));
        let mut answer = router.begin(request, &mut |bytes| in_flight.cover(bytes));
        match Pin::new(&mut answer).poll(cx) {
            Poll::Ready(reply) => Some(in_flight.end(reply.map(Reply::into_made))),
            Poll::Pending => {
                self.spawn(id, run(in_flight, answer));
                None
            }
        }
    }

    /// Stops the handler of a call that nobody waits for.
    pub(super) fn stop(&mut self, id: CallId) {
        if let Some(task) = self.tasks.remove(&id) {
            task.abort();
        }
    }

    /// Whether the table of tasks has anything in it, or memory.
    pub(super) fn has_tasks(&self) -> bool {
        self.tasks.capacity() > 0
    }

    /// Drops the handles of all tasks, which have ended, and the memory of the table: each handle
    /// keeps the memory of its task.
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
async fn run(mut in_flight: InFlight, mut answer: Answer) {
    let reply = (&mut answer).await.and_then(|reply| {
        // The reply is held in place of the request.
        in_flight.cover(reply.payload().len()).map_err(unheld)?;
        Ok(reply.into_made())
    });
    finish(in_flight, reply).await;
    drop(answer);
}

/// Reports the end of a call when the peer has read enough of what waits for it.
async fn finish(mut in_flight: InFlight, reply: Result<BytesMut>) {
    let mut reply = Some(reply);
    poll_fn(|cx| in_flight.poll_finish(cx, &mut reply)).await;
}

/// Calls that came together, to be begun together.
pub(super) type Batch = [Option<Box<Call>>; BATCH_MAX];

/// Calls that are begun, and whose replies are reported, under one lock: as many as the tables of a
/// session keep room for, so that none grows and shrinks with each batch.
pub(super) const BATCH_MAX: usize = 14;

/// Handles of tasks that are kept before any is looked at again.
const SWEPT_MIN: usize = 32;
