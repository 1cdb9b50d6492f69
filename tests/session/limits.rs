//! More than there may be: calls, mistakes, bytes of a payload and bytes that wait.

use bytes::BytesMut;
use switchboard::session::{Holds, Violation};
use switchboard::wire::Options;
use switchboard::{Code, Error, Limits};
use switchboard_testing::SECOND;
use switchboard_testing::lender::Lender;
use switchboard_testing::pair::{CLIENT, Pair, SERVER, feed};

#[test]
fn one_call_over_the_limit_is_refused_and_the_next_is_not() {
    let limits = Limits::default().with(|limits| limits.calls_per_connection_max = 2);
    let mut pair = Pair::alone(&limits);
    pair.inject(SERVER, b"GREET 1 0\nGREET 2 0\nGREET 3 4\nbody");
    assert_eq!(pair.peers[SERVER].calls.len(), 2);
    let text = "calls_per_connection_max (2) are running";
    let expected = format!("<3 err {} overloaded\n{text}", text.len());
    assert_eq!(pair.peers[SERVER].take_sent(), expected);
    pair.peers[SERVER].echo();
    pair.inject(SERVER, b"GREET 3 0\n");
    assert_eq!(pair.peers[SERVER].take_sent(), "<1 ok 0\n");
    assert_eq!(pair.peers[SERVER].calls.len(), 2);
    assert!(pair.peers[SERVER].violations.is_empty(), "it is no mistake of the caller's");
}

#[test]
fn a_caller_knows_the_limit_by_itself() {
    let limits = Limits::default().with(|limits| limits.calls_per_connection_max = 2);
    let mut pair = Pair::new(&limits);
    let tag = pair.call(CLIENT, "", SECOND);
    pair.call(CLIENT, "", SECOND);
    let error = pair.try_call(CLIENT, "", Options::default(), SECOND).unwrap_err();
    assert_eq!(error.code(), Code::Overloaded);
    assert_eq!(error.text(), "calls_per_connection_max (2) are waiting for their replies");
    assert!(!error.was_sent() && error.is_safe_to_retry());
    pair.peers[CLIENT].session.cancel(tag);
    assert!(pair.try_call(CLIENT, "", Options::default(), SECOND).is_err(), "its tag is in use");
    pair.drive();
    pair.call(CLIENT, "", SECOND);
}

#[test]
fn a_cancelled_call_counts_until_its_handler_has_ended() {
    let limits = Limits::default().with(|limits| limits.calls_per_connection_max = 1);
    let mut pair = Pair::alone(&limits);
    pair.inject(SERVER, b"GREET 1 0\n>1 cancel\nGREET 1 0\n");
    assert_eq!(pair.peers[SERVER].calls.len(), 1);
    let told = pair.peers[SERVER].take_sent();
    assert!(
        told.starts_with("<1 err 20 cancelled ran=1\n") && told.contains("<1 err 40 overloaded\n")
    );
    pair.peers[SERVER].echo();
    pair.inject(SERVER, b"GREET 1 0\n");
    assert_eq!(pair.peers[SERVER].calls.len(), 1);
    pair.peers[SERVER].echo();
    pair.drive();
    assert_eq!(pair.peers[SERVER].take_sent(), "<1 ok 0\n");
}

#[test]
fn a_body_for_which_there_is_no_room_is_refused() {
    let mut pair = Pair::alone(&Limits::default());
    let full = || Error::new(Code::Overloaded, "full");
    // While it comes, or when it is whole.
    let (now, session) = (pair.now, &mut pair.peers[SERVER].session);
    let begun = feed(session, now, "GREET 7 10\n12345");
    assert_eq!(session.missing_body_bytes(&begun), 5);
    session.handle_input_refused(&full());
    let mut whole = BytesMut::from("1234567890GREET 8 4\nbody");
    let memory = |holds: Holds| match holds.payload_bytes {
        Some(4) => Err(full()),
        _ => Ok(()),
    };
    assert!(session.handle_input(&mut whole, &mut Lender::new(now, memory)), "more is needed");
    assert!(whole.is_empty());
    pair.drive();
    let told = "<7 err 4 overloaded\nfull<8 err 4 overloaded\nfull";
    assert_eq!(pair.peers[SERVER].take_sent(), told);
    assert!(pair.peers[SERVER].calls.is_empty());
    pair.inject(SERVER, b"GREET 7 0\n");
    assert_eq!(pair.peers[SERVER].calls.len(), 1, "its tag is free");
}

#[test]
fn a_line_for_which_there_is_no_room_waits() {
    let mut pair = Pair::alone(&Limits::default());
    let (now, session) = (pair.now, &mut pair.peers[SERVER].session);
    let mut input = BytesMut::from("GREET 7 0\n");
    let mut full = Lender::new(now, |_| Err(Error::new(Code::Overloaded, "full")));
    assert!(!session.handle_input(&mut input, &mut full), "nothing more should be read");
    assert!(!session.has_event() && !session.has_transmit() && input.len() == 10);
    // It is not slow meanwhile.
    session.handle_timeout(now + 100 * SECOND).unwrap();
    let mut roomy = Lender::roomy(now);
    assert!(!session.handle_input(&mut input, &mut roomy), "there is a call to run");
    assert!(session.has_event() && input.is_empty());
}

#[test]
fn many_mistakes_end_the_connection() {
    for (code, is_mistake) in [
        (Code::UnknownCommand, true),
        (Code::BadPayload, true),
        (Code::TooLarge, true),
        (Code::UnsupportedFormat, true),
        (Code::Failed, false),
        (Code::Denied, false),
        (Code::Overloaded, false),
        (Code::Panicked, false),
    ] {
        check(code, is_mistake, true, false);
        check(code, false, true, true);
        // Whatever a handler returns, it has run.
        check(code, false, false, false);
    }

    fn check(code: Code, is_over: bool, is_refused: bool, with_good_ones: bool) {
        let limits = Limits::default().with(|limits| limits.consecutive_errors_max = 3);
        let mut pair = Pair::alone(&limits);
        for number in 1..=8 {
            pair.inject(SERVER, b"GREET 1 0\nGREET 0 0\n");
            let ids: Vec<_> = pair.peers[SERVER].calls.drain(..).map(|call| call.id).collect();
            for id in ids {
                let (is_good, error) = (with_good_ones && id.tag() == 0, Error::new(code, ""));
                match is_refused && !is_good {
                    true => pair.peers[SERVER].refuse(id, &error),
                    false if is_good => pair.peers[SERVER].answer(id, Ok("")),
                    false => pair.peers[SERVER].answer(id, Err(error)),
                }
            }
            assert_eq!(pair.peers[SERVER].violations.is_empty(), !is_over || number < 2, "{code}");
        }
        let expected: &[_] = if is_over { &[Violation::TooManyErrors(3)] } else { &[] };
        assert_eq!(pair.peers[SERVER].violations, expected);
    }
}

#[test]
fn a_peer_that_does_not_read_is_not_read() {
    let limits = Limits::default().with(|limits| {
        limits.unwritten_bytes_max = 1000;
        limits.payload_bytes_max = 1000;
    });
    let mut pair = Pair::alone(&limits);
    // Calls of our own do not count; once written, not even against what is written after them.
    pair.call(SERVER, &"x".repeat(5000), 60 * SECOND);
    pair.drive();
    pair.peers[CLIENT].pipe_bytes_max = 0;
    let payload = "x".repeat(300);
    let mut answered = 0;
    for number in 1..=20 {
        pair.inject(SERVER, format!("GREET {number} 300\n{payload}").as_bytes());
        while !pair.peers[SERVER].calls.is_empty() {
            pair.peers[SERVER].echo();
            answered += 1;
        }
    }
    // While a reply is waited for, one payload more is read, and refusals of as much again.
    assert_eq!(answered, 10);
    assert!(pair.peers[SERVER].session.unwritten_bytes() < 3000 + 310);
    pair.peers[CLIENT].pipe_bytes_max = usize::MAX;
    for _ in 0..20 {
        pair.drive();
        while !pair.peers[SERVER].calls.is_empty() {
            pair.peers[SERVER].echo();
            answered += 1;
        }
    }
    assert_eq!(answered, 20);
}

#[test]
fn payloads_over_the_limit_are_refused_in_both_directions() {
    let limits = Limits::default().with(|limits| limits.payload_bytes_max = 10);
    let mut pair = Pair::alone(&limits);
    pair.inject(SERVER, b"GREET 1 11\n12345678901GREET 2 10\n1234567890");
    let text = "a payload of 11 bytes is over payload_bytes_max (10)";
    let refused = format!("<1 err {} too_large\n{text}", text.len());
    assert_eq!(pair.peers[SERVER].take_sent(), refused);
    let id = pair.peers[SERVER].calls[0].id;
    pair.peers[SERVER].answer(id, Ok("12345678901"));
    pair.transmit(SERVER);
    let failed = format!("<2 err {} too_large ran=1\n{text}", text.len());
    assert_eq!(pair.peers[SERVER].take_sent(), failed);
    pair.inject(SERVER, b"GREET 3 0\n");
    let id = pair.peers[SERVER].calls[1].id;
    pair.peers[SERVER].answer(id, Ok("1234567890"));
    pair.transmit(SERVER);
    assert_eq!(pair.peers[SERVER].take_sent(), "<3 ok 10\n1234567890");
    let mut pair = Pair::new(&limits);
    let tag = pair.call(CLIENT, "", SECOND);
    let other = pair.call(CLIENT, "", SECOND);
    pair.inject(CLIENT, b"<1 ok 11\n12345678901<2 ok 2\nhi");
    let error = pair.peers[CLIENT].reply(tag).unwrap().unwrap_err();
    assert_eq!((error.code(), error.text()), (Code::TooLarge, text));
    assert!(!error.is_from_peer() && error.was_sent());
    assert_eq!(pair.peers[CLIENT].reply(other).unwrap().unwrap(), "hi");
}

#[test]
fn our_own_large_replies_are_not_the_callers_mistakes() {
    let limits = Limits::default().with(|limits| {
        limits.payload_bytes_max = 10;
        limits.consecutive_errors_max = 1;
    });
    let mut pair = Pair::alone(&limits);
    for _ in 0..5 {
        pair.inject(SERVER, b"GREET 1 0\n");
        let id = pair.peers[SERVER].calls.pop_front().unwrap().id;
        pair.peers[SERVER].answer(id, Ok("12345678901"));
    }
    assert!(pair.peers[SERVER].violations.is_empty());
}
