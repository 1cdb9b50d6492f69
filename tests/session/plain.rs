//! Plain calls, which have the stream to themselves.

use switchboard::session::PlainEnd;
use switchboard::wire::FormatWord;
use switchboard::{Code, Error, Limits};
use switchboard_testing::SECOND;
use switchboard_testing::pair::{Pair, SERVER};

#[test]
fn a_plain_call_waits_for_the_replies_before_it() {
    let mut pair = Pair::alone(&Limits::default());
    pair.inject(SERVER, b"GREET 0 0\nGREET 1 0\nGREET 2 0\nSTRING json\nGREET 3 0\n");
    assert_eq!(pair.peers[SERVER].calls.len(), 3, "what is behind it is not read");
    assert!(pair.peers[SERVER].plain.is_none());
    assert!(!pair.peers[SERVER].session.wants_input());
    let calls: Vec<_> = pair.peers[SERVER].calls.drain(..).map(|call| call.id).collect();
    pair.peers[SERVER].answer(calls[2], Ok(""));
    assert!(pair.peers[SERVER].plain.is_none());
    pair.peers[SERVER].answer(calls[1], Ok(""));
    let plain = pair.peers[SERVER].plain.unwrap();
    assert_eq!(plain.name.as_str(), "STRING");
    assert_eq!(plain.format, FormatWord::parse(b"json").ok());
    assert_eq!(&*pair.peers[SERVER].input, b"GREET 3 0\n");
    let now = pair.now;
    pair.peers[SERVER].end_plain(now, PlainEnd::Done);
    pair.drive();
    assert_eq!(pair.peers[SERVER].calls.len(), 1);
    assert_eq!(pair.peers[SERVER].take_sent(), "<2 ok 0\n<1 ok 0\n");
    pair.peers[SERVER].answer(calls[0], Ok(""));
}

#[test]
fn a_plain_call_does_not_wait_for_a_cancelled_one() {
    let mut pair = Pair::alone(&Limits::default());
    pair.inject(SERVER, b"GREET 1 0\n>1 cancel\nSTRING\n");
    assert!(pair.peers[SERVER].plain.is_some());
    assert_eq!(pair.peers[SERVER].stops.len(), 1);
}

#[test]
fn a_plain_call_that_fails_may_leave_the_stream_in_step_or_not() {
    let error = || Error::new(Code::BadPayload, "oops");
    check(PlainEnd::Done, "", true);
    check(PlainEnd::Failed(error()), "<0 err 5 bad_payload\noops\n", true);
    check(PlainEnd::Refused(error()), "<0 err 5 bad_payload\noops\n", true);
    check(PlainEnd::OutOfStep(error()), "<0 err 5 bad_payload\noops\n", false);

    fn check(end: PlainEnd, told: &str, is_in_step: bool) {
        let mut pair = Pair::alone(&Limits::default());
        pair.inject(SERVER, b"STRING\nGREET 1 0\n");
        // It takes longer than an idle connection has.
        pair.advance(400 * SECOND);
        let now = pair.now;
        pair.peers[SERVER].end_plain(now, end);
        pair.drive();
        assert_eq!(pair.peers[SERVER].take_sent(), told);
        assert_eq!(pair.peers[SERVER].calls.len(), usize::from(is_in_step));
        assert_eq!(pair.peers[SERVER].is_over(), !is_in_step);
        assert!(pair.peers[SERVER].violations.is_empty());
    }
}
