//! tonic: gRPC over HTTP/2 without TLS.
//!
//! The windows of HTTP/2 are large enough for a MiB each way, which the default ones are not. The
//! client takes requests by value, so each call clones the message: that is its interface.

mod message;
mod streams;
mod service {
    //! What `build.rs` has made.
    #![allow(missing_docs, unreachable_pub, unused_qualifications, reason = "it is generated")]
    #![allow(clippy::all, clippy::too_many_lines, clippy::use_self, reason = "it is generated")]
    include!(concat!(env!("OUT_DIR"), "/peers.Peer.rs"));
}

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hyper_util::rt::TokioIo;
use peers_common::{Address, Arguments, Caller, Direction, Listener, SLOW_TIME, SMALL, Scenario};
use tokio::time::sleep;
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
        let count = streams::take(request.into_inner()).await?;
        Ok(Response::new(Count { count }))
    }

    type PourStream = streams::Messages;

    async fn pour(&self, request: Request<Count>) -> Result<Response<Self::PourStream>, Status> {
        let time = Duration::from_millis(request.into_inner().count);
        Ok(Response::new(streams::pour(time)))
    }

    type SwapStream = streams::Messages;

    async fn swap(
        &self,
        request: Request<Streaming<Message>>,
    ) -> Result<Response<Self::SwapStream>, Status> {
        Ok(Response::new(streams::swap(request.into_inner())))
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
        streams::send_up(self.client.clone(), &self.message, time).await
    }

    async fn stream(&self, direction: Direction, time: Duration) -> Result<u64> {
        let client = self.client.clone();
        match direction {
            Direction::Up => streams::send_up(client, &self.message, time).await,
            Direction::Down => streams::take_down(client, time).await,
            Direction::Both => streams::exchange(client, &self.message, time).await,
        }
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
