//! An embeddable command-protocol endpoint.

pub mod format;
pub mod session;
#[cfg(feature = "io")]
pub mod transport;
pub mod wire;

mod error;
mod limits;

pub use crate::error::{Code, Error, Fault, Result};
pub use crate::limits::Limits;
