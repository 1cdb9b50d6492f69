//! What waits for a peer or is held for one: it is bounded, and given back whatever becomes of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use switchboard::session::{Session, Side};
use switchboard::{Code, Command, Endpoint, Error, Limits};

use super::support::*;

/// A peer that has ended its side gets its replies no faster than it reads.
#[tokio::test(start_paused = true)]
async fn replies_wait_for_a_peer_that_has_ended_its_side() {
    let held = Held::new();
    let endpoint = held.on(limited(|limits| {
        limits.unwritten_bytes_max = 10_000;
        limits.held_bytes_max = 600_000;
    }));
    let mut peer = peer(&endpoint);
    let letters = "x".repeat(10_000);
    for tag in 1..=50 {
        peer.send(format!("HOLD {tag} 10000 f=line\n{letters}")).await;
    }
    peer.finish().await;
    held.begun.reach(30).await;
    held.release(50);
    settle().await;
    check_serves(&endpoint).await;
    let mut replies = 0;
    while let Some(reply) = peer.next().await {
        let text = reply.split_once('\n').unwrap().0;
        assert!(text.ends_with("ok 10000") || text.ends_with("overloaded"), "{text}");
        replies += 1;
    }
    assert_eq!(replies, 50);
}

#[test]
fn a_reply_waits_for_room_when_a_call_of_ours_would_not() {
    let now = std::time::Instant::now();
    let limits = Limits::default().with(|limits| limits.unwritten_bytes_max = 10);
    let mut session = Session::new(now, Side::Accepted, &limits);
    let (mut call, mut reply) = (None, None);
    let later = now + Duration::from_secs(3600);
    let waker = || Some(std::task::Waker::noop().clone());
    assert!(session.poll_reply_room(&mut reply, &mut None).is_ready());
    session.tell(&Error::new(Code::Failed, "more than ten bytes"));
    assert!(session.poll_room(None, &mut call, later, &mut waker()).is_pending());
    session.handle_eof();
    session.wakers().take_due();
    assert!(session.poll_room(None, &mut call, later, &mut waker()).is_ready());
    assert!(session.poll_reply_room(&mut reply, &mut waker()).is_pending());
    let written = session.take_transmit().len();
    session.handle_written(now, written);
    assert_eq!(session.wakers().take_due().len(), 1);
    assert!(session.poll_reply_room(&mut reply, &mut None).is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_cannot_be_held_does_not_run_in_part() {
    const GRIDS: Command<Vec<Option<[u64; 8]>>, ()> = Command::new("GRIDS");
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    // Not async: its body runs when it is called, not when its future is polled.
    let handler = move |_grids: Vec<Option<[u64; 8]>>| {
        counted.fetch_add(1, Ordering::Relaxed);
        std::future::ready(Ok::<_, Error>(()))
    };
    let endpoint = limited(|limits| limits.held_bytes_max = 100_000).on(GRIDS, handler);
    let client = client(&endpoint);
    client.call(GRIDS, &vec![None; 100]).await.unwrap();
    let error = client.call(GRIDS, &vec![None; 3000]).await.unwrap_err();
    assert!(error.code() == Code::Overloaded && error.is_safe_to_retry(), "{error}");
    assert!(error.text().contains("held_bytes_max (100000)"), "{error}");
    assert_eq!(runs.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn what_failed_is_held_no_longer() {
    const BYTES: Command<bytes::Bytes, bytes::Bytes, switchboard::format::Bytes> =
        Command::new("BYTES");
    let megabyte = bytes::Bytes::from(vec![b'x'; 1 << 20]);
    let ours = Endpoint::new().with_limits(Limits::default().with(|limits| {
        limits.held_bytes_max = 2 << 20;
        limits.calls_per_connection_max = 1;
    }));
    let mut kept = Vec::new();
    for _ in 0..2 {
        // Lost with what it had to write, and called once more.
        let (lost, peer) = client_and_peer_of(&ours);
        lost.notify(BYTES, &megabyte).await.unwrap();
        settle().await;
        drop(peer);
        within(lost.closed()).await;
        lost.call(BYTES, &megabyte).await.unwrap_err();
        // Quiet, with as many calls under way as may be.
        let (full, peer) = client_and_peer_of(&ours);
        let under_way = tokio::spawn(full.call(ECHO, &"a".to_owned()));
        settle().await;
        let error = full.call(BYTES, &megabyte).await.unwrap_err();
        assert_eq!(error.code(), Code::Overloaded);
        kept.push((lost, full, peer, under_way));
    }
    let (client, mut peer) = client_and_peer_of(&ours);
    client.notify(BYTES, &megabyte).await.unwrap();
    assert!(peer.next().await.unwrap().starts_with("BYTES 0 1048576 f=bytes"));
}

/// Who calls plainly hears as well that it has run.
#[tokio::test(start_paused = true)]
async fn a_reply_that_finds_no_room_is_that_of_a_call_that_has_run() {
    let endpoint = limited(|limits| limits.held_bytes_max = 100_000);
    let mut peer = peer(&endpoint);
    peer.send("LETTERS json\n200000\n").await;
    let text = peer.expect_ran(0, Code::Failed).await;
    assert!(text.starts_with("the reply found no room: "), "{text}");
    peer.send("LETTERS 1 6 f=json\n200000").await;
    peer.expect_ran(1, Code::Failed).await;
}

/// They are counted while they wait for a peer that does not read, and what cannot be held is not
/// kept.
#[tokio::test(start_paused = true)]
async fn replies_that_are_ready_at_once_are_held_while_they_wait() {
    let endpoint = limited(|limits| {
        limits.unwritten_bytes_max = 100_000;
        limits.held_bytes_max = 1_500_000;
    });
    let mut peer = peer(&endpoint);
    let calls: String = (1..=50).map(|tag| format!("LETTERS {tag} 5 f=json\n99998")).collect();
    peer.send(calls).await;
    settle().await;
    peer.finish().await;
    let (mut replies, mut without_room, mut refused) = (0, 0, 0);
    while let Some(reply) = peer.next().await {
        let (line, text) = reply.split_once('\n').unwrap();
        match line.split(' ').nth(1) {
            Some("ok") => replies += 1,
            Some("err") if line.ends_with(" overloaded") => refused += 1,
            _ => {
                assert!(text.starts_with("the reply found no room: "), "{reply:.200}");
                without_room += 1;
            }
        }
    }
    // One or two are written, into the stream as well, and the others wait.
    assert!((10..=17).contains(&replies), "{replies} replies were kept");
    assert_eq!(replies + without_room + refused, 50);
    assert!(without_room > 0);
}
