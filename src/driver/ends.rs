//! How the driver's part of a connection ends: in good order, by the peer, or by the stream.

use std::io;

use super::Driver;
use crate::error::Error;
use crate::session::{Session, Violation};

impl Driver {
    /// All is said: ends our side, and waits for the peer to end its own.
    pub(super) async fn finish(mut self: Box<Self>) {
        if !self.connection.end().await {
            return;
        }
        self.shared.with(Session::handle_flushed);
        if !self.is_at_end {
            self.connection.linger().await;
        }
    }

    /// The peer has ended its side.
    pub(super) fn ended(&mut self) {
        self.is_at_end = true;
        let rest = self.connection.input();
        if let Err(violation) = self.shared.with(|session| session.handle_end(rest)) {
            self.violated(&violation);
        }
    }

    pub(super) fn violated(&mut self, violation: &Violation) {
        tracing::info!(peer = %self.shared.peer(), %violation, "closing the connection");
        self.shared.with(|session| session.handle_violation(violation));
        self.is_broken |= !violation.is_worth_telling();
    }

    /// The stream is of no use any more.
    pub(super) fn lost(&mut self, error: &Error) {
        self.is_broken = true;
        let told = of_stream(error);
        self.shared.with(|session| session.handle_lost(told));
    }
}

/// The error of a stream with a copy of its source. The source itself may be of the stream's own
/// type, whose code must not run where the session shows and drops it.
pub(super) fn of_stream(error: &Error) -> Error {
    let told = Error::local(error.code(), error.text().to_owned());
    let source = std::error::Error::source(error);
    match source.and_then(|source| source.downcast_ref::<io::Error>()) {
        Some(source) => match source.raw_os_error() {
            Some(code) => told.with_source(io::Error::from_raw_os_error(code)),
            None => told.with_source(io::Error::new(source.kind(), source.to_string())),
        },
        None => told,
    }
}
