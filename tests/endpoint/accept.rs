//! The accept loop: it outlives whatever its listener does, and does not spin.

use std::io;
use std::time::Duration;

use switchboard::transport::{self, Listener, MemoryListener, MemoryStream};
use tokio::time::Instant;

use super::support::*;

/// Fails so many times before each connection.
struct Flaky {
    inner: MemoryListener,
    failures: usize,
    left: usize,
    attempts: Count,
    kind: fn() -> io::Error,
}

impl Listener for Flaky {
    type Io = MemoryStream;

    async fn accept(&mut self) -> io::Result<(MemoryStream, transport::Peer)> {
        self.attempts.add();
        if self.left > 0 {
            self.left -= 1;
            return Err((self.kind)());
        }
        let accepted = self.inner.accept().await;
        self.left = self.failures;
        accepted
    }
}

fn out_of_descriptors() -> io::Error {
    io::Error::from_raw_os_error(24)
}

fn aborted() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}

#[tokio::test(start_paused = true)]
async fn an_accept_that_fails_is_tried_again_with_pauses() {
    let attempts = Count::default();
    let (inner, dialer) = transport::memory_listener();
    let kind = out_of_descriptors;
    let listener = Flaky { inner, failures: 0, left: 100, attempts: attempts.clone(), kind };
    let endpoint = endpoint();
    let serving = endpoint.clone();
    let start = Instant::now();
    tokio::spawn(async move { serving.serve(listener).await });
    let stream = dialer.dial().await.unwrap();

    // 10, 20, .. 640 ms, then 1 s each.
    tokio::time::sleep(Duration::from_millis(1275)).await;
    assert_eq!(attempts.now(), 8);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(attempts.now(), 18);
    check_serves(&endpoint).await;

    assert_eq!(exchange_over(stream, "ECHO 1 1 f=line\na").await, "<1 ok 1\na");
    assert_eq!(attempts.now(), 102);
    let expected = Duration::from_millis(1270) + Duration::from_secs(93);
    let took = start.elapsed();
    assert!(took >= expected && took < expected + Duration::from_secs(1), "{took:?}");
    // All is well again: nobody waits.
    let start = Instant::now();
    for _ in 0..10 {
        let stream = dialer.dial().await.unwrap();
        assert_eq!(exchange_over(stream, "ECHO 1 1 f=line\na").await, "<1 ok 1\na");
    }
    assert!(start.elapsed().is_zero());
}

#[tokio::test(start_paused = true)]
async fn a_failure_for_each_connection_costs_little() {
    let attempts = Count::default();
    let (inner, dialer) = transport::memory_listener();
    let listener = Flaky { inner, failures: 1, left: 1, attempts, kind: aborted };
    let endpoint = endpoint();
    let start = Instant::now();
    tokio::spawn(async move { endpoint.serve(listener).await });
    for _ in 0..100 {
        let stream = dialer.dial().await.unwrap();
        assert_eq!(exchange_over(stream, "ECHO 1 1 f=line\na").await, "<1 ok 1\na");
    }
    // One pause of 10 ms before each: a good accept makes the pause short again.
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_heard_in_a_pause() {
    let attempts = Count::default();
    let (inner, _dialer) = transport::memory_listener();
    let kind = out_of_descriptors;
    let listener = Flaky { inner, failures: 0, left: 1000, attempts: attempts.clone(), kind };
    let stop = tokio::time::sleep(Duration::from_millis(20_500));
    let start = Instant::now();
    endpoint().serve_until(listener, stop).await.unwrap();
    assert!(start.elapsed() < Duration::from_millis(20_600), "{:?}", start.elapsed());
    assert!(attempts.now() < 30);
}
