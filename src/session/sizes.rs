//! How large the payloads of the peer's calls may be, and their replies.

use crate::command::Facts;
use crate::limits::PayloadMax;

#[derive(Debug)]
pub(super) struct Sizes {
    payload_bytes_max: usize,
    // The largest reply over the limit, as its command allows, that may still wait to be written.
    large_reply_bytes: usize,
}

impl Sizes {
    pub(super) const fn new(payload_bytes_max: usize) -> Self {
        Self { payload_bytes_max, large_reply_bytes: 0 }
    }

    /// How large a payload of a command with these facts may be.
    pub(super) fn payload_max(&self, facts: Option<&Facts>) -> PayloadMax {
        facts.copied().unwrap_or_default().payload_max(self.payload_bytes_max)
    }

    /// A reply of so many bytes waits to be written.
    pub(super) fn note_reply(&mut self, bytes: usize) {
        if bytes > self.payload_bytes_max {
            self.large_reply_bytes = self.large_reply_bytes.max(bytes);
        }
    }

    /// Bytes of a reply for which there is room while we wait for replies ourselves. A large one
    /// counts until all is written: two peers with one each would else not read each other.
    pub(super) fn reply_bytes_max(&self) -> usize {
        self.payload_bytes_max.max(self.large_reply_bytes)
    }

    /// All that waited is written.
    pub(super) const fn handle_all_written(&mut self) {
        self.large_reply_bytes = 0;
    }
}
