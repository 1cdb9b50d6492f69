//! Streamed calls: credit, ends, and everything that breaks them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use switchboard::session::{CallId, Item, Misuse, StreamId, Violation};
use switchboard::wire::{Options, Tag};
use switchboard::{Code, Error, Facts, Limits};
use switchboard_testing::SECOND;
use switchboard_testing::pair::{CLIENT, GREET, Pair, Peer, SERVER, feed};
use switchboard_testing::random::rounds;

const BOTH: Facts = facts(true, true);

/// What a stream costs whose reply is kept, beside it.
const KEPT_COST_BYTES: usize = 512;

const fn facts(has_request_items: bool, has_reply_items: bool) -> Facts {
    switchboard::Command::<(), (), ()>::new("GREET")
        .facts()
        .streamed(has_request_items, has_reply_items)
}

fn limits() -> Limits {
    Limits::default()
}

/// Two ends; every command of the server's has these facts.
fn pair(limits: &Limits, facts: Facts) -> Pair {
    let mut pair = Pair::new(limits);
    pair.peers[SERVER].facts = Some(facts);
    pair
}

/// The server alone.
fn alone(facts: Facts) -> Pair {
    let mut pair = Pair::alone(&limits());
    pair.peers[SERVER].facts = Some(facts);
    pair
}

fn item(text: &str) -> Item {
    Item::new(Bytes::copy_from_slice(text.as_bytes()))
}

/// Sends an item; whether there was room.
fn send(peer: &mut Peer, id: StreamId, text: &str) -> bool {
    let has_room = matches!(peer.session.poll_item_room(id, false, &mut None), Poll::Ready(Ok(())));
    if has_room {
        peer.session.send_item(peer.now, id, item(text));
    }
    has_room
}

/// The next item: `None` if there is none yet, `Some(None)` behind the last.
fn take(peer: &mut Peer, id: StreamId) -> Option<Option<String>> {
    match peer.session.poll_item(id, false, &mut None) {
        Poll::Ready(Ok(item)) => {
            Some(item.map(|item| String::from_utf8(item.payload.to_vec()).unwrap()))
        }
        Poll::Ready(Err(error)) => {
            assert_eq!(error.code(), Code::Cancelled);
            Some(Some(OVER.to_owned()))
        }
        Poll::Pending => None,
    }
}

/// In the place of an item: the call is over, and there was no last one.
const OVER: &str = "(over)";

/// All items that are there.
fn take_all(peer: &mut Peer, id: StreamId) -> Vec<String> {
    let items = std::iter::from_fn(|| take(peer, id).flatten());
    items.take_while(|item| item != OVER).collect()
}

/// This call of the client's.
fn made(pair: &Pair, tag: Tag) -> StreamId {
    pair.peers[CLIENT].session.stream_of(tag).unwrap()
}

fn text(text: &str) -> Option<Option<String>> {
    Some(Some(text.to_owned()))
}

/// Calls the server; answers the call at both ends.
fn open(pair: &mut Pair, has_items: bool, credit: Option<u32>) -> (Tag, CallId) {
    let options = Options::default().streamed(has_items, credit);
    let tag = pair.try_call(CLIENT, "hi", options, 1000 * SECOND).unwrap();
    pair.drive();
    (tag, pair.peers[SERVER].calls.pop_front().unwrap().id)
}

#[test]
fn items_go_both_ways_and_the_final_reply_ends_both() {
    let mut pair = pair(&limits(), BOTH);
    let (tag, id) = open(&mut pair, true, Some(1000));
    let (made, taken) = (made(&pair, tag), StreamId::from(id));
    pair.peers[SERVER].session.open(taken, Some(7));
    assert!(send(&mut pair.peers[CLIENT], made, "ada"));
    assert!(send(&mut pair.peers[SERVER], taken, "one"));
    assert!(send(&mut pair.peers[SERVER], taken, ""));
    pair.peers[CLIENT].session.end_items(made);
    pair.drive();
    assert_eq!(take(&mut pair.peers[SERVER], taken), text("ada"));
    assert_eq!(take(&mut pair.peers[SERVER], taken), Some(None));
    pair.peers[SERVER].answer(id, Ok("done"));
    pair.drive();
    assert_eq!(take_all(&mut pair.peers[CLIENT], made), ["one", ""]);
    assert_eq!(take(&mut pair.peers[CLIENT], made), Some(None));
    assert_eq!(pair.peers[CLIENT].reply(tag).unwrap().unwrap(), "done");
    assert_eq!(
        pair.peers[CLIENT].take_sent(),
        "GREET 1 2 stream=1 credit=1000\nhi>1 item 3\nada>1 end\n"
    );
    assert_eq!(
        pair.peers[SERVER].take_sent(),
        "<1 open n=7\n<1 item 3\none<1 item 0\n<1 ok 4\ndone"
    );
    assert_eq!(pair.peers[CLIENT].session.held_bytes(), 0);
    assert_eq!(pair.peers[SERVER].session.held_bytes(), 0);
}

#[test]
fn a_half_waits_for_credit_and_nothing_else_does() {
    let mut pair = pair(&limits(), facts(false, true));
    let (tag, id) = open(&mut pair, false, Some(200));
    let (made, taken) = (made(&pair, tag), StreamId::from(id));
    let ten = "0123456789";
    // Each costs 74, and the third begins above 0.
    for _ in 0..5 {
        assert!(send(&mut pair.peers[SERVER], taken, ten));
    }
    pair.drive();
    assert_eq!(pair.peers[SERVER].take_sent(), format!("<1 item 10\n{ten}").repeat(3));
    // The final reply, too, waits for the items before it. Other calls do not.
    pair.peers[SERVER].answer(id, Ok("done"));
    pair.peers[SERVER].facts = None;
    let other = pair.call(CLIENT, "x", SECOND);
    pair.drive();
    pair.peers[SERVER].echo();
    pair.drive();
    assert_eq!(pair.peers[SERVER].take_sent(), "<2 ok 1\nx");
    assert_eq!(pair.peers[CLIENT].reply(other).unwrap().unwrap(), "x");

    pair.peers[CLIENT].take_sent();
    assert_eq!(take(&mut pair.peers[CLIENT], made), text(ten));
    pair.drive();
    assert_eq!(pair.peers[CLIENT].take_sent(), "", "74 are less than half of 200");
    assert_eq!(take(&mut pair.peers[CLIENT], made), text(ten));
    pair.drive();
    assert_eq!(pair.peers[CLIENT].take_sent(), ">1 credit 148\n");
    let sent = pair.peers[SERVER].take_sent();
    assert_eq!(sent, format!("<1 item 10\n{ten}").repeat(2) + "<1 ok 4\ndone");
    assert_eq!(take_all(&mut pair.peers[CLIENT], made).len(), 3);
    assert_eq!(pair.peers[CLIENT].reply(tag).unwrap().unwrap(), "done");
}

#[test]
fn an_error_comes_behind_the_items_before_it() {
    let mut pair = pair(&limits(), facts(false, true));
    let (tag, id) = open(&mut pair, false, Some(1));
    let (made, taken) = (made(&pair, tag), StreamId::from(id));
    assert!(send(&mut pair.peers[SERVER], taken, "one"));
    assert!(send(&mut pair.peers[SERVER], taken, "two"));
    pair.peers[SERVER].answer(id, Err(Error::new(Code::Conflict, "no more")));
    assert!(!send(&mut pair.peers[SERVER], taken, "three"), "it has ended");
    pair.drive();
    assert_eq!(take(&mut pair.peers[CLIENT], made), text("one"));
    pair.drive();
    assert_eq!(take(&mut pair.peers[CLIENT], made), text("two"));
    assert_eq!(take(&mut pair.peers[CLIENT], made), Some(None));
    let error = pair.peers[CLIENT].reply(tag).unwrap().unwrap_err();
    assert_eq!((error.code(), error.text()), (Code::Conflict, "no more"));
}

#[test]
fn a_call_that_is_given_up_stops_both_sides_and_what_crosses_it_is_dropped() {
    let mut pair = pair(&limits(), BOTH);
    let (tag, id) = open(&mut pair, true, Some(1));
    let (made, taken) = (made(&pair, tag), StreamId::from(id));
    for _ in 0..3 {
        assert!(send(&mut pair.peers[SERVER], taken, "x"));
        assert!(send(&mut pair.peers[CLIENT], made, "y"));
    }
    pair.peers[CLIENT].session.cancel(tag);
    assert!(!send(&mut pair.peers[CLIENT], made, "y"));
    assert_eq!(take(&mut pair.peers[CLIENT], made), text(OVER));
    pair.drive();
    assert_eq!(pair.peers[SERVER].stops, [id]);
    assert!(!send(&mut pair.peers[SERVER], taken, "x"));
    assert_eq!(take(&mut pair.peers[SERVER], taken), text(OVER));
    assert!(
        pair.peers[SERVER].take_sent().ends_with("<1 err 20 cancelled ran=1\nthe caller cancelled")
    );
    for end in [CLIENT, SERVER] {
        assert!(pair.peers[end].violations.is_empty(), "{:?}", pair.peers[end].violations);
        assert_eq!(pair.peers[end].session.held_bytes(), 0);
    }
    // Its place is free when its handler has ended.
    pair.peers[SERVER].answer(id, Ok(""));
    assert!(pair.peers[SERVER].session.is_at_rest());
}

/// Whoever asks for the reply first would lose what came before it.
#[test]
fn the_final_reply_is_given_out_behind_all_items() {
    let mut pair = pair(&limits(), BOTH);
    let (tag, id) = open(&mut pair, true, Some(1000));
    let made = made(&pair, tag);
    for text in ["one", "two"] {
        assert!(send(&mut pair.peers[SERVER], StreamId::from(id), text));
    }
    pair.peers[SERVER].answer(id, Ok("done"));
    pair.drive();
    let woken = Arc::new(Woken::default());
    let mut waker = Some(Waker::from(Arc::clone(&woken)));
    let session = &mut pair.peers[CLIENT].session;
    assert!(session.poll_reply(tag, &mut waker).is_pending());
    assert_eq!(take(&mut pair.peers[CLIENT], made), text("one"));
    assert!(pair.peers[CLIENT].session.wakers().is_empty());
    assert_eq!(take(&mut pair.peers[CLIENT], made), text("two"));
    pair.peers[CLIENT].session.wakers().take_due().into_iter().for_each(Waker::wake);
    assert!(woken.0.load(Ordering::Relaxed), "nobody waits for the reply any more");
    assert_eq!(pair.peers[CLIENT].reply(tag).unwrap().unwrap(), "done");

    // Given up, it takes them along.
    let (tag, id) = open(&mut pair, true, Some(1000));
    assert!(send(&mut pair.peers[SERVER], StreamId::from(id), "one"));
    pair.peers[SERVER].answer(id, Ok("done"));
    pair.drive();
    pair.peers[CLIENT].session.cancel(tag);
    assert_eq!(pair.peers[CLIENT].session.held_bytes(), 0);
}

/// Another task may hold the other half of the call.
#[test]
fn whoever_waits_for_room_learns_that_the_items_have_been_ended() {
    let ends: [fn(&mut Pair, Tag, CallId); 2] = [
        |pair, tag, _| {
            let id = made(pair, tag);
            pair.peers[CLIENT].session.end_items(id);
        },
        |pair, _, id| pair.peers[SERVER].answer(id, Ok("")),
    ];
    for (end, end_items) in ends.into_iter().enumerate() {
        let mut pair = pair(&limits(), BOTH);
        let (tag, id) = open(&mut pair, true, Some(1));
        let id_of = [made(&pair, tag), id.into()][end];
        while send(&mut pair.peers[end], id_of, &"x".repeat(16_384)) {}
        let woken = Arc::new(Woken::default());
        let mut waker = Some(Waker::from(Arc::clone(&woken)));
        assert!(pair.peers[end].session.poll_item_room(id_of, false, &mut waker).is_pending());
        end_items(&mut pair, tag, id);
        pair.peers[end].session.wakers().take_due().into_iter().for_each(Waker::wake);
        assert!(woken.0.load(Ordering::Relaxed), "{end}");
        let room = pair.peers[end].session.poll_item_room(id_of, false, &mut None);
        assert!(matches!(room, Poll::Ready(Err(_))), "{room:?}");
    }
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn an_item_whose_call_is_given_up_in_the_middle_of_it_is_dropped() {
    let mut pair = pair(&limits(), BOTH);
    let (tag, _) = open(&mut pair, true, Some(1000));
    let made = made(&pair, tag);
    pair.inject(CLIENT, format!("<{tag} item 4\nab").as_bytes());
    pair.peers[CLIENT].session.cancel(tag);
    assert_eq!(take(&mut pair.peers[CLIENT], made), text(OVER));
    pair.inject(CLIENT, b"cd");
    assert_eq!(take(&mut pair.peers[CLIENT], made), text(OVER));
    assert_eq!(
        pair.peers[CLIENT].session.held_bytes(),
        pair.peers[CLIENT].session.unwritten_bytes()
    );
}

#[test]
fn streams_take_turns() {
    let mut pair = pair(&limits(), facts(false, true));
    let calls: Vec<_> = (0..3).map(|_| open(&mut pair, false, Some(100_000))).collect();
    for (_, id) in &calls {
        assert!(send(&mut pair.peers[SERVER], (*id).into(), "a"));
        assert!(send(&mut pair.peers[SERVER], (*id).into(), "b"));
    }
    pair.drive();
    let turn = |letter: char| {
        calls.iter().map(|(tag, _)| format!("<{tag} item 1\n{letter}")).collect::<String>()
    };
    assert_eq!(pair.peers[SERVER].take_sent(), turn('a') + &turn('b'));
}

#[test]
fn credit_that_does_not_come_ends_the_call_in_time() {
    let limits = limits().with(|limits| limits.stall_time_max = 5 * SECOND);
    let error = "no credit was granted for items within stall_time_max (5s)";
    let mut streams = pair(&limits, BOTH);
    let (tag, id) = open(&mut streams, true, Some(1));
    let taken = StreamId::from(id);
    // No item waits: nothing is due.
    streams.advance(100 * SECOND);
    for _ in 0..2 {
        assert!(send(&mut streams.peers[SERVER], taken, "x"));
    }
    streams.advance(4 * SECOND);
    assert!(streams.peers[CLIENT].reply(tag).is_none());
    streams.advance(SECOND);
    let stream = made(&streams, tag);
    assert_eq!(take_all(&mut streams.peers[CLIENT], stream), ["x"]);
    let told = streams.peers[CLIENT].reply(tag).unwrap().unwrap_err();
    assert_eq!((told.code(), told.text()), (Code::DeadlineExceeded, error));
    assert_eq!(streams.peers[SERVER].stops, [id]);

    // The same for the items of a request.
    let mut streams = pair(&limits, BOTH);
    let (tag, id) = open(&mut streams, true, Some(1));
    let large = "x".repeat(16_384);
    for _ in 0..2 {
        let id = made(&streams, tag);
        assert!(send(&mut streams.peers[CLIENT], id, &large));
        streams.drive();
    }
    streams.advance(5 * SECOND);
    let told = streams.peers[CLIENT].reply(tag).unwrap().unwrap_err();
    assert_eq!(
        (told.code(), told.text(), told.is_from_peer()),
        (Code::DeadlineExceeded, error, false)
    );
    assert_eq!(streams.peers[SERVER].stops, [id]);
}

#[test]
fn a_stream_lasts_as_long_as_its_caller_says() {
    let mut pair = alone(facts(false, true));
    pair.inject(SERVER, b"GREET 1 0 credit=1\nGREET 2 0 credit=1 t=90000\n");
    pair.advance(89 * SECOND);
    assert_eq!(pair.peers[SERVER].stops, []);
    pair.advance(SECOND);
    let [stopped] = pair.peers[SERVER].stops[..] else { panic!() };
    assert_eq!(stopped.tag(), 2);
    let told = "<2 err 34 deadline_exceeded ran=1\nthe handler did not answer in time";
    assert_eq!(pair.peers[SERVER].take_sent(), told);
}

#[test]
fn a_call_that_is_not_what_its_command_is_is_refused() {
    let check = |facts: Facts, options: &str, text: &str| {
        let mut pair = alone(facts);
        pair.inject(SERVER, format!("GREET 1 0{options}\n").as_bytes());
        let told = format!("<1 err {} unsupported_format\n{text}", text.len());
        assert_eq!(pair.peers[SERVER].take_sent(), told, "{options}");
        assert!(pair.peers[SERVER].calls.is_empty());
        // Without a tag nobody is told, and nothing runs.
        let mut pair = alone(facts);
        pair.inject(SERVER, format!("GREET 0 0{options}\n").as_bytes());
        assert_eq!(pair.peers[SERVER].take_sent(), "");
        assert!(pair.peers[SERVER].calls.is_empty());
    };
    check(facts(false, false), " stream=1", "this command takes no stream");
    check(facts(false, false), " credit=9", "this command answers with one value");
    check(facts(false, true), " stream=1 credit=9", "this command takes no stream");
    check(facts(true, false), " stream=1 credit=9", "this command answers with one value");
    check(facts(true, false), "", "this command takes a stream: call it with stream=1");
    let credit = "this command answers with a stream: call it with credit=";
    check(facts(false, true), "", credit);
    check(facts(true, true), " stream=1", credit);

    let mut pair = alone(BOTH);
    pair.inject(SERVER, b"GREET 0 0 stream=1 credit=1\n");
    assert!(pair.peers[SERVER].calls.is_empty() && pair.peers[SERVER].sent.is_empty());
}

#[test]
fn streams_have_places_of_their_own() {
    let limits = limits().with(|limits| {
        limits.calls_per_connection_max = 1;
        limits.streams_per_connection_max = 1;
    });
    let mut pair = pair(&limits, facts(false, true));
    let (tag, id) = open(&mut pair, false, Some(1));
    let options = Options::default().streamed(false, Some(1));
    let error = pair.try_call(CLIENT, "", options.clone(), SECOND).unwrap_err();
    let text = "streams_per_connection_max (1) are open";
    assert_eq!((error.code(), error.text()), (Code::Overloaded, text));
    // A call has another place.
    pair.peers[SERVER].facts = None;
    let call = pair.call(CLIENT, "x", SECOND);
    pair.drive();
    pair.peers[SERVER].echo();
    pair.drive();
    assert_eq!(pair.peers[CLIENT].reply(call).unwrap().unwrap(), "x");
    // One that was given up has its place until its handler has ended.
    pair.peers[SERVER].facts = Some(facts(false, true));
    pair.peers[CLIENT].session.cancel(tag);
    pair.drive();
    let second = pair.try_call(CLIENT, "", options.clone(), SECOND).unwrap();
    pair.drive();
    let error = pair.peers[CLIENT].reply(second).unwrap().unwrap_err();
    assert_eq!((error.code(), error.text()), (Code::Overloaded, text));
    pair.peers[SERVER].answer(id, Ok(""));
    pair.try_call(CLIENT, "", options, SECOND).unwrap();
    pair.drive();
    assert_eq!(pair.peers[SERVER].calls.len(), 1);
    // A caller that does not keep to it is told.
    let mut pair = Pair::alone(&limits);
    pair.peers[SERVER].facts = Some(facts(false, true));
    pair.inject(SERVER, b"GREET 1 0 credit=1\nGREET 2 0 credit=1\n");
    let told = format!("<2 err {} overloaded\n{text}", text.len());
    assert_eq!(pair.peers[SERVER].take_sent(), told);
}

#[test]
fn what_a_stream_cannot_have_breaks_the_protocol() {
    fn check(facts: Facts, sent: &str, violation: Violation) {
        let mut pair = alone(facts);
        pair.inject(SERVER, sent.as_bytes());
        assert_eq!(pair.peers[SERVER].violations, [violation], "{sent:?}");
    }
    let misuse = |misuse| Violation::Stream(1, misuse);
    let begin = "GREET 1 0 stream=1 credit=1\n";
    let long = "x".repeat(16_384);
    check(BOTH, &format!("{begin}>1 end\n>1 item 0\n"), misuse(Misuse::Ended));
    check(BOTH, &format!("{begin}>1 end\n>1 end\n"), misuse(Misuse::Ended));
    check(BOTH, &format!("{begin}>1 item 16384\n{long}>1 item 0\n"), misuse(Misuse::Ungranted));
    check(BOTH, &format!("{begin}>1 credit 4294967295\n"), misuse(Misuse::Overflow));
    let step = ">1 credit 2147483647\n";
    check(BOTH, &format!("{begin}{step}{step}>1 credit 1\n"), misuse(Misuse::Overflow));
    check(BOTH, &format!("{begin}STRING\n"), Violation::PlainBehindStream);
    let begin = "GREET 1 0 credit=1\n";
    check(facts(false, true), &format!("{begin}>1 item 0\n"), misuse(Misuse::NoHalf));
    check(facts(false, true), &format!("{begin}>1 end\n"), misuse(Misuse::NoHalf));
    let begin = "GREET 1 0 stream=1\n";
    check(facts(true, false), &format!("{begin}>1 credit 1\n"), misuse(Misuse::NoHalf));
    check(facts(false, false), "GREET 1 0\n>1 item 0\n", Violation::NotAStream(1));

    // What a callee says.
    fn check_reply(options: &Options, sent: &str, violation: Violation) {
        let mut pair = Pair::new(&limits());
        pair.peers[SERVER].facts = Some(BOTH);
        pair.try_call(CLIENT, "", options.clone(), SECOND).unwrap();
        pair.inject(CLIENT, sent.as_bytes());
        assert_eq!(pair.peers[CLIENT].violations, [violation], "{sent:?}");
    }
    let both = Options::default().streamed(true, Some(1));
    check_reply(&both, "<1 open\n<1 open n=1\n", misuse(Misuse::OpenTwice));
    check_reply(&both, "<1 item 0\n<1 item 0\n", misuse(Misuse::Ungranted));
    check_reply(&both, "<1 credit 4294967295\n", misuse(Misuse::Overflow));
    let up = Options::default().streamed(true, None);
    check_reply(&up, "<1 item 0\n", misuse(Misuse::NoHalf));
    let down = Options::default().streamed(false, Some(1));
    check_reply(&down, "<1 credit 1\n", misuse(Misuse::NoHalf));
    check_reply(&Options::default(), "<1 item 0\n", Violation::NotAStream(1));
    check_reply(&both, "<2 item 0\n", Violation::UnknownTag(2));
    check_reply(&both, "<2 credit 1\n", Violation::UnknownTag(2));
    check_reply(&both, "<2 open\n", Violation::UnknownTag(2));
    check_reply(&both, "<1 ok 0\n<1 item 0\n", Violation::UnknownTag(1));
    check_reply(&both, "<1 err 0 failed\n<1 credit 1\n", Violation::UnknownTag(1));
}

#[test]
fn what_is_said_of_a_call_that_is_over_is_ignored_with_its_body() {
    let mut pair = alone(BOTH);
    pair.inject(SERVER, b">1 item 3\nabc>1 credit 4294967295\n>1 end\n>1 cancel\n");
    pair.inject(SERVER, b"GREET 1 0 stream=1 credit=1\n");
    let id = pair.peers[SERVER].calls.pop_front().unwrap().id;
    pair.peers[SERVER].answer(id, Ok(""));
    pair.inject(SERVER, b">1 item 3\nabc>1 end\n>1 end\n");
    assert_eq!(pair.peers[SERVER].take_sent(), "<1 ok 0\n");
    assert!(pair.peers[SERVER].violations.is_empty());
}

#[test]
fn an_item_that_is_too_large_ends_its_stream_and_no_other() {
    let limits = limits().with(|limits| limits.item_bytes_max = 3);
    let text = "an item of 4 bytes is over item_bytes_max (3)";
    let mut streams = Pair::alone(&limits);
    streams.peers[SERVER].facts = Some(BOTH);
    streams.inject(SERVER, b"GREET 1 0 stream=1 credit=1\nGREET 2 0 stream=1 credit=1\n");
    streams.inject(SERVER, b">1 item 3\nabc>1 item 4\nabcd>2 item 3\nxyz");
    let told = format!("<1 err {} too_large ran=1\n{text}", text.len());
    assert_eq!(streams.peers[SERVER].take_sent(), told);
    let [first, second] = [0, 1].map(|call: usize| streams.peers[SERVER].calls[call].id);
    assert_eq!(streams.peers[SERVER].stops, [first]);
    assert_eq!(take_all(&mut streams.peers[SERVER], second.into()), ["xyz"]);

    let mut streams = Pair::new(&limits);
    streams.peers[SERVER].facts = Some(BOTH);
    let (tag, id) = open(&mut streams, true, Some(100));
    streams.inject(CLIENT, format!("<{tag} item 4\nabcd").as_bytes());
    let error = streams.peers[CLIENT].reply(tag).unwrap().unwrap_err();
    assert_eq!((error.code(), error.text()), (Code::TooLarge, text));
    assert_eq!(streams.peers[SERVER].stops, [id]);
}

#[test]
fn when_the_connection_is_lost_what_has_come_can_still_be_taken() {
    let mut pair = pair(&limits(), BOTH);
    let (tag, id) = open(&mut pair, true, Some(1000));
    let (made, taken) = (made(&pair, tag), StreamId::from(id));
    assert!(send(&mut pair.peers[SERVER], taken, "one"));
    pair.drive();
    pair.lose();
    assert_eq!(take(&mut pair.peers[CLIENT], made), text("one"));
    assert_eq!(take(&mut pair.peers[CLIENT], made), Some(None));
    assert_eq!(pair.peers[CLIENT].reply(tag).unwrap().unwrap_err().code(), Code::Disconnected);
    assert!(!send(&mut pair.peers[CLIENT], made, "x"));
    assert_eq!(pair.peers[SERVER].stops, [id]);
    assert!(!send(&mut pair.peers[SERVER], taken, "x"));
    assert_eq!(take(&mut pair.peers[SERVER], taken), text(OVER));
    assert_eq!(GREET.as_str(), "GREET");
}

/// While the body of an item comes, what was granted for it is not granted once more.
#[test]
fn an_item_on_its_way_counts_against_the_window() {
    let mut pair = pair(&limits(), BOTH);
    let (tag, _) = open(&mut pair, true, Some(1000));
    let made = made(&pair, tag);
    let begun = format!("<{tag} item 500\n{}<{tag} item 500\nx", "x".repeat(500));
    pair.peers[CLIENT].take_sent();
    pair.inject(CLIENT, begun.as_bytes());
    assert!(take(&mut pair.peers[CLIENT], made).flatten().is_some());
    pair.drive();
    // Not 1128.
    assert_eq!(pair.peers[CLIENT].take_sent(), ">1 credit 564\n");
}

/// What its handler has taken shows that it goes on.
#[test]
fn the_window_of_a_request_grows_with_its_first_credit() {
    let mut pair = alone(facts(true, false));
    let item = format!(">1 item 8128\n{}", "x".repeat(8128));
    pair.inject(SERVER, format!("GREET 1 0 stream=1\n{item}").as_bytes());
    let taken = StreamId::from(pair.peers[SERVER].calls.pop_front().unwrap().id);
    assert!(take(&mut pair.peers[SERVER], taken).flatten().is_some());
    pair.drive();
    // 16,384 less the half of it that was used, and that half and 49,152 more.
    assert_eq!(pair.peers[SERVER].take_sent(), "<1 credit 57344\n");
    let items = ">1 item 32704\n".to_owned() + &"x".repeat(32_704);
    pair.inject(SERVER, items.as_bytes());
    assert!(take(&mut pair.peers[SERVER], taken).flatten().is_some());
    pair.drive();
    assert_eq!(pair.peers[SERVER].take_sent(), "<1 credit 32768\n");
}

#[test]
fn a_request_that_is_cut_off_ends_its_call() {
    let mut pair = alone(BOTH);
    pair.inject(SERVER, b"GREET 1 0 stream=1 credit=1\n>1 item 0\n");
    pair.inject(SERVER, b"GREET 2 0 stream=1 credit=1\n>2 item 3\nabc>2 end\n");
    let [first, second] = [0, 1].map(|call: usize| pair.peers[SERVER].calls[call].id);
    pair.cut(SERVER);
    let text = "the caller ended its side before the end of its request";
    let told = format!("<1 err {} cancelled ran=1\n{text}", text.len());
    assert_eq!(pair.peers[SERVER].take_sent(), told);
    assert_eq!(pair.peers[SERVER].stops, [first]);
    assert_eq!(take(&mut pair.peers[SERVER], first.into()), Some(Some(OVER.to_owned())));
    // The other one is whole.
    assert_eq!(take_all(&mut pair.peers[SERVER], StreamId::from(second)), ["abc"]);
    pair.peers[SERVER].answer(first, Ok(""));
    pair.peers[SERVER].answer(second, Ok("done"));
    pair.drive();
    assert_eq!(pair.peers[SERVER].take_sent(), "<2 ok 4\ndone");
    assert!(pair.peers[SERVER].is_over());
}

#[test]
fn who_has_left_is_sent_what_was_granted_and_no_more() {
    let mut pair = alone(facts(false, true));
    pair.inject(SERVER, b"GREET 1 0 credit=1\nGREET 2 0 credit=1\n");
    let [first, second] = [0, 1].map(|call: usize| pair.peers[SERVER].calls[call].id);
    pair.cut(SERVER);
    for id in [first, second] {
        assert!(send(&mut pair.peers[SERVER], StreamId::from(id), "x"));
    }
    pair.peers[SERVER].answer(first, Ok("done"));
    pair.drive();
    assert_eq!(pair.peers[SERVER].take_sent(), "<1 item 1\nx<1 ok 4\ndone<2 item 1\nx");
    assert!(send(&mut pair.peers[SERVER], StreamId::from(second), "y"));
    pair.advance(Duration::ZERO);
    let text = "the caller ended its side, and no credit for items can come";
    let told = format!("<2 err {} cancelled ran=1\n{text}", text.len());
    assert_eq!(pair.peers[SERVER].take_sent(), told);
    assert_eq!(pair.peers[SERVER].stops, [second]);
}

#[test]
fn a_handler_that_has_ended_is_not_told_to_stop() {
    let ends: [fn(&mut Pair, Tag); 3] = [
        |pair, tag| pair.peers[CLIENT].session.cancel(tag),
        |pair, _| pair.lose(),
        |pair, _| pair.inject(SERVER, b"\n"),
    ];
    for end in ends {
        let mut pair = pair(&limits(), BOTH);
        let (tag, id) = open(&mut pair, true, Some(1));
        for _ in 0..2 {
            assert!(send(&mut pair.peers[SERVER], StreamId::from(id), "x"));
        }
        pair.drive();
        // An item waits, and so does the reply.
        pair.peers[SERVER].answer(id, Ok(""));
        end(&mut pair, tag);
        pair.drive();
        assert_eq!(pair.peers[SERVER].stops, []);
        assert!(pair.peers[SERVER].session.is_at_rest());
        assert_eq!(pair.peers[SERVER].session.kept_replies(), 0);
    }
}

/// It holds its reply and has its place until the reply has gone, or it ends before.
#[test]
fn a_stream_whose_handler_has_ended_is_open_until_its_reply_has_gone() {
    let limits = limits().with(|limits| limits.streams_per_connection_max = 1);
    let text = "streams_per_connection_max (1) are open";
    let refused = format!("<2 err {} overloaded\n{text}", text.len());
    for end in [">1 credit 1000\n", ">1 cancel\n", "\n"] {
        let mut pair = Pair::alone(&limits);
        pair.peers[SERVER].facts = Some(facts(false, true));
        pair.inject(SERVER, b"GREET 1 0 credit=1\n");
        let id = pair.peers[SERVER].calls.pop_front().unwrap().id;
        for _ in 0..2 {
            assert!(send(&mut pair.peers[SERVER], StreamId::from(id), "x"));
        }
        pair.drive();
        for _ in 0..2 {
            assert!(pair.peers[SERVER].session.end_reply_items(id), "an item is still to go");
        }
        pair.peers[SERVER].answer(id, Ok("done"));
        assert_eq!(pair.peers[SERVER].session.kept_replies(), 1);
        assert_eq!(pair.peers[SERVER].session.held_bytes(), 64 + 1 + KEPT_COST_BYTES + 4);
        pair.inject(SERVER, b"GREET 2 0 credit=1\n");
        pair.drive();
        assert!(pair.peers[SERVER].take_sent().ends_with(&refused), "{end}");
        assert!(!pair.peers[SERVER].session.is_at_rest());
        pair.inject(SERVER, end.as_bytes());
        pair.drive();
        let told = pair.peers[SERVER].take_sent();
        assert_eq!(told.contains("<1 item 1\nx<1 ok 4\ndone"), end.contains("credit"), "{told}");
        let session = &pair.peers[SERVER].session;
        assert_eq!((session.kept_replies(), session.held_bytes()), (0, 0), "{end}");
        assert!(session.is_at_rest() && !pair.peers[SERVER].session.end_reply_items(id));
    }
}

/// The reply waits for credit that its caller gives when it has sent its request: neither waits for
/// the other.
#[test]
fn a_handler_that_ends_early_does_not_hold_up_its_caller() {
    let mut pair = pair(&limits(), BOTH);
    let (tag, id) = open(&mut pair, true, Some(1));
    let (made, taken) = (made(&pair, tag), StreamId::from(id));
    for text in ["one", "two"] {
        assert!(send(&mut pair.peers[SERVER], taken, text));
    }
    pair.peers[SERVER].answer(id, Ok("done"));
    // Whoever still has the other half knows that it is no end.
    assert_eq!(take(&mut pair.peers[SERVER], taken), text(OVER));
    for _ in 0..100 {
        assert!(send(&mut pair.peers[CLIENT], made, &"x".repeat(4000)));
        pair.drive();
    }
    pair.peers[CLIENT].session.end_items(made);
    pair.drive();
    assert_eq!(pair.peers[SERVER].session.held_bytes(), 64 + 3 + KEPT_COST_BYTES + 4);
    pair.advance(30 * SECOND);
    assert_eq!(take(&mut pair.peers[CLIENT], made), text("one"));
    pair.drive();
    assert_eq!(take_all(&mut pair.peers[CLIENT], made), ["two"]);
    assert_eq!(pair.peers[CLIENT].reply(tag).unwrap().unwrap(), "done");
    assert!(pair.peers.iter().all(|peer| peer.violations.is_empty()));
}

/// Both stream to each other as fast as they can, with next to no room on the way, and both are
/// slow to take: neither stops reading because of items.
#[test]
fn two_peers_that_stream_to_each_other_do_not_lock_up() {
    const ITEMS: usize = 300;
    let limits = limits().with(|limits| limits.unwritten_bytes_max = 1000);
    let mut pair = pair(&limits, BOTH);
    pair.peers[CLIENT].pipe_bytes_max = 100;
    pair.peers[SERVER].pipe_bytes_max = 100;
    let (tag, id) = open(&mut pair, true, Some(16_384));
    let ids = [made(&pair, tag), StreamId::from(id)];
    let text = "x".repeat(1000);
    let (mut sent, mut taken) = ([0; 2], [0; 2]);
    for round in 0.. {
        assert!(round < 10_000, "{sent:?} {taken:?}");
        let mut is_idle = true;
        for end in [CLIENT, SERVER] {
            while sent[end] < ITEMS && send(&mut pair.peers[end], ids[end], &text) {
                sent[end] += 1;
                is_idle = false;
            }
        }
        pair.drive();
        for end in [CLIENT, SERVER] {
            if take(&mut pair.peers[end], ids[end]).flatten().is_some() {
                taken[end] += 1;
                is_idle = false;
            }
            // A window and an item, and what waits to go.
            let held = pair.peers[end].session.held_bytes();
            assert!(held <= 2 * (65_536 + 1064), "{held}");
        }
        if is_idle {
            break;
        }
    }
    assert_eq!((sent, taken), ([ITEMS; 2], [ITEMS; 2]));
}

#[test]
fn empty_items_are_not_free() {
    let mut pair = alone(BOTH);
    pair.inject(SERVER, b"GREET 1 0 stream=1 credit=1\n");
    pair.inject(SERVER, ">1 item 0\n".repeat(16_384 / 64).as_bytes());
    assert!(pair.peers[SERVER].violations.is_empty());
    assert_eq!(pair.peers[SERVER].session.held_bytes(), 16_384);
    pair.inject(SERVER, b">1 item 0\n");
    let violation = Violation::Stream(1, Misuse::Ungranted);
    assert_eq!(pair.peers[SERVER].violations, [violation]);
    let text = "tag 1: an item without credit for it";
    assert_eq!(violation.to_string(), text);
}

/// No more is held than the window, and nothing is left of those that went. A million of them take
/// `SWITCHBOARD_SCALE=10`.
#[test]
fn however_many_empty_items_come_they_take_no_memory() {
    const AT_ONCE: usize = 100;
    let items = ">1 item 0\n".repeat(AT_ONCE);
    let mut pair = alone(BOTH);
    pair.inject(SERVER, b"GREET 1 0 stream=1 credit=1\n");
    let id = StreamId::from(pair.peers[SERVER].calls.pop_front().unwrap().id);
    let (now, session) = (pair.now, &mut pair.peers[SERVER].session);
    let mut most = 0;
    for _ in 0..rounds(1000) {
        // Without a pipe, which would take longer than the session.
        assert!(feed(session, now, &items).is_empty() && !session.has_event());
        most = most.max(session.held_bytes());
        while session.poll_item(id, false, &mut None).is_ready() {}
        let written = session.take_transmit().len();
        session.handle_written(now, written);
    }
    assert!((AT_ONCE * 64..=16_384).contains(&most), "{most}");
    assert_eq!(session.held_bytes(), 0);

    // Of a reader that takes none the sender is told by its credit, and cut off if it goes on.
    let mut pair = alone(BOTH);
    pair.inject(SERVER, b"GREET 1 0 stream=1 credit=1\n");
    pair.inject(SERVER, items.repeat(10_000).as_bytes());
    assert_eq!(pair.peers[SERVER].violations, [Violation::Stream(1, Misuse::Ungranted)]);
    let session = &pair.peers[SERVER].session;
    assert_eq!(session.held_bytes(), session.unwritten_bytes());
}

#[test]
fn a_command_that_cannot_go_on_says_so() {
    let mut pair = alone(facts(false, true));
    pair.inject(SERVER, b"GREET 1 0 credit=1 from=7\n");
    let text = "this command cannot go on from a position";
    let told = format!("<1 err {} invalid\n{text}", text.len());
    assert_eq!(pair.peers[SERVER].take_sent(), told);
}
