//! Lines of JSON in front of an endpoint: byte for byte, and with clients of others.

#![cfg(all(feature = "io", feature = "json", feature = "bincode"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "what tests share is a test too"
)]

mod caller;
mod calls;
mod clients;
mod dialects;
mod endpoint;
mod ends;
mod faults;
mod limits;
