//! Keepalive by `?PING`: an idle client that stays, and one that learns of a peer that has frozen.

use std::time::Duration;

use switchboard::{Client, Code, Endpoint};
use tokio::net::TcpListener;
use tokio::time::sleep;

use super::support::*;

/// Without a byte, until the peer is asked.
const TIME: Duration = Duration::from_secs(20);

fn kept_alive() -> Endpoint {
    endpoint().with_keepalive(TIME)
}

#[tokio::test(start_paused = true)]
async fn an_idle_client_outlives_idle_time_max() {
    let served = limited(|limits| limits.idle_time_max = TIME + MS);
    for (is_kept, caller) in
        [(false, endpoint()), (true, kept_alive()), (true, kept_alive().clone())]
    {
        let client = caller.connect_over(dial(&served));
        sleep(3600 * SECOND).await;
        assert_eq!(client.is_closed(), !is_kept);
        if is_kept {
            assert_eq!(client.call(ADD, &(1, 2)).await.unwrap(), 3);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_is_asked_only_if_that_is_set() {
    for (caller, expected) in [(endpoint(), None), (kept_alive(), Some("?PING 1 0\n"))] {
        let (client, mut peer) = client_and_peer_of(&caller);
        sleep(2 * TIME - MS).await;
        assert!(!client.is_closed());
        client.close().await;
        let asked = peer.next().await;
        assert_eq!(asked.as_deref().filter(|line| line.starts_with('?')), expected);
    }
    // What is accepted has `idle_time_max` instead.
    let mut peer = peer(&kept_alive());
    sleep(3 * TIME).await;
    peer.send("ECHO 1 1 f=line\na").await;
    peer.expect("<1 ok 1\na").await;
}

#[tokio::test]
async fn a_peer_that_froze_is_found_over_a_real_socket() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let client = kept_alive().connect(&address).await.unwrap();
    let _frozen = listener.accept().await.unwrap();
    // Not before: it would pass while the system connects.
    tokio::time::pause();
    check_found(client).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_froze_is_found_after_it_has_answered() {
    let (client, mut peer) = client_and_peer_of(&kept_alive());
    for tag in 1..10 {
        peer.expect(&format!("?PING {tag} 0\n")).await;
        sleep(TIME - MS).await;
        peer.send(format!("<{tag} ok 0\n")).await;
    }
    assert!(!client.is_closed());
    check_found(client).await;
    assert!(peer.next().await.unwrap().starts_with("ECHO 10 "));
    peer.expect("?PING 11 0\n").await;
    peer.expect_end().await;
}

/// The peer says nothing any more, and whoever calls learns that.
async fn check_found(client: Client) {
    let call = client.call(ECHO, &"a".to_owned()).timeout(24 * 3600 * SECOND);
    let error = within(call).await.unwrap_err();
    let text = "no answer to ?PING came within the keepalive time (20s)";
    assert_eq!((error.code(), error.text()), (Code::DeadlineExceeded, text));
    assert!(!error.is_safe_to_retry(), "it may have run");
    assert!(client.is_closed());
    within(client.closed()).await;
    let error = client.call(ECHO, &"b".to_owned()).await.unwrap_err();
    assert_eq!(error.code(), Code::Disconnected);
    assert_eq!(error.text(), format!("the connection is closed: {text}"));
    assert!(error.is_safe_to_retry());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_froze_is_found_though_nobody_calls() {
    let (client, _frozen) = client_and_peer_of(&kept_alive());
    within(client.closed()).await;
    assert!(client.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_plain_call_of_the_peer_is_not_disturbed() {
    let held = Held::new();
    let (client, mut peer) = client_and_peer_of(&held.on(kept_alive()));
    peer.send("HOLD\na\n").await;
    held.begun.reach(1).await;
    sleep(10 * SECOND).await;
    held.release(1);
    peer.expect_bytes("a\n").await;
    peer.expect("?PING 1 0\n").await;
    peer.send("HOLD\na\n<1 ok 0\n").await;
    held.begun.reach(2).await;
    // Its answer has come, and is not read yet.
    sleep(TIME + 5 * SECOND).await;
    held.release(1);
    peer.expect_bytes("a\n").await;
    assert!(!client.is_closed());
}

#[test]
fn a_time_that_cannot_work_is_refused() {
    drop(Endpoint::new().with_keepalive(MS));
    for (time, text) in [(Duration::ZERO, "0ns"), (Duration::from_micros(999), "999µs")] {
        let panicked = std::panic::catch_unwind(|| Endpoint::new().with_keepalive(time));
        let text = format!("the time of keepalive ({text}) can't work: it is below 1ms");
        assert_eq!(*panicked.unwrap_err().downcast::<String>().unwrap(), text);
    }
}
