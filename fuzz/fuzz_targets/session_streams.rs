//! Any list of operations on streamed calls of two sessions keeps the promises that
//! `tests/support/src/streams_model.rs` lists.

#![no_main]

use libfuzzer_sys::fuzz_target;
use switchboard_testing::streams_model;

fuzz_target!(|data: &[u8]| streams_model::run(data));
