//! Streamed calls of a client that connects anew: those that go on where they were, and those that
//! cannot.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use switchboard::{Code, Command, Context, Endpoint, Error, Receiver, Sender, Streamed};
use tokio::time::{Instant, sleep};

use super::reconnect::Host;
use super::support::*;

/// The lines of a log, for ever.
const FOLLOW: Command<(), Streamed<u64>> = Command::new("FOLLOW").resumable();
/// The same, and it cannot go on.
const WATCH: Command<(), Streamed<u64>> = Command::new("WATCH");
/// It may run twice, and cannot go on.
const TWICE: Command<(), Streamed<u64>> = Command::new("TWICE").idempotent();
/// Counts what it is sent.
const COUNT: Command<Streamed<u64>, u64> = Command::new("COUNT").idempotent();

/// A log: the positions that are there, and a server that is lost behind so many items.
#[derive(Clone)]
struct Log {
    there: Arc<Mutex<Range<u64>>>,
    begun: Count,
}

impl Log {
    fn new(there: Range<u64>) -> Self {
        Self { there: Arc::new(Mutex::new(there)), begun: Count::default() }
    }

    fn endpoint(&self) -> Endpoint {
        let (log, twice) = (self.clone(), self.clone());
        let begun = self.begun.clone();
        endpoint()
            .on(FOLLOW, move |(): (), out: Sender<u64>, context: Context| {
                let log = log.clone();
                async move { log.follow(out, context.resume_at()).await }
            })
            .on(WATCH, async |(): (), out: Sender<u64>| {
                for number in 0.. {
                    out.send(&number).await?;
                    sleep(SECOND).await;
                }
                Ok::<_, Error>(())
            })
            .on(TWICE, move |(): (), out: Sender<u64>| {
                let begun = twice.begun.clone();
                async move {
                    begun.add();
                    sleep(SECOND).await;
                    out.send(&7).await
                }
            })
            .on(COUNT, move |(): (), items: Receiver<u64>| count(items, begun.clone()))
    }

    async fn follow(&self, out: Sender<u64>, resume_at: Option<u64>) -> Result<(), Error> {
        self.begun.add();
        let there = self.there.lock().unwrap().clone();
        let mut position = resume_at.unwrap_or(there.start);
        if !(there.start..=there.end).contains(&position) {
            return Err(Error::no_such_position(there));
        }
        out.open_at(position);
        loop {
            if !self.there.lock().unwrap().contains(&position) {
                return Ok(());
            }
            out.send(&position).await?;
            position += 1;
            sleep(SECOND).await;
        }
    }
}

async fn count(mut items: Receiver<u64>, begun: Count) -> Result<u64, Error> {
    begun.add();
    let mut sum = 0;
    while let Some(item) = items.next().await? {
        sum += item;
    }
    Ok(sum)
}

#[tokio::test(start_paused = true)]
async fn a_stream_goes_on_where_it_was_over_each_restart() {
    let log = Log::new(100..200);
    let host = Host::default();
    host.up(&log.endpoint());
    let client = host.reconnect().client();
    let mut lines = client.call(FOLLOW, &());
    let mut expected = 100;
    while let Some(line) = within(lines.next()).await {
        assert_eq!((line.unwrap(), lines.position()), (expected, Some(expected)));
        expected += 1;
        if expected % 7 == 0 {
            host.kill();
            settle().await;
            host.up(&log.endpoint());
        }
    }
    assert_eq!(expected, 200);
    lines.finish().await.unwrap();
    assert_eq!(log.begun.now(), 15);
}

#[tokio::test(start_paused = true)]
async fn a_stream_waits_for_as_long_as_it_takes() {
    let log = Log::new(0..20);
    let host = Host::default();
    let client = host.reconnect().client();
    // It waits for its server from the beginning, however long that takes.
    let mut lines = client.call(FOLLOW, &());
    let first = tokio::spawn(async move { (lines.next().await, lines) });
    sleep(600 * SECOND).await;
    host.up(&log.endpoint());
    let (first, mut lines) = within(first).await.unwrap();
    assert_eq!(first.unwrap().unwrap(), 0);
    host.kill();
    let next = tokio::spawn(async move { (lines.next().await, lines) });
    sleep(600 * SECOND).await;
    assert!(!next.is_finished());
    host.up(&log.endpoint());
    let (next, mut lines) = within(next).await.unwrap();
    assert_eq!(next.unwrap().unwrap(), 1);
    // But not beyond its own deadline.
    host.kill();
    let begun = Instant::now();
    let error = client.call(FOLLOW, &()).timeout(SECOND).next().await.unwrap().unwrap_err();
    assert_eq!((begun.elapsed(), error.code()), (SECOND, Code::DeadlineExceeded));
    // Nor when the client is closed.
    client.close().await;
    let error = within(lines.next()).await.unwrap().unwrap_err();
    assert_eq!(error.text(), "the client is closed");
}

#[tokio::test(start_paused = true)]
async fn what_is_trimmed_meanwhile_is_told() {
    let log = Log::new(100..200);
    let host = Host::default();
    host.up(&log.endpoint());
    let client = host.reconnect().client();
    let mut lines = client.call(FOLLOW, &());
    assert_eq!(lines.next().await.unwrap().unwrap(), 100);
    host.kill();
    *log.there.lock().unwrap() = 150..200;
    host.up(&log.endpoint());
    let error = within(lines.next()).await.unwrap().unwrap_err();
    assert_eq!((error.code(), error.positions()), (Code::NotFound, Some(150..200)));
    // It is an end as any other: the same error once more, and no item.
    assert!(lines.next().await.is_none());
    assert_eq!(lines.finish().await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_cannot_go_on_ends() {
    let log = Log::new(0..1);
    let host = Host::default();
    host.up(&log.endpoint());
    let client = host.reconnect().client();
    let mut numbers = client.call(WATCH, &());
    assert_eq!(numbers.next().await.unwrap().unwrap(), 0);
    host.kill();
    host.up(&log.endpoint());
    let error = within(numbers.next()).await.unwrap().unwrap_err();
    assert_eq!((error.code(), error.is_safe_to_retry()), (Code::Disconnected, false));

    // Before its first item it is made again if it may run twice.
    let mut numbers = client.call(TWICE, &());
    let first = tokio::spawn(async move { (numbers.next().await, numbers) });
    log.begun.reach(1).await;
    host.kill();
    host.up(&log.endpoint());
    let (first, mut numbers) = within(first).await.unwrap();
    assert_eq!((first.unwrap().unwrap(), log.begun.now()), (7, 2));
    assert!(within(numbers.next()).await.is_none());

    // One whose items go up is not: those that were taken are gone.
    let mut sum = client.call(COUNT, &());
    sum.send(&1).await.unwrap();
    log.begun.reach(3).await;
    host.kill();
    host.up(&log.endpoint());
    let error = within(sum.finish()).await.unwrap_err();
    assert_eq!((error.code(), error.is_safe_to_retry()), (Code::Disconnected, false));
    // But it waits for a connection to begin.
    host.kill();
    settle().await;
    let mut sum = client.call(COUNT, &());
    let sending = tokio::spawn(async move {
        sum.send(&1).await?;
        sum.finish().await
    });
    settle().await;
    host.up(&log.endpoint());
    assert_eq!(within(sending).await.unwrap().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn repeats_of_a_stream_that_comes_nowhere_are_bounded() {
    // Each attempt is lost before its first item.
    let host = Host::default();
    let begun = Count::default();
    let counts = begun.clone();
    let killer = host.clone();
    let lost = Endpoint::new().on(TWICE, move |(): (), _: Sender<u64>| {
        counts.add();
        killer.kill();
        std::future::pending::<Result<(), Error>>()
    });
    host.up(&lost);
    let client = host.reconnect().repeats_max(5).client();
    let call = client.call(TWICE, &());
    let ended = tokio::spawn(call.finish());
    while !ended.is_finished() {
        host.up(&lost);
        sleep(MS).await;
    }
    assert_eq!(ended.await.unwrap().unwrap_err().code(), Code::Disconnected);
    assert_eq!(begun.now(), 6);
}
