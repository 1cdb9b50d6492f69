//! Arbitrary bytes through the guard as JSON; see `guarded`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use switchboard::format::Json;

mod guarded;

fuzz_target!(|data: &[u8]| guarded::check_any::<Json>(data));
