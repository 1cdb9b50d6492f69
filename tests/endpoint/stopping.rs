//! What handlers are told of their end, and what outlives them.

use std::sync::Arc;

use switchboard::service::{Request, Service};
use switchboard::{Code, Command, Context, Endpoint, Error, Limits, Sender, Streamed, transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep};

use super::items::clients_of;
use super::support::*;

/// Waits until it is stopped, and leaves somebody who tells when.
const WAIT: Command<(), ()> = Command::new("WAIT");
/// Ticks until it is stopped, as it would not end by itself.
const TICK: Command<(), Streamed<u64>> = Command::new("TICK").endless();
/// Ticks until it learns of a drain.
const COUNT: Command<(), Streamed<u64, String>> = Command::new("COUNT");
/// Leaves work behind that takes a while.
const LEAVE: Command<u64, ()> = Command::new("LEAVE");

async fn tick((): (), out: Sender<u64>) -> Result<(), Error> {
    for tick in 0.. {
        out.send(&tick).await?;
        sleep(SECOND).await;
    }
    Ok(())
}

async fn count((): (), out: Sender<u64>, context: Context) -> Result<String, Error> {
    let mut draining = std::pin::pin!(context.draining());
    for tick in 0.. {
        out.send(&tick).await?;
        tokio::select! {
            () = &mut draining => break,
            () = sleep(SECOND) => {}
        }
    }
    Ok("drained".to_owned())
}

/// An endpoint, what has been cancelled on it, and what was left running and is done.
fn stopping() -> (Endpoint, Count, Count) {
    let (cancelled, done) = (Count::default(), Count::default());
    let (cancels, dones) = (cancelled.clone(), done.clone());
    let endpoint = endpoint()
        .on(WAIT, move |(): (), context: Context| {
            let cancels = cancels.clone();
            async move {
                let cancelled = context.cancelled();
                tokio::spawn(async move {
                    cancelled.await;
                    cancels.add();
                });
                std::future::pending::<Result<(), Error>>().await
            }
        })
        .on(TICK, tick)
        .on(COUNT, count)
        .on(LEAVE, move |seconds: u64, context: Context| {
            let dones = dones.clone();
            context.spawn(async move {
                sleep(SECOND * u32::try_from(seconds).unwrap()).await;
                dones.add();
            });
            async { Ok::<_, Error>(()) }
        });
    (endpoint, cancelled, done)
}

#[tokio::test(start_paused = true)]
async fn whatever_goes_on_beside_a_handler_learns_that_nobody_waits() {
    let (endpoint, cancelled, _) = stopping();
    let mut expected = 0;
    for client in clients_of(&endpoint) {
        // Dropped.
        let call = tokio::spawn(client.call(WAIT, &()).into_future());
        settle().await;
        assert_eq!(cancelled.now(), expected);
        call.abort();
        expected += 1;
        cancelled.reach(expected).await;
        // Late.
        let error = client.call(WAIT, &()).timeout(SECOND).await.unwrap_err();
        assert_eq!(error.code(), Code::DeadlineExceeded);
        expected += 1;
        cancelled.reach(expected).await;
    }
    // The connection is lost.
    let (here, there) = transport::memory();
    let serving = {
        let endpoint = endpoint.clone();
        tokio::spawn(async move { endpoint.serve_stream(there).await })
    };
    let client = Endpoint::new().connect_over(here);
    let call = tokio::spawn(client.call(WAIT, &()).into_future());
    settle().await;
    serving.abort();
    cancelled.reach(expected + 1).await;
    assert_eq!(call.await.unwrap().unwrap_err().code(), Code::Disconnected);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_call_that_has_its_answer() {
    const SEND: Command<(), ()> = Command::new("SEND");
    let (contexts, mut sent) = mpsc::unbounded_channel();
    let endpoint = endpoint().on(SEND, move |(): (), context: Context| {
        contexts.send((context.cancelled(), context)).unwrap();
        async { Ok::<_, Error>(()) }
    });
    for client in clients_of(&endpoint) {
        client.call(SEND, &()).await.unwrap();
        let (cancelled, context) = sent.recv().await.unwrap();
        within(cancelled).await;
        // And so learns whoever asks then.
        within(context.cancelled()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_is_told_and_ends_what_has_no_end_of_its_own() {
    for is_plain in [false, true] {
        let (endpoint, ..) = stopping();
        let (listener, dialer) = transport::memory_listener();
        let stop = Arc::new(Notify::new());
        let stopped = Arc::clone(&stop);
        let serving = tokio::spawn(async move {
            endpoint.serve_until(listener, stopped.notified()).await.unwrap()
        });
        let began = Instant::now();
        if is_plain {
            let mut stream = dialer.dial().await.unwrap();
            stream.write_all(b"TICK json\nnull\n").await.unwrap();
            let mut first = [0; 2];
            stream.read_exact(&mut first).await.unwrap();
            stop.notify_one();
            let mut rest = String::new();
            stream.read_to_string(&mut rest).await.unwrap();
            let text = "the call would not end by itself, and the endpoint drains";
            let told = format!("<0 err 58 shutting_down retry=100 ran=1\n{text}\n<0 ok 0\n");
            assert!(rest.ends_with(&told), "{rest}");
        } else {
            let client = Endpoint::new().connect_over(dialer.dial().await.unwrap());
            let (mut ticks, mut counts) = (client.call(TICK, &()), client.call(COUNT, &()));
            assert_eq!(ticks.next().await.unwrap().unwrap(), 0);
            assert_eq!(counts.next().await.unwrap().unwrap(), 0);
            stop.notify_one();
            let error = ticks.next().await.unwrap().unwrap_err();
            assert_eq!((error.code(), error.is_safe_to_retry()), (Code::ShuttingDown, false));
            assert!(error.is_transient(), "whoever comes after may take it up");
            assert_eq!(counts.finish().await.unwrap(), "drained");
        }
        let report = serving.await.unwrap();
        assert!(began.elapsed() < SECOND, "it ended at once");
        assert_eq!(report.calls_cut_off, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_door_that_drains_tells_so() {
    let (endpoint, ..) = stopping();
    let client = endpoint.client();
    let (mut ticks, mut counts) = (client.call(TICK, &()), client.call(COUNT, &()));
    assert_eq!(ticks.next().await.unwrap().unwrap(), 0);
    assert_eq!(counts.next().await.unwrap().unwrap(), 0);
    let began = Instant::now();
    let closing = tokio::spawn(client.close());
    assert_eq!(ticks.next().await.unwrap().unwrap_err().code(), Code::ShuttingDown);
    assert_eq!(counts.finish().await.unwrap(), "drained");
    closing.await.unwrap();
    assert!(began.elapsed() < SECOND);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_what_was_spawned_where_there_is_no_listener() {
    let (endpoint, _, done) = stopping();
    let (here, there) = transport::memory();
    let serving = tokio::spawn(async move { endpoint.serve_stream(there).await });
    let client = Endpoint::new().connect_over(here);
    client.call(LEAVE, &3).await.unwrap();
    let began = Instant::now();
    client.close().await;
    serving.await.unwrap();
    assert!(began.elapsed() < SECOND);
    assert_eq!(done.now(), 0);
    // It is done all the same.
    done.reach(1).await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_what_was_spawned_and_no_longer_than_it_may() {
    let check = async |seconds: u64, waits: u64, cut_off: u64| {
        let (endpoint, _, done) = stopping();
        let drain_time_max = 5 * SECOND;
        let limits = Limits::default().with(|limits| limits.drain_time_max = drain_time_max);
        let endpoint = endpoint.with_limits(limits);
        let (listener, dialer) = transport::memory_listener();
        let stop = Arc::new(Notify::new());
        let stopped = Arc::clone(&stop);
        let served = endpoint.clone();
        let serving =
            tokio::spawn(
                async move { served.serve_until(listener, stopped.notified()).await.unwrap() },
            );
        let client = Endpoint::new().connect_over(dialer.dial().await.unwrap());
        client.call(LEAVE, &seconds).await.unwrap();
        client.close().await;
        let began = Instant::now();
        stop.notify_one();
        let report = serving.await.unwrap();
        assert_eq!(began.elapsed().as_secs(), waits);
        assert_eq!((report.tasks_cut_off, report.calls_answered), (cut_off, 1));
        assert_eq!(done.now() as u64, 1 - cut_off);
        // By a door it is the same.
        let door = endpoint.door();
        let request = Request::new("LEAVE", seconds.to_string()).unwrap();
        door.call(request.with_format("json").unwrap()).await.unwrap();
        let began = Instant::now();
        door.close();
        door.closed().await;
        assert_eq!(began.elapsed().as_secs(), waits);
    };
    check(0, 0, 0).await;
    check(3, 3, 0).await;
    check(60, 5, 1).await;
}

/// One that a drain has to cut off was not at its end either, and may be taken up by the next.
#[tokio::test(start_paused = true)]
async fn a_stream_that_a_drain_cuts_off_is_worth_taking_up_again() {
    const QUIET: Command<(), Streamed<u64>> = Command::new("QUIET");
    let endpoint = endpoint().on(QUIET, async |(): (), out: Sender<u64>| {
        out.send(&1).await?;
        std::future::pending::<Result<(), Error>>().await
    });
    let (listener, dialer) = transport::memory_listener();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(async move { endpoint.serve_until(listener, stopped).await });
    let client = Endpoint::new().connect_over(dialer.dial().await.unwrap());
    let mut items = client.call(QUIET, &());
    assert_eq!(items.next().await.unwrap().unwrap(), 1);
    drop(stop);
    let error = items.next().await.unwrap().unwrap_err();
    assert!(error.text().contains("drain_time_max"), "{error}");
    assert_eq!((error.code(), error.is_transient()), (Code::ShuttingDown, true));
    assert_eq!(serving.await.unwrap().unwrap().calls_cut_off, 1);
}
