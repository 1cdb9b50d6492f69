//! The inventory and the order service: in this process where time or a loader must be held, and as
//! processes of their own where they are killed, stopped or asked over sockets.
//!
//! One binary, since linking is what takes the time. Where a service is to be killed or stopped in
//! the middle of something, a count is waited for and never a time.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that goes wrong may panic, and its modules share what they have"
)]

mod cache;
mod commands;
mod crash;
mod doors;
mod limits;
mod orders;
mod stopping;
mod support;
mod traces;
