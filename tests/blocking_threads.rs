//! The threads of a client end with it. In a file of its own, with one test, for the threads of a
//! process are looked at.

#![cfg(all(target_os = "linux", feature = "blocking"))]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::os::unix::net::UnixStream;
use std::thread;

use switchboard::blocking::Connector;

#[test]
fn the_threads_of_a_client_end_with_it() {
    let (near, far) = UnixStream::pair().unwrap();
    let client = Connector::new().connect_over(near).unwrap();
    while threads() != 2 {
        thread::yield_now();
    }
    drop(client);
    drop(far);
    while threads() != 0 {
        thread::yield_now();
    }
}

/// How many threads of the library there are.
fn threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("switchboard-")).count()
}
