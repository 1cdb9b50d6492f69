//! One call, as the thread that makes it sees it.

use std::fmt;
use std::time::{Duration, Instant};

use super::clock::now;
use super::exchange::Exchange;
use crate::asking::{DecodeItem, decode_reply, later};
use crate::error::Result;
use crate::format::Format;
use crate::session::Received;
use crate::wire::{Metadata, Options, Traceparent};

/// A call that is sent by [`wait`](Self::wait), made by
/// [`Client::call`](crate::blocking::Client::call).
///
/// It always ends. Without [`timeout`](Self::timeout) or [`timeout_at`](Self::timeout_at) its time
/// is the [timeout of its command](crate::Command::timeout), or else `call_time_max` of the
/// client's limits, from the moment on at which it is sent.
#[must_use = "a call is not sent until it is waited for"]
pub struct Call<Rep> {
    exchange: Exchange,
    decode: DecodeItem<Rep>,
    // Of its payloads, and of the details of its error.
    format: &'static str,
}

/// A call whose reply comes with its metadata; made by [`Call::with_reply_metadata`].
#[must_use = "a call is not sent until it is waited for"]
pub struct CallWithMetadata<Rep> {
    call: Call<Rep>,
}

/// A call that wants no reply, made by [`Client::notify`](crate::blocking::Client::notify).
#[must_use = "a call is not sent until `send` is called"]
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
        self.timeout_at(later(now(), time))
    }

    /// Ends the call with `deadline_exceeded` at `deadline`. The call tells the peer how much time
    /// is left, and the peer stops as well.
    pub fn timeout_at(mut self, deadline: Instant) -> Self {
        self.exchange.unsent.deadline = Some(deadline);
        self
    }

    /// Says where the call stands in a trace. A call that a blocking handler makes goes on in the
    /// trace of the handler's own call without this. With `None` the call belongs to no trace.
    pub fn trace(mut self, trace: impl Into<Option<Traceparent>>) -> Self {
        self.exchange.unsent.beside().trace = trace.into();
        self
    }

    /// Sends metadata with the call. If `key` is not a key or is there already, or if it is too
    /// much ([`Metadata`]), the call fails with `invalid` and is not sent.
    pub fn metadata(mut self, key: &str, value: &str) -> Self {
        self.exchange.unsent.add_metadata(key, value);
        self
    }

    /// Makes a call whose reply comes with its metadata.
    pub fn with_reply_metadata(self) -> CallWithMetadata<Rep> {
        CallWithMetadata { call: self }
    }

    /// Sends the call, and waits for the reply.
    ///
    /// # Errors
    ///
    /// The peer's error ([`is_from_peer`](crate::Error::is_from_peer)), or one of this side.
    /// [`was_sent`](crate::Error::was_sent) says whether the request had left by then.
    pub fn wait(self) -> Result<Rep> {
        self.wait_for_both().map(|(reply, _)| reply)
    }

    fn wait_for_both(mut self) -> Result<(Rep, Options)> {
        let (decode, format) = (self.decode, self.format);
        let reply = self.exchange.call().and_then(|Received { payload, options, .. }| {
            let (facts, limits) = (self.exchange.unsent.facts.as_deref(), self.exchange.limits());
            Ok((decode_reply(decode, payload, facts, limits)?, options))
        });
        reply.map_err(|error| self.exchange.explain(error, format))
    }
}

impl<Rep> CallWithMetadata<Rep> {
    /// Sends the call, and waits for the reply and what the peer said beside it.
    ///
    /// # Errors
    ///
    /// As [`Call::wait`].
    pub fn wait(self) -> Result<(Rep, Metadata)> {
        self.call.wait_for_both().map(|(reply, options)| (reply, options.metadata()))
    }
}

impl Notification {
    pub(super) fn new(exchange: Exchange) -> Self {
        Self { exchange }
    }

    /// As [`Call::trace`].
    pub fn trace(mut self, trace: impl Into<Option<Traceparent>>) -> Self {
        self.exchange.unsent.beside().trace = trace.into();
        self
    }

    /// As [`Call::metadata`].
    pub fn metadata(mut self, key: &str, value: &str) -> Self {
        self.exchange.unsent.add_metadata(key, value);
        self
    }

    /// Hands the request to the connection, as soon as there is room for it.
    ///
    /// # Errors
    ///
    /// The reason why the request was not taken.
    pub fn send(mut self) -> Result<()> {
        let sent = self.exchange.notify();
        sent.map_err(|error| error.in_command(self.exchange.command()))
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
