//! The inbound half: calls that the peer made.
//!
//! A call has two lives that end separately: its place on the wire, from its line to its final
//! reply, and its handler, from [`Event::Call`] to `handle_reply`. Usually both end together. If
//! the caller cancels or the deadline passes, the final reply goes out at once and the handler is
//! told to stop; until it has stopped it counts as running, so a peer cannot have more handlers
//! running than its limit by cancelling.
//!
//! ```text
//!                   ┌──refused: err──► (gone)
//!   line, body ─────┤
//!                   └──► Open ──handle_reply: ok or err───────────────────► (gone)
//!                         │  cancel or deadline: err, Event::Stop
//!                         └──► (gone from the wire) ──handle_reply: nothing──► (gone)
//! ```
//!
//! A one-way call for which there is no place waits in `one_way` between its body and its handler.
//!
//! A plain call is a barrier: it is given out when no call before it is open, and no line is read
//! while it waits.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use super::deadlines::{Earliest, FOREVER};
use super::in_flight::InFlight;
use super::one_way::OneWay;
use super::tables::shrink_empty;
use super::{Call, CallId, Event, Plain, Tally, Violation};
use crate::error::{Code, Error};
use crate::limits::{Limits, over_time, too_large};
use crate::wire::{Line, Options, Outbox, Part, Tag};

#[derive(Debug)]
pub(super) struct Inbound {
    in_flight: InFlight,
    // Handlers that have not ended, of open calls and of others. running >= open.len()
    running: usize,
    last_serial: u64,
    earliest: Earliest,
    events: VecDeque<Event>,
    // Boxed, as few connections ever have one.
    plain: Option<Box<Plain>>,
    // A plain call has the stream.
    is_lent: bool,
    // Calls refused for a mistake of the caller's since the last one that went well.
    consecutive_errors: u32,
    tally: Tally,
    one_way: OneWay,
    payload_bytes_max: usize,
    calls_max: usize,
    consecutive_errors_max: u32,
    call_time_max: Duration,
}

impl Inbound {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            in_flight: InFlight::new(),
            running: 0,
            last_serial: 0,
            earliest: Earliest::default(),
            events: VecDeque::new(),
            plain: None,
            is_lent: false,
            consecutive_errors: 0,
            tally: Tally::default(),
            one_way: OneWay::new(limits.one_way_bytes_max),
            payload_bytes_max: limits.payload_bytes_max,
            calls_max: limits.calls_per_connection_max,
            consecutive_errors_max: limits.consecutive_errors_max,
            call_time_max: limits.call_time_max,
        }
    }

    /// Takes in the line of a call; whether its body is wanted.
    pub(super) fn handle_call(
        &mut self,
        is_open: bool,
        tag: Tag,
        len: u64,
        options: &Options,
        outbox: &mut Outbox,
    ) -> Result<bool, Violation> {
        match self.refusal(is_open, tag, len, options)? {
            Some(error) => {
                self.refuse(tag, &error, outbox);
                Ok(false)
            }
            None => Ok(true),
        }
    }

    /// Whether a call with this line surely runs once its body is there, and nothing is said of it.
    pub(super) fn is_sure_to_run(
        &self,
        is_open: bool,
        tag: Tag,
        len: u64,
        options: &Options,
    ) -> bool {
        let is_taken = matches!(self.refusal(is_open, tag, len, options), Ok(None));
        is_taken && options.time_ms() != Some(0)
    }

    /// Whether another handler may run.
    pub(super) fn has_place(&self) -> bool {
        self.running < self.calls_max
    }

    /// Calls of which only the last can be one mistake too many.
    pub(super) fn calls_at_once_max(&self) -> usize {
        let more = self.consecutive_errors_max.saturating_sub(self.consecutive_errors);
        usize::try_from(more).unwrap_or(usize::MAX).saturating_add(1)
    }

    /// Why a call with this line is refused, if it is.
    fn refusal(
        &self,
        is_open: bool,
        tag: Tag,
        len: u64,
        options: &Options,
    ) -> Result<Option<Error>, Violation> {
        if tag != 0 && self.in_flight.find(tag).is_some() {
            return Err(Violation::DuplicateTag(tag));
        }
        let payload_max = u64::try_from(self.payload_bytes_max).unwrap_or(u64::MAX);
        Ok(if !is_open {
            Some(no_more_calls())
        } else if len > payload_max {
            Some(Error::found(Code::TooLarge, too_large(len, self.payload_bytes_max)))
        } else if tag != 0 && !self.has_place() {
            let max = self.calls_max;
            let text = format!("calls_per_connection_max ({max}) are running");
            Some(Error::found(Code::Overloaded, text))
        } else if options.is_stream() {
            Some(Error::found(Code::UnsupportedFormat, "this command takes no stream"))
        } else {
            None
        })
    }

    /// Takes in the body of a call, which is whole now.
    pub(super) fn handle_body(
        &mut self,
        now: Instant,
        is_open: bool,
        call: Box<Call>,
        outbox: &mut Outbox,
    ) {
        let tag = call.id.tag;
        if !is_open {
            self.refuse(tag, &no_more_calls(), outbox);
        } else if tag == 0 && self.is_next_to_wait() {
            self.one_way.push(call);
        } else {
            let line_came = call.deadline;
            self.begin(now, line_came, call, outbox);
        }
    }

    /// Begins those that waited, as far as there is place for them.
    pub(super) fn begin_waiting(&mut self, now: impl Fn() -> Instant, outbox: &mut Outbox) {
        while self.has_place()
            && let Some(call) = self.one_way.pop()
        {
            // Waiting is not its handler's time.
            let now = now();
            self.begin(now, now, call, outbox);
        }
    }

    /// Begins a call. Our limit on its time counts from `since`, the caller's from its line.
    fn begin(&mut self, now: Instant, since: Instant, mut call: Box<Call>, outbox: &mut Outbox) {
        // A time too far away for the clock is as good as one that nobody lives to see.
        let after = |from: Instant, time| {
            from.checked_add(time).or_else(|| from.checked_add(FOREVER)).unwrap_or(now)
        };
        let ours = after(since, self.call_time_max);
        let asked = call.options.time_ms().map(Duration::from_millis);
        let asked = asked.map(|asked| after(call.deadline, asked));
        let is_limit = asked.is_none_or(|asked| asked > ours);
        let deadline = asked.map_or(ours, |asked| asked.min(ours));
        let tag = call.id.tag;
        if deadline <= now {
            let text = "the deadline had passed when the call arrived";
            self.refuse(tag, &Error::found(Code::DeadlineExceeded, text), outbox);
            return;
        }
        self.last_serial = self.last_serial.wrapping_add(1);
        let id = CallId { tag, serial: self.last_serial };
        self.in_flight.insert(id, deadline, is_limit);
        self.running = self.running.saturating_add(1);
        self.earliest.note(deadline);
        (call.id, call.deadline) = (id, deadline);
        self.events.push_back(Event::Call(call));
    }

    /// Takes in what the caller says about a call. A call that is over may still be spoken of by a
    /// caller who does not know yet.
    pub(super) fn handle_request(
        &mut self,
        tag: Tag,
        part: Part,
        outbox: &mut Outbox,
    ) -> Result<(), Violation> {
        let Some(id) = self.in_flight.find(tag) else {
            return Ok(());
        };
        if part != Part::Cancel {
            return Err(Violation::NotAStream(tag));
        }
        let _ = self.stop(id, &Error::found(Code::Cancelled, "the caller cancelled"), outbox);
        self.note_ended(id);
        Ok(())
    }

    pub(super) fn handle_plain(&mut self, plain: Plain) {
        self.plain = Some(Box::new(plain));
    }

    pub(super) fn handle_reply(
        &mut self,
        id: CallId,
        reply: Result<BytesMut, Error>,
        outbox: &mut Outbox,
    ) {
        self.running = self.running.saturating_sub(1);
        if !self.in_flight.remove(id) {
            return;
        }
        self.note_ended(id);
        match reply {
            Ok(payload) if payload.len() > self.payload_bytes_max => {
                if id.tag != 0 {
                    // The same code as for the caller's large payload, and not its mistake.
                    let text = too_large(payload.len(), self.payload_bytes_max);
                    push_error(id.tag, &Error::found(Code::TooLarge, text), outbox);
                }
            }
            Ok(payload) => {
                self.consecutive_errors = 0;
                if id.tag != 0 {
                    let len = u64::try_from(payload.len()).unwrap_or(u64::MAX);
                    outbox.push_line(&Line::Reply(id.tag, Part::Ok(len)));
                    outbox.push_body(payload);
                }
            }
            // Whatever its code, it is no mistake of the caller's that the handler returned it.
            Err(error) if id.tag != 0 => push_error(id.tag, &error, outbox),
            Err(_) => {}
        }
    }

    pub(super) fn handle_refusal(&mut self, id: CallId, error: &Error, outbox: &mut Outbox) {
        self.running = self.running.saturating_sub(1);
        if self.in_flight.remove(id) {
            if id.tag != 0 {
                self.note_ended(id);
            }
            self.refuse(id.tag, error, outbox);
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, outbox: &mut Outbox) {
        if self.earliest.0.is_none_or(|earliest| earliest > now) {
            return;
        }
        self.earliest = Earliest::default();
        let mut late = Vec::new();
        for (id, open) in self.in_flight.iter() {
            if open.deadline <= now {
                late.push((id, open.is_limit));
            } else {
                self.earliest.note(open.deadline);
            }
        }
        for (id, is_limit) in late {
            let error = if is_limit {
                Error::found(Code::DeadlineExceeded, over_time(self.call_time_max))
            } else {
                Error::found(Code::DeadlineExceeded, "the handler did not answer in time")
            };
            if self.stop(id, &error, outbox) || id.tag != 0 {
                self.note_ended(id);
            } else {
                self.note_refused(id.tag);
            }
        }
    }

    /// Ends every call that is open.
    pub(super) fn cancel_all(&mut self, drain_time_max: Duration, outbox: &mut Outbox) {
        let text = format!("the call did not end within drain_time_max ({drain_time_max:?})");
        let error = Error::found(Code::Cancelled, text);
        let ids: Vec<_> = self.in_flight.iter().map(|(id, _)| id).collect();
        let waiting = self.one_way.clear();
        self.note_cut_off(ids.len().saturating_add(waiting));
        for id in ids {
            let _ = self.stop(id, &error, outbox);
        }
    }

    /// The peer is gone: nobody wants an answer any more.
    pub(super) fn abandon(&mut self) {
        self.plain = None;
        // Calls that nobody has seen need not be stopped; those that were told to stop still must.
        let (open, mut unseen) = (&mut self.in_flight, 0_usize);
        self.events.retain(|event| match event {
            Event::Call(call) => {
                open.remove(call.id);
                unseen = unseen.saturating_add(1);
                false
            }
            Event::Stop(_) => true,
            Event::Plain(_) | Event::Close(_) => false,
        });
        self.running = self.running.saturating_sub(unseen);
        let waiting = self.one_way.clear();
        let events = self.events.len();
        self.events.extend(self.in_flight.take().map(Event::Stop));
        let stopped = self.events.len().saturating_sub(events);
        self.note_cut_off(stopped.saturating_add(unseen).saturating_add(waiting));
    }

    /// The peer broke the protocol.
    pub(super) fn close(&mut self, violation: Violation) {
        self.events.push_back(Event::Close(violation));
    }

    /// Whether there was a plain call that waited.
    pub(super) fn drop_plain(&mut self) -> bool {
        self.plain.take().is_some()
    }

    pub(super) fn poll_event(&mut self) -> Option<Event> {
        if self.is_lent {
            return None;
        }
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        shrink_empty(&mut self.events);
        if self.plain.is_none() || !self.is_replied() {
            return None;
        }
        self.is_lent = true;
        self.plain.take().map(Event::Plain)
    }

    pub(super) fn has_event(&self) -> bool {
        let has_plain = || self.plain.is_some() && self.is_replied();
        !self.is_lent && (!self.events.is_empty() || has_plain())
    }

    /// Whether a plain call has the stream: nothing else is given out, read or written.
    pub(super) const fn is_lent(&self) -> bool {
        self.is_lent
    }

    /// The plain call has given the stream back.
    pub(super) fn handle_plain_end(&mut self) {
        self.is_lent = false;
    }

    pub(super) const fn tally(&self) -> Tally {
        self.tally
    }

    pub(super) const fn one_way(&self) -> &OneWay {
        &self.one_way
    }

    /// Whether a one-way call that comes now has to wait.
    pub(super) fn is_next_to_wait(&self) -> bool {
        !self.has_place() || !self.one_way.is_empty()
    }

    pub(super) fn is_wanted(&self, id: CallId) -> bool {
        self.in_flight.contains(id)
    }

    /// Whether every call has its final reply, a plain one its end, and no event waits.
    pub(super) fn is_answered(&self) -> bool {
        let is_empty = self.in_flight.is_empty() && self.one_way.is_empty();
        is_empty && self.events.is_empty() && self.plain.is_none() && !self.is_lent
    }

    /// Whether what follows cannot be taken in: a plain call waits for the answers before it or has
    /// the stream, or as many one-way calls wait as may.
    pub(super) fn is_held_up(&self) -> bool {
        self.plain.is_some() || self.is_lent || self.one_way.is_full()
    }

    pub(super) const fn payload_bytes_max(&self) -> usize {
        self.payload_bytes_max
    }

    pub(super) fn is_idle(&self) -> bool {
        !self.is_lent && self.is_at_rest()
    }

    /// Whether no handler is running, but perhaps that of a plain call.
    pub(super) fn is_at_rest(&self) -> bool {
        self.running == 0 && self.plain.is_none() && self.one_way.is_empty()
    }

    pub(super) const fn earliest(&self) -> Option<Instant> {
        self.earliest.0
    }

    /// Whether every call that wants a reply has one.
    fn is_replied(&self) -> bool {
        self.in_flight.iter().all(|(id, _)| id.tag == 0)
    }

    /// Answers an open call with an error while its handler is still running, or before it is.
    /// Whether that has been seen; if not, it never begins.
    fn stop(&mut self, id: CallId, error: &Error, outbox: &mut Outbox) -> bool {
        if !self.in_flight.remove(id) {
            return true;
        }
        if id.tag != 0 {
            push_error(id.tag, error, outbox);
        }
        let events = self.events.len();
        self.events.retain(|event| !matches!(event, Event::Call(call) if call.id == id));
        let was_seen = self.events.len() == events;
        if was_seen {
            self.events.push_back(Event::Stop(id));
        } else {
            self.running = self.running.saturating_sub(1);
        }
        was_seen
    }

    /// A call has ended by its handler, its deadline or its caller.
    fn note_ended(&mut self, id: CallId) {
        let Tally { answered, one_way, .. } = &mut self.tally;
        let count = if id.tag == 0 { one_way } else { answered };
        *count = count.saturating_add(1);
    }

    /// A call does not run. If it has a tag its caller has been told.
    fn note_refused(&mut self, tag: Tag) {
        if tag == 0 {
            self.tally.one_way_refused = self.tally.one_way_refused.saturating_add(1);
        }
    }

    fn note_cut_off(&mut self, calls: usize) {
        let calls = u64::try_from(calls).unwrap_or(u64::MAX);
        self.tally.cut_off = self.tally.cut_off.saturating_add(calls);
    }

    /// Answers a call that does not run.
    pub(super) fn refuse(&mut self, tag: Tag, error: &Error, outbox: &mut Outbox) {
        if is_callers_mistake(error.code()) {
            let is_last_straw = self.consecutive_errors == self.consecutive_errors_max;
            self.consecutive_errors = self.consecutive_errors.saturating_add(1);
            if is_last_straw {
                self.close(Violation::TooManyErrors(self.consecutive_errors_max));
            }
        }
        if tag != 0 {
            push_error(tag, error, outbox);
        }
        self.note_refused(tag);
    }
}

/// Tells the peer something about the whole connection, or about a call without a tag.
pub(super) fn tell(error: &Error, outbox: &mut Outbox) {
    push_error(0, error, outbox);
}

pub(super) fn no_more_calls() -> Error {
    Error::found(Code::ShuttingDown, "no more calls are taken")
}

/// Mistakes that a peer of good will does not make again and again.
const fn is_callers_mistake(code: Code) -> bool {
    matches!(
        code,
        Code::UnknownCommand | Code::BadPayload | Code::TooLarge | Code::UnsupportedFormat
    )
}

/// Writes an error, as far as it is for the peer.
fn push_error(tag: Tag, error: &Error, outbox: &mut Outbox) {
    let (code, text) = error.told();
    let len = u64::try_from(text.len()).unwrap_or(u64::MAX);
    outbox.push_line(&Line::Reply(tag, Part::Err(len, code)));
    outbox.push_body(Bytes::copy_from_slice(text.as_bytes()));
}
