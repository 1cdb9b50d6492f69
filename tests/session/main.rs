//! Two sessions and nothing between them but queues: what calls live through.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "a test that goes wrong may panic"
)]

mod asked;
mod batches;
mod calls;
mod draining;
mod ends;
mod facts;
mod keepalive;
mod limits;
mod one_way;
mod plain;
mod promises;
mod room;
mod streams;
mod time;
mod wire;
