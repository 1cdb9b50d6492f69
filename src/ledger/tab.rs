//! One call under way.

use std::sync::Arc;
use std::time::Instant;

use super::figures::{Ended, Figures, Opening};
use crate::clock::now;
use crate::error::Code;

/// A call under way, counted among those of its command. It ends once: by [`end`](Self::end), or as
/// `cancelled` when it is dropped before.
#[derive(Debug)]
pub(crate) struct Tab {
    // `None` once it has ended.
    figures: Option<Arc<Figures>>,
    came: Instant,
}

impl Tab {
    #[inline]
    pub(crate) fn begin(figures: Arc<Figures>, opening: &Opening) -> Self {
        figures.begin(opening);
        Self { figures: Some(figures), came: opening.came }
    }

    /// When the call came.
    pub(crate) fn came(&self) -> Instant {
        self.came
    }

    /// The call has ended, if it had not before.
    #[inline]
    pub(crate) fn end(&mut self, ended: Ended) {
        if let Some(figures) = self.figures.take() {
            figures.end(now().saturating_duration_since(self.came), ended);
        }
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        self.end(Err(Code::Cancelled));
    }
}
