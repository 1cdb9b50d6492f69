//! The floor under a protocol with values: frames as in `raw`, which both sides encode and decode
//! with bare bincode. No tags, limits, deadlines or lock.
//!
//! Either side reads what is there, handles every whole frame in it, and writes whenever 4 KiB are
//! ready and when all that was read is handled. So both processes are at work at once.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bincode::config;
use bytes::{Buf, BufMut, BytesMut};
use peers_common::{
    Arguments, Blob, Message, SMALL, Samples, Scenario, Span, Stream, Unsupported, Window,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn main() -> Result<()> {
    peers_common::main(serve, peers_common::measure_windows::<Codec>)
}

async fn serve(arguments: Arguments) -> Result<()> {
    let listener = arguments.address.listen().await?;
    loop {
        let frames = Frames::new(listener.accept().await?);
        tokio::spawn(answer(frames));
    }
}

async fn answer(mut frames: Frames) -> Result<()> {
    let mut one_way_count: u64 = 0;
    loop {
        frames.read().await?;
        while let Some((kind, body)) = frames.next() {
            match kind {
                Kind::Message => frames.push(kind, &decode::<Message>(&body)?)?,
                Kind::Blob => frames.push(kind, &decode::<Blob>(&body)?)?,
                Kind::Small => frames.push_bytes(kind, &body),
                Kind::OneWay => {
                    std::hint::black_box(decode::<Message>(&body)?);
                    one_way_count += 1;
                }
                Kind::Count => {
                    frames.push_bytes(kind, &one_way_count.to_le_bytes());
                    one_way_count = 0;
                }
            }
            frames.write_if_many().await?;
        }
        frames.write().await?;
    }
}

struct Codec {
    frames: Frames,
    kind: Kind,
    message: Message,
    blob: Blob,
}

impl Window for Codec {
    async fn open(stream: Stream, scenario: Scenario) -> Result<Self> {
        let kind = match scenario {
            Scenario::Mib => Kind::Blob,
            // What is not decoded is `raw`.
            Scenario::MibBytes => return Err(Unsupported.into()),
            Scenario::Small(_) => Kind::Small,
            _ => Kind::Message,
        };
        let blob = if kind == Kind::Blob { Blob::mib() } else { Blob::default() };
        let mut codec = Self { frames: Frames::new(stream), kind, message: Message::new(), blob };
        codec.push()?;
        codec.frames.write().await?;
        let body = codec.reply().await?;
        let is_same = match kind {
            Kind::Blob => decode::<Blob>(&body)? == codec.blob,
            Kind::Small => body == SMALL[..],
            _ => decode::<Message>(&body)? == codec.message,
        };
        ensure!(is_same, "the reply is another");
        Ok(codec)
    }

    async fn run(&mut self, in_flight: usize, span: Span) -> Result<Samples> {
        let mut samples = Samples::default();
        let mut begins = VecDeque::new();
        for _ in 0..in_flight {
            begins.push_back(Instant::now());
            self.push()?;
            self.frames.write_if_many().await?;
        }
        self.frames.write().await?;
        while !begins.is_empty() {
            self.frames.read().await?;
            while let Some((kind, body)) = self.frames.next() {
                match kind {
                    Kind::Blob => drop(std::hint::black_box(decode::<Blob>(&body)?)),
                    Kind::Small => drop(std::hint::black_box(body)),
                    _ => drop(std::hint::black_box(decode::<Message>(&body)?)),
                }
                let end = Instant::now();
                samples.add(&span, begins.pop_front().context("a reply too many")?, end);
                if span.is_open(end) {
                    begins.push_back(end);
                    self.push()?;
                    self.frames.write_if_many().await?;
                }
            }
            self.frames.write().await?;
        }
        Ok(samples)
    }

    async fn one_way(&mut self, time: Duration) -> Result<u64> {
        let end = Instant::now() + time;
        let mut count = 0;
        while Instant::now() < end {
            self.frames.push(Kind::OneWay, &self.message)?;
            self.frames.write_if_many().await?;
            count += 1;
        }
        self.frames.push_bytes(Kind::Count, &[]);
        self.frames.write().await?;
        let counted = u64::from_le_bytes(self.reply().await?.as_ref().try_into()?);
        ensure!(counted == count, "{counted} of {count} have come");
        Ok(count)
    }
}

impl Codec {
    fn push(&mut self) -> Result<()> {
        match self.kind {
            Kind::Blob => self.frames.push(self.kind, &self.blob),
            Kind::Small => {
                self.frames.push_bytes(self.kind, SMALL);
                Ok(())
            }
            _ => self.frames.push(self.kind, &self.message),
        }
    }

    async fn reply(&mut self) -> Result<BytesMut> {
        loop {
            if let Some((_, body)) = self.frames.next() {
                return Ok(body);
            }
            self.frames.read().await?;
        }
    }
}

/// A connection, and what was read and is to be written.
struct Frames {
    stream: Stream,
    input: BytesMut,
    output: BytesMut,
}

impl Frames {
    fn new(stream: Stream) -> Self {
        Self { stream, input: BytesMut::new(), output: BytesMut::new() }
    }

    /// Reads what is there.
    async fn read(&mut self) -> Result<()> {
        let missing = self
            .head()
            .map_or(0, |(_, length)| (LENGTH_BYTES + length).saturating_sub(self.input.len()));
        self.input.reserve(missing.max(READ_BYTES));
        ensure!(self.stream.read_buf(&mut self.input).await? > 0, "the connection is closed");
        Ok(())
    }

    /// The next whole frame that was read.
    fn next(&mut self) -> Option<(Kind, BytesMut)> {
        let (kind, length) = self.head()?;
        if self.input.len() < LENGTH_BYTES + length {
            return None;
        }
        self.input.advance(LENGTH_BYTES);
        Some((kind, self.input.split_to(length)))
    }

    fn head(&self) -> Option<(Kind, usize)> {
        let head = u32::from_le_bytes(*self.input.first_chunk()?);
        let kind = match head >> KIND_SHIFT {
            0 => Kind::Message,
            1 => Kind::Blob,
            2 => Kind::Small,
            3 => Kind::OneWay,
            _ => Kind::Count,
        };
        Some((kind, (head & ((1 << KIND_SHIFT) - 1)) as usize))
    }

    fn push(&mut self, kind: Kind, value: &impl Serialize) -> Result<()> {
        let begin = self.output.len();
        self.output.put_u32_le(0);
        let mut writer = (&mut self.output).writer();
        bincode::serde::encode_into_std_write(value, &mut writer, config::standard())?;
        let length = self.output.len() - begin - LENGTH_BYTES;
        self.output[begin..][..LENGTH_BYTES].copy_from_slice(&kind.head(length).to_le_bytes());
        Ok(())
    }

    fn push_bytes(&mut self, kind: Kind, body: &[u8]) {
        self.output.put_u32_le(kind.head(body.len()));
        self.output.put_slice(body);
    }

    async fn write_if_many(&mut self) -> Result<()> {
        if self.output.len() >= WRITE_BYTES { self.write().await } else { Ok(()) }
    }

    async fn write(&mut self) -> Result<()> {
        self.stream.write_all(&self.output).await?;
        self.output.clear();
        Ok(())
    }
}

/// What is in a frame: the upper bits of its length.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Message = 0,
    Blob = 1,
    Small = 2,
    OneWay = 3,
    /// Asks how many without answer have come.
    Count = 4,
}

impl Kind {
    fn head(self, length: usize) -> u32 {
        ((self as u32) << KIND_SHIFT) | length as u32
    }
}

fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    Ok(bincode::serde::decode_from_slice(body, config::standard())?.0)
}

const LENGTH_BYTES: usize = 4;
const KIND_SHIFT: u32 = 28;
const READ_BYTES: usize = 64 * 1024;
const WRITE_BYTES: usize = 4 * 1024;

#[cfg(test)]
mod tests {
    use peers_common::MESSAGE_BYTES;

    use super::*;

    #[test]
    fn a_message_is_as_long_as_the_other_floors_take_it_to_be() {
        let bytes = bincode::serde::encode_to_vec(Message::new(), config::standard()).unwrap();
        assert_eq!(bytes.len(), MESSAGE_BYTES);
    }
}
