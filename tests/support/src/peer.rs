//! A peer of an endpoint, played by hand: bytes in, bytes out.

use bytes::BytesMut;
use switchboard::Code;
use switchboard::wire::{self, Decoder};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::waiting::within;

/// A peer played by hand.
#[derive(Debug)]
pub struct Peer<S> {
    pub stream: S,
    input: BytesMut,
    decoder: Decoder,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, input: BytesMut::new(), decoder: Decoder::new(1024, 16 << 20) }
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Ends this side.
    pub async fn finish(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// The next line and its body, as they stand on the wire; `None` at the end.
    pub async fn next(&mut self) -> Option<String> {
        let mut text = BytesMut::new();
        loop {
            match self.decoder.decode(&mut self.input).unwrap() {
                Some(wire::Event::Line(line)) => {
                    line.encode(&mut text);
                    if line.body_len().is_none() {
                        return Some(show(&text));
                    }
                }
                Some(wire::Event::Body(body)) => {
                    text.extend_from_slice(&body);
                    return Some(show(&text));
                }
                None => {
                    if within(self.stream.read_buf(&mut self.input)).await.unwrap() == 0 {
                        assert!(text.is_empty() && self.input.is_empty(), "the stream ends early");
                        return None;
                    }
                }
                Some(_) => unreachable!(),
            }
        }
    }

    /// What comes next is this.
    #[track_caller]
    pub fn expect(&mut self, expected: &str) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move { assert_eq!(self.next().await.as_deref(), Some(expected), "at {place}") }
    }

    /// What comes next is this error of a call that has not run; answers its text.
    #[track_caller]
    pub fn expect_error(&mut self, tag: u32, code: Code) -> impl Future<Output = String> {
        self.expect_error_with(tag, code, "")
    }

    /// What comes next is this error of a call that has run; answers its text.
    #[track_caller]
    pub fn expect_ran(&mut self, tag: u32, code: Code) -> impl Future<Output = String> {
        self.expect_error_with(tag, code, " ran=1")
    }

    #[track_caller]
    fn expect_error_with(
        &mut self,
        tag: u32,
        code: Code,
        options: &str,
    ) -> impl Future<Output = String> {
        let place = std::panic::Location::caller();
        async move {
            let reply = self.next().await.unwrap_or_default();
            let (line, text) = reply.split_once('\n').unwrap_or_default();
            let expected = format!("<{tag} err {} {code}{options}", text.len());
            assert_eq!(line, expected, "{reply:?} at {place}");
            let text = if tag == 0 { text.strip_suffix('\n') } else { Some(text) };
            text.unwrap_or_else(|| panic!("{reply:?} ends without a line end, at {place}"))
                .to_owned()
        }
    }

    /// Nothing comes any more.
    #[track_caller]
    pub fn expect_end(&mut self) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move { assert_eq!(self.next().await, None, "at {place}") }
    }

    /// The last word of an orderly end comes, and nothing after it.
    #[track_caller]
    pub fn expect_farewell(&mut self) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            assert_eq!(self.next().await.as_deref(), Some("<0 ok 0\n"), "at {place}");
            assert_eq!(self.next().await, None, "at {place}");
        }
    }

    /// Exactly these bytes come, which need not be lines of the protocol.
    #[track_caller]
    pub fn expect_bytes(&mut self, expected: &str) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            while self.input.len() < expected.len() {
                if within(self.stream.read_buf(&mut self.input)).await.unwrap() == 0 {
                    break;
                }
            }
            let len = expected.len().min(self.input.len());
            assert_eq!(show(&self.input.split_to(len)), expected, "at {place}");
        }
    }

    /// Everything that still comes.
    pub async fn rest(&mut self) -> String {
        let mut rest = self.input.split().to_vec();
        within(self.stream.read_to_end(&mut rest)).await.ok();
        show(&rest)
    }
}

/// Sends all of this over `stream` and ends; answers all that comes back. A peer that closes
/// early, or tears the connection down, is no error.
pub async fn exchange_over(stream: impl AsyncRead + AsyncWrite, sent: impl AsRef<[u8]>) -> String {
    let (mut reading, mut writing) = tokio::io::split(stream);
    let write = async {
        if writing.write_all(sent.as_ref()).await.is_ok() {
            writing.shutdown().await.ok();
        }
    };
    let read = async {
        let mut got = Vec::new();
        reading.read_to_end(&mut got).await.ok();
        got
    };
    let ((), got) = within(async { tokio::join!(write, read) }).await;
    show(&got)
}

/// An error of a call that has not run, or of the connection.
pub fn err(tag: u32, code: Code, text: &str) -> String {
    error(tag, &code.to_string(), text)
}

/// An error of a call that has run.
pub fn ran(tag: u32, code: Code, text: &str) -> String {
    error(tag, &format!("{code} ran=1"), text)
}

fn error(tag: u32, end_of_line: &str, text: &str) -> String {
    // That of a notice ends like a line.
    let end = if tag == 0 && !text.is_empty() { "\n" } else { "" };
    format!("<{tag} err {} {end_of_line}\n{text}{end}", text.len() + end.len())
}

pub fn show(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
