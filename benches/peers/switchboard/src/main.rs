//! This library, with its default features.
//!
//! The default limits hold, but for those on connections, which the scenarios need, and on calls of
//! one connection where all are raised.

mod streams;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytes::Bytes;
use peers_common::{Arguments, Blob, Caller, Direction, MIB, Message, SLOW_TIME, SMALL, Scenario};
use switchboard::{Client, Command, Endpoint, Limits, format, transport};
use tokio::time::sleep;

const ECHO: Command<Message, Message> = Command::new("ECHO");
const SLOW: Command<Message, Message> = Command::new("SLOW");
const BLOB: Command<Blob, Blob> = Command::new("BLOB");
const BYTES: Command<Bytes, Bytes, format::Bytes> = Command::new("BYTES");
const NOTE: Command<Message, ()> = Command::new("NOTE");
const NOTED: Command<(), u64> = Command::new("NOTED");

fn main() -> Result<()> {
    peers_common::main(serve, peers_common::measure_callers::<Switchboard>)
}

async fn serve(arguments: Arguments) -> Result<()> {
    let noted = Arc::new(AtomicU64::new(0));
    let endpoint = Endpoint::new()
        .with_limits(limits(&arguments))
        .on(ECHO, same)
        .on(SLOW, slow)
        .on(BLOB, same)
        .on(BYTES, same)
        .on(NOTE, switchboard::with_state(&noted, note))
        .on(NOTED, switchboard::with_state(&noted, count_noted))
        .on(streams::UP, streams::up)
        .on(streams::DOWN, streams::down)
        .on(streams::BOTH, streams::both);
    for number in 1..arguments.handlers {
        let command: Command<Message, Message> = Command::new(&format!("ECHO_{number}"));
        endpoint.add(command, same)?;
    }
    let listener = transport::bind(arguments.address.to_string()).await?;
    println!("{}", listener.local_address()?);
    Ok(endpoint.serve(listener).await?)
}

async fn same<T>(value: T) -> switchboard::Result<T> {
    Ok(value)
}

async fn slow(message: Message) -> switchboard::Result<Message> {
    sleep(SLOW_TIME).await;
    Ok(message)
}

async fn note(noted: Arc<AtomicU64>, message: Message) -> switchboard::Result<()> {
    std::hint::black_box(message);
    noted.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

async fn count_noted(noted: Arc<AtomicU64>, (): ()) -> switchboard::Result<u64> {
    Ok(noted.load(Ordering::Relaxed))
}

fn limits(arguments: &Arguments) -> Limits {
    Limits::default().with(|limits| {
        limits.connections_max = 20_000;
        limits.connections_per_peer_max = 20_000;
        // A MiB and what encoding adds to it.
        limits.payload_bytes_max = 2 * MIB;
        if arguments.is_unlimited {
            let most = u32::MAX as usize;
            limits.line_bytes_max = most;
            limits.payload_bytes_max = most;
            limits.depth_max = Limits::DEPTH_MOST;
            limits.spare_elements_max = most;
            limits.decode_bytes_max = most;
            limits.calls_per_connection_max = most;
            limits.consecutive_errors_max = u32::MAX;
            limits.unwritten_bytes_max = most;
            limits.calls_max = most;
            limits.held_bytes_max = most;
        }
    })
}

#[derive(Clone)]
struct Switchboard {
    client: Client,
    values: Arc<Values>,
}

struct Values {
    message: Message,
    blob: Blob,
    bytes: Bytes,
}

impl Caller for Switchboard {
    async fn connect(arguments: &Arguments) -> Result<Self> {
        let endpoint = Endpoint::new().with_limits(limits(arguments));
        let client = endpoint.connect(arguments.address.to_string()).await?;
        let is_large = matches!(arguments.scenario, Scenario::Mib | Scenario::MibBytes);
        let blob = if is_large { Blob::mib() } else { Blob::default() };
        let bytes = blob.bytes.clone().into();
        let values = Values { message: Message::new(), blob, bytes };
        let reply = client.call(ECHO, &values.message).await?;
        ensure!(reply == values.message, "the reply is another");
        Ok(Self { client, values: Arc::new(values) })
    }

    async fn echo(&self) -> Result<()> {
        std::hint::black_box(self.client.call(ECHO, &self.values.message).await?);
        Ok(())
    }

    async fn slow(&self) -> Result<()> {
        std::hint::black_box(self.client.call(SLOW, &self.values.message).await?);
        Ok(())
    }

    async fn mib(&self) -> Result<()> {
        std::hint::black_box(self.client.call(BLOB, &self.values.blob).await?);
        Ok(())
    }

    async fn mib_bytes(&self) -> Result<()> {
        std::hint::black_box(self.client.call(BYTES, &self.values.bytes).await?);
        Ok(())
    }

    async fn small(&self) -> Result<()> {
        std::hint::black_box(self.client.call(BYTES, &Bytes::from_static(SMALL)).await?);
        Ok(())
    }

    async fn one_way(&self, time: Duration) -> Result<u64> {
        let before = self.client.call(NOTED, &()).await?;
        let end = Instant::now() + time;
        let mut count = 0;
        while Instant::now() < end {
            self.client.notify(NOTE, &self.values.message).await?;
            count += 1;
        }
        while self.client.call(NOTED, &()).await? < before + count {}
        Ok(count)
    }

    async fn stream(&self, direction: Direction, time: Duration) -> Result<u64> {
        let (client, message) = (&self.client, &self.values.message);
        match direction {
            Direction::Up => streams::send_up(client, message, time).await,
            Direction::Down => streams::take_down(client, time).await,
            Direction::Both => streams::exchange(client, message, time).await,
        }
    }
}
