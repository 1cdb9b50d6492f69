//! Arbitrary bytes as a line of text; see `guarded`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use switchboard::format::Line;

#[allow(dead_code, reason = "shared with formats that carry more types")]
mod guarded;

fuzz_target!(|data: &[u8]| guarded::check::<String, Line>(data));
