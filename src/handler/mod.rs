//! Calls to functions: what can be registered, and how it is called.
//!
//! Generic at the door, erased in the hall: a [`Handler`] knows the user's types, the registry
//! keeps a `dyn Route` that takes payload bytes and gives payload bytes. Nothing here knows where a
//! call came from or whether anybody still waits for it.

mod admitted;
mod blocking;
mod context;
mod functions;
mod info;
#[cfg(feature = "tower")]
mod layered;
mod outcome;
mod own;
mod own_form;
mod own_stats;
mod raw;
mod registry;
mod route;
mod router;
mod span;
mod speaks;
mod streaming;

pub use self::blocking::{Blocking, blocking};
pub use self::context::Context;
pub use self::info::CommandInfo;
pub use self::outcome::{IntoError, Outcome};
pub(crate) use self::raw::{AnyRaw, any_raw};
pub(crate) use self::registry::{Entry, Found, Registry};
pub(crate) use self::route::{Route, Typed};
pub(crate) use self::router::Router;
pub use self::speaks::Speaks;
pub use self::streaming::{Streaming, streaming};

use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;
#[cfg(doc)]
use crate::service::{Receiver, Sender};
use crate::stream::Connection;

/// A function that answers calls whose request is a `Req`:
///
/// - `async fn(Req) -> Result<Rep, E>`,
/// - `async fn(Req, Context) -> Result<Rep, E>`,
/// - either of them with shared state in front, by [`with_state`],
/// - `fn(Req) -> Result<Rep, E>` or `fn(Req, Context) -> Result<Rep, E>`, by [`blocking()`],
/// - either of these with shared state in front, by both: `with_state(&state, blocking(f))`.
///
/// If the command is [`Streamed`](crate::Streamed), the items of its request and its reply add a
/// [`Receiver`] and a [`Sender`] between the request and the `Context`. If only the reply has
/// items, the function may return a `Stream` instead, by [`streaming()`].
///
/// `E` is an [`Error`], a type of the program that becomes one by [`From`], or an error without a
/// type of its own: `anyhow::Error`, a boxed error, a text ([`IntoError`]). An `Error` made by
/// [`Error::new`] reaches the caller with its code, text and details. For every other error the
/// caller gets `failed`, and the log gets the rest. That includes an `Error` inside another error,
/// and one that the library gave to the handler: by a call or a [`Connection`] of its own, a limit
/// or a format.
///
/// `Shape` tells these forms apart. It is inferred.
///
/// # What blocks
///
/// A handler begins in the task of its connection, where most are ready at once. Until it first
/// waits it holds up the whole connection: three that take 500 ms make the next call wait for 1.5
/// s. So a function that blocks, or computes for long, belongs into [`blocking()`]. One that only
/// computes may instead call `tokio::task::yield_now().await` at first and from time to time; then
/// it goes on in a task of its own. A first poll that takes over 10 ms is logged as a warning.
///
/// # When the compiler refuses
///
/// - **`is not a handler of requests of type ..`**: the function takes other arguments. It takes
///   the request by value, state before it, as an `Arc`, and a [`Context`] after it. A method takes
///   `self: Arc<Self>`.
/// - **`is not a handler ..` of an `async move` closure** that uses a captured value: its future
///   borrows that value, and a handler's may not. Give each call a clone of its own:
///   `move |text: String| { let names = names.clone(); async move { .. } }`, or use [`with_state`].
/// - **`a handler of this command returns ..`**: another reply, or no `Result`.
/// - **`.. is not a future`**: the function is not async. [`blocking()`] takes it as it is.
/// - **`implementation of Deserialize is not general enough`**: the request or the reply borrows,
///   as a `&str` does. Use an owned type: `String`.
/// - **`the error .. cannot be told to a caller`**: see [`IntoError`].
/// - **`future cannot be sent between threads safely`**: a handler may move to another thread at
///   each await, so it can hold no `Rc` and no guard of a `std::sync::Mutex` there. The message
///   shows which value it is.
/// - **`type annotations needed`** for an async closure: the closure itself must say the type of
///   its error: `async |text: String| Ok::<_, Error>(text.to_uppercase())`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler of requests of type `{Req}`",
    label = "does not take `{Req}`",
    note = "a handler is `async fn({Req})` or `async fn({Req}, Context)`; with shared state in \
            front it is `async fn(Arc<State>, {Req})`, by `with_state(&state, f)`, and a method \
            takes `self: Arc<Self>`, not `&self`",
    note = "a function that blocks is `blocking(f)`, and with shared state \
            `with_state(&state, blocking(f))`",
    note = "where the command is `Streamed` it is `async fn(Head, Receiver<Item>)`, \
            `async fn(Request, Sender<Item>)` or `async fn(Head, Receiver<Item>, Sender<Item>)`, a \
            `Context` last; where there is no head it takes `_: ()`; or `streaming(f)`, of an `f` \
            that is not async and returns a `Stream`",
    note = "an `async move` closure that uses what it captured is not a handler: clone that in a \
            closure around it, `move |request| {{ let x = x.clone(); async move {{ .. }} }}`, or \
            use `with_state`"
)]
pub trait Handler<Req, Shape>: Send + Sync + 'static {
    /// The first part of the request that the function gets: all of it, unless it is streamed.
    type Head;
    /// The value that the function returns: a future of a [`Result`].
    type Answer;
    /// The functions for items.
    #[doc(hidden)]
    type Items;

    /// Begins to answer one call.
    fn call(&self, head: Self::Head, context: Context, items: &Self::Items) -> Self::Answer;
}

/// A function that gets the connection itself and speaks its own dialect on it:
/// `async fn(&mut Connection) -> Result<(), E>`, or with shared state in front, by [`with_state`].
///
/// It begins after the line with its name and should return at the end of its payload: the next
/// byte begins the next command. If it returns an error, the caller is told and the connection
/// closed, since nobody knows where the payload would have ended. The caller also hears the
/// library's own errors about the lent connection, such as a line that is too long.
///
/// `E` is an error as for a [`Handler`]. `Kind` says how it becomes an [`Error`], and is inferred;
/// a type of your own that is a raw handler has `()` there.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a raw handler",
    label = "not a raw handler",
    note = "a raw handler is `async fn(&mut Connection) -> Result<(), E>`",
    note = "`with_state(&state, f)` puts shared state in front: \
            `async fn(Arc<State>, &mut Connection)`"
)]
pub trait RawHandler<'a, Kind>: Send + Sync {
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

/// A handler with shared state; made by [`with_state`].
#[derive(Debug)]
pub struct WithState<S, F> {
    state: Arc<S>,
    function: F,
}

/// The shape of a handler that takes the request alone.
#[derive(Debug)]
#[non_exhaustive]
pub struct OfRequest;

/// The shape of a handler that takes the request and a [`Context`].
#[derive(Debug)]
#[non_exhaustive]
pub struct OfRequestAndContext;

/// The shape of a handler that takes the request and a [`Sender`].
#[derive(Debug)]
pub struct OfSender<I>(PhantomData<fn() -> I>);

/// The shape of a handler that takes the request, a [`Sender`] and a [`Context`].
#[derive(Debug)]
pub struct OfSenderAndContext<I>(PhantomData<fn() -> I>);

/// The shape of a handler that takes the head of a request and a [`Receiver`].
#[derive(Debug)]
pub struct OfReceiver<I>(PhantomData<fn() -> I>);

/// The shape of a handler that takes the head of a request, a [`Receiver`] and a [`Context`].
#[derive(Debug)]
pub struct OfReceiverAndContext<I>(PhantomData<fn() -> I>);

/// The shape of a handler that takes the head of a request, a [`Receiver`] and a [`Sender`].
#[derive(Debug)]
pub struct OfBoth<I, J>(PhantomData<fn() -> (I, J)>);

/// The shape of a handler that takes the head of a request, a [`Receiver`], a [`Sender`] and a
/// [`Context`].
#[derive(Debug)]
pub struct OfBothAndContext<I, J>(PhantomData<fn() -> (I, J)>);

/// The shape of a handler that takes the request and returns a stream.
#[derive(Debug)]
pub struct OfStream<I>(PhantomData<fn() -> I>);

/// The shape of a handler that takes the request and a [`Context`], and returns a stream.
#[derive(Debug)]
pub struct OfStreamAndContext<I>(PhantomData<fn() -> I>);

impl<'a, F, Fut, E, Kind> RawHandler<'a, Kind> for F
where
    F: Fn(&'a mut Connection) -> Fut + Send + Sync,
    Fut: Future<Output = Result<(), E>> + Send + 'a,
    E: IntoError<Kind>,
{
    fn call(&self, connection: &'a mut Connection) -> RawFuture<'a> {
        let done = self(connection);
        Box::pin(async move { done.await.map_err(E::into_error) })
    }
}

impl<'a, S, F, Fut, E, Kind> RawHandler<'a, Kind> for WithState<S, F>
where
    S: Send + Sync,
    F: Fn(Arc<S>, &'a mut Connection) -> Fut + Send + Sync,
    Fut: Future<Output = Result<(), E>> + Send + 'a,
    E: IntoError<Kind>,
{
    fn call(&self, connection: &'a mut Connection) -> RawFuture<'a> {
        let done = (self.function)(Arc::clone(&self.state), connection);
        Box::pin(async move { done.await.map_err(E::into_error) })
    }
}
