//! The gateway and its server from outside: raw bytes to a socket, and what comes back.
//!
//! Where time matters it is paused, over connections in memory; where hosts and addresses matter
//! the sockets are real.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    unreachable_pub,
    reason = "a test that goes wrong may panic, and its modules share what they have"
)]

mod calls;
mod documents;
mod hostile;
mod nested;
mod node;
mod others_faults;
mod serving;
mod streams;
mod support;
