//! Protocols that are not the library's: counted, refused, ended and reported as lines are.

use switchboard::transport::{self, MemoryDialer, MemoryStream};
use switchboard::{Code, Endpoint, Incoming, Report};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::support::*;

/// A protocol of one byte: `F` lasts for ever, `D` until it is told to end, `P` panics, and
/// whatever else is said comes back.
async fn serve(incoming: Incoming) {
    let draining = incoming.draining();
    let Incoming { mut io, peer, refused, .. } = incoming;
    assert_eq!(peer.to_string(), "memory");
    if let Some(error) = refused {
        assert_eq!(error.code(), Code::Overloaded);
        let _ = io.write_all(error.text().as_bytes()).await;
        return;
    }
    match io.read_u8().await.unwrap_or_default() {
        b'F' => std::future::pending().await,
        b'D' => {
            assert!(!draining.is_draining());
            draining.wait().await;
            assert!(draining.is_draining());
            let _ = io.write_all(b"told").await;
        }
        b'P' => panic!("a protocol panics"),
        byte => drop(io.write_all(&[byte]).await),
    }
}

/// An endpoint with such a protocol beside its lines.
struct Scene {
    dialer: MemoryDialer,
    lines: MemoryDialer,
    stop: oneshot::Sender<()>,
    report: JoinHandle<Report>,
}

impl Scene {
    fn new(endpoint: &Endpoint) -> Self {
        let (listener, dialer) = transport::memory_listener();
        let (commands, lines) = transport::memory_listener();
        let (stop, stopped) = oneshot::channel();
        let (endpoint, too) = (endpoint.clone(), endpoint.clone());
        tokio::spawn(async move { too.serve(commands).await });
        let report =
            tokio::spawn(async move { endpoint.accept_until(listener, serve, stopped).await });
        Self { dialer, lines, stop, report }
    }

    async fn say(&self, word: &str) -> MemoryStream {
        let mut stream = self.dialer.dial().await.unwrap();
        stream.write_all(word.as_bytes()).await.unwrap();
        settle().await;
        stream
    }

    async fn check_serves(&self) {
        assert_eq!(rest(self.say("x").await).await, "x");
    }
}

async fn rest(mut stream: MemoryStream) -> String {
    let mut text = String::new();
    within(stream.read_to_string(&mut text)).await.unwrap();
    text
}

#[tokio::test(start_paused = true)]
async fn they_count_with_those_of_lines_and_are_told_why_there_is_no_place() {
    let scene = Scene::new(&limited(|limits| limits.connections_max = 1));
    let first = scene.say("F").await;
    let mut line = Peer::new(scene.lines.dial().await.unwrap());
    let text = line.expect_error(0, Code::Overloaded).await;
    assert_eq!(text, "connections_max (1) are open");
    line.expect_farewell().await;
    assert_eq!(rest(scene.say("").await).await, text);
    drop(first);
    // Nobody looks at a stream that is served for ever.
    scene.stop.send(()).unwrap();
    let report = within(scene.report).await.unwrap();
    assert_eq!((report.connections, report.connections_refused), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_panic_takes_its_own_connection_and_gives_the_place_back() {
    let scene = Scene::new(&limited(|limits| limits.connections_max = 1));
    for _ in 0..3 {
        assert_eq!(rest(scene.say("P").await).await, "");
    }
    scene.check_serves().await;
    scene.stop.send(()).unwrap();
    assert_eq!(within(scene.report).await.unwrap().connections, 4);
}

#[tokio::test(start_paused = true)]
async fn a_drain_tells_them_and_drops_those_who_stay() {
    let scene = Scene::new(&endpoint());
    scene.check_serves().await;
    let (told, stays) = (scene.say("D").await, scene.say("F").await);
    let start = Instant::now();
    scene.stop.send(()).unwrap();
    assert_eq!(rest(told).await, "told");
    assert!(start.elapsed().is_zero());
    assert_eq!(rest(stays).await, "");
    // With the time for a last word.
    assert_eq!(start.elapsed().as_secs(), 12);
    let report = within(scene.report).await.unwrap();
    assert_eq!((report.connections, report.handshakes_failed, report.calls_answered), (3, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn who_waits_at_the_end_is_handed_over_and_told() {
    let (listener, dialer) = transport::memory_listener();
    let dialling = tokio::spawn(async move { dialer.dial().await });
    settle().await;
    let serve = async |mut incoming: Incoming| {
        assert!(incoming.draining().is_draining());
        incoming.io.write_all(b"late").await.unwrap();
    };
    let stop = std::future::ready(());
    let report = Endpoint::new().accept_until(listener, serve, stop).await;
    assert_eq!(rest(dialling.await.unwrap().unwrap()).await, "late");
    assert_eq!(report.connections, 1);
}

#[tokio::test(start_paused = true)]
async fn not_waiting_for_the_end_is_a_stop() {
    let scene = Scene::new(&endpoint());
    let told = scene.say("D").await;
    scene.report.abort();
    assert_eq!(rest(told).await, "told");
    assert!(scene.dialer.dial().await.is_err());
}
