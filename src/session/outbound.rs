//! The outbound half: calls that we made.
//!
//! Every call with a tag gets exactly one final reply, also a cancelled one, so a tag is free again
//! when that reply has come and not before. This is the life of an entry in the table:
//!
//! ```text
//!              reply                    poll_reply
//!   Waiting ───────────────► Answered ─────────────► (gone)
//!     │ │ deadline, end of      ▲
//!     │ │ drain: >TAG cancel    │ reply
//!     │ └────────► Late ────────┘
//!     │              │ poll_reply
//!     │ cancel:      ▼               reply
//!     └─────────► Forgotten ───────────────────────► (gone)
//!      >TAG cancel
//! ```
//!
//! A caller polls an entry in `Answered` or `Late` and gets its result; a `Late` one gets
//! the error that made it late, whether or not a reply came after all.

use std::collections::hash_map::Entry;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use foldhash::{HashMap, HashMapExt};

use super::cause::Cause;
use super::deadlines::Earliest;
use super::event::Whose;
use super::keepalive::PING;
use super::parting::Parting;
use super::stream::{Halves, Taken};
use super::streams::Streams;
use super::tables::TABLE_KEPT_MAX;
use super::{Received, Violation};
use crate::command::Facts;
use crate::error::{Code, CodeWord, Error};
use crate::limits::Limits;
use crate::wire::{Line, Name, Options, Outbox, Part, Tag};

#[derive(Debug)]
pub(super) struct Outbound {
    calls: HashMap<Tag, State>,
    calls_max: usize,
    // A `?PING` of the session's own that has no reply yet: one of `calls`, counted by no limit.
    ping: Option<Tag>,
    last_tag: Tag,
    earliest: Earliest,
    // Replies that their callers have not taken yet, and their bytes.
    unclaimed: usize,
    unclaimed_bytes: usize,
    // A reply has been taken since the last time that something was written.
    has_claimed: bool,
    // What was sent last wants a reply.
    ends_in_call: bool,
    pub(super) streams: Streams,
    pub(super) parting: Parting,
    // Of the calls whose command has its own payload_bytes_max, until their final reply is there:
    // also of those that nobody waits for, as the reply still comes.
    facts: HashMap<Tag, Facts>,
}

/// What the body behind the line of a reply is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The final value, or the error of this word.
    Final(Option<CodeWord>),
    Item,
    /// An item that nobody wants any more.
    Unwanted,
    /// There is none.
    Nothing,
}

#[derive(Debug)]
enum State {
    Waiting { deadline: Instant, waker: Option<Waker> },
    // Given up with this error, which its caller does not know yet; the peer has been told.
    Late(Error),
    Answered(Result<Received, Error>),
    Forgotten,
}

impl Outbound {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            calls: HashMap::new(),
            calls_max: limits.calls_per_connection_max,
            ping: None,
            last_tag: 0,
            earliest: Earliest::default(),
            unclaimed: 0,
            unclaimed_bytes: 0,
            has_claimed: false,
            ends_in_call: false,
            streams: Streams::new(Whose::Ours, limits),
            parting: Parting::default(),
            facts: HashMap::new(),
        }
    }

    pub(super) fn call<B: Into<Bytes> + AsRef<[u8]>>(
        &mut self,
        name: Name,
        options: Options,
        payload: B,
        deadline: Instant,
        waker: &mut Option<Waker>,
        outbox: &mut Outbox,
    ) -> Result<Tag, Error> {
        let halves = Halves::of(&options);
        if !halves.are_none() {
            if let Some(error) = self.streams.check_room(self.streams.len()) {
                return Err(error.restated());
            }
        } else if self.asked() >= self.calls_max {
            let max = self.calls_max;
            let text = format!("calls_per_connection_max ({max}) are waiting for their replies");
            return Err(Error::local(Code::Overloaded, text));
        }
        let tag = self.begin(State::Waiting { deadline, waker: waker.take() });
        if !halves.are_none() {
            self.streams.begin_made(tag, halves);
        }
        outbox.push_line(&line(name, tag, options, &payload));
        outbox.push_body(payload);
        self.ends_in_call = true;
        self.earliest.note(deadline);
        Ok(tag)
    }

    /// Asks whether the peer is there, unless it has not answered that yet. Nobody waits for it.
    pub(super) fn ping(&mut self, outbox: &mut Outbox) {
        if self.ping.is_none() {
            let tag = self.begin(State::Forgotten);
            self.ping = Some(tag);
            outbox.push_line(&line(PING, tag, Options::default(), &[]));
        }
    }

    /// The reply to this call is taken as its command says.
    pub(super) fn note_facts(&mut self, tag: Tag, facts: Facts) {
        if facts.payload_bytes_max().is_some() && self.calls.contains_key(&tag) {
            self.facts.insert(tag, facts);
        }
    }

    /// What the command of a call has in place of limits for its reply.
    pub(super) fn facts_of(&self, tag: Tag) -> Option<&Facts> {
        if self.facts.is_empty() { None } else { self.facts.get(&tag) }
    }

    pub(super) fn notify<B: Into<Bytes> + AsRef<[u8]>>(
        &mut self,
        name: Name,
        options: Options,
        payload: B,
        outbox: &mut Outbox,
    ) {
        outbox.push_line(&line(name, 0, options, &payload));
        outbox.push_body(payload);
        self.ends_in_call = false;
    }

    /// The reply, behind all items. If it is still to come the waker is kept, and the one before is
    /// added to `spent`.
    pub(super) fn poll_reply(
        &mut self,
        tag: Tag,
        waker: &mut Option<Waker>,
        spent: &mut Vec<Waker>,
    ) -> Poll<Result<Received, Error>> {
        let Entry::Occupied(mut entry) = self.calls.entry(tag) else {
            let error = Error::local(Code::Cancelled, "the call is over");
            return Poll::Ready(Err(error.after_sending()));
        };
        match entry.get_mut() {
            State::Waiting { waker: kept, .. } => {
                if waker.is_some() {
                    spent.extend(std::mem::replace(kept, waker.take()));
                }
                return Poll::Pending;
            }
            // It comes behind all items, and takes those that are left along.
            State::Answered(_)
                if self.streams.len() > 0
                    && self.streams.poll_taken(tag, waker, spent).is_pending() =>
            {
                return Poll::Pending;
            }
            State::Answered(_) | State::Late(_) | State::Forgotten => {}
        }
        let reply = match entry.insert(State::Forgotten) {
            State::Late(error) => Err(error),
            State::Answered(reply) => {
                entry.remove();
                self.streams.remove(tag);
                self.note_claimed(&reply);
                self.tidy();
                reply
            }
            State::Waiting { .. } | State::Forgotten => {
                let error = Error::local(Code::Cancelled, "the call was given up");
                Err(error.after_sending())
            }
        };
        Poll::Ready(reply)
    }

    /// Whether a call waits for its reply, and with this waker.
    pub(super) fn is_heard_by(&self, tag: Tag, waker: &Waker) -> bool {
        let state = self.calls.get(&tag);
        matches!(state, Some(State::Waiting { waker: Some(kept), .. }) if kept.will_wake(waker))
    }

    /// Answers the waker of the call.
    pub(super) fn cancel(&mut self, tag: Tag, outbox: &mut Outbox) -> Option<Waker> {
        let Entry::Occupied(mut entry) = self.calls.entry(tag) else {
            return None;
        };
        match entry.insert(State::Forgotten) {
            State::Answered(reply) => {
                entry.remove();
                self.streams.remove(tag);
                self.note_claimed(&reply);
                self.tidy();
                None
            }
            State::Waiting { waker, .. } => {
                self.streams.cut_off(tag);
                outbox.push_line(&cancel(tag));
                waker
            }
            // The peer has been told.
            State::Late(_) | State::Forgotten => None,
        }
    }

    /// Takes in a reply line; answers what its body is.
    pub(super) fn handle_reply(
        &mut self,
        (tag, part, options): (Tag, Part, &Options),
        outbox: &mut Outbox,
        woken: &mut Vec<Waker>,
    ) -> Result<Answer, Violation> {
        let is_open =
            self.calls.get(&tag).is_some_and(|state| !matches!(state, State::Answered(_)));
        match part {
            _ if !is_open => Err(Violation::UnknownTag(tag)),
            Part::Ok(_) => Ok(Answer::Final(None)),
            Part::Err(_, word) => Ok(Answer::Final(Some(word))),
            _ if !self.streams.contains(tag) => Err(Violation::NotAStream(tag)),
            Part::Item(_) | Part::Open | Part::End | Part::Cancel | Part::Credit(_) => {
                let taken = self.streams.handle_line(tag, part, options.position())?;
                let Part::Item(len) = part else { return Ok(Answer::Nothing) };
                if let Some(error) = self.streams.check_size(len) {
                    let error = error.restated().of_reply();
                    self.give_up(tag, error, outbox, woken);
                    return Ok(Answer::Unwanted);
                }
                Ok(if taken == Taken::Item { Answer::Item } else { Answer::Unwanted })
            }
        }
    }

    /// Gives up a call that waits for its reply, with this error for its caller.
    pub(super) fn give_up(
        &mut self,
        tag: Tag,
        error: Error,
        outbox: &mut Outbox,
        woken: &mut Vec<Waker>,
    ) {
        if let Some(state @ State::Waiting { .. }) = self.calls.get_mut(&tag) {
            if let State::Waiting { waker, .. } = std::mem::replace(state, State::Late(error)) {
                woken.extend(waker);
            }
            self.streams.cut_off(tag);
            outbox.push_line(&cancel(tag));
        }
    }

    /// Takes in a final reply; answers who is to be woken.
    pub(super) fn handle_body(
        &mut self,
        tag: Tag,
        reply: Result<Received, Error>,
    ) -> Option<Waker> {
        if !self.facts.is_empty() {
            self.facts.remove(&tag);
            shrink_empty_map(&mut self.facts);
        }
        self.ping.take_if(|ping| *ping == tag);
        let Entry::Occupied(mut entry) = self.calls.entry(tag) else {
            return None;
        };
        match entry.insert(State::Forgotten) {
            State::Waiting { waker, .. } => {
                if self.streams.len() > 0 {
                    self.streams.end(tag);
                }
                let bytes = reply.as_ref().map_or(0, Received::bytes);
                self.unclaimed = self.unclaimed.saturating_add(1);
                self.unclaimed_bytes = self.unclaimed_bytes.saturating_add(bytes);
                entry.insert(State::Answered(reply));
                waker
            }
            State::Late(error) => {
                self.streams.remove(tag);
                self.unclaimed = self.unclaimed.saturating_add(1);
                entry.insert(State::Answered(Err(error)));
                None
            }
            answered @ State::Answered(_) => {
                entry.insert(answered);
                None
            }
            State::Forgotten => {
                entry.remove();
                self.streams.remove(tag);
                self.tidy();
                None
            }
        }
    }

    /// No reply will come any more, for this cause; who is to be woken is added to `woken`.
    /// What the peer said itself comes first.
    pub(super) fn end(&mut self, cause: &Cause, woken: &mut Vec<Waker>) {
        match self.parting.answer() {
            Some(notice) => self.fail(|| notice.error(), woken),
            None => self.fail(|| cause.of_call(), woken),
        }
    }

    fn fail(&mut self, error: impl Fn() -> Error, woken: &mut Vec<Waker>) {
        (self.facts, self.ping) = (HashMap::new(), None);
        let streams = &mut self.streams;
        self.calls.retain(|tag, state| {
            streams.end(*tag);
            *state = match std::mem::replace(state, State::Forgotten) {
                State::Waiting { waker, .. } => {
                    woken.extend(waker);
                    self.unclaimed = self.unclaimed.saturating_add(1);
                    State::Answered(Err(error()))
                }
                State::Late(error) => {
                    self.unclaimed = self.unclaimed.saturating_add(1);
                    State::Answered(Err(error))
                }
                answered @ State::Answered(_) => answered,
                State::Forgotten => {
                    streams.remove(*tag);
                    return false;
                }
            };
            true
        });
        self.tidy();
    }

    /// Gives up every call that waits for its reply; who is to be woken is added to `woken`.
    pub(super) fn cancel_all(
        &mut self,
        drain_time_max: Duration,
        outbox: &mut Outbox,
        woken: &mut Vec<Waker>,
    ) {
        let text = format!("no reply came within drain_time_max ({drain_time_max:?}) of closing");
        for (tag, state) in &mut self.calls {
            let State::Waiting { waker, .. } = state else { continue };
            woken.extend(waker.take());
            self.streams.cut_off(*tag);
            outbox.push_line(&cancel(*tag));
            let error = Error::local(Code::Cancelled, text.clone());
            *state = State::Late(error.after_sending());
        }
    }

    /// Ends the calls whose deadline has passed; who is to be woken is added to `woken`.
    pub(super) fn handle_timeout(
        &mut self,
        now: Instant,
        outbox: &mut Outbox,
        woken: &mut Vec<Waker>,
    ) {
        if self.earliest.0.is_none_or(|earliest| earliest > now) {
            return;
        }
        self.earliest = Earliest::default();
        for (tag, state) in &mut self.calls {
            let State::Waiting { deadline, waker } = state else {
                continue;
            };
            if *deadline > now {
                self.earliest.note(*deadline);
                continue;
            }
            woken.extend(waker.take());
            self.streams.cut_off(*tag);
            outbox.push_line(&cancel(*tag));
            *state = State::Late(late());
        }
    }

    pub(super) const fn earliest(&self) -> Option<Instant> {
        self.earliest.0
    }

    /// Whether nobody waits for anything; what is forgotten is waited for by nobody.
    pub(super) fn is_idle(&self) -> bool {
        self.calls.values().all(|state| matches!(state, State::Forgotten))
    }

    /// Whether replies wait for their callers.
    pub(super) const fn has_unclaimed(&self) -> bool {
        self.unclaimed > 0
    }

    /// See [`Session::is_turn_over`](super::Session::is_turn_over).
    pub(super) fn is_turn_over(&self) -> bool {
        let is_alone = self.asked() == 1;
        self.ends_in_call && (is_alone || self.has_claimed && self.unclaimed == 0)
    }

    /// What waits is about to be written.
    pub(super) fn handle_transmit(&mut self) {
        self.has_claimed = false;
    }

    /// Bytes of replies that their callers have not taken yet.
    pub(super) const fn unclaimed_bytes(&self) -> usize {
        self.unclaimed_bytes
    }

    /// Whether no call waits for its reply.
    pub(super) fn is_answered(&self) -> bool {
        !self.calls.values().any(|state| matches!(state, State::Waiting { .. }))
    }

    /// Calls of others whose tags are in use.
    pub(super) fn asked(&self) -> usize {
        let others = usize::from(self.ping.is_some()).saturating_add(self.streams.len());
        self.calls.len().saturating_sub(others)
    }

    fn note_claimed(&mut self, reply: &Result<Received, Error>) {
        let bytes = reply.as_ref().map_or(0, Received::bytes);
        self.unclaimed = self.unclaimed.saturating_sub(1);
        self.unclaimed_bytes = self.unclaimed_bytes.saturating_sub(bytes);
        self.has_claimed = true;
    }

    /// Gives back the table of many calls; to be done wherever the last of them may have left it.
    fn tidy(&mut self) {
        shrink_empty_map(&mut self.calls);
    }

    fn begin(&mut self, call: State) -> Tag {
        if self.last_tag >= TAG_SHORT_MAX && self.calls.len() < TAGS_CROWDED {
            self.last_tag = 0;
        }
        // Ends, since fewer calls are open than there are tags.
        loop {
            self.last_tag = self.last_tag.wrapping_add(1);
            if self.last_tag != 0
                && let Entry::Vacant(vacant) = self.calls.entry(self.last_tag)
            {
                vacant.insert(call);
                return self.last_tag;
            }
        }
    }
}

fn cancel(tag: Tag) -> Line {
    Line::Request(tag, Part::Cancel, Options::default())
}

fn shrink_empty_map<T>(map: &mut HashMap<Tag, T>) {
    if map.is_empty() {
        map.shrink_to(TABLE_KEPT_MAX);
    }
}

fn line(name: Name, tag: Tag, options: Options, payload: &impl AsRef<[u8]>) -> Line {
    let len = u64::try_from(payload.as_ref().len()).unwrap_or(u64::MAX);
    Line::Call { name, tag, len, options }
}

/// The last tag of three digits. Tags begin anew after it: shorter lines are read sooner.
const TAG_SHORT_MAX: Tag = 999;

/// With so many calls open, looking for a free one among the short tags would take longer.
const TAGS_CROWDED: usize = 500;

fn late() -> Error {
    Error::local(Code::DeadlineExceeded, "no reply came in time").after_sending()
}
