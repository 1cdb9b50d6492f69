//! An embeddable command-protocol endpoint.

#![warn(clippy::print_stdout)]

pub mod format;
pub mod session;
#[cfg(feature = "io")]
pub mod transport;
pub mod wire;

#[cfg(feature = "io")]
mod client;
mod command;
#[cfg(feature = "io")]
mod connection;
#[cfg(feature = "io")]
mod driver;
#[cfg(feature = "io")]
mod endpoint;
mod error;
#[cfg(feature = "io")]
mod handler;
mod limits;
#[cfg(feature = "io")]
mod quota;

#[cfg(feature = "io")]
pub use crate::client::{Call, Client, Notify};
pub use crate::command::Command;
#[cfg(feature = "io")]
pub use crate::connection::Connection;
#[cfg(feature = "io")]
pub use crate::endpoint::{Endpoint, Report};
pub use crate::error::{Code, Error, Fault, Result};
#[cfg(feature = "io")]
pub use crate::handler::{Blocking, Context, Handler, RawFuture, RawHandler, With, blocking, with};
pub use crate::limits::Limits;
