//! Which of the bytes that wait to be written are calls of our own.
//!
//! A peer that does not read is not read from, or its requests would pile up as answers. Our own
//! calls must not count for that: two peers that both wait for the other to read them, each with a
//! large call on its way out, would wait for ever. They wait for room before they are sent instead.
//!
//! Bytes leave in the order in which they came, so a piece is known by where in the stream it lies.

use std::collections::VecDeque;
use std::ops::Range;

#[derive(Debug, Default)]
pub(super) struct Backlog {
    // Bytes written since the beginning: the place in the stream of the first that waits.
    written: usize,
    // Where our own calls lie, in order; neighbours are one. Their ends are all over `written`.
    asked: VecDeque<Range<usize>>,
    // Bytes of `asked` that wait.
    asked_bytes: usize,
}

impl Backlog {
    /// Notes that the last `bytes` of `unwritten_bytes` are a call of ours.
    pub(super) fn note_asked(&mut self, unwritten_bytes: usize, bytes: usize) {
        let end = self.written.wrapping_add(unwritten_bytes);
        let begin = end.wrapping_sub(bytes);
        self.asked_bytes = self.asked_bytes.saturating_add(bytes);
        match self.asked.back_mut().filter(|last| last.end == begin) {
            Some(last) => last.end = end,
            None => self.asked.push_back(begin..end),
        }
    }

    pub(super) fn handle_written(&mut self, bytes: usize) {
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
    }

    /// Bytes of our own calls that wait.
    pub(super) const fn asked_bytes(&self) -> usize {
        self.asked_bytes
    }
}
