//! Tagged calls: found, decoded, polled once, spawned if they wait.
//!
//! A panic, in a handler or in a type's own decoding, ends one call and nothing else.

use std::collections::HashMap;
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use tracing::Instrument;

use super::Driver;
use crate::error::{Code, Error, Result};
use crate::handler::{self, Entry, Route, Running, Work, caught};
use crate::quota::{call_bytes, unheld};
use crate::session::{Call, CallId};
use crate::wire::{FormatWord, Name};

impl Driver {
    /// Begins a call, and ends it too if its handler is ready at once.
    pub(super) fn begin(&mut self, cx: &mut Context<'_>, call: Box<Call>) {
        let (id, name) = (call.id, call.name);
        let mut running = Running::new(&self.shared, id, call_bytes(call.payload.len()));
        let mut work = match self.admit(&mut running, call) {
            Ok(work) => work,
            Err(error) => {
                tracing::debug!(tag = id.tag(), %error, "refused a call");
                return running.refuse(&without_source(error));
            }
        };
        // A registered name: one that a peer made up has been refused by now.
        let span = tracing::debug_span!("call", command = %name, tag = id.tag());
        match span.in_scope(|| poll_caught(&mut work, cx)) {
            Poll::Ready(reply) => {
                let mut reply = Some(end(name, work, reply));
                let at_once = &mut Context::from_waker(Waker::noop());
                if running.poll_finish(at_once, &mut reply).is_pending() {
                    self.spawn(id, finish_with_room(running, reply).instrument(span));
                }
            }
            Poll::Pending => self.spawn(id, run(running, name, work).instrument(span)),
        }
    }

    fn spawn(&mut self, id: CallId, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.insert(id, tokio::spawn(task).abort_handle());
        self.sweep();
    }

    /// Stops the handler of a call that nobody waits for.
    pub(super) fn stop(&mut self, id: CallId) {
        if let Some(task) = self.tasks.remove(&id) {
            task.abort();
        }
    }

    fn admit(&self, running: &mut Running, mut call: Box<Call>) -> Result<Work<'static, BytesMut>> {
        running.admit()?;
        let route = match self.registry.find(call.name) {
            Ok(Entry::Typed(route)) => route,
            Ok(Entry::Raw(_)) => {
                let text = format!("{} is a raw command: call it plainly", call.name);
                return Err(Error::found(Code::UnsupportedFormat, text));
            }
            Err(_) if call.name.as_bytes() == LIST => {
                let list = self.list(call.options.format(), &call.payload)?;
                let list = BytesMut::from(list.as_bytes());
                return Ok(Box::pin(std::future::ready(Ok(list))));
            }
            Err(error) => return Err(error),
        };
        let format = call.options.format();
        let payload = std::mem::take(&mut call.payload);
        let context = handler::Context::new(self.shared.clone(), call);
        call_caught(&*route, format, payload, context, &mut |bytes| running.cover(bytes))
    }

    /// The list of commands, for whoever asks for it without more ado.
    pub(super) fn list(&self, format: Option<FormatWord>, payload: &[u8]) -> Result<String> {
        if format.is_some() {
            return Err(Error::found(Code::UnsupportedFormat, "? has no formats to choose from"));
        }
        if !payload.is_empty() {
            return Err(Error::found(Code::BadPayload, "? takes no payload"));
        }
        Ok(self.registry.describe())
    }

    /// Whether the table of tasks has anything in it, or memory.
    pub(super) fn has_tasks(&self) -> bool {
        self.tasks.capacity() > 0
    }

    /// Drops the handles of all tasks, which have ended, and the memory of the table: each handle
    /// keeps the memory of its task.
    pub(super) fn forget_tasks(&mut self) {
        self.tasks = HashMap::new();
        self.tasks_swept_at = TASKS_SWEPT_MIN;
    }

    /// Drops the handles of tasks that have ended, once half of them may be such.
    fn sweep(&mut self) {
        if self.tasks.len() >= self.tasks_swept_at {
            self.tasks.retain(|_, task| !task.is_finished());
            self.tasks_swept_at = self.tasks.len().saturating_mul(2).max(TASKS_SWEPT_MIN);
        }
    }
}

/// The rest of a call that was not ready at once.
async fn run(running: Running, name: Name, mut work: Work<'static, BytesMut>) {
    let reply = poll_fn(|cx| poll_caught(&mut work, cx)).await;
    let reply = end(name, work, reply);
    finish_with_room(running, Some(reply)).await;
}

/// Reports the end of a call when the peer has read enough of what waits for it.
async fn finish_with_room(mut running: Running, reply: Option<Result<BytesMut>>) {
    let mut reply = reply.map(|reply| {
        let reply = reply?;
        // The reply is held in place of the request.
        running.cover(reply.len()).map_err(unheld)?;
        Ok(reply)
    });
    poll_fn(|cx| running.poll_finish(cx, &mut reply)).await;
}

/// Drops a handler that has ended: what it holds is let go before anybody learns of its end.
fn end(name: Name, work: Work<'static, BytesMut>, reply: Result<BytesMut>) -> Result<BytesMut> {
    let_go(work, reply).map_err(|error| told(name, error))
}

/// Drops a handler that has ended with this; a panic is its error instead.
pub(super) fn let_go<T>(work: Work<'_, T>, result: Result<T>) -> Result<T> {
    match caught(|| drop(work)) {
        Ok(()) => result,
        Err(panicked) => {
            let _ = caught(|| drop(result));
            Err(panicked)
        }
    }
}

/// What the caller is told of an error; the rest is logged here.
pub(super) fn told(name: Name, error: Error) -> Error {
    log_failure(name, &error);
    without_source(error)
}

/// What is left to be told of an error. Its source is its author's and may do anything when it is
/// dropped, so that is done here, where a panic harms nobody and no lock is held.
fn without_source(error: Error) -> Error {
    let told = error.for_peer();
    if let Err(panicked) = caught(|| drop(error)) {
        tracing::warn!(error = %panicked, "the error of a handler panicked when it was dropped");
    }
    told
}

/// What the caller is not told is told here.
fn log_failure(name: Name, error: &Error) {
    // Texts are logged as strings, so that subscribers escape what a peer put into them.
    let (code, text) = (error.code().as_str(), error.text());
    let source = || {
        let source = std::error::Error::source(error).map(|source| caught(|| source.to_string()));
        source.and_then(Result::ok).unwrap_or_default()
    };
    if error.code() == Code::Panicked {
        tracing::warn!(command = %name, code, text, source = source(), "a handler panicked");
    } else if error.text_for_peer().is_none() {
        tracing::warn!(command = %name, code, text, source = source(), "a handler failed");
    } else {
        tracing::debug!(command = %name, code, text, source = source(), "a call failed");
    }
}

/// Calls a route; a panic is its error.
pub(super) fn call_caught(
    route: &dyn Route,
    format: Option<FormatWord>,
    payload: Bytes,
    context: handler::Context,
    hold: &mut dyn FnMut(usize) -> Result<()>,
) -> Result<Work<'static, BytesMut>> {
    caught(|| route.call(format, payload, context, hold)).and_then(|work| work)
}

/// Polls a handler; a panic is its error.
pub(super) fn poll_caught<T>(work: &mut Work<'_, T>, cx: &mut Context<'_>) -> Poll<Result<T>> {
    caught(|| work.as_mut().poll(cx)).unwrap_or_else(|error| Poll::Ready(Err(error)))
}

/// The command that lists the commands.
pub(super) const LIST: &[u8] = b"?";

/// Handles of tasks that are kept before any is looked at again.
pub(super) const TASKS_SWEPT_MIN: usize = 32;
