//! Go's `net/rpc` in front of an endpoint: byte for byte, and with a real Go program.

#![cfg(all(feature = "io", feature = "gob"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "what tests share is a test too"
)]

mod caller;
mod calls;
mod client;
mod endpoint;
mod ends;
mod facts;
mod greeting;
mod limits;
mod time;
mod under_attack;
mod wide;
