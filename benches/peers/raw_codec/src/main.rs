//! The floor under a protocol with values: frames as in `raw`, which both sides encode and decode
//! with bare bincode. No tags, limits, deadlines or lock.
//!
//! Either side reads what is there, handles every whole frame in it, and writes whenever 4 KiB are
//! ready and when all that was read is handled. So both processes are at work at once.

mod frames;
mod streams;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::BytesMut;
use peers_common::{
    Arguments, Blob, Direction, Message, SMALL, Samples, Scenario, Span, Stream, Unsupported,
    Window,
};

use self::frames::{Frames, Kind, decode};

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
        while let Some((kind, body)) = frames.input.next() {
            match kind {
                Kind::Message => frames.output.push(kind, &decode::<Message>(&body)?)?,
                Kind::Blob => frames.output.push(kind, &decode::<Blob>(&body)?)?,
                Kind::Small => frames.output.push_bytes(kind, &body),
                Kind::OneWay => {
                    std::hint::black_box(decode::<Message>(&body)?);
                    one_way_count += 1;
                }
                Kind::Count => {
                    frames.output.push_bytes(kind, &one_way_count.to_le_bytes());
                    one_way_count = 0;
                }
                Kind::Down => {
                    let millis = u64::from_le_bytes(body.as_ref().try_into()?);
                    let end = Instant::now() + Duration::from_millis(millis);
                    let Frames { stream, output, .. } = &mut frames;
                    let (message, goes_on) = (Message::new(), || Instant::now() < end);
                    let sent = streams::send_while(goes_on, &message, output, stream).await?;
                    output.push_bytes(Kind::Count, &sent.to_le_bytes());
                }
                Kind::Both => {
                    let goes_on = |is_last_here: &AtomicBool| !is_last_here.load(Ordering::Relaxed);
                    streams::exchange(&mut frames, &Message::new(), goes_on).await?;
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
            while let Some((kind, body)) = self.frames.input.next() {
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
        let Frames { stream, output, .. } = &mut self.frames;
        let goes_on = || Instant::now() < end;
        let count = streams::send_while(goes_on, &self.message, output, stream).await?;
        output.push_bytes(Kind::Count, &[]);
        self.frames.write().await?;
        let counted = u64::from_le_bytes(self.reply().await?.as_ref().try_into()?);
        ensure!(counted == count, "{counted} of {count} have come");
        Ok(count)
    }

    async fn stream(&mut self, direction: Direction, time: Duration) -> Result<u64> {
        match direction {
            Direction::Up => self.one_way(time).await,
            Direction::Down => self.take_down(time).await,
            Direction::Both => self.exchange(time).await,
        }
    }
}

impl Codec {
    async fn take_down(&mut self, time: Duration) -> Result<u64> {
        let millis = u64::try_from(time.as_millis())?;
        self.frames.output.push_bytes(Kind::Down, &millis.to_le_bytes());
        self.frames.write().await?;
        let Frames { stream, input, .. } = &mut self.frames;
        let (count, sent) = streams::take(input, stream).await?;
        ensure!(count == sent, "{count} of {sent} have come");
        Ok(count)
    }

    /// How many came at both sides: what is sent comes, or the connection ends.
    async fn exchange(&mut self, time: Duration) -> Result<u64> {
        self.frames.output.push_bytes(Kind::Both, &[]);
        self.frames.write().await?;
        let end = Instant::now() + time;
        let goes_on = |_: &AtomicBool| Instant::now() < end;
        let exchanged = streams::exchange(&mut self.frames, &self.message, goes_on).await?;
        let (sent, came, sent_there) = exchanged;
        ensure!(came == sent_there, "{came} of {sent_there} have come");
        Ok(sent + came)
    }

    fn push(&mut self) -> Result<()> {
        match self.kind {
            Kind::Blob => self.frames.output.push(self.kind, &self.blob),
            Kind::Small => {
                self.frames.output.push_bytes(self.kind, SMALL);
                Ok(())
            }
            _ => self.frames.output.push(self.kind, &self.message),
        }
    }

    async fn reply(&mut self) -> Result<BytesMut> {
        loop {
            if let Some((_, body)) = self.frames.input.next() {
                return Ok(body);
            }
            self.frames.read().await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use bincode::config;
    use peers_common::MESSAGE_BYTES;

    use super::*;

    #[test]
    fn a_message_is_as_long_as_the_other_floors_take_it_to_be() {
        let bytes = bincode::serde::encode_to_vec(Message::new(), config::standard()).unwrap();
        assert_eq!(bytes.len(), MESSAGE_BYTES);
    }
}
