//! The same request in other words.

use bytes::Bytes;

/// What a request says if its command cannot read its payload: a door puts it among the extensions
/// where callers have more than one way to say the same. It is one call all the same, to layers, to
/// limits and to whoever counts.
pub(crate) struct OtherPayload(pub(crate) Bytes);
