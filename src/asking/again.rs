//! What a call is asked that may wait for a connection, or be made again.

use std::time::Instant;

use super::errors::polled_too_late;
use super::unsent::{Unsent, later};
use crate::error::Result;
use crate::limits::Limits;

impl Unsent {
    /// Whether nothing but its caller ends it.
    pub(crate) fn is_endless(&self) -> bool {
        self.is_streamed() && self.deadline.is_none() && self.timeout(true).is_none()
    }

    /// When it ends if it begins `now`, within these limits; `None` if nothing but its caller ends
    /// it.
    pub(crate) fn due(&self, now: Instant, wants_reply: bool, limits: &Limits) -> Option<Instant> {
        if self.is_endless() {
            return None;
        }
        let time = || self.timeout(wants_reply).unwrap_or(limits.call_time_max);
        Some(self.deadline.unwrap_or_else(|| later(now, time())))
    }

    /// How many bytes its payload has.
    ///
    /// # Errors
    ///
    /// Why there is no payload; told once.
    pub(crate) fn payload_bytes(&mut self) -> Result<usize> {
        if let Some(Ok(payload)) = &self.payload {
            return Ok(payload.len());
        }
        Err(self.payload.take().and_then(Result::err).unwrap_or_else(polled_too_late))
    }

    /// The same once more; the payload is not in here any more.
    pub(crate) fn take(&mut self) -> Self {
        Self {
            name: self.name,
            format: self.format,
            payload: self.payload.take(),
            deadline: self.deadline,
            beside: self.beside.clone(),
            facts: self.facts.clone(),
            is_idempotent: self.is_idempotent,
        }
    }
}
