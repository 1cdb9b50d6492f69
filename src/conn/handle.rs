//! Who may call over a connection, and closes it in the end.

use std::fmt;
use std::sync::Arc;

use super::shared::Shared;
use crate::session::CallId;

/// Closes the connection when the last one who uses it is gone.
pub(crate) struct Handle {
    shared: Arc<Shared>,
    is_owner: bool,
    // The call of the peer whose handler was given it.
    within: Option<CallId>,
}

impl Handle {
    /// The handle of whoever opened the connection.
    pub(crate) fn owner(shared: Arc<Shared>) -> Arc<Self> {
        Arc::new(Self { shared, is_owner: true, within: None })
    }

    /// A handle to a connection that somebody else owns, for the handler of this call.
    pub(super) fn guest(shared: Arc<Shared>, within: CallId) -> Arc<Self> {
        Arc::new(Self { shared, is_owner: false, within: Some(within) })
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(super) fn within(&self) -> Option<CallId> {
        self.within
    }

    /// Whether the connection is closed, or takes no more calls because either side is closing it.
    pub(crate) fn is_closed(&self) -> bool {
        !self.shared.is_open(self.within)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.is_owner {
            self.shared.close();
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("is_owner", &self.is_owner).finish_non_exhaustive()
    }
}
