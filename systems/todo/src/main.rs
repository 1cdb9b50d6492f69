//! A to-do service over HTTP and JSON, and on a command port.

fn main() {}
