//! Peers that stream as no good one does: what they get, and what it costs the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use switchboard::format::Json;
use switchboard::{Code, Command, Endpoint, Error, Limits, Receiver, Sender, Streamed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;

use super::support::*;

/// Sends lines of 1,000 letters without end.
const FLOOD: Command<(), Streamed<String>, Json> = Command::new("FLOOD");
/// Sends a number each second, without end.
const TICK: Command<(), Streamed<u64>, Json> = Command::new("TICK");
/// Adds up what comes.
const SUM: Command<Streamed<u32>, u64, Json> = Command::new("SUM");

/// An endpoint with all of them, and how many of their handlers run.
fn streaming(limits: Limits) -> (Endpoint, Running) {
    async fn flood(_running: Running, out: Sender<String>) -> Result<(), Error> {
        loop {
            out.send(&"x".repeat(1000)).await?;
        }
    }
    async fn tick(_running: Running, out: Sender<u64>) -> Result<(), Error> {
        for tick in 0.. {
            out.send(&tick).await?;
            sleep(SECOND).await;
        }
        Ok(())
    }
    async fn sum(_running: Running, mut numbers: Receiver<u32>) -> Result<u64, Error> {
        let mut sum = 0;
        while let Some(number) = numbers.next().await? {
            sum += u64::from(number);
        }
        Ok(sum)
    }
    let running = Running::default();
    let [of_flood, of_tick, of_sum] = [0, 1, 2].map(|_| Arc::clone(&running.0));
    let endpoint = endpoint()
        .with_limits(limits)
        .on(FLOOD, move |(): (), out: Sender<String>| flood(Running::begin(&of_flood), out))
        .on(TICK, move |(): (), out: Sender<u64>| tick(Running::begin(&of_tick), out))
        .on(SUM, move |(): (), numbers: Receiver<u32>| sum(Running::begin(&of_sum), numbers));
    (endpoint, running)
}

/// Handlers that run; one of them if begun.
#[derive(Default)]
struct Running(Arc<AtomicUsize>);

impl Running {
    fn begin(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }

    fn now(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn peers_that_grant_and_never_read_are_cut_off_and_nobody_else() {
    let limits = Limits::default().with(|limits| limits.held_bytes_max = 4 << 20);
    let (endpoint, running) = streaming(limits);
    let mut peers = Vec::new();
    for _ in 0..10 {
        let mut peer = peer(&endpoint);
        for tag in 1..=10 {
            peer.send(format!("FLOOD {tag} 4 f=json credit=4294967295\nnull")).await;
        }
        peers.push(peer);
    }
    settle().await;
    assert!(running.now() > 0);
    // There is room for others, also for large ones.
    let client = client(&endpoint);
    let large = "x".repeat(1 << 20);
    assert_eq!(client.call(ECHO, &large).await.unwrap(), large);
    let mut flood = client.call(FLOOD, &());
    for _ in 0..1000 {
        assert_eq!(flood.next().await.unwrap().unwrap().len(), 1000);
    }
    drop(flood);
    sleep(15 * SECOND).await;
    assert_eq!(running.now(), 0);
    for mut peer in peers {
        within(peer.stream.read_to_end(&mut Vec::new())).await.unwrap();
    }
    check_serves(&endpoint).await;
}

#[tokio::test(start_paused = true)]
async fn streams_that_get_no_credit_end_in_time() {
    let limits = Limits::default().with(|limits| {
        limits.stall_time_max = 5 * SECOND;
        limits.streams_per_connection_max = 20;
    });
    let (endpoint, running) = streaming(limits);
    let mut peer = peer(&endpoint);
    for tag in 1..=20 {
        peer.send(format!("FLOOD {tag} 4 f=json credit=1\nnull")).await;
    }
    peer.send("FLOOD 21 4 f=json credit=1\nnull").await;
    for _ in 1..=20 {
        let next = peer.next().await.unwrap();
        let first = if next.contains(" err ") { "err 40 overloaded" } else { "item 1002" };
        assert!(next.contains(first), "{next}");
    }
    // Other calls are answered meanwhile.
    peer.send("ECHO 22 1 f=line\nx").await;
    let mut rest = vec![peer.next().await.unwrap(), peer.next().await.unwrap()];
    rest.retain(|next| !next.contains(" item ") && !next.contains("overloaded"));
    assert_eq!(rest, ["<22 ok 1\nx"]);
    assert_eq!(running.now(), 20);
    let text = "no credit was granted for items within stall_time_max (5s)";
    for _ in 1..=20 {
        let next = peer.next().await.unwrap();
        assert!(next.ends_with(&format!("deadline_exceeded ran=1\n{text}")), "{next}");
    }
    settle().await;
    assert_eq!(running.now(), 0);
    peer.send("ECHO 23 1 f=line\ny").await;
    peer.expect("<23 ok 1\ny").await;
}

#[tokio::test(start_paused = true)]
async fn whoever_prints_a_stream_may_stop_reading_or_go_away() {
    let (endpoint, running) = streaming(Limits::default());
    for is_gone in [true, false] {
        let mut here = dial(&endpoint);
        here.write_all(b"FLOOD\nnull\n").await.unwrap();
        let mut some = [0; 1500];
        here.read_exact(&mut some).await.unwrap();
        assert_eq!((&some[..2], running.now()), (b"\"x".as_slice(), 1));
        if is_gone {
            drop(here);
            sleep(SECOND).await;
            assert_eq!(running.now(), 0);
        } else {
            sleep(15 * SECOND).await;
            assert_eq!(running.now(), 0);
            // What was on its way, and no more.
            within(here.read_to_end(&mut Vec::new())).await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_leaves_in_the_middle_of_a_request_leaves_no_handler() {
    let (endpoint, running) = streaming(Limits::default());
    let begun = "SUM 1 4 stream=1 f=json\nnull>1 item 1\n3";
    let mut half_closed = peer(&endpoint);
    half_closed.send(begun).await;
    settle().await;
    assert_eq!(running.now(), 1);
    half_closed.finish().await;
    let text = half_closed.expect_ran(1, Code::Cancelled).await;
    assert_eq!(text, "the caller ended its side before the end of its request");
    half_closed.expect_end().await;
    for rest in ["", ">1 it", ">1 item 5\n12"] {
        let mut gone = peer(&endpoint);
        gone.send(format!("{begun}{rest}")).await;
        settle().await;
        assert_eq!(running.now(), 1);
        drop(gone);
        sleep(SECOND).await;
        assert_eq!(running.now(), 0, "{rest:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_between_two_items_drops_the_handler() {
    let (endpoint, running) = streaming(Limits::default());
    let mut peer = peer(&endpoint);
    peer.send("TICK 1 4 credit=1000 t=2500 f=json\nnull").await;
    for tick in 0..3 {
        peer.expect(&format!("<1 item 1\n{tick}")).await;
    }
    assert_eq!(running.now(), 1);
    let text = peer.expect_ran(1, Code::DeadlineExceeded).await;
    assert_eq!(text, "the handler did not answer in time");
    settle().await;
    assert_eq!(running.now(), 0);
    peer.send("ECHO 1 1 f=line\nx").await;
    peer.expect("<1 ok 1\nx").await;
}

/// Those of the last call with its tag go to nobody.
#[tokio::test(start_paused = true)]
async fn a_sender_that_outlives_its_call_sends_to_no_other() {
    const WORDS: Command<Streamed<String>, Streamed<String>> = Command::new("WORDS");
    let endpoint =
        endpoint().on(WORDS, async |(), mut words: Receiver<String>, out: Sender<String>| {
            while let Some(word) = words.next().await? {
                out.send(&word).await?;
            }
            Ok::<_, Error>(())
        });
    let client = client(&endpoint);
    let (old, call) = client.call(WORDS, &()).split().await.unwrap();
    drop(call);
    settle().await;
    // Tags begin anew behind 999, so that the next call has that of the first.
    for _ in 0..998 {
        client.call(ADD, &(1, 2)).await.unwrap();
    }
    let (new, mut call) = client.call(WORDS, &()).split().await.unwrap();
    assert_eq!(old.send(&"stray".to_owned()).await.unwrap_err().code(), Code::Cancelled);
    new.send(&"own".to_owned()).await.unwrap();
    assert_eq!(call.next().await.unwrap().unwrap(), "own");
}

/// A sender may be shared, and all of those who wait for room get some.
#[tokio::test(start_paused = true)]
async fn tasks_that_share_a_sender_all_go_on() {
    const SHARED: Command<(), Streamed<u32>> = Command::new("SHARED");
    let endpoint = endpoint().on(SHARED, async |(): (), out: Sender<u32>| {
        let out = Arc::new(out);
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                let out = Arc::clone(&out);
                tokio::spawn(async move {
                    for number in 0..2000 {
                        out.send(&number).await?;
                    }
                    Ok::<_, Error>(())
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap()?;
        }
        Ok::<_, Error>(())
    });
    for client in [client(&endpoint), endpoint.client()] {
        let mut numbers = client.call(SHARED, &());
        let mut count = 0;
        while let Some(number) = within(numbers.next()).await {
            number.unwrap();
            count += 1;
        }
        assert_eq!(count, 8000);
    }
}
