//! Messages in streams.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use peers_common::Message;
use switchboard::{Client, Command, Receiver, Sender, Streamed};

/// Answers how many have come.
pub(crate) const UP: Command<Streamed<Message>, u64> = Command::new("UP");
/// For so many milliseconds, and at last how many.
pub(crate) const DOWN: Command<u64, Streamed<Message, u64>> = Command::new("DOWN");
/// Sends until the last message has come; how many have come, and how many were sent.
pub(crate) const BOTH: Command<Streamed<Message>, Streamed<Message, (u64, u64)>> =
    Command::new("BOTH");

pub(crate) async fn up(_: (), messages: Receiver<Message>) -> switchboard::Result<u64> {
    take(messages).await
}

pub(crate) async fn down(millis: u64, out: Sender<Message>) -> switchboard::Result<u64> {
    let (end, message) = (Instant::now() + Duration::from_millis(millis), Message::new());
    send_while(|| Instant::now() < end, &message, &out).await
}

pub(crate) async fn both(
    _: (),
    messages: Receiver<Message>,
    out: Sender<Message>,
) -> switchboard::Result<(u64, u64)> {
    let (is_over, message) = (AtomicBool::new(false), Message::new());
    let taking = async {
        let count = take(messages).await;
        is_over.store(true, Ordering::Relaxed);
        count
    };
    tokio::try_join!(taking, send_while(|| !is_over.load(Ordering::Relaxed), &message, &out))
}

pub(crate) async fn send_up(client: &Client, message: &Message, time: Duration) -> Result<u64> {
    let mut call = client.call(UP, &());
    let end = Instant::now() + time;
    let mut sent = 0;
    while Instant::now() < end {
        call.send(message).await?;
        sent += 1;
    }
    let count = call.finish().await?;
    ensure!(count == sent, "{count} of {sent} have come");
    Ok(count)
}

pub(crate) async fn take_down(client: &Client, time: Duration) -> Result<u64> {
    let mut call = client.call(DOWN, &u64::try_from(time.as_millis())?);
    let mut count = 0;
    while let Some(message) = call.next().await {
        std::hint::black_box(message?);
        count += 1;
    }
    let sent = call.finish().await?;
    ensure!(count == sent, "{count} of {sent} have come");
    Ok(count)
}

/// How many came at both sides.
pub(crate) async fn exchange(client: &Client, message: &Message, time: Duration) -> Result<u64> {
    let (out, mut call) = client.call(BOTH, &()).split().await?;
    let end = Instant::now() + time;
    let sending = async move {
        let sent = send_while(|| Instant::now() < end, message, &out).await;
        out.end();
        sent
    };
    let taking = async {
        let mut count = 0;
        while let Some(message) = call.next().await {
            std::hint::black_box(message?);
            count += 1;
        }
        switchboard::Result::Ok(count)
    };
    let (sent_up, came_down) = tokio::try_join!(sending, taking)?;
    let (came_up, sent_down) = call.finish().await?;
    ensure!(came_up == sent_up, "{came_up} of {sent_up} have come");
    ensure!(came_down == sent_down, "{came_down} of {sent_down} have come");
    Ok(came_up + came_down)
}

async fn take(mut messages: Receiver<Message>) -> switchboard::Result<u64> {
    let mut count = 0;
    while let Some(message) = messages.next().await? {
        std::hint::black_box(message);
        count += 1;
    }
    Ok(count)
}

async fn send_while(
    goes_on: impl Fn() -> bool,
    message: &Message,
    out: &Sender<Message>,
) -> switchboard::Result<u64> {
    let mut count = 0;
    while goes_on() {
        out.send(message).await?;
        count += 1;
    }
    Ok(count)
}
