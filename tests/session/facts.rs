//! What a command has in place of limits, as a session keeps it without knowing any command.

use bytes::BytesMut;
use switchboard::session::{Slowness, Violation};
use switchboard::wire::{Name, Options};
use switchboard::{Command, Facts, Limits};
use switchboard_testing::SECOND;
use switchboard_testing::lender::Lender;
use switchboard_testing::pair::{CLIENT, GREET, Pair, SERVER};

/// Those of a command whose payloads may have so many bytes.
fn bytes_max(bytes: usize) -> Facts {
    Command::<(), (), ()>::new("X").payload_bytes_max(bytes).facts()
}

fn limits() -> Limits {
    Limits::default().with(|limits| {
        limits.payload_bytes_max = 8;
        limits.body_time_max = 10 * SECOND;
        limits.unwritten_bytes_max = 64;
        limits.write_time_max = 100 * SECOND;
    })
}

#[test]
fn the_facts_of_a_name_are_asked_for_once_for_each_tagged_call() {
    let mut pair = Pair::alone(&limits());
    let (now, session) = (pair.now, &mut pair.peers[SERVER].session);
    let mut lender = Lender::roomy(now);
    let mut input =
        BytesMut::from("A 1 2\nhi>1 cancel\n>7 cancel\nB 0 1\nx<0 err 0 failed ran=1\nC\n");
    for _ in 0..4 {
        session.handle_input(&mut input, &mut lender);
        while session.poll_event().is_some() {}
    }
    assert_eq!(lender.names, [Name::new("A"), Name::new("B")]);
}

#[test]
fn a_call_with_facts_is_taken_by_them_and_the_next_one_by_the_limits() {
    let mut pair = Pair::alone(&limits());
    pair.peers[SERVER].facts = Some(bytes_max(10));
    pair.inject(SERVER, b"GREET 1 10\n0123456789GREET 2 11\n0123456789x");
    let text = "a payload of 11 bytes is over payload_bytes_max of its command (10)";
    let refused = format!("<2 err {} too_large\n{text}", text.len());
    assert_eq!(pair.peers[SERVER].take_sent(), refused);
    pair.peers[SERVER].facts = None;
    pair.inject(SERVER, b"GREET 2 10\n0123456789");
    let text = "a payload of 10 bytes is over payload_bytes_max (8)";
    assert!(pair.peers[SERVER].take_sent().ends_with(text));
    // The reply of the first is bound by what held for it.
    pair.peers[SERVER].echo();
    pair.drive();
    assert_eq!(pair.peers[SERVER].take_sent(), "<1 ok 10\n0123456789");
}

#[test]
fn a_waiting_one_way_call_keeps_its_facts() {
    let mut pair = Pair::alone(&limits().with(|limits| {
        limits.calls_per_connection_max = 1;
        limits.call_time_max = 2 * SECOND;
    }));
    let long = Command::<(), (), ()>::new("X").timeout(60 * SECOND).facts();
    pair.peers[SERVER].facts = Some(long);
    pair.inject(SERVER, b"GREET 1 0\nGREET 0 0\n");
    pair.peers[SERVER].facts = None;
    pair.peers[SERVER].echo();
    pair.drive();
    let call = pair.peers[SERVER].calls.pop_front().unwrap();
    assert_eq!((call.id.tag(), call.deadline - pair.now), (0, 60 * SECOND));
}

/// The reply to a call is taken as its command says, also when nobody waits for it any more: it
/// still comes, and the connection is not to blame.
#[test]
fn a_reply_that_nobody_waits_for_has_the_time_of_its_command() {
    for (is_cancelled, is_bound, ends) in
        [(false, true, 20), (true, true, 20), (false, false, 10), (true, false, 10)]
    {
        let mut pair = Pair::new(&limits());
        let tag = pair.call(CLIENT, "", 100 * SECOND);
        if is_bound {
            pair.peers[CLIENT].session.bound_reply(tag, bytes_max(16));
        }
        pair.drive();
        // The other end, which would answer the cancel, reads nothing any more.
        pair.peers[SERVER].pipe_bytes_max = 0;
        if is_cancelled {
            pair.peers[CLIENT].session.cancel(tag);
        }
        pair.inject(CLIENT, b"<1 ok 8\n0");
        pair.advance((ends - 1) * SECOND);
        assert!(pair.peers[CLIENT].violations.is_empty(), "{is_cancelled} {is_bound}");
        pair.advance(SECOND);
        let slowness = if is_bound { Slowness::LongBody } else { Slowness::Body };
        assert_eq!(pair.peers[CLIENT].violations, [Violation::Slow(slowness, ends * SECOND)]);
    }
}

#[test]
fn a_tag_that_is_used_again_has_no_facts_of_before() {
    let mut pair = Pair::new(&limits());
    for tag in 1..=999 {
        assert_eq!(pair.call(CLIENT, "", SECOND), tag);
        if tag == 1 {
            pair.peers[CLIENT].session.bound_reply(tag, bytes_max(16));
        }
        pair.drive();
        let id = pair.peers[SERVER].calls.pop_front().unwrap().id;
        pair.peers[SERVER].answer(id, Ok("ok"));
        pair.drive();
        assert!(pair.peers[CLIENT].reply(tag).unwrap().is_ok());
    }
    assert_eq!(pair.call(CLIENT, "", SECOND), 1);
    pair.inject(CLIENT, b"<1 ok 16\n0123456789abcdef");
    let error = pair.peers[CLIENT].reply(1).unwrap().unwrap_err();
    assert_eq!(error.text(), "a payload of 16 bytes is over payload_bytes_max (8)");
}

/// Each has a reply on its way that is larger than all that may wait, and waits for a reply itself.
#[test]
fn two_peers_with_large_replies_go_on_reading_each_other() {
    let mut pair = Pair::new(&limits());
    for end in [CLIENT, SERVER] {
        pair.peers[end].pipe_bytes_max = 10;
        pair.peers[end].facts = Some(bytes_max(1000));
        let due = pair.now + 100 * SECOND;
        let session = &mut pair.peers[end].session;
        let tag = session
            .call(None, GREET, Options::default(), BytesMut::from("x"), due, &mut None)
            .unwrap();
        session.bound_reply(tag, bytes_max(1000));
    }
    pair.drive();
    for end in [CLIENT, SERVER] {
        let call = pair.peers[end].calls.pop_front().unwrap();
        pair.peers[end].answer(call.id, Ok(&"y".repeat(1000)));
    }
    pair.drive();
    for end in [CLIENT, SERVER] {
        assert_eq!(pair.peers[end].reply(1).unwrap().unwrap().len(), 1000);
        assert_eq!(pair.peers[end].session.unwritten_bytes(), 0);
    }
    // What was large is written and counts for nothing any more. While a call of its own is under
    // way and nothing is taken from it, an end has room for 64 bytes and two answers of 8.
    let (due, session) = (pair.now + 100 * SECOND, &mut pair.peers[SERVER].session);
    session.call(None, GREET, Options::default(), BytesMut::new(), due, &mut None).unwrap();
    pair.peers[CLIENT].pipe_bytes_max = 0;
    for tag in 1..=12 {
        pair.inject(SERVER, format!("GREET {tag} 8\n01234567").as_bytes());
        while !pair.peers[SERVER].calls.is_empty() {
            pair.peers[SERVER].echo();
        }
    }
    let unwritten_bytes = pair.peers[SERVER].session.unwritten_bytes();
    assert!((80..120).contains(&unwritten_bytes), "{unwritten_bytes}");
}
