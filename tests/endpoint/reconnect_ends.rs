//! A client that connects anew, when what it stands on ends: a dial, its runtime, the connection
//! that its calls are under way over.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use switchboard::service::ChannelState;
use switchboard::transport;
use switchboard::{Client, Code, Command, Context, Endpoint, Error, Reconnect, Sender, Streamed};
use tokio::time::{Instant, sleep};

use super::reconnect::{AGAIN, Host, client_and_peers};
use super::support::*;

const TAIL: Command<(), Streamed<u64>> = Command::new("TAIL").resumable().endless();

fn tail() -> Endpoint {
    endpoint().on(TAIL, async |(): (), out: Sender<u64>, context: Context| {
        let first = context.resume_at().unwrap_or(0);
        out.open_at(first);
        for position in first.. {
            out.send(&position).await?;
            sleep(SECOND).await;
        }
        Ok::<_, Error>(())
    })
}

#[tokio::test(start_paused = true)]
async fn a_dial_that_panics_has_failed() {
    for is_sync in [true, false] {
        let dials = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&dials);
        let client = Reconnect::by(move || {
            let first = count.fetch_add(1, Ordering::SeqCst) == 0;
            assert!(!(first && is_sync), "before there is a future");
            let (here, there) = transport::memory();
            async move {
                assert!(!first, "in the future");
                tokio::spawn(async move { endpoint().serve_stream(there).await });
                Ok(Endpoint::new().connect_over(here))
            }
        })
        .client();
        assert_eq!(within(client.call(ADD, &(1, 2)).timeout(SECOND)).await.unwrap(), 3);
        within(client.close()).await;
    }
}

#[test]
fn it_is_closed_when_its_runtime_is_gone() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (first, second) = (runtime(), runtime());
    let host = Host::default();
    let client = first.block_on(async { host.reconnect().client() });
    first.block_on(settle());
    let waiting = second.spawn(client.call(TAIL, &()).finish());
    second.block_on(settle());
    drop(first);
    second.block_on(async {
        assert_eq!(client.state(), ChannelState::Closed);
        let error = within(client.call(ADD, &(1, 2))).await.unwrap_err();
        assert_eq!(error.text(), "the client is closed");
        assert!(within(waiting).await.unwrap().is_err());
        within(client.close()).await;
    });
}

#[tokio::test(start_paused = true)]
async fn flush_tells_of_each_connection_that_was_lost() {
    let (client, mut peers) = client_and_peers();
    let mut peer = peers.recv().await.unwrap();
    within(client.notify(ECHO, &"a".to_owned())).await.unwrap();
    peer.expect("ECHO 0 1 f=line\na").await;
    drop(peer);
    let mut peer = peers.recv().await.unwrap();
    settle().await;
    within(client.notify(ECHO, &"b".to_owned())).await.unwrap();
    peer.expect("ECHO 0 1 f=line\nb").await;
    assert!(within(client.flush()).await.is_err(), "a may be lost");
    within(client.flush()).await.unwrap();
    // What has been written is lost no more.
    drop(peer);
    let _peer = peers.recv().await.unwrap();
    settle().await;
    within(client.flush()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_error_of_a_stream_knows_of_all_attempts() {
    const TWICE: Command<(), Streamed<u64>> = Command::new("TWICE").idempotent();
    for answer in ["<1 err 0 overloaded retry=60000\n", "<1 open\n<1 err 0 overloaded\n"] {
        let (client, mut peers) = client_and_peers();
        let mut peer = peers.recv().await.unwrap();
        let call = tokio::spawn(client.call(TWICE, &()).timeout(10 * SECOND).finish());
        assert!(peer.next().await.unwrap().starts_with("TWICE 1"));
        // It may have run.
        drop(peer);
        let mut peer = peers.recv().await.unwrap();
        assert!(peer.next().await.unwrap().starts_with("TWICE 1"));
        peer.send(answer).await;
        let error = within(call).await.unwrap().unwrap_err();
        assert_eq!(error.code(), Code::Overloaded);
        assert!(!error.is_safe_to_retry(), "the first attempt may have run: {answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn closing_ends_pauses() {
    let (client, mut peers) = client_and_peers();
    let mut peer = peers.recv().await.unwrap();
    let call = tokio::spawn(client.call(TAIL, &()).finish());
    assert!(peer.next().await.unwrap().starts_with("TAIL 1"));
    peer.send("<1 err 0 overloaded retry=60000000\n").await;
    settle().await;
    tokio::spawn(client.close());
    peer.finish().await;
    settle().await;
    let begun = Instant::now();
    let error = call.await.unwrap().unwrap_err();
    assert!(begun.elapsed() < SECOND, "{error} after {:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_comes_further_is_not_given_up() {
    let host = Host::default();
    host.up(&tail());
    let client = host.reconnect().repeats_max(3).client();
    let mut lines = client.call(TAIL, &());
    for expected in 0..20 {
        assert_eq!(within(lines.next()).await.unwrap().unwrap(), expected);
        host.kill();
        settle().await;
        host.up(&tail());
    }
}

#[tokio::test(start_paused = true)]
async fn streams_that_are_lost_together_go_on_together() {
    let host = Host::default();
    host.up(&tail());
    let client = host.reconnect().repeats_max(0).client();
    let mut streams: Vec<_> = (0..90).map(|_| client.call(TAIL, &())).collect();
    for expected in 0..3 {
        for stream in &mut streams {
            assert_eq!(within(stream.next()).await.unwrap().unwrap(), expected);
        }
        host.kill();
        settle().await;
        host.up(&tail());
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_takes_no_more_calls_is_replaced_whoever_calls() {
    // Nobody calls; and only streams do that a channel stands in front of.
    let (client, mut peers) = client_and_peers();
    let mut peer = peers.recv().await.unwrap();
    let held = tokio::spawn(client.call(ECHO, &"a".to_owned()));
    assert!(peer.next().await.unwrap().starts_with("ECHO"));
    peer.send("<0 err 0 shutting_down\n").await;
    let next = tokio::time::timeout(10 * SECOND, peers.recv()).await;
    assert!(next.is_ok(), "nobody calls");
    peer.send("<1 ok 1\nb").await;
    assert_eq!(within(held).await.unwrap().unwrap(), "b");
}

#[tokio::test(start_paused = true)]
async fn streams_behind_a_channel_do_not_stay_with_a_spent_connection() {
    let (client, mut peers) = client_and_peers();
    let mut peer = peers.recv().await.unwrap();
    let held = tokio::spawn(client.call(ECHO, &"a".to_owned()));
    assert!(peer.next().await.unwrap().starts_with("ECHO"));
    peer.send("<0 err 0 shutting_down\n").await;
    settle().await;
    let layered = Client::over(Through(client));
    let stream = tokio::spawn(layered.call(TAIL, &()).finish());
    let next = tokio::time::timeout(10 * SECOND, peers.recv()).await;
    let mut next = next.expect("it is replaced").unwrap();
    assert!(within(next.next()).await.unwrap().starts_with("TAIL"));
    held.abort();
    stream.abort();
}

#[tokio::test(start_paused = true)]
async fn close_waits_for_calls_over_connections_that_take_no_more() {
    let (client, mut peers) = client_and_peers();
    let mut peer = peers.recv().await.unwrap();
    let held = tokio::spawn(client.call(ECHO, &"a".to_owned()));
    assert!(peer.next().await.unwrap().starts_with("ECHO"));
    peer.send("<0 err 0 shutting_down\n").await;
    settle().await;
    let call = tokio::spawn(client.call(AGAIN, &"a".to_owned()));
    let mut next = peers.recv().await.unwrap();
    assert!(next.next().await.unwrap().starts_with("ECHO"));
    next.send("<1 ok 1\nb").await;
    within(call).await.unwrap().unwrap();
    let closing = tokio::spawn(client.close());
    while next.next().await.is_some() {}
    next.finish().await;
    settle().await;
    assert!(!closing.is_finished(), "a call is under way");
    peer.send("<1 ok 1\nb<0 ok 0\n").await;
    assert_eq!(within(held).await.unwrap().unwrap(), "b");
    while peer.next().await.is_some() {}
    peer.finish().await;
    within(closing).await.unwrap();
}
