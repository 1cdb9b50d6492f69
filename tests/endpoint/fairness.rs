//! Where there is room for few, everybody gets it in turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use switchboard::format::Bytes;
use switchboard::{Client, Command, Endpoint, Error, Limits, transport};
use tokio::task::JoinSet;

use super::support::*;

/// Answers as many bytes as it is told, whatever it is sent.
const FILL: Command<bytes::Bytes, bytes::Bytes, Bytes> = Command::new("FILL");

const CALLERS: usize = 64;

#[tokio::test]
async fn callers_get_room_in_turn() {
    check_fair(20_000, &narrow(), &Limits::default(), 3_000, 0).await;
}

#[tokio::test]
async fn replies_get_room_in_turn() {
    check_fair(20_000, &Limits::default(), &narrow(), 0, 3_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_on_several_threads_get_room_in_turn() {
    check_fair(20_000, &narrow(), &narrow(), 3_000, 3_000).await;
}

/// Room for one message of the test at a time.
fn narrow() -> Limits {
    Limits::default().with(|limits| limits.unwritten_bytes_max = 2_000)
}

/// Many callers on one connection, each of which calls again at once. None makes more than four
/// times as many calls as another.
async fn check_fair(
    calls: u64,
    ours: &Limits,
    theirs: &Limits,
    request_bytes: usize,
    reply_bytes: usize,
) {
    let reply = bytes::Bytes::from(vec![b'x'; reply_bytes]);
    let server = Endpoint::new().with_limits(theirs.clone()).on(FILL, move |_: bytes::Bytes| {
        let reply = reply.clone();
        async move {
            // So that it is the reply of a task.
            tokio::task::yield_now().await;
            Ok::<_, Error>(reply)
        }
    });
    let (here, there) = transport::memory();
    tokio::spawn(async move { server.serve_stream(there).await });
    let client = Endpoint::new().with_limits(ours.clone()).connect_over(here);
    let left = Arc::new(AtomicU64::new(calls));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        callers.spawn(call_on(client.clone(), vec![b'x'; request_bytes].into(), left.clone()));
    }
    let counts = within(callers.join_all()).await;
    assert_eq!(counts.iter().sum::<u64>(), calls);
    let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
    assert!(*most <= 4 * least, "between {least} and {most} calls: {counts:?}");
}

/// Calls until nothing is left to do; answers how often.
async fn call_on(client: Client, request: bytes::Bytes, left: Arc<AtomicU64>) -> u64 {
    let one_less = |left: u64| left.checked_sub(1);
    let mut count = 0;
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok() {
        client.call(FILL, &request).await.unwrap();
        count += 1;
    }
    count
}
