//! What all peers share: the command line, the load, the messages, and the line that is printed.
//!
//! A peer is a program that answers (`server`) and calls (`client`). How it calls is its own
//! matter; what is called, how often and from how many tasks is decided here, so that it is the
//! same for all.

mod arguments;
mod callers;
mod message;
mod net;
mod redis_server;
mod samples;
mod windows;

pub use self::arguments::{Arguments, Direction, Load, Scenario, UNSUPPORTED, main};
pub use self::callers::{Caller, Unsupported, measure_callers};
pub use self::message::{Blob, MESSAGE_BYTES, MIB, Message, SLOW_TIME, SMALL};
pub use self::net::{Address, Listener, Stream};
pub use self::redis_server::{become_redis_server, wait_for_redis};
pub use self::samples::{Report, Samples, Span};
pub use self::windows::{Window, measure_windows};
