//! Plain calls: the stream is lent to one command until it is done.
//!
//! Everything before it is answered and written by then. While a plain call has the stream nothing
//! else is read or written, but time goes on: what is due in the session is done, and what it has
//! to say waits.
//!
//! | what goes wrong                           | the caller gets | the connection |
//! |-------------------------------------------|-----------------|----------------|
//! | no such command, no such format           | `<0 err ..`     | closes         |
//! | the payload does not decode, or finds no  | `<0 err ..`     | closes, but    |
//! | room                                      |                 | lives if a gob |
//! | a raw handler's error, panic or end       | `<0 err ..`     | closes         |
//! | a typed handler's error, panic, deadline  | `<0 err ..`     | lives, but     |
//! |                                           |                 | closes after a |
//! |                                           |                 | streamed reply |
//! | the stream fails                          | nothing         | closes         |
//!
//! Where it closes, the end of the payload is unknown, and what is left of it must never be read as
//! commands. A gob that was read whole vouches for its end itself: bytes that are not a gob do not
//! come so far.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tracing::Instrument;

use super::clock::Clock;
use super::link::Link;
use crate::clock::now;
use crate::conn::Shared;
use crate::error::{Code, Error, Result};
use crate::format::Framing;
use crate::handler::{AnyRaw, Entry, Found, Route, Router};
use crate::ledger::{Figures, Opening, Tab};
use crate::quota::{Reservation, unheld};
use crate::service::{
    Answer, Items, PipeEnd, Plainly, Reply, Request, caught, log_end, pipe, told,
};
use crate::session::{Call, Plain, PlainEnd, Session, endless};
use crate::wire::{Name, Options};

/// Runs a plain call. How it ended is in the session then.
pub(super) async fn run(link: &mut Link, router: &Router, plain: Plain) {
    // The line that called it is over, and its time with it.
    if !flush(link).await {
        return;
    }
    // A raw handler may have put one of its own in its place.
    link.connection.lend();
    let end = match router.find(plain.name) {
        Ok(Found { entry: Entry::Typed(route), figures }) => {
            link.connection.bound_by(Some(route.facts()));
            let end = run_typed(link, router, (&route, figures), plain).await;
            link.connection.bound_by(None);
            end
        }
        Ok(Found { entry: Entry::Raw(handler), figures }) => {
            // A registered name: one that a peer made up does not come here.
            let span = tracing::debug_span!("plain call", command = %plain.name);
            let mut tab = Tab::begin(figures, &Opening::plain(now()));
            let end = run_raw(link, &*handler, plain).instrument(span).await;
            tab.end(end.code().map_or(Ok(0), Err));
            end
        }
        Err(error) => refused(router, plain, error),
    };
    give_back(link, end);
}

/// The end of a call whose payload was not read whole.
fn refused(router: &Router, plain: Plain, error: Error) -> PlainEnd {
    router.note_refused(plain.name, &Opening::plain(now()), error.code());
    PlainEnd::OutOfStep(told(plain.name, error))
}

/// Lends the stream to a handler from its beginning on.
pub(super) async fn run_whole(link: &mut Link, handler: &AnyRaw) {
    link.connection.lend();
    let end = run_raw(link, handler, Plain { name: NAMELESS, format: None }).await;
    give_back(link, end);
}

/// The session has the stream again, or another that was put in its place.
fn give_back(link: &Link, end: PlainEnd) {
    link.shared.set_io(link.connection.io().clone());
    link.shared.with_reserved(|session, reserved| {
        session.handle_plain_end(now(), end);
        // An error is to be written, and may have details.
        let _ = reserved.cover(session.held_bytes());
    });
}

/// Writes all that waits; whether that could be done.
async fn flush(link: &mut Link) -> bool {
    poll_fn(|cx| {
        link.shared.rise();
        loop {
            if link.poll_write(cx, true).is_ready() {
                return Poll::Ready(!link.is_broken && !link.is_unwritable);
            }
            let due = link.shared.with(|session| session.poll_timeout());
            let clock_is_pending = link.poll_clock(cx, due).is_pending();
            let Link { shared, clock, .. } = &mut *link;
            let is_quiet = |session: &Session| !clock.is_late_for(session);
            if clock_is_pending && shared.sleep(cx, clock.alarm(), is_quiet) {
                return Poll::Pending;
            }
        }
    })
    .await
}

async fn run_raw(link: &mut Link, handler: &AnyRaw, Plain { name, format, .. }: Plain) -> PlainEnd {
    if format.is_some() {
        let text = "a raw command has no formats to choose from";
        return PlainEnd::OutOfStep(told(name, Error::found(Code::UnsupportedFormat, text)));
    }
    let Link { connection, shared, clock, .. } = link;
    let came = now();
    // Called within the future, so that a panic before its first await is caught as well.
    let mut work =
        Box::pin(async { handler.call(connection).await.map_err(Error::of_raw_handler) });
    let polled = poll_fn(|cx| {
        caught(|| work.as_mut().poll(cx)).unwrap_or_else(|error| Poll::Ready(Err(error)))
    });
    let result = attend(shared, clock, polled).await.and_then(|result| result);
    let result = caught(|| drop(work)).and(result);
    log_end(name, came, result.as_ref().map_or_else(|error| error.code().as_str(), |()| "ok"));
    // That a connection was lost may be the error of a handler that called somebody else, and
    // if it was this one, telling does no harm.
    match result {
        // Whatever the handler makes of it.
        Ok(()) if connection.is_out_of_step => {
            let text = "a payload was read whose end is not known";
            let error = Error::found(Code::BadPayload, text).after_running();
            PlainEnd::OutOfStep(told(name, error))
        }
        Ok(()) => PlainEnd::Done,
        Err(error) => PlainEnd::OutOfStep(told(name, error.after_running())),
    }
}

async fn run_typed(
    link: &mut Link,
    router: &Router,
    (route, figures): (&Arc<dyn Route>, Arc<Figures>),
    plain: Plain,
) -> PlainEnd {
    if route.facts().has_request_items() {
        let text = "a request of many items cannot be sent plainly: call it with a tag";
        return refused(router, plain, Error::found(Code::UnsupportedFormat, text));
    }
    let payload = match read_payload(link, &**route, plain).await {
        Ok(payload) => payload,
        Err(error) => return refused(router, plain, error),
    };
    link.connection.settle();
    let mut call = Call::plain(plain.name, Options::new(plain.format, None), now());
    call.payload = payload;
    let caller = Plainly::new(link.shared.clone());
    // A function that blocks goes on until it learns that nobody waits.
    let _waiting = caller.waiting();
    let mut request = Request::of_session(call, caller);
    let items = route.facts().is_streamed().then(|| {
        let (near, far) = pipe();
        near.charge_to(link.shared.quota(), link.shared.limits());
        request.set_items(Arc::new(far));
        near
    });
    // What the call takes of the endpoint it keeps until its reply is written: its answer is
    // kept as long.
    let mut held = Reservation::new(link.shared.quota());
    let found = Found { entry: Entry::Typed(Arc::clone(route)), figures };
    let mut answer = router.begin_found(found, request, &mut |bytes| held.cover(bytes));
    if let Some(items) = items {
        return print_items(link, &**route, plain, (items, answer), &mut held).await;
    }
    let reply = match attend(&link.shared, &mut link.clock, &mut answer).await {
        Ok(reply) => reply,
        Err(error) => {
            drop(answer);
            return PlainEnd::Failed(told(plain.name, error.after_running()));
        }
    };
    match (hold_reply(&mut held, reply), route.framing(plain.format)) {
        (Ok(reply), Ok(Some(framing))) => {
            let written = link.connection.write_payload(framing, reply.payload()).await;
            end_of(link, plain, written)
        }
        (Ok(reply), Ok(None)) => {
            let written = link.connection.write_bytes(reply.payload()).await;
            end_of(link, plain, written)
        }
        (Err(error), Ok(Some(framing))) if error.is_refusal() && framing.vouches_for_its_end() => {
            PlainEnd::Refused(error)
        }
        (Err(error), _) if error.is_refusal() => PlainEnd::OutOfStep(error),
        (Err(error), _) | (_, Err(error)) => PlainEnd::Failed(error),
    }
}

/// What a call has ended with, which holds that in place of its request: a reply, or an error with
/// its details.
fn hold_reply(held: &mut Reservation, reply: Result<Reply>) -> Result<Reply> {
    let bytes = match &reply {
        Ok(reply) => reply.payload().len(),
        Err(error) if error.is_refusal() => return reply,
        Err(error) => error.told().bytes(),
    };
    held.cover(bytes).map_err(|error| unheld(error).after_running())?;
    reply
}

/// Writes the items of a reply, each as a plain reply, and then no more. The final value is for
/// programs, and is not written.
async fn print_items(
    link: &mut Link,
    route: &dyn Route,
    plain: Plain,
    (items, mut answer): (PipeEnd, Answer),
    held: &mut Reservation,
) -> PlainEnd {
    let framing = match route.framing(plain.format) {
        Ok(framing) => framing.unwrap_or(Framing::Line),
        Err(error) => return PlainEnd::OutOfStep(told(plain.name, error)),
    };
    let (mut end, is_endless) = (None, route.facts().is_endless());
    loop {
        let next = poll_fn(|cx| {
            // Its answer keeps the time, however much there is to print.
            if end.is_none()
                && let Poll::Ready(ended) = Pin::new(&mut answer).poll(cx)
            {
                // Not kept while items wait for a peer that does not read.
                end = Some(hold_reply(held, ended.map(|_| Reply::default())));
            }
            match items.poll_next(cx) {
                Poll::Pending if end.is_none() => Poll::Pending,
                Poll::Ready(Ok(item)) => Poll::Ready(item),
                // Nobody is left to send more; the answer says why.
                Poll::Ready(Err(_)) | Poll::Pending => Poll::Ready(None),
            }
        });
        match attend_first(&link.shared, &mut link.clock, is_endless, next).await {
            Ok(Some(item)) => {
                if let Err(error) = link.connection.write_payload(framing, &item.payload).await {
                    link.lost(&error);
                    return PlainEnd::Done;
                }
            }
            Ok(None) => break,
            Err(error) => return PlainEnd::OutOfStep(told(plain.name, error.after_running())),
        }
    }
    let end = match end {
        Some(end) => end,
        None => match attend(&link.shared, &mut link.clock, &mut answer).await {
            Ok(end) => end,
            Err(error) => Err(told(plain.name, error.after_running())),
        },
    };
    match end {
        Ok(_) => PlainEnd::Last,
        Err(error) => PlainEnd::OutOfStep(error),
    }
}

/// Reads the payload of a typed call. The call is not counted before: who sends none must not
/// keep others from running.
async fn read_payload(link: &mut Link, route: &dyn Route, plain: Plain) -> Result<Bytes> {
    let Some(framing) = route.framing(plain.format)? else {
        return Ok(Bytes::new());
    };
    let read = link.connection.read_payload(framing);
    let payload = attend(&link.shared, &mut link.clock, read).await??;
    payload
        .ok_or_else(|| Error::found(Code::BadPayload, "the stream ended where a payload should be"))
}

/// The end of a call whose payload was read whole and whose reply was written like this.
fn end_of(link: &mut Link, plain: Plain, written: Result<()>) -> PlainEnd {
    match written {
        Ok(()) => PlainEnd::Done,
        // Refused before a byte of it was written.
        Err(error) if error.code() == Code::TooLarge => {
            PlainEnd::Failed(told(plain.name, error.after_running()))
        }
        Err(error) if error.code() == Code::BadPayload => {
            let text = "the reply cannot be framed";
            let error = Error::local(Code::Failed, text).with_source(error);
            PlainEnd::Failed(told(plain.name, error.after_running()))
        }
        // Part of it may be written, and whatever came after would be taken for the rest.
        Err(error) => {
            link.lost(&error);
            PlainEnd::Done
        }
    }
}

/// Does some work while the session's time goes on.
///
/// # Errors
///
/// If the session ends before it, by its draining or by the peer.
async fn attend<T>(shared: &Shared, clock: &mut Clock, work: impl Future<Output = T>) -> Result<T> {
    let mut work = pin!(work);
    poll_fn(|cx| {
        // Else the driver would wake itself by what it does here, and never sleep again.
        shared.rise();
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Ok(done));
        }
        poll_over(shared, clock, cx, false).map(Err)
    })
    .await
}

/// The same for work that may be ready time and again, so that the time is looked at first. A call
/// that is endless is over when no more calls are taken.
async fn attend_first<T>(
    shared: &Shared,
    clock: &mut Clock,
    is_endless: bool,
    work: impl Future<Output = T>,
) -> Result<T> {
    let mut work = pin!(work);
    poll_fn(|cx| {
        shared.rise();
        if let Poll::Ready(error) = poll_over(shared, clock, cx, is_endless) {
            return Poll::Ready(Err(error));
        }
        work.as_mut().poll(cx).map(Ok)
    })
    .await
}

/// Why the session is over, if it is; else it is looked at again in time.
fn poll_over(
    shared: &Shared,
    clock: &mut Clock,
    cx: &mut Context<'_>,
    is_endless: bool,
) -> Poll<Error> {
    if is_endless && shared.with(|session| session.is_draining()) {
        return Poll::Ready(endless());
    }
    loop {
        let due = shared.with(|session| session.poll_timeout());
        match clock.poll(shared, cx, due) {
            Poll::Ready(Err(violation)) => {
                return Poll::Ready(Error::found(violation.code(), violation.to_string()));
            }
            Poll::Ready(Ok(())) => {}
            Poll::Pending => break,
        }
        if shared.with(|session| session.is_drained()) {
            let time = shared.limits().drain_time_max;
            let text = format!("the call did not end within drain_time_max ({time:?})");
            return Poll::Ready(Error::found(Code::ShuttingDown, text));
        }
    }
    // Woken when a deadline nearer than the timer's comes in.
    let is_quiet = |session: &Session| !clock.is_late_for(session);
    if !shared.sleep(cx, clock.alarm(), is_quiet) {
        cx.waker().wake_by_ref();
    }
    Poll::Pending
}

/// What a handler of a whole connection is called in the log.
const NAMELESS: Name = Name::new("raw");
