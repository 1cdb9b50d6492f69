//! Two sessions and nothing between them but queues: what calls live through.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "a test that goes wrong may panic"
)]

#[path = "session/asked.rs"]
mod asked;
#[path = "session/model.rs"]
mod model;
#[path = "session/one_way.rs"]
mod one_way;
#[path = "session/pair.rs"]
mod pair;
#[path = "session/room.rs"]
mod room;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use switchboard::session::{CallId, Holds, PlainEnd, Session, Slowness, Violation};
use switchboard::wire::{Flaw, FormatWord, Options, Tag};
use switchboard::{Code, Error, Fault, Limits};
use switchboard_testing::random::{Random, rounds};

use crate::pair::{CLIENT, GREET, Pair, SERVER};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

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
    assert_eq!(pair.peers[CLIENT].session.take_spent_wakers().len(), 2);
    pair.drive();
    assert!(pair.peers[CLIENT].session.take_wakers().is_empty());
    pair.peers[SERVER].echo();
    pair.drive();
    for waker in pair.peers[CLIENT].session.take_wakers() {
        waker.wake();
    }
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    assert!(pair.peers[CLIENT].session.poll_reply(tag, &mut None).is_ready());
}

#[test]
fn what_a_peer_may_not_say_ends_the_connection() {
    let cases: [(&str, Violation); 14] = [
        ("GREET 1 0\nGREET 1 0\n", Violation::DuplicateTag(1)),
        ("GREET 1 0\nGREET 1 9999999999\n", Violation::DuplicateTag(1)),
        ("GREET 1 0\n>1 item 0\n", Violation::NotAStream(1)),
        ("GREET 1 0\n>1 end\n", Violation::NotAStream(1)),
        ("GREET 1 0\n>1 credit 1\n", Violation::NotAStream(1)),
        ("<1 ok 0\n", Violation::UnknownTag(1)),
        ("<1 err 0 failed\n", Violation::UnknownTag(1)),
        ("<9 item 0\n", Violation::UnknownTag(9)),
        ("<0 ok 1\n", Violation::UnknownTag(0)),
        ("<0 credit 1\n", Violation::UnknownTag(0)),
        ("\n", Violation::Flaw(Flaw::EmptyLine)),
        ("GREET 1 +1\n", Violation::Flaw(Flaw::Length)),
        ("GET / HTTP/1.1\r\n", Violation::Flaw(Flaw::Http)),
        ("\x16\x03", Violation::Flaw(Flaw::Tls)),
    ];
    for (text, violation) in cases {
        check(text, violation);
    }

    fn check(text: &str, violation: Violation) {
        let mut pair = Pair::new(&Limits::default());
        let own = pair.call(SERVER, "", SECOND);
        // That call has tag 1; it must be over for the tag to be unknown.
        if text.starts_with("<1") {
            pair.drive();
            pair.peers[CLIENT].echo();
            pair.drive();
            assert!(pair.peers[SERVER].reply(own).unwrap().is_ok());
        }
        pair.peers[SERVER].take_sent();
        pair.inject(SERVER, text.as_bytes());
        assert_eq!(pair.peers[SERVER].violations, [violation], "{text:?}");
        let told = pair.peers[SERVER].take_sent();
        let is_foreign = matches!(violation, Violation::Flaw(flaw) if flaw.is_foreign());
        let text_len = violation.to_string().len();
        let expected = if is_foreign || text.starts_with("<1") {
            String::new()
        } else {
            "GREET 1 0\n".to_owned()
        };
        let notice = format!("<0 err {text_len} protocol\n{violation}");
        assert_eq!(told.replace("GREET 1 0\n", ""), if is_foreign { "" } else { &*notice });
        assert!(told.starts_with(&expected) || is_foreign);
        assert!(pair.peers[SERVER].session.is_finished() && pair.peers[SERVER].is_over());
        for call in &pair.peers[SERVER].calls {
            assert!(pair.peers[SERVER].stops.contains(&call.id), "{text:?}: handlers are stopped");
        }
    }
}

#[test]
fn a_violation_names_what_was_wrong_and_the_limit() {
    let slow = |slowness| Violation::Slow(slowness, 10 * SECOND);
    for (violation, text) in [
        (Violation::Flaw(Flaw::EmptyLine), "an empty line"),
        (Violation::DuplicateTag(7), "tag 7 is of a call that is not answered yet"),
        (Violation::UnknownTag(7), "a reply to tag 7, which is of no call"),
        (Violation::NotAStream(7), "an item or credit for tag 7, not a stream"),
        (Violation::CutShort, "the stream ended in the middle of a line or a body"),
        (Violation::TooManyErrors(3), "more errors in a row than consecutive_errors_max (3)"),
        (slow(Slowness::Line), "a line took longer than line_time_max (10s)"),
        (slow(Slowness::Body), "a body took longer than body_time_max (10s)"),
        (slow(Slowness::Idle), "nothing was sent for idle_time_max (10s)"),
        (slow(Slowness::Write), "nothing was read for write_time_max (10s)"),
    ] {
        assert_eq!(violation.to_string(), text);
    }
}

#[test]
fn a_violation_fails_the_calls_of_both_sides() {
    let mut pair = Pair::new(&Limits::default());
    let ours = pair.call(CLIENT, "", SECOND);
    let theirs = pair.call(SERVER, "", SECOND);
    pair.drive();
    pair.inject(SERVER, b"what is this?\n");
    let theirs = pair.peers[SERVER].reply(theirs).unwrap().unwrap_err();
    assert_eq!((theirs.code(), theirs.is_from_peer()), (Code::Protocol, false));
    let ours = pair.peers[CLIENT].reply(ours).unwrap().unwrap_err();
    assert_eq!((ours.code(), ours.is_from_peer()), (Code::Protocol, true));
    assert!(!ours.is_safe_to_retry() && !theirs.is_safe_to_retry());
}

#[test]
fn a_second_reply_is_a_violation() {
    let mut pair = Pair::new(&Limits::default());
    let tag = pair.call(CLIENT, "", SECOND);
    pair.inject(CLIENT, b"<1 ok 2\nhi<1 ok 2\nho");
    assert_eq!(pair.peers[CLIENT].violations, [Violation::UnknownTag(tag)]);
    assert_eq!(pair.peers[CLIENT].reply(tag).unwrap().unwrap(), "hi", "what came is kept");
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
    assert_eq!(told, "<1 err 20 cancelled\nthe caller cancelled");
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
        pair.feed(SERVER, b"GREET 1 0 t=10000\n");
        let (now, session) = (pair.now, &mut pair.peers[SERVER].session);
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
        assert!(told.contains("<1 err "), "{told}");
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
    assert!(told.starts_with("<1 err 20 cancelled\n") && told.contains("<1 err 40 overloaded\n"));
    pair.peers[SERVER].echo();
    pair.inject(SERVER, b"GREET 1 0\n");
    assert_eq!(pair.peers[SERVER].calls.len(), 1);
    pair.peers[SERVER].echo();
    pair.drive();
    assert_eq!(pair.peers[SERVER].take_sent(), "<1 ok 0\n");
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
    check(PlainEnd::Failed(error()), "<0 err 4 bad_payload\noops", true);
    check(PlainEnd::OutOfStep(error()), "<0 err 4 bad_payload\noops", false);

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

#[test]
fn a_body_for_which_there_is_no_room_is_refused() {
    let mut pair = Pair::alone(&Limits::default());
    let full = || Error::new(Code::Overloaded, "full");
    // While it comes, or when it is whole.
    pair.feed(SERVER, b"GREET 7 10\n12345");
    let peer = &mut pair.peers[SERVER];
    assert_eq!(peer.session.missing_body_bytes(&peer.input), 5);
    peer.session.handle_input_refused(&full());
    let (now, mut whole) = (pair.now, BytesMut::from("1234567890GREET 8 4\nbody"));
    let hold = |_: Option<&mut BytesMut>, holds: Holds| match holds.payload_bytes {
        Some(4) => Err(full()),
        _ => Ok(()),
    };
    assert!(peer.session.handle_input(|| now, &mut whole, hold), "more is needed");
    assert!(whole.is_empty());
    peer.input.clear();
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
    let full = |_: Option<&mut BytesMut>, _: Holds| Err(Error::new(Code::Overloaded, "full"));
    assert!(!session.handle_input(|| now, &mut input, full), "nothing more should be read");
    assert!(!session.has_event() && !session.has_transmit() && input.len() == 10);
    // It is not slow meanwhile.
    session.handle_timeout(now + 100 * SECOND).unwrap();
    assert!(!session.handle_input(|| now, &mut input, |_, _| Ok(())), "there is a call to run");
    assert!(session.has_event() && input.is_empty());
}

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
    let refusal = NOTICE.replace("<0", &format!("<{tag}"));
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
        let called = session.call(Some(ids[0]), GREET, Options::default(), BytesMut::new(), due);
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
    let refusal = NOTICE.replace("<0", "<3");
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
    assert_eq!((error.code(), error.is_from_peer()), (Code::Cancelled, true));
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
    assert_eq!(pair.peers[SERVER].take_sent(), format!("{NOTICE}{}", NOTICE.replace("<0", "<2")));
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
    pair.feed(SERVER, b">1 cancel\nGREET 2 0\n");
    let session = &mut pair.peers[SERVER].session;
    session.handle_lost(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into());
    pair.peers[SERVER].events();
    let first = pair.peers[SERVER].calls[0].id;
    assert_eq!(pair.peers[SERVER].stops, [first]);
    assert_eq!(pair.peers[SERVER].calls.len(), 1, "nobody wants the second to begin");
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

#[test]
fn streams_are_refused() {
    let mut pair = Pair::alone(&Limits::default());
    pair.inject(SERVER, b"GREET 1 3 stream=1\nAda>1 item 3\nBob>1 end\n>2 item 0\n>1 credit 9\n");
    let text = "this command takes no stream";
    let expected = format!("<1 err {} unsupported_format\n{text}", text.len());
    assert_eq!(pair.peers[SERVER].take_sent(), expected);
    assert!(pair.peers[SERVER].violations.is_empty() && pair.peers[SERVER].calls.is_empty());
    let tag = pair.call(SERVER, "", SECOND);
    pair.inject(SERVER, format!("<{tag} item 0\n").as_bytes());
    assert_eq!(pair.peers[SERVER].violations, [Violation::NotAStream(tag)]);
}

#[test]
fn errors_cross_the_wire_if_they_were_made_for_it() {
    let io = || Error::from(std::io::Error::other("/etc/shadow: permission denied"));
    let large = "é".repeat(3000);
    let uneven = format!("x{large}");
    check(Error::new(Code::Denied, "not you"), Code::Denied, "not you");
    check(Error::new(Code::Failed, ""), Code::Failed, "");
    check(io(), Code::Failed, "the handler failed");
    check(Error::new(Code::Denied, "not you").with_source(io()), Code::Denied, "not you");
    check(Error::new(Code::Disconnected, "elsewhere"), Code::Failed, "the handler failed");
    check(Error::new(Code::Failed, large.clone()), Code::Failed, &large[..4096]);
    check(Error::new(Code::Failed, uneven.clone()), Code::Failed, &uneven[..4095]);
    check(Error::new(Code::Failed, "\x1b[31mred"), Code::Failed, "\\u{1b}[31mred");

    fn check(error: Error, code: Code, text: &str) {
        let mut pair = Pair::new(&Limits::default());
        let tag = pair.call(CLIENT, "", SECOND);
        pair.drive();
        let id = pair.peers[SERVER].calls[0].id;
        pair.peers[SERVER].answer(id, Err(error));
        pair.drive();
        let error = pair.peers[CLIENT].reply(tag).unwrap().unwrap_err();
        assert_eq!((error.code(), error.text()), (code, text));
        assert!(error.is_from_peer() && error.was_sent());
    }
}

#[test]
fn text_from_a_peer_cannot_move_the_cursor() {
    for (bytes, text) in [
        (&b"\x1b]0;title\x07"[..], "\\u{1b}]0;title\\u{7}"),
        (b"two\nlines\r", "two\\nlines\\r"),
        (b"\xff\xfe", "\u{fffd}\u{fffd}"),
        ("\u{9b}31m".as_bytes(), "\\u{9b}31m"),
        ("größe".as_bytes(), "größe"),
    ] {
        let mut pair = Pair::new(&Limits::default());
        let tag = pair.call(CLIENT, "", SECOND);
        let line = format!("<{tag} err {} failed\n", bytes.len());
        pair.inject(CLIENT, &[line.as_bytes(), bytes].concat());
        let error = pair.peers[CLIENT].reply(tag).unwrap().unwrap_err();
        assert_eq!(error.text(), text);
    }
}

#[test]
fn payloads_over_the_limit_are_refused_in_both_directions() {
    let limits = Limits::default().with(|limits| limits.payload_bytes_max = 10);
    let mut pair = Pair::alone(&limits);
    pair.inject(SERVER, b"GREET 1 11\n12345678901GREET 2 10\n1234567890");
    let text = "a payload of 11 bytes is over payload_bytes_max (10)";
    let expected = format!(" err {} too_large\n{text}", text.len());
    assert_eq!(pair.peers[SERVER].take_sent(), format!("<1{expected}"));
    let id = pair.peers[SERVER].calls[0].id;
    pair.peers[SERVER].answer(id, Ok("12345678901"));
    pair.transmit(SERVER);
    assert_eq!(pair.peers[SERVER].take_sent(), format!("<2{expected}"));
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

#[test]
fn any_list_of_operations_keeps_the_promises() {
    for seed in 0..rounds(300) {
        let mut random = Random::new(seed);
        let bytes: Vec<u8> = (0..random.below(600))
            .map(|_| u8::try_from(random.draw() >> 40 & 0xff).unwrap())
            .collect();
        let result = std::panic::catch_unwind(|| model::run(&bytes));
        assert!(result.is_ok(), "seed {seed}");
    }
}

const NOTICE: &str = "<0 err 23 shutting_down\nno more calls are taken";
const FAREWELL: &str = "<0 ok 0\n";

/// Counts how often it is woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_call_that_nobody_has_seen_is_over_with_its_connection() {
    for line in [b"GREET 1 0\n", b"GREET 0 0\n"] {
        let mut pair = Pair::alone(&Limits::default());
        pair.feed(SERVER, line);
        let session = &mut pair.peers[SERVER].session;
        assert!(!session.is_at_rest());
        session.handle_lost(Error::new(Code::Disconnected, "broken"));
        assert!(session.poll_event().is_none() && session.is_at_rest());
        assert_eq!(session.tally().cut_off, 1);
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
