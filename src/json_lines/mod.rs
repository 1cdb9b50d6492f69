//! Lines of JSON, in three dialects, in front of a door. What they are, `envelope` knows: here they
//! are read, called and answered.
//!
//! ```text
//!   lines ──► requests ──►  a task for each call  ──► door
//!   answers, one line each ◄── as calls end ◄──────────┘
//!                    └ a batch: when its last call has ended; a bare request: before the next line
//! ```
//!
//! One loop reads and writes in turn, so a peer that does not read its answers is not read either.
//!
//! | what is under way                        | the next line                                  |
//! |------------------------------------------|------------------------------------------------|
//! | fewer calls than may be                  | is read                                        |
//! | as many as may be                        | waits; the stream is watched for its end alone |
//! | a bare request                           | the same                                       |
//! | nothing, after the end, or after a drain | there is none: the connection ends             |
//!
//! A bare request has no `id`, so the order of answers is all that its caller has. It is answered
//! one at a time, and not many at once in order: then a line may rely on what the line before it
//! did, as it may in a plain call, and no answers have to be kept back.
//!
//! Why a batch over `calls_per_connection_max` is refused whole, with one answer: an entry takes
//! two bytes and a refusal a hundred. Entries of a batch for which there is no place since other
//! calls are under way are refused one by one.
//!
//! Why the parameters are read in a second way if the command cannot read them in the first: a
//! client of JSON-RPC can send nothing but a list (2.0: or an object). So `["item1"]` is what it
//! has for a command that takes a text, and `[]` for one that takes nothing. What the type of the
//! command reads, decides, and no handler has run when the second way is tried:
//!
//! | parameters     | dialect | first       | then        |
//! |----------------|---------|-------------|-------------|
//! | a list of one  | 2.0     | the list    | its element |
//! | a list of one  | 1.0     | its element | the list    |
//! | an empty list  | both    | the list    | `null`      |
//! | anything else  | all     | as it is    |             |
//!
//! In 1.0 the element comes first, as Go's `net/rpc/jsonrpc` always sends a list of one.
//!
//! The bounds are those of the connection for what is read and written, and those of the door for
//! what is under way. It knows no handlers, and not how the connection came to be.

mod answers;
mod calls;
mod lines;

use std::pin::pin;

use bytes::Bytes;
use tokio::task::JoinSet;

use self::answers::Answers;
use self::calls::{Ended, Place, begin, refused, wrong};
use self::lines::{Came, Lines};
use crate::envelope::{Asked, Dialect, Flaw, Line, guess, is_other_protocol, parse};
use crate::error::{Code, Error, Result};
use crate::service::{Channel, Door};
use crate::stream::Connection;
use crate::transport::Peer;

/// Answers lines of JSON on a connection until the peer ends its side: each request is a call
/// through `door`, in the format `json`.
///
/// # Errors
///
/// `protocol` if the peer speaks HTTP or TLS; `overloaded` if the endpoint cannot hold what comes;
/// `deadline_exceeded` if a line comes too slowly; `shutting_down` if the door was closed. All
/// these let the calls under way finish, and so does the end of the peer's side. Calls under way
/// are cancelled if the stream fails, which is `disconnected`, or if the peer does not read its
/// answers within `write_time_max`, which is `deadline_exceeded` as well.
///
/// # Cancel safety
///
/// Not cancel safe: a part of an answer may have been written. Calls under way are cancelled.
pub(crate) async fn json_lines(connection: &mut Connection, door: &Door) -> Result<()> {
    let mut talk = Talk::new(door);
    let ended = talk.go_on(connection).await;
    // Whoever waits for the end of the connection waits for them.
    talk.calls.shutdown().await;
    ended
}

/// Logs what ended a connection.
pub(crate) fn log_end(peer: &Peer, error: &Error) {
    tracing::info!(%peer, %error, "closing the connection");
}

/// What is said on one connection.
struct Talk<'d> {
    door: &'d Door,
    calls: JoinSet<Ended>,
    answers: Answers,
    // Of the line before: what cannot be read is answered as that was.
    dialect: Dialect,
    // Why nothing more is read.
    end: Option<Result<()>>,
}

impl<'d> Talk<'d> {
    fn new(door: &'d Door) -> Self {
        let (calls, answers) = (JoinSet::new(), Answers::new(door.held()));
        Self { door, calls, answers, dialect: Dialect::default(), end: None }
    }

    async fn go_on(&mut self, connection: &mut Connection) -> Result<()> {
        let mut lines = Lines::new(connection.limits());
        let mut closed = pin!(self.door.closed());
        while self.end.is_none() || !self.calls.is_empty() {
            let is_open = self.end.is_none();
            let is_read =
                is_open && self.calls.len() < self.calls_max() && !self.answers.owe_bare();
            // What has come already is the next line, and more of it is not wanted yet.
            let is_watched = is_open && !is_read && connection.input().is_empty();
            lines.wait(connection, is_read, !self.calls.is_empty());
            let came = tokio::select! {
                biased;
                Some(ended) = self.calls.join_next() => {
                    self.answers.end(ended.map_err(stopped)?);
                    while let Some(ended) = self.calls.try_join_next() {
                        self.answers.end(ended.map_err(stopped)?);
                    }
                    Ok(Came::Nothing)
                }
                () = &mut closed, if is_open => Err(door_closed()),
                came = lines.come(connection, is_read), if is_read || is_watched => came,
            };
            match came {
                Ok(came) => self.take(came, connection),
                Err(error) if error.code() == Code::Disconnected => return Err(error),
                Err(error) => {
                    let is_begun = lines.is_in_line(connection);
                    let error =
                        if is_begun { self.cut_off(error, connection.input()) } else { error };
                    self.end = Some(Err(error));
                }
            }
            if self.end.is_some() {
                // Perhaps a line for which there was no memory: it would be kept to the end.
                connection.input().clear();
                connection.release();
            }
            self.answers.write(connection).await?;
        }
        self.end.take().unwrap_or(Ok(()))
    }

    fn take(&mut self, came: Came, connection: &mut Connection) {
        match came {
            Came::Line(line) => {
                self.begin(&line, connection.peer());
                // The calls have taken of it what they keep, and are charged with that.
                drop(line);
                connection.settle();
            }
            Came::TooLong(begin, _) if is_other_protocol(&begin) => self.end_other(),
            Came::TooLong(begin, error) => {
                self.dialect = guess(&begin).unwrap_or(self.dialect);
                self.refuse(&error);
                drop(begin);
                connection.settle();
            }
            Came::Nothing => {}
            Came::End => self.end = Some(Ok(())),
        }
    }

    /// Begins all that a line asks for.
    fn begin(&mut self, line: &Bytes, peer: &Peer) {
        match parse(line, self.calls_max()) {
            Line::One(asked) => {
                self.dialect = asked.dialect;
                self.ask(&asked, None, peer);
            }
            Line::Batch(entries) => {
                self.dialect = Dialect::V2;
                let batch = match self.answers.begin_batch(entries.len(), self.door.held()) {
                    Ok(batch) => batch,
                    Err(error) => return self.refuse(&error),
                };
                for (index, asked) in entries.iter().enumerate() {
                    self.ask(asked, Some((batch, index)), peer);
                }
            }
            Line::Bad(_, Flaw::OtherProtocol) => self.end_other(),
            Line::Bad(dialect, flaw) => {
                self.dialect = dialect.unwrap_or(self.dialect);
                self.answers.end(wrong(Place::of_line(self.dialect), flaw, self.door.held()));
            }
        }
    }

    fn ask(&mut self, asked: &Asked<'_>, batch: Option<(u64, usize)>, peer: &Peer) {
        let place = Place::of(asked, batch);
        match &asked.call {
            Ok(call) => match begin(place, call, peer, self.door) {
                Ok(call) => {
                    self.answers.await_bare(asked.dialect == Dialect::Bare);
                    self.calls.spawn(call);
                }
                Err(ended) => self.answers.end(*ended),
            },
            Err(flaw) => self.answers.end(wrong(place, *flaw, self.door.held())),
        }
    }

    /// Answers a line that is not read.
    fn refuse(&mut self, error: &Error) {
        let place = Place::of_line(self.dialect);
        self.answers.end(refused(place, error, self.door.held()));
    }

    /// Answers a line that has not come whole with why nothing more is read, in its own dialect if
    /// it shows one, and gives that back; or what it is in truth.
    fn cut_off(&mut self, error: Error, begin: &[u8]) -> Error {
        if is_other_protocol(begin) {
            return other_protocol();
        }
        self.dialect = guess(begin).unwrap_or(self.dialect);
        self.refuse(&error);
        error
    }

    /// A peer that would not understand an answer is not heard any more.
    fn end_other(&mut self) {
        self.end = Some(Err(other_protocol()));
    }

    fn calls_max(&self) -> usize {
        self.door.limits().calls_per_connection_max.max(1)
    }
}

fn other_protocol() -> Error {
    Error::found(Code::Protocol, Flaw::OtherProtocol.to_string())
}

fn door_closed() -> Error {
    Error::found(Code::ShuttingDown, "the door for calls in lines of JSON is closed")
}

/// The error of a connection whose calls were stopped from outside.
fn stopped(error: tokio::task::JoinError) -> Error {
    Error::found(Code::Cancelled, "the runtime stopped").with_source(error)
}
