//! The endpoint that a Go program calls, and the connection to it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use switchboard::format::Gob;
use switchboard::gob::net_rpc;
use switchboard::transport::{self, MemoryStream};
use switchboard::{Code, Command, Connection, Context, Endpoint, Error, Limits, Result};
use switchboard_testing::waiting::within;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::caller::Caller;

const MULTIPLY: Command<Args, i64, Gob> = Command::new("Arith.Multiply");
const DIVIDE: Command<Args, Quotient, Gob> = Command::new("Arith.Divide");
/// Answers what it was sent, after so many milliseconds.
const SLOW: Command<i64, i64, Gob> = Command::new("Arith.Slow");
const COMPLEX: Command<ComplexData, ComplexData, Gob> = Command::new("Echo.Complex");
/// Answers so many letters.
const LETTERS: Command<u64, String, Gob> = Command::new("Echo.Letters");
/// Answers 50,000 letters, after so many milliseconds.
const LATE: Command<u64, String, Gob> = Command::new("Echo.Late");
/// Answers who calls.
const ORIGIN: Command<i64, String, Gob> = Command::new("Echo.Origin");
/// Fails with an error that is not made for the caller.
const BREAK: Command<i64, i64, Gob> = Command::new("Arith.Break");
/// Calls somebody else, for whom this side has no room.
const ASK: Command<i64, i64, Gob> = Command::new("Arith.Ask");
const PANIC: Command<i64, i64, Gob> = Command::new("Arith.Panic");
/// Waits until it is let go, then answers what it was sent.
pub(crate) const HOLD: Command<i64, i64, Gob> = Command::new("Hold.On");

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Args {
    pub(crate) a: i64,
    pub(crate) b: i64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Quotient {
    pub(crate) quo: i64,
    pub(crate) rem: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
pub(crate) struct ComplexData {
    pub(crate) n: i64,
    pub(crate) s: String,
    pub(crate) m: BTreeMap<String, i64>,
    #[serde(with = "serde_bytes")]
    pub(crate) p: Vec<u8>,
    pub(crate) c: Option<Box<Self>>,
}

pub(crate) fn endpoint() -> Endpoint {
    Endpoint::new()
        .on(MULTIPLY, async |args: Args| Ok::<_, Error>(args.a.wrapping_mul(args.b)))
        .on(DIVIDE, divide)
        .on(SLOW, slow)
        .on(COMPLEX, async |data: ComplexData| Ok::<_, Error>(data))
        .on(LETTERS, async |count: u64| Ok::<_, Error>("x".repeat(usize::try_from(count).unwrap())))
        .on(LATE, late)
        .on(ORIGIN, async |_: i64, context: Context| Ok::<_, Error>(context.peer().to_string()))
        .on(BREAK, async |_: i64| Err::<i64, _>("a secret"))
        .on(ASK, ask)
        .on(PANIC, panic)
        .on_raw("STRING", async |caller: &mut Connection| caller.write_line("Thank you.").await)
}

async fn divide(args: Args) -> Result<Quotient> {
    if args.b == 0 {
        return Err(Error::new(Code::Failed, "divide by zero"));
    }
    Ok(Quotient { quo: args.a / args.b, rem: args.a % args.b })
}

async fn ask(number: i64) -> Result<i64> {
    let (here, _there) = transport::memory();
    let limits = Limits::default().with(|limits| limits.held_bytes_max = 1);
    let client = Endpoint::new().with_limits(limits).connect_over(here);
    client.call(Command::<String, (), Gob>::new("ASK"), &"x".repeat(100_000)).await?;
    Ok(number)
}

async fn slow(milliseconds: i64) -> Result<i64> {
    // Real time: the Go program counts it. Other tests have paused it.
    sleep(Duration::from_millis(u64::try_from(milliseconds).unwrap())).await;
    Ok(milliseconds)
}

async fn late(milliseconds: u64) -> Result<String> {
    // Real time: it is paused where this is called.
    sleep(Duration::from_millis(milliseconds)).await;
    Ok("x".repeat(50_000))
}

async fn panic(_: i64) -> Result<i64> {
    panic!("so it goes");
}

/// Handlers that wait to be let go.
#[derive(Default)]
pub(crate) struct Hold {
    waiting: Mutex<BTreeMap<i64, oneshot::Sender<()>>>,
    pub(crate) begun: AtomicUsize,
    stopped: AtomicUsize,
    changed: Notify,
}

impl Hold {
    pub(crate) async fn on(self: Arc<Self>, number: i64) -> Result<i64> {
        let (sender, receiver) = oneshot::channel();
        let guard = Guard(Some(Arc::clone(&self)));
        self.waiting.lock().unwrap().insert(number, sender);
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_waiters();
        receiver.await.unwrap();
        guard.disarm();
        Ok(number)
    }

    pub(crate) fn let_go(&self, number: i64) {
        self.waiting.lock().unwrap().remove(&number).unwrap().send(()).unwrap();
    }

    /// Waits until so many have begun.
    pub(crate) async fn wait_for(&self, count: usize) {
        self.reach(&self.begun, count).await;
    }

    /// Waits until so many were dropped before their end.
    pub(crate) async fn wait_for_stopped(&self, count: usize) {
        self.reach(&self.stopped, count).await;
    }

    async fn reach(&self, counter: &AtomicUsize, count: usize) {
        within(async {
            loop {
                let changed = self.changed.notified();
                if counter.load(Ordering::SeqCst) == count {
                    return;
                }
                changed.await;
            }
        })
        .await;
    }
}

/// Counts a handler that is dropped.
struct Guard(Option<Arc<Hold>>);

impl Guard {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(hold) = &self.0 {
            hold.stopped.fetch_add(1, Ordering::SeqCst);
            hold.changed.notify_waiters();
        }
    }
}

/// A caller, and the `net_rpc` at its other end.
pub(crate) fn dial(endpoint: &Endpoint) -> (Caller<MemoryStream>, JoinHandle<Result<()>>) {
    dial_limited(endpoint, |_| ())
}

/// The same with other limits, for all that there is.
pub(crate) fn dial_limited(
    endpoint: &Endpoint,
    change: impl FnOnce(&mut Limits),
) -> (Caller<MemoryStream>, JoinHandle<Result<()>>) {
    let (here, there) = transport::memory();
    let limits = Limits::default().with(change);
    let door = endpoint.clone().with_limits(limits.clone()).door();
    let ended = tokio::spawn(async move {
        let mut connection = Connection::connect_over(there).with_limits(limits);
        net_rpc(&mut connection, &door).await
    });
    (Caller::new(here), ended)
}
