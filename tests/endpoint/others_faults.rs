//! Faults that others had with the ends of calls and connections, and with what goes beside them,
//! and that are not to be ours. The comment above each test names the thread in which it was
//! reported.

use switchboard::{
    Client, Code, Command, Context, Endpoint, Error, Metadata, Receiver, Sender, Streamed,
    transport,
};
use tokio::sync::{mpsc, oneshot};

use super::items::clients_of;
use super::support::*;

/// One item, and no more.
const NEWS: Command<(), Streamed<u32>> = Command::new("NEWS");
/// Five items, and no more.
const FIVE: Command<(), Streamed<u32>> = Command::new("FIVE").endless();
/// Adds up what comes.
const SUM: Command<Streamed<u32>, u64> = Command::new("SUM");
/// Letters without end.
const FLOOD: Command<(), Streamed<String>> = Command::new("FLOOD");
/// Ends when it is told that nobody waits.
const UNTIL: Command<(), String> = Command::new("UNTIL");
/// The same, with an item before.
const UNTIL_ITEMS: Command<(), Streamed<u32, String>> = Command::new("UNTIL_ITEMS");
/// Fails with a text of so many letters.
const FAIL: Command<usize, Streamed<u32>> = Command::new("FAIL");
/// What stands beside it under `note-of-caller`, as its answer and beside that.
const NOTE: Command<(), String> = Command::new("NOTE");

/// An endpoint with all of them, and how many of its handlers have ended.
fn ending() -> (Endpoint, Count) {
    async fn items(_guard: Guard, count: u32, out: Sender<u32>) -> Result<(), Error> {
        for number in 1..=count {
            out.send(&number).await?;
        }
        std::future::pending().await
    }
    async fn sum(_guard: Guard, mut numbers: Receiver<u32>) -> Result<u64, Error> {
        let mut sum = 0;
        while let Some(number) = numbers.next().await? {
            sum += u64::from(number);
        }
        Ok(sum)
    }
    async fn flood(_guard: Guard, out: Sender<String>) -> Result<(), Error> {
        loop {
            out.send(&"x".repeat(1000)).await?;
        }
    }
    let ended = Count::default();
    let [news, five, of_sum, of_flood] = [0, 1, 2, 3].map(|_| ended.clone());
    let endpoint = endpoint()
        .on(NEWS, move |(): (), out: Sender<u32>| items(news.guard(), 1, out))
        .on(FIVE, move |(): (), out: Sender<u32>| items(five.guard(), 5, out))
        .on(SUM, move |(): (), numbers: Receiver<u32>| sum(of_sum.guard(), numbers))
        .on(FLOOD, move |(): (), out: Sender<String>| flood(of_flood.guard(), out))
        .on(UNTIL, async |(): (), context: Context| {
            context.cancelled().await;
            Ok::<_, Error>("all well".to_owned())
        })
        .on(UNTIL_ITEMS, async |(): (), out: Sender<u32>, context: Context| {
            out.send(&1).await?;
            context.cancelled().await;
            Ok::<_, Error>("all well".to_owned())
        })
        .on(FAIL, async |count: usize, out: Sender<u32>| {
            out.send(&1).await?;
            Err::<(), _>(Error::new(Code::Conflict, "é".repeat(count)))
        })
        .on(NOTE, async |(): (), context: Context| {
            let note = context.metadata().get("note-of-caller").unwrap_or_default().into_owned();
            context.set_reply_metadata(Metadata::default().with("note-of-callee", &note)?);
            Ok::<_, Error>(note)
        });
    (endpoint, ended)
}

/// A client of `endpoint`, and what ends the connection without a word.
fn severable(endpoint: &Endpoint) -> (Client, tokio::task::JoinHandle<()>) {
    let (here, there) = transport::memory();
    let endpoint = endpoint.clone();
    let serving = tokio::spawn(async move { endpoint.serve_stream(there).await });
    (Endpoint::new().connect_over(here), serving)
}

// quinn#1564: a read hung when its own side closed the connection.
#[tokio::test(start_paused = true)]
async fn a_reader_whose_client_is_closed_learns_it() {
    let (endpoint, ended) = ending();
    for (index, client) in clients_of(&endpoint).into_iter().enumerate() {
        let mut news = client.call(NEWS, &());
        assert_eq!(news.next().await.unwrap().unwrap(), 1);
        let reading = tokio::spawn(async move { news.next().await });
        settle().await;
        within(client.close()).await;
        let error = within(reading).await.unwrap().unwrap().unwrap_err();
        assert!(!error.is_safe_to_retry(), "{error}");
        ended.reach(index + 1).await;
    }
}

// quinn#1926: the end of what was sent was well, though the connection had been closed.
#[tokio::test(start_paused = true)]
async fn a_request_that_is_ended_over_a_lost_connection_is_not_well() {
    let (endpoint, ended) = ending();
    for loses_first in [true, false] {
        let (client, serving) = severable(&endpoint);
        let mut numbers = client.call(SUM, &());
        numbers.send(&1).await.unwrap();
        settle().await;
        let before = ended.now();
        if loses_first {
            serving.abort();
            ended.reach(before + 1).await;
            settle().await;
            let _ = numbers.end().await;
        } else {
            // Both may be under way at once: what is said last has not been heard.
            serving.abort();
            numbers.end().await.unwrap();
        }
        let error = within(numbers.finish()).await.unwrap_err();
        assert_eq!((error.code(), error.is_safe_to_retry()), (Code::Disconnected, false));
    }
}

// grpc-java#11580 (of a grpc-go server): a handler that ended at its deadline had gone well.
#[tokio::test(start_paused = true)]
async fn a_handler_that_ends_at_its_deadline_is_late_all_the_same() {
    let (endpoint, _) = ending();
    let mut peer = peer(&endpoint);
    peer.send("UNTIL 1 0 t=1000\nUNTIL_ITEMS 2 0 credit=1000 t=1000\n").await;
    peer.expect("<2 item 1\n\u{1}").await;
    let mut ends = [peer.next().await.unwrap(), peer.next().await.unwrap()];
    ends.sort();
    for (tag, end) in [1, 2].iter().zip(ends) {
        let told = ran(*tag, Code::DeadlineExceeded, "the handler did not answer in time");
        assert_eq!(end, told);
    }
    for client in clients_of(&endpoint) {
        let error = client.call(UNTIL, &()).timeout(SECOND).await.unwrap_err();
        assert_eq!(error.code(), Code::DeadlineExceeded);
        let mut items = client.call(UNTIL_ITEMS, &()).timeout(SECOND);
        assert_eq!(items.next().await.unwrap().unwrap(), 1);
        assert_eq!(items.next().await.unwrap().unwrap_err().code(), Code::DeadlineExceeded);
    }
}

// jsonrpsee#481: whoever went on sending to a subscriber that was gone was told that it went well.
#[tokio::test(start_paused = true)]
async fn whoever_still_sends_learns_that_the_connection_is_lost() {
    let (senders, mut sent) = mpsc::unbounded_channel();
    let endpoint = endpoint().on(NEWS, move |(): (), out: Sender<u32>| {
        senders.send(out).unwrap();
        std::future::pending::<Result<(), Error>>()
    });
    for is_ours in [true, false] {
        let (here, there) = transport::memory();
        let served = endpoint.clone();
        let serving = tokio::spawn(async move { served.serve_stream(there).await });
        let mut peer = Peer::new(here);
        peer.send("NEWS 1 0 credit=1000\n").await;
        let out = within(sent.recv()).await.unwrap();
        out.send(&1).await.unwrap();
        peer.expect("<1 item 1\n\u{1}").await;
        if is_ours {
            serving.abort();
        } else {
            // Whoever is only silent may still be reading: the next write tells.
            drop(peer);
            out.send(&2).await.unwrap();
        }
        settle().await;
        assert!(out.is_closed());
        assert_eq!(out.try_send(&2).unwrap_err().code(), Code::Cancelled);
        assert_eq!(out.send(&2).await.unwrap_err().code(), Code::Cancelled);
    }
}

/// An endpoint that is served until the sender is dropped, and a client of it.
async fn served(
    endpoint: &Endpoint,
) -> (Client, oneshot::Sender<()>, tokio::task::JoinHandle<switchboard::Report>) {
    let (listener, dialer) = transport::memory_listener();
    let (stop, stopped) = oneshot::channel::<()>();
    let served = endpoint.clone();
    let serving = async move { served.serve_until(listener, stopped).await.unwrap() };
    let serving = tokio::spawn(serving);
    (Endpoint::new().connect_over(dialer.dial().await.unwrap()), stop, serving)
}

// grpc-go#1355: a handler that waited for an item held up the graceful stop for ever.
#[tokio::test(start_paused = true)]
async fn a_handler_that_waits_for_an_item_does_not_hold_up_the_drain() {
    let (endpoint, ended) = ending();
    let (client, stop, serving) = served(&endpoint).await;
    let mut numbers = client.call(SUM, &());
    numbers.send(&1).await.unwrap();
    settle().await;
    drop(stop);
    let report = within(serving).await.unwrap();
    assert_eq!((report.calls_cut_off, ended.now()), (1, 1));
    let error = numbers.finish().await.unwrap_err();
    assert_eq!((error.code(), error.is_transient()), (Code::ShuttingDown, true));
}

// grpc-go#6921: handlers of streams were still running when the server had stopped.
#[tokio::test(start_paused = true)]
async fn no_handler_runs_any_more_when_serving_is_over() {
    let (endpoint, ended) = ending();
    let (client, stop, serving) = served(&endpoint).await;
    // One waits for items, one for credit, one for nothing that comes.
    let (mut sum, mut flood) = (client.call(SUM, &()), client.call(FLOOD, &()));
    let mut news = client.call(NEWS, &());
    sum.send(&1).await.unwrap();
    flood.next().await.unwrap().unwrap();
    news.next().await.unwrap().unwrap();
    settle().await;
    assert_eq!(ended.now(), 0);
    drop(stop);
    let report = within(serving).await.unwrap();
    assert_eq!((report.calls_cut_off, ended.now()), (3, 3));
}

// nats.rs#1325: what had come before a drain was dropped with it.
#[tokio::test(start_paused = true)]
async fn items_that_came_before_a_drain_can_still_be_taken() {
    let (endpoint, ended) = ending();
    let (client, stop, serving) = served(&endpoint).await;
    let mut five = client.call(FIVE, &());
    five.opened().await.unwrap();
    settle().await;
    drop(stop);
    within(serving).await.unwrap();
    assert_eq!(ended.now(), 1);
    for number in 1..=5 {
        assert_eq!(five.next().await.unwrap().unwrap(), number);
    }
    assert_eq!(five.next().await.unwrap().unwrap_err().code(), Code::ShuttingDown);
}

// grpc-rust#1834 (tonic): a long text of an error hung its call, and broke those beside it.
#[tokio::test(start_paused = true)]
async fn a_long_text_of_an_error_is_cut_and_ends_one_call() {
    let (endpoint, _) = ending();
    for client in clients_of(&endpoint) {
        let mut news = client.call(NEWS, &());
        assert_eq!(news.next().await.unwrap().unwrap(), 1);
        for count in [2048, 100_000] {
            let mut items = client.call(FAIL, &count);
            assert_eq!(within(items.next()).await.unwrap().unwrap(), 1);
            let error = within(items.next()).await.unwrap().unwrap_err();
            assert_eq!(error.code(), Code::Conflict);
            assert!((4000..=4096).contains(&error.text().len()), "{}", error.text().len());
        }
        assert_eq!(client.call(ADD, &(1, 2)).await.unwrap(), 3);
        assert!(!client.is_closed());
    }
    // And so it is sent.
    let mut peer = peer(&endpoint);
    peer.send("FAIL 1 6 credit=1000 f=json\n100000").await;
    peer.expect("<1 item 1\n1").await;
    peer.expect(&ran(1, Code::Conflict, &"é".repeat(2048))).await;
}

// grpc-go#1769: what stood beside a call went out as it was, also where it broke the protocol.
#[tokio::test(start_paused = true)]
async fn no_text_beside_a_call_can_be_more_than_a_text() {
    let (endpoint, _) = ending();
    let texts = ["a\nECHO 2 0\n", "\r\n\0\u{7f}", "é ü", " %0A% ", "", "a=b c=d", "\u{2028}"];
    for client in clients_of(&endpoint) {
        for text in texts {
            let call = client.call(NOTE, &()).metadata("note-of-caller", text);
            let (reply, beside) = call.with_reply_metadata().await.unwrap();
            assert_eq!(reply, text);
            assert_eq!(beside.get("note-of-callee").as_deref(), Some(text));
        }
    }
    let (client, mut peer) = client_and_peer();
    let call = client.call(NOTE, &()).metadata("note-of-caller", texts[0]);
    let call = tokio::spawn(call.into_future());
    peer.expect("NOTE 1 0 note-of-caller=a%0AECHO%202%200%0A\n").await;
    call.abort();
}
