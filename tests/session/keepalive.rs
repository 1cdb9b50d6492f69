//! Keepalive: who asks, when, of whom, and how a peer is found that is there no more.

use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use switchboard::session::{Holds, PlainEnd, Session, Slowness, Violation};
use switchboard::wire::Options;
use switchboard::{Code, Error, Limits};
use switchboard_testing::lender::Lender;
use switchboard_testing::pair::{CLIENT, GREET, Pair, SERVER, feed};
use switchboard_testing::{MS, SECOND};

/// Without a byte, until the peer is asked.
const TIME: Duration = Duration::from_secs(5);

const GONE: Violation = Violation::Slow(Slowness::Ping, TIME);

/// One end, which keeps its connection alive; the test is the other.
fn alone() -> Pair {
    alone_within(&Limits::default())
}

fn alone_within(limits: &Limits) -> Pair {
    let mut pair = Pair::alone(limits);
    pair.peers[SERVER].session.keep_alive(pair.now, TIME);
    pair
}

/// A call, or why there is none.
fn try_call(pair: &mut Pair) -> Result<u32, Error> {
    pair.try_call(SERVER, "", Options::default(), 600 * SECOND)
}

#[test]
fn a_quiet_connection_is_kept_open() {
    let limits = Limits::default().with(|limits| limits.idle_time_max = TIME + MS);
    let mut pair = Pair::new(&limits);
    pair.peers[CLIENT].session.keep_alive(pair.now, TIME);
    pair.advance(4 * TIME);
    assert_eq!(pair.peers[CLIENT].take_sent(), "?PING 1 0\n?PING 2 0\n?PING 3 0\n?PING 4 0\n");
    assert_eq!(pair.peers[SERVER].take_sent(), "<1 ok 0\n<2 ok 0\n<3 ok 0\n<4 ok 0\n");
    pair.advance(3600 * SECOND);
    assert!(pair.peers.iter().all(|peer| peer.violations.is_empty()));
    // Without it the same connection is closed.
    let mut pair = Pair::new(&limits);
    pair.advance(2 * TIME);
    assert_eq!(pair.peers[SERVER].violations.len(), 1);
}

#[test]
fn a_peer_that_says_nothing_is_asked_once_and_then_given_up() {
    let mut pair = alone();
    let call = try_call(&mut pair).unwrap();
    pair.advance(TIME - MS);
    assert_eq!(pair.peers[SERVER].take_sent(), "GREET 1 0\n");
    pair.advance(MS);
    assert_eq!(pair.peers[SERVER].take_sent(), "?PING 2 0\n");
    pair.advance(TIME - MS);
    assert!(pair.peers[SERVER].violations.is_empty());
    let last = try_call(&mut pair).unwrap();
    pair.advance(MS);
    assert_eq!(pair.peers[SERVER].violations, [GONE]);
    assert_eq!(pair.peers[SERVER].take_sent(), "GREET 3 0\n");
    for tag in [call, last] {
        let error = pair.peers[SERVER].reply(tag).unwrap().unwrap_err();
        let text = "no answer to ?PING came within the keepalive time (5s)";
        assert_eq!((error.code(), error.text()), (Code::DeadlineExceeded, text));
        assert!(error.was_sent() && !error.is_safe_to_retry() && !error.is_from_peer());
        assert!(std::error::Error::source(&error).unwrap().is::<Violation>());
    }
    let error = try_call(&mut pair).unwrap_err();
    let text = "the connection is closed: no answer to ?PING came within the keepalive time (5s)";
    assert_eq!((error.code(), error.text()), (Code::Disconnected, text));
    assert!(error.is_safe_to_retry());
    let session = &mut pair.peers[SERVER].session;
    assert!(!session.is_open(None) && session.is_over());
    assert!(!GONE.is_worth_telling(), "nobody would read it");
}

#[test]
fn whatever_comes_is_an_answer() {
    let sent: [&[u8]; 6] =
        [b"<1 ok 0\n", b"<1 err 0 unknown_command\n", b"G", b"GREET 0 0\n", b"?PING 7 0\n", b"x"];
    for sent in sent {
        let mut pair = alone();
        pair.advance(2 * TIME - MS);
        pair.inject(SERVER, sent);
        let told = pair.peers[SERVER].violations.clone();
        assert!(!told.contains(&GONE), "{sent:?}");
        pair.advance(MS);
        assert_eq!(pair.peers[SERVER].violations, told, "{sent:?}");
    }
    // It need not be taken in yet, behind others that are.
    let mut pair = alone();
    pair.advance(2 * TIME - MS);
    let now = pair.now;
    let session = &mut pair.peers[SERVER].session;
    let mut input = BytesMut::from("GREET 1 0\nGREET 2 0\n");
    session.handle_input(&mut input, &mut Lender::roomy(now));
    assert!(session.has_event());
    session.handle_timeout(now + MS).unwrap();
}

#[test]
fn who_sends_without_end_is_not_asked() {
    let mut pair = alone();
    for _ in 0..10 {
        pair.advance(TIME - MS);
        pair.inject(SERVER, b"GREET 0 0\n");
        pair.peers[SERVER].echo();
    }
    assert_eq!(pair.peers[SERVER].take_sent(), "");
    // What this side sends is no sign of the other.
    for _ in 0..9 {
        pair.advance(SECOND);
        let session = &mut pair.peers[SERVER].session;
        session.notify(None, GREET, Options::default(), BytesMut::new()).unwrap();
    }
    assert!(pair.peers[SERVER].violations.is_empty());
    pair.advance(SECOND);
    assert_eq!(pair.peers[SERVER].violations, [GONE]);
    let sent = pair.peers[SERVER].take_sent();
    assert_eq!(sent.matches("?PING 1 0\n").count(), 1, "{sent}");
}

#[test]
fn one_question_is_under_way_at_most_and_no_limit_counts_it() {
    let mut pair = alone_within(&Limits::default().with(|l| l.calls_per_connection_max = 1));
    // The only call is under way, and the question goes.
    let call = try_call(&mut pair).unwrap();
    pair.advance(TIME);
    assert_eq!(pair.peers[SERVER].take_sent(), "GREET 1 0\n?PING 2 0\n");
    let error = try_call(&mut pair).unwrap_err();
    assert_eq!(error.text(), "calls_per_connection_max (1) are waiting for their replies");
    // The question is under way, and the only call goes.
    pair.inject(SERVER, b"<1 ok 0\n");
    assert!(pair.peers[SERVER].reply(call).unwrap().is_ok());
    pair.drive();
    let call = try_call(&mut pair).unwrap();
    assert!(pair.peers[SERVER].session.is_turn_over(), "it is the only one");
    assert!(try_call(&mut pair).is_err());
    // It is not asked again what it has not answered, and its silence counts all the same.
    pair.advance(2 * TIME - MS);
    assert_eq!(pair.peers[SERVER].take_sent(), "GREET 3 0\n");
    pair.inject(SERVER, b"<2 ok 0\n");
    pair.advance(TIME);
    assert_eq!(pair.peers[SERVER].take_sent(), "?PING 4 0\n");
    pair.inject(SERVER, b"<3 ok 0\n");
    assert!(pair.peers[SERVER].reply(call).unwrap().is_ok());
    pair.advance(2 * TIME - MS);
    assert!(pair.peers[SERVER].violations.is_empty());
    pair.advance(MS);
    assert_eq!(pair.peers[SERVER].violations, [GONE]);
    assert_eq!(pair.peers[SERVER].take_sent(), "");
}

#[test]
fn an_answer_belongs_to_one_question() {
    let mut pair = alone();
    pair.advance(TIME);
    pair.inject(SERVER, b"<1 ok 3\nabc");
    assert_eq!(pair.peers[SERVER].session.held_bytes(), 0);
    assert!(!pair.peers[SERVER].session.has_unclaimed());
    pair.inject(SERVER, b"<1 ok 0\n");
    assert_eq!(pair.peers[SERVER].violations, [Violation::UnknownTag(1)]);
}

#[test]
fn nobody_is_asked_who_is_not_read_or_when_all_ends() {
    check("nothing", Some(TIME), |_, _| {});
    check("a plain call has the stream", None, |session, now| {
        feed(session, now, "GREET\nAda");
        assert!(session.poll_event().is_some());
    });
    check("a plain call has given it back", Some(TIME), |session, now| {
        feed(session, now, "GREET\n");
        assert!(session.poll_event().is_some());
        session.handle_plain_end(now, PlainEnd::Done);
        feed(session, now, "");
    });
    check("it is lent from its beginning on", None, |session, _| assert!(session.lend()));
    check("there is no memory", None, |session, now| {
        let full = |_: Holds| Err(Error::new(Code::Overloaded, "full"));
        session.handle_input(&mut BytesMut::from("GREET 1"), &mut Lender::new(now, full));
    });
    check("this side drains", None, |session, now| {
        feed(session, now, "GREET 1 0\n");
        session.close(now);
    });
    check("the peer has ended its side", None, |session, now| {
        feed(session, now, "GREET 1 0\n");
        session.handle_eof();
    });

    /// When this has happened the peer is asked after so long, or not at all.
    #[track_caller]
    fn check(what: &str, expected: Option<Duration>, happens: impl Fn(&mut Session, Instant)) {
        let mut pair = alone();
        let (now, session) = (pair.now, &mut pair.peers[SERVER].session);
        happens(session, now);
        while session.poll_event().is_some() {}
        session.take_transmit();
        let is_due = session.poll_timeout() == Some(now + TIME);
        assert_eq!(is_due.then_some(TIME), expected, "{what}");
        session.handle_timeout(now + TIME).unwrap();
        assert_eq!(session.has_transmit(), expected.is_some(), "{what}");
    }
}

#[test]
fn who_is_read_again_has_its_time_again() {
    let mut pair = alone();
    let now = pair.now;
    let session = &mut pair.peers[SERVER].session;
    session.handle_timeout(now + TIME).unwrap();
    let bytes = session.take_transmit().len();
    session.handle_written(now + TIME, bytes);
    assert_eq!(session.poll_timeout(), Some(now + 2 * TIME));
    let full = |_: Holds| Err(Error::new(Code::Overloaded, "full"));
    let mut input = BytesMut::new();
    session.handle_input(&mut input, &mut Lender::new(now + 2 * TIME - MS, full));
    session.handle_timeout(now + 9 * TIME).unwrap();
    session.handle_input(&mut input, &mut Lender::roomy(now + 9 * TIME));
    assert_eq!(session.poll_timeout(), Some(now + 10 * TIME));
    // Being read is not being heard.
    session.handle_input(&mut input, &mut Lender::roomy(now + 10 * TIME - MS));
    session.handle_timeout(now + 10 * TIME).unwrap();
    assert!(!session.has_transmit(), "it has not answered the first");
    assert_eq!(session.handle_timeout(now + 11 * TIME), Err(GONE));
    // Said once.
    session.handle_timeout(now + 30 * TIME).unwrap();
}

#[test]
fn what_the_peer_has_not_taken_is_no_silence() {
    let limits = Limits::default().with(|limits| limits.write_time_max = 100 * SECOND);
    let mut pair = alone_within(&limits.with(|limits| limits.unwritten_bytes_max = 1));
    let now = pair.now;
    let session = &mut pair.peers[SERVER].session;
    session.notify(None, GREET, Options::default(), BytesMut::from("Ada")).unwrap();
    let bytes = session.take_transmit().len();
    session.handle_write_blocked(now);
    session.handle_timeout(now + TIME).unwrap();
    let question = session.take_transmit().len();
    assert_eq!(question, "?PING 1 0\n".len());
    assert!(session.wants_input(), "a question is no answer that piles up");
    // All but its last byte.
    session.handle_written(now + 3 * TIME, bytes + question - 1);
    session.handle_timeout(now + 4 * TIME).unwrap();
    session.handle_written(now + 4 * TIME, 1);
    assert_eq!(session.poll_timeout(), Some(now + 5 * TIME));
    assert_eq!(session.handle_timeout(now + 5 * TIME), Err(GONE));
}

#[test]
fn those_who_wait_for_room_are_woken_when_the_peer_is_given_up() {
    let mut pair = alone_within(&Limits::default().with(|l| l.unwritten_bytes_max = 1));
    pair.advance(TIME);
    let (now, session) = (pair.now, &mut pair.peers[SERVER].session);
    session.notify(None, GREET, Options::default(), BytesMut::new()).unwrap();
    let (mut place, mut waker) = (None, Some(Waker::noop().clone()));
    let until = now + 600 * SECOND;
    assert_eq!(session.poll_room(None, &mut place, until, &mut waker), Poll::Pending);
    let gone = session.handle_timeout(now + TIME).unwrap_err();
    session.handle_violation(&gone);
    assert_eq!(session.wakers().take_due().len(), 1);
}

#[test]
fn a_time_that_the_clock_cannot_hold_never_comes() {
    let mut pair = Pair::new(&Limits::default());
    pair.peers[CLIENT].session.keep_alive(pair.now, Duration::MAX);
    assert_eq!(pair.peers[CLIENT].session.poll_timeout(), None);
}

/// While a stream is open its caller asks, although nobody has told it to.
#[test]
fn a_quiet_stream_is_kept_open_and_a_peer_that_is_gone_is_missed() {
    let limits = Limits::default().with(|limits| limits.idle_time_max = 45 * SECOND);
    let facts = switchboard::Command::<(), (), ()>::new("GREET").facts().streamed(false, true);
    let mut pair = Pair::new(&limits);
    pair.peers[SERVER].facts = Some(facts);
    let options = || Options::default().streamed(false, Some(1000));
    let tag = pair.try_call(CLIENT, "", options(), 3600 * SECOND).unwrap();
    pair.drive();
    pair.peers[CLIENT].take_sent();
    pair.advance(90 * SECOND);
    assert_eq!(pair.peers[CLIENT].take_sent(), "?PING 2 0\n?PING 3 0\n?PING 4 0\n");
    assert!(pair.peers.iter().all(|peer| peer.violations.is_empty()));
    // No longer than that.
    let id = pair.peers[SERVER].calls.pop_front().unwrap().id;
    pair.peers[SERVER].answer(id, Ok(""));
    pair.drive();
    pair.peers[CLIENT].reply(tag).unwrap().unwrap();
    pair.advance(40 * SECOND);
    assert_eq!(pair.peers[CLIENT].take_sent(), "");

    let mut alone = Pair::alone(&Limits::default());
    alone.try_call(SERVER, "", options(), 3600 * SECOND).unwrap();
    alone.advance(60 * SECOND);
    let gone = Violation::Slow(Slowness::Ping, 30 * SECOND);
    assert_eq!(alone.peers[SERVER].violations, [gone]);
}
