//! One-way calls that wait for others to end.
//!
//! A call with a tag that is over `calls_per_connection_max` is refused, and its caller knows. Of a
//! one-way call nobody would hear, so it waits here instead, and they begin in the order in which
//! they came. The queue is bounded in bytes. When it is full the connection is not read until it
//! is not: before that the peer must be read, since the handlers that these calls wait for may
//! themselves wait for replies of the peer.

use std::collections::VecDeque;

use super::Call;
use super::event::OwnFacts;
use super::tables::shrink_empty;

#[derive(Debug)]
pub(super) struct OneWay {
    // With the times at which their lines came for deadlines.
    waiting: VecDeque<(Box<Call>, OwnFacts)>,
    held_bytes: usize,
    held_bytes_max: usize,
}

impl OneWay {
    pub(super) fn new(held_bytes_max: usize) -> Self {
        Self { waiting: VecDeque::new(), held_bytes: 0, held_bytes_max }
    }

    pub(super) fn push(&mut self, call: Box<Call>, facts: OwnFacts) {
        self.held_bytes = self.held_bytes.saturating_add(bytes_of(&call, call.payload.len()));
        self.waiting.push_back((call, facts));
    }

    pub(super) fn pop(&mut self) -> Option<(Box<Call>, OwnFacts)> {
        let (call, facts) = self.waiting.pop_front()?;
        self.held_bytes = self.held_bytes.saturating_sub(bytes_of(&call, call.payload.len()));
        shrink_empty(&mut self.waiting);
        Some((call, facts))
    }

    /// Drops all of them; answers how many.
    pub(super) fn clear(&mut self) -> usize {
        self.held_bytes = 0;
        std::mem::take(&mut self.waiting).len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether nothing more should be read.
    pub(super) fn is_full(&self) -> bool {
        !self.waiting.is_empty() && self.held_bytes >= self.held_bytes_max
    }

    /// Bytes that the waiting calls hold.
    pub(super) const fn held_bytes(&self) -> usize {
        self.held_bytes
    }
}

/// What a call with a payload of so many bytes holds while it waits.
pub(super) fn bytes_of(call: &Call, payload_bytes: usize) -> usize {
    let options_bytes = call.options_bytes().saturating_sub(OPTIONS_BYTES_USUAL);
    payload_bytes.saturating_add(options_bytes).saturating_add(CALL_BYTES)
}

/// What a call takes beside its payload: its name, the usual options, and two allocations.
const CALL_BYTES: usize = 256;

/// A format, a time and a little more.
const OPTIONS_BYTES_USUAL: usize = 64;
