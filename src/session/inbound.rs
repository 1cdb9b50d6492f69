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
//! A streamed call may have items to go when its handler ends. Its reply is kept and goes behind
//! the last of them; until then, or until it ends before, it has its place among the streams.

use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::agenda::Agenda;
use super::deadlines::{Earliest, FOREVER, after};
use super::event::{OwnFacts, Whose};
use super::in_flight::{InFlight, Open};
use super::mistakes::Mistakes;
use super::one_way::OneWay;
use super::sizes::Sizes;
use super::stream::{Halves, Taken};
use super::streams::Streams;
use super::told::{drained, endless, no_more_calls, push_error};
use super::{Call, CallId, Event, Tally, Violation};
use crate::command::Facts;
use crate::error::{Code, Error};
use crate::limits::{Limits, TimeMax};
use crate::wire::{Line, Metadata, Options, Outbox, Part, Tag};

#[derive(Debug)]
pub(super) struct Inbound {
    pub(super) in_flight: InFlight,
    // Handlers that have not ended, of open calls and of others. running >= open.len()
    running: usize,
    // Those of streamed calls, which are not among them.
    streaming: usize,
    pub(super) streams: Streams,
    last_serial: u64,
    pub(super) earliest: Earliest,
    pub(super) agenda: Agenda,
    pub(super) mistakes: Mistakes,
    tally: Tally,
    pub(super) one_way: OneWay,
    pub(super) sizes: Sizes,
    calls_max: usize,
    call_time_max: Duration,
}

impl Inbound {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            in_flight: InFlight::new(),
            running: 0,
            streaming: 0,
            streams: Streams::new(Whose::Theirs, limits),
            last_serial: 0,
            earliest: Earliest::default(),
            agenda: Agenda::default(),
            mistakes: Mistakes::new(limits.consecutive_errors_max),
            tally: Tally::default(),
            one_way: OneWay::new(limits.one_way_bytes_max),
            sizes: Sizes::new(limits.payload_bytes_max),
            calls_max: limits.calls_per_connection_max,
            call_time_max: limits.call_time_max,
        }
    }

    /// Takes in the line of a call; whether its body is wanted. `facts` are those of its command
    /// that stand in the place of limits.
    pub(super) fn handle_call(
        &mut self,
        is_open: bool,
        facts: Option<&Facts>,
        (tag, len): (Tag, u64),
        options: &Options,
        outbox: &mut Outbox,
    ) -> Result<bool, Violation> {
        let refusal = self.refusal(is_open, facts, (tag, len), options)?;
        if let Some(error) = &refusal {
            self.refuse(tag, error, outbox);
        }
        Ok(refusal.is_none())
    }

    /// Whether a call with this line surely runs once its body is there.
    pub(super) fn is_sure_to_run(
        &self,
        is_open: bool,
        facts: Option<&Facts>,
        line: (Tag, u64),
        options: &Options,
    ) -> bool {
        let is_taken = matches!(self.refusal(is_open, facts, line, options), Ok(None));
        is_taken && options.time_ms() != Some(0)
    }

    /// Whether another handler may run.
    pub(super) fn has_place(&self) -> bool {
        self.running < self.calls_max
    }

    /// Why a call with this line is refused, if it is.
    fn refusal(
        &self,
        is_open: bool,
        facts: Option<&Facts>,
        (tag, len): (Tag, u64),
        options: &Options,
    ) -> Result<Option<Error>, Violation> {
        if tag != 0 && self.in_flight.find(tag).is_some() {
            return Err(Violation::DuplicateTag(tag));
        }
        let (payload_max, halves) = (self.sizes.payload_max(facts), Halves::of(options));
        Ok(if !is_open {
            Some(no_more_calls())
        } else if payload_max.is_below(len) {
            Some(Error::found(Code::TooLarge, payload_max.too_large(len)))
        } else if let Some(error) = halves.mismatch(tag, facts) {
            Some(error)
        } else if !halves.are_none() {
            self.streams.check_room(self.streaming)
        } else if tag != 0 && !self.has_place() {
            let max = self.calls_max;
            let text = format!("calls_per_connection_max ({max}) are running");
            Some(Error::found(Code::Overloaded, text))
        } else {
            None
        })
    }

    /// Takes in the body of a call, which is whole now.
    pub(super) fn handle_body(
        &mut self,
        now: Instant,
        is_open: bool,
        (call, facts): (Box<Call>, OwnFacts),
        outbox: &mut Outbox,
    ) {
        let tag = call.id.tag;
        if !is_open {
            self.refuse(tag, &no_more_calls(), outbox);
        } else if tag == 0 && self.is_next_to_wait() {
            self.one_way.push(call, facts);
        } else {
            let line_came = call.deadline;
            self.begin(now, line_came, (call, facts), outbox);
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
    fn begin(
        &mut self,
        now: Instant,
        since: Instant,
        (mut call, facts): (Box<Call>, OwnFacts),
        outbox: &mut Outbox,
    ) {
        let halves = Halves::of(&call.options).taken_by(facts.as_deref());
        let tag = call.id.tag;
        let (is_streamed, time) = (!halves.are_none(), self.time_max(facts.as_deref()).time);
        // A stream lasts as long as its caller says.
        let ours = after(since, if is_streamed { FOREVER } else { time });
        let asked = call.options.time_ms().map(Duration::from_millis);
        let asked = asked.map(|asked| after(call.deadline, asked));
        let is_limit = asked.is_none_or(|asked| asked > ours);
        let deadline = asked.map_or(ours, |asked| asked.min(ours));
        if deadline <= now {
            let text = "the deadline had passed when the call arrived";
            return self.refuse(tag, &Error::found(Code::DeadlineExceeded, text), outbox);
        }
        self.last_serial = self.last_serial.wrapping_add(1);
        let serial = self.last_serial;
        let id = CallId { tag, is_streamed, serial };
        self.in_flight.insert(id, Open::new(id, (deadline, is_limit), facts));
        if is_streamed {
            self.streaming = self.streaming.saturating_add(1);
            self.streams.begin_taken(id, halves);
        } else {
            self.running = self.running.saturating_add(1);
        }
        self.earliest.note(deadline);
        (call.id, call.deadline) = (id, deadline);
        self.agenda.push(Event::Call(call));
    }

    /// Takes in what the caller says about a call; whether the body of it is an item. A call that
    /// is over may still be spoken of by a caller who does not know yet.
    pub(super) fn handle_request(
        &mut self,
        tag: Tag,
        part: Part,
        outbox: &mut Outbox,
    ) -> Result<bool, Violation> {
        let Some(id) = self.in_flight.find(tag) else { return Ok(false) };
        if part == Part::Cancel {
            self.end_stream(id, Error::found(Code::Cancelled, "the caller cancelled"), outbox);
            return Ok(false);
        }
        if !id.is_streamed {
            return Err(Violation::NotAStream(tag));
        }
        let taken = self.streams.handle_line(tag, part, None)?;
        let Part::Item(len) = part else { return Ok(false) };
        if let Some(error) = self.streams.check_size(len) {
            self.end_stream(id, error, outbox);
            return Ok(false);
        }
        Ok(taken == Taken::Item)
    }

    /// Ends a call, with its streams, by an error of the caller's or for want of memory.
    pub(super) fn end_stream(&mut self, id: CallId, error: Error, outbox: &mut Outbox) {
        let _ = self.stop(id, error, outbox);
        self.tally.note_ended(id.tag);
    }

    pub(super) fn handle_reply(
        &mut self,
        id: CallId,
        reply: Result<BytesMut, Error>,
        outbox: &mut Outbox,
    ) {
        if self.end_items(id, outbox) {
            return self.in_flight.keep_reply(id, reply);
        }
        self.note_handler_ended(id);
        self.push_reply(id, reply, outbox);
    }

    /// The handler of a call has ended, and sends no more items; whether some are still to go.
    pub(super) fn end_items(&mut self, id: CallId, outbox: &mut Outbox) -> bool {
        id.is_streamed && !self.streams.finish(id.into(), outbox)
    }

    /// The last item of a streamed call has gone.
    pub(super) fn handle_last_item(&mut self, tag: Tag, outbox: &mut Outbox) {
        if let Some(id) = self.in_flight.find(tag)
            && let Some(reply) = self.in_flight.take_reply(id)
        {
            self.note_handler_ended(id);
            self.push_reply(id, reply, outbox);
        }
    }

    fn push_reply(&mut self, id: CallId, reply: Result<BytesMut, Error>, outbox: &mut Outbox) {
        let Some(open) = self.in_flight.remove(id) else { return };
        self.streams.remove(id.tag);
        self.tally.note_ended(id.tag);
        let payload_max = self.sizes.payload_max(open.facts.as_deref());
        let metadata = open.metadata.as_deref();
        match reply {
            Ok(payload) if payload.len() > payload_max.bytes => {
                if id.tag != 0 {
                    // The same code as for the caller's large payload, and not its mistake.
                    let text = payload_max.too_large(payload.len());
                    let too_large = Error::found(Code::TooLarge, text).after_running();
                    push_error(id.tag, &too_large, metadata, outbox);
                }
            }
            Ok(payload) => {
                self.sizes.note_reply(payload.len());
                self.mistakes.forget();
                if id.tag != 0 {
                    let len = u64::try_from(payload.len()).unwrap_or(u64::MAX);
                    outbox.push_line(&Line::Reply(
                        id.tag,
                        Part::Ok(len),
                        Options::default().with_some_metadata(metadata),
                    ));
                    outbox.push_body(payload);
                }
            }
            // Whatever its code, it is no mistake of the caller's that the handler returned it.
            Err(_) if id.tag == 0 => {}
            Err(error) => push_error(id.tag, &error.after_running(), metadata, outbox),
        }
    }

    /// Keeps what a handler says beside its reply, whatever that will be.
    pub(super) fn set_reply_metadata(&mut self, id: CallId, metadata: Metadata) {
        self.in_flight.set_metadata(id, metadata);
    }

    pub(super) fn handle_refusal(&mut self, id: CallId, error: &Error, outbox: &mut Outbox) {
        self.note_handler_ended(id);
        if self.in_flight.remove(id).is_some() {
            self.streams.remove(id.tag);
            if id.tag != 0 {
                self.tally.note_ended(id.tag);
            }
            self.refuse(id.tag, error, outbox);
            self.tally.note_handed_back();
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
                let limit = open.is_limit.then(|| self.time_max(open.facts.as_deref()));
                late.push((id, limit));
            } else {
                self.earliest.note(open.deadline);
            }
        }
        for (id, limit) in late {
            let text = limit.map(TimeMax::over_time);
            let text = text.unwrap_or_else(|| "the handler did not answer in time".to_owned());
            let error = Error::found(Code::DeadlineExceeded, text);
            if self.stop(id, error, outbox) || id.tag != 0 {
                self.tally.note_ended(id.tag);
            } else {
                self.tally.note_refused(id.tag);
            }
        }
    }

    /// Ends every call that is open.
    pub(super) fn cancel_all(&mut self, drain_time_max: Duration, outbox: &mut Outbox) {
        let text = format!("the call did not end within drain_time_max ({drain_time_max:?})");
        let error = |id: CallId| drained(id.is_streamed, text.clone());
        let ids: Vec<_> = self.in_flight.iter().map(|(id, _)| id).collect();
        let waiting = self.one_way.clear();
        self.tally.note_cut_off(ids.len().saturating_add(waiting));
        for id in ids {
            let _ = self.stop(id, error(id), outbox);
        }
    }

    /// Ends every call that has no end of its own.
    pub(super) fn cancel_endless(&mut self, outbox: &mut Outbox) {
        for id in self.in_flight.endless() {
            self.end_stream(id, endless(), outbox);
        }
    }

    /// The peer is gone: nobody wants an answer any more.
    pub(super) fn abandon(&mut self) {
        // Calls that nobody has seen need not be stopped; those told to stop still must.
        let unseen = self.agenda.abandon();
        for id in &unseen {
            self.in_flight.remove(*id);
            self.note_handler_ended(*id);
        }
        let waiting = self.one_way.clear();
        self.streams.clear();
        let mut cut_off = unseen.len().saturating_add(waiting);
        for (id, open) in self.in_flight.take() {
            // The handler may have ended, and only its items be there still.
            if open.is_kept() {
                self.note_handler_ended(id);
            } else {
                self.agenda.push(Event::Stop(id));
            }
            cut_off = cut_off.saturating_add(1);
        }
        self.tally.note_cut_off(cut_off);
    }

    /// The peer broke the protocol.
    pub(super) fn close(&mut self, violation: Violation) {
        self.agenda.push(Event::Close(violation));
    }

    pub(super) fn poll_event(&mut self) -> Option<Event> {
        let Self { agenda, in_flight, .. } = self;
        agenda.poll(|| in_flight.is_replied())
    }

    pub(super) fn has_event(&self) -> bool {
        self.agenda.has_event(|| self.in_flight.is_replied())
    }

    pub(super) fn note_refusal(&mut self, error: &Error) {
        if let Some(max) = self.mistakes.note(error.code()) {
            self.close(Violation::TooManyErrors(max));
        }
    }

    pub(super) const fn tally(&self) -> Tally {
        Tally { plain: self.agenda.plain_calls, ..self.tally }
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
        is_empty && self.agenda.is_empty()
    }

    /// Whether what follows cannot be taken in: a plain call waits for the answers before it or has
    /// the stream, or as many one-way calls wait as may.
    pub(super) fn is_held_up(&self) -> bool {
        self.agenda.has_plain() || self.agenda.is_lent || self.one_way.is_full()
    }

    /// How long a handler of a command may run.
    fn time_max(&self, facts: Option<&Facts>) -> TimeMax {
        facts.copied().unwrap_or_default().time_max(self.call_time_max)
    }

    pub(super) fn is_idle(&self) -> bool {
        !self.agenda.is_lent && self.is_at_rest() && self.in_flight.is_empty()
    }

    /// Whether no handler is running, but perhaps that of a plain call.
    pub(super) fn is_at_rest(&self) -> bool {
        let is_running = self.running > 0 || self.streaming > 0;
        !is_running && !self.agenda.has_plain() && self.one_way.is_empty()
    }

    /// Answers an open call with an error while its handler is still running, or before it is.
    /// Whether that has been seen; if not, it never begins.
    fn stop(&mut self, id: CallId, error: Error, outbox: &mut Outbox) -> bool {
        let Some(open) = self.in_flight.remove(id) else {
            return true;
        };
        if id.is_streamed {
            self.streams.remove(id.tag);
        }
        let was_seen = !self.agenda.take_back(id);
        if id.tag != 0 {
            let error = if was_seen { error.after_running() } else { error };
            push_error(id.tag, &error, open.metadata.as_deref(), outbox);
        }
        // It may have ended, and only its items be there still.
        if was_seen && !open.is_kept() {
            self.agenda.push(Event::Stop(id));
        } else {
            self.note_handler_ended(id);
        }
        was_seen
    }

    fn note_handler_ended(&mut self, id: CallId) {
        let count = if id.is_streamed { &mut self.streaming } else { &mut self.running };
        *count = count.saturating_sub(1);
    }

    /// Answers a call that does not run.
    pub(super) fn refuse(&mut self, tag: Tag, error: &Error, outbox: &mut Outbox) {
        self.note_refusal(error);
        if tag != 0 {
            push_error(tag, error, None, outbox);
        }
        self.tally.note_refused(tag);
    }
}
