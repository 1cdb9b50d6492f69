//! How often a stream is written and read, and by whom: counted, never timed.
//!
//! Each write and each read is a system call on a socket, and a call that waits for the driver to
//! write it waits for a task to be scheduled. If a number in here rises, calls have become slower.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use switchboard::{Call, Client, Endpoint, transport};
use tokio::task::{self, JoinSet};

use super::support::watched::*;
use super::support::*;

/// A client of `endpoint`, and what becomes of the streams at both ends.
fn watched(endpoint: &Endpoint) -> (Client, Log, Log) {
    let (here, there) = transport::memory();
    let ((here, asking), (there, answering)) = (Watching::over(here), Watching::over(there));
    let endpoint = endpoint.clone();
    tokio::spawn(async move { endpoint.serve_stream(there).await });
    (Endpoint::new().connect_over(here), asking, answering)
}

/// Lets the driver set its timer, which a caller must leave to it.
async fn warm_up(client: &Client, asking: &Log, answering: &Log) {
    assert_eq!(client.call(ADD, &(1, 2)).await.unwrap(), 3);
    for log in [asking, answering] {
        log.take();
    }
}

/// In a task of its own: what is not in a task has no number.
async fn in_a_task(work: impl Future<Output = ()> + Send + 'static) {
    within(tokio::spawn(work)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lone_call_is_written_by_its_caller_and_answered_in_one_write() {
    let (client, asking, answering) = watched(&endpoint());
    in_a_task(async move {
        warm_up(&client, &asking, &answering).await;
        let reads = [asking.reads.now(), answering.reads.now()];
        for count in 1..10 {
            assert_eq!(client.call(ADD, &(1, 2)).await.unwrap(), 3);
            assert_eq!(asking.take_writers(), [task::try_id()]);
            assert_eq!(answering.take_writers().len(), 1);
            assert_eq!([asking.reads.now(), answering.reads.now()], reads.map(|n| n + count));
        }
    })
    .await;
}

/// One that waits for long makes nobody else wait.
#[tokio::test(start_paused = true)]
async fn a_caller_beside_a_call_that_waits_writes_its_calls_too() {
    let held = Held::new();
    let (client, asking, answering) = watched(&held.on(endpoint()));
    in_a_task(async move {
        let waiting = tokio::spawn(client.call(HOLD, &"a".to_owned()));
        held.begun.reach(1).await;
        warm_up(&client, &asking, &answering).await;
        for _ in 0..10 {
            assert_eq!(client.call(ADD, &(1, 2)).await.unwrap(), 3);
            assert_eq!(asking.take_writers(), [task::try_id()]);
            assert_eq!(answering.take_writers().len(), 1);
        }
        held.release(1);
        assert_eq!(waiting.await.unwrap().unwrap(), "a");
    })
    .await;
}

/// The first call is written at once, since nobody knows that there will be more, and answered at
/// once, since no more has come. So are the rest of them together.
#[tokio::test(start_paused = true)]
async fn calls_that_are_made_together_leave_together() {
    let (client, asking, answering) = watched(&endpoint());
    in_a_task(async move {
        warm_up(&client, &asking, &answering).await;
        for _ in 0..10 {
            call_together((0..64).map(|number| client.call(ADD, &(number, 1)))).await;
            check_count(&asking, 2);
            check_count(&answering, 2);
        }
    })
    .await;
}

/// As from one task, in each of their rounds: who gets the last of the replies that came together
/// writes what all of them have asked next.
#[tokio::test(start_paused = true)]
async fn callers_that_are_answered_together_ask_together() {
    const ROUNDS: usize = 20;
    let (client, asking, answering) = watched(&endpoint());
    in_a_task(async move {
        warm_up(&client, &asking, &answering).await;
        let mut callers = JoinSet::new();
        for number in 0..64 {
            let client = client.clone();
            callers.spawn(async move {
                for _ in 0..ROUNDS {
                    assert_eq!(client.call(ADD, &(number, 1)).await.unwrap(), number + 1);
                }
            });
        }
        callers.join_all().await;
        check_count(&asking, 2 * ROUNDS);
        check_count(&answering, 2 * ROUNDS);
    })
    .await;
}

/// Who has got a reply together with others, and is not yet at it, is waited for a few turns.
#[tokio::test(start_paused = true)]
async fn the_slow_of_those_who_are_answered_together_are_waited_for() {
    let (here, there) = transport::memory();
    let (here, asking) = Watching::over(here);
    let (client, mut peer) = (Endpoint::new().connect_over(here), Peer::new(there));
    let call = |text: &str| Box::pin(client.call(ECHO, &text.to_owned()));
    let mut slow = call("a");
    poll_once(slow.as_mut()).await;
    let (first, second) = (call("b"), call("c"));
    let again = Count::default();
    let quick = tokio::spawn({
        let again = again.clone();
        async move {
            assert_eq!(first.await.unwrap(), "b");
            again.add();
            second.await
        }
    });
    peer.expect("ECHO 1 1 f=line\na").await;
    peer.expect("ECHO 2 1 f=line\nb").await;
    asking.take();
    peer.send("<1 ok 1\na<2 ok 1\nb").await;
    while again.now() == 0 {
        task::yield_now().await;
    }
    assert_eq!(slow.await.unwrap(), "a");
    let mut last = call("d");
    poll_once(last.as_mut()).await;
    peer.expect("ECHO 3 1 f=line\nc").await;
    peer.expect("ECHO 4 1 f=line\nd").await;
    check_count(&asking, 1);
    peer.send("<3 ok 1\nc<4 ok 1\nd").await;
    assert_eq!(within(quick).await.unwrap().unwrap(), "c");
    assert_eq!(within(last).await.unwrap(), "d");
}

/// Sooner than all are there, so that both sides are at work at once: 64 lines of 183 bytes leave
/// as the first, twice 4 KiB, and the rest.
#[tokio::test(start_paused = true)]
async fn much_leaves_in_pieces() {
    let (client, asking, answering) = watched(&endpoint());
    let text = "x".repeat(170);
    in_a_task(async move {
        warm_up(&client, &asking, &answering).await;
        for _ in 0..10 {
            call_together((0..64).map(|_| client.call(ECHO, &text))).await;
            check_count(&asking, 4);
            check_count(&answering, 4);
        }
    })
    .await;
}

/// One who wants no reply goes on at once, so that more is likely to come.
#[tokio::test(start_paused = true)]
async fn one_way_calls_are_gathered() {
    let held = Held::new();
    let (client, asking, answering) = watched(&held.on(endpoint()));
    in_a_task(async move {
        warm_up(&client, &asking, &answering).await;
        let notify = async |count_max| {
            for _ in 0..100 {
                client.notify(ADD, &(1, 2)).await.unwrap();
            }
            settle().await;
            check_count(&asking, count_max);
        };
        // The first comes after a reply, when a call is likely to be the only one.
        notify(2).await;
        notify(1).await;
        let waiting = tokio::spawn(client.call(HOLD, &"a".to_owned()));
        held.begun.reach(1).await;
        check_count(&asking, 1);
        notify(1).await;
        held.release(1);
        assert_eq!(waiting.await.unwrap().unwrap(), "a");
    })
    .await;
}

#[track_caller]
fn check_count(log: &Log, count_max: usize) {
    let bytes: Vec<_> = log.take().iter().map(|write| write.bytes.len()).collect();
    assert!(bytes.len() <= count_max, "{} writes, not {count_max}, of {bytes:?}", bytes.len());
}

/// Makes all these calls from one task, and waits for all.
async fn call_together<T>(calls: impl Iterator<Item = Call<T>>) {
    let mut calls: Vec<_> = calls.collect();
    poll_fn(|cx| {
        calls.retain_mut(|call| match Pin::new(call).poll(cx) {
            Poll::Ready(reply) => reply.map(|_| false).unwrap(),
            Poll::Pending => true,
        });
        if calls.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Sends a call whose reply has not come.
async fn poll_once<T>(mut call: Pin<&mut Call<T>>) {
    poll_fn(|cx| {
        assert!(call.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
}
