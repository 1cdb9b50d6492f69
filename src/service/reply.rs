//! The answer to a call, as bytes.

use std::fmt;

use bytes::{Bytes, BytesMut};

use crate::quota::Held;
use crate::session::Received;
use crate::wire::{Metadata, Options};

/// The answer to a call that went well: a payload in the format of its request.
#[derive(Default)]
#[non_exhaustive]
pub struct Reply {
    payload: Payload,
    metadata: Option<Box<Metadata>>,
    // Covers the payload until whoever asked has let go of it.
    held: Option<Held>,
}

/// As a handler has made it, or as it was read: neither is copied on its way.
enum Payload {
    Made(BytesMut),
    Read(Bytes),
}

impl Reply {
    /// A reply with this payload.
    #[must_use]
    pub fn new(payload: impl Into<Bytes>) -> Self {
        Self { payload: Payload::Read(payload.into()), metadata: None, held: None }
    }

    /// A reply as a handler has made it.
    pub(crate) fn made(payload: BytesMut) -> Self {
        Self { payload: Payload::Made(payload), metadata: None, held: None }
    }

    /// A reply as it came.
    pub(crate) fn received(Received { payload, options }: Received) -> Self {
        Self::new(payload).with_metadata(options.metadata())
    }

    /// Sets its metadata, in place of any that was set before.
    #[must_use]
    pub fn with_metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = Some(metadata).filter(|some| !some.is_empty()).map(Box::new);
        self
    }

    /// Its metadata.
    #[must_use]
    pub fn metadata(&self) -> Metadata {
        self.metadata.as_deref().cloned().unwrap_or_default()
    }

    /// This reply with what it holds of the endpoint, given back when it is dropped.
    pub(crate) fn holding(mut self, held: Held) -> Self {
        self.held = Some(held);
        self
    }

    /// Its payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        match &self.payload {
            Payload::Made(payload) => payload,
            Payload::Read(payload) => payload,
        }
    }

    /// Its payload, without the rest. The endpoint no longer counts its memory (`held_bytes_max`),
    /// so a door should keep the reply while it writes.
    #[must_use]
    pub fn into_payload(self) -> Bytes {
        match self.payload {
            Payload::Made(payload) => payload.freeze(),
            Payload::Read(payload) => payload,
        }
    }

    /// What came back, for whoever called.
    pub(crate) fn into_received(self) -> Received {
        let options = Options::default().with_metadata(&self.metadata());
        Received { payload: self.into_payload(), options }
    }

    /// Its payload, and what it holds of the endpoint.
    #[cfg(any(feature = "gob", feature = "json"))]
    pub(crate) fn into_parts(mut self) -> (Bytes, Option<Held>) {
        let held = self.held.take();
        (self.into_payload(), held)
    }

    /// Its payload for an outbox, which is its own to account for.
    pub(crate) fn into_made(self) -> BytesMut {
        match self.payload {
            Payload::Made(payload) => payload,
            Payload::Read(payload) => payload.into(),
        }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let payload = Bytes::copy_from_slice(self.payload());
        f.debug_struct("Reply").field("payload", &payload).finish_non_exhaustive()
    }
}

impl Default for Payload {
    fn default() -> Self {
        Self::Made(BytesMut::new())
    }
}
