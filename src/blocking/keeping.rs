//! The keeper of a connection: the thread that writes what nobody could write at once, keeps the
//! times of the session, and ends it.

use std::net::Shutdown;

use super::clock::now;
use super::connection::Connection;
use crate::asking::later;

/// Runs until the connection is over.
pub(super) fn run(connection: &Connection) {
    let _end = End(connection);
    while !is_over(connection) {}
    finish(connection);
}

/// Does what is to be done, or waits for it; whether nothing is left to do at all.
fn is_over(connection: &Connection) -> bool {
    let mut state = connection.lock();
    if let Err(violation) = state.session.handle_timeout(now()) {
        connection.violated(&mut state, &violation);
    }
    if state.is_over() {
        connection.unlock(state);
        return true;
    }
    if let Some(outbox) = state.take_output() {
        connection.unlock(state);
        connection.write_some(outbox);
        return false;
    }
    let due = state.sleep();
    connection.unlock(state);
    connection.keeper.wait_until(due);
    false
}

/// Ends our side, and waits for the peer to end its own: what is not read when a socket is closed
/// makes TCP throw away what was written before.
fn finish(connection: &Connection) {
    if !connection.lock().is_broken {
        connection.socket.shut_down(Shutdown::Write);
        let due = later(now(), connection.limits.linger_time_max);
        while !connection.lock().is_read_out && connection.keeper.wait_until(Some(due)) {}
    }
}

/// Ends the connection also if its thread panics.
struct End<'c>(&'c Connection);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}
