//! Layers: services of tower that stand in front of handlers, or of a client.
//!
//! ```text
//!   router ─► layers of the endpoint ─► Next ─► those of the command ─► Next ─► handler
//! ```
//!
//! A call is admitted before it comes here: it counts against the limits, its command is known and
//! its time runs. So a layer that makes calls wait is bounded by their deadlines, and an endpoint
//! is always ready for one more. Where there are no layers, nothing of this is asked but whether
//! there are any.
//!
//! `Next` knows no handler. The request carries its [`Innermost`] among its extensions, so one
//! stack of layers serves all commands, whatever a layer does with the request between.

use std::error::Error as StdError;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use foldhash::HashMap;
use tower_layer::Layer;

use super::answer::{Answer, Work};
use super::door::Door;
use super::reply::Reply;
use super::seam::{Request, Service};
use crate::error::{Code, Error, Result};
use crate::wire::Name;

/// A service of tower that answers [`Request`]s: each [`Clone`] one with these types is such a one.
///
/// A [`Layer`] makes it for [`Endpoint::layer`](crate::Endpoint::layer) or
/// [`Client::layer`](crate::Client::layer). For each call a clone is made, waited for until it is
/// ready, and called once. What clones share (a semaphore, say) is shared by all calls.
///
/// # Errors
///
/// The caller hears of an error of this library as if the handler had returned it. Of an error of
/// any other type it hears `failed`, and the log has the rest: turn those into one of
/// [`Error::new`](crate::Error::new) where they arise, as `map_err` of tower does.
pub trait Layered: Clone + Send + Sync + 'static {
    /// Waits until it is ready, and answers a call.
    fn answer(self, request: Request) -> Answer;
}

impl<S> Layered for S
where
    S: tower_service::Service<
            Request,
            Response = Reply,
            Error: Into<BoxError>,
            Future: Send + 'static,
        > + Clone
        + Send
        + Sync
        + 'static,
{
    fn answer(mut self, request: Request) -> Answer {
        Answer::new(async move {
            poll_fn(|cx| self.poll_ready(cx)).await.map_err(of_layer)?;
            let answer = self.call(request);
            // It may hold a place that others wait for.
            drop(self);
            answer.await.map_err(of_layer)
        })
    }
}

type BoxError = Box<dyn StdError + Send + Sync>;

/// An error that has passed a layer, as one of this library.
fn of_layer(error: impl Into<BoxError>) -> Error {
    match error.into().downcast::<Error>() {
        Ok(error) => *error,
        Err(foreign) => {
            Error::local(Code::Failed, "a layer failed").with_source(foreign).after_sending()
        }
    }
}

/// What stands behind a layer of an endpoint: further layers, and at last the handler.
///
/// It answers each request that it is given, or a clone of it, and is always ready. A request that
/// a layer has made itself has no handler here, and fails.
#[derive(Clone)]
#[must_use = "a layer calls what stands behind it"]
pub struct Next {
    // Layers of the same stack.
    within: Option<Arc<dyn Service>>,
    is_before_command: bool,
}

/// The layers of an endpoint, in front of its handlers.
#[derive(Clone, Default)]
pub(crate) struct Layers {
    of_all: Option<Arc<dyn Service>>,
    of_commands: HashMap<Name, Arc<dyn Service>>,
}

/// The layers that a call of one command has before it.
#[derive(Clone)]
pub(crate) struct Ahead {
    outermost: Arc<dyn Service>,
    of_command: Option<Arc<dyn Service>>,
}

/// The end of the way: a handler, for one call.
pub(crate) trait Innermost: Send + Sync {
    /// Decodes the request and calls the handler, which is this run of it.
    fn answer(&self, request: Request, run: Run) -> Answer;

    /// This request with a word for its format, if its caller has left it to the command.
    fn with_format(&self, request: Request) -> Request;

    /// This error with its details in the format of the call.
    fn in_format(&self, error: Error) -> Error;
}

/// A run of a handler, which a layer may call more than once. It counts from its beginning on.
#[must_use = "a handler that does not run is to be taken back"]
pub(crate) struct Run(Arc<Passage>);

/// What a call on its way through layers carries, for [`Next`].
struct Passage {
    innermost: Box<dyn Innermost>,
    of_command: Option<Arc<dyn Service>>,
    // Of the handler, by whichever layer.
    runs: AtomicUsize,
}

/// A layered service behind the seam, whatever its type.
struct Erased<S>(S);

impl<S: Layered> Service for Erased<S> {
    fn call(&self, request: Request) -> Answer {
        self.0.clone().answer(request)
    }
}

impl Layers {
    /// Puts a layer in front of all those that all commands have.
    pub(crate) fn push<L: Layer<Next, Service: Layered>>(&mut self, layer: &L) {
        let next = Next { within: self.of_all.take(), is_before_command: true };
        self.of_all = Some(Arc::new(Erased(layer.layer(next))));
    }

    /// Puts a layer in front of those of one command.
    pub(crate) fn push_for<L: Layer<Next, Service: Layered>>(&mut self, name: Name, layer: &L) {
        let next = Next { within: self.of_commands.remove(&name), is_before_command: false };
        self.of_commands.insert(name, Arc::new(Erased(layer.layer(next))));
    }

    /// The layers before this command, if there are any.
    pub(crate) fn before(&self, name: &Name) -> Option<Ahead> {
        let of_command = self.of_commands.get(name);
        let outermost = Arc::clone(self.of_all.as_ref().or(of_command)?);
        let of_command = self.of_all.as_ref().and(of_command).cloned();
        Some(Ahead { outermost, of_command })
    }
}

impl Ahead {
    /// Lets a call pass the layers to its handler.
    pub(crate) fn begin(&self, innermost: impl Innermost + 'static, request: Request) -> Work {
        let (caller, id) = (request.caller().cloned(), request.id());
        let Self { outermost, of_command } = self.clone();
        let request = innermost.with_format(request);
        let (innermost, runs) = (Box::new(innermost), AtomicUsize::new(0));
        let passage = Arc::new(Passage { innermost, of_command, runs });
        let request = request.with_extension(Arc::clone(&passage));
        Box::pin(async move {
            let reply = outermost.call(request).await.map_err(|error| passage.told(error))?;
            if let (Some(caller), false) = (caller, reply.metadata().is_empty()) {
                caller.set_reply_metadata(id, reply.metadata());
            }
            Ok(reply.into_made())
        })
    }
}

impl Passage {
    /// An error of a layer, or one that has passed it, as the caller is told it. The caller may
    /// call again if the handler has not run, whatever the error says: it may be of another call.
    fn told(&self, error: Error) -> Error {
        let has_run = self.runs.load(Ordering::Relaxed) > 0;
        self.innermost.in_format(error).of_layer(has_run)
    }
}

impl Run {
    fn begin(passage: &Arc<Passage>) -> Self {
        passage.runs.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(passage))
    }

    /// The handler has refused this one, and did nothing.
    pub(crate) fn take_back(self) {
        self.0.runs.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Next {
    fn pass_on(&self, request: Request) -> Answer {
        if let Some(within) = &self.within {
            return within.call(request);
        }
        let Some(passage) = request.extensions().get::<Arc<Passage>>() else {
            let text = "a layer has made a request of its own: it can pass on the one it was given";
            return Answer::ready(Err(Error::local(Code::Failed, text)));
        };
        let passage = Arc::clone(passage);
        match &passage.of_command {
            Some(of_command) if self.is_before_command => of_command.call(request),
            _ => passage.innermost.answer(request, Run::begin(&passage)),
        }
    }
}

impl fmt::Debug for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next").finish_non_exhaustive()
    }
}

/// Both are always ready.
macro_rules! answers_by_tower {
    ($service:ty, $call:expr) => {
        impl tower_service::Service<Request> for $service {
            type Response = Reply;
            type Error = Error;
            type Future = Answer;

            fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn call(&mut self, request: Request) -> Self::Future {
                $call(self, request)
            }
        }
    };
}

answers_by_tower!(Next, Next::pass_on);
answers_by_tower!(Door, Service::call);
