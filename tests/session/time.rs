//! Deadlines, and how long a line, a body, a write or silence may take.

use std::time::Duration;

use switchboard::session::{PlainEnd, Slowness, Violation};
use switchboard::wire::Options;
use switchboard::{Code, Limits};
use switchboard_testing::pair::{CLIENT, Pair, SERVER};
use switchboard_testing::{MS, SECOND};

#[test]
fn a_deadline_is_the_sooner_of_the_callers_and_ours() {
    let longest = Duration::from_secs(30);
    check(None, longest, OURS);
    check(Some(250), 250 * MS, THEIRS);
    check(Some(30_000), longest, THEIRS);
    check(Some(30_001), longest, OURS);
    check(Some(u64::MAX), longest, OURS);
    check(Some(1), MS, THEIRS);

    const OURS: &str = "the handler did not answer within call_time_max (30s)";
    const THEIRS: &str = "the handler did not answer in time";

    #[track_caller]
    fn check(time_ms: Option<u64>, expected: Duration, text: &str) {
        let mut pair = Pair::new(&Limits::default());
        let options = Options::new(None, time_ms);
        let tag = pair.try_call(CLIENT, "", options, 100 * SECOND).unwrap();
        pair.drive();
        let call = pair.peers[SERVER].calls.pop_front().unwrap();
        assert_eq!(call.deadline - pair.now, expected, "{time_ms:?}");
        assert_eq!(call.options.time_ms(), time_ms);
        pair.advance(expected - Duration::from_nanos(1));
        assert!(pair.peers[SERVER].session.is_wanted(call.id));
        assert!(pair.peers[CLIENT].reply(tag).is_none());
        pair.advance(Duration::from_nanos(1));
        assert!(!pair.peers[SERVER].session.is_wanted(call.id));
        assert_eq!(pair.peers[SERVER].stops, [call.id]);
        let error = pair.peers[CLIENT].reply(tag).unwrap().unwrap_err();
        assert_eq!((error.code(), error.is_from_peer()), (Code::DeadlineExceeded, true));
        assert!(!error.is_safe_to_retry());
        assert_eq!(error.text(), text);
    }
}

#[test]
fn a_call_that_is_late_already_does_not_run() {
    let mut pair = Pair::alone(&Limits::default());
    pair.inject(SERVER, b"GREET 8 0 t=0\n");
    // Its body takes as long as its caller has.
    pair.inject(SERVER, b"GREET 9 2 t=100\nx");
    pair.advance(100 * MS);
    pair.inject(SERVER, b"y");
    assert!(pair.peers[SERVER].calls.is_empty());
    let text = "the deadline had passed when the call arrived";
    let expected = |tag| format!("<{tag} err {} deadline_exceeded\n{text}", text.len());
    assert_eq!(pair.peers[SERVER].take_sent(), expected(8) + &expected(9));
}

#[test]
fn a_time_that_the_clock_cannot_hold_is_a_long_one() {
    let limits = Limits::default().with(|limits| limits.call_time_max = Duration::MAX);
    let mut pair = Pair::new(&limits);
    pair.try_call(CLIENT, "", Options::new(None, Some(u64::MAX)), SECOND).unwrap();
    pair.call(CLIENT, "", SECOND);
    pair.drive();
    assert_eq!(pair.peers[SERVER].calls.len(), 2);
    for call in &pair.peers[SERVER].calls {
        // Far beyond the life of any call.
        assert!(call.deadline > pair.now + 20 * 365 * 86_400 * SECOND);
    }
}

#[test]
fn a_caller_does_not_wait_longer_than_its_deadline() {
    let mut pair = Pair::new(&Limits::default());
    let tag = pair.call(CLIENT, "", 100 * MS);
    let other = pair.call(CLIENT, "", 200 * MS);
    pair.advance(99 * MS);
    assert!(pair.peers[CLIENT].reply(tag).is_none());
    // The reply is on its way, but the time is over first.
    pair.peers[SERVER].echo();
    pair.transmit(SERVER);
    pair.now += MS;
    pair.timeout();
    let error = pair.peers[CLIENT].reply(tag).unwrap().unwrap_err();
    assert_eq!((error.code(), error.is_from_peer()), (Code::DeadlineExceeded, false));
    assert!(error.was_sent() && !error.is_safe_to_retry());
    pair.drive();
    assert!(pair.peers[CLIENT].sent.ends_with(b">1 cancel\n"));
    assert!(pair.peers[CLIENT].reply(other).is_none());
    pair.advance(SECOND);
    // Not polled when its reply, `cancelled`, had come: late all the same.
    let error = pair.peers[CLIENT].reply(other).unwrap().unwrap_err();
    assert_eq!((error.code(), error.is_from_peer()), (Code::DeadlineExceeded, false));
    assert!(pair.peers.iter().all(|peer| peer.violations.is_empty()));
}

#[test]
fn a_line_and_a_body_have_their_time() {
    let line = Violation::Slow(Slowness::Line, 10 * SECOND);
    let body = Violation::Slow(Slowness::Body, 30 * SECOND);
    check(b"GREET 1 3 x=", b"y", 10, line);
    check(b"GREET 1 3\n", b"", 30, body);
    check(b"GREET 1 1000\n", b"x", 30, body);
    check(b">1 item 1000\n", b"x", 30, body);
    check(b"GREET 1 9999999\n", b"x", 30, body);
    check(b"GREET 1 3\nAdaGREET 2 300\n", b"x", 30, body);

    fn check(begin: &[u8], drip: &[u8], seconds: u32, violation: Violation) {
        let mut pair = Pair::alone(&Limits::default());
        pair.inject(SERVER, begin);
        for _ in 0..seconds - 1 {
            pair.advance(SECOND);
            pair.inject(SERVER, drip);
        }
        pair.advance(SECOND - MS);
        assert!(pair.peers[SERVER].violations.is_empty(), "{begin:?}");
        pair.advance(MS);
        assert_eq!(pair.peers[SERVER].violations, [violation], "{begin:?}");
        let told = pair.peers[SERVER].take_sent();
        assert!(told.contains(" deadline_exceeded\n"), "{told}");
        assert!(pair.peers[SERVER].is_over());
    }
}

#[test]
fn each_unit_has_its_own_time() {
    let mut pair = Pair::alone(&Limits::default());
    for _ in 0..10 {
        pair.inject(SERVER, b"GREET 0 10\n012345678");
        pair.advance(29 * SECOND);
        // The body ends and the next line begins in one read.
        pair.inject(SERVER, b"9GRE");
        pair.advance(9 * SECOND);
        pair.inject(SERVER, b"ET 0 0\nGREET 0 10\n0");
        pair.advance(29 * SECOND);
        // One body ends and the next begins.
        pair.inject(SERVER, b"123456789GREET 0 10\n0");
        pair.advance(29 * SECOND);
        pair.inject(SERVER, b"123456789");
        while !pair.peers[SERVER].calls.is_empty() {
            pair.peers[SERVER].echo();
        }
    }
    assert!(pair.peers[SERVER].violations.is_empty());
}

#[test]
fn a_peer_that_is_not_read_is_not_slow() {
    let mut pair = Pair::alone(&Limits::default());
    pair.inject(SERVER, b"GREET 1 0 t=29000\nSTRING\nGREET 2 10\nabc");
    pair.advance(28 * SECOND);
    pair.peers[SERVER].echo();
    assert!(pair.peers[SERVER].plain.is_some() && pair.peers[SERVER].violations.is_empty());
    let now = pair.now;
    pair.peers[SERVER].end_plain(now, PlainEnd::Done);
    pair.drive();
    pair.inject(SERVER, b"d");
    pair.advance(29 * SECOND);
    assert!(pair.peers[SERVER].violations.is_empty());
    pair.advance(SECOND);
    assert_eq!(pair.peers[SERVER].violations.len(), 1);
}

#[test]
fn a_peer_that_does_not_read_is_cut_off() {
    for drip in [0, 10] {
        let mut pair = Pair::alone(&Limits::default());
        pair.peers[CLIENT].pipe_bytes_max = 1000;
        pair.inject(SERVER, b"GREET 1 0\n");
        let id = pair.peers[SERVER].calls.pop_front().unwrap().id;
        let own = pair.call(SERVER, "", 60 * SECOND);
        pair.peers[SERVER].answer(id, Ok(&"x".repeat(5000)));
        // The client is asleep: its pipe fills, and `drip` bytes are taken now and then.
        for _ in 0..9 {
            pair.transmit(SERVER);
            pair.now += SECOND;
            pair.timeout();
            pair.peers[CLIENT].pipe.drain(..drip);
        }
        assert!(pair.peers[SERVER].violations.is_empty());
        pair.transmit(SERVER);
        pair.now += SECOND;
        pair.timeout();
        let expected = Violation::Slow(Slowness::Write, 10 * SECOND);
        assert_eq!(pair.peers[SERVER].violations, [expected]);
        assert!(!expected.is_worth_telling());
        assert!(pair.peers[SERVER].reply(own).unwrap().is_err());
    }
}

#[test]
fn a_slow_reader_that_takes_all_in_time_is_not_cut_off() {
    let mut pair = Pair::alone(&Limits::default());
    pair.peers[CLIENT].pipe_bytes_max = 1000;
    pair.inject(SERVER, b"GREET 1 0\n");
    let id = pair.peers[SERVER].calls.pop_front().unwrap().id;
    pair.peers[SERVER].answer(id, Ok(&"x".repeat(8000)));
    for _ in 0..30 {
        pair.transmit(SERVER);
        pair.now += SECOND;
        pair.timeout();
        pair.peers[CLIENT].pipe.clear();
    }
    assert!(pair.peers[SERVER].violations.is_empty());
}

#[test]
fn an_idle_connection_is_closed_by_who_accepted_it() {
    let mut pair = Pair::new(&Limits::default());
    pair.advance(299 * SECOND);
    let tag = pair.call(CLIENT, "", 60 * SECOND);
    pair.advance(SECOND);
    pair.advance(20 * SECOND);
    pair.peers[SERVER].echo();
    pair.advance(300 * SECOND - MS);
    assert!(pair.peers[CLIENT].reply(tag).unwrap().is_ok());
    assert!(pair.peers[SERVER].violations.is_empty());
    // This one crosses the notice.
    pair.now += MS;
    pair.timeout();
    let crossing = pair.call(CLIENT, "", 60 * SECOND);
    pair.drive();
    let expected = Violation::Slow(Slowness::Idle, 300 * SECOND);
    assert_eq!(pair.peers[SERVER].violations, [expected]);
    assert!(pair.peers[CLIENT].violations.is_empty());
    let error = pair.peers[CLIENT].reply(crossing).unwrap().unwrap_err();
    assert_eq!((error.code(), error.is_safe_to_retry()), (Code::ShuttingDown, true));
}

#[test]
fn who_dialled_does_not_mind_silence() {
    let mut pair = Pair::new(&Limits::default().with(|limits| limits.idle_time_max = SECOND));
    assert!(pair.peers[CLIENT].session.poll_timeout().is_none());
    pair.peers[CLIENT].session.handle_timeout(pair.now + 9999 * SECOND).unwrap();
    pair.advance(2 * SECOND);
    assert!(pair.peers[CLIENT].violations.is_empty());
}

#[test]
fn a_connection_with_a_call_under_way_is_not_idle() {
    let limits = Limits::default().with(|limits| limits.idle_time_max = SECOND);
    for caller in [CLIENT, SERVER] {
        let mut pair = Pair::new(&limits);
        pair.call(caller, "", 60 * SECOND);
        pair.advance(20 * SECOND);
        assert!(pair.peers[SERVER].violations.is_empty());
        pair.peers[1 - caller].echo();
        pair.advance(SECOND - MS);
        assert!(pair.peers[SERVER].violations.is_empty());
        assert!(pair.peers[caller].reply(1).unwrap().is_ok());
        pair.advance(MS);
        assert_eq!(pair.peers[SERVER].violations.len(), 1);
    }
}
