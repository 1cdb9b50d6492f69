//! Handshakes: each in its own task, within its time, counted, and ended by a drain.

use std::io;

use switchboard::transport::{self, Handshake, Listener};
use switchboard::transport::{MemoryDialer, MemoryListener, MemoryStream};
use switchboard::{Endpoint, Report};
use tokio::io::AsyncReadExt;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::support::*;

/// Who says `H` is in, who says anything else is out, and who says nothing is waited for.
struct Shaken {
    inner: MemoryListener,
    begun: Count,
}

impl Listener for Shaken {
    type Io = Handshake;

    async fn accept(&mut self) -> io::Result<(Handshake, transport::Peer)> {
        let (mut stream, peer) = self.inner.accept().await?;
        let (same, begun) = (peer.clone(), self.begun.clone());
        let handshake = Handshake::new(async move {
            begun.add();
            match stream.read_u8().await? {
                b'H' => Ok((stream, same)),
                b'P' => panic!("a handshake panics"),
                _ => Err(io::ErrorKind::PermissionDenied.into()),
            }
        });
        Ok((handshake, peer))
    }
}

/// An endpoint that serves until it is told to stop.
struct Scene {
    dialer: MemoryDialer,
    begun: Count,
    stop: oneshot::Sender<()>,
    report: tokio::task::JoinHandle<Report>,
}

impl Scene {
    fn new(endpoint: Endpoint) -> Self {
        let (inner, dialer) = transport::memory_listener();
        let begun = Count::default();
        let listener = Shaken { inner, begun: begun.clone() };
        let (stop, stopped) = oneshot::channel();
        let report =
            tokio::spawn(async move { endpoint.serve_until(listener, stopped).await.unwrap() });
        Self { dialer, begun, stop, report }
    }

    async fn dial(&self) -> Peer<MemoryStream> {
        Peer::new(self.dialer.dial().await.unwrap())
    }

    /// Who is quick is served.
    async fn check_serves(&self) {
        let mut peer = self.dial().await;
        peer.send("HECHO 1 1 f=line\na").await;
        peer.expect("<1 ok 1\na").await;
        peer.finish().await;
        peer.expect_end().await;
    }

    async fn stop(self) -> Report {
        self.stop.send(()).unwrap();
        within(self.report).await.unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn those_who_hang_or_fail_hold_up_nobody() {
    let scene = Scene::new(endpoint());
    let mut silent = scene.dial().await;
    for wrong in ["X", "P"] {
        let mut peer = scene.dial().await;
        peer.send(wrong).await;
        peer.expect_end().await;
    }
    let mut slow = scene.dial().await;
    let start = Instant::now();
    scene.check_serves().await;
    assert!(start.elapsed().is_zero(), "{:?}", start.elapsed());
    tokio::time::sleep(9 * SECOND).await;
    slow.send("H").await;
    silent.expect_end().await;
    assert!(start.elapsed() >= 10 * SECOND && start.elapsed() < 11 * SECOND);
    slow.send("ECHO 1 1 f=line\na").await;
    slow.expect("<1 ok 1\na").await;
    slow.finish().await;
    slow.expect_end().await;
    let report = scene.stop().await;
    assert_eq!((report.connections, report.handshakes_failed, report.calls_answered), (2, 3, 2));
}

#[tokio::test(start_paused = true)]
async fn they_are_counted_and_nobody_shakes_hands_who_is_turned_away() {
    let scene = Scene::new(limited(|limits| limits.connections_max = 1));
    let mut first = scene.dial().await;
    settle().await;
    let mut second = scene.dial().await;
    second.expect_end().await;
    assert_eq!(scene.begun.now(), 1);
    first.send("HECHO 1 1 f=line\na").await;
    first.expect("<1 ok 1\na").await;
    scene.dial().await.expect_end().await;
    first.finish().await;
    first.expect_end().await;
    settle().await;
    // One that fails gives its place back as well.
    let mut third = scene.dial().await;
    third.send("X").await;
    third.expect_end().await;
    settle().await;
    scene.check_serves().await;
    let report = scene.stop().await;
    let refused = report.connections_refused;
    assert_eq!((report.connections, refused, report.handshakes_failed), (2, 2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_them() {
    let scene = Scene::new(endpoint());
    let mut waiting = scene.dial().await;
    settle().await;
    let start = Instant::now();
    // Waits to be accepted: its handshake never begins.
    let mut late = scene.dial().await;
    let (dialer, begun) = (scene.dialer.clone(), scene.begun.clone());
    let report = scene.stop().await;
    assert!(start.elapsed().is_zero(), "{:?}", start.elapsed());
    waiting.expect_end().await;
    late.expect_end().await;
    assert_eq!((report.connections, report.handshakes_failed, begun.now()), (0, 2, 1));
    assert!(dialer.dial().await.is_err(), "nobody accepts any more");
}
