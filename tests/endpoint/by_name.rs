//! Calls of commands that are known by their names alone: JSON goes there, and JSON comes back.

use serde_json::{Value, json};
use switchboard::format::Json;
use switchboard::service::{Request, Service};
use switchboard::{Client, Code, Command, Context, Result, Sender, Streamed};

use super::support::*;

const TENANT: Command<(), String, Json> = Command::new("TENANT");
const COUNT: Command<u32, Streamed<u32, ()>, Json> = Command::new("COUNT");
const WAIT: Command<(), (), Json> = Command::new("WAIT");

async fn tenant(_: (), context: Context) -> Result<String> {
    Ok(context.metadata().get("tenant-id").unwrap_or_default().into_owned())
}

async fn count(_: u32, _: Sender<u32>) -> Result<()> {
    Ok(())
}

async fn wait(_: ()) -> Result<()> {
    std::future::pending().await
}

/// Over a connection, in process, and behind another channel.
fn clients() -> [Client; 3] {
    let endpoint = limited(|limits| limits.payload_bytes_max = 200);
    let endpoint = endpoint.on(TENANT, tenant).on(COUNT, count).on(WAIT, wait);
    let (far, near) = (client(&endpoint), endpoint.client());
    let front = Client::over(Through(near.clone()));
    [far, near, front]
}

/// By any way, a call of `command` with this gives that, or fails with this code.
async fn check(command: &str, request: Value, expected: std::result::Result<Value, Code>) {
    for client in clients() {
        let result = within(client.call_json(command, &request)).await;
        let result = result.map_err(|error| error.code());
        assert_eq!(result, expected, "{command} {request} by {client:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_command_takes_and_gives_json_whatever_its_format() {
    check("ADD", json!([1, 2]), Ok(json!(3))).await;
    check("ECHO", json!("ab"), Ok(json!("ab"))).await;
    check("LETTERS", json!(3), Ok(json!("xxx"))).await;
    check("TENANT", json!(null), Ok(json!(""))).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_is_said() {
    check("NOPE", json!(1), Err(Code::UnknownCommand)).await;
    check("A B", json!(1), Err(Code::UnknownCommand)).await;
    check("", json!(1), Err(Code::UnknownCommand)).await;
    check("ADD", json!([1, "2"]), Err(Code::BadPayload)).await;
    check("COUNT", json!(1), Err(Code::UnsupportedFormat)).await;
    check("STRING", json!(1), Err(Code::UnsupportedFormat)).await;
    check("LETTERS", json!(1000), Err(Code::TooLarge)).await;
    check("ECHO", json!("x".repeat(300)), Err(Code::TooLarge)).await;
}

/// A name that none can have is a mistake on this side, and the text says whose.
#[tokio::test(start_paused = true)]
async fn a_name_that_is_none_is_not_sent() {
    for client in clients() {
        let error = client.call_json("A\nB", &Value::Null).await.unwrap_err();
        let text = "call_json: unknown_command: no command can have this name";
        assert_eq!((error.to_string().as_str(), error.was_sent()), (text, false));
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_a_call_as_any_other() {
    for client in clients() {
        let call = client.call_json("TENANT", &Value::Null).metadata("tenant-id", "42");
        assert_eq!(within(call).await.unwrap(), "42");

        let error = client.call_json("WAIT", &Value::Null).timeout(MS).await.unwrap_err();
        assert_eq!(error.code(), Code::DeadlineExceeded);
    }
}

/// A payload that is there already, in a format that is named.
#[tokio::test(start_paused = true)]
async fn a_request_is_the_call_of_any_format() {
    for client in clients() {
        let request = Request::new("ECHO", "hello").unwrap().with_format("line").unwrap();
        let reply = within(Service::call(&client, request)).await.unwrap();
        assert_eq!(reply.payload(), b"hello");
    }
}
