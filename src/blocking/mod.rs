//! A client for threads, without tokio: calls that block until their reply is here.
//!
//! A [`Client`] is cheap to clone and may be used from many threads at once; replies find their
//! callers in whatever order they come. It calls the same [`Command`](crate::Command)s within the
//! same [`Limits`](crate::Limits) as the client for tasks, and has the same errors. It has no
//! handlers: whatever its peer calls back is refused.
//!
//! ```
//! # #[cfg(feature = "json")] {
//! use std::time::Duration;
//!
//! use switchboard::blocking::Client;
//! use switchboard::format::Json;
//! use switchboard::{Command, Result};
//!
//! const DOUBLE: Command<u32, u32, Json> = Command::new("DOUBLE");
//!
//! fn double(number: u32) -> Result<u32> {
//!     let client = Client::connect("localhost:61000")?;
//!     client.call(DOUBLE, &number).timeout(Duration::from_secs(1)).wait()
//! }
//! # let _ = double;
//! # }
//! ```
//!
//! Each connection has two threads, which end with it: `connection` says what they do. A call of
//! this client in an async function holds up the thread of the runtime.

mod bell;
mod call;
mod client;
mod clock;
mod connection;
mod connector;
mod exchange;
mod keeping;
mod reading;
mod socket;
mod streamed;
mod threads;
mod untyped;

pub use self::call::{Call, CallWithMetadata, Notification};
pub use self::client::Client;
pub use self::connector::Connector;
pub use self::socket::Socket;
pub use self::streamed::{Callable, ItemSender, StreamedCall};
pub use crate::asking::{NoItems, Receives, Sends};
