//! The life of the calls of one connection; pure.
//!
//! A [`Session`] is told what arrived and what time it is, and answers what to do. It has no
//! socket, no clock, no task and no lock, so every interleaving of two peers can be played in a
//! test by joining two sessions with queues. The verbs are quinn-proto's: `handle_*` takes
//! something in, `poll_*` gives something out. Drain the outputs after each `handle_*`.
//!
//! It does not know what a handler is, nor how payloads are encoded. Bytes come in by
//! [`handle_input`](Session::handle_input), of a buffer that it is lent.
//!
//! The two directions of a connection are symmetric, so a session has two halves that mirror each
//! other: `Outbound` follows the calls that we made (our `NAME TAG LEN` and `>` lines out, `<`
//! lines in), `Inbound` the calls that the peer made (the same lines the other way round).
//!
//! ```text
//!        handle_input, handle_eof                      call, notify, cancel
//!   peer ────────────┐                                 ┌──────────── our callers
//!                    ▼                                 ▼
//!            ┌────────────┐  lines and bodies   ┌────────────┐
//!            │  Inbound   │ ───► Outbox ◄────── │  Outbound  │
//!            └────────────┘        │            └────────────┘
//!               │      ▲           ▼                  │
//!     poll_event│      │    take_transmit()           │ poll_reply
//!               ▼      │handle_reply                  ▼
//!             our handlers                        our callers
//! ```
//!
//! The whole connection has three phases:
//!
//! | phase    | entered by    | new calls in            | new calls out | left when          |
//! |----------|---------------|-------------------------|---------------|--------------------|
//! | open     | `new`         | run                     | sent          | close, end of file |
//! | draining | `close`       | refused `shutting_down` | refused       | no call runs       |
//! | finished | `is_finished` | not read                | refused       |                    |
//!
//! While it drains, calls may still be made inside of others (`calling_back`).
//!
//! # The parts
//!
//! Each file owns some state and knows only those to the right of it:
//!
//! ```text
//!   whole ──► input ──► calling_back ──► calls ──► inbound ───► in_flight, one_way, agenda,
//!   items     Input                      Calls │                streams (stream, half), sizes
//!  Session                                     ├─► outbound ──► cause, parting, streams
//!                                              ├─► closing (close) ──► cause
//!                                              ├─► backlog, room: what waits, and who
//!                                              ├─► timeouts: who is too slow
//!                                              └─► keepalive: who is gone
//! ```
//!
//! The words that they have in common are in `event`, `violation`, `deadlines`, `tables` and
//! `told`.

mod agenda;
mod backlog;
mod calling_back;
mod calls;
mod cause;
mod close;
mod deadlines;
mod event;
mod half;
mod in_flight;
mod inbound;
mod input;
mod items;
mod keepalive;
mod mistakes;
mod one_way;
mod outbound;
mod parting;
mod patience;
mod positions;
mod room;
mod sizes;
mod stream;
mod streams;
mod tables;
mod timeouts;
mod told;
mod violation;
mod wakers;
mod whole;

pub use self::event::{Call, CallId, Event, Plain, PlainEnd, Received, Side, StreamId, Tally};
pub use self::half::{Item, Misuse};
pub use self::input::{Holds, Host};
#[cfg(feature = "io")]
pub(crate) use self::positions::Positions;
pub use self::room::Place;
#[cfg(feature = "io")]
pub(crate) use self::stream::NOT_RESUMABLE;
#[cfg(any(feature = "io", feature = "blocking"))]
pub(crate) use self::told::takes_no_items;
#[cfg(feature = "io")]
pub(crate) use self::told::{endless, reply_bytes};
pub use self::violation::{Slowness, Violation};
pub use self::wakers::Wakers;
pub use self::whole::Session;
