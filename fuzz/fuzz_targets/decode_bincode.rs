//! Arbitrary bytes through the guard as bincode; see `guarded`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use switchboard::format::Bincode;

mod guarded;

fuzz_target!(|data: &[u8]| guarded::check_any::<Bincode>(data));
