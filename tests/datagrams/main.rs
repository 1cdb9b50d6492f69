//! Calls by datagrams, and bare ones: byte for byte over real sockets.

#![cfg(all(feature = "udp", feature = "json", feature = "bincode"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "what tests share is a test too"
)]

mod bare;
mod bounds;
mod caller;
mod calls;
mod length;
