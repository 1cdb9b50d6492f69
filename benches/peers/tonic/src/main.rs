//! tonic: gRPC over HTTP/2 without TLS.
//!
//! The windows of HTTP/2 are large enough for a MiB each way, which the default ones are not. The
//! client takes requests by value, so each call clones the message: that is its interface.

mod message;
mod service {
    //! What `build.rs` has made.
    #![allow(missing_docs, unreachable_pub, unused_qualifications, reason = "it is generated")]
    #![allow(clippy::all, clippy::too_many_lines, clippy::use_self, reason = "it is generated")]
    include!(concat!(env!("OUT_DIR"), "/peers.Peer.rs"));
}

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::stream;
use hyper_util::rt::TokioIo;
use peers_common::{Address, Arguments, Caller, Listener, SLOW_TIME, SMALL, Scenario};
use tokio::time::sleep;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status, Streaming, async_trait};
use tower::service_fn;

use self::message::{Blob, Count, Message};
use self::service::peer_client::PeerClient;
use self::service::peer_server::{Peer, PeerServer};

fn main() -> Result<()> {
    peers_common::main(serve, peers_common::measure_callers::<Tonic>)
}

async fn serve(arguments: Arguments) -> Result<()> {
    let server = Server::builder()
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .add_service(PeerServer::new(Echo));
    match arguments.address.listen().await? {
        Listener::Tcp(listener) => {
            let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
            server.serve_with_incoming(incoming).await?;
        }
        Listener::Unix(listener) => {
            server.serve_with_incoming(UnixListenerStream::new(listener)).await?;
        }
    }
    Ok(())
}

struct Echo;

#[async_trait]
impl Peer for Echo {
    async fn echo(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        Ok(Response::new(request.into_inner()))
    }

    async fn slow(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        sleep(SLOW_TIME).await;
        Ok(Response::new(request.into_inner()))
    }

    async fn blob(&self, request: Request<Blob>) -> Result<Response<Blob>, Status> {
        Ok(Response::new(request.into_inner()))
    }

    async fn notes(&self, request: Request<Streaming<Message>>) -> Result<Response<Count>, Status> {
        let mut messages = request.into_inner();
        let mut count = 0;
        while let Some(message) = messages.message().await? {
            std::hint::black_box(message);
            count += 1;
        }
        Ok(Response::new(Count { count }))
    }
}

#[derive(Clone)]
struct Tonic {
    client: PeerClient<Channel>,
    message: Arc<Message>,
    blob: Arc<Blob>,
}

impl Caller for Tonic {
    async fn connect(arguments: &Arguments) -> Result<Self> {
        let client = PeerClient::new(channel(arguments.address.clone()).await?);
        let message = Arc::new(Message::from(peers_common::Message::new()));
        let blob = match arguments.scenario {
            Scenario::Mib => peers_common::Blob::mib().bytes,
            _ => SMALL.to_vec(),
        };
        let tonic = Self { client, message, blob: Arc::new(Blob { bytes: blob.into() }) };
        let reply = tonic.client.clone().echo((*tonic.message).clone()).await?.into_inner();
        ensure!(reply == *tonic.message, "the reply is another");
        Ok(tonic)
    }

    async fn echo(&self) -> Result<()> {
        std::hint::black_box(self.client.clone().echo((*self.message).clone()).await?);
        Ok(())
    }

    async fn slow(&self) -> Result<()> {
        std::hint::black_box(self.client.clone().slow((*self.message).clone()).await?);
        Ok(())
    }

    async fn mib(&self) -> Result<()> {
        std::hint::black_box(self.client.clone().blob((*self.blob).clone()).await?);
        Ok(())
    }

    async fn small(&self) -> Result<()> {
        self.mib().await
    }

    /// One stream of the client.
    async fn one_way(&self, time: Duration) -> Result<u64> {
        let (end, message) = (Instant::now() + time, Arc::clone(&self.message));
        let sent = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&sent);
        let messages = stream::repeat_with(move || (*message).clone())
            .take_while(move |_| Instant::now() < end)
            .map(move |message| {
                counted.fetch_add(1, Ordering::Relaxed);
                message
            });
        let count = self.client.clone().notes(messages).await?.into_inner().count;
        let sent = sent.load(Ordering::Relaxed);
        ensure!(count == sent, "{count} of {sent} have come");
        Ok(count)
    }
}

async fn channel(address: Address) -> Result<Channel> {
    let endpoint = Endpoint::from_static("http://localhost")
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES);
    let connector = service_fn(move |_| {
        let address = address.clone();
        async move { anyhow::Ok(TokioIo::new(address.connect().await?)) }
    });
    endpoint.connect_with_connector(connector).await.context("nobody listens")
}

const WINDOW_BYTES: u32 = 4 * 1024 * 1024;
