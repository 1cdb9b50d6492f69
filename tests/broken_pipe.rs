//! A peer that is gone raises no SIGPIPE, which would end a process that has reset that signal.
//!
//! The runtime of Rust ignores the signal, so that nothing shows. Here it is caught and looked for:
//! where it is not raised it can't end anybody. In a file of its own, with one test, for signals
//! belong to the whole process.

#![cfg(all(unix, feature = "io"))]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::io::{ErrorKind, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::process::{Signal, getpid, kill_process};
use switchboard::format::Line;
use switchboard::transport::{self, Io, Listener, Socket};
use switchboard::{Client, Command, Endpoint, Error};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

const WAIT: Command<String, String, Line> = Command::new("WAIT");

#[tokio::test]
async fn a_peer_that_is_gone_raises_no_signal() {
    let mut watch = Watch::new();
    let directory = Directory::new();
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tcp_address = tcp.local_addr().unwrap();
    let dial_tcp = async || TcpStream::connect(tcp_address).await.unwrap();
    let path = directory.0.join("tokio");
    let unix = UnixListener::bind(&path).unwrap();
    let dial_unix = async || UnixStream::connect(&path).await.unwrap();

    // Streams of tokio as they are: what is looked for can be seen.
    let stream = dial_tcp().await;
    drop(tcp.accept().await.unwrap());
    write_to_nobody(stream).await;
    assert!(watch.has_seen_one().await);
    let stream = dial_unix().await;
    drop(unix.accept().await.unwrap());
    write_to_nobody(stream).await;
    assert!(watch.has_seen_one().await);

    // The same, told not to.
    let stream = Socket::from(dial_tcp().await);
    drop(tcp.accept().await.unwrap());
    write_to_nobody(stream).await;
    watch.check("a TCP stream of one's own").await;
    let stream = Socket::from(dial_unix().await);
    drop(unix.accept().await.unwrap());
    write_to_nobody(stream).await;
    watch.check("a Unix stream of one's own").await;

    write_to_those_who_leave(tcp, dial_tcp).await;
    watch.check("accepted by a TCP listener of tokio").await;
    write_to_those_who_leave(unix, dial_unix).await;
    watch.check("accepted by a Unix listener of tokio").await;
    let any = transport::bind("127.0.0.1:0").await.unwrap();
    let address = any.local_address().unwrap().to_string();
    write_to_those_who_leave(any, async || TcpStream::connect(&address).await.unwrap()).await;
    watch.check("accepted by a TCP listener").await;
    let path = directory.0.join("ours");
    let any = transport::UnixListener::bind(&path).await.unwrap();
    write_to_those_who_leave(any, async || UnixStream::connect(&path).await.unwrap()).await;
    watch.check("accepted by a Unix listener").await;

    answer_one_who_has_left(&directory.0.join("answered")).await;
    watch.check("a reply of an endpoint").await;
    call_one_who_has_left(&directory.0.join("called")).await;
    watch.check("a call of a client").await;
}

async fn write_to_those_who_leave<S>(
    mut listener: impl Listener<Io: Io>,
    dial: impl AsyncFn() -> S,
) {
    let leaving = dial().await;
    let (stream, _) = listener.accept().await.unwrap();
    drop(leaving);
    write_to_nobody(stream).await;
}

/// The first writes may go well, before the system has heard that nobody is there.
async fn write_to_nobody(mut stream: impl Io) {
    let slices = [IoSlice::new(b"one"), IoSlice::new(b"two")];
    loop {
        match stream.write_vectored(&slices).await {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => break,
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
            Ok(_) => {}
        }
    }
    assert_eq!(stream.write(b"one").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
}

/// The handler is under way when its caller leaves.
async fn answer_one_who_has_left(path: &Path) {
    let (begun, go_on, stop) = (Notify::new(), Notify::new(), Notify::new());
    let steps = Arc::new((begun, go_on, stop));
    let endpoint = Endpoint::new().on(WAIT, {
        let steps = Arc::clone(&steps);
        move |text: String| {
            let steps = Arc::clone(&steps);
            async move {
                steps.0.notify_one();
                steps.1.notified().await;
                Ok::<_, Error>(text)
            }
        }
    });
    let listener = transport::UnixListener::bind(path).await.unwrap();
    let serving = tokio::spawn({
        let steps = Arc::clone(&steps);
        async move { endpoint.serve_until(listener, steps.2.notified()).await.unwrap() }
    });
    let mut caller = UnixStream::connect(path).await.unwrap();
    caller.write_all(b"WAIT 1 4 f=line\ntext").await.unwrap();
    tokio::select! {
        () = steps.0.notified() => {}
        line = caller.read_u8() => panic!("answered before the handler has begun: {line:?}"),
    }
    drop(caller);
    steps.1.notify_one();
    steps.2.notify_one();
    assert_eq!(serving.await.unwrap().calls_answered, 1);
}

async fn call_one_who_has_left(path: &Path) {
    let listener = UnixListener::bind(path).unwrap();
    let client = Client::connect(format!("unix:{}", path.display())).await.unwrap();
    drop(listener.accept().await.unwrap());
    client.call(WAIT, &"text".to_owned()).await.unwrap_err();
    client.closed().await;
}

/// Sees whether the signal is raised.
struct Watch {
    broken_pipe: tokio::signal::unix::Signal,
    after: tokio::signal::unix::Signal,
}

impl Watch {
    fn new() -> Self {
        let broken_pipe = signal(SignalKind::pipe()).unwrap();
        let after = signal(SignalKind::user_defined1()).unwrap();
        Self { broken_pipe, after }
    }

    async fn check(&mut self, what: &str) {
        assert!(!self.has_seen_one().await, "{what}");
    }

    /// Whether it was raised since this was asked last. Whoever hears of a signal hears of all that
    /// came before it, so one is sent now and waited for.
    async fn has_seen_one(&mut self) -> bool {
        kill_process(getpid(), Signal::USR1).unwrap();
        self.after.recv().await.unwrap();
        tokio::select! {
            biased;
            _ = self.broken_pipe.recv() => true,
            () = std::future::ready(()) => false,
        }
    }
}

/// Deleted with all that is in it.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let name = format!("switchboard-broken-pipe-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
