//! Calls to functions: what can be registered, and how it is called.
//!
//! Generic at the door, erased in the hall: a [`Handler`] knows the user's types, the registry
//! keeps a `dyn Route` that takes payload bytes and gives payload bytes. Nothing here knows where a
//! call came from or whether anybody still waits for it.

mod context;
mod failure;
mod info;
mod own;
mod registry;
mod route;
mod router;

pub use self::context::Context;
use self::failure::failure;
pub use self::info::CommandInfo;
pub(crate) use self::registry::{Entry, Registry};
pub(crate) use self::route::{Route, Typed};
pub(crate) use self::router::Router;

use std::error::Error as StdError;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Code, Error, Result};
use crate::quota::Quota;
use crate::service::panicked;
use crate::stream::Connection;

/// A function that answers calls of a command from `Req` to `Rep`:
///
/// - `async fn(Req) -> Result<Rep, E>`,
/// - `async fn(Req, Context) -> Result<Rep, E>`,
/// - either of them with shared state in front, by [`with_state`],
/// - `fn(Req) -> Result<Rep, E>` or `fn(Req, Context) -> Result<Rep, E>`, by [`blocking`],
/// - either of these with shared state in front, by both: `with_state(&state, blocking(f))`.
///
/// `E` is [`Error`], `anyhow::Error`, `io::Error`, a string, or whatever else goes into a boxed
/// error. An `Error` made by [`Error::new`] reaches the caller with its code and text; of anything
/// else the caller learns `failed` and the log the rest. That includes an `Error` inside another
/// error, and one that the library gave to the handler: by a call of its own, a
/// [`Connection`] of its own, a limit or a format.
///
/// `Shape` tells these forms apart. It is inferred.
///
/// # When the compiler refuses
///
/// - **State comes first, as an `Arc`.** The function that [`with_state`] is given takes `Arc<S>`,
///   then the request, then the [`Context`] if it wants one. A method takes `self: Arc<Self>`.
/// - **Futures must be `Send`.** A handler may move to another thread at each await, so what it
///   holds there must be able to: no `Rc`, no guard of a `std::sync::Mutex`. The message does not
///   say what it was. To hear it, hand the future to a function that asks for nothing else:
///
///   ```
///   fn is_send<T: Send>(_: T) {}
///
///   async fn shout(text: String) -> switchboard::Result<String> {
///       Ok(text.to_uppercase())
///   }
///
///   is_send(shout(String::new()));
///   ```
/// - **Async closures must be told their error**, since nothing else says what it is:
///   `async |text: String| Ok::<_, Error>(text.to_uppercase())`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler for a command from `{Req}` to `{Rep}`",
    label = "not a handler for this command",
    note = "a handler is `async fn({Req}) -> Result<{Rep}, E>` or \
            `async fn({Req}, Context) -> Result<{Rep}, E>`",
    note = "`with_state(&state, f)` puts shared state in front: `async fn(Arc<State>, {Req})`; \
            `blocking(f)` takes a function that is not async; \
            `with_state(&state, blocking(f))` does both",
    note = "its future must be `Send`, and `E` must go into `Box<dyn Error + Send + Sync>`"
)]
pub trait Handler<Req, Rep, Shape>: Send + Sync + 'static {
    /// Answers one call.
    fn call(
        &self,
        request: Req,
        context: Context,
    ) -> impl Future<Output = Result<Rep>> + Send + 'static;
}

/// A function that is lent the connection itself and speaks its own dialect on it:
/// `async fn(&mut Connection) -> Result<(), E>`, or with shared state in front, by [`with_state`].
///
/// It begins behind the line with its name and should return behind its payload: the next byte is
/// the beginning of the next command. If it returns an error, the caller is told and the connection
/// closed, since nobody knows where the payload would have ended. Of the library's own errors the
/// caller is told those about the connection that was lent: that a line is too long, for one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a raw handler",
    label = "not a raw handler",
    note = "a raw handler is `async fn(&mut Connection) -> Result<(), E>`",
    note = "`with_state(&state, f)` puts shared state in front: \
            `async fn(Arc<State>, &mut Connection)`",
    note = "its future must be `Send`, and `E` must go into `Box<dyn Error + Send + Sync>`"
)]
pub trait RawHandler<'a>: Send + Sync {
    /// Speaks on the connection until its command is done.
    fn call(&self, connection: &'a mut Connection) -> RawFuture<'a>;
}

/// The future of a raw handler.
pub type RawFuture<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

/// Puts shared state in front of a handler's arguments. The state is an `Arc`, and each call is
/// given a clone of it, before the request.
///
/// ```
/// # #[cfg(feature = "bincode")] {
/// use std::collections::HashMap;
/// use std::sync::Arc;
/// use switchboard::{Code, Command, Endpoint, Error, Result, with_state};
///
/// const CHECK_STOCK: Command<String, u32> = Command::new("CHECK_STOCK");
///
/// struct Inventory(HashMap<String, u32>);
///
/// impl Inventory {
///     async fn check_stock(self: Arc<Self>, item: String) -> Result<u32> {
///         let count = self.0.get(&item).copied();
///         count.ok_or_else(|| Error::new(Code::Failed, format!("no item {item:?}")))
///     }
/// }
///
/// let inventory = Arc::new(Inventory([("item1".to_owned(), 100)].into()));
/// let endpoint = Endpoint::new().on(CHECK_STOCK, with_state(&inventory, Inventory::check_stock));
/// # }
/// ```
pub fn with_state<S, F>(state: &Arc<S>, function: F) -> WithState<S, F> {
    WithState { state: Arc::clone(state), function }
}

/// Makes a handler of a function that blocks. Each call runs on a thread of its own, at most
/// `blocking_calls_max` at a time.
///
/// A blocking function cannot be stopped: after a cancel or a deadline its caller has an answer,
/// but it runs on until it looks at [`Context::is_cancelled`] or returns. One that still waits for
/// a thread of the runtime when its call ends never begins; it counts until a thread has come to
/// it.
///
/// Shared state goes in front of its arguments by [`with_state`] around it.
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

/// A handler with shared state; made by [`with_state`].
#[derive(Debug)]
pub struct WithState<S, F> {
    state: Arc<S>,
    function: F,
}

/// A handler that blocks; made by [`blocking`].
#[derive(Debug)]
pub struct Blocking<F> {
    function: Arc<F>,
}

/// The shape of a handler that takes the request alone.
#[derive(Debug)]
#[non_exhaustive]
pub struct OfRequest;

/// The shape of a handler that takes the request and a [`Context`].
#[derive(Debug)]
#[non_exhaustive]
pub struct OfRequestAndContext;

/// The handlers of one shape: a function, one that blocks, and either with state in front. The
/// shape names the context, and behind `=>` says what of it the function is given.
macro_rules! handlers {
    ($shape:ident($context:pat $(=> $argument:ident: $type:ty)?)) => {
        #[diagnostic::do_not_recommend]
        impl<F, Fut, Req, Rep, E> Handler<Req, Rep, $shape> for F
        where
            F: Fn(Req $(, $type)?) -> Fut + Send + Sync + 'static,
            Fut: Future<Output = Result<Rep, E>> + Send + 'static,
            E: Into<Box<dyn StdError + Send + Sync>>,
        {
            fn call(
                &self,
                request: Req,
                $context: Context,
            ) -> impl Future<Output = Result<Rep>> + Send + 'static {
                let answer = self(request $(, $argument)?);
                async move { answer.await.map_err(failure) }
            }
        }

        #[diagnostic::do_not_recommend]
        impl<S, F, Fut, Req, Rep, E> Handler<Req, Rep, $shape> for WithState<S, F>
        where
            S: Send + Sync + 'static,
            F: Fn(Arc<S>, Req $(, $type)?) -> Fut + Send + Sync + 'static,
            Fut: Future<Output = Result<Rep, E>> + Send + 'static,
            E: Into<Box<dyn StdError + Send + Sync>>,
        {
            fn call(
                &self,
                request: Req,
                $context: Context,
            ) -> impl Future<Output = Result<Rep>> + Send + 'static {
                let answer = (self.function)(Arc::clone(&self.state), request $(, $argument)?);
                async move { answer.await.map_err(failure) }
            }
        }

        #[diagnostic::do_not_recommend]
        impl<F, Req, Rep, E> Handler<Req, Rep, $shape> for Blocking<F>
        where
            F: Fn(Req $(, $type)?) -> Result<Rep, E> + Send + Sync + 'static,
            Req: Send + 'static,
            Rep: Send + 'static,
            E: Into<Box<dyn StdError + Send + Sync>>,
        {
            fn call(
                &self,
                request: Req,
                context: Context,
            ) -> impl Future<Output = Result<Rep>> + Send + 'static {
                let function = Arc::clone(&self.function);
                run_blocking(context, move |$context| {
                    function(request $(, $argument)?).map_err(failure)
                })
            }
        }

        #[diagnostic::do_not_recommend]
        impl<S, F, Req, Rep, E> Handler<Req, Rep, $shape> for WithState<S, Blocking<F>>
        where
            S: Send + Sync + 'static,
            F: Fn(Arc<S>, Req $(, $type)?) -> Result<Rep, E> + Send + Sync + 'static,
            Req: Send + 'static,
            Rep: Send + 'static,
            E: Into<Box<dyn StdError + Send + Sync>>,
        {
            fn call(
                &self,
                request: Req,
                context: Context,
            ) -> impl Future<Output = Result<Rep>> + Send + 'static {
                let (state, function) = (Arc::clone(&self.state), self.function.function.clone());
                run_blocking(context, move |$context| {
                    function(state, request $(, $argument)?).map_err(failure)
                })
            }
        }
    };
}

handlers!(OfRequest(_));
handlers!(OfRequestAndContext(context => context: Context));

#[diagnostic::do_not_recommend]
impl<'a, F, Fut, E> RawHandler<'a> for F
where
    F: Fn(&'a mut Connection) -> Fut + Send + Sync,
    Fut: Future<Output = Result<(), E>> + Send + 'a,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    fn call(&self, connection: &'a mut Connection) -> RawFuture<'a> {
        let done = self(connection);
        Box::pin(async move { done.await.map_err(failure) })
    }
}

#[diagnostic::do_not_recommend]
impl<'a, S, F, Fut, E> RawHandler<'a> for WithState<S, F>
where
    S: Send + Sync,
    F: Fn(Arc<S>, &'a mut Connection) -> Fut + Send + Sync,
    Fut: Future<Output = Result<(), E>> + Send + 'a,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    fn call(&self, connection: &'a mut Connection) -> RawFuture<'a> {
        let done = (self.function)(Arc::clone(&self.state), connection);
        Box::pin(async move { done.await.map_err(failure) })
    }
}

async fn run_blocking<Rep: Send + 'static>(
    context: Context,
    function: impl FnOnce(Context) -> Result<Rep> + Send + 'static,
) -> Result<Rep> {
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
            Some((function, context)) if !context.is_cancelled() => function(context),
            _ => Err(Error::found(Code::Cancelled, "the call ended before its function began")),
        }
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(reply) => reply,
        Err(error) if error.is_panic() => Err(panicked().for_caller().with_source(error)),
        Err(error) => {
            let stopped = Error::found(Code::Cancelled, "the runtime stopped");
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
