//! A peer that sends bytes and reads lines.

use switchboard::transport::{self, MemoryDialer, MemoryStream};
use switchboard::{Endpoint, Limits, Report, Result};
use switchboard_testing::random::Random;
use switchboard_testing::waiting::within;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// An endpoint that serves lines of JSON in memory.
pub(crate) struct Server {
    dialer: MemoryDialer,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<Report>>,
}

/// One connection to it.
pub(crate) struct Caller {
    pub(crate) stream: MemoryStream,
    input: Vec<u8>,
}

impl Server {
    pub(crate) fn new(endpoint: &Endpoint, change: impl FnOnce(&mut Limits)) -> Self {
        let endpoint = endpoint.clone().with_limits(Limits::default().with(change));
        let (listener, dialer) = transport::memory_listener();
        let (stop, stopped) = oneshot::channel();
        let served =
            tokio::spawn(async move { endpoint.serve_json_lines_until(listener, stopped).await });
        Self { dialer, stop, served }
    }

    pub(crate) async fn dial(&self) -> Caller {
        Caller { stream: self.dialer.dial().await.unwrap(), input: Vec::new() }
    }

    /// Tells it to stop; what it reports comes when it has.
    pub(crate) fn stop(self) -> JoinHandle<Result<Report>> {
        self.stop.send(()).unwrap();
        self.served
    }
}

impl Caller {
    /// Sends a line and its end.
    pub(crate) async fn say(&mut self, line: &str) {
        self.send(format!("{line}\n").as_bytes()).await;
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        within(self.stream.write_all(bytes)).await.unwrap();
    }

    /// The next line without its end; `None` at the end of the stream.
    pub(crate) async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.input.iter().position(|byte| *byte == b'\n') {
                let line: Vec<_> = self.input.drain(..=end).collect();
                return Some(String::from_utf8(line[..end].to_vec()).unwrap());
            }
            let read = within(self.stream.read_buf(&mut self.input)).await;
            if read.unwrap_or_default() == 0 {
                assert!(self.input.is_empty(), "the stream ended in a line");
                return None;
            }
        }
    }

    pub(crate) async fn ask(&mut self, line: &str) -> String {
        self.say(line).await;
        self.line().await.expect("an answer")
    }
}

/// What an endpoint answers to these bytes, in pieces that `seed` makes, until it ends the stream.
/// Seed 0 makes one piece.
pub(crate) async fn exchange(server: &Server, sent: &[u8], seed: u64) -> String {
    let Caller { stream, .. } = server.dial().await;
    let (mut reading, mut writing) = tokio::io::split(stream);
    let send = async {
        let (mut rest, mut random) = (sent, Random::new(seed));
        while !rest.is_empty() {
            let most = if seed == 0 { rest.len() } else { 1 + random.below(rest.len().min(40)) };
            let piece;
            (piece, rest) = rest.split_at(most);
            if writing.write_all(piece).await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
        let _ = writing.shutdown().await;
    };
    let mut heard = Vec::new();
    let ((), read) = within(async { tokio::join!(send, reading.read_to_end(&mut heard)) }).await;
    read.unwrap();
    String::from_utf8(heard).unwrap()
}
