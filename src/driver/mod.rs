//! One connection: joins bytes, session and handlers.
//!
//! A driver is one task. It alone reads the stream; everything that has to be decided is asked of
//! the session, so what is left here is a dull loop:
//!
//! ```text
//!        ┌───────────────────────────────────────────────────────────┐
//!        ▼                                                           │
//!   what is next? ──a call, a stop, a violation──► do it ────────────┤
//!        │ nothing: how things stand                                 │
//!        ▼                                                           │
//!   write what waits ──► read ──bytes────────────────────────────────┤
//!        │ unless callers     │ nothing yet, or not wanted           │
//!        │ may add to it      ▼                                      │
//!        │             do what is due ──► sleep until there are ─────┘
//!        ▼                                bytes, room or time, or
//!   finished: farewell                    news from a caller or a handler
//! ```
//!
//! A handler is polled once where it stands. If that answers the call, no task was spawned and no
//! queue passed; if not, it goes on in a task of its own.

mod calls;
mod clock;
mod link;
mod plain;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::BytesMut;
use tracing::Instrument;

use self::calls::{BATCH_MAX, BATCH_REPLY_BYTES_MAX, Calls, SMALL_BYTES_MAX};
use self::link::Link;
use crate::clock::now;
use crate::command::Facts;
use crate::conn::{FLUSH_BYTES, Reserved, Shared};
use crate::error::Result;
use crate::handler::{AnyRaw, Router};
use crate::quota::call_bytes;
use crate::service::Commands;
use crate::session::{self, Holds, Host, Session};
use crate::stream::{Account, Connection};
use crate::wire::Name;

/// The task of one connection.
pub(crate) struct Driver {
    link: Link,
    router: Arc<Router>,
    calls: Calls,
    // One-way calls that did not run and are in the log.
    unheard: u64,
    // Calls that the session refused and are in the ledger.
    turned_away: u64,
    // How often callers had their turn since something was written.
    turns_given: u8,
    // Whoever waits for it knows that no more calls of ours are taken.
    is_spent: bool,
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

/// What the session has to do.
enum Next {
    /// To begin the calls that wait, and then that; so many bytes wait to be written.
    Work(Option<session::Event>, usize),
    /// Nothing, as things stand.
    Nothing(Look),
}

/// What the loop looks at in the session at one time.
struct Look {
    // There may be more to answer or to ask.
    is_open: bool,
    // No more calls of ours are taken.
    is_spent: bool,
    is_over: bool,
    is_at_rest: bool,
    is_unwritten: bool,
    has_transmit: bool,
    // Something waits, and more is likely to come at once.
    is_gathering: bool,
    due: Option<Instant>,
    // One-way calls that did not run, and calls that the session refused by itself.
    unheard: u64,
    turned_away: u64,
    wants_input: bool,
    // It wants input, and there is memory for what that may bring.
    may_read: bool,
    // Of the body that is being read.
    missing_bytes: usize,
}

/// A turn of the loop, until others have theirs.
struct Turn {
    // How much may still be done in it.
    work: usize,
    // One look at the clock for all that was read at once: it had come by then. None at all if
    // nobody asks.
    moment: Option<Instant>,
}

/// What the session takes in is counted by this connection's accounts.
struct Lender<'a> {
    turn: &'a mut Turn,
    router: &'a Router,
    account: &'a mut Account,
    reserved: &'a mut Reserved,
}

/// How the writing stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    /// All is written; whether there was anything.
    All(bool),
    /// The peer takes no more.
    Blocked,
    /// Callers who have just got their replies have their turn to add to what waits.
    Gathering,
}

impl Driver {
    pub(crate) fn new(
        connection: Connection,
        shared: Arc<Shared>,
        router: Arc<Router>,
    ) -> Box<Self> {
        let link = Link::new(connection, shared, Arc::clone(router.registry().ledger()));
        let (calls, unheard, turned_away) = (Calls::new(), 0, 0);
        let (turns_given, is_spent) = (0, false);
        Box::new(Self { link, router, calls, unheard, turned_away, turns_given, is_spent })
    }

    /// Serves the connection until it ends.
    ///
    /// Boxed: a future keeps what it was given beside where it moved it, and each future around it
    /// does so again, so that an idle connection would carry its driver three times.
    pub(crate) async fn run(self: Box<Self>) {
        let span = tracing::info_span!("connection", peer = %self.link.shared.peer());
        self.serve().instrument(span).await;
    }

    /// Lends the connection to a handler, and ends it when that is done.
    pub(crate) async fn run_raw(mut self: Box<Self>, handler: Arc<AnyRaw>) {
        let span = tracing::info_span!("connection", peer = %self.link.shared.peer());
        let served = async move {
            // Those for whom there is no place are not served.
            if self.link.shared.with(Session::lend) {
                plain::run_whole(&mut self.link, &*handler).await;
                self.link.shared.close();
            }
            self.serve().await;
        };
        served.instrument(span).await;
    }

    async fn serve(mut self: Box<Self>) {
        loop {
            match poll_fn(|cx| self.poll_loop(cx)).await {
                // Boxed: most connections never see a plain call and should not carry its room.
                Exit::Plain(plain) => {
                    Box::pin(plain::run(&mut self.link, &self.router, plain)).await;
                }
                Exit::Finished => {
                    break Box::pin(self.link.finish()).await;
                }
                Exit::Broken => break,
            }
        }
    }

    fn poll_loop(&mut self, cx: &mut Context<'_>) -> Poll<Exit> {
        self.link.shared.rise();
        let mut turn = Turn { work: WORK_MAX, moment: None };
        while !self.link.is_broken {
            if turn.work == 0 {
                return self.give_way(cx);
            }
            match self.next(&mut turn) {
                Next::Work(event, unwritten_bytes) => {
                    if unwritten_bytes >= FLUSH_BYTES {
                        let _ = self.link.poll_write(cx, true);
                    }
                    self.calls.begin(cx, &self.router, &self.link.shared, turn.now());
                    if let Some(session::Event::Plain(plain)) = event {
                        return Poll::Ready(Exit::Plain(*plain));
                    }
                    self.handle(event.as_ref());
                }
                Next::Nothing(look) if look.is_over && self.link.is_unwritable => break,
                Next::Nothing(look) if look.is_over => return Poll::Ready(Exit::Finished),
                Next::Nothing(look) => ready!(self.poll_stream(cx, &mut turn, &look)),
            }
        }
        Poll::Ready(Exit::Broken)
    }

    /// Nothing is to be done: writes, reads, keeps the time; `Pending` when there is no more of
    /// that either.
    fn poll_stream(&mut self, cx: &mut Context<'_>, turn: &mut Turn, look: &Look) -> Poll<()> {
        self.note_unheard(look.unheard);
        self.note_turned_away(look.turned_away);
        if look.is_spent && !std::mem::replace(&mut self.is_spent, true) {
            self.link.shared.note_spent();
        }
        let written = self.transmit(cx, look);
        if written == Written::All(true) && !(look.may_read && look.is_open) {
            // That may be what stood in the way.
            return Poll::Ready(());
        }
        if let Poll::Ready(bytes) = self.link.poll_read(cx, look.may_read, look.missing_bytes) {
            turn.note_read(bytes);
            return Poll::Ready(());
        }
        if look.is_at_rest && self.calls.has_memory() {
            self.calls.forget();
        }
        if self.link.poll_clock(cx, look.due).is_ready() {
            return Poll::Ready(());
        }
        if written == Written::Gathering {
            self.turns_given = self.turns_given.saturating_add(1);
            step_back(cx);
            return Poll::Pending;
        }
        let is_asleep = self.sleep(cx, look.wants_input, written == Written::Blocked);
        if is_asleep { Poll::Pending } else { Poll::Ready(()) }
    }

    /// The next thing to do, if what has been read has one, or else how things stand.
    fn next(&mut self, turn: &mut Turn) -> Next {
        let Self { link: Link { shared, connection, .. }, calls, router, .. } = self;
        // One look under the lock: what changes behind it is seen before going to sleep.
        shared.with_reserved(|session, reserved| {
            let (input, account) = connection.lend_input();
            let mut host = Lender { turn, router, account, reserved };
            let may_read = session.handle_input(input, &mut host);
            let unwritten = session.unwritten_bytes().saturating_add(BATCH_REPLY_BYTES_MAX);
            let is_roomy =
                host.reserved.is_roomy() && unwritten <= shared.limits().unwritten_bytes_max;
            let max = if is_roomy { session.calls_at_once_max().min(BATCH_MAX) } else { 1 };
            let mut event = session.poll_event();
            while let Some(session::Event::Call(call)) = event {
                let is_small = call.payload.len() <= SMALL_BYTES_MAX;
                let kept_bytes = call.payload.len().saturating_add(call.options_bytes());
                host.reserved.begin_call(call_bytes(kept_bytes));
                calls.push(call);
                if calls.waiting() == max || input.is_empty() || !is_small {
                    event = None;
                    break;
                }
                session.handle_more_input(input, &mut host);
                event = session.poll_event();
            }
            if event.is_some() || calls.waiting() > 0 {
                turn.work = turn.work.saturating_sub(calls.waiting().max(1));
                return Next::Work(event, session.unwritten_bytes());
            }
            let has_transmit = session.has_transmit();
            let is_little = session.unwritten_bytes() < FLUSH_BYTES;
            Next::Nothing(Look {
                is_open: !session.is_finished(),
                is_spent: !session.is_open(None),
                is_over: session.is_over(),
                is_at_rest: session.is_at_rest(),
                is_unwritten: has_transmit || session.unwritten_bytes() > 0,
                has_transmit,
                is_gathering: has_transmit && is_little && session.has_unclaimed(),
                due: session.poll_timeout(),
                unheard: session.tally().one_way_refused,
                turned_away: session.tally().turned_away,
                wants_input: session.wants_input(),
                may_read,
                missing_bytes: session.missing_body_bytes(input),
            })
        })
    }

    /// Tells the log of one-way calls that did not run: nobody else hears of them.
    fn note_unheard(&mut self, unheard: u64) {
        let more = unheard.saturating_sub(self.unheard);
        if more == 0 {
            return;
        }
        self.unheard = unheard;
        if let Some(calls) = self.link.shared.quota().note_unheard(more, now()) {
            tracing::warn!(peer = %self.link.shared.peer(), calls, "one-way calls were refused");
        }
    }

    /// Tells the ledger of calls that the session refused by itself.
    fn note_turned_away(&mut self, turned_away: u64) {
        let more = turned_away.saturating_sub(self.turned_away);
        if more > 0 {
            self.turned_away = turned_away;
            self.router.registry().ledger().turn_away(more);
        }
    }

    fn handle(&mut self, event: Option<&session::Event>) {
        match event {
            Some(session::Event::Stop(id)) => self.calls.stop(*id),
            Some(session::Event::Close(violation)) => self.link.violated(violation),
            // Calls have begun by now, and a plain one ends the loop.
            Some(session::Event::Call(_) | session::Event::Plain(_)) | None => {}
        }
    }

    /// Lets others have their turn before this connection goes on, while its time goes on too.
    fn give_way(&mut self, cx: &mut Context<'_>) -> Poll<Exit> {
        let _ = self.link.poll_write(cx, true);
        let due = self.link.shared.with(|session| session.poll_timeout());
        let _ = self.link.poll_clock(cx, due);
        step_back(cx);
        Poll::Pending
    }

    /// Goes to sleep, unless there is news: looked at once more under the lock, since it may have
    /// come while nobody was listening.
    fn sleep(&mut self, cx: &Context<'_>, wanted_input: bool, is_blocked: bool) -> bool {
        let (clock, has_memory) = (&self.link.clock, self.calls.has_memory());
        self.link.shared.sleep(cx, clock.alarm(), |session| {
            let is_said = is_blocked || !session.has_transmit() && !session.is_over();
            let is_read = wanted_input || !session.wants_input();
            // The last handler may have ended since it was looked at.
            let is_tidy = !has_memory || !session.is_at_rest();
            let is_quiet = is_said && is_read && is_tidy && !session.has_event();
            is_quiet && !clock.is_late_for(session)
        })
    }

    /// Writes what waits, unless callers may well add to it: those who have just got their replies
    /// have their turn first, a few times.
    fn transmit(&mut self, cx: &mut Context<'_>, look: &Look) -> Written {
        if look.is_gathering && self.turns_given < TURNS_MAX {
            return Written::Gathering;
        }
        self.turns_given = 0;
        match self.link.poll_write(cx, look.has_transmit) {
            Poll::Ready(()) => Written::All(look.is_unwritten),
            Poll::Pending => Written::Blocked,
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.calls.forget();
        self.link.shared.end();
        self.note_turned_away(self.link.shared.tally().turned_away);
    }
}

/// Wakes the task as soon as others have had their turn.
fn step_back(cx: &mut Context<'_>) {
    // Its first poll does no more than ask for the next turn.
    let _ = pin!(tokio::task::yield_now()).poll(cx);
}

impl Host for Lender<'_> {
    fn now(&mut self) -> Instant {
        self.turn.now()
    }

    fn facts_of(&mut self, name: &Name) -> Option<Facts> {
        self.router.facts_of(name)
    }

    fn settle(&mut self, rest: &mut BytesMut) {
        // What it was charged as input it is charged as what it becomes.
        self.account.settle(rest);
    }

    fn hold(&mut self, holds: Holds) -> Result<()> {
        let call_bytes = holds.payload_bytes.map_or(0, call_bytes);
        self.reserved.cover(holds.kept_bytes.saturating_add(call_bytes))
    }
}

impl Turn {
    fn now(&mut self) -> Instant {
        *self.moment.get_or_insert_with(now)
    }

    fn note_read(&mut self, bytes: usize) {
        self.moment = None;
        self.work = self.work.saturating_sub(WORK_OF_A_READ.max(bytes / BYTES_OF_AN_EVENT));
    }
}

/// How often callers have their turn before what waits is written all the same: not all of them may
/// call again, and some may not be polled for a long time.
const TURNS_MAX: u8 = 4;

/// Events that a connection deals with before others have their turn.
const WORK_MAX: usize = 256;

/// What a read counts as, at least: its bytes may be work without being events.
const WORK_OF_A_READ: usize = 8;

/// So many bytes of a large read count as an event: whoever waits for an item of 64 KiB has its
/// turn before the next but one is read, so that both sides work at once and its memory is free.
const BYTES_OF_AN_EVENT: usize = 512;
