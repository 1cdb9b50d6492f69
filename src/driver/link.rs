//! The stream and the session of one connection, joined: what is read, written and due, and how
//! either of them ends.
//!
//! It moves bytes and tells the session what became of them. It knows no calls: those are the
//! driver's, and those of a plain call, both of which go on over it.
//!
//! | what happens                         | is remembered as | what still happens            |
//! |--------------------------------------|------------------|-------------------------------|
//! | the peer ends its side               | `is_at_end`      | all, but nobody lingers       |
//! | a write fails                        | `is_unwritable`  | what has come is taken in     |
//! | a read or a plain reply fails        | `is_broken`      | nothing                       |
//! | a violation that is worth telling    |                  | it is told, and then the end  |
//! | any other violation                  | `is_broken`      | nothing                       |

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use super::clock::Clock;
use crate::clock::now;
use crate::conn::Shared;
use crate::error::{Code, Error};
use crate::ledger::{Cut, Ledger};
use crate::session::{Session, Slowness, Violation};
use crate::stream::Connection;

/// The two ends of a connection on this side.
pub(super) struct Link {
    pub(super) connection: Connection,
    pub(super) shared: Arc<Shared>,
    pub(super) clock: Clock,
    ledger: Arc<Ledger>,
    // The peer has ended its side.
    is_at_end: bool,
    // Nothing can be written any more, and what has come is still taken in.
    pub(super) is_unwritable: bool,
    // There is nobody to say farewell to.
    pub(super) is_broken: bool,
}

impl Link {
    pub(super) fn new(connection: Connection, shared: Arc<Shared>, ledger: Arc<Ledger>) -> Self {
        let clock = Clock::default();
        let (is_at_end, is_unwritable, is_broken) = (false, false, false);
        Self { connection, shared, clock, ledger, is_at_end, is_unwritable, is_broken }
    }

    /// Writes until nothing is left; `Pending` if the peer takes no more.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, has_transmit: bool) -> Poll<()> {
        match self.shared.poll_write(cx, has_transmit) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => {
                // Replies may have come by now, and why the peer has gone.
                self.is_unwritable = true;
                let error = of_stream(&Error::of_stream(error));
                self.shared.with(|session| session.handle_unwritable(error));
            }
            Poll::Pending => {
                self.shared.with(|session| session.handle_write_blocked(now()));
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }

    /// Does what is due; `Ready` if anything was.
    pub(super) fn poll_clock(&mut self, cx: &mut Context<'_>, due: Option<Instant>) -> Poll<()> {
        match self.clock.poll(&self.shared, cx, due) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(())) => Poll::Ready(()),
            Poll::Ready(Err(violation)) => {
                self.violated(&violation);
                Poll::Ready(())
            }
        }
    }

    /// Reads what is there, if it may; `Ready` if something came, the end included, and how many
    /// bytes. Of a body that is being read so many are missing.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        may_read: bool,
        missing_bytes: usize,
    ) -> Poll<usize> {
        if !may_read && !self.is_unwritable {
            return Poll::Pending;
        }
        let filled = may_read.then(|| self.connection.poll_fill(cx, missing_bytes));
        match filled.unwrap_or(Poll::Pending) {
            Poll::Pending if self.is_unwritable => {
                self.is_broken = true;
                self.shared.with(Session::handle_eof);
            }
            Poll::Pending => {
                self.connection.release();
                return Poll::Pending;
            }
            Poll::Ready(Ok(0)) => self.ended(),
            Poll::Ready(Ok(count)) => return Poll::Ready(count),
            Poll::Ready(Err(error)) if error.code() == Code::Overloaded => {
                self.shared.with(|session| session.handle_input_refused(&error));
            }
            Poll::Ready(Err(error)) => self.lost(&error),
        }
        Poll::Ready(0)
    }

    pub(super) fn violated(&mut self, violation: &Violation) {
        tracing::info!(peer = %self.shared.peer(), %violation, "closing the connection");
        self.ledger.cut_connection(cut(violation));
        self.shared.with(|session| session.handle_violation(violation));
        self.is_broken |= !violation.is_worth_telling();
    }

    /// The stream is of no use any more.
    pub(super) fn lost(&mut self, error: &Error) {
        self.is_broken = true;
        let told = of_stream(error);
        self.shared.with(|session| session.handle_lost(told));
    }

    /// All is said: ends our side, and waits for the peer to end its own.
    pub(super) async fn finish(&mut self) {
        if !self.connection.end().await {
            return;
        }
        self.shared.with(Session::handle_flushed);
        if !self.is_at_end {
            self.connection.linger().await;
        }
    }

    /// The peer has ended its side.
    fn ended(&mut self) {
        self.is_at_end = true;
        let rest = self.connection.input();
        if let Err(violation) = self.shared.with(|session| session.handle_end(rest)) {
            self.violated(&violation);
        }
    }
}

/// As what the end of a connection by this counts.
fn cut(violation: &Violation) -> Cut {
    match violation {
        Violation::Slow(Slowness::Write, _) => Cut::NotReading,
        Violation::Slow(Slowness::Idle | Slowness::Ping, _) => Cut::Silent,
        Violation::Slow(..) => Cut::Slow,
        _ => Cut::Protocol,
    }
}

/// The error of a stream with a copy of its source. The source itself may be of the stream's own
/// type, whose code must not run where the session shows and drops it.
fn of_stream(error: &Error) -> Error {
    let told = error.restated();
    let source = std::error::Error::source(error);
    match source.and_then(|source| source.downcast_ref::<io::Error>()) {
        Some(source) => match source.raw_os_error() {
            Some(code) => told.with_source(io::Error::from_raw_os_error(code)),
            None => told.with_source(io::Error::new(source.kind(), source.to_string())),
        },
        None => told,
    }
}
