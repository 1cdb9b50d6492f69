//! Any list of operations on streamed calls of a pair, and what must hold whatever they are.
//!
//! As in [`model`](crate::model) the list is made of bytes. Every call carries a number of its own,
//! and every item that number, its direction and its place in it. The promises:
//!
//! - items come in order, each once, and none is another's;
//! - a call that ends well, or by its handler's word, has given all items before its end;
//! - a call ends badly only for a reason: its handler's word, a cancel, a time that is over, no
//!   memory left, an item that is too large, or a connection that is lost;
//! - two correct peers never break the protocol to each other;
//! - a half holds no more than its window and one item, and an end no more than all of its halves;
//! - calls beside streams are answered, however many items wait;
//! - whoever waits is woken when there is something to come for;
//! - when both sides take what comes, everything comes to its end without time passing, and then
//!   nothing is held, and there is room for as many streams as at the beginning.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Wake, Waker};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use switchboard::session::{CallId, Item, StreamId, Violation};
use switchboard::wire::{Name, Options, Tag};
use switchboard::{Code, Command, Error, Facts, Limits};

use crate::pair::{CLIENT, Pair};

/// Plays the operations that `bytes` stand for.
pub fn run(bytes: &[u8]) {
    let (head, operations) = bytes.split_at_checked(2).unwrap_or((&[0, 0], bytes));
    let mut model = Model::new(head[0], usize::from(head[1]) * 8 + 1);
    for operation in operations.chunks_exact(3) {
        model.operate(operation[0], operation[1], operation[2]);
        model.collect();
        model.check_held();
    }
    model.calm_down();
    model.check_room();
}

const UP: Name = Name::new("UP");
const DOWN: Name = Name::new("DOWN");
const BOTH: Name = Name::new("BOTH");
const ONE: Name = Name::new("ONE");

struct Model {
    pair: Pair,
    streams: Vec<Stream>,
    // By end: handlers of calls that are no streams.
    ones: [Vec<CallId>; 2],
    streams_max: usize,
    memory_bytes_max: usize,
    is_closed: bool,
    is_lost: bool,
}

/// One streamed call, as both ends have it.
struct Stream {
    caller: usize,
    tag: Tag,
    made: StreamId,
    deadline: Instant,
    // For so long time has passed since its begin.
    age: Duration,
    // The caller has its reply, or has given it up.
    is_over: bool,
    reply: Sleeper,
    // It runs, or did.
    callee: Option<CallId>,
    has_answered: bool,
    // The items of the request, and of the reply.
    halves: [Option<Half>; 2],
    may_fail: bool,
}

/// The items of one direction.
struct Half {
    window: usize,
    sent: usize,
    taken: usize,
    // What those cost that were sent and not taken.
    cost: usize,
    is_ended: bool,
    has_seen_end: bool,
    sender: Sleeper,
    taker: Sleeper,
}

/// Somebody who may wait.
#[derive(Default)]
struct Sleeper {
    is_woken: Arc<Flag>,
    is_waiting: bool,
}

#[derive(Default)]
struct Flag(AtomicBool);

const REQUEST: usize = 0;
const REPLY: usize = 1;

impl Model {
    fn new(head: u8, pipe_bytes_max: usize) -> Self {
        let streams_max = usize::from(head % 4) + 1;
        let limits = Limits::default().with(|limits| {
            limits.streams_per_connection_max = streams_max;
            limits.payload_bytes_max = ITEM_BYTES_MAX + 100;
            limits.item_bytes_max = ITEM_BYTES_MAX;
            limits.unwritten_bytes_max = 500;
            limits.stall_time_max = STALL_TIME_MAX;
            limits.call_time_max = Duration::from_secs(1);
        });
        let memory_bytes_max = if head & 16 == 0 { usize::MAX } else { 3000 << (head >> 5) };
        let mut pair = Pair::new(&limits);
        for peer in &mut pair.peers {
            peer.pipe_bytes_max = pipe_bytes_max;
            peer.memory_bytes_max = memory_bytes_max;
            peer.facts_by_name = Some(facts_of);
        }
        if head & 4 != 0 {
            let now = pair.now;
            pair.peers[CLIENT].session.keep_alive(now, Duration::from_secs(3));
        }
        let (streams, ones) = (Vec::new(), Default::default());
        let (is_closed, is_lost) = (false, false);
        Self { pair, streams, ones, streams_max, memory_bytes_max, is_closed, is_lost }
    }

    fn operate(&mut self, operation: u8, a: u8, b: u8) {
        let end = usize::from(a & 1);
        let (way, at) = (usize::from(a >> 1 & 1), usize::from(a >> 2));
        let at = at % self.streams.len().max(1);
        let has_streams = !self.streams.is_empty();
        match operation % 20 {
            0 | 1 => _ = self.open(end, way + usize::from(a >> 2 & 1), (a >> 3, b)),
            2..=6 if has_streams => _ = self.send(at, way, item_bytes(b)),
            7..=9 if has_streams => _ = self.take(at, way, b & 1 == 0),
            10 if has_streams => _ = self.end(at),
            11 if has_streams => _ = self.answer(at, b),
            12 if has_streams && b < 128 => self.cancel(at),
            13 if has_streams => _ = self.claim(at),
            14 => self.advance(Duration::from_millis(u64::from(b) * 40)),
            15 => _ = self.pair.deliver(end, usize::from(b)),
            16 => _ = self.pair.transmit(end),
            17 => _ = self.pair.transmit(end) | self.pair.deliver(1 - end, usize::from(b)),
            18 if b < 8 => {
                self.is_closed = true;
                self.pair.peers[end].session.close(self.pair.now);
            }
            18 if b < 12 => self.pair.lose(),
            18 => self.call_beside(end),
            _ => self.pair.drive(),
        }
        self.is_lost |= operation % 20 == 18 && (8..12).contains(&b);
    }

    /// Begins a call; whether it could.
    fn open(&mut self, end: usize, shape: usize, (time, window): (u8, u8)) -> bool {
        let number = self.streams.len();
        let time = Duration::from_millis(u64::from(time) * 400);
        let deadline = self.pair.now + if time.is_zero() { MONTH } else { time };
        let time_ms = (!time.is_zero()).then_some(u64::try_from(time.as_millis()).unwrap());
        let window = usize::from(window) * 40 + 1;
        let (name, has_request, has_reply) =
            [(UP, true, false), (DOWN, false, true), (BOTH, true, true)][shape];
        let credit = has_reply.then_some(u32::try_from(window).unwrap());
        let options = Options::new(None, time_ms).streamed(has_request, credit);
        let payload = BytesMut::from(format!("{number:08}").as_bytes());
        let session = &mut self.pair.peers[end].session;
        let mut reply = Sleeper::default();
        let mut waker = reply.waker();
        let Ok(tag) = session.call(None, name, options, payload, deadline, &mut waker) else {
            return false;
        };
        let made = session.stream_of(tag).unwrap();
        reply.is_waiting = true;
        let halves = [has_request.then_some(REQUEST_WINDOW), has_reply.then_some(window)];
        self.streams.push(Stream {
            caller: end,
            tag,
            made,
            deadline,
            age: Duration::ZERO,
            is_over: false,
            reply,
            callee: None,
            has_answered: false,
            halves: halves.map(|window| window.map(Half::new)),
            may_fail: false,
        });
        true
    }

    /// Sends an item; whether there was room for it.
    fn send(&mut self, at: usize, way: usize, bytes: usize) -> bool {
        self.wake();
        let stream = &mut self.streams[at];
        let Some((end, id)) = stream.sender(way) else { return false };
        let is_over = stream.is_over && way == REQUEST;
        let is_wanted = match stream.callee {
            Some(id) if way == REPLY => self.pair.peers[end].session.is_wanted(id),
            _ => false,
        };
        let Some(half) = &mut stream.halves[way] else { return false };
        let session = &mut self.pair.peers[end].session;
        let cost = bytes + ITEM_COST_BYTES;
        if session.held_bytes() + cost > self.memory_bytes_max {
            return false;
        }
        let room = session.poll_item_room(id, false, &mut half.sender.waker());
        half.sender.note(room.is_ready());
        match room {
            Poll::Pending => return false,
            Poll::Ready(Err(_)) => {
                assert!(half.is_ended || !is_wanted, "a call that goes on takes no items");
                return false;
            }
            Poll::Ready(Ok(())) => assert!(!half.is_ended && !is_over, "it has ended"),
        }
        let head = format!("{at:08}{way}{:06}", half.sent);
        let text = head.bytes().chain(std::iter::repeat(b'x')).take(bytes.max(head.len()));
        let item = Item::new(Bytes::from_iter(text));
        (half.sent, half.cost) = (half.sent + 1, half.cost + item.payload.len() + ITEM_COST_BYTES);
        stream.may_fail |= item.payload.len() > ITEM_BYTES_MAX;
        session.send_item(self.pair.now, id, item);
        true
    }

    /// Takes an item, or the end; whether either came.
    fn take(&mut self, at: usize, way: usize, is_scarce: bool) -> bool {
        self.wake();
        let stream = &mut self.streams[at];
        let Some((end, id)) = stream.taker(way) else { return false };
        let (is_over, has_answered) = (stream.is_over && way == REPLY, stream.has_answered);
        let Some(half) = &mut stream.halves[way] else { return false };
        let session = &mut self.pair.peers[end].session;
        let item = session.poll_item(id, is_scarce, &mut half.taker.waker());
        half.taker.note(item.is_ready());
        let is_wanted = match stream.callee {
            Some(id) if way == REQUEST => session.is_wanted(id),
            _ => false,
        };
        match item {
            Poll::Pending => false,
            Poll::Ready(Ok(None)) => {
                let is_whole = half.is_ended && half.taken == half.sent;
                assert!(is_whole || way == REPLY && !is_wanted, "the end comes before items");
                !std::mem::replace(&mut half.has_seen_end, true)
            }
            // The call is over. It is no end, and nothing comes behind it either.
            Poll::Ready(Err(_)) => {
                assert!(!is_wanted || has_answered, "a call that goes on is over");
                !std::mem::replace(&mut half.has_seen_end, true)
            }
            Poll::Ready(Ok(Some(item))) => {
                assert!(!half.has_seen_end && !is_over, "an item behind the end");
                let head = format!("{at:08}{way}{:06}", half.taken);
                assert!(item.payload.starts_with(head.as_bytes()), "another's item");
                half.taken += 1;
                half.cost -= item.payload.len() + ITEM_COST_BYTES;
                true
            }
        }
    }

    /// The caller ends its request; whether it had not.
    fn end(&mut self, at: usize) -> bool {
        let stream = &mut self.streams[at];
        let Some(half) = &mut stream.halves[REQUEST] else { return false };
        if !stream.is_over && !half.is_ended {
            half.is_ended = true;
            self.pair.peers[stream.caller].session.end_items(stream.made);
            return true;
        }
        false
    }

    /// Ends a handler; whether it did. It ends well if it has seen the whole request, or does not
    /// care for it.
    fn answer(&mut self, at: usize, how: u8) -> bool {
        let stream = &mut self.streams[at];
        let Some(id) = stream.callee.filter(|_| !stream.has_answered) else { return false };
        let [request, reply] = &mut stream.halves;
        let is_whole = request.as_ref().is_none_or(|half| half.has_seen_end);
        let sent = reply.as_ref().map_or(0, |half| half.sent);
        let text = format!("{at:08} {sent}");
        let result = match how {
            0..40 => Err(Error::new(Code::Conflict, text)),
            40..60 => Ok(BytesMut::from(text.as_bytes())),
            _ if is_whole => Ok(BytesMut::from(text.as_bytes())),
            _ => return false,
        };
        if let Some(half) = reply {
            half.is_ended = true;
        }
        stream.has_answered = true;
        let now = self.pair.now;
        let peer = &mut self.pair.peers[1 - stream.caller];
        peer.session.handle_reply(|| now, id, result);
        peer.events();
        true
    }

    fn cancel(&mut self, at: usize) {
        let stream = &mut self.streams[at];
        if !stream.is_over {
            (stream.is_over, stream.may_fail) = (true, true);
            self.pair.peers[stream.caller].session.cancel(stream.tag);
        }
    }

    /// Takes the reply, if it is there; whether it was.
    fn claim(&mut self, at: usize) -> bool {
        self.wake();
        let stream = &mut self.streams[at];
        if stream.is_over {
            return false;
        }
        let session = &mut self.pair.peers[stream.caller].session;
        let reply = session.poll_reply(stream.tag, &mut stream.reply.waker());
        stream.reply.note(reply.is_ready());
        let Poll::Ready(reply) = reply else { return false };
        stream.is_over = true;
        let taken = stream.halves[REPLY].as_ref().map_or(0, |half| half.taken);
        let expected = format!("{at:08} {taken}");
        match reply {
            Ok(reply) => assert_eq!(reply.payload, expected, "items are missing"),
            Err(error) if error.code() == Code::Conflict => assert_eq!(error.text(), expected),
            Err(error) => {
                let is_refusal =
                    matches!(error.code(), Code::Overloaded | Code::ShuttingDown | Code::Cancelled);
                let may_fail = self.may_fail(at) || self.streams[at].callee.is_none() && is_refusal;
                assert!(may_fail, "for no reason: {error:?}");
            }
        }
        true
    }

    fn may_fail(&self, at: usize) -> bool {
        let Stream { may_fail, deadline, age, .. } = &self.streams[at];
        let is_late = *deadline <= self.pair.now || *age >= STALL_TIME_MAX;
        let is_scarce = self.memory_bytes_max < usize::MAX;
        let is_late = is_late || self.is_closed && !age.is_zero();
        *may_fail || is_late || is_scarce || self.is_lost
    }

    /// Makes a call that is no stream, which is answered whatever the streams do.
    fn call_beside(&mut self, end: usize) {
        if self.is_closed || self.is_lost || self.memory_bytes_max < usize::MAX {
            return;
        }
        self.pair.drive();
        self.collect();
        let deadline = self.pair.now + Duration::from_secs(1);
        let (session, options) = (&mut self.pair.peers[end].session, Options::default());
        let tag = session.call(None, ONE, options, BytesMut::new(), deadline, &mut None);
        self.pair.drive();
        self.collect();
        if self.is_lost {
            return;
        }
        let id = self.ones[1 - end].pop().expect("a call beside streams is not held up");
        self.pair.peers[1 - end].answer(id, Ok(""));
        self.pair.drive();
        let reply = self.pair.peers[end].reply(tag.unwrap());
        reply.expect("nor is its reply").unwrap();
    }

    /// Moves the time on; nothing is delivered meanwhile.
    fn advance(&mut self, time: Duration) {
        let until = self.pair.now + time;
        while let Some(due) = self.pair.poll_timeout().filter(|due| *due <= until) {
            self.pair.set_now(self.pair.now.max(due));
            self.pair.timeout();
        }
        self.pair.set_now(until);
        self.streams.iter_mut().for_each(|stream| stream.age += time);
        self.collect();
        for at in 0..self.streams.len() {
            let Stream { deadline, is_over, .. } = self.streams[at];
            if deadline <= until && !is_over {
                while self.take(at, REPLY, false) {}
                assert!(self.claim(at), "a caller waits after its deadline");
            }
        }
    }

    /// Takes over what the sessions want done.
    fn collect(&mut self) {
        for end in 0..2 {
            let peer = &mut self.pair.peers[end];
            let is_slow = |violation: &Violation| matches!(violation, Violation::Slow(..));
            assert!(peer.violations.iter().all(is_slow), "{:?}", peer.violations);
            self.is_lost |= !peer.violations.is_empty();
            for call in peer.calls.drain(..) {
                if !call.id.is_streamed() {
                    self.ones[end].push(call.id);
                    continue;
                }
                let number = std::str::from_utf8(&call.payload).unwrap();
                let stream = &mut self.streams[number.parse::<usize>().unwrap()];
                assert!(stream.caller != end && stream.callee.is_none(), "it ran twice");
                stream.callee = Some(call.id);
            }
            for stopped in std::mem::take(&mut peer.stops) {
                let is_it =
                    |stream: &Stream| stream.caller != end && stream.callee == Some(stopped);
                let at = self.streams.iter().position(is_it).unwrap();
                assert!(!self.streams[at].has_answered, "it had ended");
                assert!(self.may_fail(at), "stopped for no reason");
            }
            let running = |stream: &&Stream| stream.caller != end && stream.is_running();
            assert!(self.streams.iter().filter(running).count() <= self.streams_max);
        }
        self.wake();
    }

    /// Wakes those who have something to come for.
    fn wake(&mut self) {
        for peer in &mut self.pair.peers {
            let wakers = peer.session.wakers();
            drop(wakers.take_spent());
            wakers.take_due().into_iter().for_each(Waker::wake);
        }
    }

    fn check_held(&self) {
        for (end, peer) in self.pair.peers.iter().enumerate() {
            let mut most = 0;
            for stream in &self.streams {
                for (way, half) in stream.halves.iter().enumerate() {
                    let Some(half) = half else { continue };
                    let is_sender = (stream.caller == end) == (way == REQUEST);
                    let window = if is_sender { WAITING_BYTES_MAX } else { half.window };
                    most += half.cost.min(window + ITEM_BYTES_MAX + ITEM_COST_BYTES);
                }
                // The reply, until it is taken, and until it has gone.
                most += if stream.is_over { 0 } else { REPLY_BYTES_MAX };
                let is_kept = |id| stream.caller != end && peer.session.is_wanted(id);
                most += stream.callee.map_or(0, |id| KEPT_BYTES_MAX * usize::from(is_kept(id)));
            }
            let held = peer.session.held_bytes() - peer.session.unwritten_bytes();
            assert!(held <= most, "{held} bytes are held, and {most} at most can be");
        }
    }

    /// Lets everything come to its end: what comes is taken, and what is over is ended.
    fn calm_down(&mut self) {
        for peer in &mut self.pair.peers {
            peer.pipe_bytes_max = usize::MAX;
        }
        let mut has_moved = true;
        while has_moved {
            has_moved = false;
            // With what is due at once: items that wait for credit of one who has left.
            self.pair.advance(Duration::ZERO);
            self.collect();
            self.check_held();
            for at in 0..self.streams.len() {
                has_moved |= self.end(at);
                has_moved |= self.take(at, REQUEST, false) | self.take(at, REPLY, false);
                has_moved |= self.answer(at, u8::MAX) | self.claim(at);
            }
        }
        for stream in &self.streams {
            assert!(stream.is_over, "a call without an outcome");
            assert!(!stream.is_running(), "a handler without an end");
        }
        for peer in &self.pair.peers {
            // What is said behind the end is not written.
            let unwritten = if peer.is_over() { peer.session.unwritten_bytes() } else { 0 };
            assert_eq!(peer.session.held_bytes(), unwritten, "something is left");
        }
    }

    fn check_room(&mut self) {
        if self.is_closed || self.is_lost {
            assert!(self.pair.peers.iter().all(|peer| peer.is_over()), "one end does not end");
            return;
        }
        if self.memory_bytes_max < usize::MAX {
            return;
        }
        for end in 0..2 {
            for _ in 0..self.streams_max {
                assert!(self.open(end, 2, (0, 1)), "a stream that is over takes room");
            }
            self.pair.drive();
            self.collect();
            let running = self.streams.iter().filter(|stream| stream.is_running()).count();
            assert_eq!(running, self.streams_max, "an ended handler counts");
            self.calm_down();
        }
    }
}

impl Stream {
    /// The end that sends this way, and how it names the call, once it can.
    fn sender(&self, way: usize) -> Option<(usize, StreamId)> {
        if way == REQUEST { self.of_caller() } else { self.of_callee() }
    }

    fn taker(&self, way: usize) -> Option<(usize, StreamId)> {
        if way == REQUEST { self.of_callee() } else { self.of_caller() }
    }

    fn of_caller(&self) -> Option<(usize, StreamId)> {
        Some((self.caller, self.made))
    }

    fn of_callee(&self) -> Option<(usize, StreamId)> {
        Some((1 - self.caller, self.callee?.into()))
    }

    fn is_running(&self) -> bool {
        self.callee.is_some() && !self.has_answered
    }
}

impl Half {
    fn new(window: usize) -> Self {
        let (sender, taker) = Default::default();
        let (is_ended, has_seen_end) = (false, false);
        Self { window, sent: 0, taken: 0, cost: 0, is_ended, has_seen_end, sender, taker }
    }
}

impl Sleeper {
    fn waker(&self) -> Option<Waker> {
        Some(Waker::from(Arc::clone(&self.is_woken)))
    }

    /// It has asked, and there was something for it or not.
    fn note(&mut self, is_ready: bool) {
        let is_woken = self.is_woken.0.swap(false, Ordering::Relaxed);
        assert!(!self.is_waiting || is_woken || !is_ready, "whoever waits was not woken");
        self.is_waiting = !is_ready;
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn facts_of(name: &Name) -> Option<Facts> {
    let (has_request, has_reply) = (*name == UP || *name == BOTH, *name == DOWN || *name == BOTH);
    Some(Command::<(), (), ()>::new("GREET").facts().streamed(has_request, has_reply))
}

/// Mostly short ones; the last two are too large.
fn item_bytes(b: u8) -> usize {
    let b = usize::from(b);
    if b < 200 { b } else { b * 8 }
}

const ITEM_BYTES_MAX: usize = 2024;
const ITEM_COST_BYTES: usize = 64;
const REQUEST_WINDOW: usize = 64 * 1024;
const WAITING_BYTES_MAX: usize = 64 * 1024;
const REPLY_BYTES_MAX: usize = 200;

/// A reply that is kept behind items, and what its stream costs beside it.
const KEPT_BYTES_MAX: usize = 512 + REPLY_BYTES_MAX;

const STALL_TIME_MAX: Duration = Duration::from_secs(10);
const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);
