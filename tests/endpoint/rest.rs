//! A connection on which nothing happens costs nothing: its task sleeps, whatever it waits for.

use std::io;
use std::task::Poll;

use switchboard::{Command, Endpoint, Limits, transport};
use switchboard_testing::hooked::{Hooked, Hooks};
use tokio::io::AsyncWriteExt;

use super::support::*;

/// Counts how often its stream is touched.
struct Touches(Count);

impl Hooks for Touches {
    fn before_read(&mut self) -> io::Result<()> {
        self.0.add();
        Ok(())
    }

    fn before_write(&mut self) -> Poll<io::Result<usize>> {
        self.0.add();
        Poll::Ready(Ok(usize::MAX))
    }

    fn before_shutdown(&mut self) {
        self.0.add();
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_it_waits_for_a_connection_sleeps() {
    let large = "LETTERS 1 7 f=json\n1000000";
    for sent in [
        "",
        "ECHO 1 1 f=line\na",
        "ECHO",
        "ECHO 1 9 f=line\na",
        "ECHO 1 9999999 f=line\na",
        "HOLD 1 1 f=line\na",
        "HOLD 0 1 f=line\na",
        "HOLD 1 1 f=line\na>1 cancel\n",
        "HOLD 1 1 f=line\naECHO\nx\n",
        "ECHO\n",
        "ECHO\nab",
        "ADD\n9\nab",
        "STRING\n",
        "STRING\nab",
        "STRING\nab\nECH",
        "HOLD\na\n",
        large,
        &format!("{large}{}{}", large.replace(" 1 ", " 2 "), large.replace(" 1 ", " 3 ")),
        &format!("{large}ECHO\nab\n"),
        "LETTERS\n1000000\n",
        "NOPE\nx",
        "\nx",
    ] {
        check_rest(sent, false).await;
        check_rest(sent, true).await;
    }
}

/// Having sent this the peer waits, reading nothing; then it does so once more.
async fn check_rest(sent: &str, is_ended: bool) {
    let touches = Count::default();
    let endpoint = Held::new().on(endpoint());
    let (mut here, there) = transport::memory();
    let there = Hooked { stream: there, hooks: Touches(touches.clone()) };
    tokio::spawn(async move { endpoint.serve_stream(there).await });
    settle().await;
    let (first, second) = sent.split_at(sent.len() / 2);
    for piece in [first, second] {
        here.write_all(piece.as_bytes()).await.unwrap();
        settle().await;
    }
    if is_ended {
        here.shutdown().await.unwrap();
    }
    check_sleeps(&touches, &format!("{sent:?} {is_ended}")).await;
}

async fn check_sleeps(touches: &Count, what: &str) {
    settle().await;
    let before = touches.now();
    for _ in 0..10 {
        settle().await;
    }
    // A task that keeps itself awake would have touched it a thousand times.
    let more = touches.now() - before;
    assert!(more < 10, "{what}: touched {more} times at rest");
}

/// It is awake to ask and to hear the answer, and not in between.
#[tokio::test(start_paused = true)]
async fn a_client_that_keeps_its_connection_alive_sleeps_in_between() {
    let touches = Count::default();
    let here = Hooked { stream: dial(&endpoint()), hooks: Touches(touches.clone()) };
    let client = Endpoint::new().with_keepalive(10 * SECOND).connect_over(here);
    for _ in 0..10 {
        check_sleeps(&touches, "between two questions").await;
        let before = touches.now();
        tokio::time::sleep(10 * SECOND + MS).await;
        settle().await;
        let more = touches.now() - before;
        assert!((2..10).contains(&more), "a question touches the stream {more} times");
    }
    assert!(!client.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_waits_sleeps() {
    let touches = Count::default();
    let (here, there) = transport::memory();
    let limits = Limits::default().with(|limits| limits.unwritten_bytes_max = 1000);
    let here = Hooked { stream: here, hooks: Touches(touches.clone()) };
    let client = Endpoint::new().with_limits(limits).connect_over(here);
    let mut peer = Peer::new(there);
    check_sleeps(&touches, "idle").await;
    let call = tokio::spawn(client.call(ECHO, &"a".to_owned()));
    peer.expect("ECHO 1 1 f=line\na").await;
    check_sleeps(&touches, "a call").await;
    peer.send("<1 ok ").await;
    check_sleeps(&touches, "half a reply").await;
    peer.send("3\nabc").await;
    assert_eq!(call.await.unwrap().unwrap(), "abc");
    check_sleeps(&touches, "a reply").await;

    const BYTES: Command<Vec<u8>, ()> = Command::new("BYTES");
    let large = vec![0; 500_000];
    let calls = [(); 3].map(|()| tokio::spawn(client.call(BYTES, &large)));
    check_sleeps(&touches, "no room").await;
    calls[2].abort();
    calls[0].abort();
    check_sleeps(&touches, "no room, and one cancelled").await;
    let closing = tokio::spawn(client.close());
    check_sleeps(&touches, "closing").await;
    drop(peer);
    within(closing).await.unwrap();
}
