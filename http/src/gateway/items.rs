//! A streamed call: its items out as a body, and in from one.
//!
//! ```text
//!   opening ──the handler opens or sends, or a second has passed──► a body
//!    │ fails: a status of its own
//!    ▼
//!   a body ──the answer is there, and all items are out──► its last line, and the end
//!    ├─ the server drains: an endless command ends at once, others in time ──► the same
//!    └─ dropped, as its reader has left: so are answer and pipe, which cancels the call
//! ```
//!
//! | | JSON lines | events |
//! |---|---|---|
//! | an item | its JSON | `data: ` its JSON, with `id: ` its position if it has one |
//! | all went well | `{"end":VALUE}` | `event: end`, the value as data, and the id `end` |
//! | it failed | `{"error":{..}}` | `event: error`, the same as data |
//! | silence | a blank every 15 s, before what comes next | a comment every 15 s |
//!
//! The last line is never an item: a body without one was cut off. An `EventSource` connects anew
//! when its body ends, with the last id; behind the id `end` there is nothing, and it is told so by
//! 204, which stops it.
//!
//! Everything is polled from the body. The answer goes first, since that moves the handler.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use switchboard::Result;
use switchboard::service::{Answer, Door, Held, Item, Pipe, Reply};
use tokio::time::{Instant, Sleep, sleep};

use super::asked::{BytesMax, FREE_BYTES, broken, too_large};
use crate::body::BoxError;
use crate::refusal::Refusal;

/// The body of a request, whatever its type.
pub(crate) type AnyBody = Pin<Box<dyn Body<Data = Bytes, Error = BoxError> + Send>>;

/// A streamed call under way.
pub(crate) struct Exchange {
    answer: Answer,
    pipe: Pipe,
    upload: Option<Upload>,
    // Once the answer is there, or the call was given up.
    outcome: Option<Result<Reply, Refusal>>,
}

/// The items of a request, which come as lines.
pub(crate) struct Upload {
    body: AnyBody,
    lines: BytesMut,
    // How much of that has no end of a line.
    looked_at: usize,
    outgoing: Option<Bytes>,
    is_over: bool,
    line_max: BytesMax,
}

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Lines,
    Events,
}

/// A streamed reply as the frames of a body.
pub(crate) struct Items {
    exchange: Exchange,
    style: Style,
    request_id: String,
    // Whose memory counts what waits to be written.
    door: Door,
    // Too large to go out with those before it.
    next: Option<Item>,
    silence: Pin<Box<Sleep>>,
    is_over: bool,
}

/// Bytes that are counted among what the endpoint holds until they are written.
struct Frame {
    bytes: BytesMut,
    _held: Held,
}

impl AsRef<[u8]> for Frame {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Exchange {
    pub(crate) fn new(answer: Answer, pipe: Pipe, upload: Option<Upload>) -> Self {
        if upload.is_none() {
            pipe.end();
        }
        Self { answer, pipe, upload, outcome: None }
    }

    /// Waits until the call has begun to answer, or for a moment.
    ///
    /// # Errors
    ///
    /// Why it does not.
    pub(crate) async fn open(&mut self) -> Result<(), Refusal> {
        let mut moment = pin!(sleep(OPENING_TIME_MAX));
        std::future::poll_fn(|cx| {
            self.poll_progress(cx);
            // What fails behind its first item fails within the body.
            if let Poll::Ready(Ok(_)) = pin!(self.pipe.opened()).poll(cx) {
                return Poll::Ready(Ok(()));
            }
            if let Some(refusal) = self.outcome.take_if(|outcome| outcome.is_err()) {
                return Poll::Ready(refusal.map(|_| ()));
            }
            if self.outcome.is_some() || moment.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            Poll::Pending
        })
        .await
    }

    /// Waits for the reply of a call whose reply is one value.
    pub(crate) async fn reply(mut self) -> Result<Reply, Refusal> {
        std::future::poll_fn(|cx| {
            self.poll_progress(cx);
            self.outcome.take().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// Moves the handler, and what it is sent.
    fn poll_progress(&mut self, cx: &mut Context<'_>) {
        if self.outcome.is_some() {
            return;
        }
        if let Poll::Ready(reply) = Pin::new(&mut self.answer).poll(cx) {
            self.outcome = Some(reply.map_err(Refusal::from));
            return;
        }
        if let Some(upload) = &mut self.upload
            && let Poll::Ready(sent) = upload.poll(&self.pipe, cx)
        {
            self.upload = None;
            match sent {
                // The handler may have ended, or wants no more: the answer says.
                Ok(()) => {}
                Err(refusal) => self.outcome = Some(Err(refusal)),
            }
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Item>>> {
        pin!(self.pipe.next()).poll(cx)
    }
}

impl Upload {
    pub(crate) fn new(body: AnyBody, line_max: BytesMax) -> Self {
        let (lines, looked_at) = (BytesMut::new(), 0);
        Self { body, lines, looked_at, outgoing: None, is_over: false, line_max }
    }

    /// Sends what comes, as the handler takes it; ready when all is sent.
    fn poll(&mut self, pipe: &Pipe, cx: &mut Context<'_>) -> Poll<Result<(), Refusal>> {
        loop {
            if let Some(item) = &self.outgoing {
                match pin!(pipe.send(item.clone())).poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    // Of a call that takes no more, its answer says why.
                    Poll::Ready(Err(error)) if error.code() == switchboard::Code::Cancelled => {
                        return Poll::Ready(Ok(()));
                    }
                    Poll::Ready(sent) => sent?,
                }
                self.outgoing = None;
            }
            if let Some(line) = self.next_line()? {
                self.outgoing = Some(line);
                continue;
            }
            if self.is_over {
                pipe.end();
                return Poll::Ready(Ok(()));
            }
            match std::task::ready!(self.body.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.lines.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => {
                    return Poll::Ready(Err(broken(&*error, self.line_max)));
                }
                None => self.is_over = true,
            }
        }
    }

    /// The next line that is not blank; the last one needs no end.
    fn next_line(&mut self) -> Result<Option<Bytes>, Refusal> {
        loop {
            let unseen = self.lines.get(self.looked_at..).unwrap_or_default();
            let end = unseen.iter().position(|byte| *byte == b'\n');
            let line = match end.and_then(|end| self.looked_at.checked_add(end)) {
                Some(end) => self.lines.split_to(end.saturating_add(1)).freeze(),
                None if self.is_over => self.lines.split().freeze(),
                None => {
                    self.looked_at = self.lines.len();
                    if self.looked_at > self.line_max.bytes {
                        return Err(too_large(self.line_max));
                    }
                    return Ok(None);
                }
            };
            self.looked_at = 0;
            let is_last = self.is_over && self.lines.is_empty();
            let trimmed = line.trim_ascii();
            if !trimmed.is_empty() {
                return Ok(Some(line.slice_ref(trimmed)));
            }
            if is_last {
                return Ok(None);
            }
        }
    }
}

impl Style {
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Lines => "application/x-ndjson",
            Self::Events => "text/event-stream",
        }
    }

    /// Written into a silence: nothing to a reader, but it shows whether there still is one.
    const fn sign_of_life(self) -> &'static [u8] {
        match self {
            Self::Lines => b" ",
            Self::Events => b":\n\n",
        }
    }

    fn push_item(self, out: &mut BytesMut, item: &Item) {
        if self == Self::Events {
            if let Some(position) = item.position {
                out.extend_from_slice(format!("id: {position}\n").as_bytes());
            }
            out.extend_from_slice(b"data: ");
        }
        self.push_json(out, &item.payload);
    }

    fn push_end(self, out: &mut BytesMut, value: &[u8]) {
        match self {
            Self::Lines => {
                out.extend_from_slice(b"{\"end\":");
                push_one_line(out, value);
                out.extend_from_slice(b"}\n");
            }
            Self::Events => {
                out.extend_from_slice(b"event: end\nid: end\ndata: ");
                self.push_json(out, value);
            }
        }
    }

    /// An error that may pass with time leaves the last id as it is, to go on from.
    fn push_error(self, out: &mut BytesMut, refusal: &Refusal, request_id: &str) {
        if self == Self::Events {
            out.extend_from_slice(b"event: error\n");
            if !refusal.is_transient() {
                out.extend_from_slice(b"id: end\n");
            }
            out.extend_from_slice(b"data: ");
        }
        self.push_json(out, &refusal.json(request_id));
    }

    fn push_json(self, out: &mut BytesMut, json: &[u8]) {
        push_one_line(out, json);
        out.extend_from_slice(if self == Self::Events { b"\n\n" } else { b"\n" });
    }
}

impl Items {
    pub(crate) fn new(exchange: Exchange, style: Style, request_id: String, door: Door) -> Self {
        let silence = Box::pin(sleep(SILENCE_TIME_MAX));
        Self { exchange, style, request_id, door, next: None, silence, is_over: false }
    }

    /// The next bytes of the body; `None` at its end.
    pub(crate) fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let mut out = BytesMut::new();
        self.exchange.poll_progress(cx);
        self.take_items(&mut out, cx);
        if out.is_empty() {
            if let Some(outcome) = self.exchange.outcome.take() {
                self.finish(&mut out, outcome);
            } else {
                std::task::ready!(self.silence.as_mut().poll(cx));
                out.extend_from_slice(self.style.sign_of_life());
            }
        }
        if !self.is_over {
            let next = Instant::now().checked_add(SILENCE_TIME_MAX);
            next.into_iter().for_each(|next| self.silence.as_mut().reset(next));
        }
        Poll::Ready(Some(self.counted(out)))
    }

    /// Takes the items that are there: some small ones, or a large one.
    fn take_items(&mut self, out: &mut BytesMut, cx: &mut Context<'_>) {
        loop {
            let item = match self.next.take() {
                Some(item) => item,
                None => match self.exchange.poll_next(cx) {
                    Poll::Ready(Ok(Some(item))) => item,
                    _ => return,
                },
            };
            let bytes = out.len().saturating_add(item.payload.len());
            if bytes > FRAME_BYTES_MAX && !out.is_empty() {
                self.next = Some(item);
                return;
            }
            out.reserve(item.payload.len().saturating_add(BESIDE_ITEM_BYTES));
            self.style.push_item(out, &item);
        }
    }

    /// The same bytes, counted. Where there is no memory for them the stream ends, and its reader
    /// is told.
    fn counted(&mut self, mut out: BytesMut) -> Bytes {
        if out.len() <= FREE_BYTES {
            return out.freeze();
        }
        let mut held = self.door.held();
        match held.cover(out.capacity()) {
            Ok(()) => Bytes::from_owner(Frame { bytes: out, _held: held }),
            Err(error) => {
                out = BytesMut::new();
                self.finish(&mut out, Err(error.into()));
                out.freeze()
            }
        }
    }

    fn finish(&mut self, out: &mut BytesMut, outcome: Result<Reply, Refusal>) {
        self.is_over = true;
        match outcome {
            Ok(reply) => self.style.push_end(out, reply.payload()),
            Err(refusal) => self.style.push_error(out, &refusal, &self.request_id),
        }
    }
}

/// JSON without ends of lines, which may stand between its tokens and nowhere else.
fn push_one_line(out: &mut BytesMut, json: &[u8]) {
    if json.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        out.extend(
            json.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }),
        );
    } else {
        out.extend_from_slice(json);
    }
}

/// Time for a handler to open its reply, before the head of the response goes out without it.
const OPENING_TIME_MAX: Duration = Duration::from_secs(1);

/// Time after which a reader is told that all is well.
const SILENCE_TIME_MAX: Duration = Duration::from_secs(15);

/// Bytes of items that go out together; a larger one goes alone.
const FRAME_BYTES_MAX: usize = 16 * 1024;

/// What an item has around it: its position, and the words of an event.
const BESIDE_ITEM_BYTES: usize = 64;
