//! One call, as its caller sees it: a future of a typed reply.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use super::way::Sent;
use crate::clock::after;
use crate::command::Facts;
use crate::error::{Code, Error, Result};
use crate::format::{Budget, Format, PAYLOAD_BYTES_USUAL};
use crate::limits::Limits;
use crate::session::Received;
use crate::wire::{Metadata, Options};

/// A call under way: a future of the reply.
///
/// Without [`timeout`](Self::timeout) or [`timeout_at`](Self::timeout_at) its deadline is the
/// [timeout of its command](crate::Command::timeout), or else `call_time_max` of the client's
/// limits, from the first poll on, so it always ends.
///
/// Its deadline is kept by the tokio runtime in which it is polled, which must have time enabled.
/// So it ends in time also while nobody drives the runtime of the connection, or its only thread is
/// busy. A call that is polled outside of any runtime is ended by that of the connection, and waits
/// as long as that is held up.
///
/// # Errors
///
/// What the peer answered ([`Error::is_from_peer`]), or what went wrong on this side; whether the
/// request had left by then is [`Error::was_sent`].
///
/// # Cancel safety
///
/// Dropping the call cancels it, at the peer as well: its handler is stopped at its next await.
#[must_use = "a call is not sent until it is awaited"]
pub struct Call<Rep> {
    sent: Sent,
    decode: fn(Bytes, &Budget) -> Result<Rep>,
    // Of its payloads, and of the details of its error.
    format: &'static str,
}

/// A call under way: a future of the reply and what is said beside it; made by
/// [`Call::with_reply_metadata`]. All else is as with [`Call`].
#[must_use = "a call is not sent until it is awaited"]
pub struct CallWithMetadata<Rep> {
    call: Call<Rep>,
}

/// A call that wants no reply: a future that is ready when the connection has taken the request.
///
/// # Errors
///
/// What kept the request from being taken. That the peer has got it is not known.
///
/// # Cancel safety
///
/// Dropped before it is ready, the request is not sent.
#[must_use = "a call is not sent until it is awaited"]
pub struct Notification {
    sent: Sent,
}

impl<Rep> Call<Rep> {
    pub(super) fn new<F: Format<Rep>>(sent: Sent) -> Self {
        Self { sent, decode: F::decode, format: F::NAME }
    }

    /// Ends the call with `deadline_exceeded` when `time` has passed from now. The peer is told
    /// how much of it is left, and stops as well.
    ///
    /// A long time here does not make the callee more patient: the timeout that the command has
    /// there, or `call_time_max` of the callee's own limits, 30 s by default, still holds.
    pub fn timeout(self, time: Duration) -> Self {
        self.timeout_at(after(time).into_std())
    }

    /// Ends the call with `deadline_exceeded` at `deadline`. The peer is told how much time is
    /// left, and stops as well.
    pub fn timeout_at(mut self, deadline: Instant) -> Self {
        self.sent.unsent_mut().deadline = Some(deadline);
        self
    }

    /// Sends this W3C traceparent along; the handler reads it by
    /// [`Context::trace`](crate::Context::trace). If it is empty, longer than 128 bytes or has
    /// other than printable ASCII in it, the call fails with `bad_payload` and is not sent.
    pub fn trace(mut self, traceparent: &str) -> Self {
        self.sent.unsent_mut().beside().trace = Some(traceparent.into());
        self
    }

    /// Says something beside the call; the handler reads it by
    /// [`Context::metadata`](crate::Context::metadata). What is not a key, is there already or is
    /// too much ([`Metadata`]) fails the call with `invalid`, and it is not sent.
    ///
    /// ```
    /// # #[cfg(feature = "bincode")] {
    /// # use switchboard::{Client, Command, Result};
    /// # const DOUBLE: Command<u32, u32> = Command::new("DOUBLE");
    /// # async fn example(client: Client) -> Result<()> {
    /// let call = client.call(DOUBLE, &21).metadata("tenant-id", "42");
    /// let (doubled, metadata) = call.with_reply_metadata().await?;
    /// println!("{doubled}, by {:?}", metadata.get("served-by"));
    /// # Ok(())
    /// # } }
    /// ```
    pub fn metadata(mut self, key: &str, value: &str) -> Self {
        self.sent.unsent_mut().add_metadata(key, value);
        self
    }

    /// Answers the reply and what is said beside it.
    pub fn with_reply_metadata(self) -> CallWithMetadata<Rep> {
        CallWithMetadata { call: self }
    }
}

impl<Rep> Call<Rep> {
    fn poll_both(&mut self, cx: &mut Context<'_>) -> Poll<Result<(Rep, Options)>> {
        let Self { sent, decode, format } = self;
        let reply = ready!(sent.poll_call(cx)).and_then(|Received { payload, options, .. }| {
            let budget = match sent.facts() {
                None => Budget::new(sent.limits(), payload.len()),
                Some(facts) => Budget::new(&facts.limits(sent.limits()), payload.len()),
            };
            let value = decode(payload, &budget).map_err(Error::of_reply)?;
            Ok((value, options))
        });
        Poll::Ready(reply.map_err(|error| {
            error.in_format(format, sent.limits().payload_bytes_max).in_command(sent.command())
        }))
    }
}

impl<Rep> Future for Call<Rep> {
    type Output = Result<Rep>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().poll_both(cx).map_ok(|(reply, _)| reply)
    }
}

impl<Rep> Future for CallWithMetadata<Rep> {
    type Output = Result<(Rep, Metadata)>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let call = &mut self.get_mut().call;
        call.poll_both(cx).map_ok(|(reply, options)| (reply, options.metadata()))
    }
}

impl Notification {
    pub(super) fn new(sent: Sent) -> Self {
        Self { sent }
    }

    /// As [`Call::metadata`].
    pub fn metadata(mut self, key: &str, value: &str) -> Self {
        self.sent.unsent_mut().add_metadata(key, value);
        self
    }
}

impl Future for Notification {
    type Output = Result<()>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let sent = &mut self.get_mut().sent;
        let taken = ready!(sent.poll_notify(cx));
        Poll::Ready(taken.map_err(|error| error.in_command(sent.command())))
    }
}

impl<Rep> fmt::Debug for Call<Rep> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("command", &self.sent.command()).finish_non_exhaustive()
    }
}

impl<Rep> fmt::Debug for CallWithMetadata<Rep> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let command = self.call.sent.command();
        f.debug_struct("CallWithMetadata").field("command", &command).finish_non_exhaustive()
    }
}

impl fmt::Debug for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let command = self.sent.command();
        f.debug_struct("Notification").field("command", &command).finish_non_exhaustive()
    }
}

/// The payload for `value`, which is refused here rather than by the peer if it is too large.
pub(super) fn encode<F: Format<T>, T>(
    value: &T,
    facts: Facts,
    limits: &Limits,
) -> Result<BytesMut> {
    let mut payload = BytesMut::with_capacity(PAYLOAD_BYTES_USUAL);
    let encoded = match facts.payload_bytes_max() {
        None => F::encode(value, limits, &mut payload),
        Some(_) => F::encode(value, &facts.limits(limits), &mut payload),
    };
    encoded.map_err(Error::by_library)?;
    let (len, max) = (payload.len(), facts.payload_max(limits.payload_bytes_max));
    if len > max.bytes {
        return Err(Error::local(Code::TooLarge, max.too_large(len)));
    }
    Ok(payload)
}
