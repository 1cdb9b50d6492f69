//! The endpoint that is called.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use switchboard::format::{Bincode, Json};
use switchboard::{Code, Command, Connection, Context, Endpoint, Error, Result, Sender, Streamed};
use switchboard_testing::waiting::Count;
use tokio::time::sleep;

// In bincode, and so in JSON as well.
const CHECK_STOCK: Command<String, u32, Bincode> = Command::new("CheckStock");
const MULTIPLY: Command<Args, i64, Json> = Command::new("Arith.Multiply");
const DIVIDE: Command<Args, Quotient, Json> = Command::new("Arith.Divide");
/// Answers what it was sent, after so many milliseconds.
const SLOW: Command<u64, u64, Json> = Command::new("Arith.Slow");
const SUM: Command<Vec<i64>, i64, Json> = Command::new("SUM");
const ECHO: Command<serde_json::Value, serde_json::Value, Json> = Command::new("ECHO");
const PAIR: Command<Pair, i64, Json> = Command::new("PAIR");
const NOTHING: Command<(), (), Json> = Command::new("NOTHING");
/// Answers so many letters.
const LETTERS: Command<usize, String, Json> = Command::new("LETTERS");
/// Fails with whatever it was sent: a code.
const FAIL: Command<String, (), Json> = Command::new("FAIL");
/// Fails with details and a time.
const BUSY: Command<u32, (), Json> = Command::new("BUSY");
const SECRET: Command<(), (), Json> = Command::new("SECRET");
const PANIC: Command<(), (), Json> = Command::new("PANIC");
/// Answers who calls.
const PEER: Command<(), String, Json> = Command::new("PEER");
const COUNT: Command<u32, Streamed<u32>, Json> = Command::new("COUNT");
const SMALL: Command<String, usize, Json> = Command::new("SMALL").payload_bytes_max(10);
/// Never answers.
const HOLD: Command<(), (), Json> = Command::new("HOLD");
/// Counts that it was called.
const NOTE: Command<u32, (), Json> = Command::new("NOTE");

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Args {
    a: i64,
    b: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Quotient {
    quo: i64,
    rem: i64,
}

#[derive(Serialize, Deserialize)]
struct Pair {
    left: i64,
    right: i64,
}

#[derive(Serialize, Deserialize)]
struct Queue {
    waiting: u32,
}

/// What was done.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    pub(crate) noted: Count,
    pub(crate) held: Count,
    /// Handlers of `HOLD` that were stopped.
    pub(crate) stopped: Count,
}

pub(crate) fn endpoint() -> (Endpoint, Seen) {
    let seen = Seen::default();
    let stock = BTreeMap::from([("item1", 100), ("item2", 50)]);
    let check_stock = move |item: String| {
        let count = stock.get(&*item).copied();
        async move { count.ok_or_else(|| Error::new(Code::NotFound, format!("no {item}"))) }
    };
    let (note, hold) = (seen.clone(), seen.clone());
    let note = move |_: u32| {
        note.noted.add();
        async { Ok::<_, Error>(()) }
    };
    let hold = move |()| {
        hold.held.add();
        let guard = hold.stopped.guard();
        async move {
            std::future::pending::<()>().await;
            drop(guard);
            Ok::<_, Error>(())
        }
    };
    let endpoint = Endpoint::new()
        .on(CHECK_STOCK, check_stock)
        .on(MULTIPLY, async |args: Args| Ok::<_, Error>(args.a.wrapping_mul(args.b)))
        .on(DIVIDE, divide)
        .on(SLOW, slow)
        .on(SUM, async |numbers: Vec<i64>| Ok::<_, Error>(numbers.iter().sum::<i64>()))
        .on(ECHO, async |value: serde_json::Value| Ok::<_, Error>(value))
        .on(PAIR, async |pair: Pair| Ok::<_, Error>(pair.left - pair.right))
        .on(NOTHING, async |()| Ok::<_, Error>(()))
        .on(LETTERS, async |count: usize| Ok::<_, Error>("x".repeat(count)))
        .on(FAIL, async |code: String| Err::<(), _>(Error::new(code.parse().unwrap(), "so it is")))
        .on(BUSY, busy)
        .on(SECRET, async |()| Err::<(), _>("a secret"))
        .on(PANIC, panic)
        .on(PEER, async |(), context: Context| Ok::<_, Error>(context.peer().to_string()))
        .on(COUNT, count)
        .on(SMALL, async |text: String| Ok::<_, Error>(text.len()))
        .on(NOTE, note)
        .on(HOLD, hold)
        .on_raw("STRING", async |caller: &mut Connection| caller.write_line("Thank you.").await);
    (endpoint, seen)
}

async fn divide(args: Args) -> Result<Quotient> {
    if args.b == 0 {
        return Err(Error::new(Code::Failed, "divide by zero"));
    }
    Ok(Quotient { quo: args.a / args.b, rem: args.a % args.b })
}

async fn slow(milliseconds: u64) -> Result<u64> {
    // Real time: another program counts it. Other tests have paused it.
    sleep(Duration::from_millis(milliseconds)).await;
    Ok(milliseconds)
}

async fn busy(waiting: u32) -> Result<()> {
    let error = Error::new(Code::Overloaded, "the queue is full").with_details(Queue { waiting });
    Err(error.with_retry_after(Duration::from_secs(2)))
}

async fn panic((): ()) -> Result<()> {
    panic!("so it goes");
}

async fn count(end: u32, out: Sender<u32>) -> Result<()> {
    for number in 1..=end {
        out.send(&number).await?;
    }
    Ok(())
}
