//! Hostile payloads: whatever they claim, decoding ends in an error, without an abort.

#![cfg(all(feature = "bincode", feature = "json"))]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a panic is how a test fails"
)]

mod checks;
mod depth;
mod forms;
#[cfg(feature = "gob")]
mod gob;
mod refused;
mod sizes;
