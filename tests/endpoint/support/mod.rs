//! What the tests share: an endpoint with a few commands, and a peer played by hand.

pub mod watched;

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use switchboard::format::{Json, Line};
use switchboard::transport::{self, MemoryStream};
use switchboard::wire::{self, Decoder};
use switchboard::{Client, Code, Command, Connection, Endpoint, Error, Limits, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

/// Answers what it was sent.
pub const ECHO: Command<String, String, Line> = Command::new("ECHO");
/// Adds two numbers.
pub const ADD: Command<(u32, u32), u32> = Command::new("ADD");
/// Looks an item up.
pub const CHECK_STOCK: Command<String, u32> = Command::new("CHECK_STOCK");
/// Waits until it is let go, then answers what it was sent.
pub const HOLD: Command<String, String, Line> = Command::new("HOLD");
/// Must never run.
pub const CANARY: Command<String, String, Line> = Command::new("CANARY");
/// Answers so many letters.
pub const LETTERS: Command<usize, String, Json> = Command::new("LETTERS");

/// An endpoint with `ECHO`, `ADD`, `CHECK_STOCK`, `LETTERS` and the raw `STRING`.
pub fn endpoint() -> Endpoint {
    Endpoint::new()
        .on(ECHO, async |text: String| Ok::<_, Error>(text))
        .on(ADD, async |(a, b): (u32, u32)| Ok::<_, Error>(a + b))
        .on(CHECK_STOCK, check_stock)
        .on(LETTERS, async |count: usize| Ok::<_, Error>("x".repeat(count)))
        .on_raw("STRING", strings)
}

async fn check_stock(item: String) -> Result<u32> {
    if item == "item1" { Ok(100) } else { Err(Error::new(Code::Failed, "no such item")) }
}

async fn strings(connection: &mut Connection) -> Result<()> {
    connection.read_line().await?;
    connection.write_line("Thank you.").await
}

/// The same endpoint with other limits.
pub fn limited(change: impl FnOnce(&mut Limits)) -> Endpoint {
    endpoint().with_limits(Limits::default().with(change))
}

/// The far end of a connection that `endpoint` serves.
pub fn dial(endpoint: &Endpoint) -> MemoryStream {
    let (here, there) = transport::memory();
    let endpoint = endpoint.clone();
    tokio::spawn(async move { endpoint.serve_stream(there).await });
    here
}

/// A client of `endpoint`.
pub fn client(endpoint: &Endpoint) -> Client {
    Endpoint::new().connect_over(dial(endpoint))
}

/// A client, and the peer at its other end.
pub fn client_and_peer() -> (Client, Peer<MemoryStream>) {
    client_and_peer_of(&Endpoint::new())
}

/// A client made by `endpoint`, and the peer at its other end.
pub fn client_and_peer_of(endpoint: &Endpoint) -> (Client, Peer<MemoryStream>) {
    let (here, there) = transport::memory();
    (endpoint.connect_over(here), Peer::new(there))
}

/// A peer played by hand.
pub struct Peer<S> {
    pub stream: S,
    input: BytesMut,
    decoder: Decoder,
}

/// A peer connected to `endpoint`.
pub fn peer(endpoint: &Endpoint) -> Peer<MemoryStream> {
    Peer::new(dial(endpoint))
}

impl<S: transport::Io> Peer<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, input: BytesMut::new(), decoder: Decoder::new(1024, 16 << 20) }
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Ends this side.
    pub async fn finish(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// The next line and its body, as they stand on the wire; `None` at the end.
    pub async fn next(&mut self) -> Option<String> {
        let mut text = BytesMut::new();
        loop {
            match self.decoder.decode(&mut self.input).unwrap() {
                Some(wire::Event::Line(line)) => {
                    line.encode(&mut text);
                    if line.body_len().is_none() {
                        return Some(show(&text));
                    }
                }
                Some(wire::Event::Body(body)) => {
                    text.extend_from_slice(&body);
                    return Some(show(&text));
                }
                None => {
                    if within(self.stream.read_buf(&mut self.input)).await.unwrap() == 0 {
                        assert!(text.is_empty() && self.input.is_empty(), "the stream ends early");
                        return None;
                    }
                }
                Some(_) => unreachable!(),
            }
        }
    }

    /// What comes next is this.
    #[track_caller]
    pub fn expect(&mut self, expected: &str) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move { assert_eq!(self.next().await.as_deref(), Some(expected), "at {place}") }
    }

    /// What comes next is this error; answers its text.
    #[track_caller]
    pub fn expect_error(&mut self, tag: u32, code: Code) -> impl Future<Output = String> {
        let place = std::panic::Location::caller();
        async move {
            let reply = self.next().await.unwrap_or_default();
            let (line, text) = reply.split_once('\n').unwrap_or_default();
            assert_eq!(line, format!("<{tag} err {} {code}", text.len()), "{reply:?} at {place}");
            text.to_owned()
        }
    }

    /// Nothing comes any more.
    #[track_caller]
    pub fn expect_end(&mut self) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move { assert_eq!(self.next().await, None, "at {place}") }
    }

    /// The last word of an orderly end comes, and nothing after it.
    #[track_caller]
    pub fn expect_farewell(&mut self) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            assert_eq!(self.next().await.as_deref(), Some("<0 ok 0\n"), "at {place}");
            assert_eq!(self.next().await, None, "at {place}");
        }
    }

    /// Exactly these bytes come, which need not be lines of the protocol.
    #[track_caller]
    pub fn expect_bytes(&mut self, expected: &str) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            while self.input.len() < expected.len() {
                if within(self.stream.read_buf(&mut self.input)).await.unwrap() == 0 {
                    break;
                }
            }
            let len = expected.len().min(self.input.len());
            assert_eq!(show(&self.input.split_to(len)), expected, "at {place}");
        }
    }

    /// Everything that still comes.
    pub async fn rest(&mut self) -> String {
        let mut rest = self.input.split().to_vec();
        within(self.stream.read_to_end(&mut rest)).await.ok();
        show(&rest)
    }
}

/// Sends all of this and ends; answers all that comes back.
pub async fn exchange(endpoint: &Endpoint, sent: impl AsRef<[u8]>) -> String {
    exchange_over(dial(endpoint), sent).await
}

/// Sends all of this over `stream` and ends; answers all that comes back. A peer that closes
/// early, or tears the connection down, is no error.
pub async fn exchange_over(stream: impl transport::Io, sent: impl AsRef<[u8]>) -> String {
    let (mut reading, mut writing) = tokio::io::split(stream);
    let write = async {
        if writing.write_all(sent.as_ref()).await.is_ok() {
            writing.shutdown().await.ok();
        }
    };
    let read = async {
        let mut got = Vec::new();
        reading.read_to_end(&mut got).await.ok();
        got
    };
    let ((), got) = within(async { tokio::join!(write, read) }).await;
    show(&got)
}

/// What is sent gets exactly this back.
pub async fn check(endpoint: &Endpoint, sent: &str, expected: &str) {
    assert_eq!(exchange(endpoint, sent).await, expected, "{sent:?}");
}

/// An error reply as it stands on the wire.
pub fn err(tag: u32, code: Code, text: &str) -> String {
    format!("<{tag} err {} {code}\n{text}", text.len())
}

/// The endpoint still serves a healthy client.
pub async fn check_serves(endpoint: &Endpoint) {
    let client = client(endpoint);
    assert_eq!(within(client.call(ADD, &(1, 2))).await.unwrap(), 3);
    within(client.close()).await;
}

/// Ends a test that would hang. Paused time passes only when nothing else can be done.
pub async fn within<T>(work: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(3600), work).await.expect("it hangs")
}

/// Lets everything run that can run without time passing.
pub async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

pub fn show(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Something that is counted, and can be waited for.
#[derive(Clone, Debug)]
pub struct Count(Arc<watch::Sender<usize>>);

impl Default for Count {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl Count {
    pub fn add(&self) {
        self.0.send_modify(|count| *count += 1);
    }

    pub fn now(&self) -> usize {
        *self.0.borrow()
    }

    pub async fn reach(&self, count: usize) {
        within(self.0.subscribe().wait_for(|now| *now >= count)).await.unwrap();
    }

    /// Counts when it is dropped.
    pub fn guard(&self) -> Guard {
        Guard(self.clone())
    }
}

pub struct Guard(Count);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.add();
    }
}

/// What `HOLD` is doing.
#[derive(Clone, Debug)]
pub struct Held {
    pub begun: Count,
    pub ended: Count,
    pub gate: Arc<Semaphore>,
}

impl Held {
    pub fn new() -> Self {
        Self { begun: Count::default(), ended: Count::default(), gate: Arc::new(Semaphore::new(0)) }
    }

    /// Adds `HOLD` to `endpoint`.
    pub fn on(&self, endpoint: Endpoint) -> Endpoint {
        let held = self.clone();
        endpoint.on(HOLD, move |text: String| held.clone().hold(text))
    }

    async fn hold(self, text: String) -> Result<String> {
        let _guard = self.ended.guard();
        self.begun.add();
        self.gate.acquire().await.unwrap().forget();
        Ok(text)
    }

    pub fn release(&self, count: usize) {
        self.gate.add_permits(count);
    }
}

/// Adds `CANARY` to `endpoint`, and counts its runs.
pub fn with_canary(endpoint: Endpoint) -> (Endpoint, Count) {
    let count = Count::default();
    let runs = count.clone();
    let endpoint = endpoint.on(CANARY, move |text: String| {
        runs.add();
        async move { Ok::<_, Error>(text) }
    });
    (endpoint, count)
}
