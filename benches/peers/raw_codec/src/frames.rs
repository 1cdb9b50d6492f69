//! Frames, and a connection that carries them.

use anyhow::{Result, ensure};
use bincode::config;
use bytes::{Buf, BufMut, BytesMut};
use peers_common::Stream;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// A connection, and what was read and is to be written.
pub(crate) struct Frames {
    pub(crate) stream: Stream,
    pub(crate) input: Input,
    pub(crate) output: Output,
}

/// What was read.
#[derive(Default)]
pub(crate) struct Input {
    bytes: BytesMut,
}

/// What is to be written.
#[derive(Default)]
pub(crate) struct Output {
    bytes: BytesMut,
}

/// What is in a frame: the upper bits of its length.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Message = 0,
    Blob = 1,
    Small = 2,
    OneWay = 3,
    /// Asks how many without answer have come, or says how many were sent.
    Count = 4,
    /// Asks for messages for so many milliseconds.
    Down = 5,
    /// Asks for messages for as long as some come.
    Both = 6,
}

impl Frames {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream, input: Input::default(), output: Output::default() }
    }

    /// Reads what is there.
    pub(crate) async fn read(&mut self) -> Result<()> {
        self.input.read(&mut self.stream).await
    }

    pub(crate) async fn write_if_many(&mut self) -> Result<()> {
        self.output.write_if_many(&mut self.stream).await
    }

    pub(crate) async fn write(&mut self) -> Result<()> {
        self.output.write(&mut self.stream).await
    }
}

impl Input {
    /// Reads what is there.
    pub(crate) async fn read(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> Result<()> {
        let missing = self
            .head()
            .map_or(0, |(_, length)| (LENGTH_BYTES + length).saturating_sub(self.bytes.len()));
        self.bytes.reserve(missing.max(READ_BYTES));
        ensure!(stream.read_buf(&mut self.bytes).await? > 0, "the connection is closed");
        Ok(())
    }

    /// The next whole frame that was read.
    pub(crate) fn next(&mut self) -> Option<(Kind, BytesMut)> {
        let (kind, length) = self.head()?;
        if self.bytes.len() < LENGTH_BYTES + length {
            return None;
        }
        self.bytes.advance(LENGTH_BYTES);
        Some((kind, self.bytes.split_to(length)))
    }

    fn head(&self) -> Option<(Kind, usize)> {
        let head = u32::from_le_bytes(*self.bytes.first_chunk()?);
        let kind = match head >> KIND_SHIFT {
            0 => Kind::Message,
            1 => Kind::Blob,
            2 => Kind::Small,
            3 => Kind::OneWay,
            4 => Kind::Count,
            5 => Kind::Down,
            _ => Kind::Both,
        };
        Some((kind, (head & ((1 << KIND_SHIFT) - 1)) as usize))
    }
}

impl Output {
    pub(crate) fn push(&mut self, kind: Kind, value: &impl Serialize) -> Result<()> {
        let begin = self.bytes.len();
        self.bytes.put_u32_le(0);
        let mut writer = (&mut self.bytes).writer();
        bincode::serde::encode_into_std_write(value, &mut writer, config::standard())?;
        let length = self.bytes.len() - begin - LENGTH_BYTES;
        self.bytes[begin..][..LENGTH_BYTES].copy_from_slice(&kind.head(length).to_le_bytes());
        Ok(())
    }

    pub(crate) fn push_bytes(&mut self, kind: Kind, body: &[u8]) {
        self.bytes.put_u32_le(kind.head(body.len()));
        self.bytes.put_slice(body);
    }

    pub(crate) async fn write_if_many(
        &mut self,
        stream: &mut (impl AsyncWrite + Unpin),
    ) -> Result<()> {
        if self.bytes.len() >= WRITE_BYTES { self.write(stream).await } else { Ok(()) }
    }

    pub(crate) async fn write(&mut self, stream: &mut (impl AsyncWrite + Unpin)) -> Result<()> {
        stream.write_all(&self.bytes).await?;
        self.bytes.clear();
        Ok(())
    }
}

impl Kind {
    fn head(self, length: usize) -> u32 {
        ((self as u32) << KIND_SHIFT) | length as u32
    }
}

pub(crate) fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    Ok(bincode::serde::decode_from_slice(body, config::standard())?.0)
}

const LENGTH_BYTES: usize = 4;
const KIND_SHIFT: u32 = 28;
const READ_BYTES: usize = 64 * 1024;
const WRITE_BYTES: usize = 4 * 1024;
