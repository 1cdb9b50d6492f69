//! What the tests share: an endpoint with a few commands, and the two ends of it.

pub mod least_client;
pub mod watched;

use std::sync::Arc;

use switchboard::format::{Json, Line};
use switchboard::service::{Answer, Channel, Request, Service};
use switchboard::transport::{self, MemoryStream};
use switchboard::{Client, Code, Command, Connection, Endpoint, Error, Limits, Result};
pub use switchboard_testing::peer::{Peer, err, exchange_over, ran, show};
pub use switchboard_testing::waiting::{Count, Guard, settle, within};
pub use switchboard_testing::{MS, SECOND};
use tokio::sync::Semaphore;

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

/// A channel that only hands on.
pub struct Through(pub Client);

impl Service for Through {
    fn call(&self, request: Request) -> Answer {
        Service::call(&self.0, request)
    }
}

impl Channel for Through {
    fn inner(&self) -> Option<&dyn Channel> {
        Some(&self.0)
    }
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

/// A peer connected to `endpoint`.
pub fn peer(endpoint: &Endpoint) -> Peer<MemoryStream> {
    Peer::new(dial(endpoint))
}

/// Sends all of this and ends; answers all that comes back.
pub async fn exchange(endpoint: &Endpoint, sent: impl AsRef<[u8]>) -> String {
    exchange_over(dial(endpoint), sent).await
}

/// What is sent gets exactly this back.
pub async fn check(endpoint: &Endpoint, sent: &str, expected: &str) {
    assert_eq!(exchange(endpoint, sent).await, expected, "{sent:?}");
}

/// The endpoint still serves a healthy client.
pub async fn check_serves(endpoint: &Endpoint) {
    let client = client(endpoint);
    assert_eq!(within(client.call(ADD, &(1, 2))).await.unwrap(), 3);
    within(client.close()).await;
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
