//! The calls of both directions, and what the two halves share.
//!
//! Each part owns its state and changes no other's; `inbound` and `outbound` each own `streams`.
//! What several must be told together, and more than one has to tell them, is here: what is due,
//! what stands in the way, and the ways to the end.
//!
//! It does not know how bytes become lines: `input` does, and says what came. Whether a call may be
//! made while the session closes is asked in `calling_back`.
//!
//! Wakers are collected in `wakers`: nobody in here wakes, clones or drops one.

use std::task::{Poll, Waker};
use std::time::Instant;

use super::backlog::Backlog;
use super::cause::Cause;
use super::close::Closing;
use super::deadlines::earlier;
use super::event::Whose;
use super::inbound::Inbound;
use super::keepalive::Keepalive;
use super::outbound::Outbound;
use super::room::Room;
use super::streams::Streams;
use super::timeouts::Timeouts;
use super::told::{no_more_calls, push_error};
use super::wakers::Wakers;
use super::{Place, Plain, PlainEnd, Side, Slowness, Violation};
use crate::error::{Code, Error};
use crate::limits::Limits;
use crate::wire::{Outbox, Position, Tag};

#[derive(Debug)]
pub(super) struct Calls {
    pub(super) outbound: Outbound,
    pub(super) inbound: Inbound,
    pub(super) timeouts: Timeouts,
    // Boxed: most connections have none.
    pub(super) keepalive: Option<Box<Keepalive>>,
    pub(super) backlog: Backlog,
    pub(super) room: Room,
    pub(super) closing: Closing,
    pub(super) wakers: Wakers,
}

impl Calls {
    pub(super) fn new(now: Instant, side: Side, limits: &Limits) -> Self {
        Self {
            outbound: Outbound::new(limits),
            inbound: Inbound::new(limits),
            timeouts: Timeouts::new(now, side, limits),
            keepalive: None,
            backlog: Backlog::new(limits.unwritten_bytes_max),
            room: Room::default(),
            closing: Closing::new(limits.drain_time_max),
            wakers: Wakers::default(),
        }
    }

    // Streams.

    /// The streams of one side, with what they add to.
    pub(super) fn streams_of(&mut self, whose: Whose) -> (&mut Streams, &mut Wakers, &mut Outbox) {
        let streams = match whose {
            Whose::Ours => &mut self.outbound.streams,
            Whose::Theirs => &mut self.inbound.streams,
        };
        (streams, &mut self.wakers, &mut self.backlog.outbox)
    }

    /// Ends a streamed call, and no other, because of this.
    pub(super) fn end_stream(&mut self, whose: Whose, tag: Tag, error: &Error) {
        let outbox = &mut self.backlog.outbox;
        match whose {
            Whose::Ours => {
                let error = error.restated().after_sending();
                self.outbound.give_up(tag, error, outbox, &mut self.wakers.due);
            }
            Whose::Theirs => {
                let error = Error::found(error.code(), error.text().to_owned());
                if let Some(id) = self.inbound.in_flight.find(tag) {
                    self.inbound.end_stream(id, error, outbox);
                }
            }
        }
    }

    /// Hands items over to be written, of all streams in turn.
    pub(super) fn transmit_items(&mut self) {
        let Self { outbound, inbound, backlog, .. } = self;
        let before = backlog.outbox.len();
        while (outbound.streams.has_transmit() || inbound.streams.has_transmit())
            && backlog.outbox.len().saturating_sub(before) < ITEM_BYTES_AT_ONCE
        {
            // A request ends in itself.
            let _ = outbound.streams.transmit(&mut backlog.outbox);
            if let Some(tag) = inbound.streams.transmit(&mut backlog.outbox) {
                inbound.handle_last_item(tag, &mut backlog.outbox);
            }
        }
        // They wait for credit, and so need not be waited for.
        backlog.note_asked(before);
    }

    pub(super) fn has_transmit(&self) -> bool {
        let has_items = self.outbound.streams.has_transmit() || self.inbound.streams.has_transmit();
        has_items || !self.backlog.outbox.is_empty()
    }

    /// When a stream has waited for credit for too long.
    pub(super) fn stall_due(&self) -> Option<Instant> {
        earlier(self.outbound.streams.earliest(), self.inbound.streams.earliest())
    }

    fn handle_stall_timeout(&mut self, now: Instant) {
        if self.stall_due().is_none_or(|due| due > now) {
            return;
        }
        for whose in [Whose::Ours, Whose::Theirs] {
            let (streams, ..) = self.streams_of(whose);
            let (late, error) = streams.take_stalled(now);
            for tag in late {
                self.end_stream(whose, tag, &error);
            }
        }
    }

    /// Those who wait for items, or for room for them, have something to come for.
    pub(super) fn collect_wakers(&mut self) {
        self.outbound.streams.collect_due(&mut self.wakers.due);
        self.inbound.streams.collect_due(&mut self.wakers.due);
    }

    // What is due.

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Result<(), Violation> {
        let _ = self.handle_call_timeout(now);
        let outbox = &mut self.backlog.outbox;
        self.inbound.handle_timeout(now, outbox);
        self.inbound.begin_waiting(|| now, outbox);
        self.handle_stall_timeout(now);
        let outbox = &mut self.backlog.outbox;
        if let Some(drain_time_max) = self.closing.handle_timeout(now) {
            self.inbound.cancel_all(drain_time_max, outbox);
            self.outbound.cancel_all(drain_time_max, outbox, &mut self.wakers.due);
            self.room.wake_all(&mut self.wakers.due);
        }
        if self.room.handle_timeout(now) {
            self.offer_room(|| now);
        }
        let is_idle = self.is_idle();
        self.timeouts
            .handle_timeout(now, is_idle)
            .map_err(|(slow, time)| Violation::Slow(slow, time))?;
        self.handle_keepalive_timeout(now)
    }

    /// When the peer has to be asked whether it is there, or should have answered. Not when the
    /// connection ends: that has a time of its own.
    pub(super) fn keepalive_due(&self) -> Option<Instant> {
        self.keepalive.as_ref().filter(|_| !self.closing.is_ending())?.due()
    }

    fn handle_keepalive_timeout(&mut self, now: Instant) -> Result<(), Violation> {
        self.attend_streams(now);
        let is_ending = self.closing.is_ending();
        let Some(keepalive) = self.keepalive.as_mut().filter(|_| !is_ending) else {
            return Ok(());
        };
        if keepalive.handle_timeout(now)? {
            let before = self.backlog.outbox.len();
            self.outbound.ping(&mut self.backlog.outbox);
            self.backlog.note_asked(before);
            keepalive.handle_asked(self.backlog.sent_end());
            // One that has no answer yet is not sent again, and may be the last that was written.
            self.handle_written(now);
        }
        Ok(())
    }

    pub(super) fn handle_call_timeout(&mut self, now: Instant) -> bool {
        let (due, outbox) = (&mut self.wakers.due, &mut self.backlog.outbox);
        let (wakers, unwritten) = (due.len(), outbox.len());
        self.outbound.handle_timeout(now, outbox, due);
        self.room.handle_deadlines(now, due);
        due.len() > wakers || outbox.len() > unwritten
    }

    // What comes and goes.

    /// Bytes came, whatever they say.
    pub(super) fn handle_heard(&mut self, now: impl FnOnce() -> Instant) {
        if let Some(keepalive) = &mut self.keepalive {
            keepalive.handle_input(now());
        }
    }

    /// More bytes are wanted.
    pub(super) fn handle_input_wanted(&mut self, now: impl FnOnce() -> Instant) {
        if let Some(keepalive) = &mut self.keepalive {
            keepalive.handle_input_wanted(now);
        }
    }

    /// The peer is not read for now.
    pub(super) fn handle_input_paused(&mut self) {
        self.timeouts.handle_input_paused();
        if let Some(keepalive) = &mut self.keepalive {
            keepalive.handle_input_paused();
        }
    }

    /// Something of what waits was written.
    pub(super) fn handle_written(&mut self, now: Instant) {
        self.outbound.streams.handle_written(now);
        self.inbound.streams.handle_written(now);
        self.attend_streams(now);
        if let Some(keepalive) = &mut self.keepalive {
            keepalive.handle_written(now, |sent_end| self.backlog.is_written(sent_end));
        }
    }

    /// Sees to it that the peer is asked whether it is there while a stream of ours is open.
    fn attend_streams(&mut self, now: Instant) {
        let has_streams = self.outbound.streams.len() > 0;
        match &self.keepalive {
            None if has_streams => self.keepalive = Some(Box::new(Keepalive::of_streams(now))),
            Some(keepalive) if !has_streams && keepalive.is_of_streams() => self.keepalive = None,
            _ => {}
        }
    }

    pub(super) fn handle_plain(&mut self, plain: Plain) {
        self.inbound.agenda.push_plain(plain);
        if self.closing.is_draining() {
            self.refuse_plain();
        }
    }

    pub(super) fn handle_plain_end(&mut self, now: Instant, end: PlainEnd) {
        self.inbound.agenda.is_lent = false;
        self.timeouts.handle_input(now, Position::Boundary, 0);
        match end {
            PlainEnd::Done => self.inbound.mistakes.forget(),
            PlainEnd::Last => self.stop_reading(Cause::OutOfStep),
            PlainEnd::Failed(error) if !self.closing.is_silent() => self.tell(&error),
            PlainEnd::Refused(error) if !self.closing.is_silent() => {
                self.tell(&error);
                self.inbound.note_refusal(&error);
            }
            // Who is not told would wait for an answer.
            PlainEnd::Failed(error) | PlainEnd::Refused(error) | PlainEnd::OutOfStep(error) => {
                self.tell(&error);
                self.stop_reading(Cause::OutOfStep);
            }
        }
    }

    /// Tells the peer something about the whole connection, or about a call without a tag.
    pub(super) fn tell(&mut self, error: &Error) {
        if !self.closing.is_silent() {
            push_error(0, error, None, &mut self.backlog.outbox);
        }
    }

    /// Whether more should be read.
    pub(super) fn wants_input(&self) -> bool {
        if self.closing.is_eof() || self.inbound.is_held_up() {
            return false;
        }
        // While we wait for replies ourselves, what the peer asks is read a little longer.
        let spare_bytes = self.inbound.sizes.reply_bytes_max();
        self.backlog.has_answer_room(0)
            || !self.outbound.is_idle() && self.backlog.has_answer_room(spare_bytes)
    }

    pub(super) fn held_bytes(&self) -> usize {
        let waiting = self.inbound.one_way.held_bytes();
        let items = self.outbound.streams.held_bytes();
        let items = items.saturating_add(self.inbound.streams.held_bytes());
        self.backlog
            .unwritten_bytes()
            .saturating_add(self.outbound.unclaimed_bytes())
            .saturating_add(waiting)
            .saturating_add(items)
            .saturating_add(self.inbound.in_flight.metadata_bytes())
            .saturating_add(self.inbound.in_flight.kept_bytes())
    }

    pub(super) fn poll_room(
        &mut self,
        place: &mut Option<Place>,
        deadline: Option<Instant>,
        waker: &mut Option<Waker>,
    ) -> Poll<()> {
        let has_room = self.backlog.has_room();
        self.room.poll(has_room, place, deadline, waker, &mut self.wakers.spent)
    }

    pub(super) fn offer_room(&mut self, now: impl FnOnce() -> Instant) {
        if !self.room.is_empty() && self.backlog.has_room() {
            self.room.offer(now, &mut self.wakers.due);
        }
    }

    /// A handler has ended: somebody may come who waited for its place, or for the room that its
    /// reply did not take.
    pub(super) fn handle_place(&mut self, now: impl Fn() -> Instant) {
        self.inbound.begin_waiting(&now, &mut self.backlog.outbox);
        self.offer_room(now);
    }

    // The end.

    pub(super) fn close(&mut self, now: Instant) {
        if !self.closing.drain(now) {
            return;
        }
        self.tell(&no_more_calls());
        self.inbound.cancel_endless(&mut self.backlog.outbox);
        self.refuse_plain();
        self.room.wake_all(&mut self.wakers.due);
    }

    pub(super) fn handle_violation(&mut self, violation: &Violation) {
        if violation.is_worth_telling() {
            let error = Error::found(violation.code(), violation.to_string());
            self.tell(&error);
        } else {
            self.backlog.clear();
        }
        // No call was under way: one that crosses this on the wire did not run.
        let owes_farewell = matches!(violation, Violation::Slow(Slowness::Idle, _));
        self.give_up(Cause::Violated(*violation), owes_farewell);
    }

    /// The peer says nothing more. Its calls are answered, but for those of whose requests items
    /// were still to come, and those that want more credit: their handlers would wait for nothing.
    pub(super) fn handle_eof(&mut self) {
        self.stop_reading(Cause::Ended);
        let text = "the caller ended its side before the end of its request";
        let error = Error::found(Code::Cancelled, text);
        self.inbound.streams.handle_eof();
        for tag in self.inbound.streams.unfinished() {
            self.end_stream(Whose::Theirs, tag, &error);
        }
    }

    pub(super) fn handle_unwritable(&mut self, error: Error) {
        let _ = self.closing.note(Cause::Lost(error));
        self.closing.cut_off(false);
        self.inbound.abandon();
        self.backlog.clear();
        self.room.wake_all(&mut self.wakers.due);
    }

    /// Nothing more comes or goes.
    pub(super) fn give_up_all(&mut self, cause: Cause) {
        self.give_up(cause, false);
        self.backlog.clear();
    }

    /// A plain call that will not run leaves its payload in the stream, where its end is unknown:
    /// nothing behind it can be read.
    fn refuse_plain(&mut self) {
        if self.inbound.agenda.drop_plain() {
            self.stop_reading(Cause::OutOfStep);
        }
    }

    /// Takes no more from the peer: no reply to our calls either.
    pub(super) fn stop_reading(&mut self, cause: Cause) {
        self.timeouts.handle_eof();
        self.outbound.end(self.closing.stop_reading(cause), &mut self.wakers.due);
        self.room.wake_all(&mut self.wakers.due);
    }

    fn give_up(&mut self, cause: Cause, owes_farewell: bool) {
        self.closing.cut_off(owes_farewell);
        self.stop_reading(cause);
        self.inbound.abandon();
    }

    pub(super) fn is_idle(&self) -> bool {
        self.outbound.is_idle() && self.inbound.is_idle()
    }
}

/// Bytes of items that are handed over to be written at once, or one item.
const ITEM_BYTES_AT_ONCE: usize = 64 * 1024;
