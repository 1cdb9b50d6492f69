//! The commands that the cases call. Each connection has an endpoint of its own, so that no two
//! clients see what the other one does.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use switchboard::format::Json;
use switchboard::{Code, Command, Context, Endpoint, Error, Result, Sender, Streamed, with_state};
use tokio::sync::watch;

const ECHO: Command<Value, Value, Json> = Command::new("ECHO");
const ADD: Command<(i64, i64), i64, Json> = Command::new("ADD");
/// Answers so many letters, even more than others take.
const LETTERS: Command<usize, String, Json> =
    Command::new("LETTERS").payload_bytes_max(16 * 1024 * 1024);
/// Fails as it is told.
const FAIL: Command<Failure, (), Json> = Command::new("FAIL");
/// Answers the metadata of this key that came with the call.
const METADATA: Command<String, Option<String>, Json> = Command::new("METADATA");
/// Never answers.
const STALL: Command<(), (), Json> = Command::new("STALL");
/// Answers when so many handlers of `STALL`, `SILENT` and `FOREVER` were stopped.
const STOPPED: Command<usize, usize, Json> = Command::new("STOPPED");
/// Answers its number when that of the other call has been answered.
const IN_TURN: Command<Turn, u64, Json> = Command::new("IN_TURN");
const COUNT: Command<u64, Streamed<u64, u64>, Json> = Command::new("COUNT");
/// Counts so far, and fails.
const FAIL_AFTER: Command<u64, Streamed<u64>, Json> = Command::new("FAIL_AFTER");
/// Counts until it is stopped.
const FOREVER: Command<(), Streamed<u64>, Json> = Command::new("FOREVER");
/// Neither sends an item nor ends.
const SILENT: Command<(), Streamed<u64>, Json> = Command::new("SILENT");

#[derive(Deserialize, Serialize)]
struct Failure {
    code: String,
    message: String,
    details: Option<Value>,
    retry_ms: Option<u64>,
}

#[derive(Deserialize, Serialize)]
struct Turn {
    number: u64,
    after: Option<u64>,
}

/// What the handlers of one connection have done.
#[derive(Default)]
struct Seen {
    stopped: watch::Sender<usize>,
    answered: watch::Sender<BTreeSet<u64>>,
}

/// Counts, when it is dropped, that a handler was stopped.
struct Stopping(Arc<Seen>);

impl Drop for Stopping {
    fn drop(&mut self) {
        self.0.stopped.send_modify(|count| *count = count.saturating_add(1));
    }
}

pub(crate) fn endpoint() -> Endpoint {
    let seen = Arc::new(Seen::default());
    Endpoint::new()
        .on(ECHO, async |value: Value| Ok::<_, Error>(value))
        .on(ADD, async |(one, other): (i64, i64)| Ok::<_, Error>(one.saturating_add(other)))
        .on(LETTERS, async |count: usize| Ok::<_, Error>("a".repeat(count.min(8_000_000))))
        .on(FAIL, fail)
        .on(METADATA, async |key: String, context: Context| {
            Ok::<_, Error>(context.metadata().get(&key).map(String::from))
        })
        .on(STALL, with_state(&seen, Seen::stall))
        .on(STOPPED, with_state(&seen, Seen::stopped))
        .on(IN_TURN, with_state(&seen, Seen::in_turn))
        .on(COUNT, count)
        .on(FAIL_AFTER, async |end: u64, out: Sender<u64>| -> Result<()> {
            count(end, out).await?;
            Err(Error::new(Code::Conflict, "enough"))
        })
        .on(FOREVER, with_state(&seen, Seen::forever))
        .on(SILENT, with_state(&seen, Seen::silent))
}

async fn fail(failure: Failure) -> Result<()> {
    let code = failure.code.parse().unwrap_or(Code::Failed);
    let mut error = Error::new(code, failure.message);
    if let Some(details) = failure.details {
        error = error.with_details(details);
    }
    if let Some(time) = failure.retry_ms {
        error = error.with_retry_after(Duration::from_millis(time));
    }
    Err(error)
}

async fn count(end: u64, out: Sender<u64>) -> Result<u64> {
    for number in 1..=end {
        out.send(&number).await?;
    }
    Ok(end)
}

impl Seen {
    async fn stall(self: Arc<Self>, _: ()) -> Result<()> {
        let _stopping = Stopping(self);
        std::future::pending().await
    }

    async fn silent(self: Arc<Self>, _: (), _out: Sender<u64>) -> Result<()> {
        self.stall(()).await
    }

    async fn forever(self: Arc<Self>, _: (), out: Sender<u64>) -> Result<()> {
        let _stopping = Stopping(self);
        count(u64::MAX, out).await.map(drop)
    }

    async fn stopped(self: Arc<Self>, count: usize) -> Result<usize> {
        let stopped = self.stopped.subscribe().wait_for(|stopped| *stopped >= count).await.is_ok();
        Ok(if stopped { count } else { 0 })
    }

    async fn in_turn(self: Arc<Self>, turn: Turn) -> Result<u64> {
        if let Some(other) = turn.after {
            let mut answered = self.answered.subscribe();
            answered.wait_for(|done| done.contains(&other)).await.map_err(Error::internal)?;
        }
        self.answered.send_modify(|done| done.extend([turn.number]));
        Ok(turn.number)
    }
}
