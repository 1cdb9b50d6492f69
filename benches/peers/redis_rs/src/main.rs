//! Redis as Rust programs use it: the crate `redis` with its multiplexed connection, and values
//! in bincode.
//!
//! The server is the one of the peer `redis`, and decodes nothing: it echoes bytes by its command
//! `ECHO`. The client encodes each request and decodes each reply.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use bincode::config;
use peers_common::{Address, Arguments, Blob, Caller, Message, Report, SMALL, Scenario};
use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{Client, IntoConnectionInfo};
use serde::Serialize;
use serde::de::DeserializeOwned;

fn main() -> Result<()> {
    peers_common::main(serve, measure)
}

async fn serve(arguments: Arguments) -> Result<()> {
    peers_common::become_redis_server(&arguments)
}

async fn measure(arguments: Arguments) -> Result<Report> {
    peers_common::wait_for_redis(&arguments).await?;
    peers_common::measure_callers::<Redis>(arguments).await
}

#[derive(Clone)]
struct Redis {
    connection: MultiplexedConnection,
    values: Arc<Values>,
}

struct Values {
    message: Message,
    blob: Blob,
}

impl Caller for Redis {
    async fn connect(arguments: &Arguments) -> Result<Self> {
        let url = match &arguments.address {
            Address::Tcp(address) => format!("redis://{address}"),
            Address::Unix(path) => format!("redis+unix://{}", path.display()),
        };
        let without_delay = TcpSettings::default().set_nodelay(true);
        let info = url.into_connection_info()?.set_tcp_settings(without_delay);
        let connection = Client::open(info)?.get_multiplexed_async_connection().await?;
        let is_large = matches!(arguments.scenario, Scenario::Mib | Scenario::MibBytes);
        let blob = if is_large { Blob::mib() } else { Blob::default() };
        let values = Values { message: Message::new(), blob };
        let redis = Self { connection, values: Arc::new(values) };
        let reply: Message = redis.echo_value(&redis.values.message).await?;
        ensure!(reply == redis.values.message, "the reply is another");
        Ok(redis)
    }

    async fn echo(&self) -> Result<()> {
        std::hint::black_box(self.echo_value(&self.values.message).await?);
        Ok(())
    }

    async fn mib(&self) -> Result<()> {
        std::hint::black_box(self.echo_value(&self.values.blob).await?);
        Ok(())
    }

    async fn mib_bytes(&self) -> Result<()> {
        std::hint::black_box(self.echo_bytes(&self.values.blob.bytes).await?);
        Ok(())
    }

    async fn small(&self) -> Result<()> {
        std::hint::black_box(self.echo_bytes(SMALL).await?);
        Ok(())
    }
}

impl Redis {
    async fn echo_value<T: Serialize + DeserializeOwned + Sync>(&self, value: &T) -> Result<T> {
        let request = bincode::serde::encode_to_vec(value, config::standard())?;
        let reply = self.echo_bytes(&request).await?;
        Ok(bincode::serde::decode_from_slice(&reply, config::standard())?.0)
    }

    /// A clone of the connection is how it is shared.
    async fn echo_bytes(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        let mut connection = self.connection.clone();
        let reply = redis::cmd("ECHO").arg(bytes).query_async(&mut connection).await;
        reply.context("ECHO")
    }
}
