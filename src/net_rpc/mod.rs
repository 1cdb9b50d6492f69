//! Go's `net/rpc`, in gob: in front of a door, and (`channel`) as a way to call. What Go calls a
//! method is a command here.
//!
//! Both directions of the connection are one stream of gobs each. A request is two of them, and so
//! is an answer:
//!
//! ```text
//!   Request{ServiceMethod, Seq}, argument ──►  a task for each call  ──► door
//!   Response{ServiceMethod, Seq, Error}, reply ◄── as calls end ◄─────────┘
//! ```
//!
//! One loop reads and writes in turn, so a peer that does not read its answers is not read either.
//! Payloads pass as they are: an argument is made a stream of its own, a reply is joined to the one
//! stream. The bounds are those of the connection for what is read and written, and those of the
//! door for what is under way. It knows no handlers, and not how the connection came to be.

mod calling;
mod channel;
mod gobs;
mod greeting;
mod message;

use std::error::Error as _;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;

pub(crate) use self::channel::client;
use self::gobs::{Gobs, definition_bytes};
use self::greeting::greet;
use self::message::{Answers, Ended, Header};
use crate::error::{Code, Error, Result};
use crate::limits::Limits;
use crate::service::{Channel, Door, Request as Call, Service};
use crate::stream::{Connection, Wait};
use crate::transport::Peer;

/// Speaks Go's `net/rpc` on a connection until the peer ends its side: each of its calls is a call
/// through `door`, in the format `gob`.
///
/// The name of the method is the name of the command, dot and all: Go calls a
/// `Command<Args, i64>` named `Arith.Multiply` by `client.Call("Arith.Multiply", args, &reply)`.
/// Every command speaks gob whose types can, whatever its own format. In Go's types the names of
/// fields begin with an upper-case letter, so a Rust type needs
/// `#[serde(rename_all = "PascalCase")]`.
///
/// Calls are answered in the order in which they end. An error reaches the Go program as a
/// `rpc.ServerError` with the text alone, or the word for its code where there is no text for the
/// peer; an unknown command as `rpc: can't find method Arith.Nothing`, as Go has it. A call that is
/// refused, by a bad argument for one, does no harm to the others.
///
/// A client that has come by `rpc.DialHTTP` is answered as Go's server does. Who speaks HTTP beside
/// that, TLS, JSON or anything else is turned away at once.
///
/// [`Endpoint::serve_net_rpc`](crate::Endpoint::serve_net_rpc) does this for each connection of a
/// listener. By hand it is for connections that come in another way, such as behind the line of a
/// raw command:
///
/// ```
/// use std::sync::Arc;
///
/// use switchboard::gob::net_rpc;
/// use switchboard::{Command, Connection, Endpoint, Error, format::Gob, with_state};
///
/// const NEGATE: Command<i64, i64, Gob> = Command::new("Arith.Negate");
///
/// async fn speak(arith: Arc<Endpoint>, connection: &mut Connection) -> Result<(), Error> {
///     net_rpc(connection, &arith.door()).await
/// }
///
/// let arith = Endpoint::new().on(NEGATE, async |number: i64| Ok::<_, Error>(-number));
/// let endpoint = Endpoint::new().on_raw("NETRPC", with_state(&Arc::new(arith), speak));
/// ```
///
/// Make a door for each connection: how many calls are under way is counted for each door.
///
/// # Limits
///
/// At most `calls_per_connection_max` calls are under way; more are not read until one has ended.
/// The two gobs of a request have `body_time_max` together, from the first byte on; but the
/// argument has as much for itself if its command has a `payload_bytes_max` of its own. While no
/// call is under way the next request has `idle_time_max`. Arguments, and replies that wait to be
/// written, count against `held_bytes_max` of the endpoint, and so do the types that the peer has
/// defined, of which there are `net_rpc_definition_bytes_max`. An argument and a reply are bound by
/// the [facts](crate::Facts) of their command, where it has any.
///
/// The call whose argument is over a limit is answered with an error. The connection goes on if the
/// argument's end is known without following it: if it has more bytes than it may, and no type that
/// the peer has defined could have an interface in it.
///
/// # Errors
///
/// `bad_payload` if what came is no `net/rpc`, `too_large` if a gob is over a limit and its end is
/// not known, `overloaded` if the endpoint cannot hold what comes (the call it belongs to is
/// answered first); `deadline_exceeded` if a request comes too slowly; `shutting_down` if the door
/// was closed. All these let the calls under way finish, and so does the end of the peer's side, as
/// in Go. Calls under way are cancelled if the stream fails, which is `disconnected`, or if the
/// peer does not read its answers within `write_time_max`, which is `deadline_exceeded` as well.
///
/// # Cancel safety
///
/// Not cancel safe: a part of an answer may have been written. Calls under way are cancelled.
pub async fn net_rpc(connection: &mut Connection, door: &Door) -> Result<()> {
    // Whatever becomes of this, what it leaves is not to be read as commands.
    connection.is_out_of_step = true;
    let mut calls = JoinSet::new();
    let ended = serve(connection, door, &mut calls).await;
    // Whoever waits for the end of the connection waits for them.
    calls.shutdown().await;
    connection.is_out_of_step = ended.is_err();
    ended
}

async fn serve(connection: &mut Connection, door: &Door, calls: &mut JoinSet<Ended>) -> Result<()> {
    let calls_max = door.limits().calls_per_connection_max.max(1);
    let mut incoming = Incoming::new(connection.limits());
    let mut answers = Answers::new(door.limits().depth_max, door.held());
    let mut closed = pin!(door.closed());
    // Why nothing more is read.
    let mut end = None;
    while end.is_none() || !calls.is_empty() {
        let is_read = end.is_none() && calls.len() < calls_max;
        incoming.wait(connection, is_read, !calls.is_empty());
        tokio::select! {
            biased;
            Some(ended) = calls.join_next() => {
                answers.put(ended.map_err(stopped)?)?;
                while answers.len() < WRITE_BYTES && let Some(ended) = calls.try_join_next() {
                    answers.put(ended.map_err(stopped)?)?;
                }
                answers.write(connection).await?;
            }
            () = &mut closed, if end.is_none() => end = Some(Err(door_closed())),
            came = incoming.next(connection, door), if is_read => match came {
                Ok(Came::Request(request)) => {
                    connection.settle();
                    calls.spawn(request.begin(connection.peer(), door));
                }
                Ok(Came::Refused(header, error)) => {
                    answers.refuse(header, &error)?;
                    answers.write(connection).await?;
                }
                Ok(Came::Passed) => {}
                Ok(Came::End) => end = Some(Ok(())),
                Err(error) if error.code() == Code::Disconnected => return Err(error),
                Err(error) => {
                    if let Some(header) = incoming.header.take() {
                        answers.refuse(header, &error)?;
                        // Heard or not: this is what ended it.
                        let _ = answers.write(connection).await;
                    }
                    end = Some(Err(error));
                }
            },
        }
    }
    end.unwrap_or(Ok(()))
}

/// Logs what ended a connection, without the names of fields and types that its peer made up: those
/// are in what gob says.
pub(crate) fn log_end(peer: &Peer, error: &Error) {
    let of_gob = error.source().and_then(|source| source.downcast_ref::<switchboard_gob::Error>());
    match of_gob {
        Some(of_gob) => {
            let (code, flaw) = (error.code().as_str(), of_gob.kind());
            tracing::info!(%peer, code, ?flaw, "closing the connection");
            tracing::debug!(%peer, %error, "what came was wrong");
        }
        None => tracing::info!(%peer, %error, "closing the connection"),
    }
}

/// A call that has come whole.
struct Request {
    header: Header,
    argument: Bytes,
}

impl Request {
    /// The call, with what it holds charged to the endpoint from now on.
    fn begin(self, peer: &Peer, door: &Door) -> impl Future<Output = Ended> + use<> {
        let Self { header, argument } = self;
        let mut held = door.held();
        let covered = held.cover(header.service_method.len());
        let answer = covered.and_then(|()| {
            let definition_bytes = definition_bytes(&argument);
            let request = Call::new(&header.service_method, argument).map_err(|_| {
                let method = &header.service_method;
                let text = format!("rpc: service/method request ill-formed: {method:.64}");
                Error::found(Code::BadPayload, text)
            })?;
            let request = request.with_format("gob")?.with_definitions(definition_bytes);
            Ok(door.call(request.with_peer(peer.clone())))
        });
        async move {
            let reply = match answer {
                Ok(answer) => answer.await,
                Err(error) => Err(error),
            };
            Ended::new(header, reply, held)
        }
    }
}

/// What has come of the next call. It outlives the reading, which stops for every answer.
struct Incoming {
    is_greeted: bool,
    gobs: Gobs,
    header: Option<Header>,
    // `None` while nothing is read.
    wait: Option<Wait>,
}

/// What has come.
enum Came {
    Request(Request),
    /// A call whose argument is passed over.
    Refused(Header, Error),
    /// The end of such an argument. What comes next has a time of its own.
    Passed,
    /// The end of the peer's side.
    End,
}

impl Incoming {
    fn new(limits: &Limits) -> Self {
        Self { is_greeted: false, gobs: Gobs::new(limits), header: None, wait: None }
    }

    /// Sets the time for what is to come, if it is read now: none while it is not, and anew from
    /// when it is read again.
    fn wait(&mut self, connection: &mut Connection, is_read: bool, is_busy: bool) {
        let is_empty = connection.input().is_empty();
        let has_begun = self.header.is_some() || self.gobs.is_passing() || !is_empty;
        if !has_begun {
            connection.release();
        }
        let limits = connection.limits();
        self.wait = match self.wait.take() {
            _ if !is_read => None,
            Some(wait) if has_begun => Some(wait),
            _ if has_begun => Some(connection.body_wait()),
            _ if is_busy => Some(Wait::new("the payload did not come", Duration::MAX)),
            _ => Some(Wait::idle(limits)),
        };
    }

    /// Reads the rest of the call. Cancel safe.
    async fn next(&mut self, connection: &mut Connection, door: &Door) -> Result<Came> {
        let Self { is_greeted, gobs, header: known, wait } = self;
        let wait = wait.get_or_insert_with(|| connection.wait());
        if !*is_greeted {
            if !greet(connection, wait).await? {
                return Ok(Came::End);
            }
            *is_greeted = true;
            *wait = connection.wait();
        }
        if gobs.is_passing() {
            gobs.pass(connection, wait).await?;
            self.wait = None;
            return Ok(Came::Passed);
        }
        if known.is_none() {
            let Some(header) = gobs.read(connection, wait).await? else {
                return Ok(Came::End);
            };
            let header = Header::decode(header, connection.limits());
            let header = header.map_err(|error| connection.wrong(error))?;
            connection.settle();
            if let Some(facts) = header.facts(door) {
                // As large as its command says, and with the time for that.
                connection.bound_by(Some(facts));
                *wait = connection.wait();
            }
            *known = Some(header);
        }
        let argument = gobs.read(connection, wait).await;
        connection.bound_by(None);
        match (known.take(), argument) {
            (Some(header), Ok(Some(argument))) => {
                self.wait = None;
                Ok(Came::Request(Request { header, argument }))
            }
            (Some(header), Err(error)) if gobs.is_passing() => Ok(Came::Refused(header, error)),
            (header, Err(error)) => {
                *known = header;
                Err(error)
            }
            _ => {
                let error = Error::found(Code::BadPayload, "the stream ended before an argument");
                Err(connection.wrong(error))
            }
        }
    }
}

fn door_closed() -> Error {
    Error::found(Code::ShuttingDown, "the door for the calls of net/rpc is closed")
}

/// The error of a connection whose calls were stopped from outside.
fn stopped(error: tokio::task::JoinError) -> Error {
    Error::found(Code::Cancelled, "the runtime stopped").with_source(error)
}

/// Answers that are ready together are written together, up to so much.
const WRITE_BYTES: usize = 64 * 1024;
