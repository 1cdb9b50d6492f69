//! What holds whatever is done on two sessions: `switchboard_testing::model` has the list.

use switchboard_testing::model;
use switchboard_testing::random::{Random, rounds};

#[test]
fn any_list_of_operations_keeps_the_promises() {
    for seed in 0..rounds(300) {
        let mut random = Random::new(seed);
        let bytes: Vec<u8> = (0..random.below(600))
            .map(|_| u8::try_from(random.draw() >> 40 & 0xff).unwrap())
            .collect();
        let result = std::panic::catch_unwind(|| model::run(&bytes));
        assert!(result.is_ok(), "seed {seed}");
    }
}
