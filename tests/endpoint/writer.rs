//! Calls that their callers write themselves: whatever the stream does meanwhile, the bytes are
//! whole, in order, and there once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::BytesMut;
use switchboard::transport::{self, MemoryStream};
use switchboard::wire::{Decoder, Event, Line, Part, Tag};
use switchboard::{Client, Code, Command, Connection, Context, Endpoint, Error, Limits, Result};
use switchboard_testing::random::{Random, rounds};
use tokio::io::BufWriter;
use tokio::task::{self, JoinSet, coop};
use tokio::time::Instant;

use super::support::watched::*;
use super::support::*;

const TAKE_ALL: Step = Step::Take(usize::MAX);

/// A client whose stream asks `step` what to do, and the peer at its other end. A first call has
/// been made before, so that the next one is its caller's to write.
async fn stepping(
    mut step: impl FnMut() -> Step + Send + 'static,
) -> (Client, Peer<MemoryStream>, Log) {
    let is_warm = Arc::new(AtomicBool::new(false));
    let is_asked = Arc::clone(&is_warm);
    let step = move || if is_asked.load(Ordering::Relaxed) { step() } else { TAKE_ALL };
    let (here, there) = transport::memory();
    let (here, log) = Watching::stepping(here, step);
    let (client, mut peer) = (Endpoint::new().connect_over(here), Peer::new(there));
    warm_up(&client, &mut peer).await;
    log.take();
    is_warm.store(true, Ordering::Relaxed);
    (client, peer, log)
}

async fn warm_up(client: &Client, peer: &mut Peer<MemoryStream>) {
    let call = call(client, "a");
    peer.expect("ECHO 1 1 f=line\na").await;
    peer.send("<1 ok 1\na").await;
    assert_eq!(within(call).await.unwrap().unwrap(), "a");
}

fn call(client: &Client, text: &str) -> task::JoinHandle<Result<String>> {
    tokio::spawn(client.call(ECHO, &text.to_owned()))
}

/// Takes so much, then nothing for so many times, and so on.
fn pieces(bytes_max: usize, waits: usize) -> impl FnMut() -> Step + Send {
    let mut steps = [Step::Take(bytes_max)].into_iter().chain(vec![Step::Wait; waits]).cycle();
    move || steps.next().unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_a_caller_could_not_write_the_driver_does() {
    for (bytes_max, waits) in [(1, 1), (1, 5), (3, 1), (3, 5), (4096, 1), (4096, 50)] {
        let (client, mut peer, log) = stepping(pieces(bytes_max, waits)).await;
        let text = "x".repeat(5000);
        let (first, second) = (call(&client, &text), call(&client, "b"));
        peer.expect(&format!("ECHO 2 5000 f=line\n{text}")).await;
        peer.expect("ECHO 3 1 f=line\nb").await;
        let writers = log.take_writers();
        assert_eq!(writers.first(), Some(&Some(first.id())), "{bytes_max} and {waits}");
        assert!(!writers[1..].contains(&Some(first.id())), "{bytes_max} and {waits}");
        peer.send("<3 ok 1\nb<2 ok 1\na").await;
        assert_eq!(within(first).await.unwrap().unwrap(), "a");
        assert_eq!(within(second).await.unwrap().unwrap(), "b");
    }
}

/// What a stream holds back is sent on, and that may take a while.
#[tokio::test(start_paused = true)]
async fn a_flush_that_takes_time_is_finished_by_the_driver() {
    for (bytes_max, waits) in [(usize::MAX, 0), (usize::MAX, 9), (1, 1), (3, 9)] {
        let (here, there) = transport::memory();
        let (here, log) = Watching::stepping(here, pieces(bytes_max, waits));
        let (client, mut peer) =
            (Endpoint::new().connect_over(BufWriter::new(here)), Peer::new(there));
        warm_up(&client, &mut peer).await;
        log.take();
        let call = call(&client, "b");
        peer.expect("ECHO 2 1 f=line\nb").await;
        let writers = log.take_writers();
        let is_last = waits == 0;
        assert_eq!(writers.last() == Some(&Some(call.id())), is_last, "{bytes_max} and {waits}");
        peer.send("<2 ok 1\nb").await;
        assert_eq!(within(call).await.unwrap().unwrap(), "b");
    }
}

/// The peer stays and says nothing: only who writes learns of it. A stream that has failed is not
/// written any more, even if it would take more.
#[tokio::test(start_paused = true)]
async fn a_write_that_fails_ends_the_connection() {
    for after in [Step::Fail, TAKE_ALL] {
        let mut steps = [Step::Fail].into_iter().chain(std::iter::repeat(after));
        let (client, _peer, log) = stepping(move || steps.next().unwrap()).await;
        let error = within(call(&client, "b")).await.unwrap().unwrap_err();
        assert_eq!(error.code(), Code::Disconnected, "{error}");
        assert!(error.was_sent() && !error.is_safe_to_retry());
        within(client.closed()).await;
        assert_eq!(log.take_writers(), []);
        let error = within(call(&client, "c")).await.unwrap().unwrap_err();
        assert_eq!((error.code(), error.was_sent()), (Code::Disconnected, false), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_has_used_up_its_turn_leaves_the_write_to_the_driver() {
    let (client, mut peer, log) = stepping(|| TAKE_ALL).await;
    let call = tokio::spawn(async move {
        std::future::poll_fn(|cx| {
            while let Poll::Ready(progress) = coop::poll_proceed(cx) {
                progress.made_progress();
            }
            Poll::Ready(())
        })
        .await;
        client.call(ECHO, &"b".to_owned()).await
    });
    peer.expect("ECHO 2 1 f=line\nb").await;
    assert_ne!(log.take_writers(), [Some(call.id())]);
    peer.send("<2 ok 1\nb").await;
    assert_eq!(within(call).await.unwrap().unwrap(), "b");
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_while_a_plain_call_has_the_stream() {
    const LEND: Command<String, String, switchboard::format::Line> = Command::new("LEND");
    let (held, back) = (Held::new(), Arc::new(Mutex::new(None)));
    let kept = Arc::clone(&back);
    let lend = move |text: String, context: Context| {
        *kept.lock().unwrap() = Some(context.client());
        async move { Ok::<_, Error>(text) }
    };
    let gate = Arc::clone(&held.gate);
    let raw = switchboard::with_state(
        &gate,
        async |gate: Arc<tokio::sync::Semaphore>, connection: &mut Connection| {
            connection.write_line("begin").await?;
            gate.acquire().await.unwrap().forget();
            connection.write_line("end").await
        },
    );
    let mut peer = peer(&held.on(endpoint()).on(LEND, lend).on_raw("RAW", raw));
    peer.send("LEND 1 0 f=line\n").await;
    peer.expect("<1 ok 0\n").await;
    let client: Client = back.lock().unwrap().take().unwrap();
    warm_up(&client, &mut peer).await;
    // (the plain call, what comes at once, what comes at its end)
    for (tag, (plain, begin, end)) in
        (2..).zip([("RAW\n", "begin\n", "end\n"), ("HOLD\nx\n", "", "x\n")])
    {
        peer.send(plain).await;
        peer.expect_bytes(begin).await;
        settle().await;
        let call = call(&client, "b");
        settle().await;
        held.release(1);
        peer.expect_bytes(end).await;
        peer.expect(&format!("ECHO {tag} 1 f=line\nb")).await;
        peer.send(format!("<{tag} ok 1\nb")).await;
        assert_eq!(within(call).await.unwrap().unwrap(), "b");
    }
}

/// Who writes a call has no timer: it is the driver's, which may be set for later.
#[tokio::test(start_paused = true)]
async fn deadlines_are_kept_whoever_writes() {
    let usual = Limits::default().call_time_max;
    // (seconds since the timer was set, a long call waits, the time of the call)
    let cases = [
        (0, false, None, usual),
        (10, false, None, usual),
        (40, false, None, usual),
        (0, true, Some(SECOND), SECOND),
        (10, true, Some(SECOND), SECOND),
        (10, false, Some(SECOND), SECOND),
        (10, false, Some(100 * SECOND), 100 * SECOND),
    ];
    for (seconds, is_beside, time, expected) in cases {
        let (client, mut peer, _) = stepping(|| TAKE_ALL).await;
        tokio::time::sleep(seconds * SECOND).await;
        if is_beside {
            tokio::spawn(client.call(ECHO, &"long".to_owned()).timeout(1000 * SECOND));
            peer.next().await.unwrap();
        }
        let begun = Instant::now();
        let call = client.call(ECHO, &"b".to_owned());
        let call = tokio::spawn(match time {
            Some(time) => call.timeout(time),
            None => call,
        });
        let error = within(call).await.unwrap().unwrap_err();
        let waited = begun.elapsed();
        assert_eq!(error.code(), Code::DeadlineExceeded, "{error}");
        let is_kept = waited >= expected && waited < expected + Duration::from_millis(10);
        assert!(is_kept, "{seconds} s, {is_beside}, {time:?}: waited for {waited:?}");
    }
}

/// The time of a write runs, though it was not the driver who began it.
#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_no_more_of_a_call_is_cut_off() {
    let (client, _peer, log) = stepping(|| TAKE_ALL).await;
    let begun = Instant::now();
    let call = call(&client, &"x".repeat(100_000));
    let writer = Some(call.id());
    let error = within(call).await.unwrap().unwrap_err();
    assert!(log.take_writers().iter().all(|other| *other == writer));
    assert_eq!(error.text(), "nothing was read for write_time_max (10s)");
    let (waited, expected) = (begun.elapsed(), Limits::default().write_time_max);
    assert!(waited >= expected && waited < expected + SECOND, "waited for {waited:?}");
    within(client.closed()).await;
}

#[tokio::test(start_paused = true)]
async fn closing_in_the_middle_of_a_write_ends_in_good_order() {
    let is_stuck = Arc::new(AtomicBool::new(true));
    let step = {
        let (is_stuck, mut first) = (Arc::clone(&is_stuck), Some(Step::Take(3)));
        move || match is_stuck.load(Ordering::Relaxed) {
            true => first.take().unwrap_or(Step::Wait),
            false => TAKE_ALL,
        }
    };
    let (client, mut peer, log) = stepping(step).await;
    let call = call(&client, "b");
    settle().await;
    let close = tokio::spawn(client.close());
    settle().await;
    assert_eq!(log.take_writers(), [Some(call.id())]);
    is_stuck.store(false, Ordering::Relaxed);
    peer.expect("ECHO 2 1 f=line\nb").await;
    peer.expect_error(0, Code::ShuttingDown).await;
    peer.send("<2 ok 1\nb").await;
    assert_eq!(within(call).await.unwrap().unwrap(), "b");
    peer.expect_farewell().await;
    drop(peer);
    within(close).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_stream_is_closed_with_the_connection() {
    // By the last who could call.
    let (client, mut peer, log) = stepping(|| TAKE_ALL).await;
    drop(client);
    peer.expect_error(0, Code::ShuttingDown).await;
    peer.expect_farewell().await;
    peer.finish().await;
    log.closed.reach(1).await;

    // By the peer, while there are still those who could call.
    let (client, peer, log) = stepping(|| TAKE_ALL).await;
    drop(peer);
    within(client.closed()).await;
    assert_eq!(log.closed.now(), 1);
    assert!(client.is_closed());
}

/// Whoever has got a reply may call again and is waited for, but not for ever.
#[tokio::test(start_paused = true)]
async fn a_caller_that_does_not_take_its_reply_holds_up_nobody() {
    let (client, mut peer, log) = stepping(|| TAKE_ALL).await;
    let mut idle = std::pin::pin!(client.call(ECHO, &"b".to_owned()));
    assert!(idle.as_mut().poll(&mut std::task::Context::from_waker(Waker::noop())).is_pending());
    peer.expect("ECHO 2 1 f=line\nb").await;
    peer.send("<2 ok 1\nb").await;
    settle().await;
    log.take();
    for (tag, text) in [(3, "c"), (4, "d")] {
        let call = call(&client, text);
        // Not by waiting for it: who waits for ever leaves no time to fail.
        settle().await;
        let written: Vec<_> = log.take().into_iter().flat_map(|write| write.bytes).collect();
        assert_eq!(show(&written), format!("ECHO {tag} 1 f=line\n{text}"));
        peer.expect(&format!("ECHO {tag} 1 f=line\n{text}")).await;
        peer.send(format!("<{tag} ok 1\n{text}")).await;
        assert_eq!(within(call).await.unwrap().unwrap(), text);
    }
    assert_eq!(within(idle).await.unwrap(), "b");
}

/// Many callers over streams that take what they like, and some who lose interest: each gets its
/// own reply, and what was written is whole and answered once.
#[tokio::test(start_paused = true)]
async fn any_turns_of_callers_and_streams_keep_the_bytes_whole() {
    for seed in 0..rounds(40) {
        play(seed).await;
    }
}

/// The same with callers and drivers that truly run at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_on_many_threads_keep_the_bytes_whole() {
    for seed in 1000..1000 + rounds(40) {
        play(seed).await;
    }
}

async fn play(seed: u64) {
    let (here, there) = transport::memory();
    let (here, asked) = Watching::stepping(here, any_step(2 * seed));
    let (there, answered) = Watching::stepping(there, any_step(2 * seed + 1));
    let server = endpoint();
    let serving = tokio::spawn(async move { server.serve_stream(there).await });
    let client = Endpoint::new().connect_over(here);
    let mut callers = JoinSet::new();
    for caller in 0..12 {
        let (client, random) = (client.clone(), Random::new(seed * 100 + caller));
        callers.spawn(call_at_random(client, caller, random));
    }
    let replies: usize = within(callers.join_all()).await.into_iter().sum();
    within(client.close()).await;
    within(serving).await.unwrap();
    check_written(seed, &asked, &answered, replies);
}

fn any_step(seed: u64) -> impl FnMut() -> Step + Send {
    let mut random = Random::new(seed);
    move || match random.below(4) {
        0 => Step::Wait,
        1 => Step::Take(1 + random.below(9)),
        2 => Step::Take(1 + random.below(900)),
        _ => TAKE_ALL,
    }
}

/// Answers how many replies it got.
async fn call_at_random(client: Client, caller: u64, mut random: Random) -> usize {
    let mut replies = 0;
    for count in 0..20 {
        let text = format!("{caller}-{count}-{}", "x".repeat(random.below(300)));
        if random.below(5) == 0 {
            client.notify(ECHO, &text).await.unwrap();
            continue;
        }
        let (turns, is_patient) = (random.below(30), random.below(3) > 0);
        let give_up = async {
            for _ in 0..turns {
                task::yield_now().await;
            }
            if is_patient {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            reply = client.call(ECHO, &text) => {
                assert_eq!(reply.unwrap(), text);
                replies += 1;
            }
            () = give_up => {}
        }
    }
    replies
}

/// Every call that was asked has one answer, and neither side wrote anything but whole lines and
/// bodies.
fn check_written(seed: u64, asked: &Log, answered: &Log, replies: usize) {
    let mut calls: HashMap<Tag, usize> = HashMap::new();
    for line in lines(asked) {
        match line {
            Line::Call { tag: 0, .. } => {}
            Line::Call { tag, .. } => {
                assert_eq!(calls.insert(tag, 0), None, "seed {seed}: tag {tag} again");
            }
            Line::Request(tag, Part::Cancel, _) => {
                assert!(calls.contains_key(&tag), "seed {seed}: {tag} is cancelled");
            }
            Line::Reply(0, ..) => {}
            line => panic!("seed {seed}: {line:?} was asked"),
        }
    }
    for line in lines(answered) {
        match line {
            Line::Reply(0, ..) => {}
            Line::Reply(tag, ..) => *calls.get_mut(&tag).expect("a call of this tag") += 1,
            line => panic!("seed {seed}: {line:?} was answered"),
        }
    }
    assert!(calls.values().all(|answers| *answers == 1), "seed {seed}: {calls:?}");
    assert!(replies > 0 && replies <= calls.len(), "seed {seed}: {replies} of {}", calls.len());
}

fn lines(log: &Log) -> Vec<Line> {
    let bytes: Vec<u8> = log.take().into_iter().flat_map(|write| write.bytes).collect();
    let mut input = BytesMut::from(&*bytes);
    let mut decoder = Decoder::new(1024, 1 << 20);
    let mut lines = Vec::new();
    while let Some(event) = decoder.decode(&mut input).unwrap() {
        if let Event::Line(line) = event {
            lines.push(line);
        }
    }
    assert!(input.is_empty(), "it ends within a line or a body: {input:?}");
    lines
}

/// The driver may be about to sleep when a caller meets the failure. That is so once in thousands
/// of connections; with `SWITCHBOARD_SCALE=60` there are enough of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_fails_is_never_missed() {
    for seed in 0..rounds(300) {
        let (here, there) = transport::memory();
        let mut left = 1 + Random::new(seed).below(20);
        let (here, _) = Watching::stepping(here, move || {
            left = left.saturating_sub(1);
            if left == 0 { Step::Fail } else { TAKE_ALL }
        });
        let server = endpoint();
        tokio::spawn(async move { server.serve_stream(there).await });
        // No deadline comes to the rescue.
        let limits = Limits::default().with(|limits| limits.call_time_max = 10_000 * SECOND);
        let client = Endpoint::new().with_limits(limits).connect_over(here);
        let error = tokio::spawn(async move {
            loop {
                if let Err(error) = client.call(ECHO, &"b".to_owned()).await {
                    return error;
                }
            }
        });
        let error = tokio::time::timeout(60 * SECOND, error).await.expect("it is missed").unwrap();
        assert_eq!(error.code(), Code::Disconnected, "seed {seed}: {error}");
    }
}
