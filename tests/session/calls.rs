//! Calls and their replies, cancelled or not, and one-way calls.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;

use bytes::BytesMut;
use switchboard::wire::{Options, Tag};
use switchboard::{Code, Error, Limits};
use switchboard_testing::SECOND;
use switchboard_testing::pair::{CLIENT, GREET, Pair, SERVER, feed};
use switchboard_testing::random::Random;

use crate::room::Count;

#[test]
fn replies_come_in_any_order_to_the_calls_they_are_for() {
    let mut pair = Pair::new(&Limits::default());
    let tags: Vec<Tag> =
        (0..100).map(|number| pair.call(CLIENT, &format!("{number}"), SECOND)).collect();
    pair.drive();
    assert_eq!(pair.peers[SERVER].calls.len(), 100);
    let mut random = Random::new(1);
    while !pair.peers[SERVER].calls.is_empty() {
        let index = random.below(pair.peers[SERVER].calls.len());
        let call = pair.peers[SERVER].calls.remove(index).unwrap();
        let text = String::from_utf8(call.payload.to_vec()).unwrap();
        pair.peers[SERVER].answer(call.id, Ok(&format!("reply to {text}")));
    }
    pair.drive();
    for (number, tag) in tags.into_iter().enumerate() {
        let reply = pair.peers[CLIENT].reply(tag).unwrap().unwrap();
        assert_eq!(reply, format!("reply to {number}"));
        let again = pair.peers[CLIENT].reply(tag).unwrap().unwrap_err();
        assert_eq!(again.code(), Code::Cancelled, "a reply is given out once");
    }
}

#[test]
fn both_sides_call_each_other_at_once() {
    let mut pair = Pair::new(&Limits::default());
    let ours = pair.call(CLIENT, "ping", SECOND);
    let theirs = pair.call(SERVER, "pong", SECOND);
    assert_eq!(ours, theirs, "each side counts its own tags");
    pair.drive();
    pair.peers[CLIENT].echo();
    pair.peers[SERVER].echo();
    pair.drive();
    assert_eq!(pair.peers[CLIENT].reply(ours).unwrap().unwrap(), "ping");
    assert_eq!(pair.peers[SERVER].reply(theirs).unwrap().unwrap(), "pong");
}

#[test]
fn large_calls_both_of_whose_ends_have_much_to_write_do_not_lock() {
    let limits = Limits::default().with(|limits| limits.unwritten_bytes_max = 1000);
    let mut pair = Pair::new(&limits);
    pair.peers[CLIENT].pipe_bytes_max = 100;
    pair.peers[SERVER].pipe_bytes_max = 100;
    let large = "x".repeat(50_000);
    let tags: Vec<_> = (0..20).map(|_| pair.call(CLIENT, &large, SECOND)).collect();
    // The server answers while the client still has calls to write.
    while pair.step() {
        while !pair.peers[SERVER].calls.is_empty() {
            pair.peers[SERVER].echo();
        }
    }
    for tag in tags {
        assert!(pair.peers[CLIENT].reply(tag).expect("both wait").unwrap() == large);
    }
}

#[test]
fn a_waker_is_woken_when_the_reply_comes() {
    let mut pair = Pair::new(&Limits::default());
    let tag = pair.call(CLIENT, "", SECOND);
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    for _ in 0..3 {
        let mut offered = Some(waker.clone());
        assert!(pair.peers[CLIENT].session.poll_reply(tag, &mut offered).is_pending());
        assert!(offered.is_none() && pair.peers[CLIENT].session.is_heard_by(tag, &waker));
    }
    // Given back, to be dropped outside.
    assert_eq!(pair.peers[CLIENT].session.wakers().take_spent().len(), 2);
    pair.drive();
    assert!(pair.peers[CLIENT].session.wakers().take_due().is_empty());
    pair.peers[SERVER].echo();
    pair.drive();
    for waker in pair.peers[CLIENT].session.wakers().take_due() {
        waker.wake();
    }
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    assert!(pair.peers[CLIENT].session.poll_reply(tag, &mut None).is_ready());
}

#[test]
fn a_cancelled_call_is_answered_at_once_and_its_tag_kept_until_then() {
    let mut pair = Pair::new(&Limits::default());
    let tag = pair.call(CLIENT, "", SECOND);
    pair.drive();
    pair.peers[CLIENT].session.cancel(tag);
    pair.peers[CLIENT].session.cancel(tag);
    assert_ne!(pair.call(CLIENT, "", SECOND), tag);
    assert_eq!(pair.peers[CLIENT].reply(tag).unwrap().unwrap_err().code(), Code::Cancelled);
    pair.drive();
    let call = pair.peers[SERVER].calls.pop_front().unwrap();
    assert_eq!(pair.peers[SERVER].stops, [call.id]);
    assert!(!pair.peers[SERVER].session.is_wanted(call.id));
    let told = pair.peers[SERVER].take_sent();
    assert_eq!(told, "<1 err 20 cancelled ran=1\nthe caller cancelled");
    // The handler's reply, late.
    pair.peers[SERVER].answer(call.id, Ok("too late"));
    pair.drive();
    assert_eq!(pair.peers[SERVER].take_sent(), "");
    assert!(pair.peers[CLIENT].violations.is_empty());
    assert_eq!(pair.peers[CLIENT].sent, b"GREET 1 0\n>1 cancel\nGREET 2 0\n");
}

#[test]
fn a_call_that_ends_before_anybody_has_seen_it_never_begins() {
    for is_draining in [true, false] {
        let mut pair = Pair::alone(&Limits::default());
        let (now, session) = (pair.now, &mut pair.peers[SERVER].session);
        feed(session, now, "GREET 1 0 t=10000\n");
        if is_draining {
            session.close(now - SECOND);
            session.handle_timeout(now + 9 * SECOND).unwrap();
        } else {
            session.handle_timeout(now + 10 * SECOND).unwrap();
        }
        assert!(session.is_at_rest() && !session.has_event());
        pair.drive();
        assert!(pair.peers[SERVER].calls.is_empty() && pair.peers[SERVER].stops.is_empty());
        let told = pair.peers[SERVER].take_sent();
        assert!(told.contains("<1 err ") && !told.contains("ran=1"), "it did not run: {told}");
    }
}

#[test]
fn a_cancel_may_cross_the_reply() {
    let mut pair = Pair::new(&Limits::default());
    let tag = pair.call(CLIENT, "hello", SECOND);
    pair.drive();
    pair.peers[SERVER].echo();
    pair.transmit(SERVER);
    pair.peers[CLIENT].session.cancel(tag);
    pair.drive();
    assert!(pair.peers[SERVER].stops.is_empty());
    for peer in &pair.peers {
        assert!(peer.violations.is_empty());
    }
}

#[test]
fn a_cancel_of_a_call_that_is_over_means_nothing() {
    let mut pair = Pair::alone(&Limits::default());
    pair.inject(SERVER, b">7 cancel\nGREET 7 0\n>7 cancel\n>7 cancel\n");
    assert_eq!(pair.peers[SERVER].stops.len(), 1);
    // The handler of the first is still running; the tag is free for a second.
    pair.inject(SERVER, b"GREET 7 0\n");
    let ids: Vec<_> = pair.peers[SERVER].calls.iter().map(|call| call.id).collect();
    pair.peers[SERVER].answer(ids[0], Ok("the first"));
    assert!(pair.peers[SERVER].session.is_wanted(ids[1]) && ids[0] != ids[1]);
    pair.peers[SERVER].take_sent();
    pair.peers[SERVER].answer(ids[1], Ok("the second"));
    pair.drive();
    assert_eq!(pair.peers[SERVER].take_sent(), "<7 ok 10\nthe second");
    assert!(pair.peers[SERVER].violations.is_empty());
}

#[test]
fn a_reply_that_is_there_may_be_cancelled_too() {
    let mut pair = Pair::new(&Limits::default());
    let tag = pair.call(CLIENT, "hello", SECOND);
    pair.drive();
    pair.peers[SERVER].echo();
    pair.drive();
    pair.peers[CLIENT].session.cancel(tag);
    pair.drive();
    assert_eq!(pair.peers[CLIENT].sent, b"GREET 1 5\nhello", "no word of it");
    assert_eq!(pair.peers[CLIENT].reply(tag).unwrap().unwrap_err().code(), Code::Cancelled);
}

#[test]
fn tags_in_use_are_passed_over() {
    let mut pair = Pair::new(&Limits::default());
    let first = pair.call(CLIENT, "", SECOND);
    pair.drive();
    let mut seen = vec![first];
    for _ in 0..5 {
        let tag = pair.call(CLIENT, "", SECOND);
        assert!(tag != 0 && !seen.contains(&tag));
        seen.push(tag);
    }
}

#[test]
fn a_one_way_call_has_no_reply() {
    let mut pair = Pair::new(&Limits::default());
    let payload = || BytesMut::from("payload");
    for _ in 0..3 {
        pair.peers[CLIENT].session.notify(None, GREET, Options::default(), payload()).unwrap();
    }
    pair.drive();
    let ids: Vec<_> = pair.peers[SERVER].calls.drain(..).map(|call| call.id).collect();
    assert!(ids.iter().all(|id| id.tag() == 0));
    pair.peers[SERVER].answer(ids[0], Ok("nobody reads this"));
    pair.peers[SERVER].answer(ids[1], Err(Error::new(Code::Denied, "nor this")));
    pair.advance(31 * SECOND);
    assert_eq!(pair.peers[SERVER].stops, [ids[2]], "it has a deadline");
    pair.inject(SERVER, b">0 cancel\n>0 item 3\nabc");
    assert_eq!(pair.peers[SERVER].take_sent(), "");
    assert!(pair.peers[SERVER].violations.is_empty());
}
