//! Messages in streams: those without answer, in either direction, and behind them how many.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use peers_common::Message;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::either::Either;

use crate::frames::{Frames, Input, Kind, Output, decode};

/// Sends messages; how many.
pub(crate) async fn send_while(
    goes_on: impl Fn() -> bool,
    message: &Message,
    output: &mut Output,
    stream: &mut (impl AsyncWrite + Unpin),
) -> Result<u64> {
    let mut count = 0;
    while goes_on() {
        output.push(Kind::OneWay, message)?;
        output.write_if_many(stream).await?;
        count += 1;
    }
    Ok(count)
}

/// Takes messages until a number comes; how many, and that number.
pub(crate) async fn take(
    input: &mut Input,
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<(u64, u64)> {
    let mut count = 0;
    loop {
        while let Some((kind, body)) = input.next() {
            if kind == Kind::Count {
                return Ok((count, u64::from_le_bytes(body.as_ref().try_into()?)));
            }
            std::hint::black_box(decode::<Message>(&body)?);
            count += 1;
        }
        input.read(stream).await?;
    }
}

/// Sends messages and takes some meanwhile. How many were sent, how many came, and how many the
/// other side says it has sent.
pub(crate) async fn exchange(
    frames: &mut Frames,
    message: &Message,
    goes_on: impl Fn(&AtomicBool) -> bool,
) -> Result<(u64, u64, u64)> {
    let Frames { stream, input, output } = frames;
    match stream {
        Either::Left(stream) => {
            let (reader, writer) = stream.split();
            exchange_over((reader, input), (writer, output), message, goes_on).await
        }
        Either::Right(stream) => {
            let (reader, writer) = stream.split();
            exchange_over((reader, input), (writer, output), message, goes_on).await
        }
    }
}

async fn exchange_over(
    (mut reader, input): (impl AsyncRead + Unpin, &mut Input),
    (mut writer, output): (impl AsyncWrite + Unpin, &mut Output),
    message: &Message,
    goes_on: impl Fn(&AtomicBool) -> bool,
) -> Result<(u64, u64, u64)> {
    let is_last_here = AtomicBool::new(false);
    let sending = async {
        let sent = send_while(|| goes_on(&is_last_here), message, output, &mut writer).await?;
        output.push_bytes(Kind::Count, &sent.to_le_bytes());
        output.write(&mut writer).await?;
        Ok(sent)
    };
    let taking = async {
        let taken = take(input, &mut reader).await;
        is_last_here.store(true, Ordering::Relaxed);
        taken
    };
    let (sent, (came, sent_there)) = tokio::try_join!(sending, taking)?;
    Ok((sent, came, sent_there))
}
