//! What may stand on the wire, who is told of what may not, and what of an error crosses it.

use switchboard::session::{Slowness, Violation};
use switchboard::wire::Flaw;
use switchboard::{Code, Error, Limits};
use switchboard_testing::SECOND;
use switchboard_testing::pair::{CLIENT, Pair, SERVER};

#[test]
fn what_a_peer_may_not_say_ends_the_connection() {
    let cases: [(&str, Violation); 18] = [
        ("GREET 1 0\nGREET 1 0\n", Violation::DuplicateTag(1)),
        ("GREET 1 0\nGREET 1 9999999999\n", Violation::DuplicateTag(1)),
        ("GREET 1 0\n>1 item 0\n", Violation::NotAStream(1)),
        ("GREET 1 0\n>1 end\n", Violation::NotAStream(1)),
        ("GREET 1 0\n>1 credit 1\n", Violation::NotAStream(1)),
        ("<1 ok 0\n", Violation::UnknownTag(1)),
        ("<1 err 0 failed ran=1\n", Violation::UnknownTag(1)),
        ("<9 item 0\n", Violation::UnknownTag(9)),
        ("<0 ok 1\n", Violation::UnknownTag(0)),
        ("<0 credit 1\n", Violation::UnknownTag(0)),
        ("<0 item 0\n", Violation::UnknownTag(0)),
        ("<0 open\n", Violation::UnknownTag(0)),
        ("<9 open\n", Violation::UnknownTag(9)),
        ("<9 credit 1\n", Violation::UnknownTag(9)),
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
        let text_len = violation.to_string().len() + 1;
        let expected = if is_foreign || text.starts_with("<1") {
            String::new()
        } else {
            "GREET 1 0\n".to_owned()
        };
        let notice = format!("<0 err {text_len} protocol\n{violation}\n");
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
        (
            Violation::Flaw(Flaw::EmptyLine),
            "an empty line: nothing stands between a body and the next line",
        ),
        (Violation::DuplicateTag(7), "tag 7 is of a call that is not answered yet"),
        (Violation::UnknownTag(7), "a reply to tag 7, which is of no call"),
        (Violation::NotAStream(7), "an item or credit for tag 7, not a stream"),
        (Violation::CutShort, "the stream ended in the middle of a line or a body"),
        (Violation::TooManyErrors(3), "more errors in a row than consecutive_errors_max (3)"),
        (slow(Slowness::Line), "a line took longer than line_time_max (10s)"),
        (slow(Slowness::Body), "a body took longer than body_time_max (10s)"),
        (slow(Slowness::Idle), "nothing was sent for idle_time_max (10s)"),
        (slow(Slowness::Write), "nothing was read for write_time_max (10s)"),
        (slow(Slowness::Ping), "no answer to ?PING came within the keepalive time (10s)"),
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
fn streams_are_refused() {
    let mut pair = Pair::alone(&Limits::default());
    pair.inject(SERVER, b"GREET 1 3 stream=1\nAda>1 item 3\nBob>1 end\n>2 item 0\n>1 credit 9\n");
    let text = "this command takes no stream";
    let expected = format!("<1 err {} unsupported_format\n{text}", text.len());
    assert_eq!(pair.peers[SERVER].take_sent(), expected);
    assert!(pair.peers[SERVER].violations.is_empty() && pair.peers[SERVER].calls.is_empty());
    // A call that is over, and one that never was.
    for tag in [1, 2] {
        let sent =
            format!(">{tag} item 3\n>9 >{tag} end\n>{tag} credit 9\n>{tag} cancel\nGREET 0 0\n");
        pair.inject(SERVER, sent.as_bytes());
        assert!(pair.peers[SERVER].violations.is_empty(), "{sent}");
        pair.peers[SERVER].echo();
    }
    assert_eq!(pair.peers[SERVER].take_sent(), "");
    for part in ["item 0", "open", "credit 9"] {
        let mut pair = Pair::alone(&Limits::default());
        let tag = pair.call(SERVER, "", SECOND);
        pair.inject(SERVER, format!("<{tag} {part}\n").as_bytes());
        assert_eq!(pair.peers[SERVER].violations, [Violation::NotAStream(tag)], "{part}");
    }
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
