//! Whatever ends a connection, those who call over it learn the true cause.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use switchboard::session::Violation;
use switchboard::transport::{self, MemoryStream};
use switchboard::{Client, Code, Endpoint, Error, Fault, Limits};
use switchboard_testing::hooked::Hooked;

use super::streams::Tricks;
use super::support::*;

/// A call under way, and what may end its connection.
struct Scene {
    client: Client,
    peer: Peer<MemoryStream>,
    tricks: Tricks,
}

impl Scene {
    /// The peer sends this and ends its side.
    async fn ends(&mut self, sent: &str) {
        self.peer.send(sent).await;
        self.peer.finish().await;
    }

    /// Something is written that is no call.
    async fn writes(&mut self, bytes: usize) {
        self.client.notify(ECHO, &"x".repeat(bytes)).await.unwrap();
    }
}

/// How the call under way and one made afterwards end.
struct Ends {
    code: Code,
    fault: Fault,
    is_from_peer: bool,
    text: &'static str,
    later: (Code, &'static str),
}

const fn ends(code: Code, fault: Fault, text: &'static str, later: &'static str) -> Ends {
    Ends { code, fault, is_from_peer: false, text, later: (Code::Disconnected, later) }
}

const fn told(code: Code, fault: Fault, text: &'static str) -> Ends {
    Ends { code, fault, is_from_peer: true, text, later: (code, text) }
}

fn reset() -> io::Result<()> {
    Err(io::ErrorKind::ConnectionReset.into())
}

const LOST: &str = "the connection is closed: connection reset";
const CUT_SHORT: &str = "the stream ended in the middle of a line or a body";
const LATER_CUT_SHORT: &str =
    "the connection is closed: the stream ended in the middle of a line or a body";
const DRAINING: &str = "<0 err 4 shutting_down\nsoon";

#[tokio::test(start_paused = true)]
async fn the_cause_of_an_end_reaches_every_caller() {
    use Code::{DeadlineExceeded, Disconnected, ShuttingDown};
    use Fault::{Callee, Connection};
    let ended = ends(
        Disconnected,
        Connection,
        "the connection was closed before the reply came",
        "the connection is closed: the peer ended its side",
    );
    check("the end", async |scene| scene.ends("").await, ended).await;
    let cut_short = || ends(Disconnected, Connection, CUT_SHORT, LATER_CUT_SHORT);
    check("in a line", async |scene| scene.ends("<1 o").await, cut_short()).await;
    check("in a body", async |scene| scene.ends("<1 ok 9\n\"abc").await, cut_short()).await;
    check("before a body", async |scene| scene.ends("<1 ok 9\n").await, cut_short()).await;
    check("draining", async |scene| scene.ends(&format!("{DRAINING}<1 o")).await, {
        Ends { later: (ShuttingDown, "soon"), ..cut_short() }
    })
    .await;

    let slow = |text, later| ends(DeadlineExceeded, Callee, text, later);
    let text = "a line took longer than line_time_max (2s)";
    let later = "the connection is closed: a line took longer than line_time_max (2s)";
    check("a slow line", async |scene| scene.peer.send("<1 o").await, slow(text, later)).await;
    let text = "a body took longer than body_time_max (3s)";
    let later = "the connection is closed: a body took longer than body_time_max (3s)";
    let body = async |scene: &mut Scene| scene.peer.send("<1 ok 9\nabc").await;
    check("a slow body", body, slow(text, later)).await;
    let text = "nothing was read for write_time_max (4s)";
    let later = "the connection is closed: nothing was read for write_time_max (4s)";
    check("a slow reader", async |scene| scene.writes(1_000_000).await, slow(text, later)).await;

    let lost = || ends(Disconnected, Connection, "the connection was lost: connection reset", LOST);
    let read = async |scene: &mut Scene| {
        scene.tricks.set_reading(reset);
        scene.peer.send("<").await;
    };
    check("a read that fails", read, lost()).await;
    let write = async |scene: &mut Scene| {
        scene.tricks.set_writing(reset);
        scene.writes(1).await;
    };
    check("a write that fails", write, lost()).await;
    let panic = async |scene: &mut Scene| {
        scene.tricks.set_reading(|| panic!("on purpose"));
        scene.peer.send("<").await;
    };
    let text = "the task of the connection panicked";
    let later = "the connection is closed: the task of the connection panicked";
    check("a stream that panics", panic, ends(Disconnected, Connection, text, later)).await;
}

#[tokio::test(start_paused = true)]
async fn what_the_peer_got_wrong_or_said_reaches_every_caller() {
    use Code::{Disconnected, Overloaded, Protocol, ShuttingDown};
    use Fault::{Callee, Caller, Connection};
    let wrong = |text, later| ends(Protocol, Callee, text, later);
    let text = "the peer broke the protocol: a reply to tag 7, which is of no call";
    let later = "the connection is closed: the peer broke the protocol: a reply to tag 7, which is \
                 of no call";
    check("a wrong tag", async |scene| scene.peer.send("<7 ok 0\n").await, wrong(text, later))
        .await;
    let text = "the peer broke the protocol: this is HTTP, not a command";
    let later =
        "the connection is closed: the peer broke the protocol: this is HTTP, not a command";
    let http = async |scene: &mut Scene| scene.peer.send("GET / HTTP/1.1\r\n").await;
    check("another protocol", http, wrong(text, later)).await;
    let text = "behind a plain call of the peer nothing can be read";
    let later = "the connection is closed: behind a plain call of the peer nothing can be read";
    let plain = async |scene: &mut Scene| scene.peer.send("NOPE\n").await;
    check("a plain call", plain, ends(Disconnected, Connection, text, later)).await;

    let oops = "<0 err 4 protocol\noops";
    let protocol = || told(Protocol, Caller, "oops");
    check("a notice", async |scene| scene.ends(oops).await, protocol()).await;
    let in_a_line = async |scene: &mut Scene| scene.ends(&format!("{oops}<1 o")).await;
    check("a notice, then the end in a line", in_a_line, protocol()).await;
    let failing = async |scene: &mut Scene| {
        scene.tricks.set_writing(reset);
        scene.peer.send(oops).await;
        scene.writes(1).await;
    };
    check("a notice, and a write that fails", failing, protocol()).await;
    let farewell = async |scene: &mut Scene| scene.ends(&format!("{DRAINING}<0 ok 0\n")).await;
    check("a farewell", farewell, told(ShuttingDown, Callee, "soon")).await;
    let full = async |scene: &mut Scene| scene.ends("<0 err 4 overloaded\nfull<0 ok 0\n").await;
    check("turned away", full, told(Overloaded, Callee, "full")).await;
}

/// What ends the connection of a call under way like this ends it so.
async fn check(what: &str, end: impl AsyncFnOnce(&mut Scene), expected: Ends) {
    let (here, there) = transport::memory();
    let tricks = Tricks::default();
    let limits = Limits::default().with(|limits| {
        limits.line_time_max = Duration::from_secs(2);
        limits.body_time_max = Duration::from_secs(3);
        limits.write_time_max = Duration::from_secs(4);
    });
    let stream = Hooked { stream: here, hooks: tricks.clone() };
    let client = Endpoint::new().with_limits(limits).connect_over(stream);
    let call = tokio::spawn(client.call(ECHO, &"a".to_owned()));
    let mut scene = Scene { client, peer: Peer::new(there), tricks };
    scene.peer.expect("ECHO 1 1 f=line\na").await;
    end(&mut scene).await;
    let error = within(call).await.unwrap().unwrap_err();
    let is_like = |error: &Error, code, text: &str| {
        assert_eq!((error.code(), error.text()), (code, text), "{what}");
        assert_eq!(error.is_from_peer(), text == expected.text && expected.is_from_peer, "{what}");
    };
    is_like(&error, expected.code, expected.text);
    assert_eq!((error.fault(), error.was_sent()), (expected.fault, true), "{what}");
    let is_refused = matches!(error.code(), Code::ShuttingDown | Code::Overloaded);
    assert_eq!(error.is_safe_to_retry(), is_refused, "{what}");
    within(scene.client.closed()).await;
    let (code, text) = expected.later;
    for _ in 0..2 {
        let error = within(scene.client.call(ECHO, &String::new())).await.unwrap_err();
        assert_eq!((error.code(), error.text(), error.was_sent()), (code, text, false), "{what}");
        assert!(error.is_safe_to_retry(), "{what}");
        let error = within(scene.client.notify(ECHO, &String::new())).await.unwrap_err();
        assert_eq!((error.code(), error.text(), error.was_sent()), (code, text, false), "{what}");
    }
}

/// Each of several callers is given the error of the stream, whole.
#[tokio::test(start_paused = true)]
async fn the_error_of_a_stream_is_the_source() {
    for is_read in [true, false] {
        let (here, there) = transport::memory();
        let tricks = Tricks::default();
        let client = Endpoint::new().connect_over(Hooked { stream: here, hooks: tricks.clone() });
        let calls = [0; 3].map(|_| tokio::spawn(client.call(ECHO, &"a".to_owned())));
        let mut peer = Peer::new(there);
        for tag in 1..=3 {
            peer.expect(&format!("ECHO {tag} 1 f=line\na")).await;
        }
        // ECONNRESET on Linux.
        let reset = || Err(io::Error::from_raw_os_error(104));
        if is_read {
            tricks.set_reading(reset);
            peer.send("<").await;
        } else {
            tricks.set_writing(reset);
            client.notify(ECHO, &String::new()).await.unwrap();
        }
        let mut errors = Vec::new();
        for call in calls {
            errors.push(within(call).await.unwrap().unwrap_err());
        }
        errors.push(client.call(ECHO, &String::new()).await.unwrap_err());
        for error in errors {
            let source = error.source().unwrap().downcast_ref::<io::Error>().unwrap();
            assert_eq!(source.raw_os_error(), Some(104));
            assert!(error.text().ends_with(&source.to_string()), "{error}");
        }
    }
    let (client, mut peer) = client_and_peer();
    let call = tokio::spawn(client.call(ECHO, &"a".to_owned()));
    peer.expect("ECHO 1 1 f=line\na").await;
    peer.send("<7 ok 0\n").await;
    let error = within(call).await.unwrap().unwrap_err();
    let source = error.source().unwrap().downcast_ref();
    assert_eq!(source, Some(&Violation::UnknownTag(7)));
}

/// A write that fails may be how one learns that the peer has gone, behind a last reply.
#[tokio::test(start_paused = true)]
async fn a_reply_that_has_come_is_not_lost_to_a_write_that_fails() {
    let (here, there) = transport::memory();
    let tricks = Tricks::default();
    let client = Endpoint::new().connect_over(Hooked { stream: here, hooks: tricks.clone() });
    let calls = [0; 2].map(|_| tokio::spawn(client.call(ECHO, &"a".to_owned())));
    let mut peer = Peer::new(there);
    peer.expect("ECHO 1 1 f=line\na").await;
    peer.expect("ECHO 2 1 f=line\na").await;
    tricks.set_writing(|| Err(io::ErrorKind::BrokenPipe.into()));
    peer.send("<1 ok 1\nb").await;
    client.notify(ECHO, &String::new()).await.unwrap();
    let [first, second] = calls;
    assert_eq!(within(first).await.unwrap().unwrap(), "b");
    let error = within(second).await.unwrap().unwrap_err();
    assert_eq!(error.text(), "the connection was lost: broken pipe");
    within(client.closed()).await;
}

/// The runtime that moves a connection may go before its callers do.
#[test]
fn a_connection_whose_task_is_stopped_says_so() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (theirs, ours) = (runtime(), runtime());
    let (here, there) = transport::memory();
    let client = theirs.block_on(async { Endpoint::new().connect_over(here) });
    let mut call = Box::pin(client.call(ECHO, &"a".to_owned()));
    let is_waiting = theirs.block_on(async {
        let is_waiting = futures_poll_once(&mut call).await;
        settle().await;
        is_waiting
    });
    assert!(is_waiting);
    drop(theirs);
    let error = ours.block_on(within(call)).unwrap_err();
    let text = "the task of the connection was stopped";
    assert_eq!((error.code(), error.text(), error.was_sent()), (Code::Disconnected, text, true));
    let error = ours.block_on(client.call(ECHO, &String::new())).unwrap_err();
    assert_eq!(error.text(), format!("the connection is closed: {text}"));
    drop(there);
}

/// Polls once; whether it is not ready.
async fn futures_poll_once<F: Future + Unpin>(future: &mut F) -> bool {
    std::future::poll_fn(|cx| {
        std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx).is_pending())
    })
    .await
}

/// What this side ends by itself it says of itself.
#[tokio::test(start_paused = true)]
async fn a_call_that_outlives_the_closing_is_told_so() {
    let (client, mut peer) = client_and_peer();
    let call = tokio::spawn(client.call(ECHO, &"a".to_owned()));
    peer.expect("ECHO 1 1 f=line\na").await;
    let other = client.clone();
    tokio::spawn(client.close());
    let error = within(call).await.unwrap().unwrap_err();
    let text = "no reply came within drain_time_max (10s) of closing";
    assert_eq!((error.code(), error.text(), error.was_sent()), (Code::Cancelled, text, true));
    drop(peer);
    within(other.closed()).await;
    let error = other.call(ECHO, &String::new()).await.unwrap_err();
    assert_eq!(error.text(), "the connection is closed: this side closed it");
}
