//! Functions that block, each call on a thread of its own.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Context, Outcome};
use crate::error::{Code, Error, Result};
use crate::quota::Quota;
use crate::service::{TraceSpan, panicked};

/// Makes a handler of a function that blocks. Each call runs on a thread of its own, at most
/// `blocking_calls_max` at a time.
///
/// A blocking function cannot be stopped: after a cancel or a deadline its caller has an answer,
/// but the function runs on until it looks at [`Context::is_cancelled`] or returns. If it still
/// waits for a thread of the runtime when its call ends, it never begins; it counts until a thread
/// has come to it.
///
/// For shared state in front of its arguments, put [`with_state`](crate::with_state) around it.
///
/// ```
/// # #[cfg(feature = "bincode")] {
/// use switchboard::{Command, Endpoint, Result, blocking};
///
/// const COUNT: Command<String, u64> = Command::new("COUNT");
///
/// fn count(path: String) -> std::io::Result<u64> {
///     Ok(std::fs::metadata(path)?.len())
/// }
///
/// let endpoint = Endpoint::new().on(COUNT, blocking(count));
/// # }
/// ```
pub fn blocking<F>(function: F) -> Blocking<F> {
    Blocking { function: Arc::new(function) }
}

/// A handler that blocks; made by [`blocking()`].
#[derive(Debug)]
pub struct Blocking<F> {
    pub(super) function: Arc<F>,
}

/// The result of a function that runs elsewhere, or whose stream is sent: what it returned, or why
/// that is not known.
#[derive(Debug)]
pub struct Ran<Reply>(Result<Reply>);

impl<Reply> Ran<Reply> {
    pub(super) const fn of(reply: Reply) -> Self {
        Self(Ok(reply))
    }

    pub(super) const fn failed(error: Error) -> Self {
        Self(Err(error))
    }
}

impl<Rep, Reply: Outcome<Rep, Kind>, Kind> Outcome<Rep, Kind> for Ran<Reply> {
    fn outcome(self) -> Result<Rep> {
        self.0.and_then(Reply::outcome)
    }
}

/// The future of a function on a thread of its own.
pub(super) type BlockingAnswer<Reply> = Pin<Box<dyn Future<Output = Ran<Reply>> + Send>>;

/// Runs `function` where it may block.
pub(super) fn run_blocking<Reply: Send + 'static>(
    context: Context,
    function: impl FnOnce(Context) -> Reply + Send + 'static,
) -> BlockingAnswer<Reply> {
    Box::pin(async move { Ran(run(context, function).await) })
}

async fn run<Reply: Send + 'static>(
    context: Context,
    function: impl FnOnce(Context) -> Reply + Send + 'static,
) -> Result<Reply> {
    let permit = context.quota().map(Quota::blocking_call).transpose();
    let permit = permit.map_err(|error| error.for_caller().refusing())?;
    // Dropped with this future, when the call has ended.
    let waiting = Waiting(Arc::new(Mutex::new(Some((function, context)))));
    let begin = waiting.clone();
    let work = move || {
        // Given back when the function has ended, whoever still waits for it. Also not before the
        // pool has come to a function that will not begin: its queue has no other bound.
        let _permit = permit;
        match begin.take() {
            // The end may have been told and not have come here.
            Some((function, context)) if !context.is_cancelled() => {
                let _entered = context.trace_span().map(TraceSpan::enter);
                Ok(function(context))
            }
            _ => Err(Error::found(Code::Cancelled, "the call ended before its function began")),
        }
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(reply) => reply,
        Err(error) if error.is_panic() => Err(panicked().for_caller().with_source(error)),
        Err(error) => {
            let stopped = Error::found(Code::ShuttingDown, "the runtime stopped");
            Err(stopped.for_caller().with_source(error))
        }
    }
}

/// What waits for a thread of the pool. Whoever takes it out first has it; when the call or the
/// thread lets go of it, nobody has it any more.
struct Waiting<T>(Arc<Mutex<Option<T>>>);

impl<T> Waiting<T> {
    fn take(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<T> Clone for Waiting<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Drop for Waiting<T> {
    fn drop(&mut self) {
        // The lock is not held when it is dropped: it has the request in it.
        drop(self.take());
    }
}
