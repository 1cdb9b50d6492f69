//! Calls within one process: a channel straight to the handlers, without a stream.
//!
//! ```text
//!   callers ──letters──► one task: begins them in turn ──ready at once──► answered
//!                                   │ pending
//!                                   └──► a task of its own ──► answered
//! ```
//!
//! A handler never runs on the stack of whoever calls it: handlers that call one another would fill
//! it, and a caller may be in no runtime at all.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::error::{Code, Error, Result};
use crate::limits::Limits;
use crate::quota::{Held, call_bytes};
use crate::service::{
    Answer, BoxFuture, Channel, ChannelStates, Door, Reply, Request, Service, caught,
};
use crate::transport::Peer;

/// The channel of a client that is in the same process as the handlers.
pub(super) struct InProcess {
    door: Door,
    letters: mpsc::Sender<Letter>,
}

/// A call that has not begun.
struct Letter {
    request: Request,
    // Of a one-way call: whether it has been taken. Dropped by whoever waits no longer.
    reply: oneshot::Sender<Result<Reply>>,
    // Covers it until it begins.
    held: Held,
}

impl InProcess {
    /// The channel to a door. Its calls are answered in the runtime in which this is called.
    pub(super) fn new(door: Door) -> Self {
        let max = door.limits().calls_per_connection_max;
        let (letters, inbox) = mpsc::channel(max.clamp(1, Semaphore::MAX_PERMITS));
        tokio::spawn(begin_in_turn(door.clone(), inbox));
        Self { door, letters }
    }

    fn post(&self, request: Request) -> Result<oneshot::Receiver<Result<Reply>>> {
        let mut held = self.door.held();
        held.cover(call_bytes(request.payload().len())).map_err(|error| error.heard())?;
        let (reply, answer) = oneshot::channel();
        match self.letters.try_send(Letter { request, reply, held }) {
            Ok(()) => Ok(answer),
            Err(TrySendError::Full(_)) => {
                let max = self.letters.max_capacity();
                let text = format!("calls_per_connection_max ({max}) wait to begin");
                Err(Error::found(Code::Overloaded, text).heard())
            }
            // It has come back, so it has not left.
            Err(TrySendError::Closed(_)) => Err(stopped().before_sending()),
        }
    }
}

impl Service for InProcess {
    fn call(&self, request: Request) -> Answer {
        match self.post(request) {
            Ok(answer) => Answer::new(async { answer.await.unwrap_or_else(|_| Err(stopped())) }),
            Err(error) => Answer::ready(Err(error)),
        }
    }
}

impl Channel for InProcess {
    fn limits(&self) -> &Limits {
        self.door.limits()
    }

    fn peer(&self) -> Peer {
        self.door.peer()
    }

    fn states(&self) -> ChannelStates {
        Channel::states(&self.door)
    }

    fn is_closed(&self) -> bool {
        self.door.is_closed() || self.letters.is_closed()
    }

    fn close(&self) {
        self.door.close();
    }

    fn closed(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            tokio::select! {
                () = self.door.closed() => {}
                // The runtime of the handlers is gone, and they with it.
                () = self.letters.closed() => {}
            }
        })
    }
}

/// Begins calls in the order in which they were made, for as long as somebody may make one.
async fn begin_in_turn(door: Door, mut inbox: mpsc::Receiver<Letter>) {
    while let Some(Letter { request, reply, held }) = inbox.recv().await {
        if reply.is_closed() {
            // What is beside it may be anybody's.
            let _ = caught(|| drop(request));
            continue;
        }
        drop(held);
        let mut answer = match caught(|| door.call(request)) {
            Ok(answer) => answer,
            Err(panicked) => Answer::ready(Err(panicked.heard())),
        };
        match poll_fn(|cx| Poll::Ready(Pin::new(&mut answer).poll(cx))).await {
            Poll::Ready(result) => tell(reply, result),
            Poll::Pending => {
                tokio::spawn(go_on(answer, reply));
            }
        }
    }
}

/// Answers a call, unless its caller waits no longer.
async fn go_on(answer: Answer, mut reply: oneshot::Sender<Result<Reply>>) {
    tokio::select! {
        biased;
        () = reply.closed() => {}
        result = answer => tell(reply, result),
    }
}

fn tell(reply: oneshot::Sender<Result<Reply>>, result: Result<Reply>) {
    // Whoever is gone wants no answer.
    let _ = reply.send(result);
}

/// The error of calls whose runtime is gone.
fn stopped() -> Error {
    Error::local(Code::Disconnected, "the runtime of the handlers stopped").after_sending()
}
