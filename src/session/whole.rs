//! [`Session`]: everything that can be said to one and asked of it.
//!
//! It keeps nothing itself: each method says which parts do it. What many must be told is in
//! `calls`, what a peer sends is taken apart in `input`, and items are asked for in `items`.

use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use super::calling_back::{check_open, flush_error};
use super::calls::Calls;
use super::cause::Cause;
use super::deadlines::earlier;
use super::input::{Host, Input};
use super::keepalive::Keepalive;
use super::wakers::Wakers;
use super::{CallId, Event, Place, PlainEnd, Received, Side, Tally, Violation};
use crate::command::Facts;
use crate::error::Error;
use crate::limits::Limits;
use crate::wire::{Line, Metadata, Name, Options, Outbox, Part, Position, Tag};

/// The life of the calls of one connection.
#[derive(Debug)]
pub struct Session {
    input: Input,
    pub(super) calls: Calls,
}

impl Session {
    /// The session of a connection that is open from `now` on.
    #[must_use]
    pub fn new(now: Instant, side: Side, limits: &Limits) -> Self {
        Self { input: Input::new(limits), calls: Calls::new(now, side, limits) }
    }

    /// Says nothing to the peer but its replies from now on. A plain call that fails ends the
    /// connection then: a peer with a dialect of its own would take a word for its answer.
    pub fn silence(&mut self) {
        self.calls.closing.silence();
    }

    /// Lends the stream from its beginning on, if it was not closed before; whether it did. To be
    /// followed by [`handle_plain_end`](Self::handle_plain_end).
    pub fn lend(&mut self) -> bool {
        self.calls.inbound.agenda.is_lent = !self.is_finished();
        self.calls.handle_input_paused();
        self.calls.inbound.agenda.is_lent
    }

    /// Asks the peer by `?PING` when nothing has come for `time`, from `now` on, and takes it for
    /// gone when nothing comes for as long after that.
    pub fn keep_alive(&mut self, now: Instant, time: Duration) {
        self.calls.keepalive = Some(Box::new(Keepalive::new(now, time)));
    }

    /// What became of the calls of the peer.
    #[must_use]
    pub const fn tally(&self) -> Tally {
        self.calls.inbound.tally()
    }

    /// Bytes that this session keeps: unwritten ones, replies and items not taken yet, and one-way
    /// calls that wait.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.calls.held_bytes()
    }

    // What arrives.

    /// Takes in what has been read, up to the next event; whether more bytes are needed for one.
    pub fn handle_input(&mut self, input: &mut BytesMut, host: &mut impl Host) -> bool {
        self.input.handle(&mut self.calls, input, host)
    }

    /// Takes in another call to be begun with those that were given out and have not begun, if it
    /// surely runs, and replies. What else has come is left for the next `handle_input`.
    pub fn handle_more_input(&mut self, input: &mut BytesMut, host: &mut impl Host) {
        self.input.handle_more(&mut self.calls, input, host);
    }

    /// Calls that may be given out before any of them has begun: 1 or more. Each may turn out to be
    /// a mistake, and what comes behind one too many is not to be run.
    #[must_use]
    pub fn calls_at_once_max(&self) -> usize {
        self.calls.inbound.mistakes.calls_at_once_max()
    }

    /// There is no room for a body that is still coming. It is dropped as it comes.
    pub fn handle_input_refused(&mut self, error: &Error) {
        self.input.refuse(&mut self.calls, error);
    }

    /// Whether more should be read: not while a plain call waits for the answers before it, the
    /// peer does not read what we answer, or as many one-way calls wait as may.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        self.calls.wants_input()
    }

    /// Bytes that are still to come of the body that is being read: a hint, and not a promise.
    #[must_use]
    pub fn missing_body_bytes(&self, input: &[u8]) -> usize {
        self.input.missing_body_bytes(input)
    }

    // What is due.

    /// Does what is due at `now`: ends calls whose deadline has passed, and the draining.
    ///
    /// # Errors
    ///
    /// The peer was too slow and must be cut off.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Violation> {
        self.calls.handle_timeout(now)
    }

    /// When [`handle_timeout`](Self::handle_timeout) should be called next, perhaps in vain.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let Calls { inbound, room, closing, timeouts, .. } = &self.calls;
        let calls = earlier(self.poll_call_timeout(), inbound.earliest.0);
        let ends = earlier(closing.drain_until(), timeouts.earliest(self.calls.is_idle()));
        let ends = earlier(earlier(ends, self.calls.keepalive_due()), self.calls.stall_due());
        earlier(earlier(calls, room.earliest()), ends)
    }

    /// Ends calls of our own whose deadline has passed, whether they wait for room or a reply; the
    /// part of [`handle_timeout`](Self::handle_timeout) for callers. Answers if there were any.
    pub fn handle_call_timeout(&mut self, now: Instant) -> bool {
        self.calls.handle_call_timeout(now)
    }

    /// When [`handle_call_timeout`](Self::handle_call_timeout) should be called next.
    #[must_use]
    pub fn poll_call_timeout(&self) -> Option<Instant> {
        earlier(self.calls.outbound.earliest(), self.calls.room.earliest_deadline())
    }

    // Calls that we make. A handler makes them within the call that it answers, for as long as that
    // has no reply.

    /// Whether calls can be made.
    #[must_use]
    pub fn is_open(&self, within: Option<CallId>) -> bool {
        check_open(&self.calls, within).is_ok()
    }

    /// Sends a call. Its reply comes from [`poll_reply`](Self::poll_reply), or the call is given up
    /// by [`cancel`](Self::cancel). Once it is sent `waker` is taken, and woken when the reply has
    /// come.
    ///
    /// # Errors
    ///
    /// `overloaded` if `calls_per_connection_max` are unanswered, or why the connection takes no
    /// more calls.
    pub fn call<B: Into<Bytes> + AsRef<[u8]>>(
        &mut self,
        within: Option<CallId>,
        name: Name,
        options: Options,
        payload: B,
        deadline: Instant,
        waker: &mut Option<Waker>,
    ) -> Result<Tag, Error> {
        check_open(&self.calls, within)?;
        let Calls { outbound, backlog, .. } = &mut self.calls;
        let before = backlog.outbox.len();
        let tag = outbound.call(name, options, payload, deadline, waker, &mut backlog.outbox)?;
        backlog.note_asked(before);
        Ok(tag)
    }

    /// The reply to this call, which has just been sent, is taken in as its command says, and not
    /// as the limits do.
    pub fn bound_reply(&mut self, tag: Tag, facts: Facts) {
        self.calls.outbound.note_facts(tag, facts);
    }

    /// Sends a call that wants no reply.
    ///
    /// # Errors
    ///
    /// Why the connection takes no more calls.
    pub fn notify<B: Into<Bytes> + AsRef<[u8]>>(
        &mut self,
        within: Option<CallId>,
        name: Name,
        options: Options,
        payload: B,
    ) -> Result<(), Error> {
        check_open(&self.calls, within)?;
        let Calls { outbound, backlog, .. } = &mut self.calls;
        let before = backlog.outbox.len();
        outbound.notify(name, options, payload, &mut backlog.outbox);
        backlog.note_asked(before);
        Ok(())
    }

    /// The final reply to a call of ours, once, when all items before it have been taken. If it is
    /// still to come, `waker` is taken and woken then; a call without one wakes nobody.
    pub fn poll_reply(
        &mut self,
        tag: Tag,
        waker: &mut Option<Waker>,
    ) -> Poll<Result<Received, Error>> {
        self.calls.outbound.poll_reply(tag, waker, &mut self.calls.wakers.spent)
    }

    /// Whether the reply to this call, which is still to come, wakes `waker`.
    #[must_use]
    pub fn is_heard_by(&self, tag: Tag, waker: &Waker) -> bool {
        self.calls.outbound.is_heard_by(tag, waker)
    }

    /// Gives up a call of ours. A reply that still comes is dropped.
    pub fn cancel(&mut self, tag: Tag) {
        let Calls { outbound, backlog, wakers, .. } = &mut self.calls;
        wakers.spent.extend(outbound.cancel(tag, &mut backlog.outbox));
    }

    /// Whether less than `unwritten_bytes_max` waits to be written, and nobody who came before
    /// waits for that. If not, `waker` is taken and woken when it is so, or when `deadline` has
    /// passed; `place` is where one waits who asks again.
    pub fn poll_room(
        &mut self,
        within: Option<CallId>,
        place: &mut Option<Place>,
        deadline: Instant,
        waker: &mut Option<Waker>,
    ) -> Poll<()> {
        // Who cannot call learns so at once.
        if !self.is_open(within) {
            place.take().into_iter().for_each(|place| self.leave_room(place));
            return Poll::Ready(());
        }
        self.calls.poll_room(place, Some(deadline), waker)
    }

    /// As [`poll_room`](Self::poll_room) for a reply of ours, which has to wait for a peer that
    /// has ended its side as well: it may have asked for more than it reads.
    pub fn poll_reply_room(
        &mut self,
        place: &mut Option<Place>,
        waker: &mut Option<Waker>,
    ) -> Poll<()> {
        self.calls.poll_room(place, None, waker)
    }

    /// Waits for room no longer.
    pub fn leave_room(&mut self, place: Place) {
        self.calls.wakers.spent.extend(self.calls.room.leave(place));
    }

    /// Lets the next one who waits for room know if there is some: to be called when one has gone,
    /// or has left.
    pub fn offer_room(&mut self, now: impl FnOnce() -> Instant) {
        self.calls.offer_room(now);
    }

    // Calls that the peer makes.

    /// What has to be done next.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.calls.inbound.poll_event();
        if matches!(event, Some(Event::Plain(_))) {
            self.calls.handle_input_paused();
        }
        event
    }

    /// Whether there is anything to be done.
    #[must_use]
    pub fn has_event(&self) -> bool {
        self.calls.inbound.has_event()
    }

    /// A plain call has given the stream back.
    pub fn handle_plain_end(&mut self, now: Instant, end: PlainEnd) {
        self.input.handle_plain_end();
        self.calls.handle_plain_end(now, end);
    }

    /// The handler of a call has ended. The reply is written, behind all items, unless the caller
    /// has had one already. To be reported once for each [`Event::Call`], unless it is refused.
    pub fn handle_reply(
        &mut self,
        now: impl Fn() -> Instant,
        id: CallId,
        reply: Result<BytesMut, Error>,
    ) {
        self.calls.inbound.handle_reply(id, reply, &mut self.calls.backlog.outbox);
        self.calls.handle_place(now);
    }

    /// Says this beside the reply to a call under way, whatever that will be.
    pub fn set_reply_metadata(&mut self, id: CallId, metadata: Metadata) {
        self.calls.inbound.set_reply_metadata(id, metadata);
    }

    /// A call is not run, in place of [`handle_reply`](Self::handle_reply). Of these some are
    /// mistakes of the caller, which count towards `consecutive_errors_max`; an error of a handler
    /// is none.
    pub fn handle_refusal(&mut self, now: impl Fn() -> Instant, id: CallId, error: &Error) {
        self.calls.inbound.handle_refusal(id, error, &mut self.calls.backlog.outbox);
        self.calls.handle_place(now);
    }

    /// Whether no handler is running.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.calls.inbound.is_at_rest()
    }

    /// Whether this call of the peer is still waiting for its answer.
    #[must_use]
    pub fn is_wanted(&self, id: CallId) -> bool {
        self.calls.inbound.is_wanted(id)
    }

    /// Tells the peer something about the whole connection, or about a call without a tag.
    pub fn tell(&mut self, error: &Error) {
        self.calls.tell(error);
    }

    /// Whether a plain call has the stream, so that nothing else may be written.
    #[must_use]
    pub const fn is_lent(&self) -> bool {
        self.calls.inbound.agenda.is_lent
    }

    // What goes out.

    /// Takes out everything that waits to be written, to be written in this order.
    pub fn take_transmit(&mut self) -> Outbox {
        let is_finished = self.is_finished();
        self.calls.transmit_items();
        let Calls { closing, backlog, outbound, .. } = &mut self.calls;
        if is_finished && closing.take_farewell() {
            backlog.outbox.push_line(&Line::Reply(0, Part::Ok(0), Options::default()));
        }
        outbound.handle_transmit();
        backlog.take()
    }

    /// Whether anything waits to be taken out.
    #[must_use]
    pub fn has_transmit(&self) -> bool {
        let owes_farewell = self.calls.closing.owes_farewell();
        self.calls.has_transmit() || owes_farewell && self.is_finished()
    }

    /// Whether what was sent last is a call, and nobody else is likely to call at once: it is the
    /// only one under way, or all the replies that came together have been taken.
    #[must_use]
    pub fn is_turn_over(&self) -> bool {
        self.calls.outbound.is_turn_over()
    }

    /// Whether replies wait for their callers, who may well call again when they have taken them.
    #[must_use]
    pub const fn has_unclaimed(&self) -> bool {
        self.calls.outbound.has_unclaimed()
    }

    /// So many bytes of what was taken out have been written.
    pub fn handle_written(&mut self, now: Instant, bytes: usize) {
        self.calls.backlog.handle_written(bytes);
        if self.unwritten_bytes() == 0 {
            self.calls.inbound.sizes.handle_all_written();
        }
        self.calls.timeouts.handle_written(now, bytes);
        self.calls.handle_written(now);
        self.calls.offer_room(|| now);
    }

    /// What has been written has left the stream's own buffers as well.
    pub fn handle_flushed(&mut self) {
        self.calls.backlog.handle_flushed();
        self.calls.timeouts.handle_flushed();
    }

    /// The peer does not take more bytes for now, or the stream cannot be flushed.
    pub fn handle_write_blocked(&mut self, now: Instant) {
        self.calls.timeouts.handle_write_blocked(now, self.unwritten_bytes());
    }

    /// Bytes waiting to be written, taken out or not.
    #[must_use]
    pub fn unwritten_bytes(&self) -> usize {
        self.calls.backlog.unwritten_bytes()
    }

    /// Where in the stream what has been sent so far ends; see [`is_flushed`](Self::is_flushed).
    #[must_use]
    pub fn sent_end(&self) -> usize {
        self.calls.backlog.sent_end()
    }

    /// Whether everything up to there has been written.
    #[must_use]
    pub fn is_flushed(&self, sent_end: usize) -> bool {
        self.calls.backlog.is_flushed(sent_end)
    }

    /// The error of whoever waits for what was sent to be written, when it never will be whole.
    #[must_use]
    pub fn flush_error(&self) -> Error {
        flush_error(&self.calls)
    }

    /// Wakers to be taken out after what was handled, and to be woken or dropped.
    pub fn wakers(&mut self) -> &mut Wakers {
        self.calls.collect_wakers();
        &mut self.calls.wakers
    }

    // The end.

    /// Takes no more calls, in either direction, and lets those under way finish until
    /// `drain_time_max` has passed; what their handlers have to ask for that is taken.
    pub fn close(&mut self, now: Instant) {
        self.calls.close(now);
    }

    /// Takes nothing from this peer, and tells it why.
    pub fn turn_away(&mut self, error: &Error) {
        self.tell(error);
        self.calls.closing.owe_farewell();
        self.calls.stop_reading(Cause::Closed);
    }

    /// Whether nothing is left to do but to write what is waiting.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        let Calls { closing, inbound, outbound, .. } = &self.calls;
        closing.is_ending() && inbound.is_answered() && outbound.is_answered()
    }

    /// Whether nothing is left to do at all.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.is_finished() && self.unwritten_bytes() == 0 && !self.has_transmit()
    }

    /// Whether no more calls are taken.
    #[must_use]
    pub const fn is_draining(&self) -> bool {
        self.calls.closing.is_draining()
    }

    /// Whether `drain_time_max` has passed since the session was closed.
    #[must_use]
    pub const fn is_drained(&self) -> bool {
        self.calls.closing.is_drained()
    }

    /// The peer has ended its side, and has sent this that could not be taken in.
    ///
    /// # Errors
    ///
    /// It was in the middle of a line or a body.
    pub fn handle_end(&mut self, rest: &[u8]) -> Result<(), Violation> {
        if self.input.position(rest) != Position::Boundary {
            return Err(Violation::CutShort);
        }
        self.handle_eof();
        Ok(())
    }

    /// The peer will send nothing more. Its calls are still answered; ours get no more replies.
    pub fn handle_eof(&mut self) {
        self.calls.handle_eof();
    }

    /// The peer broke the protocol: it is told so if it would hear it, and nothing more is taken
    /// from it.
    pub fn handle_violation(&mut self, violation: &Violation) {
        self.calls.handle_violation(violation);
    }

    /// Nothing more goes, for the stream has failed like this; what has come may still be taken in,
    /// until [`handle_eof`](Self::handle_eof): replies, and what the peer said of its end.
    pub fn handle_unwritable(&mut self, error: Error) {
        self.calls.handle_unwritable(error);
    }

    /// The stream has failed like this: nothing more comes or goes.
    pub fn handle_lost(&mut self, error: Error) {
        self.calls.give_up_all(Cause::Lost(error));
    }

    /// Nobody moves the session on any more, for this reason if it is not over.
    pub fn handle_abandoned(&mut self, why: &'static str) {
        let is_over = self.is_over();
        self.calls.give_up_all(if is_over { Cause::Closed } else { Cause::Abandoned(why) });
    }
}
