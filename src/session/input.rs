//! What arrives: bytes in, events out.
//!
//! The session cuts what has been read into lines and bodies and takes them in, up to the next
//! event and no further: a call that is answered at once has given back its place before the next
//! one is looked at, so what is refused does not depend on how the bytes came.
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
//! owner's to account for: so whether there is room is asked of the owner, before each step.

use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::event::BodyOf;
use super::{Call, CallId, Plain, Session, Violation, one_way};
use crate::error::{Code, Error};
use crate::limits::too_large;
use crate::wire::{self, Line, Part, Position};

/// What is held when the next line or body has been taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holds {
    /// Bytes that the session keeps itself; see [`Session::held_bytes`].
    pub kept_bytes: usize,
    /// The size of the payload, if a call is given out to be run.
    pub payload_bytes: Option<usize>,
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

impl Session {
    /// Takes in what has been read, up to the next event; whether more bytes are needed for one.
    ///
    /// `hold` is asked before each step whether so much can be held. If it cannot, no more is taken
    /// in for now, but a body, which is refused. After a body has been taken out it also gets what
    /// is left of the input.
    pub fn handle_input(
        &mut self,
        mut now: impl FnMut() -> Instant,
        input: &mut BytesMut,
        mut hold: impl FnMut(Option<&mut BytesMut>, Holds) -> Result<(), Error>,
    ) -> bool {
        self.has_read |= input.len() > self.input_bytes_seen;
        let is_short = loop {
            if self.has_event() {
                self.input_bytes_seen = input.len();
                return false;
            }
            let holds = Holds { kept_bytes: self.held_bytes(), payload_bytes: None };
            if !self.wants_input() || hold(None, holds).is_err() {
                break false;
            }
            match self.decoder.decode(input) {
                Ok(Some(wire::Event::Line(line))) => self.handle_line(now(), line),
                Ok(Some(wire::Event::Body(body))) => {
                    match hold(Some(input), self.holds_with(&body)) {
                        Ok(()) => self.handle_body(now(), body),
                        Err(error) => self.handle_body_refused(&error),
                    }
                }
                Ok(None) => break true,
                Err(flaw) => self.inbound.close(flaw.into()),
            }
        };
        self.input_bytes_seen = input.len();
        if std::mem::take(&mut self.has_read) {
            let position = self.decoder.position(input);
            self.timeouts.handle_input(now(), position, self.decoder.units());
        }
        if !is_short {
            // A peer that is not read cannot be slow.
            self.timeouts.handle_input_paused();
        }
        is_short
    }

    /// There is no room for what is still to come of a body: what has come of it is dropped, and
    /// the rest as it comes.
    pub fn handle_input_refused(&mut self, error: &Error) {
        self.decoder.skip_body();
        self.handle_body_refused(error);
        self.has_read = true;
    }

    /// The peer has ended its side, and has sent this that could not be taken in.
    ///
    /// # Errors
    ///
    /// It was in the middle of a line or a body.
    pub fn handle_end(&mut self, rest: &[u8]) -> Result<(), Violation> {
        match self.decoder.position(rest) {
            Position::Boundary => {
                self.handle_eof();
                Ok(())
            }
            Position::Line | Position::Body => Err(Violation::CutShort),
        }
    }

    /// Whether more should be read. Not while a plain call waits for the answers before it, not
    /// while the peer does not read what we answer, and not while as many one-way calls wait as
    /// may.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        let is_held_up = self.inbound.has_plain() || self.inbound.one_way().is_full();
        if self.is_eof || self.is_lent || is_held_up {
            return false;
        }
        // While we wait for replies ourselves, what the peer asks is read a little longer.
        let spare_bytes = self.inbound.payload_bytes_max();
        self.backlog.has_answer_room(0)
            || !self.outbound.is_idle() && self.backlog.has_answer_room(spare_bytes)
    }

    /// Bytes that are still to come of the body that is being read. A hint for how much to read at
    /// once, not a promise of the peer's.
    #[must_use]
    pub fn missing_body_bytes(&self, input: &[u8]) -> usize {
        self.decoder.missing_body_bytes(input)
    }

    fn handle_line(&mut self, now: Instant, line: Line) {
        let body_len = line.body_len().unwrap_or_default();
        match self.body_after(now, line) {
            Ok(Body::None) => {}
            Ok(Body::Skip) => self.decoder.skip_body(),
            Ok(Body::Take) if self.decoder.is_skipping() => {
                let text = too_large(body_len, self.decoder.payload_bytes_max());
                self.handle_body_refused(&Error::found(Code::TooLarge, text));
            }
            Ok(Body::Take) => {}
            Err(violation) => self.inbound.close(violation),
        }
    }

    /// Takes in a line; answers what to do with its body, or how it breaks the protocol.
    fn body_after(&mut self, now: Instant, line: Line) -> Result<Body, Violation> {
        match line {
            Line::Plain { name, format } => {
                self.inbound.handle_plain(Plain { name, format });
                if self.is_draining {
                    self.refuse_plain();
                }
                Ok(Body::None)
            }
            Line::Call { name, tag, len, options } => {
                let is_open = self.takes_calls();
                let outbox = &mut self.backlog.outbox;
                if !self.inbound.handle_call(is_open, tag, len, &options, outbox)? {
                    return Ok(Body::Skip);
                }
                let id = CallId { tag, serial: 0 };
                let call = Call { id, name, options, payload: Bytes::new(), deadline: now };
                Ok(self.expect(BodyOf::Call(Box::new(call))))
            }
            Line::Request(tag, part) => {
                self.inbound.handle_request(tag, part, &mut self.backlog.outbox)?;
                self.inbound.begin_waiting(|| now, &mut self.backlog.outbox);
                Ok(if matches!(part, Part::Item(_)) { Body::Skip } else { Body::None })
            }
            Line::Reply(0, Part::Err(_, code)) => Ok(self.expect(BodyOf::Notice(code))),
            Line::Reply(0, Part::Ok(0)) => {
                self.outbound.handle_farewell();
                Ok(Body::Skip)
            }
            Line::Reply(tag, part) => {
                let code = self.outbound.handle_reply(tag, part)?;
                Ok(self.expect(BodyOf::Reply(tag, code)))
            }
        }
    }

    /// Takes in the body of the line before, whole.
    fn handle_body(&mut self, now: Instant, body: Bytes) {
        match self.body_of.take() {
            Some(BodyOf::Call(mut call)) => {
                let is_open = self.takes_calls();
                call.payload = body;
                self.inbound.handle_body(now, is_open, call, &mut self.backlog.outbox);
            }
            Some(BodyOf::Reply(tag, code)) => {
                let reply = match code {
                    None => Ok(body),
                    Some(code) => Err(Error::from_peer(code, &body)),
                };
                self.wakers.extend(self.outbound.handle_body(tag, reply));
            }
            Some(BodyOf::Notice(code)) => self.outbound.handle_notice(code, &body),
            None => {}
        }
    }

    /// The body of the line before is too large, or there is no room for it.
    fn handle_body_refused(&mut self, error: &Error) {
        match self.body_of.take() {
            None | Some(BodyOf::Notice(_)) => {}
            Some(BodyOf::Call(call)) => {
                self.inbound.refuse(call.id.tag, error, &mut self.backlog.outbox)
            }
            Some(BodyOf::Reply(tag, _)) => {
                let error = Error::local(error.code(), error.text().to_owned()).of_reply();
                self.wakers.extend(self.outbound.handle_body(tag, Err(error)));
            }
        }
    }

    /// What is held with the body of the line before.
    fn holds_with(&self, body: &Bytes) -> Holds {
        let (kept_bytes, body_bytes) = (self.held_bytes(), body.len());
        let more_bytes = match &self.body_of {
            Some(BodyOf::Call(call)) if call.id.tag == 0 && self.inbound.is_next_to_wait() => {
                one_way::bytes_of(body_bytes)
            }
            Some(BodyOf::Call(_)) => {
                return Holds { kept_bytes, payload_bytes: Some(body_bytes) };
            }
            Some(BodyOf::Reply(..) | BodyOf::Notice(_)) | None => body_bytes,
        };
        Holds { kept_bytes: kept_bytes.saturating_add(more_bytes), payload_bytes: None }
    }

    fn expect(&mut self, body_of: BodyOf) -> Body {
        self.body_of = Some(body_of);
        Body::Take
    }
}
