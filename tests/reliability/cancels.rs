//! G11: callers that lose interest at any moment get nobody else's replies, and neither do others.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use switchboard::{Client, Code, Command, Endpoint, Error, Limits, transport, with_state};
use switchboard_testing::random::{Random, rounds};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::{block_on, figure};

/// Answers its number after so many turns of the runtime.
const NONCE: Command<(u64, u8), u64> = Command::new("NONCE");

/// Waits at a gate.
const WAIT: Command<(), ()> = Command::new("WAIT");

pub(crate) fn run() {
    block_on(async {
        let gate = Arc::new(Semaphore::new(0));
        let begun = Instant::now();
        // Each transport has an endpoint of its own, so that all its permits are looked at.
        let mut tally = Tally::default();
        let address = serve_tcp(endpoint(&gate)).await;
        let mut clients = Vec::new();
        for _ in 0..CONNECTIONS {
            clients.push(caller().connect(&address).await.unwrap());
        }
        call_all(&clients, rounds(20_000), 1, &mut tally).await;
        check_permits(&clients, &gate).await;

        let (in_memory, gate) = (endpoint(&gate), &gate);
        let mut clients = Vec::new();
        for _ in 0..CONNECTIONS {
            let (here, there) = transport::memory();
            let served = in_memory.clone();
            tokio::spawn(async move { served.serve_stream(there).await });
            clients.push(caller().connect_over(here));
        }
        call_all(&clients, rounds(7_000), 2, &mut tally).await;
        check_permits(&clients, gate).await;

        let Tally { answered, dropped, late } = tally;
        let calls = answered + dropped + late;
        let given_up = 100 * (dropped + late) / calls;
        let text = format!(
            "{calls} calls over TCP and in memory, {dropped} dropped and {late} timed out at \
             random ({given_up} %): 0 foreign replies (goal 0), 0 lost (goal 0), all {CALLS_MAX} \
             permits back; {:.0} calls a second",
            calls as f64 / begun.elapsed().as_secs_f64()
        );
        figure("G11", &text);
        assert!((20..=40).contains(&given_up), "{given_up} % were given up");
    });
}

#[derive(Default)]
struct Tally {
    answered: u64,
    dropped: u64,
    late: u64,
}

/// What becomes of a call.
enum End {
    Answered,
    Dropped,
    Late,
}

fn endpoint(gate: &Arc<Semaphore>) -> Endpoint {
    let limits = Limits::default().with(|limits| {
        limits.calls_max = CALLS_MAX;
        limits.calls_per_connection_max = CALLS_MAX / CONNECTIONS;
    });
    Endpoint::new()
        .with_limits(limits)
        .on(NONCE, async |(nonce, turns): (u64, u8)| {
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
            Ok::<_, Error>(nonce)
        })
        .on(
            WAIT,
            with_state(gate, async |gate: Arc<Semaphore>, ()| {
                gate.acquire().await?.forget();
                anyhow::Ok(())
            }),
        )
}

/// An endpoint to call from, which holds nothing back.
fn caller() -> Endpoint {
    Endpoint::new()
}

async fn serve_tcp(endpoint: Endpoint) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { endpoint.serve(listener).await });
    address
}

async fn call_all(clients: &[Client], count: u64, seed: u64, tally: &mut Tally) {
    let left = Arc::new(AtomicU64::new(count));
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let client = clients[caller % clients.len()].clone();
        let left = Arc::clone(&left);
        let mut random = Random::new(seed << 32 | caller as u64);
        callers.spawn(async move {
            let mut tally = Tally::default();
            let is_one_left = |left: u64| left.checked_sub(1);
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, is_one_left).is_ok() {
                match call(&client, &mut random).await {
                    End::Answered => tally.answered += 1,
                    End::Dropped => tally.dropped += 1,
                    End::Late => tally.late += 1,
                }
            }
            tally
        });
    }
    let tallies = tokio::time::timeout(Duration::from_secs(300), callers.join_all()).await;
    for one in tallies.expect("every call ends") {
        tally.answered += one.answered;
        tally.dropped += one.dropped;
        tally.late += one.late;
    }
}

async fn call(client: &Client, random: &mut Random) -> End {
    let nonce = random.draw();
    let turns = random.below(8) as u8;
    let call = client.call(NONCE, &(nonce, turns));
    match random.below(20) {
        // Dropped after some turns, or before it was sent.
        0..4 => {
            let turns = random.below(10);
            let give_up = async {
                for _ in 0..turns {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                biased;
                () = give_up => End::Dropped,
                reply = call => check(nonce, reply),
            }
        }
        // Timed out somewhere; below a millisecond what was sent lives longer than its caller.
        4..9 => {
            let time = Duration::from_micros(random.below(1_500) as u64);
            check(nonce, call.timeout(time).await)
        }
        _ => check(nonce, call.await),
    }
}

fn check(nonce: u64, reply: Result<u64, Error>) -> End {
    match reply {
        Ok(reply) => {
            assert_eq!(reply, nonce, "a foreign reply");
            End::Answered
        }
        Err(error) if error.code() == Code::DeadlineExceeded => End::Late,
        Err(error) => panic!("a lost reply: {error:?}"),
    }
}

/// As many calls as there are permits can run at once, and not one more.
async fn check_permits(clients: &[Client], gate: &Semaphore) {
    let settle = async {
        loop {
            let mut waiting = JoinSet::new();
            for client in clients {
                for _ in 0..CALLS_MAX / CONNECTIONS + 1 {
                    let client = client.clone();
                    waiting.spawn(async move { client.call(WAIT, &()).await });
                }
            }
            // One on each connection is refused; before that the gate opens for nobody.
            for _ in clients {
                let refused = waiting.join_next().await.unwrap().unwrap();
                assert_eq!(refused.unwrap_err().code(), Code::Overloaded);
            }
            gate.add_permits(CALLS_MAX);
            if waiting.join_all().await.iter().all(Result::is_ok) {
                return;
            }
            // More were refused. A handler that was told to stop gives its permit back when it has
            // ended, so look again; whoever was refused has left a turn at the gate.
            gate.forget_permits(CALLS_MAX);
        }
    };
    tokio::time::timeout(Duration::from_secs(30), settle).await.expect("all permits come back");
}

const CONNECTIONS: usize = 4;
const CALLERS: usize = 256;
const CALLS_MAX: usize = 1024;
