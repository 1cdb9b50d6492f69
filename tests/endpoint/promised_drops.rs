//! What is promised of futures that are dropped before they are ready, and of ends that are none.

use futures_util::FutureExt;
use switchboard::{
    Client, Code, Command, Encoded, Endpoint, Error, Limits, Receiver, Sender, Streamed, transport,
};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use std::sync::Arc;

use super::items::clients_of;
use super::support::*;

const COUNT: Command<u32, Streamed<u32>> = Command::new("COUNT");
const SUM: Command<Streamed<u32>, u64> = Command::new("SUM");
const SHOUT: Command<Streamed<String>, Streamed<String>> = Command::new("SHOUT");

/// A client that has no room for another call until its peer reads the first.
async fn full() -> (Client, Peer<transport::MemoryStream>, JoinHandle<()>) {
    let limits = Limits::default().with(|limits| limits.unwritten_bytes_max = 1);
    let (client, peer) = client_and_peer_of(&Endpoint::new().with_limits(limits));
    let first = client.call(ECHO, &"a".repeat(100_000));
    let first = tokio::spawn(async move { drop(first.await) });
    settle().await;
    (client, peer, first)
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_given_up_can_be_said_again() {
    let (client, mut peer, _first) = full().await;
    let mut numbers = client.call(SUM, &());
    for _ in 0..3 {
        assert!(numbers.end().now_or_never().is_none());
    }
    assert!(peer.next().await.unwrap().starts_with("ECHO 1 100000 f=line\n"));
    within(numbers.end()).await.unwrap();
    peer.expect("SUM 2 0 stream=1\n").await;
    peer.expect(">2 end\n").await;
    peer.send("<2 ok 1\n\u{7}").await;
    assert_eq!(within(numbers.finish()).await.unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn what_is_given_up_before_there_is_room_is_not_sent() {
    let (client, mut peer, _first) = full().await;
    assert!(client.call(SHOUT, &()).split().now_or_never().is_none());
    assert!(client.call(COUNT, &1).finish().now_or_never().is_none());
    assert!(client.notify(ECHO, &"b".to_owned()).now_or_never().is_none());
    let last = client.notify(ECHO, &"c".to_owned());
    let last = tokio::spawn(last);
    assert!(peer.next().await.unwrap().starts_with("ECHO 1 100000 f=line\n"));
    peer.expect("ECHO 0 1 f=line\nc").await;
    within(last).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn to_give_up_waiting_for_the_last_reply_gives_the_call_up() {
    let (client, mut peer) = client_and_peer();
    let finishing = tokio::spawn(client.call(COUNT, &3).finish());
    peer.expect("COUNT 1 1 credit=65536\n\u{3}").await;
    finishing.abort();
    peer.expect(">1 cancel\n").await;
}

#[tokio::test(start_paused = true)]
async fn to_give_up_waiting_for_the_opening_loses_neither_it_nor_an_item() {
    let (client, mut peer) = client_and_peer();
    let mut numbers = client.call(COUNT, &3);
    assert!(numbers.opened().now_or_never().is_none());
    peer.expect("COUNT 1 1 credit=65536\n\u{3}").await;
    assert!(numbers.opened().now_or_never().is_none());
    peer.send("<1 open n=7\n<1 item 1\n\u{9}<1 ok 0\n").await;
    assert_eq!(within(numbers.opened()).await.unwrap(), Some(7));
    assert_eq!(within(numbers.next()).await.unwrap().unwrap(), 9);
    assert_eq!(numbers.position(), Some(7));
    within(numbers.finish()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_close_that_is_polled_once_closes() {
    let (client, mut peer) = client_and_peer();
    let _other = client.clone();
    assert!(client.close().now_or_never().is_none());
    peer.expect_error(0, Code::ShuttingDown).await;
    peer.expect_farewell().await;
}

/// Of a handler: what it gives up is not sent, whichever way it sends, and counts for no position.
#[tokio::test(start_paused = true)]
async fn an_item_of_a_reply_that_is_given_up_is_not_sent() {
    const SENT: Command<(), Streamed<u64, Vec<u64>>> = Command::new("SENT");
    let stuck = Count::default();
    let gave_up = stuck.clone();
    let endpoint = endpoint().on(SENT, move |(): (), out: Sender<u64>| {
        let gave_up = gave_up.clone();
        async move {
            let (mut sent, mut given_up) = (Vec::new(), 0);
            for number in 0..10_000 {
                let item = Encoded::new(number);
                // One who has given up often enough waits.
                let time = if given_up < 9 { MS } else { SECOND };
                let done = match number % 3 {
                    0 => timeout(time, out.send_at(10 * number, &number)).await,
                    1 => timeout(time, out.send(&number)).await,
                    _ => timeout(time, out.send_encoded(&item)).await,
                };
                match done {
                    Ok(done) => {
                        done?;
                        sent.push(number);
                    }
                    Err(_) => {
                        given_up += 1;
                        gave_up.add();
                    }
                }
            }
            Ok::<_, Error>(sent)
        }
    });
    for (index, client) in clients_of(&endpoint).into_iter().enumerate() {
        let mut numbers = client.call(SENT, &());
        // Where items begin is said apart from where the first of them is.
        assert_eq!(within(numbers.opened()).await.unwrap(), None);
        stuck.reach(9 * (index + 1)).await;
        let (mut taken, mut before) = (Vec::new(), 0);
        while let Some(number) = within(numbers.next()).await {
            let number = number.unwrap();
            let expected = if number % 3 == 0 { 10 * number } else { before + 1 };
            assert_eq!(numbers.position(), Some(expected), "{number}");
            taken.push(number);
            before = expected;
        }
        assert_eq!(numbers.finish().await.unwrap(), taken);
        assert_eq!(taken.len(), 10_000 - 9);
    }
}

#[tokio::test(start_paused = true)]
async fn the_items_of_a_reply_end_with_its_handler_and_not_before() {
    const ENDS: Command<(), Streamed<u32, String>> = Command::new("ENDS");
    let gate = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let endpoint = endpoint().on(ENDS, move |(): (), out: Sender<u32>| {
        let opened = Arc::clone(&opened);
        async move {
            out.send(&1).await?;
            out.end();
            opened.acquire().await.unwrap().forget();
            Ok::<_, Error>("done".to_owned())
        }
    });
    for client in clients_of(&endpoint) {
        let mut numbers = client.call(ENDS, &());
        assert_eq!(within(numbers.next()).await.unwrap().unwrap(), 1);
        settle().await;
        assert!(numbers.next().now_or_never().is_none());
        gate.add_permits(1);
        assert!(within(numbers.next()).await.is_none());
        assert_eq!(within(numbers.finish()).await.unwrap(), "done");
    }
}

/// The error of a call is not lost to whoever only looks at the end.
#[tokio::test(start_paused = true)]
async fn a_call_that_has_failed_says_the_same_at_its_end() {
    let endpoint = endpoint().on(SUM, async |(): (), mut numbers: Receiver<u32>| {
        numbers.next().await?;
        Err::<u64, _>(Error::new(Code::Conflict, "no luck"))
    });
    for client in clients_of(&endpoint) {
        let mut numbers = client.call(SUM, &());
        while numbers.send(&1).await.is_ok() {
            settle().await;
        }
        let error = numbers.finish().await.unwrap_err();
        assert_eq!((error.code(), error.text()), (Code::Conflict, "no luck"));
        assert!(!error.is_safe_to_retry());
    }
    // So does one that could not be sent, which may be made again.
    let (client, peer) = client_and_peer();
    drop(peer);
    within(client.closed()).await;
    let mut numbers = client.call(COUNT, &1);
    let error = numbers.next().await.unwrap().unwrap_err();
    assert_eq!(error.code(), Code::Disconnected);
    let again = numbers.finish().await.unwrap_err();
    assert_eq!((again.code(), again.is_safe_to_retry()), (Code::Disconnected, true));
}
