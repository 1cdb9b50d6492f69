//! What the tasks of one connection share: its session, and the end that writes.
//!
//! The driver and whoever calls over the connection meet here, in a [`Shared`]. It knows no
//! handlers, and no types of requests and replies.

mod bridge;
mod channel;
mod ends;
mod handed_over;
mod handle;
mod in_flight;
mod items;
mod outgoing;
mod shared;
mod signals;
mod state;
mod watch;
mod writer;

pub(crate) use self::channel::ConnectionChannel;
pub(crate) use self::handed_over::Ended;
pub(crate) use self::handle::Handle;
pub(crate) use self::in_flight::InFlight;
pub(crate) use self::items::SessionItems;
pub(crate) use self::outgoing::Outgoing;
pub(crate) use self::shared::Shared;
pub(crate) use self::state::Reserved;
pub(crate) use self::writer::FLUSH_BYTES;
