//! The program from outside: as a process, over real sockets.
//!
//! One binary, since linking is what takes the time. Where a server is to be killed or stopped in
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

mod crash;
mod doors;
mod failures;
mod hostile;
mod routes;
mod stopping;
mod support;
