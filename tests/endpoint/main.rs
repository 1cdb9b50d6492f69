//! The endpoint from outside: bytes in, bytes out, and what its handlers and clients see.
//!
//! One binary, since linking is what takes the time. Where time matters it is paused, so nothing in
//! here waits for a clock; where bytes matter the peer is played by hand.

#![cfg(all(feature = "io", feature = "bincode", feature = "json"))]
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::needless_pass_by_value,
    reason = "a test that goes wrong may panic, and its modules share what they have"
)]

mod accept;
mod agreed;
mod balance;
mod beside;
mod by_name;
mod calls;
mod carried;
mod causes;
mod client;
mod codes;
mod connection;
mod copied;
mod facts;
mod facts_asked;
mod fairness;
mod foreign;
mod formats;
#[cfg(feature = "gob")]
mod gob;
mod grouped;
mod handed_on;
mod handlers;
mod handshake;
mod held;
mod hostile;
mod in_process;
mod items;
mod items_attacked;
mod items_hostile;
mod keepalive;
#[cfg(feature = "tower")]
mod layers;
mod least;
mod limits;
mod locks;
mod one_way;
mod others_faults;
mod others_faults_streams;
mod own;
mod own_errors;
#[cfg(feature = "tower")]
mod peer_limits;
mod plain;
mod positions;
mod promised;
mod promised_drops;
mod queued;
#[cfg(feature = "gob")]
mod raised;
mod reconnect;
mod reconnect_attacked;
mod reconnect_ends;
mod reconnect_faults;
mod reconnect_streams;
mod rest;
mod seam;
mod shutdown;
mod sinks;
mod stats;
mod stopping;
mod streams;
mod support;
mod traces;
mod under_attack;
mod watch;
mod writer;
mod writes;
