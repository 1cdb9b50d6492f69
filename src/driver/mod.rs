//! One connection: joins bytes, session and handlers.
//!
//! A driver is one task. It alone touches the stream; everything that has to be decided is asked of
//! the session, so what is left here is a dull loop:
//!
//! ```text
//!        ┌──────────────────────────────────────────────────────────────────┐
//!        ▼                                                                  │
//!   lines and bodies that have come ──► session ──► events ──► handlers     │
//!        │ none left                                                        │
//!        ▼                                                                  │
//!   write what waits ──► finished? ──► do what is due ──► read ──bytes──────┘
//!                            │                             │ nothing yet
//!                            ▼                             ▼
//!                        farewell         sleep until there are bytes, room or time,
//!                                         or news from a caller or a handler
//! ```
//!
//! A handler is polled once where it stands. If that answers the call, no task was spawned and no
//! queue passed; if not, it goes on in a task of its own.

mod calls;
mod clock;
mod plain;

use std::collections::HashMap;
use std::future::poll_fn;
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Buf;
use tokio::io::AsyncWrite;
use tokio::task::AbortHandle;
use tracing::Instrument;

use self::clock::Clock;
use crate::client::Link;
use crate::connection::Connection;
use crate::error::{Code, Error, Result};
use crate::handler::Registry;
use crate::limits::too_large;
use crate::quota::Cover;
use crate::session::{self, Body, CallId, Session, Violation};
use crate::wire::{Decoder, Event, Line, Outbox, Position};

/// The task of one connection.
pub(crate) struct Driver {
    connection: Connection,
    link: Arc<Link>,
    registry: Arc<Registry>,
    decoder: Decoder,
    // Taken out of the session, and not written yet.
    outbox: Outbox,
    clock: Clock,
    // Handlers in tasks of their own. Those that have ended are swept out when there are so many.
    tasks: HashMap<CallId, AbortHandle>,
    tasks_swept_at: usize,
    // All that has been read has been taken in: more bytes are needed.
    is_hungry: bool,
    // Bytes have been read that the session's clock has not been told of.
    has_read: bool,
    // Bytes have been written that the stream may still hold back.
    has_written: bool,
    // The peer has ended its side.
    is_at_end: bool,
    // There is nobody to say farewell to.
    is_broken: bool,
}

/// Why the loop was left.
enum Exit {
    /// All is said: wait for the peer to end as well.
    Finished,
    /// A plain call has the stream now.
    Plain(session::Plain),
    /// Close at once, without another word.
    Broken,
}

/// Why there is nothing to do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pause {
    /// More bytes are needed.
    NeedsBytes,
    /// Bytes are there, and the session does not want them now.
    Unwanted,
}

/// What the loop looks at in the session at one time.
struct Look {
    is_over: bool,
    is_at_rest: bool,
    due: Option<Instant>,
    wants_input: bool,
    // It wants input, and there is memory for what that may bring.
    may_read: bool,
}

impl Driver {
    pub(crate) fn new(
        connection: Connection,
        link: Arc<Link>,
        registry: Arc<Registry>,
    ) -> Box<Self> {
        let limits = link.limits();
        let decoder = Decoder::new(limits.line_bytes_max, limits.payload_bytes_max);
        Box::new(Self {
            connection,
            link,
            registry,
            decoder,
            outbox: Outbox::default(),
            clock: Clock::default(),
            tasks: HashMap::new(),
            tasks_swept_at: calls::TASKS_SWEPT_MIN,
            is_hungry: true,
            has_read: false,
            has_written: false,
            is_at_end: false,
            is_broken: false,
        })
    }

    /// Serves the connection until it ends.
    ///
    /// Boxed: a future keeps what it was given beside where it moved it, and each future around it
    /// does so again, so that an idle connection would carry its driver three times.
    pub(crate) async fn run(self: Box<Self>) {
        let span = tracing::info_span!("connection", peer = %self.link.origin());
        self.serve().instrument(span).await;
    }

    async fn serve(mut self: Box<Self>) {
        loop {
            match poll_fn(|cx| self.poll_loop(cx)).await {
                // Boxed: most connections never see a plain call and should not carry its room.
                Exit::Plain(plain) => Box::pin(self.run_plain(plain)).await,
                Exit::Finished => {
                    let is_at_end = self.is_at_end;
                    break Box::pin(self.connection.farewell(is_at_end)).await;
                }
                Exit::Broken => break,
            }
        }
    }

    fn poll_loop(&mut self, cx: &mut Context<'_>) -> Poll<Exit> {
        self.link.rise();
        let mut work = WORK_MAX;
        loop {
            if let Some(plain) = self.take_in(cx, &mut work) {
                return Poll::Ready(Exit::Plain(plain));
            }
            self.poll_write(cx);
            if self.is_broken {
                return Poll::Ready(Exit::Broken);
            }
            // One look under the lock: what changes behind it is seen before going to sleep.
            let look = self.link.with_held(|session, held| Look {
                is_over: session.is_over(),
                is_at_rest: session.is_at_rest(),
                due: session.poll_timeout(),
                wants_input: session.wants_input(),
                may_read: may_read(session, held),
            });
            if look.is_over {
                return Poll::Ready(Exit::Finished);
            }
            if look.is_at_rest {
                self.forget_tasks();
            }
            let is_due = self.poll_clock(cx, look.due).is_ready();
            if work == 0 {
                // Others have their turn before this connection goes on.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            // If bytes are left, something stood in their way that has been written by now.
            let has_left = look.may_read && !self.is_hungry;
            if is_due || has_left || self.poll_read(cx, look.may_read).is_ready() {
                work = work.saturating_sub(WORK_OF_A_READ);
                continue;
            }
            // Looked at once more under the lock: news may have come while nobody was listening.
            let is_blocked = !self.outbox.is_empty();
            let clock = &self.clock;
            let is_quiet = |session: &Session| {
                let is_said = !session.has_transmit() && !session.is_over();
                let is_read = look.wants_input || !session.wants_input();
                let is_heard = is_read && !session.has_event() && !clock.is_late_for(session);
                is_heard && (is_blocked || is_said)
            };
            if self.link.sleep(cx, is_quiet) {
                return Poll::Pending;
            }
        }
    }

    /// Takes in what has been read and runs what it calls; gives back a plain call in its turn.
    fn take_in(&mut self, cx: &mut Context<'_>, work: &mut usize) -> Option<session::Plain> {
        // One look at the clock for all that has come: it had come by now.
        let now = now();
        while *work > 0 {
            let (event, unwritten_bytes) = self.next_event(now);
            if unwritten_bytes >= FLUSH_BYTES {
                self.poll_write(cx);
            }
            match event? {
                session::Event::Call(call) => self.begin(cx, call),
                session::Event::Stop(id) => self.stop(id),
                session::Event::Close(violation) => self.violated(&violation),
                session::Event::Plain(plain) => return Some(plain),
            }
            *work = work.saturating_sub(1);
        }
        None
    }

    /// The next thing to do, from what has been read, `None` if that needs more bytes; and how many
    /// bytes wait to be written.
    fn next_event(&mut self, now: Instant) -> (Option<session::Event>, usize) {
        let Self { link, decoder, connection, has_read, is_hungry, .. } = self;
        link.with_held(|session, held| {
            let event = decode_event(session, held, now, decoder, connection);
            *is_hungry = matches!(event, Err(Pause::NeedsBytes));
            if event.is_err() && std::mem::take(has_read) {
                let position = decoder.position(connection.input());
                session.handle_input(now, position, decoder.units());
            }
            (event.ok(), session.unwritten_bytes())
        })
    }

    /// Writes until nothing is left or the peer takes no more.
    fn poll_write(&mut self, cx: &mut Context<'_>) {
        if self.outbox.is_empty() {
            self.outbox = self.link.with(Session::take_transmit);
        }
        loop {
            if self.outbox.is_empty() {
                return self.poll_flush(cx);
            }
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let count = self.outbox.chunks_vectored(&mut slices);
            let slices = slices.get(..count).unwrap_or_default();
            match Pin::new(self.connection.io()).poll_write_vectored(cx, slices) {
                Poll::Ready(Ok(count)) if count > 0 => {
                    self.has_written = true;
                    self.outbox.advance(count);
                    self.link.handle_written(count, &mut self.outbox);
                }
                Poll::Ready(_) => return self.lost(),
                Poll::Pending => {
                    return self.link.with(|session| session.handle_write_blocked(now()));
                }
            }
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) {
        if self.has_written {
            match Pin::new(self.connection.io()).poll_flush(cx) {
                Poll::Ready(Ok(())) => self.has_written = false,
                Poll::Ready(Err(_)) => self.lost(),
                Poll::Pending => {}
            }
        }
    }

    /// Does what is due; `Ready` if anything was.
    fn poll_clock(&mut self, cx: &mut Context<'_>, due: Option<Instant>) -> Poll<()> {
        match self.clock.poll(&self.link, cx, due) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(())) => Poll::Ready(()),
            Poll::Ready(Err(violation)) => {
                self.violated(&violation);
                Poll::Ready(())
            }
        }
    }

    /// Reads what is there, if it is wanted; `Ready` if something came, the end included.
    fn poll_read(&mut self, cx: &mut Context<'_>, is_wanted: bool) -> Poll<()> {
        if !is_wanted {
            self.link.with(Session::handle_input_paused);
            return Poll::Pending;
        }
        let missing = self.decoder.missing_body_bytes(self.connection.input());
        match self.connection.poll_fill(cx, missing) {
            Poll::Pending => {
                self.connection.release();
                return Poll::Pending;
            }
            Poll::Ready(Ok(0)) => self.ended(),
            Poll::Ready(Ok(_)) => self.has_read = true,
            Poll::Ready(Err(error)) if error.code() == Code::Overloaded => {
                // No room for the body that is coming: what has come of it is dropped.
                self.has_read = true;
                self.decoder.skip_body();
                self.link.with(|session| session.handle_body_refused(&error));
            }
            Poll::Ready(Err(_)) => self.lost(),
        }
        Poll::Ready(())
    }

    /// The peer has ended its side.
    fn ended(&mut self) {
        self.is_at_end = true;
        match self.decoder.position(self.connection.input()) {
            Position::Boundary => self.link.with(Session::handle_eof),
            Position::Line | Position::Body => self.violated(&Violation::CutShort),
        }
    }

    fn violated(&mut self, violation: &Violation) {
        tracing::info!(peer = %self.link.origin(), %violation, "closing the connection");
        self.link.with(|session| session.handle_violation(violation));
        if !violation.is_worth_telling() {
            self.lost();
        }
    }

    /// The stream is of no use any more.
    fn lost(&mut self) {
        self.is_broken = true;
        self.outbox = Outbox::default();
        self.link.with(Session::handle_lost);
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        for task in self.tasks.values() {
            task.abort();
        }
        self.link.end();
    }
}

/// Takes in lines and bodies until there is something to do or more bytes are needed.
fn decode_event(
    session: &mut Session,
    held: &mut Cover<'_>,
    now: Instant,
    decoder: &mut Decoder,
    connection: &mut Connection,
) -> Result<session::Event, Pause> {
    loop {
        if let Some(event) = session.poll_event() {
            return Ok(event);
        }
        if !may_read(session, held) {
            return Err(Pause::Unwanted);
        }
        match decoder.decode(connection.input()) {
            Ok(Some(Event::Body(body))) => {
                // What it was charged as input it is charged as what it becomes.
                connection.settle();
                // A call is charged by itself. For a reply nobody may come for long.
                let bytes = session.held_bytes().saturating_add(body.len());
                let covered = if session.is_reply_due() { held.cover(bytes) } else { Ok(()) };
                match covered {
                    Ok(()) => session.handle_body(now, body),
                    Err(error) => session.handle_body_refused(&error),
                }
            }
            Ok(Some(Event::Line(line))) => {
                if let Err(violation) = handle_line(session, now, line, decoder) {
                    return Ok(session::Event::Close(violation));
                }
            }
            Ok(None) => return Err(Pause::NeedsBytes),
            Err(flaw) => return Ok(session::Event::Close(flaw.into())),
        }
    }
}

/// Whether more should be read and taken in. Not while there is no memory for what waits to be
/// written: refusals are written whether there is or not.
fn may_read(session: &Session, held: &mut Cover<'_>) -> bool {
    session.wants_input() && held.cover(session.held_bytes()).is_ok()
}

/// Takes in a line, and drops the body after it if that is not wanted or too large.
fn handle_line(
    session: &mut Session,
    now: Instant,
    line: Line,
    decoder: &mut Decoder,
) -> Result<(), Violation> {
    let body_len = line.body_len().unwrap_or_default();
    match session.handle_line(now, line)? {
        Body::None => {}
        Body::Skip => decoder.skip_body(),
        Body::Take if decoder.is_skipping() => {
            let text = too_large(body_len, decoder.payload_bytes_max());
            session.handle_body_refused(&Error::new(Code::TooLarge, text));
        }
        Body::Take => {}
    }
    Ok(())
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Written as soon as so much waits, so that both sides are at work at once instead of in turn.
const FLUSH_BYTES: usize = 4096;

/// Events that a connection deals with before others have their turn.
const WORK_MAX: usize = 256;

/// What a read counts as: its bytes may be work without being events.
const WORK_OF_A_READ: usize = 8;

/// Slices in one write.
const SLICES_MAX: usize = 16;
