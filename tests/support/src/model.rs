//! Any list of operations on a pair, and what must hold whatever they are.
//!
//! The list is made of bytes, so that a test can draw it by lot and a fuzzer can search for a bad
//! one. Every call carries a number of its own, and every reply the number of the call that it is
//! for. The promises:
//!
//! - a call gets exactly one outcome, and a reply is never another call's;
//! - a call runs at most once, and not at all if its caller is told that it is safe to retry;
//! - no more handlers run for a peer than its limit, whatever it cancels;
//! - after its deadline no caller waits and no callee is wanted;
//! - at no instant is something due for ever (see [`Pair::timeout`]);
//! - one end may keep the connection alive, which changes none of this;
//! - when all is quiet again, there is room for as many calls as at the beginning, or, once one end
//!   closes, both ends come to their end.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use switchboard::session::{Call, CallId, Session};
use switchboard::wire::{Options, Tag};
use switchboard::{Code, Error, Limits};

use crate::pair::{CLIENT, GREET, Pair};

/// Plays the operations that `bytes` stand for.
pub fn run(bytes: &[u8]) {
    let (head, operations) = bytes.split_at_checked(2).unwrap_or((&[0, 0], bytes));
    let (calls_max, is_kept_alive) = (usize::from(head[0] % 4), head[0] & 4 != 0);
    let mut model = Model::new(calls_max, is_kept_alive, usize::from(head[1]) * 8 + 1);
    for operation in operations.chunks_exact(3) {
        model.operate(operation[0], operation[1], operation[2]);
        model.collect();
    }
    model.calm_down();
    model.check_room();
}

struct Model {
    pair: Pair,
    limits: Limits,
    // By end and by tag: the calls that have no outcome yet.
    asked: [HashMap<Tag, Asked>; 2],
    // By end: the calls whose handlers run, and those of them that were told to stop.
    running: [Vec<(CallId, u64, Instant)>; 2],
    ran: HashSet<u64>,
    safe_to_retry: HashSet<u64>,
    last_number: u64,
    is_ending: bool,
}

#[derive(Clone, Copy)]
struct Asked {
    number: u64,
    deadline: Instant,
}

impl Model {
    fn new(calls_max: usize, is_kept_alive: bool, pipe_bytes_max: usize) -> Self {
        let limits = Limits::default().with(|limits| {
            limits.calls_per_connection_max = calls_max + 1;
            limits.payload_bytes_max = 200;
            limits.unwritten_bytes_max = 500;
            limits.consecutive_errors_max = 4;
            limits.call_time_max = Duration::from_secs(5);
            limits.idle_time_max = Duration::from_secs(20);
        });
        let mut pair = Pair::new(&limits);
        for peer in &mut pair.peers {
            peer.pipe_bytes_max = pipe_bytes_max;
        }
        if is_kept_alive {
            let now = pair.now;
            pair.peers[CLIENT].session.keep_alive(now, Duration::from_secs(3));
        }
        Self {
            pair,
            limits,
            asked: Default::default(),
            running: Default::default(),
            ran: HashSet::new(),
            safe_to_retry: HashSet::new(),
            last_number: 0,
            is_ending: false,
        }
    }

    fn operate(&mut self, operation: u8, a: u8, b: u8) {
        let end = usize::from(a & 1);
        let a = usize::from(a >> 1);
        match operation % 16 {
            0..=3 => self.call(end, a, b),
            4 => self.notify(end, a),
            5..=7 => self.answer(end, a, b),
            8 => self.cancel(end, a),
            9 => self.poll(end, a),
            10 => self.advance(Duration::from_millis(u64::from(b) * 40), a & 1 == 0),
            11 => _ = self.pair.deliver(end, usize::from(b)),
            12 => _ = self.pair.transmit(end),
            13 => _ = self.pair.transmit(end) | self.pair.deliver(1 - end, usize::from(b)),
            14 => self.pair.drive(),
            _ if b < 24 => {
                self.is_ending = true;
                self.pair.peers[end].session.close(self.pair.now);
            }
            _ if b < 32 => {
                self.is_ending = true;
                self.pair.lose();
            }
            _ => self.pair.drive(),
        }
    }

    fn call(&mut self, end: usize, size: usize, time: u8) {
        let session = &mut self.pair.peers[end].session;
        if !has_room(session, self.pair.now) {
            return;
        }
        let number = self.last_number + 1;
        // Times from 0 to over the limit; one in four does not tell it.
        let time_ms = u64::from(time >> 2) * 100;
        let options = Options::new(None, (time & 3 != 0).then_some(time_ms));
        let deadline = self.pair.now + Duration::from_millis(time_ms);
        match session.call(None, GREET, options, payload(number, size), deadline, &mut None) {
            Ok(tag) => {
                self.last_number = number;
                let before = self.asked[end].insert(tag, Asked { number, deadline });
                assert!(before.is_none(), "tag {tag} is in use");
            }
            Err(error) => assert!(!error.was_sent()),
        }
    }

    fn notify(&mut self, end: usize, size: usize) {
        let session = &mut self.pair.peers[end].session;
        if has_room(session, self.pair.now) {
            self.last_number += 1;
            _ = session.notify(None, GREET, Options::default(), payload(self.last_number, size));
        }
    }

    fn answer(&mut self, end: usize, which: usize, how: u8) {
        let count = self.running[end].len();
        if count == 0 {
            return;
        }
        let (id, number, _) = self.running[end].remove(which % count);
        let reply = match how % 8 {
            0 => Err(Error::new(Code::BadPayload, format!("{number:08}"))),
            1 | 2 => Err(Error::new(Code::Failed, format!("{number:08}"))),
            3 => Ok(payload(number, 300)),
            _ => Ok(payload(number, usize::from(how))),
        };
        let now = self.pair.now;
        self.pair.peers[end].session.handle_reply(|| now, id, reply);
        self.pair.peers[end].events();
    }

    fn cancel(&mut self, end: usize, which: usize) {
        if let Some(tag) = self.tag(end, which) {
            self.asked[end].remove(&tag);
            self.pair.peers[end].session.cancel(tag);
        }
    }

    fn poll(&mut self, end: usize, which: usize) {
        if let Some(tag) = self.tag(end, which) {
            self.poll_tag(end, tag);
        }
    }

    /// Takes the outcome of a call, if there is one; whether there is.
    fn poll_tag(&mut self, end: usize, tag: Tag) -> bool {
        let number = self.asked[end][&tag].number;
        let Some(outcome) = self.pair.peers[end].reply(tag) else {
            return false;
        };
        self.asked[end].remove(&tag);
        match outcome {
            Ok(payload) => assert_eq!(number_of(&payload), number, "another call's reply"),
            Err(error) => {
                if error.is_from_peer() && matches!(error.code(), Code::Failed | Code::BadPayload) {
                    assert_eq!(error.text(), format!("{number:08}"), "another call's error");
                }
                if error.is_safe_to_retry() {
                    assert!(!self.ran.contains(&number), "it ran: {error}");
                    self.safe_to_retry.insert(number);
                }
            }
        }
        true
    }

    fn tag(&self, end: usize, which: usize) -> Option<Tag> {
        let mut tags: Vec<_> = self.asked[end].keys().copied().collect();
        tags.sort_unstable();
        tags.get(which % tags.len().max(1)).copied()
    }

    /// Moves the time on; nothing is delivered meanwhile.
    fn advance(&mut self, time: Duration, is_polled: bool) {
        let until = self.pair.now + time;
        while let Some(due) = self.pair.poll_timeout().filter(|due| *due <= until) {
            self.pair.now = self.pair.now.max(due);
            self.pair.timeout();
        }
        self.pair.now = until;
        self.collect();
        for end in 0..2 {
            let session = &self.pair.peers[end].session;
            let mut late = self.running[end].iter().filter(|(.., deadline)| *deadline <= until);
            assert!(!late.any(|(id, ..)| session.is_wanted(*id)), "wanted after its deadline");
            for tag in self.asked[end].keys().copied().collect::<Vec<_>>() {
                if is_polled && self.asked[end][&tag].deadline <= until {
                    assert!(self.poll_tag(end, tag), "a caller waits after its deadline");
                }
            }
        }
    }

    /// Takes over what the sessions want done.
    fn collect(&mut self) {
        for (end, peer) in self.pair.peers.iter_mut().enumerate() {
            self.is_ending |= !peer.violations.is_empty();
            for call in peer.calls.drain(..) {
                let Call { id, payload, deadline, .. } = *call;
                let number = number_of(&payload);
                assert!(self.ran.insert(number), "call {number} ran twice");
                assert!(!self.safe_to_retry.contains(&number), "it was safe to retry");
                self.running[end].push((id, number, deadline));
            }
            assert!(self.running[end].len() <= self.limits.calls_per_connection_max);
            for stopped in peer.stops.drain(..) {
                assert!(self.running[end].iter().any(|(id, ..)| *id == stopped));
                assert!(!peer.session.is_wanted(stopped));
            }
        }
    }

    /// Lets everything come to rest: everything is delivered, and every handler answers.
    fn calm_down(&mut self) {
        for peer in &mut self.pair.peers {
            peer.pipe_bytes_max = usize::MAX;
        }
        loop {
            self.pair.drive();
            self.collect();
            if self.running.iter().all(Vec::is_empty) {
                break;
            }
            for end in 0..2 {
                while !self.running[end].is_empty() {
                    self.answer(end, 0, u8::MAX);
                }
            }
        }
        for end in 0..2 {
            for tag in self.asked[end].keys().copied().collect::<Vec<_>>() {
                assert!(self.poll_tag(end, tag), "a call without an outcome");
            }
        }
    }

    fn check_room(&mut self) {
        if self.is_ending {
            assert!(self.pair.peers.iter().all(|peer| peer.is_over()), "one end does not end");
            return;
        }
        for end in 0..2 {
            for _ in 0..self.limits.calls_per_connection_max {
                let before = self.asked[end].len();
                self.call(end, 0, 100);
                assert_eq!(self.asked[end].len(), before + 1, "a call that is over takes room");
            }
            self.pair.drive();
            self.collect();
            let running = self.running[1 - end].len();
            assert_eq!(running, self.limits.calls_per_connection_max, "an ended handler counts");
            self.calm_down();
        }
    }
}

/// Whether something may be sent; if not, it is not waited for.
fn has_room(session: &mut Session, now: Instant) -> bool {
    let mut place = None;
    let deadline = now + Duration::from_secs(3600);
    let is_room = session.poll_room(None, &mut place, deadline, &mut None).is_ready();
    place.into_iter().for_each(|place| session.leave_room(place));
    is_room
}

fn payload(number: u64, size: usize) -> BytesMut {
    BytesMut::from(format!("{number:08}{}", "x".repeat(size)).as_bytes())
}

fn number_of(payload: &Bytes) -> u64 {
    let digits = payload.get(..8).and_then(|digits| std::str::from_utf8(digits).ok());
    digits.and_then(|digits| digits.parse().ok()).unwrap()
}
