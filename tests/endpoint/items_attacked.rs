//! Streams whose callers and handlers mean no good, or are faster than anybody who reads.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use switchboard::format::Json;
use switchboard::service::{Pipe, Request, Service};
use switchboard::{
    Client, Code, Command, Context, Endpoint, Error, Limits, Receiver, Sender, Streamed, blocking,
    transport,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, mpsc};
use tokio::time::sleep;

use super::items::clients_of;
use super::support::*;

/// Two items, and a large value behind them.
const BIG: Command<(), Streamed<u8, String>, Json> = Command::new("BIG");
/// Items as fast as they go, out of a thread.
const FLOOD: Command<(), Streamed<String>, Json> = Command::new("FLOOD");

fn big(limits: Limits) -> Endpoint {
    endpoint().with_limits(limits).on(BIG, async |(): (), out: Sender<u8>| {
        out.send(&1).await?;
        out.send(&2).await?;
        Ok::<_, Error>("x".repeat(100_000))
    })
}

fn flooding(limits: Limits) -> Endpoint {
    let flood = |(): (), out: Sender<String>| {
        loop {
            out.blocking_send(&"x".repeat(1000))?;
        }
    };
    endpoint().with_limits(limits).on(FLOOD, blocking::<fn(_, _) -> Result<(), Error>>(flood))
}

#[tokio::test(start_paused = true)]
async fn final_values_that_wait_behind_items_are_held_and_their_streams_are_open() {
    let endpoint = big(Limits::default().with(|limits| {
        limits.held_bytes_max = 1 << 20;
        limits.streams_per_connection_max = 5;
        limits.streams_max = 8;
    }));
    let mut taken = Vec::new();
    let mut peers = [peer(&endpoint), peer(&endpoint)];
    for peer in &mut peers {
        let mut count = 0;
        for tag in 1..=40 {
            peer.send(format!("BIG {tag} 4 f=json credit=1\nnull")).await;
            count += usize::from(peer.next().await.unwrap().contains(" item 1"));
        }
        taken.push(count);
    }
    assert_eq!(taken, [5, 3]);
    // Credit lets them end, and others begin.
    for tag in 1..=5 {
        peers[0].send(format!(">{tag} credit 1000\n")).await;
        assert!(peers[0].next().await.unwrap().contains(" item 1"));
        assert!(peers[0].next().await.unwrap().contains(" ok 100002\n"));
    }
    peers[1].send("BIG 41 4 f=json credit=1\nnull").await;
    assert!(peers[1].next().await.unwrap().contains(" item 1"));
}

#[tokio::test(start_paused = true)]
async fn a_final_value_that_nobody_wants_any_more_leaves_its_place() {
    const SLOW: Command<(), Streamed<u8>, Json> = Command::new("SLOW");
    let limits = Limits::default().with(|limits| limits.streams_max = 1);
    let (signals, mut signalled) = mpsc::unbounded_channel();
    let endpoint = big(limits).on(SLOW, move |(): (), out: Sender<u8>, context: Context| {
        signals.send(context.cancelled()).unwrap();
        async move {
            tokio::task::yield_now().await;
            out.send(&1).await?;
            out.send(&2).await?;
            Ok::<_, Error>(())
        }
    });
    for name in ["BIG", "SLOW"] {
        for end in [">1 credit 1000\n", ">1 cancel\n", "\n", ""] {
            let (mut one, mut two) = (peer(&endpoint), peer(&endpoint));
            one.send(format!("{name} 1 4 f=json credit=1\nnull")).await;
            one.expect("<1 item 1\n1").await;
            settle().await;
            two.send("BIG 1 4 f=json credit=1\nnull").await;
            two.expect_error(1, Code::Overloaded).await;
            let mut signal = signalled.try_recv().ok().map(Box::pin);
            assert_eq!(signal.is_some(), name == "SLOW");
            if let Some(signal) = &mut signal {
                let waits = tokio::time::timeout(MS, signal).await;
                assert!(waits.is_err(), "its caller waits for the reply");
            }
            if end.is_empty() {
                drop(one);
            } else {
                one.send(end).await;
            }
            settle().await;
            two.send("BIG 2 4 f=json credit=1000\nnull").await;
            two.expect("<2 item 1\n1").await;
            if let Some(signal) = signal {
                within(signal).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_whose_items_wait_is_not_idle() {
    let endpoint = big(Limits::default().with(|limits| limits.idle_time_max = 10 * SECOND));
    let mut peer = peer(&endpoint);
    peer.send("BIG 1 4 f=json credit=1\nnull").await;
    peer.expect("<1 item 1\n1").await;
    sleep(30 * SECOND).await;
    peer.send(">1 credit 1000\n").await;
    peer.expect("<1 item 1\n2").await;
    assert!(peer.next().await.unwrap().starts_with("<1 ok 100002\n"));
}

#[tokio::test]
async fn a_function_behind_a_plain_call_learns_that_it_is_over() {
    const BLOCK: Command<(), (), Json> = Command::new("BLOCK");
    let ended = Count::default();
    let ends = ended.clone();
    let limits = Limits::default().with(|limits| limits.call_time_max = 20 * MS);
    let endpoint = endpoint().with_limits(limits).on(
        BLOCK,
        blocking(move |(): (), context: Context| {
            while !context.is_cancelled() {
                std::thread::yield_now();
            }
            tokio::runtime::Handle::current().block_on(context.cancelled());
            ends.add();
            Ok::<_, Error>(())
        }),
    );
    let mut peer = peer(&endpoint);
    peer.send("BLOCK json\nnull\n").await;
    assert!(peer.next().await.unwrap().contains("deadline_exceeded"));
    within(ended.reach(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_flood_out_of_a_thread_ends_with_the_drain() {
    let endpoint = flooding(Limits::default().with(|limits| limits.drain_time_max = 50 * MS));
    let (listener, dialer) = transport::memory_listener();
    let stop = Arc::new(Notify::new());
    let stopped = Arc::clone(&stop);
    let serving =
        tokio::spawn(async move { endpoint.serve_until(listener, stopped.notified()).await });
    let mut stream = dialer.dial().await.unwrap();
    stream.write_all(b"FLOOD json\nnull\n").await.unwrap();
    stream.read_exact(&mut [0; 4096]).await.unwrap();
    stop.notify_one();
    let mut rest = Vec::new();
    within(stream.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.ends_with(b"<0 ok 0\n"), "it is told");
    within(serving).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_in_one_process_keeps_its_time_and_ends_with_the_drain() {
    let endpoint = flooding(Limits::default().with(|limits| limits.drain_time_max = 50 * MS));
    for client in [endpoint.client(), Client::over(endpoint.door())] {
        let mut items = client.call(FLOOD, &()).timeout(50 * MS);
        let error = loop {
            if let Err(error) = within(items.next()).await.unwrap() {
                break error;
            }
        };
        assert_eq!(error.code(), Code::DeadlineExceeded);
    }
    let door = endpoint.door();
    let mut items = Client::over(door.clone()).call(FLOOD, &());
    items.next().await.unwrap().unwrap();
    let reading = tokio::spawn(async move { while let Some(Ok(_)) = items.next().await {} });
    door.close();
    within(door.closed()).await;
    within(reading).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridge_tells_where_items_begin() {
    const LOG: Command<(), Streamed<u32>> = Command::new("LOG").resumable();
    let endpoint = endpoint().on(LOG, async |(): (), out: Sender<u32>, context: Context| {
        tokio::task::yield_now().await;
        out.open_at(context.resume_at().unwrap());
        out.send(&1).await?;
        Ok::<_, Error>(())
    });
    let wrapped = Client::over(Through(client(&endpoint)));
    for _ in 0..2000 {
        let mut call = wrapped.call(LOG, &()).resume_at(7);
        call.next().await.unwrap().unwrap();
        while call.next().await.is_some() {}
    }
}

#[tokio::test(start_paused = true)]
async fn no_item_is_given_out_that_was_not_said_to_be_where_the_caller_goes_on() {
    const BOTH: Command<Streamed<u32>, Streamed<u32>> = Command::new("BOTH").resumable();
    for fails in [false, true] {
        let endpoint =
            endpoint().on(BOTH, move |(): (), up: Receiver<u32>, out: Sender<u32>| async move {
                let _up = up;
                for number in 0..3 {
                    out.send(&number).await?;
                }
                if fails { Err(Error::new(Code::Conflict, "no luck")) } else { Ok(()) }
            });
        for client in clients_of(&endpoint) {
            let mut call = client.call(BOTH, &()).resume_at(7);
            while call.send(&1).await.is_ok() {
                settle().await;
            }
            // Whether its handler's error is known by then depends on the door.
            let code = call.next().await.unwrap().unwrap_err().code();
            assert!(code == Code::Invalid || fails && code == Code::Conflict, "{code}");
            assert!(call.next().await.is_none());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_pipe_is_refused_where_there_are_no_items() {
    let (endpoint, runs) = with_canary(endpoint());
    let client = client(&endpoint);
    let (door, over) = (endpoint.door(), &client);
    for service in [&door as &dyn Service, over] {
        let mut request = Request::new("CANARY", "x").unwrap().with_format("line").unwrap();
        let _pipe = Pipe::of(&mut request);
        let error = service.call(request).await.unwrap_err();
        assert_eq!((error.code(), runs.now()), (Code::UnsupportedFormat, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_with_its_handler_whoever_still_sends() {
    const COUNT: Command<(), Streamed<u32>> = Command::new("COUNT");
    let refused = Count::default();
    let refusals = refused.clone();
    let endpoint = endpoint().on(COUNT, move |(): (), out: Sender<u32>| {
        let refusals = refusals.clone();
        async move {
            out.send(&1).await?;
            tokio::spawn(async move {
                sleep(SECOND).await;
                if out.send(&2).await.is_err() {
                    refusals.add();
                }
            });
            Ok::<_, Error>(())
        }
    });
    let mut count = 0;
    for client in clients_of(&endpoint) {
        let mut call = client.call(COUNT, &());
        assert_eq!(call.next().await.unwrap().unwrap(), 1);
        assert!(call.next().await.is_none());
        sleep(2 * SECOND).await;
        assert!(call.next().await.is_none());
        count += 1;
        assert_eq!(refused.now(), count);
    }
}

/// Bytes may have an owner, whose end may come back to the pipe.
#[tokio::test(start_paused = true)]
async fn bytes_that_are_refused_are_dropped_when_nothing_is_locked() {
    struct Owner(Arc<Mutex<Option<Arc<Pipe>>>>, Vec<u8>);

    impl AsRef<[u8]> for Owner {
        fn as_ref(&self) -> &[u8] {
            &self.1
        }
    }

    impl Drop for Owner {
        fn drop(&mut self) {
            if let Some(pipe) = self.0.lock().unwrap().clone() {
                pipe.end();
            }
        }
    }

    const SUM: Command<Streamed<u32>, u32, Json> = Command::new("SUM");
    let endpoint = endpoint().on(SUM, async |(), mut numbers: Receiver<u32>| {
        while numbers.next().await?.is_some() {}
        Ok::<_, Error>(0)
    });
    let door = endpoint.door();
    let mut request = Request::new("SUM", "null").unwrap().with_format("json").unwrap();
    let pipe = Arc::new(Pipe::of(&mut request));
    let answer = tokio::spawn(door.call(request));
    settle().await;
    let owner = Owner(Arc::new(Mutex::new(Some(Arc::clone(&pipe)))), vec![b'1'; 100_000]);
    let error = within(pipe.send(Bytes::from_owner(owner))).await.unwrap_err();
    assert_eq!(error.code(), Code::TooLarge);
    assert_eq!(within(answer).await.unwrap().unwrap().payload(), b"0");
}
