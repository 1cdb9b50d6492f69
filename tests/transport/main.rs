//! Listening and accepting over real sockets. Dialling, which is not public, is tested where it is.

#![cfg(feature = "io")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "the functions that tests share are tests too"
)]

mod accept;
mod addresses;
#[cfg(target_os = "linux")]
mod dial;
#[cfg(target_os = "linux")]
mod keepalive;
#[cfg(target_os = "linux")]
mod links;
mod memory;
#[cfg(unix)]
mod strangers;
#[cfg(unix)]
mod unix;
#[cfg(target_os = "linux")]
mod users;
