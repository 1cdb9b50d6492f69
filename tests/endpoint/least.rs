//! A client that does the least that `docs/PROTOCOL.md` asks for, at endpoints that know no better.

use std::time::Duration;

use switchboard::transport::{self, MemoryStream};
use switchboard::{Code, Command, Context, Endpoint, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::support::least_client::{End, LeastClient};
use super::support::*;

fn least(endpoint: &Endpoint) -> LeastClient<MemoryStream> {
    LeastClient::new(dial(endpoint))
}

fn ok(json: &str) -> End {
    End::Ok(json.to_owned())
}

fn failed(code: Code, text: &str) -> End {
    End::Err(code.to_string(), text.to_owned())
}

#[test]
fn it_is_about_a_hundred_lines() {
    let lines = include_str!("support/least_client.rs").lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("//"));
    let count = lines.count();
    assert!((80..=130).contains(&count), "{count} lines");
}

/// Steps 1 to 3.
#[tokio::test(start_paused = true)]
async fn it_calls_and_finds_its_replies_in_whatever_order() {
    let held = Held::new();
    let mut client = least(&held.on(endpoint()));
    let slow = client.call("HOLD", "\"größe\"", None).await.unwrap();
    held.begun.reach(1).await;
    let wrong = client.call("CHECK_STOCK", "\"none\"", None).await.unwrap();
    let unknown = client.call("NOPE", "[]", None).await.unwrap();
    let quick = client.call("ADD", "[1,2]", None).await.unwrap();
    assert_eq!([slow, wrong, unknown, quick], [1, 2, 3, 4]);
    assert_eq!(client.end(quick).await, ok("3"));
    let text = "there is no command NOPE; ? lists them";
    assert_eq!(client.end(unknown).await, failed(Code::UnknownCommand, text));
    assert_eq!(client.end(wrong).await, failed(Code::Failed, "no such item"));
    // The tag is free.
    assert_eq!(client.call("ECHO", "\"a\"", None).await, Some(2));
    assert_eq!(client.end(2).await, ok("\"a\""));
    held.release(1);
    assert_eq!(client.end(slow).await, ok("\"größe\""));
}

/// Step 4: an endpoint that stops says of each call whether it ran.
#[tokio::test(start_paused = true)]
async fn it_knows_what_did_not_run_when_the_endpoint_stops() {
    let held = Held::new();
    let (endpoint, canary) = with_canary(held.on(endpoint()));
    let (listener, dialer) = transport::memory_listener();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(async move { endpoint.serve_until(listener, stopped).await });
    let mut client = LeastClient::new(dialer.dial().await.unwrap());
    let held_call = client.call("HOLD", "\"a\"", None).await.unwrap();
    held.begun.reach(1).await;
    stop.send(()).unwrap();
    settle().await;
    // It has not heard of it yet.
    let refused = client.call("CANARY", "\"b\"", None).await.unwrap();
    settle().await;
    held.release(1);
    settle().await;
    let too_late = client.call("CANARY", "\"c\"", None).await.unwrap();
    assert_eq!(client.end(too_late).await, End::DidNotRun);
    assert_eq!(client.end(held_call).await, ok("\"a\""));
    let text = "no more calls are taken";
    assert_eq!(client.end(refused).await, failed(Code::ShuttingDown, text));
    assert_eq!(client.notice.as_deref(), Some("shutting_down"));
    assert_eq!(client.call("ECHO", "\"d\"", None).await, None);
    drop(client);
    within(serving).await.unwrap().unwrap();
    assert_eq!(canary.now(), 0);
}

/// Step 4: without the farewell nobody knows.
#[tokio::test(start_paused = true)]
async fn it_is_in_doubt_when_the_endpoint_is_gone() {
    let held = Held::new();
    let endpoint = held.on(endpoint());
    let (here, there) = transport::memory();
    let serving = tokio::spawn(async move { endpoint.serve_stream(there).await });
    let mut client = LeastClient::new(here);
    let call = client.call("HOLD", "\"a\"", None).await.unwrap();
    held.begun.reach(1).await;
    serving.abort();
    assert_eq!(client.end(call).await, End::InDoubt);
}

/// Step 5: it has no commands, and says so to who waits for an answer.
#[tokio::test(start_paused = true)]
async fn it_answers_the_calls_of_its_peer() {
    async fn ask_back(text: String, context: Context) -> Result<String> {
        let caller = context.client();
        caller.notify(ECHO, &text).await?;
        // Given up at once: the cancel crosses the answer.
        let given_up = caller.call(ECHO, &text).timeout(MS).await.unwrap_err();
        assert!(matches!(given_up.code(), Code::UnknownCommand | Code::DeadlineExceeded));
        Ok(caller.call(ADD, &(1, 2)).await.unwrap_err().code().to_string())
    }
    const ASK_BACK: Command<String, String> = Command::new("ASK_BACK");
    let mut client = least(&endpoint().on(ASK_BACK, ask_back));
    let call = client.call("ASK_BACK", "\"two\"", None).await.unwrap();
    sleep(2 * MS).await;
    assert_eq!(client.end(call).await, ok("\"unknown_command\""));
    let call = client.call("ECHO", "\"a\"", None).await.unwrap();
    assert_eq!(client.end(call).await, ok("\"a\""));
}

/// Step 5: what no endpoint of today says.
#[tokio::test(start_paused = true)]
async fn it_ignores_items_and_closes_at_a_plain_call() {
    let (here, mut there) = transport::memory();
    let mut client = LeastClient::new(here);
    let call = client.call("ECHO", "\"a\"", None).await.unwrap();
    let sent =
        "NOTE 0 3\nabcASK 7 3\nabc>7 item 3\n>1\n>7 end\n<1 ok 3 colour=red\n\"a\"STRING\nx\n";
    there.write_all(sent.as_bytes()).await.unwrap();
    assert_eq!(client.end(call).await, ok("\"a\""));
    assert!(!client.step().await, "it has closed");
    let mut heard = String::new();
    within(there.read_to_string(&mut heard)).await.unwrap();
    assert_eq!(heard, "ECHO 1 3 f=json\n\"a\"<7 err 0 unknown_command\n");
}

/// Step 6.
#[tokio::test(start_paused = true)]
async fn it_keeps_an_idle_connection_by_pings() {
    let mut client = least(&endpoint());
    for _ in 0..5 {
        sleep(Duration::from_secs(200)).await;
        let ping = client.ping().await.unwrap();
        assert_eq!(client.end(ping).await, ok(""));
    }
    sleep(Duration::from_secs(400)).await;
    while client.step().await {}
    assert_eq!(client.notice.as_deref(), Some("shutting_down"));
}

/// Step 7.
#[tokio::test(start_paused = true)]
async fn it_has_deadlines_and_gives_up() {
    let held = Held::new();
    let mut client = least(&held.on(endpoint()));
    let late = client.call("HOLD", "\"a\"", Some(SECOND)).await.unwrap();
    let text = "the handler did not answer in time";
    assert_eq!(client.end(late).await, failed(Code::DeadlineExceeded, text));
    let given_up = client.call("HOLD", "\"b\"", None).await.unwrap();
    assert_eq!(client.end_within(given_up, SECOND).await, None);
    // Its tag is in use until its reply has come.
    assert_eq!(client.call("ECHO", "\"c\"", None).await, Some(given_up + 1));
    assert_eq!(client.end(given_up).await, failed(Code::Cancelled, "the caller cancelled"));
    assert_eq!(client.end(given_up + 1).await, ok("\"c\""));
    held.ended.reach(2).await;
    assert_eq!(client.call("ECHO", "\"d\"", None).await, Some(given_up));
    assert_eq!(client.end(given_up).await, ok("\"d\""));
}
