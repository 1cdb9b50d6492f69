//! jsonrpsee: JSON-RPC over a WebSocket. It has no Unix sockets.
//!
//! Bytes are arrays of numbers in JSON, so a MiB of them is two or more.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use jsonrpsee::RpcModule;
use jsonrpsee::core::client::ClientT;
use jsonrpsee::rpc_params;
use jsonrpsee::server::{Server, ServerConfig};
use jsonrpsee::types::ErrorObjectOwned;
use jsonrpsee::ws_client::{WsClient, WsClientBuilder};
use peers_common::{
    Address, Arguments, Blob, Caller, Message, SLOW_TIME, SMALL, Scenario, Unsupported,
};
use tokio::time::sleep;

fn main() -> Result<()> {
    peers_common::main(serve, peers_common::measure_callers::<JsonRpc>)
}

async fn serve(arguments: Arguments) -> Result<()> {
    let Address::Tcp(address) = arguments.address else {
        return Err(Unsupported.into());
    };
    let config = ServerConfig::builder()
        .max_request_body_size(BODY_BYTES_MAX)
        .max_response_body_size(BODY_BYTES_MAX)
        .max_connections(20_000)
        .set_tcp_no_delay(true)
        .ws_only()
        .build();
    let server = Server::builder().set_config(config).build(address).await?;
    println!("{}", server.local_addr()?);
    let mut module = RpcModule::new(());
    module.register_method("echo", |params, (), _| params.one::<Message>())?;
    module.register_method("blob", |params, (), _| params.one::<Blob>())?;
    module.register_async_method("slow", async |params, _, _| {
        let message: Message = params.one()?;
        sleep(SLOW_TIME).await;
        Ok::<_, ErrorObjectOwned>(message)
    })?;
    server.start(module).stopped().await;
    Ok(())
}

#[derive(Clone)]
struct JsonRpc {
    client: Arc<WsClient>,
    message: Arc<Message>,
    blob: Arc<Blob>,
}

impl Caller for JsonRpc {
    async fn connect(arguments: &Arguments) -> Result<Self> {
        let Address::Tcp(address) = &arguments.address else {
            return Err(Unsupported.into());
        };
        let client = WsClientBuilder::new()
            .max_request_size(BODY_BYTES_MAX)
            .max_response_size(BODY_BYTES_MAX)
            .max_concurrent_requests(1024)
            .request_timeout(Duration::from_secs(30))
            .set_tcp_no_delay(true)
            .build(format!("ws://{address}"))
            .await?;
        let blob = match arguments.scenario {
            Scenario::Mib => Blob::mib(),
            _ => Blob { bytes: SMALL.to_vec() },
        };
        let (message, blob) = (Arc::new(Message::new()), Arc::new(blob));
        let reply: Message = client.request("echo", rpc_params![&*message]).await?;
        ensure!(reply == *message, "the reply is another");
        Ok(Self { client: Arc::new(client), message, blob })
    }

    async fn echo(&self) -> Result<()> {
        let reply: Message = self.client.request("echo", rpc_params![&*self.message]).await?;
        std::hint::black_box(reply);
        Ok(())
    }

    async fn slow(&self) -> Result<()> {
        let reply: Message = self.client.request("slow", rpc_params![&*self.message]).await?;
        std::hint::black_box(reply);
        Ok(())
    }

    async fn mib(&self) -> Result<()> {
        let reply: Blob = self.client.request("blob", rpc_params![&*self.blob]).await?;
        std::hint::black_box(reply);
        Ok(())
    }

    async fn small(&self) -> Result<()> {
        self.mib().await
    }
}

const BODY_BYTES_MAX: u32 = 16 * 1024 * 1024;
