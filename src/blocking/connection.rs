//! A connection that threads share: a session behind a mutex, and the socket.
//!
//! # Which thread does what
//!
//! | thread   | does                                                      | waits for           |
//! |----------|-----------------------------------------------------------|---------------------|
//! | a caller | puts its call into the session, and writes it as far as   | its bell, until its |
//! |          | the socket takes it at once                               | own deadline        |
//! | reader   | reads the socket and feeds the session (`reading`)        | bytes               |
//! | keeper   | writes what could not be written at once, keeps all other | its bell, until the |
//! |          | times, and ends the connection (`keeping`)                | next time; or a     |
//! |          |                                                           | send, for 50 ms     |
//!
//! # Why no two wait for each other
//!
//! There is one lock, held for a few steps of pure code, and nobody waits for anything else with
//! it. The reader never writes: so a peer that reads nothing until we have read what it writes is
//! read. A caller never waits for the socket: so its deadline holds while the peer takes nothing.
//! Only the keeper waits for a peer that does not read, 50 ms at a time, and looks at the time in
//! between: after `write_time_max` the session says that the peer is too slow. Whoever finds that
//! the connection is over shuts the socket down, by which the reader and the keeper come back.
//!
//! # Who writes
//!
//! Whoever has taken `output` out of the state is the only one who writes, and puts it back. Under
//! the same lock it is seen whether more has come meanwhile, so nothing is left lying: the writer
//! goes on, or the keeper is rung. What the socket did not take is the keeper's to write.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Buf;

use super::bell::Bell;
use super::clock::now;
use super::socket::Socket;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::quota::{Quota, Reservation};
use crate::session::{Place, Session, Side, Violation};
use crate::transport::Peer;
use crate::wire::Outbox;

pub(super) struct Connection {
    state: Mutex<State>,
    pub(super) socket: Socket,
    pub(super) keeper: Bell,
    pub(super) reader: Bell,
    pub(super) limits: Limits,
    pub(super) quota: Arc<Quota>,
    pub(super) peer: Peer,
}

/// What the lock guards.
pub(super) struct State {
    pub(super) session: Session,
    // For all that the session keeps; what was read and not used has one of its own.
    pub(super) reserved: Reservation,
    // What was taken out of the session and not written; `None` while somebody writes.
    output: Option<Outbox>,
    // When the keeper wakes by itself, while it sleeps.
    asleep_until: Option<Option<Instant>>,
    // The reader waits for something to change.
    is_reader_waiting: bool,
    // Nothing is read any more.
    pub(super) is_read_out: bool,
    // There is nobody to say farewell to.
    pub(super) is_broken: bool,
    // The keeper is gone.
    is_ended: bool,
    // Of those who wait until something is written, or for the end; and whether that was.
    watchers: Vec<Waker>,
    has_news: bool,
}

/// Closes the connection when the last one who uses it is gone.
pub(super) struct Handle {
    pub(super) connection: Arc<Connection>,
}

impl Connection {
    /// A connection that no thread moves on yet.
    pub(super) fn new(socket: Socket, limits: &Limits, keepalive_time: Option<Duration>) -> Self {
        let (quota, peer) = (Quota::new(limits), socket.peer());
        let mut session = Session::new(now(), Side::Dialled, limits);
        if let Some(time) = keepalive_time {
            session.keep_alive(now(), time);
        }
        let state = State {
            session,
            reserved: Reservation::new(&quota),
            output: Some(Outbox::default()),
            asleep_until: None,
            is_reader_waiting: false,
            is_read_out: false,
            is_broken: false,
            is_ended: false,
            watchers: Vec::new(),
            has_news: false,
        };
        Self {
            state: Mutex::new(state),
            socket,
            keeper: Bell::default(),
            reader: Bell::default(),
            limits: limits.clone(),
            quota,
            peer,
        }
    }

    // The lock.

    /// The session is whole after a panic: none of its steps runs foreign code.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the state, and lets those know whom it concerns. What is to be written
    /// is left to the keeper.
    pub(super) fn with<R>(&self, action: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.lock();
        let result = action(&mut state);
        self.unlock(state);
        result
    }

    /// As [`with`](Self::with), and writes what can be written at once.
    pub(super) fn with_and_write<R>(&self, action: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.lock();
        let result = action(&mut state);
        self.unlock_and_write(state);
        result
    }

    /// Lets go of the lock, and lets those know who have something to come for.
    pub(super) fn unlock(&self, state: MutexGuard<'_, State>) {
        self.unlock_to_wait(state, false);
    }

    /// As [`unlock`](Self::unlock); says that the reader waits from now on until something changes.
    pub(super) fn unlock_to_wait(&self, mut state: MutexGuard<'_, State>, is_reader: bool) {
        // If more is wanted and cannot be had, the peer is not read until it is.
        let _ = state.cover(0);
        let rings_keeper = state.wants_keeper();
        if rings_keeper {
            state.asleep_until = None;
        }
        let rings_reader = std::mem::replace(&mut state.is_reader_waiting, is_reader);
        let wakers = state.session.wakers();
        let (due, spent) = (wakers.take_due(), wakers.take_spent());
        let has_news = std::mem::take(&mut state.has_news);
        let watchers = if has_news { std::mem::take(&mut state.watchers) } else { Vec::new() };
        drop(state);
        drop(spent);
        due.into_iter().chain(watchers).for_each(Waker::wake);
        if rings_keeper {
            self.keeper.ring();
        }
        if rings_reader {
            self.reader.ring();
        }
    }

    /// As [`unlock`](Self::unlock), and writes what can be written at once.
    pub(super) fn unlock_and_write(&self, mut state: MutexGuard<'_, State>) {
        let outbox = state.take_transmit();
        self.unlock(state);
        if let Some(outbox) = outbox {
            self.write_now(outbox);
        }
    }

    /// Waits until `poll` has something, and answers that. The waker that it is given ends the
    /// wait; so does `due`, when calls of ours that are late end.
    pub(super) fn wait<R>(
        &self,
        due: Option<Instant>,
        mut poll: impl FnMut(&mut State, &Waker) -> Poll<R>,
    ) -> R {
        let bell = Bell::of_thread();
        let waker = bell.waker();
        loop {
            if let Poll::Ready(result) = self.with_and_write(|state| poll(state, &waker)) {
                return result;
            }
            self.wait_for(&bell, due);
        }
    }

    /// Waits for the bell, until `due`. A caller keeps the deadline of its own call.
    pub(super) fn wait_for(&self, bell: &Bell, due: Option<Instant>) {
        if !bell.wait_until(due) {
            self.with_and_write(|state| state.session.handle_call_timeout(now()));
        }
    }

    // What goes out.

    /// Writes this and what comes meanwhile, as far as the socket takes it at once; not for others
    /// without end.
    fn write_now(&self, mut outbox: Outbox) {
        for turns_left in (0..WRITES_MAX).rev() {
            let written = send_all(&mut outbox, |slices| self.socket.send_now(slices));
            let mut state = self.lock();
            self.note_written(&mut state, written);
            let next = Some(turns_left).filter(|left| *left > 0 && outbox.is_empty());
            if let Some(next) = next.and_then(|_| state.next_transmit()) {
                outbox = next;
                self.unlock(state);
                continue;
            }
            state.output = Some(outbox);
            return self.unlock(state);
        }
    }

    /// Writes some of what waits, and waits until that can be done, for a short time. For the
    /// keeper.
    pub(super) fn write_some(&self, mut outbox: Outbox) {
        let written = send_all(&mut outbox, |slices| self.socket.send(slices));
        let mut state = self.lock();
        self.note_written(&mut state, written);
        state.output = Some(outbox);
        self.unlock(state);
    }

    /// So many bytes were written, before that failed or the socket took no more.
    fn note_written(&self, state: &mut State, (bytes, result): (usize, io::Result<()>)) {
        state.has_news = true;
        if bytes > 0 {
            state.session.handle_written(now(), bytes);
        }
        match result {
            Ok(()) => state.session.handle_flushed(),
            Err(error) if is_early(&error) => state.session.handle_write_blocked(now()),
            Err(error) => {
                // Replies may have come by now, and why the peer has gone: what has come is read.
                state.session.handle_unwritable(Error::of_stream(error));
                state.is_broken = true;
                self.socket.shut_down(Shutdown::Both);
            }
        }
    }

    // The end.

    /// Waits for room no longer.
    pub(super) fn leave_room(&self, place: Place) {
        self.with(|state| {
            state.session.leave_room(place);
            state.session.offer_room(now);
        });
    }

    /// Takes no more calls, and lets those under way finish.
    pub(super) fn close(&self) {
        self.with_and_write(|state| state.session.close(now()));
    }

    /// The peer has broken the protocol, or was too slow.
    pub(super) fn violated(&self, state: &mut State, violation: &Violation) {
        state.session.handle_violation(violation);
        if !violation.is_worth_telling() {
            state.is_broken = true;
            self.socket.shut_down(Shutdown::Both);
        }
    }

    /// Nobody moves the session on any more: whoever waits is told.
    pub(super) fn end(&self) {
        self.socket.shut_down(Shutdown::Both);
        self.with(|state| {
            let is_panicking = thread::panicking();
            state.session.handle_abandoned(if is_panicking { PANICKED } else { STOPPED });
            (state.is_ended, state.has_news) = (true, true);
        });
    }

    /// Waits until all that was sent so far is written.
    pub(super) fn flush(&self) -> Result<()> {
        let sent_end = self.lock().session.sent_end();
        self.wait(None, |state, waker| {
            if state.session.is_flushed(sent_end) {
                return Poll::Ready(Ok(()));
            }
            if state.is_ended || state.session.is_finished() && state.is_broken {
                return Poll::Ready(Err(state.session.flush_error()));
            }
            state.watchers.push(waker.clone());
            Poll::Pending
        })
    }

    /// Waits until the connection is closed.
    pub(super) fn closed(&self) {
        self.wait(None, |state, waker| {
            if state.is_ended {
                return Poll::Ready(());
            }
            state.watchers.push(waker.clone());
            Poll::Pending
        });
    }
}

impl State {
    /// Reserves what the session keeps, and `bytes` more.
    pub(super) fn cover(&mut self, bytes: usize) -> Result<()> {
        self.reserved.cover(self.session.held_bytes().saturating_add(bytes))
    }

    /// Takes out what waits to be written, if nobody writes and nothing is left of what was taken
    /// before: that is the keeper's.
    fn take_transmit(&mut self) -> Option<Outbox> {
        if !self.output.as_ref().is_some_and(Outbox::is_empty) {
            return None;
        }
        let next = self.next_transmit()?;
        self.output = None;
        Some(next)
    }

    /// What is to be written next, for whoever writes.
    fn next_transmit(&mut self) -> Option<Outbox> {
        let has_next = self.session.has_transmit() && !self.is_broken && !self.session.is_lent();
        has_next.then(|| self.session.take_transmit())
    }

    /// What is to be written, for the keeper: what is left goes first.
    pub(super) fn take_output(&mut self) -> Option<Outbox> {
        if self.is_broken {
            return None;
        }
        match self.output.take_if(|outbox| !outbox.is_empty()) {
            Some(left) => Some(left),
            None => self.take_transmit(),
        }
    }

    /// The keeper goes to sleep, until the next thing is due.
    pub(super) fn sleep(&mut self) -> Option<Instant> {
        let due = self.session.poll_timeout();
        self.asleep_until = Some(due);
        due
    }

    /// Whether all is said, or nobody is there to be told.
    pub(super) fn is_over(&self) -> bool {
        self.is_broken && self.session.is_finished() || self.session.is_over()
    }

    /// Whether the keeper sleeps, and there is something for it to do.
    fn wants_keeper(&self) -> bool {
        let Some(alarm) = self.asleep_until else { return false };
        let is_early = |due| alarm.is_none_or(|alarm| alarm > due);
        let has_left = self.output.as_ref().is_some_and(|outbox| {
            !self.is_broken && (!outbox.is_empty() || self.session.has_transmit())
        });
        has_left || self.is_over() || self.session.poll_timeout().is_some_and(is_early)
    }
}

impl Handle {
    /// The handle of whoever opened the connection.
    pub(super) fn owner(connection: Arc<Connection>) -> Arc<Self> {
        Arc::new(Self { connection })
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.connection.close();
    }
}

/// Sends until nothing is left, or as far as it goes; answers how many bytes went.
fn send_all(
    outbox: &mut Outbox,
    send: impl Fn(&[IoSlice<'_>]) -> io::Result<usize>,
) -> (usize, io::Result<()>) {
    let mut bytes: usize = 0;
    while !outbox.is_empty() {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let count = outbox.chunks_vectored(&mut slices);
        match send(slices.get(..count).unwrap_or_default()) {
            Ok(0) => return (bytes, Err(io::ErrorKind::WriteZero.into())),
            Ok(sent) => {
                outbox.advance(sent);
                bytes = bytes.saturating_add(sent);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (bytes, Err(error)),
        }
    }
    // A connection on which nothing happens keeps no buffer.
    *outbox = Outbox::default();
    (bytes, Ok(()))
}

/// Whether only the time was over in which the socket could have taken more.
fn is_early(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// How often one thread writes what others have sent meanwhile.
const WRITES_MAX: u32 = 4;

/// Slices in one write.
const SLICES_MAX: usize = 16;

const STOPPED: &str = "its threads have ended";
const PANICKED: &str = "one of its threads has panicked";
