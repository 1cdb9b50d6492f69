//! A server of Go's net/rpc as a [`Channel`]: what `rpc.Dial` is to a Go program.
//!
//! ```text
//!   Service::call ──► Calls ──a task──► the stream
//!   Answer ◄───────── Calls ◄──────────┘
//! ```
//!
//! The task reads and writes at the same time, so a server that does not read while it writes holds
//! up nobody. It ends with the stream, with the last call after a close, or when what comes cannot
//! be followed.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::calling::{Calls, Unsent, Unwritten};
use super::gobs::Gobs;
use super::log_end;
use super::message::Response;
use crate::client::Client;
use crate::clock::{after, now, poll_due};
use crate::error::{Code, Error, Result};
use crate::limits::Limits;
use crate::quota::{Held, Quota};
use crate::service::{Answer, BoxFuture, Channel, ChannelStates, Reply, Request, Service};
use crate::stream::{Connection, Wait};
use crate::transport::{BoxedIo, Peer, SharedIo};

/// The channel of one connection, which is closed when it is dropped.
struct NetRpc {
    calls: Arc<Calls>,
    peer: Peer,
}

/// A client of the server at the other end of this stream.
pub(crate) fn client(io: BoxedIo, peer: Peer, limits: &Arc<Limits>, quota: &Arc<Quota>) -> Client {
    let calls = Calls::new(limits);
    let io = SharedIo::new(io);
    let connection = Connection::new(io.clone(), peer.clone(), Arc::clone(limits), quota);
    tokio::spawn(run(connection, io, Arc::clone(&calls), Arc::clone(quota)));
    Client::over(NetRpc { calls, peer })
}

impl Service for NetRpc {
    fn call(&self, request: Request) -> Answer {
        Answer::new(call(Arc::clone(&self.calls), request))
    }
}

impl Channel for NetRpc {
    fn limits(&self) -> &Limits {
        self.calls.limits()
    }

    fn peer(&self) -> Peer {
        self.peer.clone()
    }

    fn states(&self) -> ChannelStates {
        let calls = Arc::clone(&self.calls);
        ChannelStates::until(async move { calls.ended().await })
    }

    fn is_closed(&self) -> bool {
        self.calls.is_closed()
    }

    fn close(&self) {
        self.calls.close();
    }

    fn closed(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.calls.ended())
    }

    fn flush(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.calls.flush())
    }
}

impl Drop for NetRpc {
    fn drop(&mut self) {
        self.calls.close();
    }
}

/// Makes a call, and waits for its reply if one is wanted.
async fn call(calls: Arc<Calls>, mut request: Request) -> Result<Reply> {
    let (facts, limits) = (request.take_facts(), Arc::clone(calls.limits()));
    let bounds = facts.as_deref().copied().unwrap_or_default();
    let (len, max) = (request.payload().len(), bounds.payload_max(limits.payload_bytes_max));
    if len > max.bytes {
        return Err(Error::local(Code::TooLarge, max.too_large(len)));
    }
    if request.items().is_some() {
        let text = "net/rpc carries no streams of items";
        return Err(Error::local(Code::UnsupportedFormat, text));
    }
    if request.format_word().is_none_or(|format| format.as_bytes() != b"gob") {
        let text = format!("net/rpc speaks gob, not {}", request.format());
        return Err(Error::local(Code::UnsupportedFormat, text));
    }
    let time_max = bounds.time_max(limits.call_time_max);
    let due = request.deadline().unwrap_or_else(|| after(time_max.time).into_std());
    if due <= now() {
        return Err(late("the deadline had passed before the call was sent"));
    }
    let (method, argument) = (request.command(), request.payload());
    let wants_reply = !request.is_one_way();
    let sending = calls.send(Unsent { method, argument, facts, wants_reply });
    let Some(waiting) = by(due, sending).await else {
        return Err(late("the deadline passed before there was room to send"));
    };
    let waiting = waiting?;
    if !wants_reply {
        return Ok(Reply::default());
    }
    by(due, waiting.reply()).await.unwrap_or_else(|| {
        let limit = format!("no reply came within {}", time_max.name());
        let is_own = request.deadline().is_none();
        Err(late(if is_own { &limit } else { "no reply came in time" }).after_sending())
    })
}

/// What comes by then; `None` if it does not.
async fn by<T>(due: Instant, what: impl Future<Output = T>) -> Option<T> {
    let (mut what, mut timer) = (pin!(what), None);
    poll_fn(|cx| match what.as_mut().poll(cx) {
        Poll::Ready(what) => Poll::Ready(Some(what)),
        Poll::Pending => poll_due(&mut timer, due, cx).map(|()| None),
    })
    .await
}

fn late(text: &str) -> Error {
    Error::local(Code::DeadlineExceeded, text.to_owned())
}

/// Ends the calls of a task that ends, in whatever way.
struct Ending(Arc<Calls>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end(Code::Disconnected, "the runtime of the connection has stopped");
    }
}

/// Serves the calls until the connection ends.
async fn run(mut connection: Connection, io: SharedIo, calls: Arc<Calls>, quota: Arc<Quota>) {
    let ending = Ending(calls);
    let calls = &*ending.0;
    let error = tokio::select! {
        error = read(&mut connection, calls, &quota) => Some(error),
        written = write(io, calls) => written.err(),
        () = calls.drained() => {
            let time = calls.limits().drain_time_max;
            let text = format!("no reply came within drain_time_max ({time:?}) of the close");
            Some(Error::local(Code::Cancelled, text))
        }
    };
    match &error {
        None => {
            connection.end().await;
            calls.end(Code::ShuttingDown, "the client is closed");
        }
        Some(error) if error.code() == Code::Cancelled => calls.end(error.code(), error.text()),
        Some(error) => {
            log_end(connection.peer(), error);
            let text = format!("the connection ended: {}", error.text());
            calls.end(Code::Disconnected, &text);
        }
    }
    if error.is_some() {
        connection.end().await;
    }
    connection.linger().await;
}

/// Writes calls; well, when the connection was closed and nobody waits for a reply.
async fn write(mut io: SharedIo, calls: &Calls) -> Result<()> {
    let time = calls.limits().write_time_max;
    loop {
        let (bytes, room) = match calls.unwritten() {
            Unwritten::Bytes(bytes, room) => (bytes, room),
            Unwritten::Nothing => {
                calls.changed().await;
                continue;
            }
            Unwritten::Over => return Ok(()),
        };
        let written = timeout(time, async {
            io.write_all(&bytes).await?;
            io.flush().await
        });
        match written.await {
            Ok(written) => written.map_err(Error::of_stream)?,
            Err(_) => {
                let text = format!("nothing was read for write_time_max ({time:?})");
                return Err(Error::local(Code::DeadlineExceeded, text));
            }
        }
        drop(room);
        calls.set_written();
    }
}

/// Reads replies; why no more come.
async fn read(connection: &mut Connection, calls: &Calls, quota: &Arc<Quota>) -> Error {
    let mut gobs = Gobs::new(calls.limits());
    loop {
        match read_reply(connection, &mut gobs, calls, quota).await {
            Ok(true) => {}
            Ok(false) => return Error::local(Code::Disconnected, "the server has closed it"),
            Err(error) => return error,
        }
    }
}

/// Reads the next reply; whether there is one.
async fn read_reply(
    connection: &mut Connection,
    gobs: &mut Gobs,
    calls: &Calls,
    quota: &Arc<Quota>,
) -> Result<bool> {
    connection.release();
    let mut wait = match connection.input().is_empty() {
        // Callers keep their own time.
        true => Wait::new("no reply came", Duration::MAX),
        false => connection.body_wait(),
    };
    let Some(header) = gobs.read(connection, &mut wait).await? else {
        return Ok(false);
    };
    let (seq, error) = {
        let response = Response::decode(header, connection.limits())?;
        (response.seq, response.error())
    };
    connection.settle();
    connection.bound_by(calls.facts(seq));
    let mut wait = connection.body_wait();
    let reply = gobs.read(connection, &mut wait).await;
    connection.bound_by(None);
    connection.settle();
    match reply {
        Ok(Some(reply)) => calls.end_call(seq, error.map_or_else(|| hold(reply, quota), Err)),
        Ok(None) => {
            let text = "the stream ended between a Response and its reply";
            return Err(Error::local(Code::BadPayload, text));
        }
        Err(error) if gobs.is_passing() => {
            calls.end_call(seq, Err(error.of_reply()));
            gobs.pass(connection, &wait).await?;
        }
        Err(error) => {
            let told = error.restated();
            calls.end_call(seq, Err(told.of_reply()));
            return Err(error);
        }
    }
    Ok(true)
}

/// A reply, charged until its caller has it.
fn hold(payload: Bytes, quota: &Arc<Quota>) -> Result<Reply> {
    let mut held = Held::new(quota);
    held.cover(payload.len()).map_err(Error::of_reply)?;
    Ok(Reply::new(payload).holding(held))
}
