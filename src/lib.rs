//! An embeddable command-protocol endpoint.

pub mod format;

mod error;
mod limits;

pub use crate::error::{Code, Error, Fault, Result};
pub use crate::limits::Limits;
