//! G7: an endpoint that stops under load loses nothing. Each call that ran is answered; each other
//! one is known to be safe to call again.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use switchboard::format::Bytes;
use switchboard::{Client, Code, Command, Endpoint, Error, with_state};
use switchboard_testing::random::{Random, rounds};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Barrier, Notify};
use tokio::task::JoinSet;

use crate::peer::Replies;
use crate::{block_on, figure};

pub(crate) fn run() {
    let shutdowns = rounds(5);
    let (mut answered, mut refused, mut slowest) = (0, 0, Duration::ZERO);
    for seed in 0..shutdowns {
        let (ran, not_run, time) = block_on(shut_down(seed));
        answered += ran;
        refused += not_run;
        slowest = slowest.max(time);
    }
    let text = format!(
        "{shutdowns} shutdowns under load ({CLIENTS} clients with {IN_FLIGHT} calls in flight, \
         {CLIENTS} slow pipelines): {answered} calls ran and were answered, {refused} did not run \
         and are safe to retry, 0 lost (goal 0); the slowest took {:.2} s (goal 11 s)",
        slowest.as_secs_f64()
    );
    figure("G7", &text);
}

const WORK: Command<bytes::Bytes, bytes::Bytes, Bytes> = Command::new("WORK");

/// The calls that ran, by their numbers.
struct Ledger {
    ran: Mutex<HashSet<u64>>,
    last: AtomicU64,
    // Where each waits until all have a connection that is served. One that the system has let in
    // at the very moment at which the listener is closed is reset.
    served: Barrier,
    // Told when so many calls have run that it is time to stop.
    stop: Notify,
}

/// How the calls of one peer ended, by their numbers.
#[derive(Default)]
struct Outcome {
    answered: Vec<u64>,
    refused: Vec<u64>,
}

impl Ledger {
    fn new(peers: usize) -> Arc<Self> {
        Arc::new(Self {
            ran: Mutex::default(),
            last: AtomicU64::new(0),
            served: Barrier::new(peers),
            stop: Notify::new(),
        })
    }

    async fn work(self: Arc<Self>, request: bytes::Bytes) -> Result<bytes::Bytes, Error> {
        let number = u64::from_le_bytes(request[..8].try_into().unwrap());
        let count = {
            let mut ran = self.ran.lock().unwrap();
            assert!(ran.insert(number), "call {number} ran twice");
            ran.len()
        };
        if count == STOP_AFTER {
            self.stop.notify_one();
        }
        for _ in 0..number % 5 {
            tokio::task::yield_now().await;
        }
        let mut random = Random::new(number);
        let mut reply = vec![0; 8 + random.below(4) * random.below(16 << 10)];
        reply[..8].copy_from_slice(&request[..8]);
        Ok(reply.into())
    }

    fn next(&self) -> u64 {
        self.last.fetch_add(1, Ordering::Relaxed)
    }
}

/// One shutdown; answers how many calls ran, how many did not, and how long it took.
async fn shut_down(seed: u64) -> (u64, u64, Duration) {
    let ledger = Ledger::new(2 * CLIENTS as usize);
    let endpoint = Endpoint::new().on(WORK, with_state(&ledger, Ledger::work));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stopping = Arc::clone(&ledger);
    let server = tokio::spawn(async move {
        let stop = async {
            stopping.stop.notified().await;
            Instant::now()
        };
        let mut begun = None;
        let stop = async { begun = Some(stop.await) };
        let report = endpoint.serve_until(listener, stop).await.unwrap();
        (report, begun.unwrap().elapsed())
    });

    let mut peers = JoinSet::new();
    for peer in 0..CLIENTS {
        peers.spawn(client(address, Arc::clone(&ledger)));
        peers.spawn(pipeline(address, Arc::clone(&ledger), seed << 32 | peer));
    }
    let outcomes = tokio::time::timeout(Duration::from_secs(60), peers.join_all()).await;
    let outcomes = outcomes.expect("every call ends");
    let (report, time) =
        tokio::time::timeout(Duration::from_secs(60), server).await.expect("it stops").unwrap();

    let ran = ledger.ran.lock().unwrap();
    let (mut answered, mut refused) = (HashSet::new(), 0);
    for outcome in outcomes {
        for number in outcome.answered {
            assert!(answered.insert(number), "call {number} was answered twice");
        }
        for number in outcome.refused {
            assert!(!ran.contains(&number), "call {number} ran, and was said not to have");
            refused += 1;
        }
    }
    assert_eq!(answered.len(), ran.len(), "calls ran and were not answered");
    assert_eq!((report.calls_answered, report.calls_cut_off), (ran.len() as u64, 0));
    (ran.len() as u64, refused, time)
}

/// Many callers on one connection, each until it is told that no more calls are taken.
async fn client(address: SocketAddr, ledger: Arc<Ledger>) -> Outcome {
    let mut outcome = Outcome::default();
    let client = Client::connect(address).await.unwrap();
    let first = ledger.next();
    client.call(WORK, &bytes::Bytes::copy_from_slice(&first.to_le_bytes())).await.unwrap();
    outcome.answered.push(first);
    ledger.served.wait().await;
    let mut callers = JoinSet::new();
    for _ in 0..IN_FLIGHT {
        let (client, ledger) = (client.clone(), Arc::clone(&ledger));
        callers.spawn(async move {
            let mut answered = Vec::new();
            loop {
                let number = ledger.next();
                let request = bytes::Bytes::copy_from_slice(&number.to_le_bytes());
                match client.call(WORK, &request).await {
                    Ok(reply) => {
                        assert_eq!(reply[..8], request[..]);
                        answered.push(number);
                    }
                    Err(error) => {
                        let is_known = error.code() == Code::ShuttingDown || !error.was_sent();
                        assert!(is_known && error.is_safe_to_retry(), "{number}: {error:?}");
                        return (answered, number);
                    }
                }
            }
        });
    }
    for (answered, refused) in callers.join_all().await {
        outcome.answered.extend(answered);
        outcome.refused.push(refused);
    }
    outcome
}

/// Sends calls in batches, more before the replies have come, and reads slowly.
async fn pipeline(address: SocketAddr, ledger: Arc<Ledger>, seed: u64) -> Outcome {
    let mut outcome = Outcome::default();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut random = Random::new(seed);
    let mut open = std::collections::HashMap::new();
    let (mut tag, mut replies) = (0, Replies::new());
    let (mut is_served, mut is_told, mut has_farewell) = (false, false, false);
    let mut bytes = vec![0; 8192];
    loop {
        let has_room = if is_served { open.len() <= IN_FLIGHT } else { open.is_empty() };
        if !is_told && has_room {
            let mut batch = Vec::new();
            let calls = if is_served { IN_FLIGHT } else { 1 };
            for _ in 0..calls {
                tag += 1;
                let number = ledger.next();
                open.insert(tag, number);
                batch.extend_from_slice(format!("WORK {tag} 8 f=bytes\n").as_bytes());
                batch.extend_from_slice(&number.to_le_bytes());
            }
            stream.write_all(&batch).await.expect("the endpoint reads or lingers");
        }
        let count = stream.read(&mut bytes[..1 + random.below(8191)]).await.expect("no reset");
        if count == 0 {
            break;
        }
        replies.feed(&bytes[..count]);
        while let Some((tag, reply)) = replies.next() {
            match (tag, &reply) {
                (0, Err(Code::ShuttingDown)) => is_told = true,
                (0, Ok(_)) => has_farewell = true,
                (0, _) => panic!("{reply:?}"),
                _ => {}
            }
            if tag == 0 {
                continue;
            }
            let number = open.remove(&tag).expect("one reply for each call");
            match reply {
                Ok(reply) => {
                    assert_eq!(reply[..8], number.to_le_bytes());
                    outcome.answered.push(number);
                }
                Err(code) => {
                    assert_eq!(code, Code::ShuttingDown, "{number}");
                    outcome.refused.push(number);
                }
            }
        }
        if !is_served && open.is_empty() {
            is_served = true;
            ledger.served.wait().await;
        }
        tokio::task::yield_now().await;
    }
    // After the farewell, what has no reply did not run.
    assert!(is_told && has_farewell, "closed without a notice and a farewell");
    outcome.refused.extend(open.into_values());
    outcome
}

const CLIENTS: u64 = 32;
const IN_FLIGHT: usize = 64;
const STOP_AFTER: usize = 4_000;
