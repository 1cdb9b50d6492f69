//! Datagrams without a name in front of them, for a protocol of the program's own.

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use tokio::time::timeout;

use super::Datagrams;
use super::inbox::Inbox;
use crate::clock::after;
use crate::limits::Limits;
use crate::service::{Tasks, caught_to_end};
use crate::transport::Peer;

/// A datagram for a handler of the program's own: see
/// [`Endpoint::serve_raw_datagrams`](crate::Endpoint::serve_raw_datagrams).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Datagram {
    /// All of its bytes.
    pub payload: Bytes,
    /// Who has sent it, as it says: anybody can forge that.
    pub peer: Peer,
    /// An answer of more bytes than this is not sent.
    pub answer_bytes_max: usize,
}

/// Gives datagrams to `handler` until `stop` is ready, and then drains; how many were dropped, and
/// how many handlers were cut off.
///
/// # Cancel safety
///
/// Dropping the future stops reading; handlers under way go on.
pub(crate) async fn serve_bare<F, B>(
    datagrams: Datagrams,
    limits: &Limits,
    handler: impl Fn(Datagram) -> F + Send + Sync + 'static,
    stop: impl Future,
) -> (u64, u64)
where
    F: Future<Output = Option<B>> + Send + 'static,
    B: Into<Bytes>,
{
    let mut inbox = Inbox::new(datagrams, limits, Some(limits.calls_per_connection_max));
    let (handler, tasks) = (Arc::new(handler), Arc::<Tasks>::default());
    let (mut stop, time_max) = (pin!(stop), limits.call_time_max);
    loop {
        let came = tokio::select! {
            biased;
            _ = &mut stop => break,
            came = inbox.next() => came,
        };
        let Some(place) = inbox.place(came) else {
            inbox.note_dropped();
            continue;
        };
        let outlet = inbox.outlet(came);
        let payload = Bytes::copy_from_slice(inbox.bytes(came));
        let (peer, answer_bytes_max) = (Peer::udp(came.from), outlet.bytes_max);
        let datagram = Datagram { payload, peer, answer_bytes_max };
        let handler = Arc::clone(&handler);
        tasks.spawn(async move {
            let answer = timeout(time_max, run(&*handler, datagram)).await;
            if let Ok(Some(answer)) = answer {
                outlet.send(&answer).await;
            }
            drop(place);
        });
    }
    tasks.drain();
    let cut_off = tasks.end(after(limits.drain_time_max)).await;
    (inbox.dropped(), cut_off)
}

/// What a handler answers: nothing if it panics.
async fn run<F, B>(handler: &impl Fn(Datagram) -> F, datagram: Datagram) -> Option<Bytes>
where
    F: Future<Output = Option<B>>,
    B: Into<Bytes>,
{
    // Called within the future, so that a panic before its first await is caught as well.
    let work = Box::pin(async { handler(datagram).await.map(Into::into) });
    caught_to_end(work).await.unwrap_or_else(|_| {
        tracing::warn!("a handler of datagrams panicked");
        None
    })
}
