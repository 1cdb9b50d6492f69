//! G18: streams of random length, some of which are given up, cut off or read slowly: every item is
//! accounted for, what was held is given back, and no handler is left.

use std::net::{Shutdown, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use switchboard::transport::UnixListener;
use switchboard::{Client, Code, Command, Endpoint, Error, Limits, Receiver, Sender, Streamed};
use switchboard_testing::random::{Random, rounds};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::{block_on, child, figure};

/// Sends so many items, and then says how many they were, or fails.
const DOWN: Command<Plan, Streamed<Item, u32>> = Command::new("DOWN");
/// Takes items, and says how many they were.
const UP: Command<Streamed<Item, Plan>, u32> = Command::new("UP");
/// Sends each item back.
const BOTH: Command<Streamed<Item, Plan>, Streamed<Item, u32>> = Command::new("BOTH");
const ECHO: Command<bytes::Bytes, bytes::Bytes, switchboard::format::Bytes> = Command::new("ECHO");

pub(crate) fn run() {
    block_on(async {
        let begun = Instant::now();
        let ground = Ground::new().await;
        let tasks = Handle::current().metrics().num_alive_tasks();
        // Twice the same, so that what is kept after the first time shows in the second.
        let (first, rss_bytes) = stream_all(&ground, 1, tasks).await;
        let (second, more_rss_bytes) = stream_all(&ground, 2, tasks).await;
        let more_bytes = more_rss_bytes.saturating_sub(rss_bytes);
        let tally = first.add(second);
        let text = format!(
            "{} streams over {CONNECTIONS} connections, TCP and Unix: {} ended well, {} by their \
             handlers, {} given up, {} late, {} cut off by {} lost connections; {} items, each \
             once and in order (goal 0 lost); 0 handlers and 0 tasks left (goal 0), {} KiB more \
             the second time (goal {} KiB), all memory given back; {:.1} s",
            tally.sum(),
            tally.ended,
            tally.failed,
            tally.given_up,
            tally.late,
            tally.cut_off,
            ground.kills.load(Ordering::Relaxed),
            tally.items,
            more_bytes >> 10,
            MORE_BYTES_MAX >> 10,
            begun.elapsed().as_secs_f64()
        );
        figure("G18", &text);
        assert!(more_bytes <= MORE_BYTES_MAX, "{more_bytes} bytes more are held");
        let parts = [tally.ended, tally.failed, tally.given_up, tally.late, tally.cut_off];
        assert!(parts.iter().all(|part| *part > 0), "not every end has come: {parts:?}");
    });
}

/// What a call's items are, told with it: those of its number, so many, and an error behind them.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Plan {
    number: u64,
    count: u32,
    is_well: bool,
    pause: Pause,
}

/// How often whoever takes items waits.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Pause {
    Never,
    Turns,
    Millisecond,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Item {
    number: u64,
    index: u32,
    // Text, which is read faster than a list of numbers is.
    filling: String,
}

#[derive(Clone, Copy, Default)]
struct Tally {
    ended: u64,
    failed: u64,
    given_up: u64,
    late: u64,
    cut_off: u64,
    items: u64,
}

/// Where the server is, and what runs there.
struct Ground {
    tcp: SocketAddr,
    unix: PathBuf,
    handlers: Arc<AtomicUsize>,
    kills: AtomicU64,
}

/// A connection, and how it is cut off.
struct Line {
    client: Client,
    kill: Box<dyn Fn() + Send>,
}

/// Counts a handler for as long as it lives.
struct Running(Arc<AtomicUsize>);

/// What becomes of a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Whole,
    /// Dropped behind so many items.
    GivenUp(u32),
    /// Its time is short.
    Late(Duration),
}

impl Ground {
    async fn new() -> Arc<Self> {
        let handlers = Arc::<AtomicUsize>::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tcp = listener.local_addr().unwrap();
        let endpoint = endpoint(&handlers);
        let served = endpoint.clone();
        tokio::spawn(async move { served.serve(listener).await });
        let unix = std::env::temp_dir().join(format!("switchboard-g18-{}", std::process::id()));
        let listener = UnixListener::bind(&unix).await.unwrap();
        tokio::spawn(async move { endpoint.serve(listener).await });
        Arc::new(Self { tcp, unix, handlers, kills: AtomicU64::new(0) })
    }

    /// A new connection: every second one is a Unix socket.
    async fn connect(&self, number: u64) -> Line {
        let limits = Limits::default().with(|limits| limits.payload_bytes_max = LARGEST_BYTES);
        let caller = Endpoint::new().with_limits(limits);
        if number.is_multiple_of(2) {
            let stream = TcpStream::connect(self.tcp).await.unwrap().into_std().unwrap();
            let socket = stream.try_clone().unwrap();
            let client = caller.connect_over(TcpStream::from_std(stream).unwrap());
            return Line { client, kill: Box::new(move || drop(socket.shutdown(Shutdown::Both))) };
        }
        let stream = UnixStream::connect(&self.unix).await.unwrap().into_std().unwrap();
        let socket = stream.try_clone().unwrap();
        let client = caller.connect_over(UnixStream::from_std(stream).unwrap());
        Line { client, kill: Box::new(move || drop(socket.shutdown(Shutdown::Both))) }
    }
}

impl Running {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Plan {
    fn random(random: &mut Random, number: u64) -> Self {
        // Mostly a few, and now and then many.
        let counts = [4, 40, 400][random.below(3)];
        let count = random.below(counts) as u32;
        let pause = [Pause::Never, Pause::Never, Pause::Turns, Pause::Millisecond];
        let pause = pause[random.below(if counts > 40 { 3 } else { 4 })];
        Self { number, count, is_well: random.below(6) > 0, pause }
    }

    fn item(self, index: u32) -> Item {
        let bytes = (self.number.wrapping_mul(31) + u64::from(index) * 97) % 1500;
        Item { number: self.number, index, filling: "x".repeat(bytes as usize) }
    }

    fn check(self, index: u32, item: &Item) {
        assert_eq!(*item, self.item(index), "another item");
    }

    async fn pause(self) {
        match self.pause {
            Pause::Never => {}
            Pause::Turns => tokio::task::yield_now().await,
            Pause::Millisecond => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }

    fn end(self, count: u32) -> Result<u32, Error> {
        if self.is_well { Ok(count) } else { Err(Error::new(Code::Conflict, "as planned")) }
    }
}

fn endpoint(handlers: &Arc<AtomicUsize>) -> Endpoint {
    async fn down(running: Running, plan: Plan, out: Sender<Item>) -> Result<u32, Error> {
        for index in 0..plan.count {
            out.send(&plan.item(index)).await?;
        }
        drop(running);
        plan.end(plan.count)
    }
    async fn up(running: Running, plan: Plan, mut items: Receiver<Item>) -> Result<u32, Error> {
        let mut count = 0;
        while let Some(item) = items.next().await? {
            plan.check(count, &item);
            count += 1;
            plan.pause().await;
        }
        drop(running);
        plan.end(count)
    }
    async fn both(
        running: Running,
        plan: Plan,
        mut items: Receiver<Item>,
        out: Sender<Item>,
    ) -> Result<u32, Error> {
        let mut count = 0;
        while let Some(item) = items.next().await? {
            plan.check(count, &item);
            count += 1;
            out.send(&item).await?;
        }
        drop(running);
        plan.end(count)
    }
    let running = |handlers: &Arc<AtomicUsize>| {
        let handlers = Arc::clone(handlers);
        move || Running::new(&handlers)
    };
    let (of_down, of_up, of_both) = (running(handlers), running(handlers), running(handlers));
    let limits = Limits::default().with(|limits| {
        limits.held_bytes_max = LARGEST_BYTES + LARGEST_BYTES / 8;
        limits.payload_bytes_max = LARGEST_BYTES;
    });
    Endpoint::new()
        .with_limits(limits)
        .on(DOWN, move |plan: Plan, out: Sender<Item>| down(of_down(), plan, out))
        .on(UP, move |plan: Plan, items: Receiver<Item>| up(of_up(), plan, items))
        .on(BOTH, move |plan: Plan, items: Receiver<Item>, out: Sender<Item>| {
            both(of_both(), plan, items, out)
        })
        .on(ECHO, async |bytes: bytes::Bytes| Ok::<_, Error>(bytes))
}

/// Streams over all connections, and waits until nothing of it is left; answers what memory there
/// is then.
async fn stream_all(ground: &Arc<Ground>, seed: u64, tasks: usize) -> (Tally, u64) {
    let mut connections = JoinSet::new();
    for number in 0..CONNECTIONS {
        connections.spawn(stream_over(Arc::clone(ground), seed << 32 | number, number));
    }
    let tallies = tokio::time::timeout(Duration::from_secs(300), connections.join_all()).await;
    let tallies = tallies.expect("every stream ends");
    let is_over = || {
        let handlers = ground.handlers.load(Ordering::SeqCst);
        let now = Handle::current().metrics().num_alive_tasks();
        (handlers, now.saturating_sub(tasks)) == (0, 0)
    };
    let settle = async {
        while !is_over() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let settled = tokio::time::timeout(Duration::from_secs(30), settle).await;
    assert!(settled.is_ok(), "{} handlers are left", ground.handlers.load(Ordering::SeqCst));
    // All that was held is given back: there is room for the largest payload.
    for number in 0..2 {
        let largest = bytes::Bytes::from(vec![b'x'; LARGEST_BYTES]);
        let caller = ground.connect(number).await.client;
        assert_eq!(caller.call(ECHO, &largest).await.unwrap(), largest);
    }
    (tallies.into_iter().fold(Tally::default(), Tally::add), child::rss_bytes())
}

/// Streams over one connection, several at a time, and now and then over another in its place.
async fn stream_over(ground: Arc<Ground>, seed: u64, number: u64) -> Tally {
    let mut random = Random::new(seed);
    let (mut tally, mut begun) = (Tally::default(), 0);
    let streams = rounds(STREAMS) / 2 / CONNECTIONS;
    let mut line = ground.connect(number).await;
    while begun < streams {
        let mut calls = JoinSet::new();
        for _ in 0..=random.below(6) {
            let plan = Plan::random(&mut random, seed << 16 | begun);
            let fate = match random.below(10) {
                0 => Fate::GivenUp(random.below(plan.count as usize + 1) as u32),
                1 => Fate::Late(Duration::from_micros(random.below(3_000) as u64)),
                _ => Fate::Whole,
            };
            calls.spawn(stream(line.client.clone(), plan, fate, random.below(3)));
            begun += 1;
        }
        let is_killed = random.below(5) == 0;
        if is_killed {
            tokio::time::sleep(Duration::from_micros(random.below(10_000) as u64)).await;
            (line.kill)();
            ground.kills.fetch_add(1, Ordering::Relaxed);
        }
        for (items, end) in calls.join_all().await {
            tally.items += u64::from(items);
            match end.as_ref().map_err(Error::code) {
                Ok(true) => tally.ended += 1,
                Ok(false) => tally.given_up += 1,
                Err(Code::Conflict) => tally.failed += 1,
                Err(Code::DeadlineExceeded) => tally.late += 1,
                Err(_) if is_killed => tally.cut_off += 1,
                Err(_) => panic!("for no reason: {end:?}"),
            }
        }
        if is_killed {
            line = ground.connect(number).await;
        }
    }
    tally
}

/// Makes a call; answers how many items were taken, and whether it came to its end.
async fn stream(client: Client, plan: Plan, fate: Fate, kind: usize) -> (u32, Result<bool, Error>) {
    let mut items = 0;
    let end = match kind {
        0 => down(&client, plan, fate, &mut items).await,
        1 => up(&client, plan, fate, &mut items).await,
        _ => both(&client, plan, fate, &mut items).await,
    };
    // All items have come before the end.
    match &end {
        Ok(Some(count)) => {
            assert_eq!((*count, items, plan.is_well), (plan.count, plan.count, true));
        }
        Err(error) if error.code() == Code::Conflict => {
            assert_eq!((items, plan.is_well), (plan.count, false));
        }
        Ok(None) | Err(_) => {}
    }
    (items, end.map(|end| end.is_some()))
}

async fn down(
    client: &Client,
    plan: Plan,
    fate: Fate,
    items: &mut u32,
) -> Result<Option<u32>, Error> {
    let mut call = client.call(DOWN, &plan).timeout(fate.time());
    while !fate.is_enough(*items) {
        let Some(item) = call.next().await else {
            return call.finish().await.map(Some);
        };
        plan.check(*items, &item?);
        *items += 1;
        plan.pause().await;
    }
    Ok(None)
}

async fn up(
    client: &Client,
    plan: Plan,
    fate: Fate,
    items: &mut u32,
) -> Result<Option<u32>, Error> {
    let mut call = client.call(UP, &plan).timeout(fate.time());
    while *items < plan.count && !fate.is_enough(*items) {
        call.send(&plan.item(*items)).await?;
        *items += 1;
    }
    if fate.is_enough(*items) { Ok(None) } else { call.finish().await.map(Some) }
}

async fn both(
    client: &Client,
    plan: Plan,
    fate: Fate,
    items: &mut u32,
) -> Result<Option<u32>, Error> {
    let (up, mut call) = client.call(BOTH, &plan).timeout(fate.time()).split().await?;
    let sending = tokio::spawn(async move {
        for index in 0..plan.count {
            // Why it has failed the other half is told.
            if up.send(&plan.item(index)).await.is_err() {
                return;
            }
        }
        up.end();
    });
    while *items < plan.count && !fate.is_enough(*items) {
        match call.next().await {
            Some(item) => plan.check(*items, &item?),
            None => break,
        }
        *items += 1;
        plan.pause().await;
    }
    if fate.is_enough(*items) {
        drop(call);
        sending.await.unwrap();
        return Ok(None);
    }
    sending.await.unwrap();
    call.finish().await.map(Some)
}

impl Fate {
    /// Longer than any of them takes, if it is not to be late.
    fn time(self) -> Duration {
        if let Self::Late(time) = self { time } else { Duration::from_secs(200) }
    }

    fn is_enough(self, items: u32) -> bool {
        matches!(self, Self::GivenUp(count) if count == items)
    }
}

impl Tally {
    fn sum(self) -> u64 {
        self.ended + self.failed + self.given_up + self.late + self.cut_off
    }

    fn add(self, other: Self) -> Self {
        Self {
            ended: self.ended + other.ended,
            failed: self.failed + other.failed,
            given_up: self.given_up + other.given_up,
            late: self.late + other.late,
            cut_off: self.cut_off + other.cut_off,
            items: self.items + other.items,
        }
    }
}

const STREAMS: u64 = 1_000;
const CONNECTIONS: u64 = 20;
const LARGEST_BYTES: usize = 6 << 20;

/// For the allocator, whose pages lie elsewhere the second time.
const MORE_BYTES_MAX: u64 = 16 << 20;
