//! The reader of a connection: the thread that reads the socket and feeds the session.
//!
//! It writes nothing, see `connection`, and answers every call of the peer with an error: a client
//! of threads has no handlers.

use std::io;
use std::net::Shutdown;
use std::time::Instant;

use bytes::BytesMut;

use super::clock::now;
use super::connection::{Connection, State};
use crate::command::Facts;
use crate::error::{Code, Error, Result};
use crate::quota::{Reservation, call_bytes};
use crate::session::{self, Holds, Host, PlainEnd};
use crate::wire::Name;

/// Runs until nothing more is to be read.
pub(super) fn run(connection: &Connection) {
    let _end = End(connection);
    let mut input = Input::new(connection);
    let mut buffer = [0; READ_BYTES];
    loop {
        match input.take_in(connection) {
            Next::Read => {}
            Next::Wait => {
                connection.reader.wait_until(None);
                continue;
            }
            Next::Nothing => break,
        }
        match connection.socket.read(&mut buffer) {
            Ok(0) => return input.end(connection),
            Ok(count) => input.add(connection, buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return lost(connection, error),
        }
    }
    drop(input);
    linger(connection, &mut buffer);
}

/// What is to be done when all that was read has been taken in.
enum Next {
    Read,
    /// The peer is not to be read for now.
    Wait,
    /// The connection is over, but for what is still to be written.
    Nothing,
}

/// What was read and not used, and what it is charged.
struct Input {
    bytes: BytesMut,
    account: Account,
}

struct Account {
    reserved: Reservation,
    // The most that has waited in the buffer since it was made.
    bytes_peak: usize,
}

impl Input {
    fn new(connection: &Connection) -> Self {
        let account = Account { reserved: Reservation::new(&connection.quota), bytes_peak: 0 };
        Self { bytes: BytesMut::new(), account }
    }

    fn take_in(&mut self, connection: &Connection) -> Next {
        let mut state = connection.lock();
        let may_read = loop {
            let State { session, reserved, .. } = &mut *state;
            let mut host = Lender { account: &mut self.account, reserved, moment: None };
            let may_read = session.handle_input(&mut self.bytes, &mut host);
            match session.poll_event() {
                None => break may_read,
                Some(session::Event::Call(call)) => {
                    session.handle_refusal(now, call.id, &no_handler(&call.name));
                }
                Some(session::Event::Plain(plain)) => {
                    session.handle_plain_end(now(), PlainEnd::OutOfStep(no_handler(&plain.name)));
                }
                Some(session::Event::Close(violation)) => {
                    connection.violated(&mut state, &violation)
                }
                // It has been refused.
                Some(session::Event::Stop(_)) => {}
            }
        };
        if self.bytes.is_empty() {
            // A connection on which nothing comes keeps no buffer.
            self.bytes = BytesMut::new();
            self.account.bytes_peak = 0;
        }
        self.account.settle(&mut self.bytes);
        let next = if state.session.is_finished() {
            Next::Nothing
        } else if may_read {
            Next::Read
        } else {
            Next::Wait
        };
        connection.unlock_to_wait(state, matches!(next, Next::Wait));
        next
    }

    fn add(&mut self, connection: &Connection, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.account.bytes_peak = self.account.bytes_peak.max(self.bytes.len());
        if let Err(error) = self.account.reserved.cover(self.bytes.capacity()) {
            connection.with(|state| state.session.handle_input_refused(&error));
        }
    }

    /// The peer has ended its side.
    fn end(&self, connection: &Connection) {
        connection.with(|state| {
            if let Err(violation) = state.session.handle_end(&self.bytes) {
                connection.violated(state, &violation);
            }
        });
    }
}

impl Account {
    /// Moves little that waits out of a buffer that much has waited in, which is its taker's now,
    /// and charges what is left.
    fn settle(&mut self, bytes: &mut BytesMut) {
        if self.bytes_peak > READ_BYTES.saturating_mul(2) && bytes.len() <= READ_BYTES {
            *bytes = BytesMut::from(&**bytes);
            self.bytes_peak = bytes.len();
        }
        // Covering less cannot fail.
        let _ = self.reserved.cover(bytes.capacity());
    }
}

/// What a session needs to take in bytes.
struct Lender<'a> {
    account: &'a mut Account,
    reserved: &'a mut Reservation,
    moment: Option<Instant>,
}

impl Host for Lender<'_> {
    fn now(&mut self) -> Instant {
        *self.moment.get_or_insert_with(now)
    }

    fn facts_of(&mut self, _: &Name) -> Option<Facts> {
        None
    }

    fn settle(&mut self, rest: &mut BytesMut) {
        self.account.settle(rest);
    }

    fn hold(&mut self, holds: Holds) -> Result<()> {
        let call_bytes = holds.payload_bytes.map_or(0, call_bytes);
        self.reserved.cover(holds.kept_bytes.saturating_add(call_bytes))
    }
}

/// The peer is told it, as an endpoint without handlers would say it.
fn no_handler(name: &Name) -> Error {
    Error::found(Code::UnknownCommand, format!("there is no command {name}; ? lists them"))
}

fn lost(connection: &Connection, error: io::Error) {
    connection.with(|state| {
        state.is_broken = true;
        state.session.handle_lost(Error::of_stream(error));
    });
    connection.socket.shut_down(Shutdown::Both);
}

/// Reads on and drops it, until the peer ends its side: see `keeping`.
fn linger(connection: &Connection, buffer: &mut [u8]) {
    let mut left = connection.limits.linger_bytes_max;
    while left > 0 {
        match connection.socket.read(buffer) {
            Ok(count) if count > 0 => left = left.saturating_sub(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => return,
        }
    }
}

/// Lets the keeper know that nothing more is read, also if this thread panics.
struct End<'c>(&'c Connection);

impl Drop for End<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.socket.shut_down(Shutdown::Both);
        }
        self.0.with(|state| {
            state.is_read_out = true;
            // Nothing comes any more, whatever the reason; nothing changes if that is known.
            state.session.handle_eof();
        });
        self.0.keeper.ring();
    }
}

/// Read at once.
const READ_BYTES: usize = 16 * 1024;
