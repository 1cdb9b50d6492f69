//! Sends lines that a person types as JSON to an endpoint or a node, and prints the answers.

fn main() {}
