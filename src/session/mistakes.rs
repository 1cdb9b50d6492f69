//! Mistakes of the peer's, one after the other.
//!
//! A peer of good will does not make the same mistake again and again. Calls that were refused for
//! a mistake of the caller's are counted since the last one that went well; one too many ends the
//! connection.

use crate::error::Code;

#[derive(Debug)]
pub(super) struct Mistakes {
    in_a_row: u32,
    max: u32,
}

impl Mistakes {
    pub(super) const fn new(max: u32) -> Self {
        Self { in_a_row: 0, max }
    }

    /// A call went well.
    pub(super) const fn forget(&mut self) {
        self.in_a_row = 0;
    }

    /// A call was refused with this code; how many are too many, if this is the first over it.
    pub(super) fn note(&mut self, code: Code) -> Option<u32> {
        if !is_mistake(code) {
            return None;
        }
        let is_last_straw = self.in_a_row == self.max;
        self.in_a_row = self.in_a_row.saturating_add(1);
        is_last_straw.then_some(self.max)
    }

    /// Calls of which only the last can be one mistake too many.
    pub(super) fn calls_at_once_max(&self) -> usize {
        let more = self.max.saturating_sub(self.in_a_row);
        usize::try_from(more).unwrap_or(usize::MAX).saturating_add(1)
    }
}

const fn is_mistake(code: Code) -> bool {
    matches!(
        code,
        Code::UnknownCommand | Code::BadPayload | Code::TooLarge | Code::UnsupportedFormat
    )
}
