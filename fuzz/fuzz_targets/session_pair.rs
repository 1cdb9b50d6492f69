//! Any list of operations on two sessions keeps the promises that `tests/session/model.rs` lists.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/session/model.rs"]
mod model;
#[path = "../../tests/session/pair.rs"]
#[allow(dead_code, reason = "shared with tests that use more of it")]
mod pair;

fuzz_target!(|data: &[u8]| model::run(data));
