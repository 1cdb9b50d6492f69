//! The floor under everything: tokio sends frames back one by one, without looking into them.
//!
//! A frame is four bytes of length and a body. All frames of a connection are of one length, which
//! the first one tells, so that each is read at once. A client with a window writes and reads its
//! frames one by one as well.

use std::collections::VecDeque;
use std::time::Instant;

use anyhow::{Result, ensure};
use peers_common::{Arguments, MESSAGE_BYTES, MIB, SMALL, Samples, Scenario, Span, Stream, Window};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn main() -> Result<()> {
    peers_common::main(serve, peers_common::measure_windows::<Raw>)
}

async fn serve(arguments: Arguments) -> Result<()> {
    let listener = arguments.address.listen().await?;
    loop {
        tokio::spawn(echo(listener.accept().await?));
    }
}

async fn echo(mut stream: Stream) -> Result<()> {
    let mut frame = vec![0; LENGTH_BYTES];
    stream.read_exact(&mut frame).await?;
    let length = u32::from_le_bytes(frame.as_slice().try_into()?);
    frame.resize(LENGTH_BYTES + length as usize, 0);
    stream.read_exact(&mut frame[LENGTH_BYTES..]).await?;
    loop {
        stream.write_all(&frame).await?;
        stream.read_exact(&mut frame).await?;
    }
}

struct Raw {
    stream: Stream,
    frame: Vec<u8>,
}

impl Window for Raw {
    async fn open(stream: Stream, scenario: Scenario) -> Result<Self> {
        let body_bytes = match scenario {
            Scenario::Mib | Scenario::MibBytes => MIB,
            Scenario::Small(_) => SMALL.len(),
            _ => MESSAGE_BYTES,
        };
        let mut frame = u32::try_from(body_bytes)?.to_le_bytes().to_vec();
        frame.resize(LENGTH_BYTES + body_bytes, 7);
        let sent = frame.clone();
        let mut raw = Self { stream, frame };
        raw.stream.write_all(&raw.frame).await?;
        raw.stream.read_exact(&mut raw.frame).await?;
        ensure!(raw.frame == sent, "the reply is another");
        Ok(raw)
    }

    async fn run(&mut self, in_flight: usize, span: Span) -> Result<Samples> {
        let mut samples = Samples::default();
        let mut begins = VecDeque::new();
        for _ in 0..in_flight {
            begins.push_back(Instant::now());
            self.stream.write_all(&self.frame).await?;
        }
        while let Some(begin) = begins.pop_front() {
            self.stream.read_exact(&mut self.frame).await?;
            let end = Instant::now();
            samples.add(&span, begin, end);
            if span.is_open(end) {
                begins.push_back(end);
                self.stream.write_all(&self.frame).await?;
            }
        }
        Ok(samples)
    }
}

const LENGTH_BYTES: usize = 4;
