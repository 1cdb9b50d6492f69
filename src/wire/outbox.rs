//! Bytes on their way out, in order.
//!
//! Small pieces are written one behind the other into a tail, so that replies that are ready
//! together leave in one write. A large body is kept as the slice it is and never copied.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes, BytesMut};

use super::Line;

/// A queue of bytes to be written: lines and bodies in at the back, slices out at the front, by
/// [`Buf`].
#[derive(Debug, Default)]
pub struct Outbox {
    // In front of `tail`; none of them is empty.
    sealed: VecDeque<Bytes>,
    tail: BytesMut,
    // The bytes in `sealed` and `tail` together.
    len: usize,
    // Room for the tail of a busy connection, found out from the one before.
    tail_bytes_usual: usize,
}

impl Outbox {
    /// Appends a line.
    pub fn push_line(&mut self, line: &Line) {
        if self.tail.capacity() == 0 {
            self.tail.reserve(self.tail_bytes_usual.max(TAIL_BYTES_FIRST));
        }
        let before = self.tail.len();
        line.encode(&mut self.tail);
        self.len = self.len.saturating_add(self.tail.len().saturating_sub(before));
    }

    /// Appends a body: copied if it is small, kept as it is if not.
    pub fn push_body(&mut self, body: impl Into<Bytes> + AsRef<[u8]>) {
        let bytes = body.as_ref();
        self.len = self.len.saturating_add(bytes.len());
        if bytes.len() <= COPIED_BYTES_MAX {
            self.tail.extend_from_slice(bytes);
            return;
        }
        if !self.tail.is_empty() {
            self.sealed.push_back(self.tail.split().freeze());
        }
        self.sealed.push_back(body.into());
    }

    /// Takes out all that waits. What comes next will find as much room as this took, so that a
    /// busy connection does not let the same buffer grow again and again.
    #[must_use]
    pub fn take(&mut self) -> Self {
        if self.is_empty() {
            return Self::default();
        }
        let tail_bytes_usual = self.tail.len().min(TAIL_BYTES_USUAL_MAX);
        std::mem::replace(self, Self { tail_bytes_usual, ..Self::default() })
    }

    /// Bytes waiting.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Buf for Outbox {
    fn remaining(&self) -> usize {
        self.len
    }

    fn chunk(&self) -> &[u8] {
        self.sealed.front().map_or(&*self.tail, |bytes| &**bytes)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let tail = Some(&*self.tail).filter(|tail| !tail.is_empty());
        let pieces = self.sealed.iter().map(|bytes| &**bytes).chain(tail);
        slices.iter_mut().zip(pieces).map(|(slice, piece)| *slice = IoSlice::new(piece)).count()
    }

    fn advance(&mut self, mut count: usize) {
        self.len = self.len.saturating_sub(count);
        while let Some(front) = self.sealed.front_mut() {
            if count < front.len() {
                front.advance(count);
                return;
            }
            count = count.saturating_sub(front.len());
            self.sealed.pop_front();
        }
        self.tail.advance(count);
        if self.tail.is_empty() {
            // Back to the beginning of its memory, instead of growing behind what was written.
            self.tail.clear();
        }
    }
}

/// Room for a line and a small body; a line is put together from many pieces.
const TAIL_BYTES_FIRST: usize = 512;

/// The most room that is made before it is needed.
const TAIL_BYTES_USUAL_MAX: usize = 8 * 1024;

/// Copying so many bytes costs less than a slice of its own in the write.
const COPIED_BYTES_MAX: usize = 16 * 1024;
