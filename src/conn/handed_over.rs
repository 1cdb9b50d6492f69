//! What is handed to the session of a connection under its lock: a call, and the end of one.

use std::time::Instant;

use bytes::BytesMut;

use crate::error::Error;
use crate::quota::call_bytes;
use crate::session::{CallId, Place};

/// What a caller sends.
pub(crate) struct Sending<'a> {
    /// The call of the peer that it is made for, if it is a handler's.
    pub(crate) within: Option<CallId>,
    /// Where it waits for room. Whoever gives up waiting gives it back by `Shared::leave_room`.
    pub(crate) place: &'a mut Option<Place>,
    pub(crate) bytes: usize,
    pub(crate) deadline: Instant,
    /// Whether a reply is waited for until then.
    pub(crate) wants_reply: bool,
}

/// A call of the peer that has ended like this, and held so much.
pub(crate) struct Ended {
    pub(crate) id: CallId,
    pub(crate) reply: Result<BytesMut, Error>,
    pub(crate) held_bytes: usize,
    // Where its reply waits for room.
    pub(super) place: Option<Place>,
}

impl Ended {
    /// Whether it has and holds so little that others may wait beside it.
    pub(crate) fn is_small(&self, bytes_max: usize) -> bool {
        reply_bytes(&self.reply) <= bytes_max && self.held_bytes <= call_bytes(bytes_max)
    }
}

/// What the end of a call keeps until it is written: a reply, or an error with its details.
pub(super) fn reply_bytes(reply: &Result<BytesMut, Error>) -> usize {
    reply.as_ref().map_or_else(|error| error.told().bytes(), BytesMut::len)
}
