//! How fast frames go at best: all that are under way in one write, sent back without looking into
//! them. The next ones are written when all have come back.

use std::time::Instant;

use anyhow::{Result, ensure};
use peers_common::{
    Arguments, MESSAGE_BYTES, SMALL, Samples, Scenario, Span, Stream, Unsupported, Window,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn main() -> Result<()> {
    peers_common::main(serve, peers_common::measure_windows::<Pipelined>)
}

async fn serve(arguments: Arguments) -> Result<()> {
    let listener = arguments.address.listen().await?;
    loop {
        tokio::spawn(echo(listener.accept().await?));
    }
}

/// Reads of 8 KiB let the client be at work meanwhile.
async fn echo(mut stream: Stream) -> Result<()> {
    let mut input = vec![0; 8 * 1024];
    loop {
        let count = stream.read(&mut input).await?;
        ensure!(count > 0, "the connection is closed");
        stream.write_all(&input[..count]).await?;
    }
}

struct Pipelined {
    stream: Stream,
    frame_bytes: usize,
}

impl Window for Pipelined {
    async fn open(stream: Stream, scenario: Scenario) -> Result<Self> {
        let frame_bytes = match scenario {
            // Nobody reads while a MiB is written.
            Scenario::Mib | Scenario::MibBytes => return Err(Unsupported.into()),
            Scenario::Small(_) => LENGTH_BYTES + SMALL.len(),
            _ => LENGTH_BYTES + MESSAGE_BYTES,
        };
        let mut pipelined = Self { stream, frame_bytes };
        let mut frame = vec![7; frame_bytes];
        pipelined.stream.write_all(&frame).await?;
        frame.fill(0);
        pipelined.stream.read_exact(&mut frame).await?;
        ensure!(frame == vec![7; frame_bytes], "the reply is another");
        Ok(pipelined)
    }

    async fn run(&mut self, in_flight: usize, span: Span) -> Result<Samples> {
        let mut samples = Samples::default();
        let mut frames = vec![7; self.frame_bytes * in_flight];
        let mut begin = Instant::now();
        while span.is_open(begin) {
            self.stream.write_all(&frames).await?;
            self.stream.read_exact(&mut frames).await?;
            let end = Instant::now();
            for _ in 0..in_flight {
                samples.add(&span, begin, end);
            }
            begin = end;
        }
        Ok(samples)
    }
}

const LENGTH_BYTES: usize = 4;
