//! Messages in streams.
//!
//! A stream of tonic takes and gives messages by value, so each one that is sent is a clone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures_util::{Stream, stream};
use tokio_stream::StreamExt;
use tonic::codegen::BoxStream;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use crate::message::{Count, Message};
use crate::service::peer_client::PeerClient;

/// What a handler answers with.
pub(crate) type Messages = BoxStream<Message>;

/// Takes messages until the last; how many.
pub(crate) async fn take(mut messages: Streaming<Message>) -> Result<u64, Status> {
    let mut count = 0;
    while let Some(message) = messages.message().await? {
        std::hint::black_box(message);
        count += 1;
    }
    Ok(count)
}

/// Sends messages for so long.
pub(crate) fn pour(time: Duration) -> Messages {
    let (end, message) = (Instant::now() + time, Message::from(peers_common::Message::new()));
    Box::pin(messages(message, move || Instant::now() < end).map(Ok))
}

/// Sends messages while some come, and at last one whose number says how many have come.
pub(crate) fn swap(incoming: Streaming<Message>) -> Messages {
    let (is_over, message) = (Arc::new(AtomicBool::new(false)), peers_common::Message::new());
    let (ended, message) = (Arc::clone(&is_over), Message::from(message));
    let taking = tokio::spawn(async move {
        let count = take(incoming).await;
        ended.store(true, Ordering::Relaxed);
        count
    });
    let last = async move {
        let count = taking.await.map_err(|error| Status::internal(error.to_string()))??;
        Ok(Message { id: count, ..Message::default() })
    };
    let messages = messages(message, move || !is_over.load(Ordering::Relaxed)).map(Ok);
    Box::pin(messages.chain(stream::once(last)))
}

pub(crate) async fn send_up(
    mut client: PeerClient<Channel>,
    message: &Message,
    time: Duration,
) -> Result<u64> {
    let (sent, messages) = counted_messages(message, time);
    let count = client.notes(messages).await?.into_inner().count;
    let sent = sent.load(Ordering::Relaxed);
    ensure!(count == sent, "{count} of {sent} have come");
    Ok(count)
}

/// That all have come is for HTTP/2 to say: a stream that is cut off ends with an error.
pub(crate) async fn take_down(mut client: PeerClient<Channel>, time: Duration) -> Result<u64> {
    let millis = Count { count: u64::try_from(time.as_millis())? };
    Ok(take(client.pour(millis).await?.into_inner()).await?)
}

/// How many came at both sides.
pub(crate) async fn exchange(
    mut client: PeerClient<Channel>,
    message: &Message,
    time: Duration,
) -> Result<u64> {
    let (sent, messages) = counted_messages(message, time);
    let mut incoming = client.swap(messages).await?.into_inner();
    let (mut count, mut last_id) = (0, 0);
    while let Some(message) = incoming.message().await? {
        last_id = std::hint::black_box(message).id;
        count += 1;
    }
    let sent = sent.load(Ordering::Relaxed);
    ensure!(last_id == sent, "{last_id} of {sent} have come");
    Ok(last_id + count - 1)
}

/// Messages for so long, and how many were taken so far.
fn counted_messages(
    message: &Message,
    time: Duration,
) -> (Arc<AtomicU64>, impl Stream<Item = Message> + use<>) {
    let (end, sent) = (Instant::now() + time, Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&sent);
    let messages = messages(message.clone(), move || Instant::now() < end).map(move |message| {
        counted.fetch_add(1, Ordering::Relaxed);
        message
    });
    (sent, messages)
}

fn messages(message: Message, goes_on: impl Fn() -> bool) -> impl Stream<Item = Message> {
    stream::repeat(message).take_while(move |_| goes_on())
}
