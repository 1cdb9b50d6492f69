//! Calls that came together are given out together, and nothing else is different for that: what
//! is refused, counted and written, and in which order.

use std::time::Instant;

use bytes::{Buf, BytesMut};
use switchboard::session::{Event, Holds, Session, Side};
use switchboard::{Code, Error, Limits};
use switchboard_testing::lender::Lender;

/// One side of a connection, and what it has read.
struct Reader {
    now: Instant,
    session: Session,
    input: BytesMut,
}

impl Reader {
    fn new(limits: &Limits, sent: &str) -> Self {
        let now = Instant::now();
        let session = Session::new(now, Side::Accepted, limits);
        Self { now, session, input: BytesMut::from(sent.as_bytes()) }
    }

    /// The tags of the calls that are given out before any of them begins, then another event.
    fn batch(&mut self) -> (Vec<u32>, Option<Event>) {
        let Self { now, session, input } = self;
        session.handle_input(input, &mut Lender::roomy(*now));
        let max = session.calls_at_once_max();
        let mut tags = Vec::new();
        loop {
            match session.poll_event() {
                Some(Event::Call(call)) => tags.push(call.id.tag()),
                event => return (tags, event),
            }
            if tags.len() == max {
                return (tags, None);
            }
            session.handle_more_input(input, &mut Lender::roomy(*now));
        }
    }

    fn written(&mut self) -> String {
        let mut outbox = self.session.take_transmit();
        String::from_utf8(outbox.copy_to_bytes(outbox.remaining()).to_vec()).unwrap()
    }
}

/// These calls are given out together, and nothing has been written until then.
#[track_caller]
fn check(change: impl FnOnce(&mut Limits), sent: &str, expected: &[u32]) {
    let limits = Limits::default().with(change);
    let mut reader = Reader::new(&limits, sent);
    let (tags, _) = reader.batch();
    assert_eq!(tags, expected, "{sent:?}");
    assert_eq!(reader.written(), "", "{sent:?}");
}

#[test]
fn only_calls_that_surely_run_are_given_out_together() {
    let default = |_: &mut Limits| {};
    check(default, "A 1 0\nB 2 1\nxC 3 0\n", &[1, 2, 3]);
    check(default, "A 1 0\nB 0 0\nC 2 0 f=json t=9\n", &[1, 0, 2]);
    // The second half of a call comes later.
    check(default, "A 1 0\nB 2 5\nab", &[1]);
    // Whatever else is said is heard when the calls before it have begun.
    check(default, "A 1 0\n>1 cancel\nB 2 0\n", &[1]);
    check(default, "A 1 0\n>9 cancel\nB 2 0\n", &[1]);
    check(default, "A 1 0\nPLAIN\nB 2 0\n", &[1]);
    check(default, "A 1 0\n<0 err 1 failed ran=1\nxB 2 0\n", &[1]);
    check(default, "A 1 0\n<0 ok 0\nB 2 0\n", &[1]);
    // So is what will be refused, or breaks the protocol.
    check(default, "A 1 0\nB 1 0\n", &[1]);
    check(default, "A 1 0\nB 2 0 stream=1\nC 3 0\n", &[1]);
    check(default, "A 1 0\nB 2 0 t=0\nC 3 0\n", &[1]);
    check(default, "A 1 0\n\u{7}\nB 2 0\n", &[1]);
    check(|limits| limits.payload_bytes_max = 2, "A 1 2\nxxB 2 3\nxxxC 3 0\n", &[1]);
    // One place is given back by each call that ends at once.
    check(|limits| limits.calls_per_connection_max = 2, "A 1 0\nB 2 0\nC 3 0\n", &[1, 2]);
    check(|limits| limits.calls_per_connection_max = 1, "A 1 0\nB 0 0\n", &[1]);
    // Each may be a mistake, and what is behind one too many does not run.
    check(|limits| limits.consecutive_errors_max = 1, "A 1 0\nB 2 0\nC 3 0\n", &[1, 2]);
    check(|limits| limits.consecutive_errors_max = 0, "A 1 0\nB 2 0\nC 3 0\n", &[1]);
}

#[test]
fn what_waits_is_taken_in_when_the_calls_have_begun() {
    let limits = Limits::default().with(|limits| limits.calls_per_connection_max = 2);
    let sent = "A 1 0\nB 2 0\nC 3 0\n>3 cancel\nA 1 0\nD 4 1\nx";
    let mut reader = Reader::new(&limits, sent);
    for (expected, written) in [(vec![1, 2], "<1 ok 0\n<2 ok 0\n"), (vec![3], "<3 ok 0\n")] {
        let (session, input) = (&mut reader.session, &mut reader.input);
        session.handle_input(input, &mut Lender::roomy(reader.now));
        let mut ids = Vec::new();
        while let Some(Event::Call(call)) = session.poll_event() {
            ids.push(call.id);
            session.handle_more_input(input, &mut Lender::roomy(reader.now));
        }
        assert_eq!(ids.iter().map(|id| id.tag()).collect::<Vec<_>>(), expected);
        for id in ids {
            session.handle_reply(|| reader.now, id, Ok(BytesMut::new()));
        }
        assert_eq!(reader.written(), written);
    }
    // The cancel came too late, and its tag is free again.
    assert_eq!(reader.batch().0, [1, 4]);
    assert_eq!(reader.written(), "");
    assert!(reader.input.is_empty());
}

/// A body for which there is no room beside the calls before it waits, and is refused only if they
/// have made none.
#[test]
fn a_body_without_room_waits_for_those_before_it() {
    let refusal = || Error::new(Code::Overloaded, "no room");
    for (is_room_made, expected) in [(true, ""), (false, "<2 err 7 overloaded\nno room")] {
        let mut reader = Reader::new(&Limits::default(), "A 1 1\naB 2 3\nbbb");
        let Reader { now, session, input } = &mut reader;
        session.handle_input(input, &mut Lender::roomy(*now));
        assert!(matches!(session.poll_event(), Some(Event::Call(_))));
        let full = |holds: Holds| match holds.payload_bytes {
            Some(3) => Err(refusal()),
            _ => Ok(()),
        };
        session.handle_more_input(input, &mut Lender::new(*now, full));
        assert!(session.poll_event().is_none());
        let memory = |holds| if is_room_made { Ok(()) } else { full(holds) };
        session.handle_input(input, &mut Lender::new(*now, memory));
        let call = session.poll_event();
        assert_eq!(matches!(call, Some(Event::Call(call)) if call.payload == "bbb"), is_room_made);
        assert_eq!(reader.written(), expected);
    }
}
