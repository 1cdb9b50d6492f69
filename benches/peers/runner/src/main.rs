//! Runs the peers in turn.
fn main() {}
