//! A call in a datagram: through the door, and its answer back.
//!
//! A plain call is a line for people, so its command must speak a format whose payloads are lines:
//! what is binary is called with a tag, which says how long it is.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use tokio_util::task::TaskTracker;

use super::Datagrams;
use super::inbox::{Came, Inbox};
use crate::clock::now;
use crate::error::{Code, Error, Result};
use crate::format::Framing;
use crate::handler::Router;
use crate::ledger::Opening;
use crate::limits::Limits;
use crate::service::{Door, Request};
use crate::transport::Peer;
use crate::wire::{DatagramCall, FormatWord, Traceparent, error_datagram, reply_datagram};

/// Answers calls until `stop` is ready, and then drains; how many datagrams were dropped.
///
/// # Cancel safety
///
/// Dropping the future closes the door; calls under way go on until its drain is over.
pub(crate) async fn serve_calls(
    datagrams: Datagrams,
    router: &Router,
    door: &Door,
    stop: impl Future,
) -> u64 {
    let mut inbox = Inbox::new(datagrams, router.limits(), None);
    let (answers, _closing) = (TaskTracker::new(), Closing(door));
    let (mut stop, mut closed) = (pin!(stop), pin!(door.closed()));
    loop {
        let came = tokio::select! {
            biased;
            _ = &mut stop, if !door.is_closed() => {
                door.close();
                continue;
            }
            () = &mut closed => break,
            came = inbox.next() => came,
        };
        match begin(&inbox, came, router, door) {
            Some(answer) => drop(answers.spawn(answer)),
            None => inbox.note_dropped(),
        }
    }
    answers.close();
    answers.wait().await;
    inbox.dropped()
}

/// Closes the door when it is dropped.
struct Closing<'d>(&'d Door);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Begins the call in a datagram, if there is one and there is a place for it.
fn begin(
    inbox: &Inbox,
    came: Came,
    router: &Router,
    door: &Door,
) -> Option<impl Future<Output = ()> + use<>> {
    let Limits { line_bytes_max, .. } = **router.limits();
    let call = DatagramCall::parse(inbox.bytes(came), line_bytes_max)?;
    let place = inbox.place(came)?;
    let mut held = door.held();
    held.cover(TASK_BYTES.saturating_add(came.len)).ok()?;
    let (outlet, tag) = (inbox.outlet(came), call.answer_tag());
    let name = call.name;
    let request = request(router, call, Peer::udp(came.from)).inspect_err(|error| {
        router.note_refused(name, &Opening::plain(now()), error.code());
    });
    let answer = request.map(|request| door.begin(request));
    Some(async move {
        let outcome = match answer {
            Ok(answer) => answer.await,
            Err(error) => Err(error),
        };
        if let Some(tag) = tag {
            let max = outlet.bytes_max;
            let answer = match &outcome {
                Ok(reply) => reply_datagram(tag, reply.payload(), &reply.metadata(), max),
                Err(error) => error_datagram(tag, error, max),
            };
            if let Some(answer) = answer {
                outlet.send(&answer).await;
            }
        }
        drop((outcome, place, held));
    })
}

fn request(router: &Router, call: DatagramCall, peer: Peer) -> Result<Request> {
    let options = call.options.clone();
    if options.is_stream() || options.credit().is_some() {
        return Err(Error::found(Code::UnsupportedFormat, "a datagram carries no items"));
    }
    let (name, tag) = (call.name, call.tag);
    let (format, payload) =
        if tag.is_none() { plainly(router, call)? } else { (call.format(), call.payload) };
    let mut request = Request::of_command(name, format, payload).with_peer(peer);
    if tag == Some(0) {
        request = request.one_way();
    }
    if let Some(ms) = options.time_ms() {
        request = request.with_timeout(Duration::from_millis(ms));
    }
    if let Some(position) = options.from() {
        request = request.resume_at(position);
    }
    if let Some(trace) = options.trace().and_then(Traceparent::parse) {
        request = request.with_trace(&trace);
    }
    let metadata = options.metadata();
    Ok(if metadata.is_empty() { request } else { request.with_metadata(&metadata) })
}

/// The format that a plain call is in, and its payload.
fn plainly(router: &Router, call: DatagramCall) -> Result<(Option<FormatWord>, Bytes)> {
    let word = call.format();
    match router.plain_form(call.name, word)? {
        // The command takes no payload; blanks behind its line make the datagram longer.
        (format, None) if call.payload.trim_ascii().is_empty() => Ok((format, Bytes::new())),
        (format, None | Some(Framing::Line)) => Ok((format, call.payload)),
        _ => {
            let text = "a plain call by a datagram is a line: name a format such as json, or a tag";
            Err(Error::found(Code::UnsupportedFormat, text))
        }
    }
}

/// A task with a call in it, as in `json_lines`.
const TASK_BYTES: usize = 2560;
