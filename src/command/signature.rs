//! What two programs must agree on to call a command.

use crate::format::{Format, Outline};
use crate::wire::Name;

/// A command as another program sees it: its name, its format, and what its request and its reply
/// look like; made by [`Command::signature`](crate::Command::signature).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Signature {
    /// The name on the wire.
    pub name: Name,
    /// The format.
    pub format: &'static str,
    /// What a request looks like; `None` if its format does not say.
    pub request: Option<Outline>,
    /// What a reply looks like; `None` if its format does not say.
    pub reply: Option<Outline>,
}

impl Signature {
    pub(super) fn of<Req, Rep, F: Format<Req> + Format<Rep>>(name: Name) -> Self {
        Self {
            name,
            format: <F as Format<Req>>::NAME,
            request: <F as Format<Req>>::outline(),
            reply: <F as Format<Rep>>::outline(),
        }
    }
}
