//! What is handed to the session of a connection under its lock: a call, and the end of one.

use std::time::Instant;

use bytes::BytesMut;

use crate::error::Error;
use crate::quota::{Permit, call_bytes};
use crate::session::{CallId, Place, reply_bytes};

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

/// A call of the peer that has ended like this, with what it has until that is reported.
pub(crate) struct Ended {
    pub(crate) stake: Stake,
    pub(crate) reply: Result<BytesMut, Error>,
}

/// What a call of the peer has until its end is reported.
pub(crate) struct Stake {
    pub(crate) id: CallId,
    pub(super) held_bytes: usize,
    // Where its reply waits for room.
    pub(super) place: Option<Place>,
    // Of a streamed call whose handler has ended: it counts until its reply has gone, behind items.
    pub(super) permit: Option<Permit>,
}

impl Ended {
    /// Whether it has and holds so little that others may wait beside it.
    pub(crate) fn is_small(&self, bytes_max: usize) -> bool {
        reply_bytes(&self.reply) <= bytes_max && self.stake.held_bytes <= call_bytes(bytes_max)
    }
}

impl Stake {
    /// Hands all of it over.
    pub(super) fn take(&mut self) -> Self {
        let (place, permit) = (self.place.take(), self.permit.take());
        Self { id: self.id, held_bytes: self.held_bytes, place, permit }
    }
}
