//! What holds whatever is done on two sessions: `switchboard_testing::model` and
//! `switchboard_testing::streams_model` have the lists.

use switchboard_testing::random::{Random, rounds};
use switchboard_testing::{model, streams_model};

/// Runs a model on so many lists of up to so many bytes.
fn play(run: fn(&[u8]), lists: u64, bytes_max: usize) {
    for seed in 0..rounds(lists) {
        let mut random = Random::new(seed);
        let bytes: Vec<u8> = (0..random.below(bytes_max))
            .map(|_| u8::try_from(random.draw() >> 40 & 0xff).unwrap())
            .collect();
        let result = std::panic::catch_unwind(|| run(&bytes));
        assert!(result.is_ok(), "seed {seed}");
    }
}

#[test]
fn any_list_of_operations_keeps_the_promises() {
    play(model::run, 300, 600);
}

#[test]
fn any_list_of_operations_on_streams_keeps_the_promises() {
    play(streams_model::run, 1000, 900);
}
