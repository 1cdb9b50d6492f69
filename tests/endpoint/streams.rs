//! Streams of the user's own, which may do anything when they are polled, by a caller too.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use switchboard::transport::MemoryStream;
use switchboard::{Client, Code, Endpoint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::support::*;

/// What a stream does first when it is read, or written; an error is all that it does.
type Trick = Box<dyn FnMut() -> io::Result<()> + Send>;

#[derive(Clone, Default)]
struct Tricks {
    reading: Arc<Mutex<Option<Trick>>>,
    writing: Arc<Mutex<Option<Trick>>>,
}

/// A stream that plays each of its tricks once.
struct Tricky {
    stream: MemoryStream,
    tricks: Tricks,
}

fn play(trick: &Mutex<Option<Trick>>) -> io::Result<()> {
    let trick = trick.lock().unwrap().take();
    trick.map_or(Ok(()), |mut trick| trick())
}

impl AsyncRead for Tricky {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        play(&self.tricks.reading)?;
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Tricky {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        play(&self.tricks.writing)?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A client of an endpoint, over a stream with tricks, whose driver is at rest.
async fn tricky_client() -> (Client, Tricks) {
    let tricks = Tricks::default();
    let stream = Tricky { stream: dial(&endpoint()), tricks: tricks.clone() };
    let client = Endpoint::new().attach(stream);
    assert_eq!(client.call(ADD, &(1, 2)).await.unwrap(), 3);
    settle().await;
    (client, tricks)
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_fails_when_a_caller_writes_ends_the_connection() {
    let fail: fn() -> io::Result<()> = || Err(io::ErrorKind::TimedOut.into());
    let panic: fn() -> io::Result<()> = || panic!("a stream that panics");
    for trick in [fail, panic] {
        let (client, tricks) = tricky_client().await;
        *tricks.writing.lock().unwrap() = Some(Box::new(trick));
        let error = within(client.call(ADD, &(1, 2))).await.unwrap_err();
        assert_eq!(error.code(), Code::Disconnected);
        within(client.closed()).await;
    }
}
