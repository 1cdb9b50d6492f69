//! What a call costs beside its floor: the same bytes over the same stream by tokio alone.
//!
//! `raw` sends frames of the size of our calls back as they came. `codec` also encodes and decodes
//! them on both sides, with bincode as it is. Neither has tags, limits, deadlines or a lock, and
//! both know how long a frame is. Whatever has come whole is answered in one write. The two sides
//! are threads of this process, each with a runtime of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a panic is how a bench fails"
)]

#[path = "common/ratios.rs"]
mod ratios;

use std::io;
use std::net::{TcpListener, TcpStream};
#[cfg(unix)]
use std::os::unix::net;
use std::time::{Duration, Instant};

use bincode::config;
use bytes::{Buf, Bytes, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use switchboard::{
    Client, Command, Endpoint, NoItems, Receives, Result, Sender, Streamed, StreamedCall, format,
    transport,
};
use switchboard_testing::message::Message;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::interval;

use self::ratios::{Case, compare};

const ECHO: Command<Message, Message> = Command::new("ECHO");
const ECHO_BYTES: Command<Bytes, Bytes, format::Bytes> = Command::new("ECHO_BYTES");
const REPEAT: Command<Message, Streamed<Message>> = Command::new("REPEAT");

trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for S {}

type BoxedStream = Box<dyn Stream>;

#[derive(Clone, Copy)]
enum Transport {
    Memory,
    #[cfg(unix)]
    Unix,
    Tcp,
    /// TCP, and each side has a runtime of two threads instead of one that is the caller's.
    TcpThreads,
}

/// Both sides of a connection, each with its runtime. The far side's runs in its own thread.
struct Sides {
    near: Runtime,
    far: Handle,
    transport: Transport,
    // Ends the thread of the far side when dropped.
    _stop: oneshot::Sender<()>,
}

impl Sides {
    fn new(transport: Transport) -> Self {
        let far = runtime(transport);
        let handle = far.handle().clone();
        let (stop, stopped) = oneshot::channel();
        std::thread::spawn(move || far.block_on(stopped));
        Self { near: runtime(transport), far: handle, transport, _stop: stop }
    }

    fn streams(&self) -> (BoxedStream, BoxedStream) {
        match self.transport {
            Transport::Memory => {
                let (near, far) = transport::memory();
                (Box::new(near), Box::new(far))
            }
            #[cfg(unix)]
            Transport::Unix => {
                let (near, far) = net::UnixStream::pair().unwrap();
                near.set_nonblocking(true).unwrap();
                far.set_nonblocking(true).unwrap();
                let near = within(self.near.handle(), || tokio::net::UnixStream::from_std(near));
                let far = within(&self.far, || tokio::net::UnixStream::from_std(far));
                (Box::new(near), Box::new(far))
            }
            Transport::Tcp | Transport::TcpThreads => {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
                let (far, _) = listener.accept().unwrap();
                for stream in [&near, &far] {
                    stream.set_nonblocking(true).unwrap();
                    stream.set_nodelay(true).unwrap();
                }
                let near = within(self.near.handle(), || tokio::net::TcpStream::from_std(near));
                let far = within(&self.far, || tokio::net::TcpStream::from_std(far));
                (Box::new(near), Box::new(far))
            }
        }
    }

    /// Our side of a connection to an endpoint.
    fn client(&self) -> Client {
        let (near, far) = self.streams();
        self.far.spawn(async move {
            let endpoint = Endpoint::new().on(ECHO, echo).on(ECHO_BYTES, echo_bytes);
            endpoint.on(REPEAT, repeat).serve_stream(far).await;
        });
        let _entered = self.near.enter();
        Endpoint::new().connect_over(near)
    }

    /// Our side of a connection to a floor.
    fn floor(&self, floor: Floor) -> Caller {
        let (stream, far) = self.streams();
        self.far.spawn(floor.clone().serve(far));
        Caller { floor, stream, input: BytesMut::new(), output: BytesMut::new() }
    }
}

async fn echo(message: Message) -> Result<Message> {
    Ok(message)
}

async fn echo_bytes(bytes: Bytes) -> Result<Bytes> {
    Ok(bytes)
}

/// Sends the message until nobody wants it any more.
async fn repeat(message: Message, out: Sender<Message>) -> Result<()> {
    loop {
        out.send(&message).await?;
    }
}

/// A protocol of frames that all have the same size: a head that nobody reads and a body.
#[derive(Clone)]
struct Floor {
    frame: Bytes,
    head_bytes: usize,
    has_codec: bool,
    is_one_way: bool,
}

impl Floor {
    /// With the bytes of a call of ours.
    fn new(body: &[u8], has_codec: bool) -> Self {
        let head = format!("ECHO 1 {}\n", body.len());
        let frame = [head.as_bytes(), body].concat().into();
        Self { frame, head_bytes: head.len(), has_codec, is_one_way: false }
    }

    fn one_way(self) -> Self {
        Self { is_one_way: true, ..self }
    }

    /// Answers each frame; of one-way frames only those that begin with a `?`.
    async fn serve(self, mut stream: BoxedStream) -> io::Result<()> {
        let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
        loop {
            while input.len() >= self.frame.len() {
                let frame = input.split_to(self.frame.len());
                let is_answered = !self.is_one_way || frame[0] == b'?';
                if self.has_codec {
                    let message = decode(&frame[self.head_bytes..]);
                    if is_answered {
                        self.encode(&message, &mut output);
                    }
                } else if is_answered {
                    output.extend_from_slice(&frame);
                }
            }
            stream.write_all_buf(&mut output).await?;
            input.reserve(64 * 1024);
            if stream.read_buf(&mut input).await? == 0 {
                return Ok(());
            }
        }
    }

    fn encode(&self, message: &Message, output: &mut BytesMut) {
        let begin = output.len();
        output.extend_from_slice(&self.frame);
        let body = &mut output[begin + self.head_bytes..];
        bincode::serde::encode_into_slice(message, body, config::standard()).unwrap();
    }
}

/// The asking side of a floor.
struct Caller {
    floor: Floor,
    stream: BoxedStream,
    input: BytesMut,
    output: BytesMut,
}

impl Caller {
    fn push(&mut self, message: &Message) {
        if self.floor.has_codec {
            self.floor.encode(message, &mut self.output);
        } else {
            self.output.extend_from_slice(&self.floor.frame);
        }
    }

    async fn send(&mut self) {
        self.stream.write_all_buf(&mut self.output).await.unwrap();
    }

    async fn receive(&mut self, count: usize) {
        let frame_bytes = self.floor.frame.len();
        for _ in 0..count {
            while self.input.len() < frame_bytes {
                self.input.reserve(64 * 1024);
                assert_ne!(self.stream.read_buf(&mut self.input).await.unwrap(), 0);
            }
            if self.floor.has_codec {
                decode(&self.input[self.floor.head_bytes..frame_bytes]);
            }
            self.input.advance(frame_bytes);
        }
    }
}

/// One call after the other.
fn one(criterion: &mut Criterion) {
    for &(transport, word) in TRANSPORTS {
        let (sides, message) = (Sides::new(transport), Message::sample());
        let client = sides.client();
        let mut raw = sides.floor(Floor::new(&encoded(&message), false));
        let mut codec = sides.floor(Floor::new(&encoded(&message), true));
        let ping_pong = async |caller: &mut Caller, count| {
            let begin = Instant::now();
            for _ in 0..count {
                caller.push(&message);
                caller.send().await;
                caller.receive(1).await;
            }
            begin.elapsed()
        };
        let call = async |count| {
            let begin = Instant::now();
            for _ in 0..count {
                client.call(ECHO, &message).await.unwrap();
            }
            begin.elapsed()
        };
        let mut cases = [
            Case::new("switchboard", |count| sides.near.block_on(call(count))),
            Case::new("codec", |count| sides.near.block_on(ping_pong(&mut codec, count))),
            Case::new("raw", |count| sides.near.block_on(ping_pong(&mut raw, count))),
        ];
        compare(criterion, &format!("one/{word}"), &Throughput::Elements(1), &mut cases);
    }
}

/// 64 callers on one connection, each with one call after the other; the floors send 64 frames in
/// one write and wait for all of them.
fn many(criterion: &mut Criterion) {
    for &(transport, word) in TRANSPORTS {
        let (sides, message) = (Sides::new(transport), Message::sample());
        let client = sides.client();
        let mut raw = sides.floor(Floor::new(&encoded(&message), false));
        let mut codec = sides.floor(Floor::new(&encoded(&message), true));
        let in_batches = async |caller: &mut Caller, count| {
            let begin = Instant::now();
            for _ in 0..count {
                for _ in 0..IN_FLIGHT {
                    caller.push(&message);
                }
                caller.send().await;
                caller.receive(IN_FLIGHT).await;
            }
            begin.elapsed()
        };
        let mut cases = [
            Case::new("switchboard", |count| {
                sides.near.block_on(callers(&client, &message, count))
            }),
            Case::new("codec", |count| sides.near.block_on(in_batches(&mut codec, count))),
            Case::new("raw", |count| sides.near.block_on(in_batches(&mut raw, count))),
        ];
        let throughput = Throughput::Elements(IN_FLIGHT as u64);
        compare(criterion, &format!("64/{word}"), &throughput, &mut cases);
    }
}

async fn callers(client: &Client, message: &Message, count: u64) -> Duration {
    let begin = Instant::now();
    let tasks: Vec<_> = (0..IN_FLIGHT)
        .map(|_| {
            let (client, message) = (client.clone(), message.clone());
            tokio::spawn(async move {
                for _ in 0..count {
                    client.call(ECHO, &message).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    begin.elapsed()
}

/// A MiB there and back.
fn large(criterion: &mut Criterion) {
    for &(transport, word) in TRANSPORTS {
        let sides = Sides::new(transport);
        let client = sides.client();
        let body = Bytes::from(vec![7; 1 << 20]);
        let mut raw = sides.floor(Floor::new(&body, false));
        let ping_pong = async |caller: &mut Caller, count| {
            let begin = Instant::now();
            for _ in 0..count {
                let mut frame = caller.floor.frame.clone();
                caller.stream.write_all_buf(&mut frame).await.unwrap();
                caller.receive(1).await;
            }
            begin.elapsed()
        };
        let call = async |count| {
            let begin = Instant::now();
            for _ in 0..count {
                client.call(ECHO_BYTES, &body).await.unwrap();
            }
            begin.elapsed()
        };
        let mut cases = [
            Case::new("switchboard", |count| sides.near.block_on(call(count))),
            Case::new("raw", |count| sides.near.block_on(ping_pong(&mut raw, count))),
        ];
        let throughput = Throughput::Bytes(body.len() as u64);
        compare(criterion, &format!("mib/{word}"), &throughput, &mut cases);
    }
}

/// Calls that nobody answers, and one at the end that shows that all have come.
fn one_way(criterion: &mut Criterion) {
    for &(transport, word) in TRANSPORTS {
        let (sides, message) = (Sides::new(transport), Message::sample());
        let client = sides.client();
        let mut raw = sides.floor(Floor::new(&encoded(&message), false).one_way());
        let mut codec = sides.floor(Floor::new(&encoded(&message), true).one_way());
        let in_batches = async |caller: &mut Caller, count| {
            let begin = Instant::now();
            for round in 1..=count {
                caller.push(&message);
                if round == count {
                    let end = caller.output.len() - caller.floor.frame.len();
                    caller.output[end] = b'?';
                }
                if round == count || caller.output.len() >= 64 * caller.floor.frame.len() {
                    caller.send().await;
                }
            }
            caller.receive(1).await;
            begin.elapsed()
        };
        let notify = async |count| {
            let begin = Instant::now();
            for _ in 1..count {
                client.notify(ECHO, &message).await.unwrap();
            }
            client.call(ECHO, &message).await.unwrap();
            begin.elapsed()
        };
        let mut cases = [
            Case::new("switchboard", |count| sides.near.block_on(notify(count))),
            Case::new("codec", |count| sides.near.block_on(in_batches(&mut codec, count))),
            Case::new("raw", |count| sides.near.block_on(in_batches(&mut raw, count))),
        ];
        compare(criterion, &format!("one-way/{word}"), &Throughput::Elements(1), &mut cases);
    }
}

/// 64 callers beside two streams on their connection, of which one goes and one is not taken. The
/// floors are 64 callers alone, and 64 callers where the streams have a connection of their own.
fn beside_streams(criterion: &mut Criterion) {
    for &(transport, word) in TRANSPORTS {
        for (pace, millis) in [("paced", 1), ("fast", 0)] {
            let (sides, message) = (Sides::new(transport), Message::sample());
            let (client, other, alone) = (sides.client(), sides.client(), sides.client());
            let beside = async |streamed: &Client, count| {
                let streams = Streams::open(streamed, &message, millis).await;
                let time = callers(&client, &message, count).await;
                streams.close().await;
                time
            };
            let run = |streamed, count| sides.near.block_on(beside(streamed, count));
            let mut cases = [
                Case::new("beside", |count| run(&client, count)),
                Case::new("apart", |count| run(&other, count)),
                Case::new("alone", |count| sides.near.block_on(callers(&alone, &message, count))),
            ];
            let throughput = Throughput::Elements(IN_FLIGHT as u64);
            compare(criterion, &format!("{pace}-stream/{word}"), &throughput, &mut cases);
        }
    }
}

/// A stream that is taken, and one of which nothing is taken but its first item.
struct Streams {
    taken: JoinHandle<()>,
    _stopped: StreamedCall<NoItems, Receives<Message>, ()>,
}

impl Streams {
    /// Takes 10 items each so many milliseconds, or all as fast as they come if those are 0.
    async fn open(client: &Client, message: &Message, millis: u64) -> Self {
        let mut taken = client.call(REPEAT, message);
        let mut stopped = client.call(REPEAT, message);
        for call in [&mut taken, &mut stopped] {
            call.next().await.unwrap().unwrap();
        }
        let taken = tokio::spawn(async move {
            let mut ticks = interval(Duration::from_millis(millis.max(1)));
            loop {
                for _ in 0..10 {
                    std::hint::black_box(taken.next().await.unwrap().unwrap());
                }
                if millis > 0 {
                    ticks.tick().await;
                }
            }
        });
        Self { taken, _stopped: stopped }
    }

    async fn close(self) {
        self.taken.abort();
        let _ = self.taken.await;
    }
}

/// A stream that the runtime of `handle` watches.
fn within<S>(handle: &Handle, register: impl FnOnce() -> io::Result<S>) -> S {
    let _entered = handle.enter();
    register().unwrap()
}

fn runtime(transport: Transport) -> Runtime {
    let mut builder = match transport {
        Transport::TcpThreads => Builder::new_multi_thread(),
        _ => Builder::new_current_thread(),
    };
    builder.worker_threads(2).enable_all().build().unwrap()
}

fn encoded(message: &Message) -> Vec<u8> {
    bincode::serde::encode_to_vec(message, config::standard()).unwrap()
}

fn decode(body: &[u8]) -> Message {
    let decoded = bincode::serde::decode_from_slice(body, config::standard());
    std::hint::black_box(decoded.unwrap().0)
}

const TRANSPORTS: &[(Transport, &str)] = &[
    (Transport::Memory, "memory"),
    #[cfg(unix)]
    (Transport::Unix, "unix"),
    (Transport::Tcp, "tcp"),
    (Transport::TcpThreads, "tcp-threads"),
];

/// Calls under way at a time.
const IN_FLIGHT: usize = 64;

criterion_group! {
    name = benches;
    config = ratios::criterion();
    targets = one, many, large, one_way, beside_streams
}
criterion_main!(benches);
