//! Any list of operations on two sessions keeps the promises that `tests/support/src/model.rs`
//! lists.

#![no_main]

use libfuzzer_sys::fuzz_target;
use switchboard_testing::model;

fuzz_target!(|data: &[u8]| model::run(data));
