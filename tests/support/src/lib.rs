//! What tests share, and benches and fuzz targets with them. No user of the library builds it.
//!
//! What one file needs alone stays in that file.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "a panic is how a test fails, and nobody reads documentation of this"
)]

pub mod child;
pub mod go_programs;
pub mod random;
