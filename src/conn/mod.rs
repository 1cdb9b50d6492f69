//! What the tasks of one connection share: its session, and the end that writes.
//!
//! The driver and whoever calls over the connection meet here, in a [`Shared`]. It knows no
//! handlers, and no types of requests and replies.

mod shared;
mod state;
mod watch;
mod writer;

pub(crate) use self::shared::{Sending, Shared};
pub(crate) use self::writer::FLUSH_BYTES;
