//! A side that closes: what goes on, what is refused, and for how long.

use std::time::Duration;

use bytes::BytesMut;
use switchboard::session::CallId;
use switchboard::wire::Options;
use switchboard::{Code, Fault, Limits};
use switchboard_testing::pair::{CLIENT, GREET, Pair, SERVER};
use switchboard_testing::{MS, SECOND};

#[test]
fn draining_lets_calls_finish_in_both_directions() {
    let mut pair = Pair::new(&Limits::default());
    let ours = pair.call(CLIENT, "ours", 60 * SECOND);
    let theirs = pair.call(SERVER, "theirs", 60 * SECOND);
    pair.drive();
    pair.peers[SERVER].take_sent();
    pair.close(SERVER);
    assert_eq!(pair.peers[SERVER].take_sent(), NOTICE);
    let error = pair.try_call(CLIENT, "", Options::default(), SECOND).unwrap_err();
    assert_eq!((error.code(), error.is_from_peer()), (Code::ShuttingDown, true));
    assert!(!error.was_sent());
    let error = pair.try_call(SERVER, "", Options::default(), SECOND).unwrap_err();
    assert_eq!((error.code(), error.is_from_peer()), (Code::ShuttingDown, false));
    assert!(!pair.peers[SERVER].session.is_finished());
    pair.peers[SERVER].echo();
    pair.drive();
    assert!(!pair.peers[SERVER].session.is_finished(), "its own call waits");
    pair.peers[CLIENT].echo();
    pair.drive();
    assert!(pair.peers[SERVER].session.is_finished());
    assert_eq!(pair.peers[CLIENT].reply(ours).unwrap().unwrap(), "ours");
    assert_eq!(pair.peers[SERVER].reply(theirs).unwrap().unwrap(), "theirs");
}

#[test]
fn a_call_that_comes_while_draining_is_refused() {
    let mut pair = Pair::new(&Limits::default());
    pair.call(CLIENT, "", 60 * SECOND);
    pair.drive();
    pair.peers[SERVER].session.close(pair.now);
    // Its caller has not heard of it.
    let tag = pair.call(CLIENT, "", 60 * SECOND);
    pair.drive();
    assert_eq!(pair.peers[SERVER].calls.len(), 1);
    let error = pair.peers[CLIENT].reply(tag).unwrap().unwrap_err();
    assert_eq!((error.code(), error.is_safe_to_retry()), (Code::ShuttingDown, true));
    let refusal = refusal(tag);
    assert_eq!(pair.peers[SERVER].take_sent(), format!("{NOTICE}{refusal}"));
}

/// Who may finish may also ask, and nobody else.
#[test]
fn a_call_is_made_within_a_call_until_that_has_its_answer() {
    const SOON: &[u8] = b"<0 err 4 shutting_down\nsoon";
    check(true, |_, _| ());
    check(true, |pair, _| pair.close(SERVER));
    check(true, |pair, _| pair.inject(SERVER, SOON));
    check(true, |pair, _| {
        pair.inject(SERVER, SOON);
        pair.close(SERVER);
    });
    check(false, |pair, id| {
        pair.peers[SERVER].answer(id, Ok(""));
        pair.close(SERVER);
    });
    check(false, |pair, _| {
        pair.close(SERVER);
        pair.inject(SERVER, b">1 cancel\n");
    });
    check(false, |pair, _| {
        pair.close(SERVER);
        pair.advance(10 * SECOND);
    });
    check(false, |pair, _| {
        pair.close(SERVER);
        pair.cut(SERVER);
    });
    check(false, |pair, _| pair.inject(SERVER, b"<0 err 4 shutting_down\nsoon<0 ok 0\n"));
    check(false, |pair, _| pair.inject(SERVER, b"<0 err 4 protocol\noops"));

    fn check(is_open: bool, happens: impl Fn(&mut Pair, CallId)) {
        let mut pair = Pair::alone(&Limits::default());
        pair.inject(SERVER, b"GREET 1 0\nGREET 0 0\n");
        let ids: Vec<_> = pair.peers[SERVER].calls.iter().map(|call| call.id).collect();
        happens(&mut pair, ids[0]);
        let due = pair.now + SECOND;
        let session = &mut pair.peers[SERVER].session;
        assert_eq!(session.is_open(Some(ids[0])), is_open);
        let called =
            session.call(Some(ids[0]), GREET, Options::default(), BytesMut::new(), due, &mut None);
        assert_eq!(called.is_ok(), is_open);
        let told = session.notify(Some(ids[0]), GREET, Options::default(), BytesMut::new());
        assert_eq!(told.is_ok(), is_open);
        assert!(called.err().is_none_or(|error| !error.was_sent()));
    }
}

/// While it waits for a reply of its own, whose handler may have to call back.
#[test]
fn a_side_that_drains_takes_calls_while_it_waits_for_a_reply() {
    let mut pair = Pair::alone(&Limits::default());
    let own = pair.call(SERVER, "", 60 * SECOND);
    pair.close(SERVER);
    pair.peers[SERVER].take_sent();
    pair.inject(SERVER, b"GREET 1 2\nhiGREET 2 2\nho");
    assert_eq!(pair.peers[SERVER].calls.len(), 2);
    pair.peers[SERVER].echo();
    pair.inject(SERVER, format!("<{own} ok 0\nGREET 3 0\n").as_bytes());
    let refusal = refusal(3);
    assert_eq!(pair.peers[SERVER].take_sent(), format!("<1 ok 2\nhi{refusal}"));
    pair.peers[SERVER].echo();
    pair.drive();
    assert_eq!(pair.peers[SERVER].take_sent(), format!("<2 ok 2\nho{FAREWELL}"));
}

#[test]
fn draining_ends_in_time() {
    let mut pair = Pair::new(&Limits::default());
    let ours = pair.call(CLIENT, "", 60 * SECOND);
    let theirs = pair.call(SERVER, "", 60 * SECOND);
    pair.drive();
    pair.close(SERVER);
    pair.advance(10 * SECOND - MS);
    assert!(!pair.peers[SERVER].is_over() && pair.peers[SERVER].stops.is_empty());
    pair.advance(MS);
    assert!(pair.peers[SERVER].is_over());
    assert_eq!(pair.peers[SERVER].stops.len(), 1);
    let error = pair.peers[CLIENT].reply(ours).unwrap().unwrap_err();
    assert_eq!((error.code(), error.is_from_peer()), (Code::ShuttingDown, true));
    assert_eq!((error.fault(), error.is_transient()), (Fault::Callee, true));
    assert!(!error.is_safe_to_retry(), "it may have run");
    let error = pair.peers[SERVER].reply(theirs).unwrap().unwrap_err();
    assert_eq!((error.code(), error.is_from_peer()), (Code::Cancelled, false));
    assert_eq!(pair.peers[CLIENT].stops.len(), 1, "the peer's handler is stopped as well");
}

#[test]
fn draining_may_take_for_ever() {
    let mut pair = Pair::new(&Limits::default().with(|limits| {
        limits.drain_time_max = Duration::MAX;
        limits.call_time_max = Duration::MAX;
    }));
    let tag = pair.call(CLIENT, "", 9999 * SECOND);
    pair.drive();
    pair.close(SERVER);
    assert!(!pair.peers[SERVER].session.is_drained());
    pair.advance(9000 * SECOND);
    pair.peers[SERVER].echo();
    pair.drive();
    assert!(pair.peers[CLIENT].reply(tag).unwrap().is_ok());
}

#[test]
fn a_call_whose_payload_comes_after_the_close_does_not_run() {
    let mut pair = Pair::alone(&Limits::default());
    pair.inject(SERVER, b"GREET 1 0\nGREET 2 4\nbo");
    pair.close(SERVER);
    pair.inject(SERVER, b"dy");
    assert_eq!(pair.peers[SERVER].calls.len(), 1);
    assert_eq!(pair.peers[SERVER].take_sent(), format!("{NOTICE}{}", refusal(2)));
}

#[test]
fn a_plain_call_is_not_begun_while_draining() {
    for is_before in [true, false] {
        let mut pair = Pair::alone(&Limits::default());
        pair.inject(SERVER, b"GREET 1 0\n");
        if is_before {
            pair.inject(SERVER, b"STRING\n");
        }
        pair.close(SERVER);
        if !is_before {
            pair.inject(SERVER, b"STRING\nGREET 2 0\n");
        }
        assert!(!pair.peers[SERVER].session.wants_input(), "its payload is no command");
        pair.peers[SERVER].echo();
        pair.drive();
        assert!(pair.peers[SERVER].is_over() && pair.peers[SERVER].plain.is_none());
        assert_eq!(pair.peers[SERVER].take_sent(), format!("{NOTICE}<1 ok 0\n{FAREWELL}"));
    }
}

#[test]
fn a_call_that_our_own_draining_cuts_off_may_have_run() {
    let mut pair = Pair::new(&Limits::default());
    let tag = pair.call(CLIENT, "", 60 * SECOND);
    pair.drive();
    pair.close(CLIENT);
    pair.advance(10 * SECOND);
    let error = pair.peers[CLIENT].reply(tag).unwrap().unwrap_err();
    assert_eq!((error.code(), error.is_from_peer()), (Code::Cancelled, false));
    assert!(error.was_sent() && !error.is_safe_to_retry());
}

/// The error of a call that comes too late.
fn refusal(tag: u32) -> String {
    format!("<{tag} err 23 shutting_down\nno more calls are taken")
}

const NOTICE: &str = "<0 err 24 shutting_down\nno more calls are taken\n";

const FAREWELL: &str = "<0 ok 0\n";
