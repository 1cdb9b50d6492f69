//! What tests share, and benches and fuzz targets with them. No user of the library builds it.
//!
//! What one file needs alone stays in that file.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "a panic is how a test fails, and nobody reads documentation of this"
)]

pub mod child;
pub mod go_programs;
pub mod gob_bytes;
pub mod hex;
#[cfg(feature = "io")]
pub mod hooked;
pub mod lender;
pub mod message;
pub mod model;
pub mod nested;
pub mod pair;
#[cfg(feature = "io")]
pub mod peer;
pub mod random;
pub mod streams_model;
#[cfg(feature = "io")]
pub mod waiting;

use std::time::Duration;

pub const SECOND: Duration = Duration::from_secs(1);
pub const MS: Duration = Duration::from_millis(1);
