//! What arrives: bytes in, events out.
//!
//! The session cuts what has been read into lines and bodies and takes them in, up to the next
//! event and no further: a call that is answered at once has given back its place before the next
//! one is looked at, so what is refused does not depend on how the bytes came.
//!
//! Calls that came together may be given out together, before any of them has begun. So that this
//! changes nothing of what is counted, refused and written, only what surely runs is taken in
//! beside them ([`Input::handle_more`]): a line that says anything else waits in `deferred` until
//! they are answered or under way. Whoever asks does so only while there is memory and room for
//! all of them. (A handler that closes its own connection is one thing that does show: a call that
//! came with its own has been taken by then.)
//!
//! ```text
//!          ┌──────────────────────────────────────────────────┐
//!          ▼                                                   │
//!   an event? ──no──► wanted, and held? ──yes──► decode ──line─┤
//!      │ yes               │ no                    │   └─body──┘ if it is held, else refused
//!      ▼                   ▼                       ▼ nothing whole
//!   (stop)             (paused)                (more bytes are needed)
//! ```
//!
//! The buffer is lent. A raw command finds in it what has been read ahead, and its memory is its
//! owner's to account for: so whether there is room is asked of it, the [`Host`], before each step.

use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::calling_back::takes_calls;
use super::calls::Calls;
use super::event::{BodyOf, Head, OwnFacts, Whose};
use super::half::Item;
use super::keepalive::PING;
use super::outbound::Answer;
use super::{Call, CallId, Plain, Received, Violation, one_way};
use crate::command::Facts;
use crate::error::{Code, Error};
use crate::limits::{Limits, PayloadMax};
use crate::wire::{self, Decoder, Flaw, Line, Name, Options, Part, Position, Tag};

/// What is held when the next line or body has been taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holds {
    /// Bytes that the session keeps itself; see
    /// [`Session::held_bytes`](crate::session::Session::held_bytes).
    pub kept_bytes: usize,
    /// The size of the payload and of the options, if a call is given out to be run.
    pub payload_bytes: Option<usize>,
}

/// Whoever lends a session the bytes that have come, and has the clock and the memory for them.
pub trait Host {
    /// The time. What was read at once may be told the same.
    fn now(&mut self) -> Instant;

    /// What the command of this name has in place of limits: `None` if nothing, or if there is no
    /// such command. Asked once for each call with a tag.
    fn facts_of(&mut self, name: &Name) -> Option<Facts>;

    /// A body has been taken out, and this is left of the bytes.
    fn settle(&mut self, rest: &mut BytesMut);

    /// Whether so much can be held. Asked before each step.
    ///
    /// # Errors
    ///
    /// Why not. No more is taken in for now then, but a body, which is refused with this error.
    fn hold(&mut self, holds: Holds) -> Result<(), Error>;
}

/// How far the input has been taken in.
#[derive(Debug)]
pub(super) struct Input {
    decoder: Decoder,
    body_of: Option<BodyOf>,
    // Decoded, and not taken in yet. Boxed: most connections never have one.
    deferred: Option<Box<wire::Event>>,
    // Bytes that were there when the input was looked at last, and whether some have come that the
    // clock has not been told of.
    bytes_seen: usize,
    has_read: bool,
}

/// How a step ended.
enum Taken {
    Some,
    /// More bytes are needed.
    Short,
    /// It is not wanted now, or there is no room.
    Paused,
}

/// What to do with the body that follows a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    /// There is none.
    None,
    /// Take it in when it is whole.
    Take,
    /// Drop it as it comes.
    Skip,
}

impl Input {
    pub(super) fn new(limits: &Limits) -> Self {
        let decoder = Decoder::new(limits.line_bytes_max, limits.payload_bytes_max);
        Self { decoder, body_of: None, deferred: None, bytes_seen: 0, has_read: false }
    }

    /// Takes in lines and bodies up to the next event; whether more bytes are needed for one.
    pub(super) fn handle(
        &mut self,
        calls: &mut Calls,
        input: &mut BytesMut,
        host: &mut impl Host,
    ) -> bool {
        if input.len() > self.bytes_seen {
            self.has_read = true;
            calls.handle_heard(|| host.now());
        }
        let is_short = loop {
            if calls.inbound.has_event() {
                self.bytes_seen = input.len();
                return false;
            }
            match self.take_in(calls, input, host, false) {
                Taken::Some => {}
                Taken::Short => break true,
                Taken::Paused => break false,
            }
        };
        self.bytes_seen = input.len();
        if std::mem::take(&mut self.has_read) {
            let position = self.decoder.position(input);
            calls.timeouts.handle_input(host.now(), position, self.decoder.units());
        }
        if is_short {
            calls.handle_input_wanted(|| host.now());
        } else {
            // A peer that is not read cannot be slow.
            calls.handle_input_paused();
        }
        is_short
    }

    /// Takes in another call beside those that have been given out and have not begun, and the
    /// replies on the way to it.
    pub(super) fn handle_more(
        &mut self,
        calls: &mut Calls,
        input: &mut BytesMut,
        host: &mut impl Host,
    ) {
        while self.deferred.is_none() && !calls.inbound.has_event() && calls.inbound.has_place() {
            if !matches!(self.take_in(calls, input, host, true), Taken::Some) {
                break;
            }
        }
    }

    /// Takes in a line, and its body if that is there, or else the body of the line before. With
    /// other calls beside it, only what surely runs, and replies.
    fn take_in(
        &mut self,
        calls: &mut Calls,
        input: &mut BytesMut,
        host: &mut impl Host,
        is_beside: bool,
    ) -> Taken {
        let holds = Holds { kept_bytes: calls.held_bytes(), payload_bytes: None };
        if !calls.wants_input() || host.hold(holds).is_err() {
            return Taken::Paused;
        }
        let mut decoded = self.decode(input);
        if let Ok(Some(wire::Event::Line(line))) = decoded {
            if let Line::Call { name, tag, .. } = &line
                && *name == PING
            {
                self.handle_ping(calls, *tag);
                return Taken::Some;
            }
            let facts = facts_of_line(&line, host);
            if is_beside {
                self.handle_sure_line(calls, host.now(), line, facts);
            } else {
                self.handle_line(calls, host.now(), line, facts);
            }
            // Nothing has come to be held by a line whose body is wanted.
            if self.body_of.is_none() {
                return Taken::Some;
            }
            decoded = self.decoder.decode(input);
        }
        match decoded {
            Ok(Some(wire::Event::Body(body))) => {
                host.settle(input);
                match host.hold(self.holds_with(calls, &body)) {
                    Ok(()) => self.handle_body(calls, host.now(), body),
                    // Those before it may make room.
                    Err(_) if is_beside => self.deferred = Some(Box::new(wire::Event::Body(body))),
                    Err(error) => self.handle_body_refused(calls, &error),
                }
                Taken::Some
            }
            Ok(_) => Taken::Short,
            Err(flaw) => {
                calls.inbound.close(flaw.into());
                Taken::Some
            }
        }
    }

    /// There is no room for what is still to come of a body.
    pub(super) fn refuse(&mut self, calls: &mut Calls, error: &Error) {
        self.decoder.skip_body();
        self.handle_body_refused(calls, error);
        self.has_read = true;
    }

    /// What a plain call left may be the beginning of a line, and its time runs.
    pub(super) fn handle_plain_end(&mut self) {
        self.bytes_seen = 0;
    }

    /// Where the input is, given what is left of it.
    pub(super) fn position(&self, rest: &[u8]) -> Position {
        self.decoder.position(rest)
    }

    pub(super) fn missing_body_bytes(&self, input: &[u8]) -> usize {
        self.decoder.missing_body_bytes(input)
    }

    fn decode(&mut self, input: &mut BytesMut) -> Result<Option<wire::Event>, Flaw> {
        match self.deferred.take() {
            Some(event) => Ok(Some(*event)),
            None => self.decoder.decode(input),
        }
    }

    /// Answers that somebody is there: at once, whatever else is under way or the limits are, and
    /// no mistake whatever came with it.
    fn handle_ping(&mut self, calls: &mut Calls, tag: Tag) {
        self.decoder.skip_body();
        if tag == 0 {
            return;
        }
        if calls.inbound.in_flight.find(tag).is_some() {
            return calls.inbound.close(Violation::DuplicateTag(tag));
        }
        let pong = Line::Reply(tag, Part::Ok(0), Options::default());
        calls.backlog.outbox.push_line(&pong);
    }

    /// Takes in the line of a call that surely runs, or of a reply.
    fn handle_sure_line(&mut self, calls: &mut Calls, now: Instant, line: Line, facts: OwnFacts) {
        let (is_open, facts_of) = (takes_calls(calls), facts.as_deref());
        match line {
            Line::Call { name, tag, len, options }
                if calls.inbound.is_sure_to_run(is_open, facts_of, (tag, len), &options) =>
            {
                self.expect_call(now, name, tag, options, facts);
                self.take_body(calls, len);
            }
            Line::Reply(1.., ..) => self.handle_line(calls, now, line, facts),
            line => self.deferred = Some(Box::new(wire::Event::Line(line))),
        }
    }

    /// Takes in a line, and its body or not. `facts` are those of a call's command.
    fn handle_line(&mut self, calls: &mut Calls, now: Instant, line: Line, facts: OwnFacts) {
        let body_len = line.body_len().unwrap_or_default();
        match self.body_after(calls, now, line, facts) {
            Ok(Body::None) => {}
            Ok(Body::Skip) => self.decoder.skip_body(),
            Ok(Body::Take) => self.take_body(calls, body_len),
            Err(violation) => calls.inbound.close(violation),
        }
    }

    /// Takes the body of the line before, if it is as large as one of its command may be.
    fn take_body(&mut self, calls: &mut Calls, body_len: u64) {
        let payload_bytes_max = self.decoder.payload_bytes_max();
        let facts = match &self.body_of {
            Some(BodyOf::Call(_, facts)) => facts.as_deref(),
            Some(BodyOf::Reply(tag, head)) if !is_error(head.as_deref()) => {
                calls.outbound.facts_of(*tag)
            }
            Some(BodyOf::Reply(..) | BodyOf::Item(..) | BodyOf::Notice(_)) | None => None,
        };
        let Some(facts) = facts else {
            // As nearly always.
            if self.decoder.is_skipping() {
                self.refuse_large_body(calls, body_len, PayloadMax::of_limits(payload_bytes_max));
            }
            return;
        };
        let payload_max = facts.payload_max(payload_bytes_max);
        if payload_max.is_below(body_len) {
            return self.refuse_large_body(calls, body_len, payload_max);
        }
        let time = facts.long_body_time(payload_bytes_max, calls.timeouts.body_time_max());
        if let Some(time) = time {
            calls.timeouts.handle_long_body(self.decoder.units(), time);
        }
        self.decoder.take_body();
    }

    fn refuse_large_body(&mut self, calls: &mut Calls, body_len: u64, payload_max: PayloadMax) {
        self.decoder.skip_body();
        let text = payload_max.too_large(body_len);
        self.handle_body_refused(calls, &Error::found(Code::TooLarge, text));
    }

    /// Takes in a line; answers what to do with its body, or how it breaks the protocol.
    fn body_after(
        &mut self,
        calls: &mut Calls,
        now: Instant,
        line: Line,
        facts: OwnFacts,
    ) -> Result<Body, Violation> {
        match line {
            // No credit could come behind it.
            Line::Plain { .. } if calls.inbound.streams.len() > 0 => {
                Err(Violation::PlainBehindStream)
            }
            Line::Plain { name, format } => {
                calls.handle_plain(Plain { name, format });
                Ok(Body::None)
            }
            Line::Call { name, tag, len, options } => {
                let is_open = takes_calls(calls);
                let Calls { inbound, backlog, .. } = calls;
                let (facts_of, outbox) = (facts.as_deref(), &mut backlog.outbox);
                if !inbound.handle_call(is_open, facts_of, (tag, len), &options, outbox)? {
                    return Ok(Body::Skip);
                }
                Ok(self.expect_call(now, name, tag, options, facts))
            }
            Line::Request(tag, part, options) => {
                let Calls { inbound, backlog, .. } = calls;
                let is_item = inbound.handle_request(tag, part, &mut backlog.outbox)?;
                inbound.begin_waiting(|| now, &mut backlog.outbox);
                if is_item {
                    return Ok(self.expect(BodyOf::Item(Whose::Theirs, tag, options.position())));
                }
                Ok(if matches!(part, Part::Item(_)) { Body::Skip } else { Body::None })
            }
            Line::Reply(0, Part::Err(_, word), options) => {
                Ok(self.expect(BodyOf::Notice(Box::new((word, options)))))
            }
            Line::Reply(0, Part::Ok(0), _) => {
                calls.outbound.parting.handle_farewell();
                Ok(Body::Skip)
            }
            Line::Reply(tag, part, options) => {
                let Calls { outbound, backlog, wakers, .. } = calls;
                let line = (tag, part, &options);
                let answer = outbound.handle_reply(line, &mut backlog.outbox, &mut wakers.due)?;
                let word = match answer {
                    Answer::Final(word) => word,
                    Answer::Item => {
                        let position = options.position();
                        return Ok(self.expect(BodyOf::Item(Whose::Ours, tag, position)));
                    }
                    Answer::Unwanted => return Ok(Body::Skip),
                    Answer::Nothing => return Ok(Body::None),
                };
                let is_bare = word.is_none() && options.as_bytes().is_empty();
                let head = (!is_bare).then(|| Box::new(Head { word, options }));
                Ok(self.expect(BodyOf::Reply(tag, head)))
            }
        }
    }

    /// Takes in the body of the line before, whole.
    fn handle_body(&mut self, calls: &mut Calls, now: Instant, body: Bytes) {
        match self.body_of.take() {
            Some(BodyOf::Call(mut call, facts)) => {
                let is_open = takes_calls(calls);
                call.payload = body;
                calls.inbound.handle_body(now, is_open, (call, facts), &mut calls.backlog.outbox);
            }
            Some(BodyOf::Reply(tag, head)) => {
                let reply = match head.map(|head| *head) {
                    None => Ok(Received { payload: body, options: Options::default() }),
                    Some(Head { word: None, options }) => Ok(Received { payload: body, options }),
                    Some(Head { word: Some(word), options }) => Err(options.error(word, body)),
                };
                calls.wakers.due.extend(calls.outbound.handle_body(tag, reply));
            }
            Some(BodyOf::Item(whose, tag, position)) => {
                let item = Item { payload: body, position };
                calls.streams_of(whose).0.handle_item(tag, item);
            }
            Some(BodyOf::Notice(head)) => {
                calls.outbound.parting.handle_notice(head.0, &head.1, &body)
            }
            None => {}
        }
    }

    /// The body of the line before is too large, or there is no room for it.
    fn handle_body_refused(&mut self, calls: &mut Calls, error: &Error) {
        match self.body_of.take() {
            None | Some(BodyOf::Notice(_)) => {}
            Some(BodyOf::Call(call, _)) => {
                calls.inbound.refuse(call.id.tag, error, &mut calls.backlog.outbox)
            }
            Some(BodyOf::Item(whose, tag, _)) => calls.end_stream(whose, tag, error),
            Some(BodyOf::Reply(tag, ..)) => {
                let error = error.restated().of_reply();
                calls.wakers.due.extend(calls.outbound.handle_body(tag, Err(error)));
            }
        }
    }

    /// What is held with the body of the line before.
    fn holds_with(&self, calls: &Calls, body: &Bytes) -> Holds {
        let (kept_bytes, body_bytes) = (calls.held_bytes(), body.len());
        let more_bytes = match &self.body_of {
            Some(BodyOf::Call(call, _)) if call.id.tag == 0 && calls.inbound.is_next_to_wait() => {
                one_way::bytes_of(call, body_bytes)
            }
            Some(BodyOf::Call(call, _)) => {
                let payload_bytes = Some(body_bytes.saturating_add(call.options_bytes()));
                return Holds { kept_bytes, payload_bytes };
            }
            Some(BodyOf::Item(..)) => Item::held_bytes(body_bytes),
            Some(BodyOf::Reply(..) | BodyOf::Notice(_)) | None => body_bytes,
        };
        Holds { kept_bytes: kept_bytes.saturating_add(more_bytes), payload_bytes: None }
    }

    fn expect_call(
        &mut self,
        now: Instant,
        name: Name,
        tag: Tag,
        options: Options,
        facts: OwnFacts,
    ) -> Body {
        let (id, payload) = (CallId { tag, is_streamed: false, serial: 0 }, Bytes::new());
        let call = Call { id, name, options, payload, deadline: now };
        self.expect(BodyOf::Call(Box::new(call), facts))
    }

    fn expect(&mut self, body_of: BodyOf) -> Body {
        self.body_of = Some(body_of);
        Body::Take
    }
}

/// Whether the line of a reply was that of an error.
fn is_error(head: Option<&Head>) -> bool {
    head.is_some_and(|head| head.word.is_some())
}

/// What the command of a call has in place of limits.
fn facts_of_line(line: &Line, host: &mut impl Host) -> OwnFacts {
    match line {
        Line::Call { name, .. } => host.facts_of(name)?.of_call(),
        _ => None,
    }
}
