//! Streams and sinks of the `futures` crates, senders of either side, and functions that block.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{SinkExt, Stream, StreamExt, stream};
use serde::{Deserialize, Serialize, Serializer};
use switchboard::{
    Code, Command, Context, Encoded, Endpoint, Error, Receiver, Sender, Streamed, blocking,
    streaming, with_state,
};
use tokio::sync::{Notify, mpsc};

use super::items::clients_of;
use super::support::*;

const COUNT: Command<u32, Streamed<u32>> = Command::new("COUNT");
const SUM: Command<Streamed<u32>, u64> = Command::new("SUM");
/// Waits until it is stopped.
const WAIT: Command<(), ()> = Command::new("WAIT");
const SHOUT: Command<Streamed<String>, Streamed<String>> = Command::new("SHOUT");

type Answer<T> = Result<T, Error>;

fn count(end: u32) -> impl Stream<Item = Answer<u32>> {
    let no_luck = (end == 13).then(|| Err(Error::new(Code::Conflict, "no luck")));
    stream::iter((1..=end).map(Ok).chain(no_luck))
}

async fn sum((): (), numbers: Receiver<u32>) -> Answer<u64> {
    numbers.fold(Ok(0), async |sum: Answer<u64>, next| Ok(sum? + u64::from(next?))).await
}

async fn shout((): (), words: Receiver<String>, out: Sender<String>) -> Answer<()> {
    words.map(|word| word.map(|word| word.to_uppercase())).forward(out).await
}

fn piping() -> Endpoint {
    endpoint().on(COUNT, streaming(count)).on(SUM, sum).on(SHOUT, shout)
}

#[tokio::test(start_paused = true)]
async fn items_go_through_streams_and_sinks() {
    for client in clients_of(&piping()) {
        let numbers: Vec<_> = client.call(COUNT, &1000).map(Result::unwrap).collect().await;
        assert_eq!(numbers, (1..=1000).collect::<Vec<_>>());
        let mut numbers: Vec<_> = client.call(COUNT, &13).collect().await;
        assert_eq!(numbers.pop().unwrap().unwrap_err().code(), Code::Conflict);
        assert_eq!(numbers.len(), 13);

        let mut numbers = client.call(SUM, &());
        numbers.send_all(&mut stream::iter((1..=10_000).map(Ok))).await.unwrap();
        assert_eq!(numbers.finish().await.unwrap(), 50_005_000);

        let (up, down) = client.call(SHOUT, &()).split().await.unwrap();
        let words = stream::iter(["one", "two"]).map(|word| Ok(word.to_owned()));
        words.forward(up).await.unwrap();
        let words: Vec<_> = down.map(Result::unwrap).collect().await;
        assert_eq!(words, ["ONE", "TWO"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_may_end_while_its_reply_goes_on() {
    const SORT: Command<Streamed<u32>, Streamed<u32>> = Command::new("SORT");
    let endpoint = endpoint().on(SORT, async |(), mut up: Receiver<u32>, out: Sender<u32>| {
        let mut numbers = Vec::new();
        while let Some(number) = up.next().await? {
            numbers.push(number);
        }
        numbers.sort_unstable();
        for number in numbers {
            out.send(&number).await?;
        }
        Ok::<_, Error>(())
    });
    for client in clients_of(&endpoint) {
        let mut numbers = client.call(SORT, &());
        for number in [3, 1, 2] {
            numbers.send(&number).await.unwrap();
        }
        numbers.end().await.unwrap();
        let sorted: Vec<_> = numbers.by_ref().map(Result::unwrap).collect().await;
        assert_eq!(sorted, [1, 2, 3]);
        numbers.finish().await.unwrap();
        // As a sink it ends by being closed.
        let mut numbers = client.call(SORT, &());
        numbers.feed(7).await.unwrap();
        SinkExt::close(&mut numbers).await.unwrap();
        assert_eq!(numbers.next().await.unwrap().unwrap(), 7);
        assert!(numbers.next().await.is_none());
    }
}

/// What is sent to one and dropped without an end is no request that has ended.
#[tokio::test(start_paused = true)]
async fn a_sender_that_is_dropped_without_an_end_gives_the_call_up() {
    let (ends, mut ended) = mpsc::unbounded_channel();
    let endpoint = endpoint().on(SHOUT, move |(): (), mut up: Receiver<String>, _: Sender<_>| {
        let ends = ends.clone();
        async move {
            // In a task that nobody stops.
            tokio::spawn(async move {
                let mut last = up.next().await;
                while let Ok(Some(_)) = last {
                    last = up.next().await;
                }
                ends.send(last.map(|_| ()).map_err(|error| error.code())).unwrap();
            });
            std::future::pending::<Answer<()>>().await
        }
    });
    for client in clients_of(&endpoint) {
        let (up, mut down) = client.call(SHOUT, &()).split().await.unwrap();
        up.send(&"x".to_owned()).await.unwrap();
        drop(up);
        // What goes over a channel goes while it is polled.
        let down = tokio::spawn(async move { down.next().await });
        assert_eq!(ended.recv().await.unwrap(), Err(Code::Cancelled));
        down.abort();
        // Dropped as a whole it is the same.
        let mut call = client.call(SHOUT, &());
        call.send(&"x".to_owned()).await.unwrap();
        let _ = within_little(call.next()).await;
        drop(call);
        assert_eq!(ended.recv().await.unwrap(), Err(Code::Cancelled));
        // And one that has ended has.
        let (up, down) = client.call(SHOUT, &()).split().await.unwrap();
        up.end();
        let down = tokio::spawn(down.finish());
        assert_eq!(ended.recv().await.unwrap(), Ok(()));
        down.abort();
    }
}

/// What comes of it, if that is soon.
async fn within_little<T>(work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(MS, work).await.ok()
}

/// A tag is used again; a sender of the call that had it before reaches nobody.
#[tokio::test(start_paused = true)]
async fn a_sender_that_outlives_its_call_reaches_no_other() {
    let client = client(&piping());
    let (old, down) = client.call(SHOUT, &()).split().await.unwrap();
    down.finish().await.unwrap();
    for _ in 0..1100 {
        let (up, mut down) = client.call(SHOUT, &()).split().await.unwrap();
        assert_eq!(old.send(&"old".to_owned()).await.unwrap_err().code(), Code::Cancelled);
        up.send(&"new".to_owned()).await.unwrap();
        assert_eq!(down.next().await.unwrap().unwrap(), "NEW");
        up.end();
        assert!(down.next().await.is_none());
    }
    let (up, mut down) = client.call(SHOUT, &()).split().await.unwrap();
    drop(old);
    up.send(&"new".to_owned()).await.unwrap();
    assert_eq!(down.next().await.unwrap().unwrap(), "NEW");
}

#[tokio::test(start_paused = true)]
async fn every_shape_of_handler_that_returns_a_stream_answers() {
    fn with_context(end: u32, context: Context) -> impl Stream<Item = Answer<u32>> {
        let length = context.command().len();
        stream::iter([Ok(end + u32::try_from(length).unwrap())])
    }
    fn with_state_too(state: Arc<u32>, end: u32) -> impl Stream<Item = Result<u32, String>> {
        stream::iter([Ok(end + *state), Err("secret".to_owned())])
    }
    let client = client(&endpoint().on(COUNT, streaming(with_context)));
    assert_eq!(client.call(COUNT, &1).next().await.unwrap().unwrap(), 6);
    let state = Arc::new(100);
    let endpoint = endpoint().on(COUNT, with_state(&state, streaming(with_state_too)));
    let mut numbers = super::support::client(&endpoint).call(COUNT, &1);
    assert_eq!(numbers.next().await.unwrap().unwrap(), 101);
    // As with every handler, an error that is no word of the program's stays here.
    let error = numbers.next().await.unwrap().unwrap_err();
    assert_eq!((error.code(), error.text().contains("secret")), (Code::Failed, false));
}

#[tokio::test(start_paused = true)]
async fn a_stream_whose_caller_is_gone_is_dropped() {
    let running = Count::default();
    let counted = running.clone();
    let endpoint = endpoint().on(
        COUNT,
        streaming(move |_: u32| {
            counted.add();
            let guard = counted.guard();
            stream::repeat(7).map(move |number| {
                let _ = &guard;
                Ok::<_, Error>(number)
            })
        }),
    );
    for client in clients_of(&endpoint) {
        let before = running.now();
        let mut numbers = client.call(COUNT, &0);
        assert_eq!(numbers.next().await.unwrap().unwrap(), 7);
        assert_eq!(running.now(), before + 1);
        drop(numbers);
        // The guard in the stream counts.
        running.reach(before + 2).await;
    }
}

/// Counts how often it is encoded.
#[derive(Clone, Debug, Default)]
struct News {
    encoded: Arc<AtomicUsize>,
}

impl Serialize for News {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.encoded.fetch_add(1, Ordering::SeqCst);
        serializer.serialize_str("news")
    }
}

impl<'de> Deserialize<'de> for News {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|_| Self::default())
    }
}

#[tokio::test(start_paused = true)]
async fn what_goes_to_many_is_encoded_once_for_each_format() {
    const NEWS: Command<(), Streamed<News>> = Command::new("NEWS");
    const NEWS_JSON: Command<(), Streamed<News>, switchboard::format::Json> = Command::new("NEWS");
    let (senders, mut readers) = mpsc::unbounded_channel();
    let endpoint = endpoint().on(NEWS, move |(): (), out: Sender<News>| {
        senders.send(out).unwrap();
        std::future::pending::<Answer<()>>()
    });
    let client = client(&endpoint);
    let news = Encoded::new(News::default());
    assert_eq!(news.get().encoded.load(Ordering::SeqCst), 0);
    for _ in 0..8 {
        let (mut call, mut json) = (client.call(NEWS, &()), client.call(NEWS_JSON, &()));
        let (opened, sender) = tokio::join!(call.next(), async {
            let sender = readers.recv().await.unwrap();
            sender.send_encoded(&news).await.unwrap();
            sender
        });
        opened.unwrap().unwrap();
        let (item, _) = tokio::join!(json.next(), async {
            readers.recv().await.unwrap().send_encoded(&news).await.unwrap();
        });
        item.unwrap().unwrap();
        drop(sender);
    }
    assert_eq!(news.get().encoded.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_hub_need_not_wait_for_its_slowest_reader() {
    let (senders, mut readers) = mpsc::unbounded_channel();
    let endpoint = endpoint().on(SHOUT, move |(): (), _: Receiver<String>, out: Sender<String>| {
        senders.send(out).unwrap();
        std::future::pending::<Answer<()>>()
    });
    for client in clients_of(&endpoint) {
        let mut call = client.call(SHOUT, &());
        let opened = tokio::spawn(async move {
            let _ = call.opened().await;
            call
        });
        let sender = readers.recv().await.unwrap();
        let (text, news) = ("x".repeat(1000), Encoded::new("x".repeat(1000)));
        let mut sent = 0;
        while sender.try_send(&text).unwrap() && sender.try_send_encoded(&news).unwrap() {
            sent += 2;
            assert!(sent < 1000, "it takes all of them");
        }
        let mut call = opened.await.unwrap();
        for _ in 0..sent {
            assert_eq!(call.next().await.unwrap().unwrap(), text);
        }
        // There is room again.
        settle().await;
        assert!(sender.try_send(&text).unwrap());
        assert!(!sender.is_closed());
        drop(call);
        while !sender.is_closed() {
            settle().await;
        }
        assert_eq!(sender.try_send(&text).unwrap_err().code(), Code::Cancelled);
    }
}

#[tokio::test]
async fn functions_that_block_send_and_take_items() {
    fn count(end: u32, out: Sender<u32>) -> Answer<()> {
        (1..=end).try_for_each(|number| out.blocking_send(&number))
    }
    fn sum((): (), mut numbers: Receiver<u32>, context: Context) -> Answer<u64> {
        let mut sum = context.command().len() as u64;
        while let Some(number) = numbers.blocking_next()? {
            sum += u64::from(number);
        }
        Ok(sum)
    }
    fn shout(
        state: Arc<String>,
        (): (),
        mut words: Receiver<String>,
        out: Sender<String>,
    ) -> Answer<()> {
        while let Some(word) = words.blocking_next()? {
            out.blocking_send(&format!("{word}{state}"))?;
        }
        Ok(())
    }
    let state = Arc::new("!".to_owned());
    let endpoint = endpoint()
        .on(COUNT, blocking(count))
        .on(SUM, blocking(sum))
        .on(SHOUT, with_state(&state, blocking(shout)));
    for client in clients_of(&endpoint) {
        let numbers: Vec<_> = client.call(COUNT, &3000).map(Result::unwrap).collect().await;
        assert_eq!(numbers, (1..=3000).collect::<Vec<_>>());
        let mut numbers = client.call(SUM, &());
        for number in 1..=3000 {
            numbers.send(&number).await.unwrap();
        }
        assert_eq!(numbers.finish().await.unwrap(), 4_501_503);
        let mut words = client.call(SHOUT, &());
        words.send(&"x".to_owned()).await.unwrap();
        assert_eq!(words.next().await.unwrap().unwrap(), "x!");
        // One whose caller is gone learns it by what it sends.
        let mut endless = client.call(COUNT, &u32::MAX);
        assert_eq!(endless.next().await.unwrap().unwrap(), 1);
    }
}

#[tokio::test]
async fn a_function_that_blocks_learns_that_nobody_waits() {
    let ended = Arc::new(Notify::new());
    let began = Arc::new(Notify::new());
    let (begins, ends) = (Arc::clone(&began), Arc::clone(&ended));
    let endpoint = endpoint().on(
        WAIT,
        blocking(move |(): (), context: Context| {
            begins.notify_one();
            tokio::runtime::Handle::current().block_on(context.cancelled());
            ends.notify_one();
            Ok::<_, Error>(())
        }),
    );
    for client in clients_of(&endpoint) {
        let call = tokio::spawn(client.call(WAIT, &()).into_future());
        began.notified().await;
        call.abort();
        ended.notified().await;
    }
}

/// Items that wait within one process count as well.
#[tokio::test(start_paused = true)]
async fn items_that_wait_in_one_process_are_held() {
    const PIECES: Command<(), Streamed<Vec<u8>>> = Command::new("PIECES");
    let (errors, mut failed) = mpsc::unbounded_channel();
    let endpoint = limited(|limits| limits.held_bytes_max = 128 * 1024).on(
        PIECES,
        move |(): (), out: Sender<Vec<u8>>| {
            let errors = errors.clone();
            async move {
                loop {
                    if let Err(error) = out.send(&vec![0; 50_000]).await {
                        errors.send(error.code()).unwrap();
                        return Err::<(), _>(error);
                    }
                }
            }
        },
    );
    let client = endpoint.client();
    let mut stopped: Vec<_> = (0..3).map(|_| client.call(PIECES, &())).collect();
    for call in &mut stopped {
        let _ = call.opened().await;
    }
    assert_eq!(failed.recv().await.unwrap(), Code::Overloaded);
    drop(stopped);
    settle().await;
    assert_eq!(client.call(PIECES, &()).next().await.unwrap().unwrap().len(), 50_000);
}
