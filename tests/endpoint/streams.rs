//! Streams of the user's own, which may do anything when they are polled, by a caller too.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use switchboard::transport::{self, MemoryStream};
use switchboard::{Client, Code, Connection, Endpoint, Result, with_state};
use switchboard_testing::hooked::{Hooked, Hooks};

use super::support::*;

/// What a stream does first whenever it is read, or written; an error is all that it does.
pub type Trick = Box<dyn FnMut() -> io::Result<()> + Send>;

/// The tricks of a stream.
#[derive(Clone, Default)]
pub struct Tricks {
    reading: Arc<Mutex<Option<Trick>>>,
    writing: Arc<Mutex<Option<Trick>>>,
}

impl Tricks {
    pub fn set_reading(&self, trick: impl FnMut() -> io::Result<()> + Send + 'static) {
        *self.reading.lock().unwrap() = Some(Box::new(trick));
    }

    pub fn set_writing(&self, trick: impl FnMut() -> io::Result<()> + Send + 'static) {
        *self.writing.lock().unwrap() = Some(Box::new(trick));
    }
}

fn play(trick: &Mutex<Option<Trick>>) -> io::Result<()> {
    // Not locked while it is played: the trick of a write may read.
    let Some(mut playing) = trick.lock().unwrap().take() else { return Ok(()) };
    let result = playing();
    *trick.lock().unwrap() = Some(playing);
    result
}

impl Hooks for Tricks {
    fn before_read(&mut self) -> io::Result<()> {
        play(&self.reading)
    }

    fn before_write(&mut self) -> Poll<io::Result<usize>> {
        Poll::Ready(play(&self.writing).map(|()| usize::MAX))
    }
}

/// A client of an endpoint, over a stream with tricks, whose driver is at rest.
async fn tricky_client() -> (Client, Tricks) {
    let tricks = Tricks::default();
    let stream = Hooked { stream: dial(&endpoint()), hooks: tricks.clone() };
    let client = Endpoint::new().connect_over(stream);
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
        let mut once = Some(trick);
        tricks.set_writing(move || once.take().map_or(Ok(()), |trick| trick()));
        let error = within(client.call(ADD, &(1, 2))).await.unwrap_err();
        assert_eq!(error.code(), Code::Disconnected);
        within(client.closed()).await;
    }
}

/// Goes on over another stream, as for TLS, which would be spoken over the one that is given up.
async fn switch(
    there: Arc<Mutex<Option<MemoryStream>>>,
    connection: &mut Connection,
) -> Result<()> {
    let there = there.lock().unwrap().take().unwrap();
    *connection = Connection::connect_over(there);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_raw_command_may_put_another_stream_in_its_place() {
    let (here, there) = transport::memory();
    let there = Arc::new(Mutex::new(Some(there)));
    let endpoint = endpoint().on_raw("SWITCH", with_state(&there, switch));
    let mut before = peer(&endpoint);
    before.send("SWITCH\n").await;
    let mut after = Peer::new(here);
    after.send("ECHO 1 1 f=line\na").await;
    after.expect("<1 ok 1\na").await;
    assert_eq!(before.rest().await, "");
}

#[tokio::test(start_paused = true)]
async fn a_stream_may_call_over_itself_while_it_is_read() {
    let (client, tricks) = tricky_client().await;
    let (caller, mut once) = (client.clone(), true);
    // As a logger does that sends what the stream logs. The call is the only one under way.
    tricks.set_reading(move || {
        if std::mem::take(&mut once) {
            assert!(poll_once(caller.notify(ECHO, &"read".to_owned())).is_ready());
        }
        Ok(())
    });
    assert_eq!(within(client.call(ADD, &(1, 2))).await.unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_stream_has_its_runtime_whoever_writes() {
    let (client, tricks) = tricky_client().await;
    tricks.set_writing(|| {
        tokio::spawn(async {});
        Ok(())
    });
    let mut call = client.call(ADD, &(1, 2));
    // On a thread that knows of no runtime.
    let begun = std::thread::spawn(move || {
        assert!(poll_once(&mut call).is_pending());
        call
    });
    assert_eq!(within(begun.join().unwrap()).await.unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_caller_does_not_write_for_others_without_end() {
    let (client, tricks) = tricky_client().await;
    let (caller, writes) = (client.clone(), Count::default());
    let count = writes.clone();
    // Whenever something is written, somebody has something more to say.
    tricks.set_writing(move || {
        count.add();
        if count.now() < 100 {
            assert!(poll_once(caller.notify(ECHO, &"more".to_owned())).is_ready());
        }
        Ok(())
    });
    let mut call = client.call(ADD, &(1, 2));
    assert!(poll_once(&mut call).is_pending());
    assert_eq!(writes.now(), 1);
    assert_eq!(within(call).await.unwrap(), 3);
}

fn poll_once<F: Future + Unpin>(mut future: F) -> Poll<F::Output> {
    Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop()))
}
