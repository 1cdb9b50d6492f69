//! Two sessions joined by two pipes, in a time that stands still unless it is moved.
//!
//! A [`Peer`] is the dullest driver there can be: what a real one does with a socket, it does with
//! a queue of bytes of which the other end may take as few as a test likes. Handlers are the
//! test's: what a session wants done is kept in `calls`, `stops` and `plain`.

use std::collections::VecDeque;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use switchboard::session::{
    Call, CallId, Event, Holds, Plain, PlainEnd, Session, Side, Slowness, Violation,
};
use switchboard::wire::{Name, Options, Outbox, Tag};
use switchboard::{Code, Error, Facts, Limits};

use crate::lender::Lender;

/// The end that dialled, and the end that accepted.
pub const CLIENT: usize = 0;
pub const SERVER: usize = 1;

/// What every call of a test is named.
pub const GREET: Name = Name::new("GREET");

#[derive(Debug)]
pub struct Pair {
    pub now: Instant,
    pub peers: [Peer; 2],
}

/// One end.
#[derive(Debug)]
pub struct Peer {
    /// The time, as the pair has it.
    pub now: Instant,
    pub session: Session,
    /// What every command has in place of limits.
    pub facts: Option<Facts>,
    /// What a command has in place of limits by its name, where not all have the same.
    pub facts_by_name: Option<fn(&Name) -> Option<Facts>>,
    /// Bytes that may be held for this end.
    pub memory_bytes_max: usize,
    /// Calls to be run, and those to be stopped, in the order in which they came.
    pub calls: VecDeque<Box<Call>>,
    pub stops: Vec<CallId>,
    /// A plain call that has the stream; nothing is decoded until a test takes this away.
    pub plain: Option<Plain>,
    pub violations: Vec<Violation>,
    /// Read and not decoded.
    pub input: BytesMut,
    /// Written by the other end and not read. `is_cut` says that nothing will follow.
    pub pipe: VecDeque<u8>,
    is_cut: bool,
    /// Bytes that fit in the pipe to this end.
    pub pipe_bytes_max: usize,
    /// Everything that this end has written.
    pub sent: Vec<u8>,
    outbox: Outbox,
    has_ended: bool,
    is_reset: bool,
}

impl Pair {
    pub fn new(limits: &Limits) -> Self {
        let now = Instant::now();
        let peers = [Peer::new(now, Side::Dialled, limits), Peer::new(now, Side::Accepted, limits)];
        Self { now, peers }
    }

    /// The accepting end alone: the test is its client, by `inject` and `take_sent`.
    pub fn alone(limits: &Limits) -> Self {
        let mut pair = Self::new(limits);
        pair.peers[CLIENT].has_ended = true;
        pair
    }

    /// Lets everything happen that can without time passing.
    pub fn drive(&mut self) {
        while self.step() {}
    }

    /// Lets something happen; whether anything did.
    pub fn step(&mut self) -> bool {
        (0..2).any(|end| self.transmit(end) | self.deliver(end, usize::MAX))
    }

    /// Moves the time on in the steps that the sessions ask for, and drives after each.
    pub fn advance(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.drive();
            let Some(due) = self.poll_timeout().filter(|due| *due <= end) else {
                break;
            };
            self.set_now(self.now.max(due));
            self.timeout();
        }
        self.set_now(end);
        self.drive();
    }

    pub fn set_now(&mut self, now: Instant) {
        self.now = now;
        self.peers.iter_mut().for_each(|peer| peer.now = now);
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.peers.iter().filter(|peer| !peer.is_over()).filter_map(Peer::poll_timeout).min()
    }

    /// Does what is due now, at both ends, and sees to it that nothing is due afterwards.
    pub fn timeout(&mut self) {
        for end in 0..2 {
            for _ in 0..4 {
                let peer = &mut self.peers[end];
                if peer.poll_timeout().is_none_or(|due| due > self.now) || peer.is_over() {
                    break;
                }
                if let Err(violation) = peer.session.handle_timeout(self.now) {
                    peer.violate(violation);
                }
                peer.events();
                self.spread_reset(end);
            }
            let peer = &self.peers[end];
            let is_due = peer.poll_timeout().is_some_and(|due| due <= self.now);
            assert!(peer.is_over() || !is_due, "something is due for ever");
        }
    }

    /// Writes what `end` has to write, as far as it fits; whether anything happened.
    pub fn transmit(&mut self, end: usize) -> bool {
        let [a, b] = &mut self.peers;
        let (from, to) = if end == CLIENT { (a, b) } else { (b, a) };
        if from.is_over() {
            return false;
        }
        // As a driver does it: what is in the way is written before more is taken.
        if from.outbox.is_empty() {
            from.outbox = from.session.take_transmit();
        }
        let room = to.pipe_bytes_max.saturating_sub(to.pipe.len());
        let count = room.min(from.outbox.remaining());
        if count > 0 {
            let bytes = from.outbox.copy_to_bytes(count);
            from.sent.extend_from_slice(&bytes);
            to.pipe.extend(&bytes);
            from.session.handle_written(self.now, count);
        }
        if from.outbox.has_remaining() {
            from.session.handle_write_blocked(self.now);
        } else if from.session.is_finished() && !from.session.has_transmit() {
            from.has_ended = true;
            to.is_cut = true;
            return true;
        }
        count > 0
    }

    /// Hands up to `count` bytes from the pipe to `end`; whether anything happened.
    pub fn deliver(&mut self, end: usize, count: usize) -> bool {
        let now = self.now;
        let peer = &mut self.peers[end];
        let happened = peer.read(now, count);
        self.spread_reset(end);
        happened
    }

    /// Bytes for the other end that no session has written.
    pub fn inject(&mut self, end: usize, bytes: &[u8]) {
        self.peers[end].pipe.extend(bytes);
        self.drive();
    }

    /// The other end will write nothing more.
    pub fn cut(&mut self, end: usize) {
        self.peers[end].is_cut = true;
        self.drive();
    }

    pub fn call(&mut self, end: usize, payload: &str, time: Duration) -> Tag {
        self.try_call(end, payload, Options::default(), time).unwrap()
    }

    pub fn try_call(
        &mut self,
        end: usize,
        payload: &str,
        options: Options,
        time: Duration,
    ) -> Result<Tag, Error> {
        let deadline = self.now + time;
        self.peers[end].session.call(
            None,
            GREET,
            options,
            BytesMut::from(payload),
            deadline,
            &mut None,
        )
    }

    pub fn close(&mut self, end: usize) {
        self.peers[end].session.close(self.now);
        self.drive();
    }

    /// The connection breaks.
    pub fn lose(&mut self) {
        self.peers[CLIENT].is_reset = true;
        self.spread_reset(CLIENT);
    }

    fn spread_reset(&mut self, end: usize) {
        if self.peers[end].is_reset {
            for peer in &mut self.peers {
                peer.lose();
            }
        }
    }
}

impl Peer {
    fn new(now: Instant, side: Side, limits: &Limits) -> Self {
        Self {
            now,
            session: Session::new(now, side, limits),
            facts: None,
            facts_by_name: None,
            memory_bytes_max: usize::MAX,
            calls: VecDeque::new(),
            stops: Vec::new(),
            plain: None,
            violations: Vec::new(),
            input: BytesMut::new(),
            pipe: VecDeque::new(),
            is_cut: false,
            pipe_bytes_max: usize::MAX,
            sent: Vec::new(),
            outbox: Outbox::default(),
            has_ended: false,
            is_reset: false,
        }
    }

    /// The reply to a call, if it is there.
    pub fn reply(&mut self, tag: Tag) -> Option<Result<Bytes, Error>> {
        match self.session.poll_reply(tag, &mut None) {
            Poll::Ready(reply) => Some(reply.map(|received| received.payload)),
            Poll::Pending => None,
        }
    }

    /// Ends a handler.
    pub fn answer(&mut self, id: CallId, reply: Result<&str, Error>) {
        let now = self.now;
        self.session.handle_reply(|| now, id, reply.map(BytesMut::from));
        self.events();
    }

    /// Does not run a call.
    pub fn refuse(&mut self, id: CallId, error: &Error) {
        let now = self.now;
        self.session.handle_refusal(|| now, id, error);
        self.events();
    }

    /// Ends the handler of the call that came first with what it was called with.
    pub fn echo(&mut self) {
        let now = self.now;
        let call = self.calls.pop_front().unwrap();
        self.session.handle_reply(|| now, call.id, Ok(BytesMut::from(&*call.payload)));
        self.events();
    }

    /// Ends the plain call that has the stream.
    pub fn end_plain(&mut self, now: Instant, end: PlainEnd) {
        self.plain.take().unwrap();
        self.session.handle_plain_end(now, end);
        self.events();
    }

    /// What it has written and not been asked about yet, as text.
    pub fn take_sent(&mut self) -> String {
        String::from_utf8(std::mem::take(&mut self.sent)).unwrap()
    }

    /// Whether there is nothing left to be done but to throw away what comes.
    pub const fn is_over(&self) -> bool {
        self.has_ended || self.is_reset
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.session.poll_timeout()
    }

    fn read(&mut self, now: Instant, count: usize) -> bool {
        if self.is_over() {
            self.pipe.clear();
            return false;
        }
        if !self.is_reading() {
            return false;
        }
        let count = count.min(self.pipe.len());
        self.input.extend(self.pipe.drain(..count));
        let had = self.input.len();
        let is_short = self.decode(now);
        let is_end = is_short && self.is_reading() && self.is_cut && self.pipe.is_empty();
        if is_end && let Err(violation) = self.session.handle_end(&self.input) {
            self.violate(violation);
        }
        self.events();
        count > 0 || is_end || self.input.len() != had
    }

    /// Takes in what has been read, as far as that goes, calls together that came together; whether
    /// that is all, and not what there is memory for.
    fn decode(&mut self, now: Instant) -> bool {
        let bytes_max = self.memory_bytes_max;
        loop {
            let mut lender = Lender::new(now, |holds: Holds| {
                let bytes = holds.kept_bytes.saturating_add(holds.payload_bytes.unwrap_or(0));
                let error = || Error::new(Code::Overloaded, "no memory");
                (bytes <= bytes_max).then_some(()).ok_or_else(error)
            });
            (lender.facts, lender.facts_by_name) = (self.facts, self.facts_by_name);
            let is_short = self.session.handle_input(&mut self.input, &mut lender);
            if !self.session.has_event() {
                return is_short;
            }
            while let Some(event) = self.session.poll_event() {
                let is_call = matches!(event, Event::Call(_));
                self.event(event);
                if is_call {
                    self.session.handle_more_input(&mut self.input, &mut lender);
                }
            }
        }
    }

    fn is_reading(&self) -> bool {
        self.session.wants_input() && self.plain.is_none()
    }

    fn violate(&mut self, violation: Violation) {
        self.violations.push(violation);
        self.session.handle_violation(&violation);
        // The rest cannot be written, and what looks like a good end would be a lie.
        if matches!(violation, Violation::Slow(Slowness::Write | Slowness::Ping, _)) {
            self.is_reset = true;
        }
    }

    fn lose(&mut self) {
        self.is_reset = true;
        self.pipe.clear();
        self.outbox = Outbox::default();
        self.session.handle_lost(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into());
        self.events();
    }

    pub fn events(&mut self) {
        while let Some(event) = self.session.poll_event() {
            self.event(event);
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Call(call) => self.calls.push_back(call),
            Event::Stop(id) => self.stops.push(id),
            Event::Plain(plain) => self.plain = Some(*plain),
            Event::Close(violation) => self.violate(violation),
            other => panic!("{other:?}"),
        }
    }
}

/// Takes in what the peer sends, with all the memory that it needs, and no event that comes of it;
/// what is left of it.
pub fn feed(session: &mut Session, now: Instant, text: &str) -> BytesMut {
    let mut input = BytesMut::from(text);
    session.handle_input(&mut input, &mut Lender::roomy(now));
    input
}
