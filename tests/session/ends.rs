//! Connections that end, well or not: what becomes of calls, and what their callers are told.

use std::time::Instant;

use switchboard::session::{PlainEnd, Session, Slowness, Violation};
use switchboard::wire::{Flaw, Options};
use switchboard::{Code, Error, Fault, Limits};
use switchboard_testing::SECOND;
use switchboard_testing::pair::{CLIENT, Pair, SERVER, feed};

#[test]
fn calls_without_answer_fail_by_what_the_peer_said_last() {
    check("", Code::Disconnected, false);
    check("<0 err 4 shutting_down\nsoon<0 ok 0\n", Code::ShuttingDown, true);
    check("<0 err 4 overloaded\nfull<0 ok 0\n", Code::Overloaded, true);
    // Killed while it drained: what was taken may have run.
    check("<0 err 4 shutting_down\nsoon", Code::Disconnected, false);
    check("<0 err 4 overloaded\nfull", Code::Disconnected, false);
    check("<0 err 4 protocol\noops", Code::Protocol, false);
    check("<0 err 4 shutting_down\nsoon<0 err 4 protocol\noops", Code::Protocol, false);

    fn check(text: &str, code: Code, is_safe: bool) {
        let mut pair = Pair::new(&Limits::default());
        let tag = pair.call(CLIENT, "", SECOND);
        let cancelled = pair.call(CLIENT, "", SECOND);
        pair.inject(CLIENT, text.as_bytes());
        assert!(pair.peers[CLIENT].reply(tag).is_none(), "a running call may still finish");
        pair.peers[CLIENT].session.cancel(cancelled);
        pair.cut(CLIENT);
        assert!(pair.peers[CLIENT].session.is_finished());
        let error = pair.peers[CLIENT].reply(tag).unwrap().unwrap_err();
        assert_eq!((error.code(), error.is_safe_to_retry()), (code, is_safe), "{text:?}");
        assert_eq!(error.is_from_peer(), code != Code::Disconnected);
        let error = pair.try_call(CLIENT, "", Options::default(), SECOND).unwrap_err();
        assert!(error.is_from_peer() != text.is_empty(), "the reason is known");
        assert!(error.is_safe_to_retry(), "nothing was sent");
    }
}

/// It says that no call was taken only beside the notice that said so.
#[test]
fn a_farewell_alone_leaves_calls_in_doubt() {
    let mut pair = Pair::new(&Limits::default());
    let tag = pair.call(CLIENT, "", SECOND);
    pair.inject(CLIENT, b"<0 ok 0\n");
    assert!(pair.peers[CLIENT].violations.is_empty());
    pair.cut(CLIENT);
    let error = pair.peers[CLIENT].reply(tag).unwrap().unwrap_err();
    assert_eq!((error.code(), error.is_safe_to_retry()), (Code::Disconnected, false));
}

#[test]
fn the_calls_of_a_peer_that_has_ended_are_answered() {
    let mut pair = Pair::alone(&Limits::default());
    pair.inject(SERVER, b"GREET 1 2\nhi");
    pair.cut(SERVER);
    assert!(!pair.peers[SERVER].session.is_finished());
    pair.peers[SERVER].echo();
    pair.drive();
    assert_eq!(pair.peers[SERVER].take_sent(), "<1 ok 2\nhi");
    assert!(pair.peers[SERVER].is_over());
}

#[test]
fn an_end_in_the_middle_is_a_violation() {
    for text in ["GREE", "GREET 1 3\nAd", "GREET 1 3\n", "GREET 1 9999999\nAd", "GREET\r"] {
        let mut pair = Pair::alone(&Limits::default());
        pair.inject(SERVER, text.as_bytes());
        pair.cut(SERVER);
        assert_eq!(pair.peers[SERVER].violations, [Violation::CutShort], "{text:?}");
    }
}

#[test]
fn a_lost_connection_stops_everything() {
    let mut pair = Pair::alone(&Limits::default());
    let own = pair.call(SERVER, "", SECOND);
    pair.inject(SERVER, b"GREET 1 0\nGREET 2 0\n");
    let session = &mut pair.peers[SERVER].session;
    session.handle_lost(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into());
    assert!(!session.has_transmit() && session.unwritten_bytes() == 0);
    pair.peers[SERVER].events();
    assert_eq!(pair.peers[SERVER].stops.len(), 2);
    let error = pair.peers[SERVER].reply(own).unwrap().unwrap_err();
    assert_eq!((error.code(), error.was_sent()), (Code::Disconnected, true));
    pair.peers[SERVER].echo();
    assert!(!pair.peers[SERVER].session.has_transmit());
    assert!(pair.peers[SERVER].session.is_finished());
}

#[test]
fn the_cause_of_an_end_is_told_to_every_caller() {
    let io = || std::io::Error::from(std::io::ErrorKind::ConnectionReset).into();
    let late = || Error::new(Code::DeadlineExceeded, "a write took too long");
    let (early, reset) = ("the connection was closed before the reply came", "connection reset");
    let ended = "the peer ended its side";
    check(Code::Disconnected, Fault::Connection, early, ended, |session| session.handle_eof());
    let lost = &format!("the connection was lost: {reset}");
    check(Code::Disconnected, Fault::Connection, lost, reset, |session| session.handle_lost(io()));
    check(Code::Disconnected, Fault::Connection, lost, reset, |session| {
        session.handle_unwritable(io());
        session.handle_eof();
    });
    let slow = "a write took too long";
    check(Code::DeadlineExceeded, Fault::Callee, slow, slow, |session| session.handle_lost(late()));
    check(Code::Disconnected, Fault::Connection, "stopped", "stopped", |session| {
        session.handle_abandoned("stopped");
    });
    let closed = "this side closed it";
    check(Code::Disconnected, Fault::Connection, closed, closed, |session| {
        session.turn_away(&Error::new(Code::Failed, ""));
    });
    let behind = "behind a plain call of the peer nothing can be read";
    check(Code::Disconnected, Fault::Connection, behind, behind, |session| {
        session.handle_plain_end(Instant::now(), PlainEnd::OutOfStep(Error::new(Code::Failed, "")));
    });
    check_violation(Code::Disconnected, Fault::Connection, Violation::CutShort);
    for slowness in [Slowness::Line, Slowness::Body, Slowness::Write] {
        let violation = Violation::Slow(slowness, SECOND);
        check_violation(Code::DeadlineExceeded, Fault::Callee, violation);
    }
    for violation in [
        Violation::Flaw(Flaw::EmptyLine),
        Violation::DuplicateTag(1),
        Violation::UnknownTag(1),
        Violation::NotAStream(1),
        Violation::TooManyErrors(1),
    ] {
        check_violation(Code::Protocol, Fault::Callee, violation);
    }

    #[track_caller]
    fn check_violation(code: Code, fault: Fault, violation: Violation) {
        let text = match code {
            Code::Protocol => format!("the peer broke the protocol: {violation}"),
            _ => violation.to_string(),
        };
        check(code, fault, &text, &text, |session| session.handle_violation(&violation));
    }

    /// The error of a call under way, and how that of a later one ends.
    #[track_caller]
    fn check(code: Code, fault: Fault, text: &str, later_text: &str, end: impl Fn(&mut Session)) {
        let mut pair = Pair::alone(&Limits::default());
        let tags = [0; 2].map(|_| pair.call(SERVER, "", SECOND));
        end(&mut pair.peers[SERVER].session);
        // What follows from it is not the cause.
        pair.peers[SERVER].session.handle_abandoned("over");
        let first = pair.peers[SERVER].reply(tags[0]).unwrap().unwrap_err();
        let second = pair.peers[SERVER].reply(tags[1]).unwrap().unwrap_err();
        assert!(first.text().eq_ignore_ascii_case(text), "{first}");
        assert_eq!(first.text(), second.text());
        assert_eq!((first.code(), first.fault(), first.was_sent()), (code, fault, true), "{first}");
        let later = pair.try_call(SERVER, "", Options::default(), SECOND).unwrap_err();
        assert_eq!((later.code(), later.was_sent()), (Code::Disconnected, false));
        let expected = format!("the connection is closed: {later_text}");
        assert!(later.text().eq_ignore_ascii_case(&expected), "{later}");
    }
}

#[test]
fn a_stop_that_waits_is_not_lost_with_the_connection() {
    let limits = Limits::default();
    let mut pair = Pair::alone(&limits);
    pair.inject(SERVER, b"GREET 1 0\n");
    // The cancel and what breaks the connection come together.
    let (now, session) = (pair.now, &mut pair.peers[SERVER].session);
    feed(session, now, ">1 cancel\nGREET 2 0\n");
    session.handle_lost(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into());
    pair.peers[SERVER].events();
    let first = pair.peers[SERVER].calls[0].id;
    assert_eq!(pair.peers[SERVER].stops, [first]);
    assert_eq!(pair.peers[SERVER].calls.len(), 1, "nobody wants the second to begin");
}

#[test]
fn a_call_that_nobody_has_seen_is_over_with_its_connection() {
    for line in ["GREET 1 0\n", "GREET 0 0\n"] {
        let mut pair = Pair::alone(&Limits::default());
        let (now, session) = (pair.now, &mut pair.peers[SERVER].session);
        feed(session, now, line);
        assert!(!session.is_at_rest());
        session.handle_lost(Error::new(Code::Disconnected, "broken"));
        assert!(session.poll_event().is_none() && session.is_at_rest());
        assert_eq!(session.tally().cut_off, 1);
    }
}
