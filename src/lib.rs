//! An embeddable command-protocol endpoint.

pub mod format;
pub mod session;
pub mod wire;

mod error;
mod limits;

pub use crate::error::{Code, Error, Fault, Result};
pub use crate::limits::Limits;
