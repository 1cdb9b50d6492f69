//! The library's own client, run through the cases.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde_json::{Value, json};
use switchboard::format::Json;
use switchboard::service::{Request, Service};
use switchboard::{Client, Code, Command, Error, Streamed};

use crate::Result;
use crate::cases::{Call, Case};

type End = Pin<Box<dyn Future<Output = std::result::Result<(), String>> + Send>>;

/// So long a call may take that says nothing of it.
const TIME_MAX: Duration = Duration::from_secs(20);

/// Prints a line for each case; how many have failed.
pub(crate) async fn run(address: &str, cases: &[Case]) -> Result<usize> {
    let mut failed = Vec::new();
    for case in cases {
        match run_case(address, case).await? {
            Ok(()) => println!("ok {}", case.name),
            Err(problem) => {
                println!("FAILED {}\n  {problem}", case.name);
                failed.push(&case.name);
            }
        }
    }
    Ok(failed.len())
}

async fn run_case(address: &str, case: &Case) -> Result<std::result::Result<(), String>> {
    let client = Client::connect(address).await?;
    let mut under_way = Vec::new();
    for call in case.calls.iter().flat_map(Call::repeated) {
        let end: End = Box::pin(check(client.clone(), call));
        let end = tokio::spawn(end);
        if case.together {
            under_way.push(end);
        } else if let Err(problem) = end.await? {
            return Ok(Err(problem));
        }
    }
    for end in under_way {
        if let Err(problem) = end.await? {
            return Ok(Err(problem));
        }
    }
    Ok(Ok(()))
}

/// Makes a call; says so if it ends otherwise than it should.
async fn check(client: Client, call: Call) -> std::result::Result<(), String> {
    let mut items = Vec::new();
    let end = match &call.stream {
        None => one(&client, &call).await,
        Some(name) => streamed(&client, name, &call, &mut items).await,
    };
    let is_right = match &end {
        Ok(value) => call.err.is_empty() && *value == call.ok,
        Err(error) => !call.err.is_empty() && is_as(error, &call),
    };
    let wanted = call.items.as_ref().unwrap_or(&Value::Null);
    if is_right && (call.stream.is_none() || *wanted == Value::from(items)) {
        return Ok(());
    }
    let short: String = format!("{call:?}").chars().take(300).collect();
    let got: String = format!("{end:?}").chars().take(300).collect();
    Err(format!("{short}\n  gives {got}"))
}

async fn one(client: &Client, call: &Call) -> switchboard::Result<Value> {
    if call.name() == "?PING" {
        // It answers nothing, which no JSON is.
        let reply = Service::call(client, Request::new("?PING", "")?).await?;
        return Ok(if reply.payload().is_empty() { Value::Null } else { json!("not empty") });
    }
    let mut calling = client.call_json(call.name(), &call.payload).timeout(time(call));
    for (key, value) in &call.metadata {
        calling = calling.metadata(key, value);
    }
    calling.await
}

async fn streamed(
    client: &Client,
    name: &str,
    call: &Call,
    items: &mut Vec<Value>,
) -> switchboard::Result<Value> {
    // Names of commands last as long as the program.
    let name: &'static str = name.to_owned().leak();
    let command = Command::<Value, Streamed<Value, Value>, Json>::new(name);
    let mut stream = client.call(command, &call.payload).timeout(time(call));
    while call.take != Some(items.len()) {
        match stream.next().await {
            Some(item) => items.push(item?),
            None => return stream.finish().await,
        }
    }
    Ok(Value::Null)
}

fn time(call: &Call) -> Duration {
    call.timeout_ms.map_or(TIME_MAX, Duration::from_millis)
}

fn is_as(error: &Error, call: &Call) -> bool {
    // Only of these two the library says that calling again is safe.
    let is_plain = matches!(error.code(), Code::Overloaded | Code::ShuttingDown);
    call.err.iter().all(|(key, wanted)| match key.as_str() {
        "code" => *wanted == error.code_word(),
        "message" => *wanted == error.text(),
        "details" => {
            let details = error.details::<Value>().and_then(switchboard::Result::ok);
            *wanted == details.unwrap_or_default()
        }
        "retry_ms" => {
            let time = error.retry_after().map(|time| u64::try_from(time.as_millis()));
            time.and_then(std::result::Result::ok) == wanted.as_u64()
        }
        _ if *wanted == json!(true) => !error.is_safe_to_retry(),
        _ => !is_plain || error.is_safe_to_retry(),
    })
}
