//! The client of an endpoint's own handlers: as any other caller, without a stream.

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::thread::{self, Thread};

use switchboard::format::Line;
use switchboard::{Client, Code, Command, Context, Endpoint, Error, Result};

use super::support::*;

const FAIL: Command<String, String, Line> = Command::new("FAIL");
const NUMBER: Command<u32, ()> = Command::new("NUMBER");
const AGAIN: Command<u32, u32> = Command::new("AGAIN");

async fn fail(text: String) -> Result<String> {
    match text.as_str() {
        "author" => Err(Error::new(Code::Denied, "only for friends\u{1b}")),
        "foreign" => Err(std::io::Error::other("a secret").into()),
        "overloaded" => Err(Error::new(Code::Overloaded, "by its author")),
        "disconnected" => Err(Error::new(Code::Disconnected, "somebody else")),
        "panic" => panic!("on purpose"),
        _ => Ok("x".repeat(200)),
    }
}

/// Whatever goes wrong reads the same as over a connection.
#[tokio::test(start_paused = true)]
async fn errors_are_those_of_a_connection() {
    let endpoint = limited(|limits| limits.payload_bytes_max = 150).on(FAIL, fail);
    let near = endpoint.client();
    let far = Endpoint::new().connect_over(dial(&endpoint));
    for text in ["author", "foreign", "overloaded", "disconnected", "panic", "large"] {
        let text = text.to_owned();
        let (near, far) = (near.call(FAIL, &text).await, far.call(FAIL, &text).await);
        check_alike(&text, &near.unwrap_err(), &far.unwrap_err());
    }
    let nope = Command::<u32, u32>::new("NOPE");
    check_alike(
        "nope",
        &near.call(nope, &1).await.unwrap_err(),
        &far.call(nope, &1).await.unwrap_err(),
    );
    let bad = Command::<u8, u32>::new("ADD");
    check_alike(
        "bad",
        &near.call(bad, &1).await.unwrap_err(),
        &far.call(bad, &1).await.unwrap_err(),
    );
    let raw = Command::<String, String, Line>::new("STRING");
    let text = String::new();
    check_alike(
        "raw",
        &near.call(raw, &text).await.unwrap_err(),
        &far.call(raw, &text).await.unwrap_err(),
    );
}

#[track_caller]
fn check_alike(what: &str, near: &Error, far: &Error) {
    assert_eq!(format!("{near:?}"), format!("{far:?}"), "{what}");
    assert_eq!(near.is_safe_to_retry(), far.is_safe_to_retry(), "{what}");
}

#[tokio::test(start_paused = true)]
async fn calls_are_bounded_stopped_and_ended() {
    let held = Held::new();
    let client = held.on(limited(|limits| limits.calls_per_connection_max = 2)).client();
    let text = "x".to_owned();
    let one = tokio::spawn(client.call(HOLD, &text).timeout(SECOND));
    let other = tokio::spawn(client.call(HOLD, &text));
    held.begun.reach(2).await;
    let error = client.call(ECHO, &text).await.unwrap_err();
    assert_eq!((error.code(), error.is_safe_to_retry()), (Code::Overloaded, true));
    // A call without reply that does not run is not lost in silence.
    let error = client.notify(ECHO, &text).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "ECHO: the peer answered overloaded: \
                                   calls_per_connection_max (2) are running"
    );
    other.abort();
    held.ended.reach(1).await;
    let begin = tokio::time::Instant::now();
    let error = one.await.unwrap().unwrap_err();
    assert_eq!((error.code(), begin.elapsed()), (Code::DeadlineExceeded, SECOND));
    held.ended.reach(2).await;
    assert_eq!(client.call(ECHO, &text).await.unwrap(), "x");
}

#[tokio::test(start_paused = true)]
async fn a_client_closes_and_its_calls_finish() {
    let held = Held::new();
    let endpoint = held.on(endpoint());
    let client = endpoint.client();
    let text = "x".to_owned();
    let call = tokio::spawn(client.call(HOLD, &text));
    held.begun.reach(1).await;
    let closing = tokio::spawn(client.clone().close());
    settle().await;
    assert!(client.is_closed() && !closing.is_finished());
    let error = client.call(ECHO, &text).await.unwrap_err();
    assert_eq!((error.code(), error.is_safe_to_retry()), (Code::ShuttingDown, true));
    held.release(1);
    assert_eq!(call.await.unwrap().unwrap(), "x");
    within(closing).await.unwrap();
    // Another client of the endpoint is not closed with it.
    assert_eq!(endpoint.client().call(ECHO, &text).await.unwrap(), "x");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_without_reply_begin_in_order() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    let endpoint = Endpoint::new().on(NUMBER, move |number: u32| {
        let kept = Arc::clone(&kept);
        async move {
            kept.lock().unwrap().push(number);
            tokio::task::yield_now().await;
            Ok::<_, Error>(())
        }
    });
    let client = endpoint.client();
    for number in 0..1000 {
        client.notify(NUMBER, &number).await.unwrap();
    }
    assert_eq!(*seen.lock().unwrap(), Vec::from_iter(0..1000));
}

/// Each call is made by the handler of the one before, and none on the stack of another.
#[tokio::test]
async fn handlers_that_call_one_another_do_not_nest() {
    let holder = Arc::new(Mutex::new(None::<Client>));
    let kept = Arc::clone(&holder);
    let endpoint = Endpoint::new().on(AGAIN, move |depth: u32| {
        let client = kept.lock().unwrap().clone().unwrap();
        async move {
            if depth == 0 {
                Ok(0)
            } else {
                Ok::<_, Error>(client.call(AGAIN, &(depth - 1)).await? + 1)
            }
        }
    });
    *holder.lock().unwrap() = Some(endpoint.client());
    let client = endpoint.client();
    assert_eq!(client.call(AGAIN, &1000).await.unwrap(), 1000);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_called_back() {
    let endpoint = endpoint().on(FAIL, async |text: String, context: Context| {
        assert_eq!(context.peer().to_string(), "memory");
        let error = context.client().call(ECHO, &text).await.unwrap_err();
        Ok::<_, Error>(error.code().to_string())
    });
    assert_eq!(endpoint.client().call(FAIL, &"x".to_owned()).await.unwrap(), "unknown_command");
}

/// Wakes a thread that waits for a future.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[test]
fn a_caller_may_be_in_no_runtime() {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).enable_all().build().unwrap();
    let held = Held::new();
    let client = runtime.block_on(async { held.on(endpoint()).client() });
    held.release(1);
    let text = "x".to_owned();
    let mut call = pin!(client.call(HOLD, &text));
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let reply = loop {
        match call.as_mut().poll(&mut TaskContext::from_waker(&waker)) {
            Poll::Ready(reply) => break reply,
            Poll::Pending => thread::park(),
        }
    };
    assert_eq!(reply.unwrap(), "x");
    // Its handlers' runtime is gone.
    drop(runtime);
    let mut call = pin!(client.call(ECHO, &text));
    let Poll::Ready(reply) = call.as_mut().poll(&mut TaskContext::from_waker(&waker)) else {
        panic!("it waits for nobody");
    };
    assert_eq!(reply.unwrap_err().code(), Code::Disconnected);
}
