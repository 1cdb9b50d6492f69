//! One call, as its caller sees it: a future of a typed reply.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;

use super::way::Exchange;
use crate::asking::{DecodeItem, decode_reply, explain};
use crate::clock::after;
use crate::error::Result;
use crate::format::Format;
use crate::session::Received;
use crate::wire::{Metadata, Options, Traceparent};

/// A call under way: a future of the reply.
///
/// It always ends. Without [`timeout`](Self::timeout) or [`timeout_at`](Self::timeout_at) its time
/// is the [timeout of its command](crate::Command::timeout), or else `call_time_max` of the
/// client's limits, from the first poll on.
///
/// The tokio runtime in which it is polled keeps its deadline, and must have time enabled. So the
/// call ends in time even while nobody drives the runtime of the connection, or while that
/// runtime's only thread is busy. For a call that is polled outside of any runtime, the runtime of
/// the connection keeps the deadline, and may be late.
///
/// # Errors
///
/// The peer's error ([`is_from_peer`](crate::Error::is_from_peer)), or one of this side.
/// [`was_sent`](crate::Error::was_sent) says whether the request had left by then.
///
/// # Cancel safety
///
/// Dropping the call cancels it, at the peer as well: the handler is stopped at its next await.
#[must_use = "a call is not sent until it is awaited"]
pub struct Call<Rep> {
    exchange: Exchange,
    decode: DecodeItem<Rep>,
    // Of its payloads, and of the details of its error.
    format: &'static str,
}

/// A call under way: a future of the reply and its metadata; made by [`Call::with_reply_metadata`].
/// All else is as with [`Call`].
#[must_use = "a call is not sent until it is awaited"]
pub struct CallWithMetadata<Rep> {
    call: Call<Rep>,
}

/// A call that wants no reply: a future that is ready when the connection has taken the request.
///
/// # Errors
///
/// The reason why the request was not taken. It is not known whether the peer has got it.
///
/// # Cancel safety
///
/// Dropped before it is ready, the request is not sent.
#[must_use = "a call is not sent until it is awaited"]
pub struct Notification {
    exchange: Exchange,
}

impl<Rep> Call<Rep> {
    pub(super) fn new<F: Format<Rep>>(exchange: Exchange) -> Self {
        Self { exchange, decode: F::decode, format: F::NAME }
    }

    /// Ends the call with `deadline_exceeded` when `time` has passed from now. The call tells the
    /// peer how much of it is left, and the peer stops as well.
    ///
    /// The callee's own limit still holds: the timeout of the command there, or its
    /// `call_time_max`, 30 s by default.
    pub fn timeout(self, time: Duration) -> Self {
        self.timeout_at(after(time))
    }

    /// Ends the call with `deadline_exceeded` at `deadline`. The call tells the peer how much time
    /// is left, and the peer stops as well. Both the `Instant` of tokio and that of `std` will do;
    /// where a test has paused tokio's clock, only tokio's knows the time.
    pub fn timeout_at(mut self, deadline: impl Into<Instant>) -> Self {
        self.exchange.unsent_mut().deadline = Some(deadline.into().into_std());
        self
    }

    /// Says where the call stands in a trace; the handler reads it by
    /// [`Context::trace`](crate::Context::trace). A call that a handler makes goes on in the trace
    /// of the handler's own call without this, as do those made by futures that run by
    /// [`Context::spawn`](crate::Context::spawn). What this says is said instead; with `None` the
    /// call belongs to no trace.
    ///
    /// ```
    /// # #[cfg(feature = "bincode")] {
    /// use switchboard::{Client, Command, Result, Traceparent};
    ///
    /// const DOUBLE: Command<u32, u32> = Command::new("DOUBLE");
    ///
    /// async fn double_twice(client: Client) -> Result<u32> {
    ///     let trace = Traceparent::begin();
    ///     let doubled = client.call(DOUBLE, &21).trace(trace.clone()).await?;
    ///     client.call(DOUBLE, &doubled).trace(trace).await
    /// }
    /// # }
    /// ```
    pub fn trace(mut self, trace: impl Into<Option<Traceparent>>) -> Self {
        self.exchange.unsent_mut().beside().trace = trace.into();
        self
    }

    /// Sends metadata with the call; the handler reads it by
    /// [`Context::metadata`](crate::Context::metadata). If `key` is not a key or is there already,
    /// or if it is too much ([`Metadata`]), the call fails with `invalid` and is not sent.
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
        self.exchange.unsent_mut().add_metadata(key, value);
        self
    }

    /// Makes a future of the reply and its metadata.
    pub fn with_reply_metadata(self) -> CallWithMetadata<Rep> {
        CallWithMetadata { call: self }
    }
}

impl<Rep> Call<Rep> {
    fn poll_both(&mut self, cx: &mut Context<'_>) -> Poll<Result<(Rep, Options)>> {
        let Self { exchange, decode, format } = self;
        let reply =
            ready!(exchange.poll_call(cx)).and_then(|Received { payload, options, .. }| {
                let (facts, limits) = (exchange.facts(), exchange.limits());
                Ok((decode_reply(*decode, payload, facts, limits)?, options))
            });
        Poll::Ready(
            reply.map_err(|error| explain(error, format, exchange.command(), exchange.limits())),
        )
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
    pub(super) fn new(exchange: Exchange) -> Self {
        Self { exchange }
    }

    /// As [`Call::trace`].
    pub fn trace(mut self, trace: impl Into<Option<Traceparent>>) -> Self {
        self.exchange.unsent_mut().beside().trace = trace.into();
        self
    }

    /// As [`Call::metadata`].
    pub fn metadata(mut self, key: &str, value: &str) -> Self {
        self.exchange.unsent_mut().add_metadata(key, value);
        self
    }
}

impl Future for Notification {
    type Output = Result<()>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let exchange = &mut self.get_mut().exchange;
        let taken = ready!(exchange.poll_notify(cx));
        Poll::Ready(taken.map_err(|error| error.in_command(exchange.command())))
    }
}

impl<Rep> fmt::Debug for Call<Rep> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("command", &self.exchange.command()).finish_non_exhaustive()
    }
}

impl<Rep> fmt::Debug for CallWithMetadata<Rep> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let command = self.call.exchange.command();
        f.debug_struct("CallWithMetadata").field("command", &command).finish_non_exhaustive()
    }
}

impl fmt::Debug for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let command = self.exchange.command();
        f.debug_struct("Notification").field("command", &command).finish_non_exhaustive()
    }
}
