//! tarpc over its own length-delimited frames with its bincode.
//!
//! Its client takes requests by value, so each call clones the message: that is its interface.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures_util::StreamExt;
use peers_common::{Arguments, Blob, Caller, Message, SLOW_TIME, SMALL, Scenario, Stream};
use tarpc::context::{self, Context};
use tarpc::serde_transport as transport;
use tarpc::server::{BaseChannel, Channel};
use tarpc::tokio_serde::formats::Bincode;
use tarpc::tokio_util::codec::length_delimited::LengthDelimitedCodec;
use tokio::time::sleep;

#[tarpc::service]
trait Peer {
    /// Gives the message back.
    async fn echo(message: Message) -> Message;
    /// Gives the message back after a while.
    async fn slow(message: Message) -> Message;
    /// Gives many bytes back.
    async fn blob(blob: Blob) -> Blob;
    /// Gives 8 bytes back.
    async fn small(bytes: [u8; 8]) -> [u8; 8];
}

#[derive(Clone)]
struct Echo;

impl Peer for Echo {
    async fn echo(self, _: Context, message: Message) -> Message {
        message
    }

    async fn slow(self, _: Context, message: Message) -> Message {
        sleep(SLOW_TIME).await;
        message
    }

    async fn blob(self, _: Context, blob: Blob) -> Blob {
        blob
    }

    async fn small(self, _: Context, bytes: [u8; 8]) -> [u8; 8] {
        bytes
    }
}

fn main() -> Result<()> {
    peers_common::main(serve, peers_common::measure_callers::<Tarpc>)
}

async fn serve(arguments: Arguments) -> Result<()> {
    let listener = arguments.address.listen().await?;
    loop {
        let framed = LengthDelimitedCodec::builder().new_framed(listener.accept().await?);
        let channel = BaseChannel::with_defaults(transport::new(framed, Bincode::default()));
        let answers = channel.execute(Echo.serve()).for_each(|answer| async {
            tokio::spawn(answer);
        });
        tokio::spawn(answers);
    }
}

#[derive(Clone)]
struct Tarpc {
    client: PeerClient,
    message: Arc<Message>,
    blob: Arc<Blob>,
}

impl Caller for Tarpc {
    async fn connect(arguments: &Arguments) -> Result<Self> {
        let stream: Stream = arguments.address.connect().await?;
        let framed = LengthDelimitedCodec::builder().new_framed(stream);
        let transport = transport::new(framed, Bincode::default());
        let client = PeerClient::new(tarpc::client::Config::default(), transport).spawn();
        let message = Arc::new(Message::new());
        let is_large = arguments.scenario == Scenario::Mib;
        let blob = Arc::new(if is_large { Blob::mib() } else { Blob::default() });
        let reply = client.echo(context(), (*message).clone()).await?;
        ensure!(reply == *message, "the reply is another");
        Ok(Self { client, message, blob })
    }

    async fn echo(&self) -> Result<()> {
        std::hint::black_box(self.client.echo(context(), (*self.message).clone()).await?);
        Ok(())
    }

    async fn slow(&self) -> Result<()> {
        std::hint::black_box(self.client.slow(context(), (*self.message).clone()).await?);
        Ok(())
    }

    async fn mib(&self) -> Result<()> {
        std::hint::black_box(self.client.blob(context(), (*self.blob).clone()).await?);
        Ok(())
    }

    async fn small(&self) -> Result<()> {
        std::hint::black_box(self.client.small(context(), *SMALL).await?);
        Ok(())
    }
}

/// With a deadline of 30 seconds, as the library under test has.
fn context() -> Context {
    let mut context = context::current();
    context.deadline = Instant::now() + Duration::from_secs(30);
    context
}
