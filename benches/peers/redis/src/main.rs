//! Redis, which echoes bytes by its command `ECHO`, and a client that pipelines.
//!
//! The server is `redis-server` with persistence off: this process becomes it. The client is
//! written like that of `raw-codec`, which leaves it little to do: it reads what is there, sends a
//! command for each reply, and writes whenever 4 KiB are ready and when all that was read is
//! handled. Bytes are not encoded or decoded, so at the size of the message the server and the
//! client do less than the others.

use std::collections::VecDeque;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use bytes::{Buf, BytesMut};
use peers_common::{
    Arguments, MESSAGE_BYTES, MIB, Report, SMALL, Samples, Scenario, Span, Stream, Unsupported,
    Window,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn main() -> Result<()> {
    peers_common::main(serve, measure)
}

async fn serve(arguments: Arguments) -> Result<()> {
    peers_common::become_redis_server(&arguments)
}

async fn measure(arguments: Arguments) -> Result<Report> {
    peers_common::wait_for_redis(&arguments).await?;
    peers_common::measure_windows::<Redis>(arguments).await
}

struct Redis {
    stream: Stream,
    request: Vec<u8>,
    reply: Vec<u8>,
    input: BytesMut,
    output: Vec<u8>,
}

impl Window for Redis {
    async fn open(stream: Stream, scenario: Scenario) -> Result<Self> {
        let payload = match scenario {
            Scenario::MibBytes => vec![7; MIB],
            Scenario::Small(_) => SMALL.to_vec(),
            // It has no values, and no messages without an answer.
            Scenario::Mib | Scenario::OneWay | Scenario::Stream(_) => {
                return Err(Unsupported.into());
            }
            _ => vec![7; MESSAGE_BYTES],
        };
        let mut reply = format!("${}\r\n", payload.len()).into_bytes();
        reply.extend_from_slice(&payload);
        reply.extend_from_slice(b"\r\n");
        let mut request = b"*2\r\n$4\r\nECHO\r\n".to_vec();
        request.extend_from_slice(&reply);
        let (input, output) = (BytesMut::new(), Vec::new());
        let mut redis = Self { stream, request, reply, input, output };
        redis.push().await?;
        redis.write().await?;
        while !redis.next()? {
            redis.read().await?;
        }
        Ok(redis)
    }

    async fn run(&mut self, in_flight: usize, span: Span) -> Result<Samples> {
        let mut samples = Samples::default();
        let mut begins = VecDeque::new();
        for _ in 0..in_flight {
            begins.push_back(Instant::now());
            self.push().await?;
        }
        self.write().await?;
        while !begins.is_empty() {
            self.read().await?;
            while self.next()? {
                let end = Instant::now();
                samples.add(&span, begins.pop_front().context("a reply too many")?, end);
                if span.is_open(end) {
                    begins.push_back(end);
                    self.push().await?;
                }
            }
            self.write().await?;
        }
        Ok(samples)
    }
}

impl Redis {
    async fn push(&mut self) -> Result<()> {
        self.output.extend_from_slice(&self.request);
        if self.output.len() >= WRITE_BYTES { self.write().await } else { Ok(()) }
    }

    async fn write(&mut self) -> Result<()> {
        self.stream.write_all(&self.output).await?;
        self.output.clear();
        Ok(())
    }

    async fn read(&mut self) -> Result<()> {
        self.input.reserve(READ_BYTES.max(self.reply.len().saturating_sub(self.input.len())));
        ensure!(self.stream.read_buf(&mut self.input).await? > 0, "the connection is closed");
        Ok(())
    }

    /// Takes the next reply, if it is there.
    fn next(&mut self) -> Result<bool> {
        let Some(reply) = self.input.get(..self.reply.len()) else {
            return Ok(false);
        };
        ensure!(reply == self.reply, "the reply is another");
        self.input.advance(self.reply.len());
        Ok(true)
    }
}

const READ_BYTES: usize = 64 * 1024;
const WRITE_BYTES: usize = 4 * 1024;
