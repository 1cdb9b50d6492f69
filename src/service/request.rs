//! What a request says, as its caller sets it and its answerer reads it.
//!
//! How it goes through the seam is not in here: see `seam`, which has the type.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::extensions::Extensions;
use super::seam::Request;
use super::tasks::Draining;
use crate::asking::{Beside, Unsent};
use crate::clock::after;
use crate::error::{Code, Error, Result};
use crate::transport::Peer;
use crate::wire::{FormatWord, Metadata, Traceparent};

impl Request {
    /// Sets the format of the payload and of the reply; without this it is `bincode`. A command
    /// that does not speak it refuses the call.
    ///
    /// # Errors
    ///
    /// `unsupported_format` if no format can have this name.
    pub fn with_format(mut self, format: &str) -> Result<Self> {
        let Ok(word) = FormatWord::parse(format.as_bytes()) else {
            let text = "no format can have this name";
            return Err(Error::found(Code::UnsupportedFormat, text));
        };
        self.call.options = std::mem::take(&mut self.call.options).with_format(word);
        Ok(self)
    }

    /// Ends the call with `deadline_exceeded` when this time has passed from now. The limit of the
    /// service itself (the timeout of the command, or `call_time_max` of an endpoint) still holds.
    pub fn with_timeout(self, time: Duration) -> Self {
        self.with_deadline(after(time))
    }

    /// Ends the call with `deadline_exceeded` at this time, of tokio's clock or that of `std`; see
    /// [`Call::timeout_at`](crate::Call::timeout_at).
    pub fn with_deadline(mut self, deadline: impl Into<tokio::time::Instant>) -> Self {
        self.deadline = Some(deadline.into().into_std());
        self
    }

    /// Sets the caller, as far as the door knows it.
    pub fn with_peer(mut self, peer: Peer) -> Self {
        self.peer = Some(peer);
        self
    }

    /// Sets where the call stands in a trace, in place of what there was.
    pub fn with_trace(mut self, trace: &Traceparent) -> Self {
        self.call.options = std::mem::take(&mut self.call.options).with_trace(trace);
        self
    }

    /// Asks for the items of a streamed reply from this position of their source on.
    pub fn resume_at(mut self, position: u64) -> Self {
        self.call.options = std::mem::take(&mut self.call.options).with_from(position);
        self
    }

    /// Sets the metadata of the call, in place of any that was set before.
    pub fn with_metadata(mut self, metadata: &Metadata) -> Self {
        self.call.options = std::mem::take(&mut self.call.options).with_metadata(metadata);
        self
    }

    /// Adds a value for the answering side; see
    /// [`Context::extensions`](crate::Context::extensions).
    pub fn with_extension<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.extensions.insert(value);
        self
    }

    /// Ties the call to the listener by which it came in: its handler hears of the drain by
    /// [`Context::draining`](crate::Context::draining), and the drain waits for tasks that the
    /// handler spawns.
    pub fn with_draining(mut self, draining: &Draining) -> Self {
        self.tasks = Some(Arc::clone(draining.tasks()));
        self
    }

    /// Asks for no reply. The answer is ready when the request has been taken, and gives an error
    /// if it could not be taken.
    pub fn one_way(mut self) -> Self {
        self.is_one_way = true;
        self
    }

    /// Says that it does no harm if the handler runs twice, so that a channel may make the call
    /// again; see [`Command::idempotent`](crate::Command::idempotent).
    pub fn idempotent(mut self) -> Self {
        self.is_idempotent = true;
        self
    }

    /// The name of the command.
    #[must_use]
    pub fn command(&self) -> &str {
        self.call.name.as_str()
    }

    /// The format of its payload.
    #[must_use]
    pub fn format(&self) -> String {
        self.format_word().unwrap_or(FormatWord::DEFAULT).as_str().to_owned()
    }

    /// The payload.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        &self.call.payload
    }

    /// The deadline of the call; `None` if its caller has set none.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Who calls.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        match (&self.peer, &self.caller) {
            (Some(peer), _) => peer,
            (None, Some(caller)) => caller.peer(),
            (None, None) => Peer::nobody(),
        }
    }

    /// Where the call stands in a trace; `None` also if its caller has said what is no traceparent.
    #[must_use]
    pub fn trace(&self) -> Option<Traceparent> {
        self.call.options.trace().and_then(Traceparent::parse)
    }

    /// Whether no reply is wanted.
    #[must_use]
    pub fn is_one_way(&self) -> bool {
        self.is_one_way
    }

    /// Whether it does no harm if the handler runs twice, as far as this side knows.
    #[must_use]
    pub fn is_idempotent(&self) -> bool {
        self.is_idempotent
    }

    /// The values that travel with the call.
    #[must_use]
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// The metadata of the call.
    #[must_use]
    pub fn metadata(&self) -> Metadata {
        self.call.options.metadata()
    }

    /// The position at which the caller wants to go on; see [`resume_at`](Self::resume_at).
    #[must_use]
    pub fn resume_position(&self) -> Option<u64> {
        self.call.options.from()
    }

    /// It as what a caller of a client wants to send.
    pub(crate) fn into_unsent(mut self) -> Unsent {
        let payload = self.take_payload();
        Unsent {
            name: self.name(),
            format: self.format_word(),
            payload: Some(Ok(payload.into())),
            deadline: self.deadline(),
            beside: Some(Box::new(Beside {
                trace: self.trace(),
                metadata: self.metadata(),
                resume_at: self.resume_position(),
            })),
            facts: self.take_facts(),
            is_idempotent: self.is_idempotent(),
        }
    }
}
