//! One-way calls are never dropped in silence: over the limit they wait, in order and in bounded
//! memory.

use bytes::BytesMut;
use switchboard::session::{Call, Tally};
use switchboard::{Code, Error, Limits};
use switchboard_testing::SECOND;
use switchboard_testing::pair::{Pair, SERVER};

/// What a waiting call counts beside its payload.
const CALL_BYTES: usize = 256;

/// An accepting end that runs two calls at a time.
fn narrow() -> Pair {
    Pair::alone(&Limits::default().with(|limits| limits.calls_per_connection_max = 2))
}

/// The payloads of the calls that are to be run, in order.
fn begun(pair: &Pair) -> Vec<String> {
    let payload = |call: &Call| String::from_utf8(call.payload.to_vec()).unwrap();
    pair.peers[SERVER].calls.iter().map(|call| payload(call)).collect()
}

fn tally(pair: &Pair) -> (u64, u64, u64, u64) {
    let Tally { answered, cut_off, one_way, one_way_refused, .. } =
        pair.peers[SERVER].session.tally();
    (answered, cut_off, one_way, one_way_refused)
}

#[test]
fn those_over_the_limit_wait_and_begin_in_order() {
    let mut pair = narrow();
    pair.inject(SERVER, b"GREET 0 1\naGREET 0 1\nbGREET 0 1\ncGREET 0 1\nd");
    assert_eq!(begun(&pair), ["a", "b"]);
    // A call that has a caller is refused, and does not overtake.
    pair.inject(SERVER, b"GREET 1 1\nx");
    assert!(pair.peers[SERVER].take_sent().contains("overloaded"));
    pair.peers[SERVER].echo();
    assert_eq!(begun(&pair), ["b", "c"]);
    pair.inject(SERVER, b"GREET 0 1\ne");
    for rest in [&["c", "d"][..], &["d", "e"], &["e"], &[]] {
        pair.peers[SERVER].echo();
        assert_eq!(begun(&pair), rest);
    }
    assert_eq!(tally(&pair), (0, 0, 5, 0));
    assert_eq!(pair.peers[SERVER].session.held_bytes(), 0);
}

#[test]
fn ten_thousand_at_once_all_run() {
    let mut pair = Pair::alone(&Limits::default());
    for number in 0..10_000 {
        pair.inject(SERVER, format!("GREET 0 4\n{number:04}").as_bytes());
    }
    let mut ran = 0;
    while let Some(call) = pair.peers[SERVER].calls.front() {
        assert_eq!(call.payload, format!("{ran:04}"));
        pair.peers[SERVER].echo();
        ran += 1;
    }
    assert_eq!((ran, tally(&pair)), (10_000, (0, 0, 10_000, 0)));
}

#[test]
fn reading_stops_only_when_too_many_bytes_wait() {
    let limits = Limits::default().with(|limits| {
        limits.calls_per_connection_max = 1;
        limits.one_way_bytes_max = 3 * (CALL_BYTES + 100);
    });
    let mut pair = Pair::alone(&limits);
    let call = format!("GREET 0 100\n{}", "x".repeat(100));
    pair.inject(SERVER, call.repeat(3).as_bytes());
    assert_eq!(pair.peers[SERVER].session.held_bytes(), 2 * (CALL_BYTES + 100));
    assert!(pair.peers[SERVER].session.wants_input());
    pair.inject(SERVER, call.repeat(5).as_bytes());
    assert!(!pair.peers[SERVER].session.wants_input());
    assert_eq!(pair.peers[SERVER].session.held_bytes(), 3 * (CALL_BYTES + 100));
    // A peer that is not read is not slow, and is read again as soon as one has begun.
    pair.advance(60 * SECOND);
    assert!(pair.peers[SERVER].violations.is_empty());
    pair.drive();
    while !pair.peers[SERVER].calls.is_empty() {
        pair.peers[SERVER].echo();
        pair.drive();
    }
    assert_eq!(tally(&pair), (0, 0, 8, 0));
    assert!(pair.peers[SERVER].session.wants_input());
}

#[test]
fn even_one_may_wait_where_none_is_allowed_to() {
    let limits = Limits::default().with(|limits| {
        limits.calls_per_connection_max = 1;
        limits.one_way_bytes_max = 0;
    });
    let mut pair = Pair::alone(&limits);
    pair.inject(SERVER, b"GREET 0 1\naGREET 0 1\nbGREET 0 1\nc");
    assert!(!pair.peers[SERVER].session.wants_input());
    for _ in 0..3 {
        pair.peers[SERVER].echo();
        pair.drive();
    }
    assert_eq!(tally(&pair), (0, 0, 3, 0));
}

#[test]
fn waiting_is_not_the_handlers_time_but_the_callers() {
    let mut pair = narrow();
    pair.inject(SERVER, b"GREET 0 1\naGREET 0 1\nbGREET 0 1\ncGREET 0 1 t=20000\nd");
    // The handlers of the first two do not end when they are told to.
    pair.advance(40 * SECOND);
    assert_eq!(pair.peers[SERVER].stops.len(), 2);
    pair.peers[SERVER].echo();
    let call = pair.peers[SERVER].calls.back().unwrap();
    assert_eq!((&*call.payload, call.deadline), (b"c".as_slice(), pair.now + 30 * SECOND));
    // The last one's caller set a time, which is over.
    pair.peers[SERVER].echo();
    assert_eq!(begun(&pair), ["c"]);
    assert_eq!(tally(&pair), (0, 0, 2, 1));
}

#[test]
fn those_that_wait_are_run_before_the_end_or_counted() {
    let four = b"GREET 0 1\naGREET 0 1\nbGREET 0 1\ncGREET 0 1\nd";
    let mut pair = narrow();
    pair.inject(SERVER, four);
    pair.close(SERVER);
    pair.inject(SERVER, b"GREET 0 1\ne");
    for _ in 0..4 {
        assert!(!pair.peers[SERVER].session.is_finished());
        pair.peers[SERVER].echo();
    }
    assert!(pair.peers[SERVER].session.is_finished());
    assert_eq!(tally(&pair), (0, 0, 4, 1), "the one that came too late is counted");

    let mut pair = narrow();
    pair.inject(SERVER, four);
    pair.cut(SERVER);
    for _ in 0..4 {
        pair.peers[SERVER].echo();
    }
    assert_eq!(tally(&pair), (0, 0, 4, 0), "a peer that ends its side has still sent them");

    let mut pair = narrow();
    pair.inject(SERVER, four);
    pair.close(SERVER);
    pair.advance(11 * SECOND);
    assert_eq!(tally(&pair), (0, 4, 0, 0), "drain_time_max is over");

    let mut pair = narrow();
    pair.inject(SERVER, four);
    pair.lose();
    assert_eq!(tally(&pair), (0, 4, 0, 0), "the connection is lost");
    assert_eq!(pair.peers[SERVER].session.held_bytes(), 0);
}

#[test]
fn those_that_do_not_run_are_counted() {
    let mut pair = Pair::alone(&Limits::default());
    pair.inject(SERVER, b"GREET 0 0\nGREET 0 0 stream=1\nGREET 0 2097152\n");
    pair.inject(SERVER, &vec![b'x'; 2_097_152]);
    let call = pair.peers[SERVER].calls.pop_front().unwrap();
    pair.peers[SERVER].refuse(call.id, &Error::new(Code::Overloaded, "full"));
    assert_eq!(tally(&pair), (0, 0, 0, 3));
}

#[test]
fn one_that_ends_before_anybody_has_seen_it_gives_its_place_to_the_next() {
    let limits = Limits::default().with(|limits| limits.calls_per_connection_max = 1);
    let mut pair = Pair::alone(&limits);
    pair.inject(SERVER, b"GREET 0 1\nxGREET 0 1 t=1000\naGREET 0 1\nb");
    let (now, peer) = (pair.now, &mut pair.peers[SERVER]);
    let first = peer.calls.pop_front().unwrap();
    peer.session.handle_reply(|| now, first.id, Ok(BytesMut::new()));
    // The time of the second is over, and nobody has asked for it yet.
    peer.session.handle_timeout(now + SECOND).unwrap();
    peer.events();
    assert_eq!(begun(&pair), ["b"]);
    assert_eq!(tally(&pair), (0, 0, 1, 1));
}
