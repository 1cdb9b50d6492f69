//! Cap'n Proto's RPC, two parties over a stream.
//!
//! Its types stay in one thread, so server and client have one thread each, whatever is asked for.
//! It could read a value where it lies, but its handler and its callers make a `Message` of it, as
//! those of all peers do. Bytes alone are read where they lie.

mod message;
mod peer_capnp {
    //! What `build.rs` has made.
    #![allow(missing_docs, missing_debug_implementations, reason = "it is generated")]
    #![allow(unreachable_pub, unused_qualifications, reason = "it is generated")]
    #![allow(clippy::all, clippy::str_to_string, clippy::use_self, reason = "it is generated")]
    include!(concat!(env!("OUT_DIR"), "/peer_capnp.rs"));
}

use std::rc::Rc;
use std::time::Instant;

use anyhow::{Result, ensure};
use capnp_rpc::rpc_twoparty_capnp::Side;
use capnp_rpc::{RpcSystem, twoparty};
use futures_util::future::join_all;
use futures_util::io::{AsyncReadExt, BufReader, BufWriter};
use peers_common::{
    Arguments, Load, MIB, Message, Report, SLOW_TIME, SMALL, Samples, Scenario, Span, Stream,
};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::sleep;
use tokio_util::compat::TokioAsyncReadCompatExt;

use self::peer_capnp::peer;

fn main() -> Result<()> {
    peers_common::main(
        |arguments| async { LocalSet::new().run_until(serve(arguments)).await },
        |arguments| async { LocalSet::new().run_until(measure(arguments)).await },
    )
}

async fn serve(arguments: Arguments) -> Result<()> {
    let listener = arguments.address.listen().await?;
    let client: peer::Client = capnp_rpc::new_client(Echo);
    loop {
        let network = network(listener.accept().await?, Side::Server);
        spawn_local(RpcSystem::new(Box::new(network), Some(client.clone().client)));
    }
}

struct Echo;

impl peer::Server for Echo {
    async fn echo(
        self: Rc<Self>,
        params: peer::EchoParams,
        mut results: peer::EchoResults,
    ) -> capnp::Result<()> {
        let message = message::read(params.get()?.get_message()?)?;
        message::write(&message, results.get().init_message());
        Ok(())
    }

    async fn slow(
        self: Rc<Self>,
        params: peer::SlowParams,
        mut results: peer::SlowResults,
    ) -> capnp::Result<()> {
        let message = message::read(params.get()?.get_message()?)?;
        sleep(SLOW_TIME).await;
        message::write(&message, results.get().init_message());
        Ok(())
    }

    async fn blob(
        self: Rc<Self>,
        params: peer::BlobParams,
        mut results: peer::BlobResults,
    ) -> capnp::Result<()> {
        results.get().set_bytes(params.get()?.get_bytes()?);
        Ok(())
    }
}

fn network(
    stream: Stream,
    side: Side,
) -> twoparty::VatNetwork<BufReader<impl futures_util::AsyncRead + Unpin + 'static>> {
    let (reader, writer) = stream.compat().split();
    // As its examples do; it writes in small pieces.
    let (reader, writer) = (BufReader::new(reader), BufWriter::new(writer));
    twoparty::VatNetwork::new(reader, writer, side, capnp::message::ReaderOptions::new())
}

async fn measure(arguments: Arguments) -> Result<Report> {
    let scenario = arguments.scenario;
    if matches!(
        scenario,
        Scenario::OneWay | Scenario::Stream(_) | Scenario::Connect | Scenario::MibBytes
    ) {
        return Ok(Report::unsupported());
    }
    let load = scenario.load();
    let mut callers = Vec::new();
    for _ in 0..load.connections + load.idle {
        callers.push(Caller::connect(&arguments).await?);
    }
    match scenario {
        Scenario::Idle => {
            let count = callers.len() as u64;
            // They stay open as long as this process.
            std::mem::forget(callers);
            Ok(Report::of_count(count, arguments.time))
        }
        Scenario::Mixed(load) => {
            let time = arguments.time / 2;
            let alone = run(&callers, Scenario::Echo(load), load, Span::new(time)).await?;
            let mixed = run(&callers, scenario, load, Span::new(time)).await?;
            Ok(Report { p99_alone_micros: alone.p99_micros, ..mixed })
        }
        _ => run(&callers, scenario, load, Span::new(arguments.time)).await,
    }
}

async fn run(callers: &[Caller], scenario: Scenario, load: Load, span: Span) -> Result<Report> {
    let loops = callers.iter().take(load.connections).flat_map(|caller| {
        (0..load.in_flight).map(move |place| caller.clone().repeat(scenario, place, span))
    });
    let mut samples = Samples::default();
    if load.is_joined {
        for done in join_all(loops).await {
            samples.append(done?);
        }
    } else {
        let tasks: Vec<_> = loops.map(spawn_local).collect();
        for task in tasks {
            samples.append(task.await??);
        }
    }
    Ok(samples.report(&span))
}

#[derive(Clone)]
struct Caller {
    client: peer::Client,
    message: Rc<Message>,
    bytes: Rc<[u8]>,
}

impl Caller {
    async fn connect(arguments: &Arguments) -> Result<Self> {
        let network = network(arguments.address.connect().await?, Side::Client);
        let mut system = RpcSystem::new(Box::new(network), None);
        let client: peer::Client = system.bootstrap(Side::Server);
        spawn_local(system);
        let bytes = if arguments.scenario == Scenario::Mib { vec![7; MIB] } else { SMALL.to_vec() };
        let caller = Self { client, message: Rc::new(Message::new()), bytes: bytes.into() };
        ensure!(caller.echo().await? == *caller.message, "the reply is another");
        Ok(caller)
    }

    /// Of a mixed load every hundredth call is slow and not among the samples.
    async fn repeat(self, scenario: Scenario, place: usize, span: Span) -> Result<Samples> {
        let mut samples = Samples::default();
        let mut count = place;
        let mut begin = Instant::now();
        while span.is_open(begin) {
            count += 1;
            let is_slow = matches!(scenario, Scenario::Mixed(_)) && count.is_multiple_of(100);
            match scenario {
                Scenario::Mib | Scenario::Small(_) => self.blob().await?,
                _ if is_slow => drop(std::hint::black_box(self.slow().await?)),
                _ => drop(std::hint::black_box(self.echo().await?)),
            }
            let end = Instant::now();
            if !is_slow {
                samples.add(&span, begin, end);
            }
            begin = end;
        }
        Ok(samples)
    }

    async fn echo(&self) -> Result<Message> {
        let mut request = self.client.echo_request();
        message::write(&self.message, request.get().init_message());
        let reply = request.send().promise.await?;
        Ok(message::read(reply.get()?.get_message()?)?)
    }

    async fn slow(&self) -> Result<Message> {
        let mut request = self.client.slow_request();
        message::write(&self.message, request.get().init_message());
        let reply = request.send().promise.await?;
        Ok(message::read(reply.get()?.get_message()?)?)
    }

    async fn blob(&self) -> Result<()> {
        let mut request = self.client.blob_request();
        request.get().set_bytes(&self.bytes);
        let reply = request.send().promise.await?;
        std::hint::black_box(reply.get()?.get_bytes()?);
        Ok(())
    }
}
