//! Tagged calls: begun, polled once, spawned if they wait.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use tokio::task::AbortHandle;

use crate::conn::{InFlight, Shared};
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

    /// Begins a call, and ends it too if its handler is ready at once.
    pub(super) fn begin(
        &mut self,
        cx: &mut Context<'_>,
        router: &Router,
        shared: &Arc<Shared>,
        call: Box<Call>,
    ) {
        let id = call.id;
        let mut in_flight = InFlight::new(shared, id, call.payload.len());
        let request = Request::of_session(call, Arc::<Shared>::clone(shared));
        let mut answer = router.begin(request, &mut |bytes| in_flight.cover(bytes));
        match Pin::new(&mut answer).poll(cx) {
            Poll::Ready(reply) => {
                let mut reply = Some(reply.map(Reply::into_made));
                let at_once = &mut Context::from_waker(Waker::noop());
                if in_flight.poll_finish(at_once, &mut reply).is_pending() {
                    self.spawn(id, finish(in_flight, answer, reply));
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

/// The rest of a call that was not ready at once.
async fn run(in_flight: InFlight, mut answer: Answer) {
    let reply = (&mut answer).await.map(Reply::into_made);
    finish(in_flight, answer, Some(reply)).await;
}

/// Reports the end of a call when the peer has read enough of what waits for it. Its answer is kept
/// until then, with the permit that the call has.
async fn finish(mut in_flight: InFlight, answer: Answer, reply: Option<Result<BytesMut>>) {
    let mut reply = reply.map(|reply| {
        let reply = reply?;
        // The reply is held in place of the request.
        in_flight.cover(reply.len()).map_err(unheld)?;
        Ok(reply)
    });
    poll_fn(|cx| in_flight.poll_finish(cx, &mut reply)).await;
    drop(answer);
}

/// Handles of tasks that are kept before any is looked at again.
const SWEPT_MIN: usize = 32;
