//! How a request came to be.

/// How a request came to be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// By a session, with a tag: it keeps the time.
    Tagged,
    /// By a session, which has lent its stream for it.
    Plain,
    /// In no stream.
    Direct,
}
