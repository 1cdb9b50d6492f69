//! Plain calls: the stream is lent to one command until it is done.
//!
//! Everything before it is answered and written by then. While a plain call has the stream nothing
//! else is read or written, but time goes on: what is due in the session is done, and what it has
//! to say waits.
//!
//! | what goes wrong                           | the caller gets | the connection |
//! |-------------------------------------------|-----------------|----------------|
//! | no such command, no such format           | `<0 err ..`     | closes         |
//! | the payload does not decode               | `<0 err ..`     | closes         |
//! | a raw handler's error, panic or end       | `<0 err ..`     | closes         |
//! | a typed handler's error, panic, deadline  | `<0 err ..`     | lives          |
//! | the stream fails                          | nothing         | closes         |
//!
//! Where it closes, the end of the payload is unknown, and what is left of it must never be read as
//! commands.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

use bytes::BytesMut;
use tokio::time::timeout_at;
use tracing::Instrument;

use super::Driver;
use super::calls::{LIST, call_caught, let_go, poll_caught, told};
use super::clock::Clock;
use crate::conn::Shared;
use crate::error::{Code, Error, Result};
use crate::handler::{self, Entry, RawHandler, Route, Work};
use crate::limits::over_time;
use crate::quota::{Charge, Permit, unheld};
use crate::session::{Call, Plain, PlainEnd, Session};
use crate::stream::{after, now};
use crate::wire::{FormatWord, Name, Options};

impl Driver {
    /// Runs a plain call. How it ended is in the session then.
    pub(super) async fn run_plain(&mut self, plain: Plain) {
        // The line that called it is over, and its time with it.
        if !self.flush().await {
            return;
        }
        // A raw handler may have put one of its own in its place.
        self.connection.lend();
        let name = plain.name;
        let end = match self.registry.find(name) {
            Ok(entry) => {
                // A registered name: one that a peer made up does not come here.
                let span = tracing::debug_span!("plain call", command = %name);
                self.run_entry(entry, plain).instrument(span).await
            }
            Err(_) if name.as_bytes() == LIST => self.run_list(plain.format).await,
            Err(error) => PlainEnd::OutOfStep(error),
        };
        // Told in any case: that a connection was lost may be the error of a handler that called
        // somebody else, and if it was this one, telling does no harm.
        let end = match end {
            PlainEnd::Done => PlainEnd::Done,
            PlainEnd::Failed(error) => PlainEnd::Failed(told(name, error)),
            PlainEnd::OutOfStep(error) => PlainEnd::OutOfStep(told(name, error)),
        };
        self.shared.set_io(self.connection.io().clone());
        self.shared.with(|session| session.handle_plain_end(now(), end));
    }

    /// Writes all that waits; whether that could be done.
    async fn flush(&mut self) -> bool {
        poll_fn(|cx| {
            self.shared.rise();
            loop {
                if self.poll_write(cx, true).is_ready() {
                    return Poll::Ready(!self.is_broken && !self.is_unwritable);
                }
                let due = self.shared.with(|session| session.poll_timeout());
                let clock_is_pending = self.poll_clock(cx, due).is_pending();
                let Self { shared, clock, .. } = self;
                let is_quiet = |session: &Session| !clock.is_late_for(session);
                if clock_is_pending && shared.sleep(cx, clock.alarm(), is_quiet) {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    async fn run_list(&mut self, format: Option<FormatWord>) -> PlainEnd {
        match self.list(format, b"") {
            Ok(list) => {
                let written = self.connection.write_bytes(list.as_bytes()).await;
                self.end_of(written)
            }
            Err(error) => PlainEnd::OutOfStep(error),
        }
    }

    async fn run_entry(&mut self, entry: Entry, plain: Plain) -> PlainEnd {
        match (entry, plain.format) {
            (Entry::Typed(route), format) => self.run_typed(&*route, plain.name, format).await,
            (Entry::Raw(handler), None) => self.run_raw(&*handler).await,
            (Entry::Raw(_), Some(_)) => {
                let text = "a raw command has no formats to choose from";
                PlainEnd::OutOfStep(Error::found(Code::UnsupportedFormat, text))
            }
        }
    }

    async fn run_raw(&mut self, handler: &dyn for<'a> RawHandler<'a>) -> PlainEnd {
        let Self { connection, shared, clock, .. } = self;
        // Called within the future, so that a panic before its first await is caught as well.
        let mut work: Work<'_, ()> =
            Box::pin(async { handler.call(connection).await.map_err(Error::of_raw_handler) });
        let result = attend(shared, clock, poll_fn(|cx| poll_caught(&mut work, cx))).await;
        let_go(work, result).map_or_else(PlainEnd::OutOfStep, |()| PlainEnd::Done)
    }

    async fn run_typed(
        &mut self,
        route: &dyn Route,
        name: Name,
        format: Option<FormatWord>,
    ) -> PlainEnd {
        // What the call takes of the endpoint it keeps until its reply is written.
        let mut held = Charge::default();
        let begun = self.begin_typed(route, name, format, &mut held).await;
        let (mut work, _permit, deadline) = match begun {
            Ok(begun) => begun,
            Err(error) => return PlainEnd::OutOfStep(error),
        };
        let ended = timeout_at(deadline.into(), poll_fn(|cx| poll_caught(&mut work, cx)));
        let reply = attend(&self.shared, &mut self.clock, async {
            let text = || over_time(self.shared.limits().call_time_max);
            ended.await.unwrap_or_else(|_| Err(Error::found(Code::DeadlineExceeded, text())))
        })
        .await;
        let reply = let_go(work, reply).and_then(|reply| {
            held.cover(self.shared.quota(), reply.len()).map_err(unheld)?;
            Ok(reply)
        });
        match (reply, route.framing(format)) {
            (Ok(reply), Ok(framing)) => {
                let written = self.connection.write_payload(framing, &reply).await;
                self.end_of(written)
            }
            (Err(error), _) | (_, Err(error)) => PlainEnd::Failed(error),
        }
    }

    /// The end of a call whose payload was read whole and whose reply was written like this.
    fn end_of(&mut self, written: Result<()>) -> PlainEnd {
        match written {
            Ok(()) => PlainEnd::Done,
            // Refused before a byte of it was written.
            Err(error) if error.code() == Code::TooLarge => PlainEnd::Failed(error),
            Err(error) if error.code() == Code::BadPayload => {
                let text = "the reply cannot be framed";
                PlainEnd::Failed(Error::local(Code::Failed, text).with_source(error))
            }
            // Part of it may be written, and whatever came after would be taken for the rest.
            Err(error) => {
                self.lost(&error);
                PlainEnd::Done
            }
        }
    }

    /// Reads the payload of a typed call and begins to answer it.
    async fn begin_typed(
        &mut self,
        route: &dyn Route,
        name: Name,
        format: Option<FormatWord>,
        held: &mut Charge,
    ) -> Result<(Work<'static, BytesMut>, Permit, Instant)> {
        let framing = route.framing(format)?;
        let read = self.connection.read_payload(framing);
        let payload = attend(&self.shared, &mut self.clock, read).await?;
        let payload = payload.ok_or_else(|| {
            Error::found(Code::BadPayload, "the stream ended where a payload should be")
        })?;
        self.connection.settle();
        // Not before: who sends no payload must not keep others from running.
        let permit = self.shared.quota().call()?;
        let deadline = after(self.shared.limits().call_time_max).into_std();
        let options = Options::new(format, None);
        let call = Call::plain(name, options, deadline);
        let context = handler::Context::new(self.shared.clone(), call);
        let quota = self.shared.quota();
        let hold = &mut |bytes| held.cover(quota, bytes);
        let work = call_caught(route, format, payload, context, hold)?;
        Ok((work, permit, deadline))
    }
}

/// Does some work while the session's time goes on. Ended early with an error if the session's
/// draining ends before it.
async fn attend<T>(
    shared: &Shared,
    clock: &mut Clock,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let mut work = pin!(work);
    poll_fn(|cx| {
        // Else the driver would wake itself by what it does here, and never sleep again.
        shared.rise();
        if let Poll::Ready(result) = work.as_mut().poll(cx) {
            return Poll::Ready(result);
        }
        loop {
            let due = shared.with(|session| session.poll_timeout());
            match clock.poll(shared, cx, due) {
                Poll::Ready(Err(violation)) => {
                    return Poll::Ready(Err(Error::found(violation.code(), violation.to_string())));
                }
                Poll::Ready(Ok(())) => {}
                Poll::Pending => break,
            }
            if shared.with(|session| session.is_drained()) {
                let time = shared.limits().drain_time_max;
                let text = format!("the call did not end within drain_time_max ({time:?})");
                return Poll::Ready(Err(Error::found(Code::Cancelled, text)));
            }
        }
        // Woken when a deadline nearer than the timer's comes in.
        let is_quiet = |session: &Session| !clock.is_late_for(session);
        if !shared.sleep(cx, clock.alarm(), is_quiet) {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    })
    .await
}
