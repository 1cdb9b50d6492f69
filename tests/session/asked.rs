//! What a driver asks of a session, beside what a peer sees: when to write, what still waits, what
//! to charge, whom to wake.

use std::sync::Arc;
use std::task::{Poll, Wake, Waker};
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use switchboard::session::{Call, Event, Holds, PlainEnd, Session, Tally};
use switchboard::wire::{Options, Tag};
use switchboard::{Code, Error, Limits};
use switchboard_testing::SECOND;
use switchboard_testing::lender::Lender;
use switchboard_testing::pair::{CLIENT, GREET, Pair, SERVER, feed};

/// What [`tell`] writes.
const TOLD: &str = "<0 err 5 failed\nsoon\n";

const FAREWELL: &str = "<0 ok 0\n";

/// An accepting end that nothing has happened to.
fn alone() -> Pair {
    Pair::alone(&Limits::default())
}

fn tell(session: &mut Session) {
    session.tell(&Error::new(Code::Failed, "soon"));
}

/// A call of our own.
fn call(session: &mut Session, now: Instant) -> Tag {
    let (payload, deadline) = (BytesMut::new(), now + SECOND);
    session.call(None, GREET, Options::default(), payload, deadline, &mut None).unwrap()
}

/// A reply of the peer.
fn reply(session: &mut Session, now: Instant, tag: Tag, payload: &str) {
    feed(session, now, &format!("<{tag} ok {}\n{payload}", payload.len()));
}

/// The call that is to be run next.
fn next_call(session: &mut Session) -> Box<Call> {
    match session.poll_event() {
        Some(Event::Call(call)) => call,
        other => panic!("{other:?}"),
    }
}

/// What has been taken out, as text.
fn take(session: &mut Session) -> String {
    let mut outbox = session.take_transmit();
    let bytes = outbox.len();
    String::from_utf8(outbox.copy_to_bytes(bytes).to_vec()).unwrap()
}

#[test]
fn the_only_caller_writes_at_once_and_many_leave_it_to_the_last() {
    let mut pair = alone();
    let (now, session) = (pair.now, &mut pair.peers[SERVER].session);
    assert!(!session.is_turn_over() && !session.has_unclaimed());
    session.notify(None, GREET, Options::default(), BytesMut::new()).unwrap();
    assert!(!session.is_turn_over(), "nobody waits for it");
    let first = call(session, now);
    assert!(session.is_turn_over(), "it is the only one");
    session.notify(None, GREET, Options::default(), BytesMut::new()).unwrap();
    assert!(!session.is_turn_over(), "what was sent last wants no reply");
    take(session);
    let second = call(session, now);
    assert!(!session.is_turn_over(), "another is under way, and may have more");

    // Both replies come together.
    assert!(!session.has_unclaimed(), "nobody has a reply to take");
    reply(session, now, first, "");
    assert!(session.has_unclaimed(), "its caller may call again");
    reply(session, now, second, "");
    take(session);
    assert!(session.poll_reply(first, &mut None).is_ready());
    let third = call(session, now);
    assert!(session.has_unclaimed() && !session.is_turn_over(), "one reply is not taken");
    session.cancel(second);
    assert!(!session.has_unclaimed(), "given up is as good as taken");
    let fourth = call(session, now);
    assert!(session.is_turn_over(), "it is the last of those who had a reply");
    take(session);
    call(session, now);
    assert!(!session.is_turn_over(), "that was another time");
    assert!(third != fourth);
}

#[test]
fn a_session_is_over_when_all_is_said_and_written() {
    let mut pair = alone();
    let (now, session) = (pair.now, &mut pair.peers[SERVER].session);
    assert!(!session.is_over() && !session.is_finished());
    feed(session, now, "GREET 0 0\n");
    let id = next_call(session).id;
    session.close(now);
    let notice = take(session);
    assert!(notice.ends_with("no more calls are taken\n") && !session.has_transmit());
    session.handle_written(now, notice.len());
    session.handle_reply(|| now, id, Ok(BytesMut::new()));
    // A one-way call has no reply: the farewell alone is left.
    assert!(session.is_finished() && session.has_transmit() && !session.is_over());
    assert_eq!(take(session), FAREWELL);
    assert!(!session.has_transmit() && !session.is_over(), "it is not written yet");
    session.handle_written(now, FAREWELL.len());
    assert!(session.is_over());
}

#[test]
fn a_peer_that_is_turned_away_hears_why_and_farewell() {
    let mut pair = alone();
    let session = &mut pair.peers[SERVER].session;
    session.turn_away(&Error::new(Code::Failed, "soon"));
    assert!(session.is_finished() && session.has_transmit() && !session.is_over());
    assert_eq!(take(session), TOLD.to_owned() + FAREWELL);
}

#[test]
fn draining_is_over_when_its_time_is() {
    let mut pair = alone();
    let (now, session) = (pair.now, &mut pair.peers[SERVER].session);
    assert!(!session.is_drained());
    session.close(now);
    assert!(!session.is_drained());
    session.handle_timeout(now + 10 * SECOND).unwrap();
    assert!(session.is_drained());
}

#[test]
fn a_place_in_the_stream_is_flushed_when_the_stream_says_so() {
    let mut pair = alone();
    let (now, session) = (pair.now, &mut pair.peers[SERVER].session);
    let begin = session.sent_end();
    assert!(session.is_flushed(begin), "nothing was sent");
    tell(session);
    let end = session.sent_end();
    assert_eq!(end, begin + TOLD.len());
    assert!(session.is_flushed(begin) && !session.is_flushed(end));
    take(session);
    session.handle_written(now, TOLD.len());
    assert!(!session.is_flushed(end), "the stream may hold it back");
    session.handle_flushed();
    assert!(session.is_flushed(begin) && session.is_flushed(end));
    tell(session);
    let lost = session.sent_end();
    assert_eq!(lost, end + TOLD.len());
    session.handle_lost(Error::new(Code::Disconnected, "broken"));
    // It will never be written, and its place is nobody else's.
    assert_eq!((session.unwritten_bytes(), session.sent_end()), (0, lost));
    session.handle_flushed();
    assert!(session.is_flushed(end) && !session.is_flushed(lost));
}

#[test]
fn our_own_calls_do_not_stop_the_reading() {
    use Step::{Ask, Tell, Write};
    const ASK: usize = "GREET 0 100\n".len() + 100;
    const TELL: usize = TOLD.len();

    check(&[], 0);
    check(&[Ask], 0);
    check(&[Tell], TELL);
    check(&[Ask, Tell, Ask], TELL);
    // The writing comes near to a call, to it, into it and beyond.
    check(&[Tell, Ask, Write(TELL - 1)], 1);
    check(&[Tell, Ask, Write(TELL)], 0);
    check(&[Tell, Ask, Write(TELL + 5), Tell], TELL);
    check(&[Ask, Ask, Tell, Write(ASK + 10), Write(10)], TELL);
    check(&[Ask, Tell, Write(ASK)], TELL);
    check(&[Ask, Tell, Write(ASK), Write(3)], TELL - 3);
    check(&[Ask, Tell, Write(ASK), Ask, Write(TELL), Tell], TELL);
    check(&[Ask, Tell, Ask, Write(ASK + TELL), Tell], TELL);
    check(&[Ask, Tell, Ask, Write(ASK + TELL + ASK)], 0);

    #[derive(Debug)]
    enum Step {
        Ask,
        Tell,
        Write(usize),
    }

    /// What waits without calls of our own is `answers` bytes: with so many allowed it is too much,
    /// with one more it is not.
    #[track_caller]
    fn check(steps: &[Step], answers: usize) {
        for max in [answers, answers + 1] {
            let mut pair = Pair::alone(&Limits::default().with(|l| l.unwritten_bytes_max = max));
            let (now, session) = (pair.now, &mut pair.peers[SERVER].session);
            for step in steps {
                match step {
                    Ask => {
                        let payload = BytesMut::from(&[b'x'; 100][..]);
                        session.notify(None, GREET, Options::default(), payload).unwrap();
                    }
                    Tell => tell(session),
                    Write(bytes) => {
                        let _ = session.take_transmit();
                        session.handle_written(now, *bytes);
                    }
                }
            }
            assert_eq!(session.wants_input(), max > answers, "{max}");
        }
    }
}

#[test]
fn whoever_waits_for_a_reply_reads_a_payload_more() {
    for (tells, is_read) in [(3, true), (4, false)] {
        let limits = Limits::default().with(|limits| {
            limits.unwritten_bytes_max = TOLD.len();
            limits.payload_bytes_max = 2 * TOLD.len();
        });
        let mut pair = Pair::alone(&limits);
        let (now, session) = (pair.now, &mut pair.peers[SERVER].session);
        call(session, now);
        (0..tells).for_each(|_| tell(session));
        // The limit, one payload, and refusals of as much as the limit.
        assert_eq!(session.wants_input(), is_read, "{tells}");
    }
}

#[test]
fn there_is_room_below_the_limit() {
    for (max, is_ready) in [(TOLD.len(), false), (TOLD.len() + 1, true)] {
        let mut pair = Pair::alone(&Limits::default().with(|l| l.unwritten_bytes_max = max));
        let (now, session) = (pair.now, &mut pair.peers[SERVER].session);
        tell(session);
        let (mut place, deadline) = (None, now + SECOND);
        let polled = session.poll_room(None, &mut place, deadline, &mut None);
        assert_eq!((polled.is_ready(), place.is_none()), (is_ready, is_ready), "for a call");
        place.into_iter().for_each(|place| session.leave_room(place));
        let mut place = None;
        let polled = session.poll_reply_room(&mut place, &mut None);
        assert_eq!((polled.is_ready(), place.is_none()), (is_ready, is_ready), "for a reply");
        take(session);
        session.handle_written(now, TOLD.len());
        assert!(session.poll_reply_room(&mut place, &mut None).is_ready() && place.is_none());
    }
}

#[test]
fn what_will_be_held_is_asked_for_before_it_is_there() {
    const WAITS: usize = 100 + 256;
    let limits = Limits::default().with(|limits| limits.calls_per_connection_max = 1);
    let body = "x".repeat(100);
    let mut pair = Pair::alone(&limits);
    let (now, session) = (pair.now, &mut pair.peers[SERVER].session);
    // A notice, which nobody takes.
    check(session, now, &format!("<0 err 100 failed\n{body}"), 100, None);
    // Calls that are given out, and one that waits, with its facts.
    check(session, now, &format!("GREET 0 100\n{body}"), 0, Some(100));
    check(session, now, &format!("GREET 0 100\n{body}"), WAITS, None);
    let mut pair = Pair::alone(&limits);
    let (now, session) = (pair.now, &mut pair.peers[SERVER].session);
    check(session, now, &format!("GREET 7 100\n{body}"), 0, Some(100));
    // A reply is kept until its caller takes it, beside what waits to be written.
    let tag = call(session, now);
    let before = session.held_bytes();
    check(session, now, &format!("<{tag} ok 100\n{body}"), 100, None);
    assert_eq!(session.held_bytes(), before + 100);
    assert!(session.poll_reply(tag, &mut None).is_ready());
    assert_eq!(session.held_bytes(), before);

    /// What is asked for at the last of two steps, more than is held.
    #[track_caller]
    fn check(session: &mut Session, now: Instant, text: &str, more: usize, payload: Option<usize>) {
        let (before, mut asked) = (session.held_bytes(), Vec::new());
        let mut input = BytesMut::from(text);
        let mut lender = Lender::new(now, |holds: Holds| {
            asked.push((holds.kept_bytes - before, holds.payload_bytes));
            Ok(())
        });
        session.handle_input(&mut input, &mut lender);
        assert_eq!(lender.rests, [0]);
        assert_eq!(asked[..2], [(0, None), (more, payload)]);
        while session.poll_event().is_some() {}
    }
}

#[test]
fn events_are_told_before_they_are_taken() {
    let mut pair = alone();
    let (now, session) = (pair.now, &mut pair.peers[SERVER].session);
    assert!(!session.has_event() && !session.is_lent());
    let rest = feed(session, now, "GREET 1 0\nGREET\n");
    assert!(session.has_event() && rest == "GREET\n", "one after the other");
    let id = next_call(session).id;
    feed(session, now, "GREET\n");
    assert!(!session.has_event(), "the plain call waits for the reply");
    session.handle_reply(|| now, id, Ok(BytesMut::new()));
    assert!(session.has_event() && !session.is_lent());
    assert!(session.poll_event().is_some());
    assert!(session.is_lent() && !session.has_event());
    session.handle_plain_end(now, PlainEnd::Done);
    assert!(!session.is_lent());
}

#[test]
fn what_was_called_plainly_cannot_call_back_while_it_has_the_stream() {
    let mut pair = alone();
    let (now, session) = (pair.now, &mut pair.peers[SERVER].session);
    let plain = Call::plain(GREET, Options::default(), now + SECOND);
    assert!(plain.is_plain() && session.is_open(Some(plain.id)));
    feed(session, now, "GREET 1 0\n");
    let tagged = next_call(session);
    assert!(!tagged.is_plain());
    session.handle_reply(|| now, tagged.id, Ok(BytesMut::new()));
    feed(session, now, "GREET\n");
    assert!(session.poll_event().is_some() && session.is_lent());
    assert!(!session.is_open(Some(plain.id)), "its caller would take the call for the reply");
    assert!(session.is_open(Some(tagged.id)) && session.is_open(None), "they wait for the stream");
}

#[test]
fn wakers_are_told_of_whether_they_are_to_be_woken_or_only_dropped() {
    let mut pair = alone();
    let (now, session) = (pair.now, &mut pair.peers[SERVER].session);
    let tag = call(session, now);
    let (waker, other) = (Waker::from(Arc::new(Nobody)), Waker::noop());
    assert!(session.wakers().is_empty() && !session.is_heard_by(tag, &waker));
    let _ = session.poll_reply(tag, &mut Some(waker.clone()));
    assert!(session.is_heard_by(tag, &waker) && !session.is_heard_by(tag, other));
    assert!(session.wakers().is_empty(), "it is kept");
    let _ = session.poll_reply(tag, &mut Some(waker));
    assert!(!session.wakers().is_empty(), "the first is to be dropped");
    assert_eq!(session.wakers().take_spent().len(), 1);
    assert!(session.wakers().is_empty());
    reply(session, now, tag, "");
    assert!(!session.wakers().is_empty(), "the second is to be woken");
    assert_eq!(session.wakers().take_due().len(), 1);
    assert!(session.wakers().is_empty());
}

struct Nobody;

impl Wake for Nobody {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn whoever_keeps_the_time_of_callers_learns_whether_any_was_late() {
    let limits = Limits::default().with(|limits| limits.unwritten_bytes_max = 1);
    let mut pair = Pair::alone(&limits);
    let (now, session) = (pair.now, &mut pair.peers[SERVER].session);
    assert!(session.poll_call_timeout().is_none() && !session.handle_call_timeout(now));
    // One that nobody polls, and one that waits for room.
    call(session, now);
    let (mut place, mut waker) = (None, Some(Waker::noop().clone()));
    assert!(session.poll_room(None, &mut place, now + 3 * SECOND, &mut waker).is_pending());
    assert_eq!(session.poll_call_timeout(), Some(now + SECOND));
    assert!(!session.handle_call_timeout(now));
    assert!(session.handle_call_timeout(now + 2 * SECOND), "the peer is to be told");
    assert!(take(session).ends_with(">1 cancel\n"));
    assert_eq!(session.poll_call_timeout(), Some(now + 3 * SECOND));
    assert!(session.handle_call_timeout(now + 4 * SECOND), "it has a waker");
    assert_eq!(session.wakers().take_due().len(), 1);
    assert!(session.poll_call_timeout().is_none());
}

#[test]
fn a_late_look_ends_what_was_due_before() {
    let mut pair = alone();
    let (now, session) = (pair.now, &mut pair.peers[SERVER].session);
    feed(session, now, "GREET 1 0\n");
    session.handle_timeout(now + 100 * SECOND).unwrap();
    assert!(take(session).starts_with("<1 err ") && session.poll_event().is_none());
}

#[test]
fn only_what_is_read_or_written_has_its_time() {
    let idle = 300 * SECOND;
    check(10 * SECOND, |session, now| drop(feed(session, now, "GREET 1")));
    check(30 * SECOND, |session, now| drop(feed(session, now, "GREET 1 3\nAd")));
    // It is not read: there is no memory for it, or a call has the stream.
    check(idle, |session, now| {
        let mut input = feed(session, now, "GREET 1");
        let full = |_: Holds| Err(Error::new(Code::Overloaded, "full"));
        session.handle_input(&mut input, &mut Lender::new(now, full));
    });
    check(idle, |session, now| {
        feed(session, now, "GREET\nAda");
        assert!(session.poll_event().is_some());
        session.handle_plain_end(now, PlainEnd::Done);
    });
    check(idle, |session, now| {
        feed(session, now, "GREET 1 3\nAd");
        session.handle_eof();
    });
    // All is written, and the stream holds it back.
    check(10 * SECOND, |session, now| session.handle_write_blocked(now));
    check(idle, |session, now| {
        session.handle_write_blocked(now);
        session.handle_flushed();
    });
    check(10 * SECOND, |session, now| {
        tell(session);
        session.handle_write_blocked(now);
        session.handle_written(now, 1);
        session.handle_flushed();
    });

    #[track_caller]
    fn check(time: Duration, happens: impl Fn(&mut Session, Instant)) {
        let mut pair = alone();
        let (now, session) = (pair.now, &mut pair.peers[SERVER].session);
        happens(session, now);
        assert_eq!(session.poll_timeout(), Some(now + time));
    }
}

#[test]
fn a_connection_on_which_something_is_under_way_is_not_idle() {
    check(true, |_, _| {});
    check(false, |session, now| drop(feed(session, now, "GREET 1 3\nAd")));
    check(false, |session, now| session.handle_write_blocked(now));
    check(false, |session, now| {
        call(session, now);
    });

    #[track_caller]
    fn check(is_idle: bool, happens: impl Fn(&mut Session, Instant)) {
        let limits = Limits::default().with(|limits| limits.idle_time_max = SECOND / 2);
        let mut pair = Pair::alone(&limits);
        let (now, session) = (pair.now, &mut pair.peers[SERVER].session);
        happens(session, now);
        assert_eq!(session.handle_timeout(now + SECOND / 2).is_err(), is_idle);
    }
}

#[test]
fn nothing_more_goes_over_a_stream_that_cannot_be_written() {
    let mut pair = Pair::alone(&Limits::default().with(|l| l.unwritten_bytes_max = 1));
    let (now, session) = (pair.now, &mut pair.peers[SERVER].session);
    feed(session, now, "GREET 1 0\n");
    assert!(session.poll_event().is_some());
    let tag = call(session, now);
    let mut waker = Some(Waker::noop().clone());
    assert!(session.poll_room(None, &mut None, now + SECOND, &mut waker).is_pending());
    session.handle_unwritable(Error::new(Code::Disconnected, "broken"));
    assert!(!session.has_transmit() && session.unwritten_bytes() == 0);
    assert_eq!(session.wakers().take_due().len(), 1, "nobody waits for room");
    assert!(!session.is_open(None) && session.is_drained());
    assert!(matches!(session.poll_event(), Some(Event::Stop(_))));
    // A reply may have come before the stream broke.
    assert!(session.wants_input() && session.poll_reply(tag, &mut None).is_pending());
    reply(session, now, tag, "hi");
    assert!(
        matches!(session.poll_reply(tag, &mut None), Poll::Ready(Ok(hi)) if hi.payload == "hi")
    );
}

#[test]
fn short_tags_begin_anew_unless_many_are_open() {
    check(0, 1);
    check(499, 500);
    check(500, 1000);

    /// The tag after 999, when so many calls from the first on are still open, and that one.
    #[track_caller]
    fn check(open: Tag, expected: Tag) {
        let mut pair = Pair::new(&Limits::default());
        let (now, session) = (pair.now, &mut pair.peers[CLIENT].session);
        for expected in 1..=999 {
            let tag = call(session, now);
            assert_eq!(tag, expected);
            if tag > open {
                reply(session, now, tag, "");
                assert!(session.poll_reply(tag, &mut None).is_ready());
            }
        }
        assert_eq!(call(session, now), expected, "{open}");
    }
}

#[test]
fn tallies_add_up() {
    let mut pair = alone();
    pair.inject(SERVER, b"GREET 1 0\nGREET 0 0\nGREET 0 0 stream=1\nGREET 2 0\n");
    pair.peers[SERVER].echo();
    pair.peers[SERVER].echo();
    pair.lose();
    let one = pair.peers[SERVER].session.tally();
    let counts =
        |tally: Tally| [tally.answered, tally.one_way, tally.one_way_refused, tally.cut_off];
    assert_eq!(counts(one), [1; 4]);
    let mut sum = one;
    sum.add(one);
    sum.add(one);
    assert_eq!(counts(sum), [3; 4]);
}
