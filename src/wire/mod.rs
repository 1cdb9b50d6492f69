//! Bytes to lines and bodies and back; pure.
//!
//! Each direction of a connection is a sequence of lines, some of which announce a body of an exact
//! length. [`Decoder`] is the one parser of that grammar and [`Line::encode`] its one printer:
//! printing what was parsed gives the same bytes. `docs/PROTOCOL.md` is the specification.
//!
//! This module does not know what a call is, which tags are in flight, or what a limit should be.
//! It has no socket, no clock and no task: bytes are pushed in, events are pulled out.

mod bad_option;
mod datagram;
mod decoder;
mod flaw;
mod frames;
mod line;
mod metadata;
mod name;
mod options;
mod outbox;
mod traceparent;
mod words;

pub use self::bad_option::BadOption;
pub use self::datagram::{DatagramCall, error_datagram, reply_datagram};
pub use self::decoder::{Decoder, Event, Position};
pub use self::flaw::Flaw;
pub use self::frames::{Frame, Frames};
pub use self::line::{Line, Part, Tag};
pub use self::metadata::Metadata;
pub use self::name::{FormatWord, Name};
pub use self::options::Options;
pub use self::outbox::Outbox;
pub use self::traceparent::Traceparent;
#[cfg(feature = "io")]
pub(crate) use self::traceparent::random;
pub use crate::error::CodeWord;
