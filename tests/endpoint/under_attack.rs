//! What broke doors, channels and batches when they were attacked.

use std::pin::pin;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use switchboard::format::Line;
use switchboard::service::{Answer, Channel, Request, Service};
use switchboard::{Client, Code, Command, Endpoint, Error, Fault, Limits, Result, transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use super::support::*;

const BUSY: Command<String, String, Line> = Command::new("BUSY");
const FAIL: Command<String, String, Line> = Command::new("FAIL");
const OUTER: Command<String, String, Line> = Command::new("OUTER");
const NEST: Command<u32, u32> = Command::new("NEST");

/// In the format of `BUSY` and all the others.
fn request(command: &str, payload: &str) -> Request {
    Request::new(command, payload.to_owned()).unwrap().with_format("line").unwrap()
}

/// Always has something to do, so the runtime lets its task do no more again and again.
async fn busy(_: String) -> Result<String> {
    let begin = std::time::Instant::now();
    while begin.elapsed() < Duration::from_secs(3) {
        tokio::task::consume_budget().await;
    }
    Ok("done".to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_is_always_busy_ends_in_time() {
    let endpoint = limited(|limits| {
        limits.drain_time_max = 100 * MS;
        limits.call_time_max = 200 * MS;
    });
    let endpoint = endpoint.on(BUSY, busy);
    let door = endpoint.door();
    let late = |answer: Answer| async { tokio::spawn(answer).await.unwrap().unwrap_err().code() };
    let answer = door.call(request("BUSY", "x").with_timeout(100 * MS));
    assert_eq!(late(answer).await, Code::DeadlineExceeded);
    let text = "x".to_owned();
    let error = endpoint.client().call(BUSY, &text).timeout(100 * MS).await.unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded);
    let mut peer = peer(&endpoint);
    peer.send("BUSY\nx\n").await;
    let text = peer.expect_ran(0, Code::DeadlineExceeded).await;
    assert_eq!(text, "the handler did not answer within call_time_max (200ms)");
    let door = endpoint.with_limits(Limits::default().with(|limits| limits.drain_time_max = MS));
    let door = door.door();
    let call = tokio::spawn(door.call(request("BUSY", "x")));
    tokio::task::yield_now().await;
    door.close();
    assert_eq!(call.await.unwrap().unwrap_err().code(), Code::ShuttingDown);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_ran_is_never_said_not_to_have() {
    let endpoint = endpoint().on(FAIL, async |_: String| {
        Err::<String, _>(Error::new(Code::Failed, "half of it is done"))
    });
    for client in [Client::over(endpoint.door()), endpoint.client(), client(&endpoint)] {
        let error = client.call(FAIL, &"x".to_owned()).await.unwrap_err();
        assert!(error.is_from_peer() && !error.is_safe_to_retry(), "{error:?}");
    }
}

/// Fails by its author's word.
struct Fails;

impl Service for Fails {
    fn call(&self, _: Request) -> Answer {
        Answer::ready(Err(Error::new(Code::Overloaded, "an inner secret")))
    }
}

impl Channel for Fails {}

#[tokio::test(start_paused = true)]
async fn an_error_of_a_channel_is_not_handed_on() {
    let endpoint =
        Endpoint::new().on(OUTER, async |text: String| Client::over(Fails).call(FAIL, &text).await);
    let error = client(&endpoint).call(OUTER, &"x".to_owned()).await.unwrap_err();
    assert_eq!((error.code(), error.text()), (Code::Failed, "the handler failed"));
    assert!(!error.is_safe_to_retry());
}

#[tokio::test(start_paused = true)]
async fn a_one_way_call_through_a_door_is_one() {
    let held = Held::new();
    let endpoint = held.on(endpoint()).on(FAIL, async |_: String| {
        Err::<String, _>(Error::new(Code::Failed, "nobody hears this"))
    });
    let door = endpoint.door();
    within(door.call(request("HOLD", "x").one_way())).await.unwrap();
    held.begun.reach(1).await;
    let client = Client::over(door.clone());
    client.notify(FAIL, &"x".to_owned()).await.unwrap();
    // One that does not run is told of.
    let error = client.notify(Command::<u32, u32>::new("NOPE"), &1).await.unwrap_err();
    assert_eq!(error.code(), Code::UnknownCommand);
    door.close();
    held.release(1);
    within(door.closed()).await;
    assert_eq!(held.ended.now(), 1);
}

/// A task of its own for none of them: they lie on one stack.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn handlers_that_call_one_another_by_a_door_find_stack() {
    let endpoint = Endpoint::new();
    let client = Client::over(endpoint.door());
    let inner = client.clone();
    endpoint
        .add(NEST, move |depth: u32| {
            let inner = inner.clone();
            async move {
                let below = if depth == 0 { 0 } else { inner.call(NEST, &(depth - 1)).await? };
                Ok::<_, Error>(below + 1)
            }
        })
        .unwrap();
    let depth = tokio::spawn(async move { client.call(NEST, &1000).await });
    assert_eq!(depth.await.unwrap().unwrap(), 1001);
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_time_is_over_does_not_run() {
    let (endpoint, runs) = with_canary(endpoint());
    let past = Instant::now().into_std();
    tokio::time::advance(MS).await;
    let answer = endpoint.door().call(request("CANARY", "x").with_deadline(past));
    assert_eq!(answer.await.unwrap_err().code(), Code::DeadlineExceeded);
    let call = endpoint.client().call(CANARY, &"x".to_owned()).timeout(Duration::ZERO);
    assert_eq!(call.await.unwrap_err().code(), Code::DeadlineExceeded);
    assert_eq!(runs.now(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_door_is_closed_once() {
    let held = Held::new();
    let door = held.on(limited(|limits| limits.drain_time_max = SECOND)).door();
    let mut answer = pin!(door.call(request("HOLD", "x")));
    let begin = Instant::now();
    door.close();
    tokio::time::advance(900 * MS).await;
    door.close();
    let error = answer.as_mut().await.unwrap_err();
    assert_eq!((error.code(), begin.elapsed()), (Code::ShuttingDown, SECOND));
    assert!(error.is_transient() && !error.is_safe_to_retry(), "it may have run");
    assert_eq!(error.fault(), Fault::Callee);
    // Asked once more it is an error, and no panic.
    let polled = answer.poll(&mut TaskContext::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(Err(_))));
}

#[tokio::test(start_paused = true)]
async fn a_client_of_a_channel_that_cannot_be_closed_closes() {
    within(Client::over(Fails).close()).await;
}

#[test]
fn a_client_whose_handlers_are_gone_says_so() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let endpoint = limited(|limits| limits.calls_per_connection_max = usize::MAX);
    let client = runtime.block_on(async { endpoint.client() });
    drop(runtime);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let error = client.call(ADD, &(1, 2)).await.unwrap_err();
        assert_eq!((error.code(), error.is_safe_to_retry()), (Code::Disconnected, true));
        assert!(client.is_closed());
        within(client.closed()).await;
    });
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("on purpose");
        }
    }
}

/// Hands each request on with a value beside it.
struct Armed(Client);

impl Service for Armed {
    fn call(&self, request: Request) -> Answer {
        Service::call(&self.0, request.with_extension(Bomb))
    }
}

impl Channel for Armed {}

#[tokio::test(start_paused = true)]
async fn a_value_beside_a_call_harms_nobody_else() {
    let inner = endpoint().client();
    let armed = Client::over(Armed(inner.clone()));
    let nope = Command::<u32, u32>::new("NOPE");
    assert_eq!(within(armed.call(nope, &1)).await.unwrap_err().code(), Code::Panicked);
    assert_eq!(within(inner.call(ADD, &(1, 2))).await.unwrap(), 3);
}

/// At the end of the stream with a buffer that cannot be charged: the clock would stand still.
#[tokio::test(start_paused = true)]
async fn lingering_ends_when_nothing_can_be_held() {
    let endpoint = endpoint().with_limits(Limits::default().with(|limits| {
        limits.held_bytes_max = 0;
        limits.consecutive_errors_max = 0;
    }));
    let (mut here, there) = transport::memory();
    let served = tokio::spawn(async move { endpoint.serve_stream(there).await });
    let sent = format!("NOPE 1 1\nxNOPE 2 6000\n{}", "x".repeat(6000));
    here.write_all(sent.as_bytes()).await.unwrap();
    here.shutdown().await.unwrap();
    here.read_to_end(&mut Vec::new()).await.unwrap();
    within(served).await.unwrap();
}

/// Cut into pieces or not, what there is memory for is answered.
#[tokio::test(start_paused = true)]
async fn calls_that_come_together_find_memory_one_after_the_other() {
    let calls: Vec<_> = (1..=3).map(|tag| format!("LETTERS {tag} 5 f=json\n19000")).collect();
    for pieces in [calls.clone(), vec![calls.concat()]] {
        let mut peer = peer(&limited(|limits| limits.held_bytes_max = 40_000));
        for piece in pieces {
            peer.send(piece).await;
        }
        for tag in 1..=3 {
            peer.expect(&format!("<{tag} ok 19002\n\"{}\"", "x".repeat(19_000))).await;
        }
    }
}
