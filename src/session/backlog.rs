//! What waits to be written. Who waits for room in it is in `room`.
//!
//! # Which of the bytes are calls of our own
//!
//! A peer that does not read is not read from, or its requests would pile up as answers. Our own
//! calls must not count for that: two peers that both wait for the other to read them, each with a
//! large call on its way out, would wait for ever. They wait for room before they are sent instead.
//!
//! Bytes leave in the order in which they came, so a piece is known by where in the stream it lies.

use std::collections::VecDeque;
use std::ops::Range;

use super::tables::shrink_empty;
use crate::wire::Outbox;

#[derive(Debug)]
pub(super) struct Backlog {
    /// What has not been taken out yet; both halves write here.
    pub(super) outbox: Outbox,
    // Bytes that were taken out and not written yet.
    in_write: usize,
    own: OwnBytes,
    // The place in the stream up to which everything has left the stream's own buffers.
    flushed: usize,
    // Bytes that will never be written.
    lost_bytes: usize,
    unwritten_bytes_max: usize,
}

impl Backlog {
    pub(super) fn new(unwritten_bytes_max: usize) -> Self {
        let (outbox, own) = (Outbox::default(), OwnBytes::default());
        Self { outbox, in_write: 0, own, flushed: 0, lost_bytes: 0, unwritten_bytes_max }
    }

    pub(super) fn take(&mut self) -> Outbox {
        let outbox = self.outbox.take();
        self.in_write = self.in_write.saturating_add(outbox.len());
        outbox
    }

    pub(super) fn handle_written(&mut self, bytes: usize) {
        self.in_write = self.in_write.saturating_sub(bytes);
        self.own.handle_written(bytes);
    }

    pub(super) fn handle_flushed(&mut self) {
        self.flushed = self.own.written;
    }

    /// The place in the stream of whatever is sent next.
    pub(super) fn sent_end(&self) -> usize {
        let unwritten = self.unwritten_bytes().saturating_add(self.lost_bytes);
        self.own.written.wrapping_add(unwritten)
    }

    pub(super) fn is_flushed(&self, sent_end: usize) -> bool {
        is_past(self.flushed, sent_end)
    }

    /// Whether the stream has taken everything up to there.
    pub(super) fn is_written(&self, sent_end: usize) -> bool {
        is_past(self.own.written, sent_end)
    }

    /// Nothing of it will be written.
    pub(super) fn clear(&mut self) {
        self.lost_bytes = self.lost_bytes.saturating_add(self.unwritten_bytes());
        self.outbox = Outbox::default();
        self.in_write = 0;
        self.own = OwnBytes { written: self.own.written, ..OwnBytes::default() };
    }

    /// Notes that what came since the outbox was so long is a call of ours.
    pub(super) fn note_asked(&mut self, outbox_bytes_before: usize) {
        let bytes = self.outbox.len().saturating_sub(outbox_bytes_before);
        self.own.note_asked(self.unwritten_bytes(), bytes);
    }

    /// Bytes waiting, taken out or not.
    pub(super) fn unwritten_bytes(&self) -> usize {
        self.in_write.saturating_add(self.outbox.len())
    }

    /// Whether what waits, without calls of our own, leaves room for more.
    ///
    /// Two peers that stopped reading at once, each with large replies for the other, would wait
    /// for ever: whoever waits for a reply has `spare_bytes` for one more answer of its own.
    /// Replies wait for their room, so what fills as much again is refusals, which are small.
    pub(super) fn has_answer_room(&self, spare_bytes: usize) -> bool {
        let answers = self.unwritten_bytes().saturating_sub(self.own.asked_bytes());
        let max = self.unwritten_bytes_max;
        answers < max.saturating_add(spare_bytes).saturating_add(spare_bytes.min(max))
    }

    pub(super) fn has_room(&self) -> bool {
        self.unwritten_bytes() < self.unwritten_bytes_max
    }
}

#[derive(Debug, Default)]
struct OwnBytes {
    // Bytes written since the beginning: the place in the stream of the first that waits.
    written: usize,
    // Where our own calls lie, in order; neighbours are one. Their ends are all over `written`.
    asked: VecDeque<Range<usize>>,
    // Bytes of `asked` that wait.
    asked_bytes: usize,
}

impl OwnBytes {
    /// Notes that the last `bytes` of `unwritten_bytes` are a call of ours.
    fn note_asked(&mut self, unwritten_bytes: usize, bytes: usize) {
        let end = self.written.wrapping_add(unwritten_bytes);
        let begin = end.wrapping_sub(bytes);
        self.asked_bytes = self.asked_bytes.saturating_add(bytes);
        match self.asked.back_mut().filter(|last| last.end == begin) {
            Some(last) => last.end = end,
            None => self.asked.push_back(begin..end),
        }
    }

    fn handle_written(&mut self, bytes: usize) {
        self.written = self.written.wrapping_add(bytes);
        while let Some(first) = self.asked.front_mut() {
            let len = first.end.wrapping_sub(first.start);
            // How far the writing is past its begin; huge, by wrapping, if it is not there yet.
            let past = self.written.wrapping_sub(first.start);
            if past > usize::MAX / 2 {
                return;
            }
            self.asked_bytes = self.asked_bytes.saturating_sub(past.min(len));
            if past < len {
                first.start = self.written;
                return;
            }
            self.asked.pop_front();
        }
        shrink_empty(&mut self.asked);
    }

    /// Bytes of our own calls that wait.
    const fn asked_bytes(&self) -> usize {
        self.asked_bytes
    }
}

/// Whether one place in the stream is not before the other.
const fn is_past(place: usize, other: usize) -> bool {
    // Huge, by wrapping, if it is not there yet.
    place.wrapping_sub(other) <= usize::MAX / 2
}
